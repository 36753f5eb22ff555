/*
 * A save in the background that takes longer than twenty steps, with a real optimizer and a moving
 * average of the weights that a callback keeps: its file holds what a save that is waited for
 * holds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/trainer_priv.h"
#include "unit/train/mean.h"

enum { TENSORS = 3, FLOATS = 40000 /* blocks of their own */, STEPS = 24, HELD_UNTIL = 22 };

/* ---- An operating system whose writer is slow ---- */

/*
 * While it is on, the other threads' files are not made, and copies, which are all that is written
 * from outside the arena, are not written: so updates never wait for long, and the save never ends.
 */
typedef struct slow_os {
    crn_os os; /* pass its address */
    const crn_os *real;
    pthread_t owner; /* whose calls pass */
    const uint8_t *arena;
    uint64_t arena_bytes;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool holds_files;
    bool holds_copies;
    uint64_t held; /* copies that waited */
} slow_os;

static void wait_while(slow_os *s, const bool *is_held, uint64_t *count)
{
    (void)pthread_mutex_lock(&s->lock);
    if (*is_held && count != NULL)
        ++*count;
    while (*is_held)
        (void)pthread_cond_wait(&s->changed, &s->lock);
    (void)pthread_mutex_unlock(&s->lock);
}

static void set_held(slow_os *s, bool files, bool copies)
{
    (void)pthread_mutex_lock(&s->lock);
    s->holds_files = files;
    s->holds_copies = copies;
    (void)pthread_cond_broadcast(&s->changed);
    (void)pthread_mutex_unlock(&s->lock);
}

static int slow_reserve(const crn_os *os, int fd, uint64_t size)
{
    slow_os *const s = os->self;
    if (!pthread_equal(pthread_self(), s->owner))
        wait_while(s, &s->holds_files, NULL);
    return s->real->reserve(s->real, fd, size);
}

static void hold_copy(slow_os *s, const void *buf)
{
    const uint8_t *const bytes = buf;
    const bool is_state = bytes >= s->arena && bytes < s->arena + s->arena_bytes;
    if (!is_state && !pthread_equal(pthread_self(), s->owner))
        wait_while(s, &s->holds_copies, &s->held);
}

static int slow_write_at(const crn_os *os, int fd, const void *buf, size_t size, uint64_t offset)
{
    slow_os *const s = os->self;
    hold_copy(s, buf);
    return s->real->write_at(s->real, fd, buf, size, offset);
}

static int slow_write_uncached(const crn_os *os, int fd, const void *buf, size_t size,
                               uint64_t offset)
{
    slow_os *const s = os->self;
    hold_copy(s, buf);
    return s->real->write_uncached(s->real, fd, buf, size, offset);
}

static void slow_init(slow_os *s)
{
    memset(s, 0, sizeof *s);
    s->real = crn_os_posix();
    s->os = *s->real;
    s->os.reserve = slow_reserve;
    s->os.write_at = slow_write_at;
    s->os.write_uncached = slow_write_uncached;
    s->os.self = s;
    s->owner = pthread_self();
    assert_int_equal(pthread_mutex_init(&s->lock, NULL), 0);
    assert_int_equal(pthread_cond_init(&s->changed, NULL), 0);
}

static void slow_dispose(slow_os *s)
{
    (void)pthread_mutex_destroy(&s->lock);
    (void)pthread_cond_destroy(&s->changed);
}

/* ---- A model: loss is the mean of (w - x)^2 / 2 over all weights, x a sample's number ---- */

static const cairn_tensor *s_weights[TENSORS];

static cairn_status wide_declare(void *self, cairn_state *state, cairn_error *err)
{
    (void)self;
    for (int i = 0; i < TENSORS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "w%d", i);
        const cairn_tensor_spec spec = {.name = name,
                                        .dtype = CAIRN_DTYPE_F32,
                                        .role = CAIRN_ROLE_WEIGHT,
                                        .rank = 1,
                                        .shape = {FLOATS}};
        const cairn_status rc = cairn_state_add_tensor(state, &spec, &s_weights[i], err);
        if (rc != CAIRN_OK)
            return rc;
    }
    return CAIRN_OK;
}

static cairn_status wide_initialize(void *self, cairn_state_tree *tree, uint64_t seed,
                                    cairn_error *err)
{
    (void)self;
    (void)err;
    for (int i = 0; i < TENSORS; i++) {
        float *const w = cairn_tensor_write_begin(tree, s_weights[i], 0, s_weights[i]->bytes);
        for (int j = 0; j < FLOATS; j++)
            w[j] = (float)seed + (float)(j % 97) / 16.0F;
        cairn_tensor_write_end(tree, s_weights[i], 0, s_weights[i]->bytes);
    }
    return CAIRN_OK;
}

static cairn_status wide_compute(void *self, const cairn_batch *batch, const cairn_pass *pass,
                                 cairn_loss *out, cairn_error *err)
{
    const float *const x = cairn_batch_find(batch, "x")->data;
    double sum = 0.0;
    (void)self;
    (void)err;
    for (int i = 0; i < TENSORS; i++) {
        const float *const w = s_weights[i]->data;
        for (int j = 0; j < FLOATS; j++) {
            const float difference = w[j] - x[j % BATCH];
            sum += 0.5 * (double)difference * (double)difference;
            if (pass->is_training)
                s_weights[i]->grad[j] += pass->loss_scale * difference / (float)FLOATS;
        }
    }
    out->loss = sum / (TENSORS * FLOATS);
    out->weight = (double)batch->samples;
    return CAIRN_OK;
}

static const cairn_model_ops k_wide = {.struct_size = sizeof(cairn_model_ops),
                                       .name = "wide",
                                       .declare = wide_declare,
                                       .initialize = wide_initialize,
                                       .compute = wide_compute,
                                       .destroy = destroy_nothing};

/* ---- A callback: the average, and what is done to the writer when ---- */

typedef struct average {
    slow_os *slow; /* NULL: saves are waited for */
    const cairn_tensor *tensors[TENSORS];
    uint64_t step;       /* the last that was finished */
    uint64_t told_after; /* the step after which the first save was told */
} average;

static cairn_status average_setup(void *self, const cairn_event *event, cairn_control *control,
                                  cairn_error *err)
{
    average *const a = self;
    cairn_state *state = NULL;
    (void)control;
    cairn_status rc = cairn_state_tree_add(cairn_trainer_tree(event->trainer), "ema", &state, err);
    for (int i = 0; i < TENSORS && rc == CAIRN_OK; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "w%d", i);
        const cairn_tensor_spec spec = {
            .name = name, .dtype = CAIRN_DTYPE_F32, .rank = 1, .shape = {FLOATS}};
        rc = cairn_state_add_tensor(state, &spec, &a->tensors[i], err);
    }
    return rc;
}

/* The save of step 1 has copied nothing when step 2 is about to update: the first block of the
 * average is copied now, and then the writer may begin; the copy stays unwritten for long. */
static cairn_status average_before(void *self, const cairn_event *event, cairn_control *control,
                                   cairn_error *err)
{
    const average *const a = self;
    cairn_state_tree *const tree = cairn_trainer_tree(event->trainer);
    (void)control;
    (void)err;
    if (a->slow == NULL || event->step != 1)
        return CAIRN_OK;
    (void)cairn_tensor_write_begin(tree, a->tensors[0], 0, a->tensors[0]->bytes);
    cairn_tensor_write_end(tree, a->tensors[0], 0, a->tensors[0]->bytes);
    set_held(a->slow, false, true);
    return CAIRN_OK;
}

static cairn_status average_update(void *self, const cairn_event *event, cairn_control *control,
                                   cairn_error *err)
{
    const average *const a = self;
    cairn_state_tree *const tree = cairn_trainer_tree(event->trainer);
    (void)control;
    for (int i = 0; i < TENSORS; i++) {
        const float *const w = s_weights[i]->data;
        float *const e = cairn_tensor_write_begin(tree, a->tensors[i], 0, a->tensors[i]->bytes);
        for (int j = 0; j < FLOATS; j++)
            e[j] += 0.25F * (w[j] - e[j]);
        cairn_tensor_write_end(tree, a->tensors[i], 0, a->tensors[i]->bytes);
    }
    /* As a loss scaler's: a value that changes in every step. */
    return cairn_state_set_f64(cairn_state_tree_find(tree, "ema"), "scale",
                               65536.0 / (double)(event->step + 1), err);
}

static cairn_status average_step(void *self, const cairn_event *event, cairn_control *control,
                                 cairn_error *err)
{
    average *const a = self;
    (void)err;
    a->step = event->step;
    control->save = event->step == 1;
    if (a->slow == NULL)
        return CAIRN_OK;
    if (event->step == 1) {
        a->slow->arena = cairn_state_tree_arena(cairn_trainer_tree(event->trainer));
        a->slow->arena_bytes = cairn_state_tree_bytes(cairn_trainer_tree(event->trainer));
        set_held(a->slow, true, true);
    }
    if (event->step == HELD_UNTIL)
        set_held(a->slow, false, false);
    return CAIRN_OK;
}

static cairn_status average_saved(void *self, const cairn_event *event, cairn_control *control,
                                  cairn_error *err)
{
    average *const a = self;
    (void)control;
    (void)err;
    if (event->step == 1)
        a->told_after = a->step;
    return CAIRN_OK;
}

static const cairn_callback_ops k_average = {.struct_size = sizeof(cairn_callback_ops),
                                             .name = "Average",
                                             .setup = average_setup,
                                             .on_before_optimizer_step = average_before,
                                             .on_after_optimizer_step = average_update,
                                             .on_train_batch_end = average_step,
                                             .on_after_save_checkpoint = average_saved};

/* ---- The test ---- */

static void train(const char *dir, average *a, bool is_asynchronous, int64_t staging)
{
    cairn_error err = {0};
    cairn_fit_result result = {0};
    cairn_loader *const loader = make_loader();
    cairn_trainer_options options = cairn_trainer_options_default();
    options.model_dir = dir;
    options.seed = cairn_int(3);
    options.loop.eval_frequency = (cairn_opt_number){.kind = CAIRN_NUMBER_NULL};
    options.loop.num_steps = cairn_int(STEPS);
    options.checkpoint.steps = cairn_int(STEPS);
    options.checkpoint.asynchronous = is_asynchronous;
    if (staging > 0)
        options.checkpoint.staging_bytes = cairn_int(staging);
    cairn_trainer *const trainer = make_mean_trainer(&options, &k_wide, 0.0, &err);
    if (a->slow != NULL)
        trainer->os = &a->slow->os;
    tk_assert_ok(cairn_trainer_add_callback(trainer, (cairn_callback){&k_average, a}, &err), &err);
    tk_assert_ok(cairn_trainer_fit(trainer, loader, NULL, 0, cairn_ckpt_omitted(), &result, &err),
                 &err);
    cairn_fit_result_dispose(&result);
    cairn_trainer_destroy(trainer);
    cairn_loader_destroy(loader);
}

/* All tensors by their digests, which are good, and the values that change in each step. */
static void assert_same_state(const char *dir, const char *other_dir, const char *name)
{
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    cairn_checkpoint *a = NULL;
    cairn_checkpoint *b = NULL;
    tk_assert_ok(cairn_checkpoint_open(tk_join(path, dir, name), &a, &err), &err);
    tk_assert_ok(cairn_checkpoint_open(tk_join(path, other_dir, name), &b, &err), &err);
    tk_assert_ok(cairn_checkpoint_verify(a, NULL, NULL, &err), &err);
    tk_assert_ok(cairn_checkpoint_verify(b, NULL, NULL, &err), &err);
    const size_t count = cairn_checkpoint_tensor_count(a);
    assert_true(count >= 4 * TENSORS); /* weights, two moments, the average */
    assert_int_equal(count, cairn_checkpoint_tensor_count(b));
    for (size_t i = 0; i < count; i++) {
        const cairn_file_tensor *const one = cairn_checkpoint_tensor_at(a, i);
        const cairn_file_tensor *const other = cairn_checkpoint_tensor_at(b, i);
        assert_string_equal(one->name, other->name);
        assert_string_equal(one->digest, other->digest);
    }
    assert_string_equal(cairn_checkpoint_value(a, "ema", "scale"),
                        cairn_checkpoint_value(b, "ema", "scale"));
    cairn_checkpoint_close(a);
    cairn_checkpoint_close(b);
}

static void try_slow_writer(const char *dir, const char *name, int64_t staging)
{
    char sync[TK_PATH_SIZE];
    char async[TK_PATH_SIZE];
    slow_os slow;
    slow_init(&slow);
    average a = {.slow = NULL};
    train(tk_join(sync, dir, "sync"), &a, false, 0);
    assert_int_equal(a.told_after, 1);
    a = (average){.slow = &slow};
    train(tk_join(async, dir, name), &a, true, staging);
    assert_true(slow.held > 0);
    assert_true(a.told_after >= HELD_UNTIL);
    assert_same_state(async, sync, "checkpoint_1.mdl");
    assert_same_state(async, sync, "checkpoint_24.mdl"); /* Nor did training notice. */
    tk_remove_tree(sync);
    slow_dispose(&slow);
}

static void a_save_that_outlasts_twenty_steps__is_what_a_save_that_is_waited_for_is(void **state)
{
    const char *const dir = *state;
    try_slow_writer(dir, "default", 0);
}

static void a_save_that_outlasts_twenty_steps__holds_with_a_pool_of_one_block(void **state)
{
    const char *const dir = *state;
    const int64_t block = (int64_t)((FLOATS * sizeof(float) + 4095) / 4096 * 4096);
    try_slow_writer(dir, "one", block);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, tk_temp_setup, tk_temp_teardown)
    const struct CMUnitTest tests[] = {
        T(a_save_that_outlasts_twenty_steps__is_what_a_save_that_is_waited_for_is),
        T(a_save_that_outlasts_twenty_steps__holds_with_a_pool_of_one_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
