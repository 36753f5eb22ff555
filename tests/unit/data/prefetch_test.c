/* Reading ahead changes nothing but when a batch is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/try.h"
#include "cairn/data.h"
#include "data/prefetch.h"
#include "kit/kit.h"

enum { ROWS_MAX = 16, NEVER = 1000000 };
static const int64_t k_long_ns = INT64_C(60) * 1000000000;

/* What outlives the data: counts, faults, and a gate before its reads. Any thread. */
struct world {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t reads;
    uint64_t destroyed;
    uint64_t bad_sample; /* a read of it fails */
    bool is_shut;        /* reads wait */
    bool is_impossible;  /* batches have a shape that cannot be */
    pthread_t reader;    /* thread of the last read */
};

/* Samples of two fields: their number, and a half of it and of its negative. The arrays are the
 * same for every batch. */
struct numbered {
    struct world *world;
    uint64_t count;
    int64_t ids[ROWS_MAX];
    float halves[ROWS_MAX][2];
};

static uint64_t numbered_count(const void *self)
{
    return ((const struct numbered *)self)->count;
}

static cairn_batch view(const struct numbered *data, size_t count)
{
    return (cairn_batch){.struct_size = sizeof(cairn_batch),
                         .samples = (int64_t)count,
                         .field_count = 2,
                         .field = {{.name = "ids",
                                    .dtype = CAIRN_DTYPE_I64,
                                    .rank = 1,
                                    .shape = {(int64_t)count},
                                    .data = data->ids},
                                   {.name = "halves",
                                    .dtype = CAIRN_DTYPE_F32,
                                    .rank = 2,
                                    .shape = {(int64_t)count, 2},
                                    .data = data->halves}}};
}

static cairn_status numbered_read(void *self, const uint64_t *indices, size_t count,
                                  cairn_batch *out, cairn_error *err)
{
    struct numbered *const data = self;
    struct world *const world = data->world;
    cairn_status rc = CAIRN_OK;
    (void)pthread_mutex_lock(&world->lock);
    world->reader = pthread_self();
    world->reads++;
    (void)pthread_cond_broadcast(&world->changed);
    while (world->is_shut)
        (void)pthread_cond_wait(&world->changed, &world->lock);
    for (size_t i = 0; i < count; i++) {
        if (indices[i] == world->bad_sample)
            CRN_FAIL(err, CAIRN_EDATA, "sample %d is bad", (int)indices[i]);
        data->ids[i] = (int64_t)indices[i];
        data->halves[i][0] = (float)data->ids[i] * 0.5F;
        data->halves[i][1] = -data->halves[i][0];
    }
    *out = view(data, count);
    if (world->is_impossible)
        out->field[1].shape[1] = INT64_MAX;
out:
    (void)pthread_mutex_unlock(&world->lock);
    return rc;
}

static void numbered_destroy(void *self)
{
    struct numbered *const data = self;
    struct world *const world = data->world;
    (void)pthread_mutex_lock(&world->lock);
    world->destroyed++;
    (void)pthread_cond_broadcast(&world->changed);
    (void)pthread_mutex_unlock(&world->lock);
    crn_free(data);
}

static const cairn_data_ops k_ahead = {.struct_size = sizeof(cairn_data_ops),
                                       .name = "numbered",
                                       .sample_count = numbered_count,
                                       .read = numbered_read,
                                       .destroy = numbered_destroy,
                                       .may_be_read_ahead = true};
static const cairn_data_ops k_at_once = {.struct_size = sizeof(cairn_data_ops),
                                         .name = "numbered",
                                         .sample_count = numbered_count,
                                         .read = numbered_read,
                                         .destroy = numbered_destroy};

static int world_setup(void **state)
{
    struct world *const world = calloc(1, sizeof *world);
    assert_non_null(world);
    assert_int_equal(pthread_mutex_init(&world->lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&world->changed, NULL), 0);
    world->bad_sample = NEVER;
    *state = world;
    return 0;
}

static int world_teardown(void **state)
{
    struct world *const world = *state;
    (void)pthread_cond_destroy(&world->changed);
    (void)pthread_mutex_destroy(&world->lock);
    free(world);
    return 0;
}

static void set_gate(struct world *world, bool is_shut)
{
    (void)pthread_mutex_lock(&world->lock);
    world->is_shut = is_shut;
    (void)pthread_cond_broadcast(&world->changed);
    (void)pthread_mutex_unlock(&world->lock);
}

static void set_bad_sample(struct world *world, uint64_t sample)
{
    (void)pthread_mutex_lock(&world->lock);
    world->bad_sample = sample;
    (void)pthread_mutex_unlock(&world->lock);
}

static void await_count(struct world *world, const uint64_t *counter, uint64_t count)
{
    (void)pthread_mutex_lock(&world->lock);
    while (*counter < count)
        (void)pthread_cond_wait(&world->changed, &world->lock);
    (void)pthread_mutex_unlock(&world->lock);
}

static cairn_data numbered_new(struct world *world, const cairn_data_ops *ops, uint64_t count)
{
    struct numbered *const data = crn_calloc(1, sizeof *data);
    assert_non_null(data);
    data->world = world;
    data->count = count;
    return (cairn_data){.ops = ops, .self = data};
}

static cairn_loader *make(struct world *world, uint64_t count, cairn_loader_options options,
                          uint64_t depth)
{
    cairn_error err = {0};
    cairn_loader *loader = NULL;
    options.struct_size = sizeof options;
    options.prefetch_factor = cairn_int((int64_t)depth);
    tk_assert_ok(cairn_loader_new(numbered_new(world, &k_ahead, count), &options, &loader, &err),
                 &err);
    return loader;
}

/* The next batch of both is the same, or the same failure. */
static void assert_same_next(cairn_loader *expected, cairn_loader *actual)
{
    cairn_batch of_expected = {0};
    cairn_batch of_actual = {0};
    cairn_error expected_err = {0};
    cairn_error actual_err = {0};
    char expected_text[512];
    char actual_text[512];
    const cairn_status status = cairn_loader_next(expected, &of_expected, &expected_err);
    assert_int_equal(cairn_loader_next(actual, &of_actual, &actual_err), status);
    (void)cairn_error_format(&expected_err, expected_text, sizeof expected_text);
    (void)cairn_error_format(&actual_err, actual_text, sizeof actual_text);
    assert_string_equal(actual_text, expected_text);
    assert_int_equal(cairn_loader_position(actual), cairn_loader_position(expected));
    if (status != CAIRN_OK)
        return;
    const size_t rows = (size_t)of_expected.samples;
    assert_int_equal(of_actual.samples, of_expected.samples);
    assert_int_equal(of_actual.field_count, 2);
    assert_memory_equal(of_actual.field[0].data, of_expected.field[0].data, rows * sizeof(int64_t));
    assert_memory_equal(of_actual.field[1].data, of_expected.field[1].data,
                        rows * 2 * sizeof(float));
    assert_memory_equal(of_actual.field[1].shape, of_expected.field[1].shape, 2 * sizeof(int64_t));
}

/* Batches with now and then another position, seed, or bad sample. */
static void walk(struct world *world, cairn_loader *plain, cairn_loader *ahead, uint64_t count,
                 uint32_t random)
{
    for (unsigned i = 0; i < 60; i++) {
        random = random * 1664525U + 1013904223U;
        const uint64_t value = random >> 8;
        if (random >> 29 == 0) {
            cairn_loader_seek(plain, value % (3 * count));
            cairn_loader_seek(ahead, value % (3 * count));
        } else if (random >> 28 == 3) {
            cairn_loader_set_seed(plain, value);
            cairn_loader_set_seed(ahead, value);
        } else if (random >> 28 == 4) {
            set_bad_sample(world, value % 2 == 0 ? value % count : NEVER);
            /* What has been read of it stays good: begin anew. */
            cairn_loader_seek(ahead, cairn_loader_position(ahead) + 1);
            cairn_loader_seek(ahead, cairn_loader_position(plain));
        }
        assert_same_next(plain, ahead);
    }
    set_bad_sample(world, NEVER);
}

static void next__gives_the_same_batches_whatever_is_read_ahead(void **state)
{
    static const uint64_t k_counts[] = {1, 5, 12, 23};
    static const uint64_t k_depths[] = {1, 4, 9};
    struct world *const world = *state;
    unsigned compared = 0;
    for (unsigned bits = 0; bits < 64; bits++) {
        const uint64_t count = k_counts[bits % 4];
        for (size_t d = 0; d < sizeof k_depths / sizeof k_depths[0]; d++) {
            cairn_loader_options options = {.batch_size = 1 + bits * 7 % 11,
                                            .shuffle = (bits & 4) != 0,
                                            .drop_last = (bits & 8) != 0,
                                            .carry_last = (bits & 16) != 0,
                                            .pad_last = (bits & 16) != 0};
            if ((bits & 32) != 0)
                options.num_samples = cairn_int((int64_t)count + 6);
            if (options.drop_last && options.batch_size > count)
                options.batch_size = count;
            cairn_loader *const plain = make(world, count, options, 0);
            cairn_loader *const ahead = make(world, count, options, k_depths[d]);
            walk(world, plain, ahead, count, bits * 77 + (uint32_t)d);
            cairn_loader_destroy(ahead);
            cairn_loader_destroy(plain);
            compared++;
        }
    }
    assert_int_equal(compared, 192);
}

static void next__goes_on_at_a_position_of_another_depth_and_batch_size(void **state)
{
    struct world *const world = *state;
    const cairn_loader_options before = {.batch_size = 5, .shuffle = true, .drop_last = true};
    const cairn_loader_options after = {.batch_size = 3, .shuffle = true, .drop_last = true};
    cairn_batch batch;
    cairn_loader *const first = make(world, 23, before, 4);
    for (unsigned i = 0; i < 7; i++)
        assert_int_equal(cairn_loader_next(first, &batch, NULL), CAIRN_OK);
    cairn_loader *const plain = make(world, 23, after, 0);
    cairn_loader *const ahead = make(world, 23, after, 1);
    cairn_loader_seek(plain, cairn_loader_position(first));
    cairn_loader_seek(ahead, cairn_loader_position(first));
    for (unsigned i = 0; i < 20; i++)
        assert_same_next(plain, ahead);
    cairn_loader_destroy(first);
    cairn_loader_destroy(plain);
    cairn_loader_destroy(ahead);
}

static void next__leaves_a_batch_alone_while_others_are_read(void **state)
{
    struct world *const world = *state;
    const cairn_loader_options options = {.batch_size = 3};
    cairn_batch batch;
    cairn_loader *const loader = make(world, 30, options, 4);
    assert_int_equal(cairn_loader_next(loader, &batch, NULL), CAIRN_OK);
    await_count(world, &world->reads, 5);
    set_gate(world, false); /* Takes the lock: the fifth read is over. */
    const int64_t expected[] = {0, 1, 2};
    assert_memory_equal(batch.field[0].data, expected, sizeof expected);
    assert_int_equal(world->reads, 5);
    cairn_loader_destroy(loader);
}

static void next__fails_at_the_batch_that_is_bad_and_mends(void **state)
{
    struct world *const world = *state;
    const cairn_loader_options options = {.batch_size = 2};
    cairn_error err = {0};
    cairn_batch batch;
    cairn_loader *const loader = make(world, 30, options, 4);
    world->bad_sample = 5;
    for (unsigned i = 0; i < 2; i++)
        tk_assert_ok(cairn_loader_next(loader, &batch, &err), &err);
    for (unsigned i = 0; i < 2; i++) {
        tk_assert_status(cairn_loader_next(loader, &batch, &err), CAIRN_EDATA, &err);
        tk_assert_error_has(&err, "read the samples at position 4: sample 5 is bad");
        assert_int_equal(cairn_loader_position(loader), 4);
    }
    set_bad_sample(world, NEVER);
    /* The failed reads of later batches are forgotten with it. */
    for (int64_t i = 2; i < 9; i++) {
        tk_assert_ok(cairn_loader_next(loader, &batch, &err), &err);
        assert_int_equal(((const int64_t *)batch.field[0].data)[0], 2 * i);
    }
    cairn_loader_destroy(loader);
}

static void next__allocates_nothing_after_the_first_batch(void **state)
{
    struct world *const world = *state;
    const cairn_loader_options options = {.batch_size = 4, .shuffle = true};
    cairn_batch batch;
    cairn_loader *const loader = make(world, 30, options, 3);
    cairn_loader_seek(loader, 28); /* a short batch first */
    assert_int_equal(cairn_loader_next(loader, &batch, NULL), CAIRN_OK);
    assert_int_equal(batch.samples, 2);
    const uint64_t before = crn_mem_count();
    for (unsigned i = 0; i < 40; i++)
        assert_int_equal(cairn_loader_next(loader, &batch, NULL), CAIRN_OK);
    assert_int_equal(crn_mem_count(), before);
    cairn_loader_destroy(loader);
}

static void next__reads_on_the_calling_thread_where_data_does_not_allow_more(void **state)
{
    struct world *const world = *state;
    const cairn_loader_options options = {
        .struct_size = sizeof options, .batch_size = 2, .prefetch_factor = cairn_int(4)};
    cairn_loader *loader = NULL;
    cairn_batch batch;
    assert_int_equal(cairn_loader_new(numbered_new(world, &k_at_once, 10), &options, &loader, NULL),
                     CAIRN_OK);
    assert_true(cairn_loader_is_ready(loader, 0));
    assert_int_equal(world->reads, 0);
    assert_int_equal(cairn_loader_next(loader, &batch, NULL), CAIRN_OK);
    assert_true(pthread_equal(world->reader, pthread_self()));
    assert_int_equal(world->reads, 1);
    cairn_loader_destroy(loader);

    cairn_loader *const other = make(world, 10, (cairn_loader_options){.batch_size = 2}, 1);
    assert_int_equal(cairn_loader_next(other, &batch, NULL), CAIRN_OK);
    cairn_loader_destroy(other); /* Its thread, which reads on, has ended. */
    assert_false(pthread_equal(world->reader, pthread_self()));
}

static void next__refuses_a_batch_that_cannot_be_copied(void **state)
{
    struct world *const world = *state;
    cairn_error err = {0};
    cairn_batch batch;
    cairn_loader *const loader = make(world, 10, (cairn_loader_options){.batch_size = 2}, 1);
    world->is_impossible = true;
    tk_assert_status(cairn_loader_next(loader, &batch, &err), CAIRN_ECALLBACK, &err);
    tk_assert_error_has(&err, "numbered gave a batch whose halves has an impossible shape");
    cairn_loader_destroy(loader);
}

static void next__fails_cleanly_at_every_allocation(void **state)
{
    struct world *const world = *state;
    enum { DEPTH = 2, OF_NEW = 3 + DEPTH + 1, OF_FIRST = DEPTH + 1 };
    const cairn_loader_options options = {
        .struct_size = sizeof options, .batch_size = 2, .prefetch_factor = cairn_int(DEPTH)};
    cairn_batch batch;
    for (uint64_t n = 1; n <= OF_NEW; n++) {
        cairn_loader *loader = NULL;
        const cairn_data data = numbered_new(world, &k_ahead, 10);
        crn_mem_fail_at(n, 0);
        assert_int_equal(cairn_loader_new(data, &options, &loader, NULL), CAIRN_ENOMEM);
        crn_mem_fail_at(0, 0);
        assert_int_equal(world->destroyed, n);
    }
    for (uint64_t n = 1; n <= OF_FIRST; n++) {
        cairn_loader *const loader = make(world, 10, options, DEPTH);
        crn_mem_fail_at(n, 0);
        assert_int_equal(cairn_loader_next(loader, &batch, NULL), CAIRN_ENOMEM);
        crn_mem_fail_at(0, 0);
        assert_int_equal(cairn_loader_position(loader), 0);
        assert_int_equal(cairn_loader_next(loader, &batch, NULL), CAIRN_OK);
        cairn_loader_destroy(loader);
    }
}

static void is_ready__is_false_while_a_read_hangs(void **state)
{
    struct world *const world = *state;
    cairn_batch batch;
    cairn_loader *const loader = make(world, 10, (cairn_loader_options){.batch_size = 2}, 1);
    set_gate(world, true);
    assert_false(cairn_loader_is_ready(loader, 1000));
    assert_false(cairn_loader_is_ready(loader, 0));
    set_gate(world, false);
    assert_true(cairn_loader_is_ready(loader, k_long_ns));
    assert_int_equal(cairn_loader_position(loader), 0);
    assert_int_equal(cairn_loader_next(loader, &batch, NULL), CAIRN_OK);
    assert_int_equal(((const int64_t *)batch.field[0].data)[0], 0);
    cairn_loader_destroy(loader);
}

static void destroy__waits_for_a_read_in_progress(void **state)
{
    struct world *const world = *state;
    cairn_batch batch;
    cairn_loader *const loader = make(world, 100, (cairn_loader_options){.batch_size = 2}, 9);
    assert_int_equal(cairn_loader_next(loader, &batch, NULL), CAIRN_OK);
    cairn_loader_destroy(loader);
    assert_int_equal(world->destroyed, 1);
}

static void destroy__leaves_a_read_that_hangs_behind(void **state)
{
    struct world *const world = *state;
    cairn_error err = {0};
    crn_prefetch *prefetch = NULL;
    set_gate(world, true);
    tk_assert_ok(crn_prefetch_new(numbered_new(world, &k_ahead, 10), ROWS_MAX, 2, &prefetch, &err),
                 &err);
    crn_prefetch_room(prefetch)[0] = 7;
    tk_assert_ok(crn_prefetch_ask(prefetch, 1, &err), &err);
    await_count(world, &world->reads, 1);
    crn_prefetch_destroy(prefetch, 1000);
    assert_int_equal(world->destroyed, 0);
    set_gate(world, false);
    await_count(world, &world->destroyed, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
    const struct CMUnitTest tests[] = {
        TEST(next__gives_the_same_batches_whatever_is_read_ahead),
        TEST(next__goes_on_at_a_position_of_another_depth_and_batch_size),
        TEST(next__leaves_a_batch_alone_while_others_are_read),
        TEST(next__fails_at_the_batch_that_is_bad_and_mends),
        TEST(next__allocates_nothing_after_the_first_batch),
        TEST(next__reads_on_the_calling_thread_where_data_does_not_allow_more),
        TEST(next__refuses_a_batch_that_cannot_be_copied),
        TEST(next__fails_cleanly_at_every_allocation),
        TEST(is_ready__is_false_while_a_read_hangs),
        TEST(destroy__waits_for_a_read_in_progress),
        TEST(destroy__leaves_a_read_that_hangs_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
