/*
 * The hooks of a whole fit, through the public API. Saves are waited for, so that the order is
 * always the same; saving_test.c has those in the background.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/train/mean.h"

enum { SEEN_SIZE = 8192 };

/* ---- A callback that writes down every hook ---- */

struct recorder {
    char seen[SEEN_SIZE]; /* "setup@0 on_fit_start@0 ..." */
    const char *fails_in; /* name of a hook; NULL: none */
    const char *asks_in;
    uint64_t asks_at; /* step */
    bool asks_stop;
    bool asks_save;
    const char *removes_before_save; /* a folder; NULL: none */
    cairn_status failure_seen;       /* at on_fit_exception, on_save_exception */
    bool last_save_was_last;
    bool last_save_was_initial;
    uint64_t first_step; /* at on_fit_start */
    uint64_t end_step;
};

static cairn_status record(struct recorder *recorder, const char *hook, const cairn_event *event,
                           cairn_control *control, cairn_error *err)
{
    const size_t length = strlen(recorder->seen);
    (void)snprintf(recorder->seen + length, sizeof recorder->seen - length, "%s%s@%d",
                   length > 0 ? " " : "", hook, (int)event->step);
    assert_int_equal(event->struct_size, sizeof *event);
    assert_non_null(event->trainer);
    if (event->failure != NULL)
        recorder->failure_seen = event->failure->status;
    if (recorder->asks_in != NULL && strcmp(recorder->asks_in, hook) == 0 &&
        event->step == recorder->asks_at) {
        control->stop = recorder->asks_stop;
        control->reason = recorder->asks_stop ? "enough" : NULL;
        control->save = recorder->asks_save;
    }
    if (recorder->fails_in != NULL && strcmp(recorder->fails_in, hook) == 0) {
        if (err != NULL)
            err->status = CAIRN_ECALLBACK;
        return CAIRN_ECALLBACK;
    }
    return CAIRN_OK;
}

#define X(hook, when)                                                                              \
    static cairn_status record_##hook(void *self, const cairn_event *event,                        \
                                      cairn_control *control, cairn_error *err)                    \
    {                                                                                              \
        return record(self, #hook, event, control, err);                                           \
    }
CAIRN_HOOK_LIST(X)
#undef X

static cairn_status check_save(void *self, const cairn_event *event, cairn_control *control,
                               cairn_error *err)
{
    struct recorder *const recorder = self;
    (void)control;
    (void)err;
    recorder->last_save_was_last = event->is_last;
    recorder->last_save_was_initial = event->is_initial;
    assert_non_null(event->save);
    if (recorder->removes_before_save != NULL)
        tk_remove_tree(recorder->removes_before_save);
    return CAIRN_OK;
}

static cairn_status check_start(void *self, const cairn_event *event, cairn_control *control,
                                cairn_error *err)
{
    struct recorder *const recorder = self;
    (void)control;
    (void)err;
    recorder->first_step = event->first_step;
    recorder->end_step = event->end_step;
    return CAIRN_OK;
}

static const cairn_callback_ops k_recorder = {.struct_size = sizeof(cairn_callback_ops),
                                              .name = "Recorder",
#define X(hook, when) .hook = record_##hook,
                                              CAIRN_HOOK_LIST(X)
#undef X
};

static const cairn_callback_ops k_checker = {.struct_size = sizeof(cairn_callback_ops),
                                             .name = "Checker",
                                             .on_fit_start = check_start,
                                             .on_save_checkpoint = check_save};

/* ---- A run ---- */

struct fixture {
    char *dir;
    struct recorder recorder;
    cairn_trainer_options options;
    cairn_ckpt ckpt;
    cairn_fit_result result;
    cairn_error err;
};

static int begin(void **state)
{
    struct fixture *const f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->dir = make_run_folder();
    f->options = run_options(f->dir);
    f->options.loop.num_steps = cairn_int(2);
    f->options.checkpoint.steps = cairn_int(2);
    f->options.checkpoint.asynchronous = false;
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *const f = *state;
    char *const dir = f->dir;
    cairn_fit_result_dispose(&f->result);
    free(f);
    return end_run_folder(dir);
}

/* A whole fit; the recorder's text begins anew. */
static cairn_status fit(struct fixture *f)
{
    cairn_loader *const train = make_loader();
    cairn_loader *val = make_loader();
    f->recorder.seen[0] = '\0';
    f->err = (cairn_error){0};
    cairn_fit_result_dispose(&f->result);
    cairn_trainer *const trainer = make_mean_trainer(&f->options, &k_model, 0.1, &f->err);
    const cairn_callback callbacks[] = {{&k_checker, &f->recorder}, {&k_recorder, &f->recorder}};
    for (size_t i = 0; i < sizeof callbacks / sizeof callbacks[0]; i++)
        tk_assert_ok(cairn_trainer_add_callback(trainer, callbacks[i], &f->err), &f->err);
    const cairn_status rc =
        cairn_trainer_fit(trainer, train, &val, 1, f->ckpt, &f->result, &f->err);
    cairn_trainer_destroy(trainer);
    cairn_loader_destroy(val);
    cairn_loader_destroy(train);
    return rc;
}

#define START_HOOKS                                                                                \
    "pre_setup@0 setup@0 post_setup@0 on_enter_fit@0"                                              \
    " on_before_load_checkpoint@0 on_fit_start@0"
#define SEGMENT_HOOKS(step) "on_enter_train@" step " on_train_start@" step
#define BATCH_HOOKS(step)                                                                          \
    "on_train_step_start@" step " on_before_forward@" step " on_after_forward@" step               \
    " on_before_backward@" step " on_after_backward@" step
#define UPDATE_HOOKS(before, after)                                                                \
    "on_before_optimizer_step@" before " on_after_optimizer_step@" before                          \
    " on_before_optimizer_zero_grad@" before " on_after_optimizer_zero_grad@" before               \
    " on_before_scheduler_step@" before " on_after_scheduler_step@" before                         \
    " on_train_step_end@" before " on_train_batch_end@" after " on_log@" after
#define STEP_HOOKS(before, after)                                                                  \
    "on_train_batch_start@" before, BATCH_HOOKS(before), UPDATE_HOOKS(before, after)
#define SAVE_HOOKS(step)                                                                           \
    "on_save_checkpoint@" step " postprocess_checkpoint@" step " on_after_save_checkpoint@" step
#define VALIDATION_BATCH_HOOKS(step)                                                               \
    "on_validate_batch_start@" step " on_validate_step_start@" step " on_before_forward@" step     \
    " on_after_forward@" step " on_validate_step_end@" step " on_validate_batch_end@" step
#define VALIDATION_HOOKS(step)                                                                     \
    "on_enter_validate_all@" step " on_before_load_checkpoint@" step " on_enter_validate@" step    \
    " on_validate_start@" step,                                                                    \
        VALIDATION_BATCH_HOOKS(step), VALIDATION_BATCH_HOOKS(step),                                \
        "on_validate_end@" step " run_validation@" step " on_log@" step

/* Fails the test unless the recorder saw exactly @pieces, one after the other. */
static void assert_hooks_are(const struct fixture *f, const char *const *pieces)
{
    char expected[SEEN_SIZE] = "";
    for (; *pieces != NULL; pieces++) {
        const size_t length = strlen(expected);
        (void)snprintf(expected + length, sizeof expected - length, "%s%s", length > 0 ? " " : "",
                       *pieces);
    }
    assert_string_equal(f->recorder.seen, expected);
}
#define assert_hooks(f, ...) assert_hooks_are((f), (const char *const[]){__VA_ARGS__, NULL})

static void hooks_of_a_fit_with_one_validation_and_one_save(void **state)
{
    struct fixture *const f = *state;
    tk_assert_ok(fit(f), &f->err);
    assert_hooks(f, START_HOOKS, SEGMENT_HOOKS("0"), STEP_HOOKS("0", "1"), STEP_HOOKS("1", "2"),
                 SAVE_HOOKS("2"), "on_train_end@2", VALIDATION_HOOKS("2"), "on_fit_end@2");
    assert_int_equal(f->result.outcome, CAIRN_OUTCOME_FINISHED);
    assert_int_equal(f->result.step, 2);
    assert_string_equal(f->result.reason, "num_steps");
    assert_true(f->recorder.last_save_was_last);
    assert_int_equal(f->recorder.first_step, 0);
    assert_int_equal(f->recorder.end_step, 2);
}

static void hooks_of_a_fit_that_loads_a_checkpoint(void **state)
{
    struct fixture *const f = *state;
    tk_assert_ok(fit(f), &f->err);
    f->options.loop.num_steps = cairn_int(1);
    f->options.loop.eval_frequency = (cairn_opt_number){.kind = CAIRN_NUMBER_NULL};
    tk_assert_ok(fit(f), &f->err);
    assert_hooks(f, "pre_setup@0 setup@0 post_setup@0 on_enter_fit@0 on_before_load_checkpoint@0",
                 "preprocess_checkpoint@0 on_load_checkpoint@2 on_fit_start@2", SEGMENT_HOOKS("2"),
                 STEP_HOOKS("2", "3"), SAVE_HOOKS("3"), "on_train_end@3 on_fit_end@3");
    assert_int_equal(f->recorder.first_step, 2);
    assert_int_equal(f->recorder.end_step, 3);
}

static void segments_begin_and_end_around_each_validation(void **state)
{
    struct fixture *const f = *state;
    f->options.checkpoint.steps = cairn_int(0);
    f->options.loop.eval_frequency = (cairn_opt_number){.kind = CAIRN_NUMBER_INT, .i = 1};
    tk_assert_ok(fit(f), &f->err);
    assert_hooks(f, START_HOOKS, SEGMENT_HOOKS("0"), STEP_HOOKS("0", "1"), "on_train_end@1",
                 VALIDATION_HOOKS("1"), SEGMENT_HOOKS("1"), STEP_HOOKS("1", "2"), "on_train_end@2",
                 VALIDATION_HOOKS("2"), "on_fit_end@2");
    assert_null(f->result.checkpoint);
}

static void each_micro_batch_is_computed_and_one_step_is_made__accumulation(void **state)
{
    struct fixture *const f = *state;
    f->options.loop.num_steps = cairn_int(1);
    f->options.loop.grad_accum_steps = 2;
    f->options.loop.eval_frequency = (cairn_opt_number){.kind = CAIRN_NUMBER_NULL};
    f->options.checkpoint.steps = cairn_int(0);
    tk_assert_ok(fit(f), &f->err);
    assert_hooks(f, START_HOOKS, SEGMENT_HOOKS("0"), "on_train_batch_start@0", BATCH_HOOKS("0"),
                 "on_train_step_end@0", BATCH_HOOKS("0"), UPDATE_HOOKS("0", "1"),
                 "on_train_end@1 on_fit_end@1");
}

static void the_initial_checkpoint_is_saved_before_the_first_step(void **state)
{
    struct fixture *const f = *state;
    f->options.loop.num_steps = cairn_int(1);
    f->options.loop.eval_frequency = (cairn_opt_number){.kind = CAIRN_NUMBER_NULL};
    f->options.checkpoint.steps = cairn_int(0);
    f->options.checkpoint.save_initial_checkpoint = true;
    tk_assert_ok(fit(f), &f->err);
    assert_hooks(f, START_HOOKS, SEGMENT_HOOKS("0"), SAVE_HOOKS("0"), STEP_HOOKS("0", "1"),
                 "on_train_end@1 on_fit_end@1");
    assert_true(f->recorder.last_save_was_initial);
    assert_false(f->recorder.last_save_was_last);
    assert_true(tk_exists(f->dir, "checkpoint_0.mdl"));
}

static void a_callback_that_asks_to_stop_ends_the_run_saved(void **state)
{
    struct fixture *const f = *state;
    f->options.loop.num_steps = cairn_int(10);
    f->options.checkpoint.steps = cairn_int(5);
    f->recorder.asks_in = "on_train_batch_end";
    f->recorder.asks_at = 2;
    f->recorder.asks_stop = true;
    tk_assert_ok(fit(f), &f->err);
    assert_hooks(f, START_HOOKS, SEGMENT_HOOKS("0"), STEP_HOOKS("0", "1"), STEP_HOOKS("1", "2"),
                 SAVE_HOOKS("2"), "on_train_end@2", "on_fit_end@2");
    assert_int_equal(f->result.outcome, CAIRN_OUTCOME_FINISHED);
    assert_int_equal(f->result.step, 2);
    assert_string_equal(f->result.reason, "enough");
    assert_true(f->recorder.last_save_was_last);
    assert_true(tk_exists(f->dir, "checkpoint_2.mdl"));
}

static void a_callback_may_ask_to_stop_in_a_validation(void **state)
{
    struct fixture *const f = *state;
    f->options.loop.num_steps = cairn_int(10);
    f->options.loop.eval_frequency = (cairn_opt_number){.kind = CAIRN_NUMBER_INT, .i = 3};
    f->options.checkpoint.steps = cairn_int(5);
    f->recorder.asks_in = "on_validate_end";
    f->recorder.asks_at = 3;
    f->recorder.asks_stop = true;
    tk_assert_ok(fit(f), &f->err);
    assert_int_equal(f->result.outcome, CAIRN_OUTCOME_FINISHED);
    assert_int_equal(f->result.step, 3);
    assert_string_equal(f->result.reason, "enough");
    assert_true(tk_exists(f->dir, "checkpoint_3.mdl"));
}

static void a_callback_that_asks_to_save_saves_beside_the_schedule(void **state)
{
    struct fixture *const f = *state;
    f->options.loop.num_steps = cairn_int(3);
    f->options.checkpoint.steps = cairn_int(0);
    f->recorder.asks_in = "on_train_batch_end";
    f->recorder.asks_at = 2;
    f->recorder.asks_save = true;
    tk_assert_ok(fit(f), &f->err);
    assert_int_equal(f->result.step, 3);
    assert_true(tk_exists(f->dir, "checkpoint_2.mdl"));
    assert_false(tk_exists(f->dir, "checkpoint_3.mdl"));
}

static void a_failing_hook_ends_the_run_and_is_named(void **state)
{
    struct fixture *const f = *state;
    f->recorder.fails_in = "on_before_optimizer_step";
    tk_assert_status(fit(f), CAIRN_ECALLBACK, &f->err);
    tk_assert_error_has(&f->err,
                        "Encountered error when calling Recorder.on_before_optimizer_step");
    assert_hooks(f, START_HOOKS, SEGMENT_HOOKS("0"), "on_train_batch_start@0", BATCH_HOOKS("0"),
                 "on_before_optimizer_step@0 on_train_exception@0 on_fit_exception@0");
    assert_int_equal(f->recorder.failure_seen, CAIRN_ECALLBACK);
    assert_int_equal(f->result.step, 0);
    assert_null(f->result.checkpoint);
}

static void a_save_that_fails_is_told_and_ends_the_run(void **state)
{
    struct fixture *const f = *state;
    char root[TK_PATH_SIZE];
    f->options.checkpoint.checkpoint_root = tk_join(root, f->dir, "root");
    f->recorder.removes_before_save = root;
    tk_assert_status(fit(f), CAIRN_EIO, &f->err);
    assert_hooks(f, START_HOOKS, SEGMENT_HOOKS("0"), STEP_HOOKS("0", "1"), STEP_HOOKS("1", "2"),
                 "on_save_checkpoint@2 postprocess_checkpoint@2 on_save_exception@2",
                 "on_train_exception@2 on_fit_exception@2");
    assert_int_equal(f->recorder.failure_seen, CAIRN_EIO);
    assert_null(f->result.checkpoint);
}

static void the_model_learns_the_mean_of_the_data(void **state)
{
    struct fixture *const f = *state;
    f->options.loop.num_steps = cairn_int(200);
    f->options.loop.eval_frequency = (cairn_opt_number){.kind = CAIRN_NUMBER_NULL};
    f->options.checkpoint.steps = cairn_int(200);
    tk_assert_ok(fit(f), &f->err);
    cairn_checkpoint *ckpt = NULL;
    size_t size = 0;
    float w = 0.0f;
    tk_assert_ok(cairn_checkpoint_open(f->result.checkpoint, &ckpt, &f->err), &f->err);
    const cairn_file_tensor *const tensor = cairn_checkpoint_tensor_at(ckpt, 0);
    assert_string_equal(tensor->name, "model.w");
    char *const bytes = tk_read_file(f->dir, "checkpoint_200.mdl", &size);
    memcpy(&w, bytes + tensor->offset, sizeof w);
    assert_true(w > 3.0f && w < 4.0f); /* of 0 to 7 it is 3.5 */
    free(bytes);
    cairn_checkpoint_close(ckpt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(hooks_of_a_fit_with_one_validation_and_one_save, begin,
                                        end),
        cmocka_unit_test_setup_teardown(hooks_of_a_fit_that_loads_a_checkpoint, begin, end),
        cmocka_unit_test_setup_teardown(segments_begin_and_end_around_each_validation, begin, end),
        cmocka_unit_test_setup_teardown(
            each_micro_batch_is_computed_and_one_step_is_made__accumulation, begin, end),
        cmocka_unit_test_setup_teardown(the_initial_checkpoint_is_saved_before_the_first_step,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_callback_that_asks_to_stop_ends_the_run_saved, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_callback_may_ask_to_stop_in_a_validation, begin, end),
        cmocka_unit_test_setup_teardown(a_callback_that_asks_to_save_saves_beside_the_schedule,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_failing_hook_ends_the_run_and_is_named, begin, end),
        cmocka_unit_test_setup_teardown(a_save_that_fails_is_told_and_ends_the_run, begin, end),
        cmocka_unit_test_setup_teardown(the_model_learns_the_mean_of_the_data, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
