/*
 * Every hook with the facts of its event, compared with the files in tests/unit/train/hooks/, which
 * were checked by hand against the Model Zoo's order (its trainer.py and callbacks, release 2.10).
 *
 * A line is who (C a callback, L a logger), the hook, its step and every fact that is not zero.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/train/mean.h"

enum { SEEN_SIZE = 1 << 16 };

/* ---- A model that tells of its loss before it adds gradients ---- */

static cairn_status telling_compute(void *self, const cairn_batch *batch, const cairn_pass *pass,
                                    cairn_loss *out, cairn_error *err)
{
    cairn_pass forward = *pass;
    forward.is_training = false;
    cairn_status rc = model_compute(self, batch, &forward, out, err);
    if (rc == CAIRN_OK && pass->is_training)
        rc = cairn_pass_after_forward(pass, out->loss, out->weight, err);
    return rc == CAIRN_OK && pass->is_training ? model_compute(self, batch, pass, out, err) : rc;
}

static const cairn_model_ops k_telling = {.struct_size = sizeof(cairn_model_ops),
                                          .name = "telling mean",
                                          .declare = model_declare,
                                          .initialize = model_initialize,
                                          .compute = telling_compute,
                                          .destroy = destroy_nothing};

/* ---- Recorders ---- */

struct recorder {
    char *seen; /* shared */
    char who;
    const char *fails_in; /* hook */
    uint64_t fails_at;    /* its step */
    float grad_at_failure;
};

static void add(struct recorder *recorder, const char *format, ...) CAIRN_PRINTF(2, 3);
static void add(struct recorder *recorder, const char *format, ...)
{
    const size_t used = strlen(recorder->seen);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(recorder->seen + used, SEEN_SIZE - used, format, args);
    va_end(args);
}

static void add_place(struct recorder *recorder, const cairn_event *event)
{
    if (event->loop_index > 0)
        add(recorder, " loop=%d", (int)event->loop_index);
    if (event->batch_count > 0)
        add(recorder, " batch=%d/%d", (int)event->batch_index, (int)event->batch_count);
    if (event->loader_count > 0)
        add(recorder, " loader=%d/%d", (int)event->loader_index, (int)event->loader_count);
    if (event->batch != NULL)
        add(recorder, " has_batch");
    if (event->is_validation)
        add(recorder, " validation");
    if (event->is_log_step)
        add(recorder, " log_step");
    if (event->is_last)
        add(recorder, " last");
    if (event->is_initial)
        add(recorder, " initial");
    if (event->is_replayed)
        add(recorder, " replayed");
}

static void add_numbers(struct recorder *recorder, const cairn_event *event)
{
    if (event->samples > 0)
        add(recorder, " samples=%d", (int)event->samples);
    if (event->tokens > 0.0)
        add(recorder, " tokens=%g", event->tokens);
    if (event->loss > 0.0)
        add(recorder, " loss=%.2f", event->loss);
    if (event->gradient_norm > 0.0)
        add(recorder, " norm=%.2f", event->gradient_norm);
    if (event->learning_rate_count > 0)
        add(recorder, " lr=%g", event->learning_rates[0]);
    if (event->saves_left > 0)
        add(recorder, " saves_left=%d", (int)event->saves_left);
    if (event->validations_left > 0)
        add(recorder, " validations_left=%d", (int)event->validations_left);
    for (size_t i = 0; i < event->metric_count; i++)
        add(recorder, " %s", event->metrics[i].name);
    if (event->path != NULL)
        add(recorder, " path=%s", strrchr(event->path, '/') + 1);
    if (event->failure != NULL)
        add(recorder, " failure=%s", cairn_status_name(event->failure->status));
}

static cairn_status record(struct recorder *recorder, const char *hook, const cairn_event *event,
                           cairn_error *err)
{
    add(recorder, "%c %s step=%d", recorder->who, hook, (int)event->step);
    add_place(recorder, event);
    add_numbers(recorder, event);
    add(recorder, "\n");
    if (recorder->fails_in == NULL || strcmp(recorder->fails_in, hook) != 0 ||
        event->step != recorder->fails_at)
        return CAIRN_OK;
    if (s_weight->grad != NULL)
        recorder->grad_at_failure = s_weight->grad[0];
    if (err != NULL)
        err->status = CAIRN_ENONFINITE;
    return CAIRN_ENONFINITE;
}

#define X(hook, when)                                                                              \
    static cairn_status record_##hook(void *self, const cairn_event *event,                        \
                                      cairn_control *control, cairn_error *err)                    \
    {                                                                                              \
        (void)control;                                                                             \
        return record(self, #hook, event, err);                                                    \
    }
CAIRN_HOOK_LIST(X)
#undef X

static const cairn_callback_ops k_callback = {.struct_size = sizeof(cairn_callback_ops),
                                              .name = "Callback",
#define X(hook, when) .hook = record_##hook,
                                              CAIRN_HOOK_LIST(X)
#undef X
};

/* Enough to see that loggers come after callbacks. */
static const cairn_callback_ops k_logger = {.struct_size = sizeof(cairn_callback_ops),
                                            .name = "Logger",
                                            .on_train_batch_end = record_on_train_batch_end,
                                            .on_log = record_on_log,
                                            .on_fit_exception = record_on_fit_exception,
                                            .on_fit_end = record_on_fit_end};

/* ---- Runs ---- */

struct fixture {
    char *dir;
    char seen[SEEN_SIZE];
    struct recorder callback;
    struct recorder logger;
    const cairn_model_ops *model;
    cairn_trainer_options options;
    cairn_error err;
};

static int begin(void **state)
{
    struct fixture *const f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->dir = make_run_folder();
    f->callback = (struct recorder){.seen = f->seen, .who = 'C'};
    f->logger = (struct recorder){.seen = f->seen, .who = 'L'};
    f->model = &k_telling;
    f->options = run_options(f->dir);
    f->options.log_steps = 2;
    f->options.loop.num_steps = cairn_int(2);
    f->options.loop.grad_accum_steps = 2;
    f->options.loop.eval_frequency = (cairn_opt_number){.kind = CAIRN_NUMBER_INT, .i = 1};
    f->options.loop.eval_steps = cairn_int(1);
    f->options.checkpoint.steps = cairn_int(2);
    f->options.checkpoint.asynchronous = false;
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *const f = *state;
    char *const dir = f->dir;
    free(f);
    return end_run_folder(dir);
}

static cairn_trainer *make_trainer(struct fixture *f)
{
    f->seen[0] = '\0';
    f->err = (cairn_error){0};
    cairn_trainer *const trainer = make_mean_trainer(&f->options, f->model, 0.1, &f->err);
    tk_assert_ok(
        cairn_trainer_add_callback(trainer, (cairn_callback){&k_callback, &f->callback}, &f->err),
        &f->err);
    tk_assert_ok(
        cairn_trainer_add_logger(trainer, (cairn_callback){&k_logger, &f->logger}, &f->err),
        &f->err);
    return trainer;
}

/* With two validation loaders. */
static cairn_status fit(struct fixture *f)
{
    cairn_fit_result result;
    cairn_trainer *const trainer = make_trainer(f);
    cairn_loader *const train = make_loader();
    cairn_loader *val[] = {make_loader(), make_loader()};
    const cairn_status rc =
        cairn_trainer_fit(trainer, train, val, 2, cairn_ckpt_omitted(), &result, &f->err);
    cairn_trainer_destroy(trainer);
    cairn_fit_result_dispose(&result);
    cairn_loader_destroy(val[1]);
    cairn_loader_destroy(val[0]);
    cairn_loader_destroy(train);
    return rc;
}

/* Says the first line that differs, and then all that was seen. */
static void assert_as_written(const struct fixture *f, const char *name)
{
    char folder[TK_PATH_SIZE];
    const char *const source = getenv("CAIRN_SOURCE_DIR");
    size_t size = 0;
    assert_non_null(source);
    char *const expected =
        tk_read_file(tk_join(folder, source, "tests/unit/train/hooks"), name, &size);
    const bool is_equal = strcmp(f->seen, expected) == 0;
    if (!is_equal) {
        size_t same = 0;
        while (f->seen[same] == expected[same])
            same++;
        (void)printf("%s: differs at byte %zu; seen was:\n%s", name, same, f->seen);
    }
    free(expected);
    assert_true(is_equal);
}

static void a_fit__accumulation_2_segments_2_loaders_initial_save(void **state)
{
    struct fixture *const f = *state;
    f->options.checkpoint.save_initial_checkpoint = true;
    tk_assert_ok(fit(f), &f->err);
    assert_as_written(f, "fit.txt");
}

static void a_fit__of_a_model_that_does_not_tell_of_its_loss_in_between(void **state)
{
    struct fixture *const f = *state;
    f->options.checkpoint.save_initial_checkpoint = true;
    f->model = &k_model;
    tk_assert_ok(fit(f), &f->err);
    assert_as_written(f, "fit.txt"); /* The order is the same, only later than it says. */
}

static void a_fit__that_goes_on_after_a_validation_that_is_noted(void **state)
{
    struct fixture *const f = *state;
    f->options.loop.num_steps = cairn_int(4);
    f->options.loop.grad_accum_steps = 1;
    f->options.loop.eval_frequency.i = 2;
    f->callback.fails_in = "on_train_step_start";
    f->callback.fails_at = 3;
    tk_assert_status(fit(f), CAIRN_ENONFINITE, &f->err);
    f->callback.fails_in = NULL;
    f->options.checkpoint.resume = true;
    tk_assert_ok(fit(f), &f->err);
    assert_as_written(f, "resume_noted.txt");
}

static void a_step_that_fails(void **state)
{
    struct fixture *const f = *state;
    f->callback.fails_in = "on_train_step_start";
    f->callback.fails_at = 1;
    tk_assert_status(fit(f), CAIRN_ENONFINITE, &f->err);
    assert_as_written(f, "step_fails.txt");
}

static void a_validation_that_fails(void **state)
{
    struct fixture *const f = *state;
    f->callback.fails_in = "on_validate_batch_start";
    f->callback.fails_at = 1;
    tk_assert_status(fit(f), CAIRN_ENONFINITE, &f->err);
    assert_as_written(f, "validation_fails.txt");
}

static void a_failure_after_forward__comes_before_any_gradient(void **state)
{
    struct fixture *const f = *state;
    f->callback.fails_in = "on_after_forward";
    f->callback.fails_at = 0;
    f->callback.grad_at_failure = 1.0F;
    tk_assert_status(fit(f), CAIRN_ENONFINITE, &f->err);
    tk_assert_error_has(&f->err, "Encountered error when calling Callback.on_after_forward");
    assert_true(f->callback.grad_at_failure == 0.0F);
    assert_null(strstr(f->seen, "on_before_backward"));
}

static void a_validate(void **state)
{
    struct fixture *const f = *state;
    cairn_validate_result result = {0};
    char path[TK_PATH_SIZE];
    tk_assert_ok(fit(f), &f->err);
    cairn_trainer *const trainer = make_trainer(f);
    cairn_loader *const val = make_loader();
    const cairn_ckpt ckpt = {.kind = CAIRN_CKPT_PATH,
                             .path = tk_join(path, f->dir, "checkpoint_2.mdl")};
    tk_assert_ok(cairn_trainer_validate(trainer, val, ckpt, &result, &f->err), &f->err);
    cairn_trainer_destroy(trainer);
    cairn_loader_destroy(val);
    assert_as_written(f, "validate.txt");
    assert_int_equal(result.step, 2);
}

/* What the results say, "checkpoint loader step;". */
static void note_result(void *user, const cairn_validated *validated)
{
    char *const text = user;
    const size_t used = strlen(text);
    (void)snprintf(text + used, 512 - used, "%s %zu/%zu %d;",
                   strrchr(validated->checkpoint, '/') + 1, validated->loader,
                   validated->loader_count, (int)validated->result.step);
}

static void a_validate_all__two_checkpoints_two_loaders(void **state)
{
    struct fixture *const f = *state;
    char path[TK_PATH_SIZE];
    char results[512] = "";
    f->options.checkpoint.save_initial_checkpoint = true;
    tk_assert_ok(fit(f), &f->err);
    cairn_trainer *const trainer = make_trainer(f);
    cairn_loader *val[] = {make_loader(), make_loader()};
    const char *const pattern = tk_join(path, f->dir, "checkpoint_*");
    const cairn_ckpts ckpts = {.kind = CAIRN_CKPT_PATH, .paths = &pattern, .count = 1};
    tk_assert_ok(cairn_trainer_validate_all(trainer, val, 2, &ckpts, note_result, results, &f->err),
                 &f->err);
    cairn_trainer_destroy(trainer);
    cairn_loader_destroy(val[0]);
    cairn_loader_destroy(val[1]);
    assert_as_written(f, "validate_all.txt");
    assert_string_equal(results, "checkpoint_0.mdl 0/2 0;checkpoint_0.mdl 1/2 0;"
                                 "checkpoint_2.mdl 0/2 2;checkpoint_2.mdl 1/2 2;");
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_fit__accumulation_2_segments_2_loaders_initial_save),
        T(a_fit__of_a_model_that_does_not_tell_of_its_loss_in_between),
        T(a_fit__that_goes_on_after_a_validation_that_is_noted),
        T(a_step_that_fails),
        T(a_validation_that_fails),
        T(a_failure_after_forward__comes_before_any_gradient),
        T(a_validate),
        T(a_validate_all__two_checkpoints_two_loaders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
