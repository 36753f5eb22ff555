#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/try.h"
#include "cairn/data.h"

enum { COUNT_MAX = 64 };

/* Samples whose only token is their number. */
struct numbered {
    uint64_t count;
    int64_t ids[COUNT_MAX];
    bool is_failing;
    int *destroyed; /* counts calls; may be NULL */
};

static uint64_t numbered_count(const void *self)
{
    return ((const struct numbered *)self)->count;
}

static cairn_status numbered_read(void *self, const uint64_t *indices, size_t count,
                                  cairn_batch *out, cairn_error *err)
{
    struct numbered *const data = self;
    cairn_status rc = CAIRN_OK;
    if (data->is_failing)
        CRN_FAIL(err, CAIRN_EDATA, "cannot read");
    for (size_t i = 0; i < count; i++)
        data->ids[i] = (int64_t)indices[i];
    *out = (cairn_batch){.struct_size = sizeof *out,
                         .samples = (int64_t)count,
                         .field_count = 1,
                         .field = {{.name = "ids",
                                    .dtype = CAIRN_DTYPE_I64,
                                    .rank = 1,
                                    .shape = {(int64_t)count},
                                    .data = data->ids}}};
out:
    return rc;
}

static void numbered_destroy(void *self)
{
    struct numbered *const data = self;
    if (data->destroyed != NULL)
        (*data->destroyed)++;
    crn_free(data);
}

static const cairn_data_ops k_numbered = {.struct_size = sizeof(cairn_data_ops),
                                          .name = "numbered",
                                          .sample_count = numbered_count,
                                          .read = numbered_read,
                                          .destroy = numbered_destroy};

static cairn_data numbered_new(uint64_t count, int *destroyed)
{
    struct numbered *const data = crn_calloc(1, sizeof *data);
    assert_non_null(data);
    data->count = count;
    data->destroyed = destroyed;
    return (cairn_data){.ops = &k_numbered, .self = data};
}

static cairn_loader *make(uint64_t count, uint64_t batch_size, bool shuffle, bool drop_last)
{
    cairn_loader *loader = NULL;
    const cairn_loader_options options = {.struct_size = sizeof options,
                                          .batch_size = batch_size,
                                          .shuffle = shuffle,
                                          .drop_last = drop_last};
    assert_int_equal(cairn_loader_new(numbered_new(count, NULL), &options, &loader, NULL),
                     CAIRN_OK);
    return loader;
}

static int64_t next(cairn_loader *loader, int64_t ids[COUNT_MAX])
{
    cairn_batch batch;
    assert_int_equal(cairn_loader_next(loader, &batch, NULL), CAIRN_OK);
    memcpy(ids, batch.field[0].data, (size_t)batch.samples * sizeof(int64_t));
    return batch.samples;
}

static void next__reads_in_file_order_without_shuffle(void **state)
{
    (void)state;
    int64_t ids[COUNT_MAX];
    cairn_loader *const loader = make(6, 3, false, true);
    for (int64_t batch = 0; batch < 4; batch++) {
        assert_int_equal(next(loader, ids), 3);
        for (int64_t i = 0; i < 3; i++)
            assert_int_equal(ids[i], (batch * 3 + i) % 6);
    }
    cairn_loader_destroy(loader);
}

static void next__leaves_out_a_short_batch_with_drop_last(void **state)
{
    (void)state;
    int64_t ids[COUNT_MAX];
    cairn_loader *const loader = make(10, 4, false, true);
    assert_int_equal(cairn_loader_batches_per_epoch(loader), 2);
    assert_int_equal(cairn_loader_samples_per_epoch(loader), 8);
    assert_int_equal(next(loader, ids), 4);
    assert_int_equal(next(loader, ids), 4);
    assert_int_equal(ids[3], 7);
    assert_int_equal(next(loader, ids), 4);
    assert_int_equal(ids[0], 0);
    assert_int_equal(cairn_loader_position(loader), 12);
    cairn_loader_destroy(loader);
}

static void next__gives_a_short_batch_without_drop_last(void **state)
{
    (void)state;
    int64_t ids[COUNT_MAX];
    cairn_loader *const loader = make(10, 4, false, false);
    assert_int_equal(cairn_loader_batches_per_epoch(loader), 3);
    assert_int_equal(cairn_loader_samples_per_epoch(loader), 10);
    assert_int_equal(next(loader, ids), 4);
    assert_int_equal(next(loader, ids), 4);
    assert_int_equal(next(loader, ids), 2);
    assert_int_equal(ids[1], 9);
    assert_int_equal(next(loader, ids), 4);
    assert_int_equal(ids[0], 0);
    assert_int_equal(cairn_loader_position(loader), 14);
    cairn_loader_destroy(loader);
}

static void batch_samples__are_those_of_the_batches_that_come(void **state)
{
    (void)state;
    static const struct {
        cairn_loader_options options;
        uint64_t usual;
        uint64_t last;
    } cases[] = {
        {{.batch_size = 4}, 4, 2},
        {{.batch_size = 5}, 5, 5},
        {{.batch_size = 40}, 10, 10},
        {{.batch_size = 4, .drop_last = true}, 4, 4},
        {{.batch_size = 4, .drop_last = true, .carry_last = true}, 4, 4},
        {{.batch_size = 4, .pad_last = true}, 4, 4},
        {{.batch_size = 40, .pad_last = true}, 40, 40},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cairn_loader *loader = NULL;
        uint64_t usual = 0;
        uint64_t last = 0;
        cairn_batch batch = {.struct_size = sizeof batch};
        assert_int_equal(cairn_loader_new(numbered_new(10, NULL), &cases[i].options, &loader, NULL),
                         CAIRN_OK);
        cairn_loader_batch_samples(loader, &usual, &last);
        assert_int_equal(usual, cases[i].usual);
        assert_int_equal(last, cases[i].last);
        for (uint64_t n = cairn_loader_batches_per_epoch(loader); n > 0; n--) {
            assert_int_equal(cairn_loader_next(loader, &batch, NULL), CAIRN_OK);
            assert_int_equal(batch.samples, n > 1 ? usual : last);
        }
        cairn_loader_destroy(loader);
    }
}

static void next__gives_every_sample_once_an_epoch_when_shuffled(void **state)
{
    (void)state;
    int64_t ids[COUNT_MAX];
    int64_t order[2][23];
    cairn_loader *const loader = make(23, 5, true, false);
    for (int epoch = 0; epoch < 2; epoch++) {
        int seen[23] = {0};
        size_t place = 0;
        for (uint64_t b = 0; b < cairn_loader_batches_per_epoch(loader); b++) {
            const int64_t count = next(loader, ids);
            for (int64_t i = 0; i < count; i++) {
                seen[ids[i]]++;
                order[epoch][place++] = ids[i];
            }
        }
        for (int i = 0; i < 23; i++)
            assert_int_equal(seen[i], 1);
    }
    assert_memory_not_equal(order[0], order[1], sizeof order[0]);
    cairn_loader_destroy(loader);
}

static void seek__equals_reading_up_to_there(void **state)
{
    (void)state;
    for (int drop_last = 0; drop_last < 2; drop_last++) {
        cairn_loader *const read = make(23, 5, true, drop_last);
        for (int steps = 0; steps < 17; steps++) {
            int64_t expected[COUNT_MAX];
            int64_t got[COUNT_MAX];
            cairn_loader *const sought = make(23, 5, true, drop_last);
            cairn_loader_seek(sought, cairn_loader_position(read));
            const int64_t count = next(read, expected);
            assert_int_equal(next(sought, got), count);
            assert_memory_equal(got, expected, (size_t)count * sizeof(int64_t));
            assert_int_equal(cairn_loader_position(sought), cairn_loader_position(read));
            cairn_loader_destroy(sought);
        }
        cairn_loader_destroy(read);
    }
}

static void next__never_crosses_an_epoch_at_a_position_of_another_batch_size(void **state)
{
    (void)state;
    int64_t ids[COUNT_MAX];
    cairn_loader *const kept = make(10, 4, false, false);
    cairn_loader_seek(kept, 9);
    assert_int_equal(next(kept, ids), 1);
    assert_int_equal(ids[0], 9);
    assert_int_equal(next(kept, ids), 4);
    assert_int_equal(ids[0], 0);
    cairn_loader_destroy(kept);

    cairn_loader *const dropped = make(10, 4, false, true);
    cairn_loader_seek(dropped, 6);
    assert_int_equal(next(dropped, ids), 4);
    assert_int_equal(ids[0], 0);
    assert_int_equal(cairn_loader_position(dropped), 12);
    cairn_loader_destroy(dropped);
}

static cairn_loader *make_epoch(uint64_t count, cairn_loader_options options)
{
    cairn_loader *loader = NULL;
    options.struct_size = sizeof options;
    assert_int_equal(cairn_loader_new(numbered_new(count, NULL), &options, &loader, NULL),
                     CAIRN_OK);
    return loader;
}

static void next__carries_the_rest_of_an_epoch_into_the_next(void **state)
{
    (void)state;
    int64_t ids[COUNT_MAX];
    bool seen[10] = {false};
    cairn_loader *const loader = make_epoch(
        10, (cairn_loader_options){
                .batch_size = 4, .shuffle = true, .drop_last = true, .carry_last = true});
    assert_int_equal(cairn_loader_batches_per_epoch(loader), 2);
    assert_int_equal(cairn_loader_samples_per_epoch(loader), 10);
    for (int batch = 0; batch < 3; batch++) {
        assert_int_equal(next(loader, ids), 4);
        for (uint64_t i = 0; i < 4; i++) {
            const uint64_t at = (uint64_t)batch * 4 + i;
            assert_int_equal(ids[i], cairn_loader_sample_at(loader, at / 10, at % 10));
            if (at < 10) {
                assert_false(seen[ids[i]]);
                seen[ids[i]] = true;
            }
        }
    }
    assert_int_equal(cairn_loader_position(loader), 12);
    cairn_loader_destroy(loader);
}

static void next__fills_a_short_batch_with_pad_last(void **state)
{
    (void)state;
    int64_t ids[COUNT_MAX];
    cairn_loader *const loader =
        make_epoch(5, (cairn_loader_options){.batch_size = 4, .pad_last = true});
    assert_int_equal(next(loader, ids), 4);
    assert_int_equal(next(loader, ids), 4);
    assert_int_equal(ids[0], 4);
    for (int i = 1; i < 4; i++)
        assert_true((uint64_t)ids[i] == CAIRN_DATA_PAD);
    assert_int_equal(cairn_loader_position(loader), 5);
    assert_int_equal(next(loader, ids), 4);
    assert_int_equal(ids[0], 0);
    cairn_loader_destroy(loader);
}

/* How often each of @count samples comes in an epoch of @num_samples. */
static void count_epoch(uint64_t count, int64_t num_samples, bool shuffle, uint64_t epoch,
                        int times[COUNT_MAX])
{
    cairn_loader *const loader = make_epoch(
        count, (cairn_loader_options){.batch_size = 1,
                                      .shuffle = shuffle,
                                      .num_samples = {.is_set = true, .value = num_samples}});
    assert_int_equal(cairn_loader_samples_per_epoch(loader), num_samples);
    memset(times, 0, COUNT_MAX * sizeof *times);
    for (uint64_t place = 0; place < (uint64_t)num_samples; place++)
        times[cairn_loader_sample_at(loader, epoch, place)]++;
    cairn_loader_destroy(loader);
}

static void num_samples__repeats_all_and_chooses_the_rest(void **state)
{
    (void)state;
    int times[COUNT_MAX];
    int other[COUNT_MAX];
    count_epoch(10, 24, false, 0, times);
    for (int i = 0; i < 10; i++)
        assert_int_equal(times[i], i < 4 ? 3 : 2);
    count_epoch(10, 4, false, 1, times);
    for (int i = 0; i < 10; i++)
        assert_int_equal(times[i], i < 4 ? 1 : 0);
    count_epoch(10, 24, true, 0, times);
    count_epoch(10, 24, true, 1, other);
    int extra = 0;
    for (int i = 0; i < 10; i++) {
        assert_true(times[i] == 2 || times[i] == 3);
        extra += times[i] - 2;
    }
    assert_int_equal(extra, 4);
    assert_memory_not_equal(times, other, sizeof times); /* others in another epoch */
}

static void seek__costs_nothing_far_away(void **state)
{
    (void)state;
    int64_t ids[COUNT_MAX];
    cairn_loader *const loader = make(40, 8, true, true);
    const uint64_t epoch = UINT64_C(1) << 50;
    cairn_loader_seek(loader, epoch * 40 + 8);
    assert_int_equal(next(loader, ids), 8);
    for (uint64_t i = 0; i < 8; i++)
        assert_int_equal(ids[i], cairn_loader_sample_at(loader, epoch, 8 + i));
    cairn_loader_destroy(loader);
}

static void next__keeps_the_position_when_the_data_fails(void **state)
{
    (void)state;
    cairn_error err = {0};
    cairn_batch batch;
    char text[256];
    const cairn_data data = numbered_new(10, NULL);
    const cairn_loader_options options = {.struct_size = sizeof options, .batch_size = 2};
    cairn_loader *loader = NULL;
    assert_int_equal(cairn_loader_new(data, &options, &loader, NULL), CAIRN_OK);
    cairn_loader_seek(loader, 4);
    ((struct numbered *)data.self)->is_failing = true;
    assert_int_equal(cairn_loader_next(loader, &batch, &err), CAIRN_EDATA);
    assert_int_equal(cairn_loader_position(loader), 4);
    (void)cairn_error_format(&err, text, sizeof text);
    assert_string_equal(text, "read the samples at position 4: cannot read (CAIRN_EDATA)");
    cairn_loader_destroy(loader);
}

static void set_seed__serves_only_where_no_shuffle_seed_is_given(void **state)
{
    (void)state;
    cairn_loader_options options = {.struct_size = sizeof options, .batch_size = 2};
    cairn_loader *loader = NULL;
    assert_int_equal(cairn_loader_new(numbered_new(10, NULL), &options, &loader, NULL), CAIRN_OK);
    cairn_loader_set_seed(loader, 77);
    assert_int_equal(cairn_loader_seed(loader), 77);
    cairn_loader_destroy(loader);
    options.shuffle_seed = cairn_int(5);
    assert_int_equal(cairn_loader_new(numbered_new(10, NULL), &options, &loader, NULL), CAIRN_OK);
    cairn_loader_set_seed(loader, 77);
    assert_int_equal(cairn_loader_seed(loader), 5);
    cairn_loader_destroy(loader);
}

static void new__takes_the_data_also_when_it_fails(void **state)
{
    (void)state;
    static const struct {
        uint64_t samples;
        uint64_t batch_size;
        cairn_status status;
    } k_cases[] = {
        {5, 8, CAIRN_EDATA},
        {0, 1, CAIRN_EDATA},
        {5, 0, CAIRN_ECONFIG},
    };
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        int destroyed = 0;
        cairn_loader *loader = NULL;
        const cairn_loader_options options = {
            .struct_size = sizeof options, .batch_size = k_cases[i].batch_size, .drop_last = true};
        assert_int_equal(
            cairn_loader_new(numbered_new(k_cases[i].samples, &destroyed), &options, &loader, NULL),
            k_cases[i].status);
        assert_int_equal(destroyed, 1);
        assert_null(loader);
    }
}

static void new__names_the_way_out_when_an_epoch_has_no_batch(void **state)
{
    (void)state;
    cairn_error err = {0};
    char text[512];
    cairn_loader *loader = NULL;
    const cairn_loader_options options = {
        .struct_size = sizeof options, .batch_size = 8, .drop_last = true};
    assert_int_equal(cairn_loader_new(numbered_new(5, NULL), &options, &loader, &err), CAIRN_EDATA);
    (void)cairn_error_format(&err, text, sizeof text);
    assert_non_null(strstr(text, "has 5 samples, fewer than batch_size 8"));
    assert_non_null(strstr(text, "drop_last"));
}

static void new__fails_cleanly_at_every_allocation(void **state)
{
    (void)state;
    const cairn_loader_options options = {.struct_size = sizeof options, .batch_size = 2};
    for (uint64_t n = 1; n <= 2; n++) {
        int destroyed = 0;
        cairn_loader *loader = NULL;
        const cairn_data data = numbered_new(10, &destroyed);
        crn_mem_fail_at(n, 0);
        assert_int_equal(cairn_loader_new(data, &options, &loader, NULL), CAIRN_ENOMEM);
        crn_mem_fail_at(0, 0);
        assert_int_equal(destroyed, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(next__reads_in_file_order_without_shuffle),
        cmocka_unit_test(next__leaves_out_a_short_batch_with_drop_last),
        cmocka_unit_test(next__gives_a_short_batch_without_drop_last),
        cmocka_unit_test(batch_samples__are_those_of_the_batches_that_come),
        cmocka_unit_test(next__gives_every_sample_once_an_epoch_when_shuffled),
        cmocka_unit_test(seek__equals_reading_up_to_there),
        cmocka_unit_test(next__never_crosses_an_epoch_at_a_position_of_another_batch_size),
        cmocka_unit_test(next__carries_the_rest_of_an_epoch_into_the_next),
        cmocka_unit_test(next__fills_a_short_batch_with_pad_last),
        cmocka_unit_test(num_samples__repeats_all_and_chooses_the_rest),
        cmocka_unit_test(seek__costs_nothing_far_away),
        cmocka_unit_test(next__keeps_the_position_when_the_data_fails),
        cmocka_unit_test(set_seed__serves_only_where_no_shuffle_seed_is_given),
        cmocka_unit_test(new__takes_the_data_also_when_it_fails),
        cmocka_unit_test(new__names_the_way_out_when_an_epoch_has_no_batch),
        cmocka_unit_test(new__fails_cleanly_at_every_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
