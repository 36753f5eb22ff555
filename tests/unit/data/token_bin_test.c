#include <endian.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "data/shard.h"
#include "data/token_bin.h"
#include "kit/kit.h"

enum { LLM_C_GPT2 = 20240520, LLM_C_LLAMA3 = 20240801 };

struct fixture {
    char dir[TK_PATH_SIZE];
    char path[TK_PATH_SIZE + 64];
};

static int setup(void **state)
{
    static struct fixture s_fixture;
    (void)tk_temp_dir(s_fixture.dir);
    *state = &s_fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *const f = *state;
    tk_remove_tree(f->dir);
    return 0;
}

static const char *path_in(struct fixture *f, const char *name)
{
    (void)snprintf(f->path, sizeof f->path, "%s/%s", f->dir, name);
    return f->path;
}

/* Writes tokens first, first + 1, ... of @width bytes, behind llm.c's header if @magic is set. */
static void put(struct fixture *f, const char *name, uint32_t magic, uint32_t says, uint32_t first,
                size_t count, size_t width)
{
    FILE *const file = fopen(path_in(f, name), "wb");
    assert_non_null(file);
    if (magic != 0) {
        uint32_t header[256] = {htole32(magic), htole32(magic == LLM_C_GPT2 ? 1 : 7),
                                htole32(says)};
        assert_int_equal(fwrite(header, 1, sizeof header, file), sizeof header);
    }
    for (size_t i = 0; i < count; i++) {
        const uint32_t large = htole32(first + (uint32_t)i);
        const uint16_t small = htole16((uint16_t)(first + i));
        assert_int_equal(fwrite(width == 2 ? (const void *)&small : &large, 1, width, file), width);
    }
    assert_int_equal(fclose(file), 0);
}

static cairn_token_bin_data_options options_for(const char *const *paths, size_t count,
                                                int64_t length)
{
    return (cairn_token_bin_data_options){.data_processor = "TokenBinDataProcessor",
                                          .data_dir = {.items = paths, .count = count},
                                          .max_sequence_length = length,
                                          .split = "all",
                                          .token_type = "auto",
                                          .batch_size = 1};
}

static cairn_data open_data(const cairn_token_bin_data_options *options)
{
    cairn_data data = {0};
    cairn_error err = {0};
    if (cairn_token_bin_data_new(options, &data, &err) != CAIRN_OK)
        fail_msg("%s", err.frame[0].text);
    return data;
}

static void assert_refused(const cairn_token_bin_data_options *options, const char *words)
{
    cairn_data data = {0};
    cairn_error err = {0};
    assert_int_equal(cairn_token_bin_data_new(options, &data, &err), CAIRN_EDATA);
    tk_assert_error_has(&err, words);
}

static void samples__do_not_cross_the_end_of_a_shard(void **state)
{
    struct fixture *const f = *state;
    const char *const paths[] = {f->dir};
    const cairn_token_bin_data_options options = options_for(paths, 1, 4);
    const uint64_t indices[] = {2, 0, 1};
    const int32_t inputs[] = {500, 501, 502, 503, 0, 1, 2, 3, 4, 5, 6, 7};
    const int32_t labels[] = {501, 502, 503, 504, 1, 2, 3, 4, 5, 6, 7, 8};
    cairn_batch batch;
    put(f, "b.bin", 0, 0, 500, 8, 2);  /* 7 inputs: one sample, three tokens are left over */
    put(f, "a.bin", 0, 0, 0, 9, 2);    /* exactly two samples */
    put(f, "aa.bin", 0, 0, 900, 4, 2); /* none: the last token has no label */
    put(f, "c.txt", 0, 0, 0, 99, 2);   /* no shard */
    const cairn_data data = open_data(&options);
    assert_int_equal(data.ops->sample_count(data.self), 3);
    assert_int_equal(data.ops->sequence_length(data.self), 4);
    assert_non_null(strstr(data.ops->describe(data.self), "(3 files): 21 tokens, 3 samples"));
    assert_int_equal(data.ops->read(data.self, indices, 3, &batch, NULL), CAIRN_OK);
    assert_int_equal(batch.field_count, 2);
    assert_string_equal(batch.field[0].name, "input_ids");
    assert_string_equal(batch.field[1].name, "labels");
    assert_memory_equal(batch.field[0].data, inputs, sizeof inputs);
    assert_memory_equal(batch.field[1].data, labels, sizeof labels);
    data.ops->destroy(data.self);
}

static void header__says_the_size_of_tokens(void **state)
{
    struct fixture *const f = *state;
    const char *const paths[] = {f->dir};
    const cairn_token_bin_data_options options = options_for(paths, 1, 2);
    const uint64_t indices[] = {0, 1, 2};
    const int32_t inputs[] = {70000, 70001, 100, 101, 102, 103};
    cairn_batch batch;
    put(f, "1.bin", LLM_C_LLAMA3, 3, 70000, 3, 4);
    put(f, "2.bin", LLM_C_GPT2, 5, 100, 5, 2);
    const cairn_data data = open_data(&options);
    assert_int_equal(data.ops->read(data.self, indices, 3, &batch, NULL), CAIRN_OK);
    assert_memory_equal(batch.field[0].data, inputs, sizeof inputs);
    data.ops->destroy(data.self);
}

static void token_type__is_for_files_without_a_header(void **state)
{
    struct fixture *const f = *state;
    const char *const paths[] = {f->dir};
    cairn_token_bin_data_options options = options_for(paths, 1, 2);
    const uint64_t index = 0;
    const int32_t inputs[] = {70000, 70001};
    cairn_batch batch;
    put(f, "1.bin", 0, 0, 70000, 3, 4);
    options.token_type = "uint32";
    const cairn_data data = open_data(&options);
    assert_int_equal(data.ops->sample_count(data.self), 1);
    assert_int_equal(data.ops->read(data.self, &index, 1, &batch, NULL), CAIRN_OK);
    assert_memory_equal(batch.field[0].data, inputs, sizeof inputs);
    data.ops->destroy(data.self);
    put(f, "1.bin", LLM_C_GPT2, 9, 0, 9, 2);
    assert_refused(&options, "token_type is uint32, but the header says uint16");
}

static void damage__is_named(void **state)
{
    struct fixture *const f = *state;
    const char *const paths[] = {f->dir};
    const cairn_token_bin_data_options options = options_for(paths, 1, 2);
    assert_refused(&options, "no file named *.bin");
    put(f, "1.bin", LLM_C_GPT2, 10, 0, 9, 2);
    assert_refused(&options, "the file is cut off or damaged");
    put(f, "1.bin", LLM_C_GPT2, 8, 0, 9, 2);
    assert_refused(&options, "the file is cut off or damaged");
    put(f, "1.bin", LLM_C_GPT2, 0, 0, 0, 2);
    assert_refused(&options, "in none of them one sample");
    assert_int_equal(truncate(f->path, 1020), 0);
    assert_refused(&options, "has only 1020 bytes");
    put(f, "1.bin", 0, 0, 0, 9, 2);
    assert_int_equal(truncate(f->path, 17), 0);
    assert_refused(&options, "no whole number of uint16 tokens");
}

static void split__keeps_training_from_the_validation_files(void **state)
{
    struct fixture *const f = *state;
    const char *const paths[] = {f->dir};
    cairn_token_bin_data_options options = options_for(paths, 1, 2);
    const uint64_t index = 0;
    cairn_batch batch;
    put(f, "train.bin", 0, 0, 10, 9, 2);
    put(f, "val.bin", 0, 0, 90, 3, 2);
    assert_refused(&options, "set split to train or val");
    options.split = "val";
    const cairn_data data = open_data(&options);
    assert_int_equal(data.ops->sample_count(data.self), 1);
    assert_int_equal(data.ops->read(data.self, &index, 1, &batch, NULL), CAIRN_OK);
    assert_int_equal(((const int32_t *)batch.field[0].data)[0], 90);
    data.ops->destroy(data.self);
}

static void read__tells_of_a_token_that_is_none_and_of_a_file_that_shrank(void **state)
{
    struct fixture *const f = *state;
    const char *const paths[] = {f->dir};
    const cairn_token_bin_data_options options = options_for(paths, 1, 2);
    const uint64_t index = 0;
    cairn_batch batch;
    put(f, "1.bin", LLM_C_LLAMA3, 3, INT32_MAX, 3, 4);
    cairn_data data = open_data(&options);
    assert_int_equal(data.ops->read(data.self, &index, 1, &batch, NULL), CAIRN_EDATA);
    assert_int_equal(truncate(f->path, 1030), 0);
    assert_int_equal(data.ops->read(data.self, &index, 1, &batch, NULL), CAIRN_EDATA);
    data.ops->destroy(data.self);
}

/* More shards than are held open at once. */
static void shards__may_be_more_than_stay_open(void **state)
{
    struct fixture *const f = *state;
    const char *const paths[] = {f->dir};
    const cairn_token_bin_data_options options = options_for(paths, 1, 2);
    cairn_batch batch;
    char name[32];
    for (uint32_t i = 0; i < 150; i++) {
        (void)snprintf(name, sizeof name, "%03u.bin", i);
        put(f, name, 0, 0, i * 10, 3, 2);
    }
    const cairn_data data = open_data(&options);
    for (uint64_t i = 0; i < 150; i++) {
        const uint64_t index = i * 67 % 150; /* to and fro */
        assert_int_equal(data.ops->read(data.self, &index, 1, &batch, NULL), CAIRN_OK);
        assert_int_equal(((const int32_t *)batch.field[0].data)[0], index * 10);
    }
    data.ops->destroy(data.self);
}

/* Shard 0 was closed to make room for shard 64, and then its file was another one. */
static void read__tells_of_a_file_that_was_replaced_or_deleted(void **state)
{
    struct fixture *const f = *state;
    const char *const paths[] = {f->dir};
    const cairn_token_bin_data_options options = options_for(paths, 1, 2);
    const uint64_t first = 0;
    const uint64_t other = 64;
    cairn_error err = {0};
    cairn_batch batch;
    char name[32];
    for (uint32_t i = 0; i <= other; i++) {
        (void)snprintf(name, sizeof name, "%03u.bin", i);
        put(f, name, 0, 0, i * 10, 3, 2);
    }
    const cairn_data data = open_data(&options);
    tk_assert_ok(data.ops->read(data.self, &other, 1, &batch, &err), &err);
    put(f, "000.bin", 0, 0, 0, 6, 2);
    tk_assert_status(data.ops->read(data.self, &first, 1, &batch, &err), CAIRN_EDATA, &err);
    tk_assert_error_has(&err, "000.bin' changed while it was in use: it has 12 bytes, and had 6");
    assert_int_equal(unlink(f->path), 0);
    tk_assert_status(data.ops->read(data.self, &first, 1, &batch, &err), CAIRN_EDATA, &err);
    tk_assert_error_has(&err, "000.bin': No such file or directory");
    put(f, "000.bin", 0, 0, 0, 3, 2);
    tk_assert_ok(data.ops->read(data.self, &first, 1, &batch, &err), &err);
    data.ops->destroy(data.self);
}

static void read__names_the_file_that_the_disk_cannot_read(void **state)
{
    struct fixture *const f = *state;
    const char *const paths[] = {f->dir};
    const cairn_token_bin_data_options options = options_for(paths, 1, 2);
    const uint64_t index = 0;
    cairn_error err = {0};
    cairn_data data = {0};
    cairn_batch batch;
    tk_fault_os fault;
    tk_fault_init(&fault);
    put(f, "a.bin", 0, 0, 7, 5, 2);
    tk_assert_ok(crn_token_bin_data_new_os(&fault.os, &options, &data, &err), &err);
    tk_fault_reset(&fault);
    fault.fail_op = 'r';
    fault.fail_at = 1;
    tk_assert_status(data.ops->read(data.self, &index, 1, &batch, &err), CAIRN_EDATA, &err);
    tk_assert_error_has(&err, "a.bin': Input/output error");
    tk_assert_ok(data.ops->read(data.self, &index, 1, &batch, &err), &err);
    assert_int_equal(((const int32_t *)batch.field[0].data)[0], 7);
    data.ops->destroy(data.self);
    assert_int_equal(tk_fault_open_count(&fault), 0);
    tk_fault_dispose(&fault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(samples__do_not_cross_the_end_of_a_shard, setup, teardown),
        cmocka_unit_test_setup_teardown(header__says_the_size_of_tokens, setup, teardown),
        cmocka_unit_test_setup_teardown(token_type__is_for_files_without_a_header, setup, teardown),
        cmocka_unit_test_setup_teardown(damage__is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(split__keeps_training_from_the_validation_files, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            read__tells_of_a_token_that_is_none_and_of_a_file_that_shrank, setup, teardown),
        cmocka_unit_test_setup_teardown(shards__may_be_more_than_stay_open, setup, teardown),
        cmocka_unit_test_setup_teardown(read__tells_of_a_file_that_was_replaced_or_deleted, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(read__names_the_file_that_the_disk_cannot_read, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
