/*
 * The files are tests/hdf5 (make_hdf5.py there): token t of sample i is (7 i + t) % 256, and the
 * first i % 3 tokens of it do not count. The helper is the real one, under its filter.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "data/h5_client.h"
#include "data/hdf5.h"
#include "kit/kit.h"

static char s_program[TK_PATH_SIZE];

static const char *good(const char *name, char path[TK_PATH_SIZE])
{
    (void)snprintf(path, TK_PATH_SIZE, "%s/tests/hdf5/%s", getenv("CAIRN_SOURCE_DIR"), name);
    return path;
}

static int find_program(void **state)
{
    (void)state;
    (void)snprintf(s_program, sizeof s_program, "%s/cairn-hdf5", getenv("CAIRN_BUILD_DIR"));
    if (access(s_program, X_OK) != 0)
        s_program[0] = '\0'; /* a build without HDF5 */
    return 0;
}

#define NEED_HELPER()                                                                              \
    do {                                                                                           \
        if (s_program[0] == '\0')                                                                  \
            skip();                                                                                \
    } while (0)

static cairn_gpt_hdf5_map_data_options map_options(const char *const *dirs, size_t count)
{
    return (cairn_gpt_hdf5_map_data_options){.data_processor = "GptHDF5MapDataProcessor",
                                             .data_dir = {.items = dirs, .count = count},
                                             .batch_size = 1};
}

static cairn_data open_map(const cairn_gpt_hdf5_map_data_options *options)
{
    cairn_data data = {0};
    cairn_error err = {0};
    tk_assert_ok(crn_gpt_hdf5_map_data_new_os(crn_os_posix(), s_program, options, &data, &err),
                 &err);
    return data;
}

static void refuse_map(const cairn_gpt_hdf5_map_data_options *options, cairn_status status,
                       const char *words)
{
    cairn_data data = {0};
    cairn_error err = {0};
    tk_assert_status(crn_gpt_hdf5_map_data_new_os(crn_os_posix(), s_program, options, &data, &err),
                     status, &err);
    tk_assert_error_has(&err, words);
}

static int32_t input(const cairn_batch *batch, int64_t row, int64_t token)
{
    return ((const int32_t *)batch->field[0].data)[row * batch->field[0].shape[1] + token];
}

static void assert_sample(const cairn_batch *batch, int64_t row, int number)
{
    const int64_t length = batch->field[0].shape[1];
    const int32_t *const labels = batch->field[1].data;
    const float *const mask = batch->field[2].data;
    for (int t = 0; t < (int)length; t++) {
        assert_int_equal(input(batch, row, t), (7 * number + t) % 256);
        assert_int_equal(labels[row * length + t], (7 * number + t + 1) % 256);
        assert_true(mask[row * length + t] == (t >= number % 3 ? 1.0F : 0.0F));
    }
}

static void samples__are_those_of_all_files_by_name(void **state)
{
    (void)state;
    NEED_HELPER();
    char path[TK_PATH_SIZE];
    const char *const dirs[] = {good("good/samples", path)};
    const cairn_gpt_hdf5_map_data_options options = map_options(dirs, 1);
    const uint64_t indices[] = {8, 0, 5, 4};
    cairn_batch batch;
    cairn_error err = {0};
    const cairn_data data = open_map(&options);
    assert_int_equal(data.ops->sample_count(data.self), 9);
    assert_int_equal(data.ops->sequence_length(data.self), 8);
    tk_assert_ok(data.ops->read(data.self, indices, 4, &batch, &err), &err);
    assert_int_equal(batch.samples, 4);
    assert_int_equal(batch.field_count, 3);
    assert_string_equal(batch.field[2].name, "attention_mask");
    assert_int_equal(batch.field[2].dtype, CAIRN_DTYPE_F32);
    for (int i = 0; i < 4; i++)
        assert_sample(&batch, i, (int)indices[i]);
    data.ops->destroy(data.self);
}

static void corpus__goes_on_from_file_to_file(void **state)
{
    (void)state;
    NEED_HELPER();
    char path[TK_PATH_SIZE];
    const char *const dirs[] = {good("good/corpus", path)};
    cairn_gpt_hdf5_map_data_options options = map_options(dirs, 1);
    cairn_batch batch;
    cairn_error err = {0};
    refuse_map(&options, CAIRN_EDATA, "max_sequence_length must say into what it is cut");
    options.max_sequence_length = (cairn_opt_int){.is_set = true, .value = 8};
    const cairn_data data = open_map(&options);
    assert_int_equal(data.ops->sample_count(data.self), 4); /* (33 - 1) / 8 */
    for (uint64_t i = 0; i < 4; i++) {
        tk_assert_ok(data.ops->read(data.self, &i, 1, &batch, &err), &err);
        for (int t = 0; t < 8; t++) {
            assert_int_equal(input(&batch, 0, t), 8 * (int)i + t);
            assert_int_equal(((const int32_t *)batch.field[1].data)[t], 8 * (int)i + t + 1);
            assert_true(((const float *)batch.field[2].data)[t] == 1.0F);
        }
    }
    data.ops->destroy(data.self);
}

static void n_examples__counts_for_the_iterable_processor_only(void **state)
{
    (void)state;
    NEED_HELPER();
    char path[TK_PATH_SIZE];
    const char *const dirs[] = {good("good/partial", path)};
    const cairn_gpt_hdf5_map_data_options options = map_options(dirs, 1);
    const cairn_gpt_hdf5_data_options iterable = {.data_dir = {.items = dirs, .count = 1},
                                                  .batch_size = 1};
    cairn_data data = open_map(&options);
    assert_int_equal(data.ops->sample_count(data.self), 6);
    data.ops->destroy(data.self);
    cairn_error err = {0};
    tk_assert_ok(crn_gpt_hdf5_data_new_os(crn_os_posix(), s_program, &iterable, &data, &err), &err);
    assert_int_equal(data.ops->sample_count(data.self), 4);
    data.ops->destroy(data.self);
}

static void subset__leaves_the_rest_out(void **state)
{
    (void)state;
    NEED_HELPER();
    char path[TK_PATH_SIZE];
    const char *const dirs[] = {good("good/samples", path)};
    cairn_gpt_hdf5_map_data_options options = map_options(dirs, 1);
    const uint64_t indices[] = {0, 1, 2, 3};
    cairn_batch batch;
    cairn_error err = {0};
    options.data_subset = "0.12-0.34, 0.7-0.95"; /* of 9: 1 to 2, 6 to 7 */
    const cairn_data data = open_map(&options);
    assert_int_equal(data.ops->sample_count(data.self), 4);
    tk_assert_ok(data.ops->read(data.self, indices, 4, &batch, &err), &err);
    assert_sample(&batch, 0, 1);
    assert_sample(&batch, 1, 2);
    assert_sample(&batch, 2, 6);
    assert_sample(&batch, 3, 7);
    data.ops->destroy(data.self);
    options.data_subset = "0.5";
    refuse_map(&options, CAIRN_ECONFIG, "it must be ranges such as");
    options.data_subset = "0.5-0.7,0.6-0.8";
    refuse_map(&options, CAIRN_ECONFIG, "behind the one before");
    options.data_subset = "0.0-0.1";
    refuse_map(&options, CAIRN_EDATA, "has no sample within data_subset");
}

static void pad__is_a_sample_that_does_not_count(void **state)
{
    (void)state;
    NEED_HELPER();
    char path[TK_PATH_SIZE];
    const char *const dirs[] = {good("good/samples", path)};
    const cairn_gpt_hdf5_map_data_options options = map_options(dirs, 1);
    const uint64_t indices[] = {4, CAIRN_DATA_PAD};
    cairn_batch batch;
    cairn_error err = {0};
    const cairn_data data = open_map(&options);
    tk_assert_ok(data.ops->read(data.self, indices, 2, &batch, &err), &err);
    assert_sample(&batch, 0, 4);
    for (int t = 0; t < 8; t++) {
        assert_int_equal(input(&batch, 1, t), 0);
        assert_true(((const float *)batch.field[2].data)[8 + t] == 0.0F);
    }
    data.ops->destroy(data.self);
}

static void mixture__gives_each_set_its_share(void **state)
{
    (void)state;
    NEED_HELPER();
    char paths[2][TK_PATH_SIZE];
    const char *const first[] = {good("good/samples", paths[0])};
    const char *const second[] = {good("good/partial", paths[1])};
    const cairn_hdf5_mixture_options parts[] = {
        {.data_dir = {.items = second, .count = 1}, .weight = 0.0},
        {.data_dir = {.items = first, .count = 1}, .weight = 3.0},
        {.data_dir = {.items = second, .count = 1}, .weight = 1.0, .data_subset = "0.0-0.5"},
    };
    cairn_gpt_hdf5_map_data_options options = map_options(first, 0);
    int seen[2] = {0};
    cairn_batch batch;
    options.mixture = (cairn_hdf5_mixture_list){.items = parts, .count = 3};
    const cairn_data data = open_map(&options);
    /* 9 / 0.75 = 12 places, 3 / 0.25 as many: 9 of the one and 3 of the other. */
    assert_int_equal(data.ops->sample_count(data.self), 12);
    for (uint64_t i = 0; i < 12; i++) {
        assert_int_equal(data.ops->read(data.self, &i, 1, &batch, NULL), CAIRN_OK);
        const bool is_second = input(&batch, 0, 0) >= 7 * 9;
        assert_sample(&batch, 0, is_second ? 100 + seen[1] : seen[0]);
        seen[is_second]++;
        assert_true(seen[1] <= (int)i / 4 + 1 && seen[1] >= (int)(i + 1) / 4 - 1); /* spread */
    }
    assert_int_equal(seen[0], 9);
    assert_int_equal(seen[1], 3);
    data.ops->destroy(data.self);
    options.data_dir = (cairn_opt_list){.items = first, .count = 1};
    refuse_map(&options, CAIRN_ECONFIG, "either data_dir or mixture");
}

static void files__that_would_open_others_or_are_no_samples_are_refused(void **state)
{
    (void)state;
    NEED_HELPER();
    static const struct {
        const char *name;
        const char *words;
    } k_cases[] = {
        {"no_data", "has no data set 'data'"},
        {"group", "'data' is no data set"},
        {"float", "does not hold integers"},
        {"two_axes", "has 2 axes"},
        {"two_features", "it must be [samples, 3, tokens]"},
        {"soft_link", "a link to elsewhere"},
        {"external_link", "a link to elsewhere"},
        {"external_storage", "stored in other files"},
        {"virtual", "'data' is"},
        {"filter", "packed with filter 32000"},
        {"huge_chunk", "chunks over 256 MiB"},
        {"no_hdf5", "this is no HDF5 file, or a damaged one"},
        {"cut", "this is no HDF5 file, or a damaged one"},
    };
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        char name[64];
        char path[TK_PATH_SIZE];
        (void)snprintf(name, sizeof name, "bad/%s", k_cases[i].name);
        const char *const dirs[] = {good(name, path)};
        const cairn_gpt_hdf5_map_data_options options = map_options(dirs, 1);
        refuse_map(&options, CAIRN_EDATA, k_cases[i].words);
    }
}

static void iterable__refuses_what_is_not_for_it(void **state)
{
    (void)state;
    NEED_HELPER();
    static const char *const k_cases[][2] = {{"bad/n_examples", "n_examples is 5, but there are 4"},
                                             {"good/corpus", "GptHDF5MapDataProcessor reads it"}};
    for (size_t i = 0; i < 2; i++) {
        char path[TK_PATH_SIZE];
        cairn_data data = {0};
        cairn_error err = {0};
        const char *const dirs[] = {good(k_cases[i][0], path)};
        const cairn_gpt_hdf5_data_options options = {.data_dir = {.items = dirs, .count = 1},
                                                     .batch_size = 1};
        assert_int_equal(crn_gpt_hdf5_data_new_os(crn_os_posix(), s_program, &options, &data, &err),
                         CAIRN_EDATA);
        tk_assert_error_has(&err, k_cases[i][1]);
    }
}

static void damage__of_numbers_is_found_when_they_are_read(void **state)
{
    (void)state;
    NEED_HELPER();
    char path[TK_PATH_SIZE];
    const char *const dirs[] = {good("bad/damaged_chunk", path)};
    const cairn_gpt_hdf5_map_data_options options = map_options(dirs, 1);
    cairn_batch batch;
    cairn_error err = {0};
    uint64_t index = 2;
    const cairn_data data = open_map(&options);
    assert_int_equal(data.ops->read(data.self, &index, 1, &batch, &err), CAIRN_EDATA);
    tk_assert_error_has(&err, "is damaged");
    index = 1; /* The others can still be read. */
    assert_int_equal(data.ops->read(data.self, &index, 1, &batch, NULL), CAIRN_OK);
    assert_sample(&batch, 0, 1);
    data.ops->destroy(data.self);
}

/* Whatever a damaged file does to the HDF5 library, here it is no more than an error. */
static void damage__of_any_kind_ends_in_an_error_or_in_numbers(void **state)
{
    NEED_HELPER();
    const char *const dir = *state;
    char path[TK_PATH_SIZE];
    size_t size = 0;
    char *const bytes = tk_read_file(good("good/samples", path), "data-00000.h5", &size);
    const char *const dirs[] = {dir};
    const cairn_gpt_hdf5_map_data_options options = map_options(dirs, 1);
    uint64_t random = 1;
    int refused = 0;
    for (int i = 0; i < 150; i++) {
        cairn_data data = {0};
        cairn_batch batch;
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
        const size_t at = (size_t)(random >> 33) % size;
        const char old = bytes[at];
        bytes[at] = (char)(random >> 24);
        tk_write_file(dir, "data.h5", bytes, size);
        bytes[at] = old;
        cairn_status status =
            crn_gpt_hdf5_map_data_new_os(crn_os_posix(), s_program, &options, &data, NULL);
        for (uint64_t k = 0; status == CAIRN_OK && k < 5; k++) {
            if (k < data.ops->sample_count(data.self))
                status = data.ops->read(data.self, &k, 1, &batch, NULL);
        }
        assert_true(status == CAIRN_OK || status == CAIRN_EDATA);
        refused += status != CAIRN_OK;
        if (data.self != NULL)
            data.ops->destroy(data.self);
    }
    free(bytes);
    assert_true(refused > 10); /* The damage is real. */
}

/* More files than slots of the helper: each is opened again when it is its turn. */
static void files__may_be_more_than_stay_open(void **state)
{
    NEED_HELPER();
    const char *const dir = *state;
    char path[TK_PATH_SIZE];
    char name[32];
    size_t size = 0;
    char *const bytes = tk_read_file(good("good/samples", path), "data-00001.h5", &size);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(name, sizeof name, "%02d.h5", i);
        tk_write_file(dir, name, bytes, size);
    }
    free(bytes);
    const char *const dirs[] = {dir};
    const cairn_gpt_hdf5_map_data_options options = map_options(dirs, 1);
    cairn_batch batch;
    cairn_error err = {0};
    const cairn_data data = open_map(&options);
    assert_int_equal(data.ops->sample_count(data.self), 160);
    for (uint64_t i = 0; i < 160; i++) {
        const uint64_t index = i * 67 % 160;
        tk_assert_ok(data.ops->read(data.self, &index, 1, &batch, &err), &err);
        assert_sample(&batch, 0, 5 + (int)(index % 4));
    }
    /* One that was exchanged meanwhile is not taken for the one that was looked at. */
    char *const other = tk_read_file(good("good/samples", path), "data-00000.h5", &size);
    tk_write_file(dir, "00.h5", other, size);
    free(other);
    const uint64_t index = 0;
    assert_int_equal(data.ops->read(data.self, &index, 1, &batch, &err), CAIRN_EDATA);
    tk_assert_error_has(&err, "changed while it was in use");
    data.ops->destroy(data.self);
}

static void helper__that_crashes_is_an_error_of_the_data(void **state)
{
    (void)state;
    char path[TK_PATH_SIZE];
    char file[TK_PATH_SIZE];
    crn_h5_client *client = NULL;
    crn_h5_data data;
    cairn_error err = {0};
    (void)tk_join(file, good("good/samples", path), "data-00000.h5");
    tk_assert_ok(crn_h5_client_new(crn_os_posix(), "/bin/false", &client, &err), &err);
    assert_int_equal(crn_h5_client_look(client, file, &data, &err), CAIRN_EDATA);
    tk_assert_error_has(&err, "its reader crashed");
    crn_h5_client_destroy(client);
    assert_int_equal(crn_h5_client_new(crn_os_posix(), "/nowhere", &client, &err), CAIRN_EIO);
    /* This test lies elsewhere than the helper, and the build is not installed. */
    assert_int_equal(crn_h5_client_new(crn_os_posix(), NULL, &client, &err), CAIRN_EUNSUPPORTED);
    tk_assert_error_has(&err, "this build lacks HDF5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples__are_those_of_all_files_by_name),
        cmocka_unit_test(corpus__goes_on_from_file_to_file),
        cmocka_unit_test(n_examples__counts_for_the_iterable_processor_only),
        cmocka_unit_test(subset__leaves_the_rest_out),
        cmocka_unit_test(pad__is_a_sample_that_does_not_count),
        cmocka_unit_test(mixture__gives_each_set_its_share),
        cmocka_unit_test(files__that_would_open_others_or_are_no_samples_are_refused),
        cmocka_unit_test(iterable__refuses_what_is_not_for_it),
        cmocka_unit_test(damage__of_numbers_is_found_when_they_are_read),
        cmocka_unit_test_setup_teardown(damage__of_any_kind_ends_in_an_error_or_in_numbers,
                                        tk_temp_setup, tk_temp_teardown),
        cmocka_unit_test_setup_teardown(files__may_be_more_than_stay_open, tk_temp_setup,
                                        tk_temp_teardown),
        cmocka_unit_test(helper__that_crashes_is_an_error_of_the_data),
    };
    return cmocka_run_group_tests(tests, find_program, NULL);
}
