/*
 * A callback with state that ends the run for good, as EarlyStopping does: interrupted at any
 * place and resumed, it comes to the same end as without, and the run stays ended.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/train/mean.h"

enum { PATIENCE = 3, STOP_STEP = 5, SEEN_SIZE = 512 };

/* ---- Counts validations and stops at the third ---- */

struct stopper {
    cairn_state *state;
    char seen[SEEN_SIZE]; /* "2 4r 6": steps whose validation was counted; r: replayed */
    const char *dies_in;  /* hook */
    uint64_t dies_at;
    bool asks_in_training; /* after STOP_STEP instead */
};

static cairn_status setup(void *self, const cairn_event *event, cairn_control *control,
                          cairn_error *err)
{
    struct stopper *const stopper = self;
    (void)control;
    const cairn_status rc =
        cairn_state_tree_add(cairn_trainer_tree(event->trainer), "Stopper", &stopper->state, err);
    return rc == CAIRN_OK ? cairn_state_set_u64(stopper->state, "count", 0, err) : rc;
}

static void ask(cairn_control *control)
{
    control->stop = true;
    control->complete = true;
    control->reason = "early_stop";
}

static cairn_status die(const struct stopper *stopper, const char *hook, const cairn_event *event,
                        cairn_error *err)
{
    if (stopper->dies_in == NULL || strcmp(stopper->dies_in, hook) != 0 ||
        event->step != stopper->dies_at)
        return CAIRN_OK;
    if (err != NULL)
        err->status = CAIRN_ECALLBACK;
    return CAIRN_ECALLBACK;
}

static cairn_status on_log(void *self, const cairn_event *event, cairn_control *control,
                           cairn_error *err)
{
    struct stopper *const stopper = self;
    uint64_t count = 0;
    if (!event->is_validation)
        return CAIRN_OK;
    const size_t used = strlen(stopper->seen);
    (void)snprintf(stopper->seen + used, sizeof stopper->seen - used, "%s%d%s", used > 0 ? " " : "",
                   (int)event->step, event->is_replayed ? "r" : "");
    assert_string_equal(event->metrics[0].name, "val_loss");
    tk_assert_ok(cairn_state_get_u64(stopper->state, "count", &count, err), err);
    tk_assert_ok(cairn_state_set_u64(stopper->state, "count", count + 1, err), err);
    if (count + 1 == PATIENCE && !stopper->asks_in_training)
        ask(control);
    return CAIRN_OK;
}

static cairn_status on_train_batch_end(void *self, const cairn_event *event, cairn_control *control,
                                       cairn_error *err)
{
    const struct stopper *const stopper = self;
    if (stopper->asks_in_training && event->step == STOP_STEP)
        ask(control);
    return die(stopper, "on_train_batch_end", event, err);
}

#define DYING(hook)                                                                                \
    static cairn_status hook(void *self, const cairn_event *event, cairn_control *control,         \
                             cairn_error *err)                                                     \
    {                                                                                              \
        (void)control;                                                                             \
        return die(self, #hook, event, err);                                                       \
    }
DYING(on_save_checkpoint)
DYING(on_after_save_checkpoint)
DYING(run_validation)
DYING(on_fit_end)

static const cairn_callback_ops k_stopper = {.struct_size = sizeof(cairn_callback_ops),
                                             .name = "Stopper",
                                             .setup = setup,
                                             .on_train_batch_end = on_train_batch_end,
                                             .on_save_checkpoint = on_save_checkpoint,
                                             .on_after_save_checkpoint = on_after_save_checkpoint,
                                             .run_validation = run_validation,
                                             .on_fit_end = on_fit_end,
                                             .on_log = on_log};

/* ---- Runs ---- */

struct fixture {
    char *dir;
    struct stopper stopper;
    cairn_trainer_options options;
    cairn_fit_result result;
    cairn_error err;
};

static int begin(void **state)
{
    struct fixture *const f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->dir = make_run_folder();
    f->options = run_options(f->dir);
    f->options.loop.max_steps = cairn_int(20);
    f->options.loop.eval_frequency = (cairn_opt_number){.kind = CAIRN_NUMBER_INT, .i = 2};
    f->options.checkpoint.steps = cairn_int(2);
    f->options.checkpoint.asynchronous = false;
    f->options.checkpoint.resume = true;
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

static cairn_status fit(struct fixture *f)
{
    cairn_loader *const train = make_loader();
    cairn_loader *val[] = {make_loader(), make_loader()};
    f->stopper.seen[0] = '\0';
    f->err = (cairn_error){0};
    cairn_fit_result_dispose(&f->result);
    cairn_trainer *const trainer = make_mean_trainer(&f->options, &k_model, 0.1, &f->err);
    tk_assert_ok(
        cairn_trainer_add_callback(trainer, (cairn_callback){&k_stopper, &f->stopper}, &f->err),
        &f->err);
    const cairn_status rc =
        cairn_trainer_fit(trainer, train, val, 2, cairn_ckpt_omitted(), &f->result, &f->err);
    cairn_trainer_destroy(trainer);
    cairn_loader_destroy(val[1]);
    cairn_loader_destroy(val[0]);
    cairn_loader_destroy(train);
    return rc;
}

static void assert_ended_at(const struct fixture *f, uint64_t step)
{
    assert_int_equal(f->result.outcome, CAIRN_OUTCOME_FINISHED);
    assert_int_equal(f->result.step, step);
    assert_string_equal(f->result.reason, "early_stop");
}

/* The same command once more: nothing is done, the folder stays as it is. */
static void assert_stays_ended_at(struct fixture *f, uint64_t step)
{
    char *const before = tk_list(f->dir);
    tk_assert_ok(fit(f), &f->err);
    assert_int_equal(f->result.outcome, CAIRN_OUTCOME_COMPLETE);
    assert_int_equal(f->result.step, step);
    assert_string_equal(f->result.reason, "early_stop");
    assert_string_equal(f->stopper.seen, "");
    tk_assert_list(f->dir, before);
    free(before);
}

static void a_run_that_a_callback_ended_in_a_validation__stays_ended(void **state)
{
    struct fixture *const f = *state;
    tk_assert_ok(fit(f), &f->err);
    assert_ended_at(f, 6);
    assert_string_equal(f->stopper.seen, "2 4 6");
    assert_stays_ended_at(f, 6);
    assert_stays_ended_at(f, 6);
}

static void a_run_that_a_callback_ended_in_training__stays_ended(void **state)
{
    struct fixture *const f = *state;
    f->stopper.asks_in_training = true;
    tk_assert_ok(fit(f), &f->err);
    assert_ended_at(f, STOP_STEP);
    assert_true(tk_exists(f->dir, "checkpoint_5.mdl")); /* beside the schedule */
    assert_stays_ended_at(f, STOP_STEP);
}

static void a_run_that_a_callback_ended__is_trained_on_without_resume(void **state)
{
    struct fixture *const f = *state;
    tk_assert_ok(fit(f), &f->err);
    f->options.checkpoint.resume = false;
    tk_assert_ok(fit(f), &f->err);
    assert_ended_at(f, 8); /* Its state is that of checkpoint_6, from before that validation. */
    assert_string_equal(f->stopper.seen, "8");
    f->options.checkpoint.resume = true;
    assert_stays_ended_at(f, 8);
}

/* Dies at each place where a run can, and goes on: the end is that of a run that did not. */
static void a_callback_that_counts_validations__ends_where_it_does_uninterrupted(void **state)
{
    struct fixture *const f = *state;
    const struct {
        const char *hook;
        uint64_t step;
        const char *seen; /* by the second process */
    } rows[] = {
        {"on_train_batch_end", 3, "2r 4 6"}, /* saved and validated: handed over */
        {"run_validation", 4, "4 6"},        /* saved, not validated: made up for */
        {"on_train_batch_end", 5, "4r 6"},
        {"on_save_checkpoint", 6, "4r 6"},
        {"on_after_save_checkpoint", 6, "6"}, /* saved, not validated */
        {"on_fit_end", 6, ""},                /* over already */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char sub[TK_PATH_SIZE];
        char name[16];
        (void)snprintf(name, sizeof name, "run%zu", i);
        f->options.model_dir = tk_join(sub, f->dir, name);
        f->stopper.dies_in = rows[i].hook;
        f->stopper.dies_at = rows[i].step;
        tk_assert_status(fit(f), CAIRN_ECALLBACK, &f->err);
        f->stopper.dies_in = NULL;
        tk_assert_ok(fit(f), &f->err);
        assert_string_equal(f->stopper.seen, rows[i].seen);
        assert_int_equal(f->result.step, 6);
        assert_string_equal(f->result.reason, "early_stop");
        assert_int_equal(f->result.outcome,
                         rows[i].seen[0] != '\0' ? CAIRN_OUTCOME_FINISHED : CAIRN_OUTCOME_COMPLETE);
    }
}

/* The mark is written first; without the checkpoint of its step it means nothing. */
static void a_run_that_dies_between_its_mark_and_its_last_save__ends_all_the_same(void **state)
{
    struct fixture *const f = *state;
    size_t size = 0;
    f->stopper.asks_in_training = true;
    f->stopper.dies_in = "on_save_checkpoint";
    f->stopper.dies_at = STOP_STEP;
    tk_assert_status(fit(f), CAIRN_ECALLBACK, &f->err);
    char *text = tk_read_file(f->dir, "run.json", &size);
    assert_non_null(strstr(text, "\"complete_reason\": \"early_stop\""));
    free(text);
    f->stopper.dies_in = "on_train_batch_end";
    tk_assert_status(fit(f), CAIRN_ECALLBACK, &f->err);
    text = tk_read_file(f->dir, "run.json", &size);
    assert_null(strstr(text, "complete")); /* It trained on meanwhile. */
    free(text);
    f->stopper.dies_in = NULL;
    tk_assert_ok(fit(f), &f->err);
    assert_ended_at(f, STOP_STEP);
    assert_stays_ended_at(f, STOP_STEP);
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_run_that_a_callback_ended_in_a_validation__stays_ended),
        T(a_run_that_a_callback_ended_in_training__stays_ended),
        T(a_run_that_a_callback_ended__is_trained_on_without_resume),
        T(a_callback_that_counts_validations__ends_where_it_does_uninterrupted),
        T(a_run_that_dies_between_its_mark_and_its_last_save__ends_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
