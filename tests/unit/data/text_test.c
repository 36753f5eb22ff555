#include "kit/kit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "data/text.h"

/* A fresh folder with what a test puts into it. */
struct fixture {
    char dir[TK_PATH_SIZE];
};

static char *path_in(const struct fixture *f, const char *name, char buf[TK_PATH_SIZE])
{
    return tk_join(buf, f->dir, name);
}

static void put(const struct fixture *f, const char *name, const void *bytes, size_t size)
{
    char path[TK_PATH_SIZE];
    FILE *const file = fopen(path_in(f, name, path), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
    static struct fixture s_fixture;
    (void)tk_temp_dir(s_fixture.dir);
    *state = &s_fixture;
    return 0;
}

static int teardown(void **state)
{
    const struct fixture *const f = *state;
    tk_remove_tree(f->dir);
    return 0;
}

static cairn_text_data_options options_for(const char *const *paths, size_t count, int64_t length)
{
    return (cairn_text_data_options){.data_processor = "TextDataProcessor",
                                     .data_dir = {.items = paths, .count = count},
                                     .max_sequence_length = length,
                                     .split = "train",
                                     .batch_size = 1};
}

/* All bytes of the split, one token a sample; the last one is a label only. */
static size_t read_split(const char *const *paths, size_t count, double val_fraction,
                         const char *split, uint8_t *out)
{
    cairn_text_data_options options = options_for(paths, count, 1);
    cairn_data data;
    cairn_batch batch;
    cairn_error err = {0};
    options.val_fraction = val_fraction;
    options.split = split;
    if (cairn_text_data_new(&options, &data, &err) != CAIRN_OK)
        fail_msg("%s", err.frame[0].text);
    const uint64_t samples = data.ops->sample_count(data.self);
    for (uint64_t i = 0; i < samples; i++) {
        assert_int_equal(data.ops->read(data.self, &i, 1, &batch, NULL), CAIRN_OK);
        out[i] = (uint8_t)((const int32_t *)batch.field[0].data)[0];
        out[i + 1] = (uint8_t)((const int32_t *)batch.field[1].data)[0];
    }
    data.ops->destroy(data.self);
    return samples + 1;
}

static void read__shifts_the_labels_by_one(void **state)
{
    const struct fixture *const f = *state;
    char path[TK_PATH_SIZE];
    put(f, "a.txt", "abcdefghijk", 11);
    const char *const paths[] = {path_in(f, "a.txt", path)};
    const cairn_text_data_options options = options_for(paths, 1, 4);
    const uint64_t indices[] = {1, 0};
    const int32_t inputs[] = {'e', 'f', 'g', 'h', 'a', 'b', 'c', 'd'};
    const int32_t labels[] = {'f', 'g', 'h', 'i', 'b', 'c', 'd', 'e'};
    cairn_data data;
    cairn_batch batch;
    assert_int_equal(cairn_text_data_new(&options, &data, NULL), CAIRN_OK);
    assert_int_equal(data.ops->sample_count(data.self), 2); /* floor((11 - 1) / 4) */
    assert_int_equal(data.ops->read(data.self, indices, 2, &batch, NULL), CAIRN_OK);
    assert_int_equal(batch.samples, 2);
    assert_int_equal(batch.field_count, 2);
    assert_string_equal(batch.field[0].name, "input_ids");
    assert_string_equal(batch.field[1].name, "labels");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(batch.field[i].dtype, CAIRN_DTYPE_I32);
        assert_int_equal(batch.field[i].rank, 2);
        assert_int_equal(batch.field[i].shape[0], 2);
        assert_int_equal(batch.field[i].shape[1], 4);
    }
    assert_memory_equal(batch.field[0].data, inputs, sizeof inputs);
    assert_memory_equal(batch.field[1].data, labels, sizeof labels);
    assert_int_equal(data.ops->sequence_length(data.self), 4);
    assert_int_equal(data.ops->max_token_id(data.self), 255);
    data.ops->destroy(data.self);
}

static void sample_count__needs_one_byte_more_than_the_inputs(void **state)
{
    const struct fixture *const f = *state;
    char path[TK_PATH_SIZE];
    static const struct {
        size_t bytes;
        cairn_status status;
        uint64_t samples;
    } k_cases[] = {{0, CAIRN_EDATA, 0},
                   {4, CAIRN_EDATA, 0},
                   {5, CAIRN_OK, 1},
                   {8, CAIRN_OK, 1},
                   {9, CAIRN_OK, 2}};
    const char *const paths[] = {path_in(f, "a.txt", path)};
    const cairn_text_data_options options = options_for(paths, 1, 4);
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        cairn_data data;
        put(f, "a.txt", "abcdefghijk", k_cases[i].bytes);
        assert_int_equal(cairn_text_data_new(&options, &data, NULL), k_cases[i].status);
        if (k_cases[i].status != CAIRN_OK)
            continue;
        assert_int_equal(data.ops->sample_count(data.self), k_cases[i].samples);
        data.ops->destroy(data.self);
    }
}

static void read__keeps_bytes_above_127_and_zero_as_they_are(void **state)
{
    const struct fixture *const f = *state;
    char path[TK_PATH_SIZE];
    uint8_t got[16];
    const uint8_t bytes[] = {0, 255, 128, 10, 13};
    put(f, "a.txt", bytes, sizeof bytes);
    const char *const paths[] = {path_in(f, "a.txt", path)};
    assert_int_equal(read_split(paths, 1, 0.0, "train", got), sizeof bytes);
    assert_memory_equal(got, bytes, sizeof bytes);
}

static void list__joins_files_in_the_given_order_with_one_zero_byte(void **state)
{
    const struct fixture *const f = *state;
    char first[TK_PATH_SIZE];
    char second[TK_PATH_SIZE];
    uint8_t got[16];
    put(f, "a.txt", "aa", 2);
    put(f, "b.txt", "bb", 2);
    const char *const paths[] = {path_in(f, "b.txt", first), path_in(f, "a.txt", second)};
    assert_int_equal(read_split(paths, 2, 0.0, "train", got), 5);
    assert_memory_equal(got, "bb\0aa", 5);
}

static void folder__reads_regular_files_by_bytes_of_their_names(void **state)
{
    const struct fixture *const f = *state;
    char path[TK_PATH_SIZE];
    uint8_t got[32];
    put(f, "b", "b", 1);
    put(f, "B", "B", 1);
    put(f, "a10", "1", 1);
    put(f, "a9", "9", 1);
    put(f, "\xc3\xa4", "u", 1);
    put(f, ".hidden", "h", 1);
    assert_int_equal(mkdir(path_in(f, "sub", path), 0755), 0);
    put(f, "sub/x", "x", 1);
    assert_int_equal(symlink("b", path_in(f, "a-link", path)), 0);
    const char *const paths[] = {f->dir};
    assert_int_equal(read_split(paths, 1, 0.0, "train", got), 9);
    assert_memory_equal(got, "B\0001\0009\0b\0u", 9);
}

static void link__is_followed_when_it_is_named_itself(void **state)
{
    const struct fixture *const f = *state;
    char path[TK_PATH_SIZE];
    uint8_t got[16];
    put(f, "a.txt", "abc", 3);
    assert_int_equal(symlink("a.txt", path_in(f, "link", path)), 0);
    const char *const paths[] = {path};
    assert_int_equal(read_split(paths, 1, 0.0, "train", got), 3);
    assert_memory_equal(got, "abc", 3);
}

static void split__cuts_bytes_off_the_end_before_windowing(void **state)
{
    const struct fixture *const f = *state;
    char path[TK_PATH_SIZE];
    uint8_t got[64];
    put(f, "a.txt", "abcdefghijklmnopqrs", 19);
    const char *const paths[] = {path_in(f, "a.txt", path)};
    /* floor(19 * 0.25) = 4 */
    assert_int_equal(read_split(paths, 1, 0.25, "train", got), 15);
    assert_memory_equal(got, "abcdefghijklmno", 15);
    assert_int_equal(read_split(paths, 1, 0.25, "val", got), 4);
    assert_memory_equal(got, "pqrs", 4);
    assert_int_equal(read_split(paths, 1, 0.0, "train", got), 19);
}

static void new__names_path_cause_and_remedy_of_missing_data(void **state)
{
    const struct fixture *const f = *state;
    char path[TK_PATH_SIZE];
    char expected[TK_PATH_SIZE + 256];
    char text[512];
    cairn_error err = {0};
    cairn_data data;
    const char *const paths[] = {path_in(f, "none.txt", path)};
    const cairn_text_data_options options = options_for(paths, 1, 4);
    assert_int_equal(cairn_text_data_new(&options, &data, &err), CAIRN_EDATA);
    (void)cairn_error_format(&err, text, sizeof text);
    (void)snprintf(expected, sizeof expected,
                   "data_dir '%s': No such file or directory; give a text file, a list of text "
                   "files, or a folder of them (CAIRN_EDATA)",
                   path);
    assert_string_equal(text, expected);
}

static void new__refuses_a_folder_without_files(void **state)
{
    const struct fixture *const f = *state;
    cairn_error err = {0};
    cairn_data data;
    const char *const paths[] = {f->dir};
    const cairn_text_data_options options = options_for(paths, 1, 4);
    put(f, ".hidden", "abcdefgh", 8);
    assert_int_equal(cairn_text_data_new(&options, &data, &err), CAIRN_EDATA);
    assert_non_null(strstr(err.frame[0].text, "no regular files"));
}

static void new__says_that_the_val_split_needs_val_fraction(void **state)
{
    const struct fixture *const f = *state;
    char path[TK_PATH_SIZE];
    cairn_error err = {0};
    cairn_data data;
    put(f, "a.txt", "abcdefghijk", 11);
    const char *const paths[] = {path_in(f, "a.txt", path)};
    cairn_text_data_options options = options_for(paths, 1, 4);
    options.split = "val";
    assert_int_equal(cairn_text_data_new(&options, &data, &err), CAIRN_EDATA);
    assert_non_null(strstr(err.frame[0].text, "val_fraction is 0"));
}

static void new__refuses_options_outside_their_range(void **state)
{
    const struct fixture *const f = *state;
    cairn_data data;
    const char *const paths[] = {f->dir};
    cairn_text_data_options options = options_for(paths, 1, 0);
    assert_int_equal(cairn_text_data_new(&options, &data, NULL), CAIRN_ECONFIG);
    options = options_for(paths, 1, 4);
    options.val_fraction = 1.0;
    assert_int_equal(cairn_text_data_new(&options, &data, NULL), CAIRN_ECONFIG);
    options = options_for(paths, 1, 4);
    options.split = "test";
    assert_int_equal(cairn_text_data_new(&options, &data, NULL), CAIRN_ECONFIG);
    options = options_for(paths, 0, 4);
    assert_int_equal(cairn_text_data_new(&options, &data, NULL), CAIRN_ECONFIG);
}

static void read__refuses_a_sample_that_does_not_exist(void **state)
{
    const struct fixture *const f = *state;
    char path[TK_PATH_SIZE];
    cairn_data data;
    cairn_batch batch;
    const uint64_t index = 2;
    put(f, "a.txt", "abcdefghijk", 11);
    const char *const paths[] = {path_in(f, "a.txt", path)};
    const cairn_text_data_options options = options_for(paths, 1, 4);
    assert_int_equal(cairn_text_data_new(&options, &data, NULL), CAIRN_OK);
    assert_int_equal(data.ops->read(data.self, &index, 1, &batch, NULL), CAIRN_EINVAL);
    data.ops->destroy(data.self);
}

static void describe__names_the_data_its_split_and_its_size(void **state)
{
    const struct fixture *const f = *state;
    char path[TK_PATH_SIZE];
    char expected[TK_PATH_SIZE + 80];
    cairn_data data;
    put(f, "a.txt", "abcdefghijk", 11);
    const char *const paths[] = {path_in(f, "a.txt", path)};
    const cairn_text_data_options options = options_for(paths, 1, 4);
    assert_int_equal(cairn_text_data_new(&options, &data, NULL), CAIRN_OK);
    (void)snprintf(expected, sizeof expected,
                   "%s (1 file), train split: 11 bytes, 2 samples of 4 tokens", path);
    assert_string_equal(data.ops->describe(data.self), expected);
    data.ops->destroy(data.self);
}

static void new__fails_cleanly_at_every_allocation(void **state)
{
    const struct fixture *const f = *state;
    cairn_status rc = CAIRN_ENOMEM;
    const char *const paths[] = {f->dir};
    const cairn_text_data_options options = options_for(paths, 1, 4);
    put(f, "a.txt", "abcdefghijk", 11);
    put(f, "b.txt", "abcdefghijk", 11);
    for (uint64_t n = 1; rc != CAIRN_OK; n++) {
        cairn_data data;
        assert_true(n < 100);
        crn_mem_fail_at(n, 0);
        rc = cairn_text_data_new(&options, &data, NULL);
        crn_mem_fail_at(0, 0);
        assert_true(rc == CAIRN_OK || rc == CAIRN_ENOMEM);
        if (rc == CAIRN_OK)
            data.ops->destroy(data.self);
    }
}

/* A table whose reads fail, for what no real disk does on demand. */
static int failing_read(const crn_os *os, int fd, void *buf, size_t size, uint64_t offset,
                        size_t *out_got)
{
    (void)os;
    (void)fd;
    (void)buf;
    (void)size;
    (void)offset;
    (void)out_got;
    return EIO;
}

static void new__names_the_file_that_cannot_be_read(void **state)
{
    const struct fixture *const f = *state;
    cairn_error err = {0};
    cairn_data data;
    crn_os os = *crn_os_posix();
    const char *const paths[] = {f->dir};
    const cairn_text_data_options options = options_for(paths, 1, 4);
    os.read_at = failing_read;
    put(f, "a.txt", "abcdefghijk", 11);
    assert_int_equal(crn_text_data_new_os(&os, &options, &data, &err), CAIRN_EDATA);
    assert_non_null(strstr(err.frame[0].text, "/a.txt': Input/output error"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(read__shifts_the_labels_by_one),
        TEST(sample_count__needs_one_byte_more_than_the_inputs),
        TEST(read__keeps_bytes_above_127_and_zero_as_they_are),
        TEST(list__joins_files_in_the_given_order_with_one_zero_byte),
        TEST(folder__reads_regular_files_by_bytes_of_their_names),
        TEST(link__is_followed_when_it_is_named_itself),
        TEST(split__cuts_bytes_off_the_end_before_windowing),
        TEST(new__names_path_cause_and_remedy_of_missing_data),
        TEST(new__refuses_a_folder_without_files),
        TEST(new__says_that_the_val_split_needs_val_fraction),
        TEST(new__refuses_options_outside_their_range),
        TEST(read__refuses_a_sample_that_does_not_exist),
        TEST(describe__names_the_data_its_split_and_its_size),
        TEST(new__fails_cleanly_at_every_allocation),
        TEST(new__names_the_file_that_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
