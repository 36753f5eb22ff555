/*
 * What a start does before its first step: initial weights only where the checkpoint gives none,
 * and what a kill has cut off behind the commit of the checkpoint that the run goes on from.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/try.h"
#include "train/trainer_priv.h"
#include "unit/train/mean.h"

enum { STEPS = 4, LOG_SIZE = 16384 };

struct fixture {
    char *dir;
    tk_fault_os fault;
    char log_text[LOG_SIZE];
    cairn_log log;
    cairn_trainer_options options;
    cairn_ckpt ckpt;
    const char *selects;     /* states that are loaded; NULL: all */
    const char *extra;       /* states of the alternative of each save; NULL: none */
    bool belongs;            /* that it is asked for at the start of a run that goes on */
    uint64_t fails_write_at; /* from the start of the fit on; 0: never */
    char seen[256];          /* "fit_start:checkpoint_4.mdl failed" */
    float weight;            /* at the start of the fit */
    float second;            /* likewise, if the model has it */
    cairn_fit_result result;
    cairn_error err;
};

static void note(struct fixture *f, const char *what, const char *path)
{
    const char *const slash = path != NULL ? strrchr(path, '/') : NULL;
    const size_t used = strlen(f->seen);
    (void)snprintf(f->seen + used, sizeof f->seen - used, "%s%s:%s", used > 0 ? " " : "", what,
                   slash != NULL ? slash + 1 : "none");
}

static cairn_status select_states(void *self, const cairn_event *event, cairn_control *control,
                                  cairn_error *err)
{
    const struct fixture *const f = self;
    (void)control;
    return f->selects != NULL ? cairn_load_select(event->load, f->selects, err) : CAIRN_OK;
}

static cairn_status fit_starts(void *self, const cairn_event *event, cairn_control *control,
                               cairn_error *err)
{
    struct fixture *const f = self;
    (void)control;
    note(f, "start", event->path);
    assert_int_equal(event->path != NULL, event->save != NULL);
    f->weight = *(const float *)s_weight->data;
    f->second = s_has_second ? *(const float *)s_second->data : 0.0F;
    if (f->fails_write_at > 0) {
        tk_fault_reset(&f->fault);
        f->fault.fail_op = 'w';
        f->fault.fail_at = f->fails_write_at;
        f->fault.fail_errno = ENOSPC;
    }
    if (event->save == NULL || !f->belongs)
        return CAIRN_OK;
    return cairn_save_add_extra(event->save, f->extra, "{checkpoint_states}_{ckpt_name}", err);
}

static cairn_status save_starts(void *self, const cairn_event *event, cairn_control *control,
                                cairn_error *err)
{
    const struct fixture *const f = self;
    (void)control;
    if (f->extra == NULL)
        return CAIRN_OK;
    return cairn_save_add_extra(event->save, f->extra, "{checkpoint_states}_{ckpt_name}", err);
}

static cairn_status save_fails(void *self, const cairn_event *event, cairn_control *control,
                               cairn_error *err)
{
    struct fixture *const f = self;
    (void)control;
    (void)err;
    assert_non_null(event->failure);
    assert_non_null(event->cost);
    assert_true(event->failed_saves > 0);
    note(f, "failed", event->path);
    return CAIRN_OK;
}

static const cairn_callback_ops k_script = {.struct_size = sizeof(cairn_callback_ops),
                                            .name = "Script",
                                            .preprocess_checkpoint = select_states,
                                            .on_fit_start = fit_starts,
                                            .on_save_checkpoint = save_starts,
                                            .on_save_exception = save_fails};

static void write_log(void *user, cairn_log_level level, const char *message)
{
    struct fixture *const f = user;
    const size_t used = strlen(f->log_text);
    (void)snprintf(f->log_text + used, sizeof f->log_text - used, "%s: %s\n",
                   cairn_log_level_name(level), message);
}

static int begin(void **state)
{
    struct fixture *const f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->dir = make_run_folder();
    tk_fault_init(&f->fault);
    f->log = (cairn_log){.level = CAIRN_LOG_INFO, .write = write_log, .user = f};
    f->options = run_options(f->dir);
    f->options.log = &f->log;
    f->options.loop.max_steps = cairn_int(STEPS);
    f->options.loop.eval_frequency = (cairn_opt_number){.kind = CAIRN_NUMBER_NULL};
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
    assert_int_equal(tk_fault_open_count(&f->fault), 0);
    tk_fault_dispose(&f->fault);
    free(f);
    return end_run_folder(dir);
}

static cairn_trainer *make(struct fixture *f)
{
    f->log_text[0] = '\0';
    f->seen[0] = '\0';
    f->err = (cairn_error){0};
    s_initialize_calls = 0;
    tk_fault_reset(&f->fault);
    cairn_trainer *const trainer = make_mean_trainer(&f->options, &k_model, 0.0, &f->err);
    trainer->os = &f->fault.os;
    tk_assert_ok(
        cairn_trainer_add_callback(trainer, (cairn_callback){.ops = &k_script, .self = f}, &f->err),
        &f->err);
    return trainer;
}

static cairn_status fit(struct fixture *f)
{
    cairn_trainer *const trainer = make(f);
    cairn_loader *const train = make_loader();
    cairn_fit_result_dispose(&f->result);
    const cairn_status rc =
        cairn_trainer_fit(trainer, train, NULL, 0, f->ckpt, &f->result, &f->err);
    cairn_trainer_destroy(trainer);
    cairn_loader_destroy(train);
    return rc;
}

static void assert_says(const struct fixture *f, const char *text)
{
    if (strstr(f->log_text, text) == NULL)
        fail_msg("'%s' is not in:\n%s", text, f->log_text);
}

/* ---- Initial weights ---- */

static void initial_weights__are_computed_once_for_a_fresh_start(void **state)
{
    struct fixture *const f = *state;
    tk_assert_ok(fit(f), &f->err);
    assert_int_equal(s_initialize_calls, 1);
    assert_true(f->weight == 1.0F); /* the seed */
}

static void initial_weights__are_not_computed_for_a_strict_load(void **state)
{
    struct fixture *const f = *state;
    char path[TK_PATH_SIZE];
    tk_assert_ok(fit(f), &f->err);
    f->options.loop.max_steps = cairn_int(8);
    tk_assert_ok(fit(f), &f->err); /* autoload */
    assert_int_equal(s_initialize_calls, 0);
    assert_true(f->weight != 1.0F);
    f->options.loop.max_steps = cairn_int(12);
    f->options.checkpoint.resume = true;
    tk_assert_ok(fit(f), &f->err);
    assert_int_equal(s_initialize_calls, 0);
    f->options.checkpoint.resume = false;
    f->ckpt =
        (cairn_ckpt){.kind = CAIRN_CKPT_PATH, .path = tk_join(path, f->dir, "checkpoint_4.mdl")};
    f->selects = "model"; /* fine-tuning */
    tk_assert_ok(fit(f), &f->err);
    assert_int_equal(s_initialize_calls, 0);
}

static void initial_weights__are_not_computed_to_validate_a_checkpoint(void **state)
{
    struct fixture *const f = *state;
    cairn_validate_result validated;
    tk_assert_ok(fit(f), &f->err);
    for (int has_checkpoint = 0; has_checkpoint < 2; has_checkpoint++) {
        cairn_trainer *const trainer = make(f);
        cairn_loader *const val = make_loader();
        f->ckpt.kind = has_checkpoint ? CAIRN_CKPT_OMITTED : CAIRN_CKPT_NULL;
        tk_assert_ok(cairn_trainer_validate(trainer, val, f->ckpt, &validated, &f->err), &f->err);
        assert_int_equal(s_initialize_calls, has_checkpoint ? 0 : 1);
        cairn_trainer_destroy(trainer);
        cairn_loader_destroy(val);
    }
}

static void initial_weights__are_computed_where_a_load_may_leave_some_out(void **state)
{
    struct fixture *const f = *state;
    char path[TK_PATH_SIZE];
    tk_assert_ok(fit(f), &f->err);
    f->ckpt =
        (cairn_ckpt){.kind = CAIRN_CKPT_PATH, .path = tk_join(path, f->dir, "checkpoint_4.mdl")};
    f->selects = "optimizer";
    f->options.seed = cairn_int(3);
    tk_assert_ok(fit(f), &f->err);
    assert_int_equal(s_initialize_calls, 1);
    assert_true(f->weight == 3.0F);
    f->selects = NULL;
    f->options.checkpoint.disable_strict_checkpoint_loading = true;
    tk_assert_ok(fit(f), &f->err);
    assert_int_equal(s_initialize_calls, 1);
    assert_true(f->weight != 3.0F); /* The file has it. */
}

static void initial_weights__are_computed_after_all_when_a_tolerant_load_lacks_them(void **state)
{
    struct fixture *const f = *state;
    char path[TK_PATH_SIZE];
    tk_assert_ok(fit(f), &f->err);
    s_has_second = true;
    f->ckpt =
        (cairn_ckpt){.kind = CAIRN_CKPT_PATH, .path = tk_join(path, f->dir, "checkpoint_4.mdl")};
    f->options.seed = cairn_int(3);
    f->options.checkpoint.disable_strict_checkpoint_loading = true;
    const cairn_status rc = fit(f);
    s_has_second = false;
    tk_assert_ok(rc, &f->err);
    assert_true(f->weight != 3.0F);
    assert_true(f->second == 3.0F);
}

/* ---- What a kill has cut off ---- */

/* A run of four steps whose process ended right after the commit of step 4. */
static void cut_off(struct fixture *f)
{
    char path[TK_PATH_SIZE];
    f->extra = "model";
    f->belongs = true;
    tk_assert_ok(fit(f), &f->err);
    assert_string_equal(f->seen, "start:none");
    assert_int_equal(unlink(tk_join(path, f->dir, "model_checkpoint_4.mdl")), 0);
}

static void catch_up__writes_the_alternative_of_a_complete_run_too(void **state)
{
    struct fixture *const f = *state;
    cut_off(f);
    for (int is_resume = 0; is_resume < 2; is_resume++) {
        char path[TK_PATH_SIZE];
        f->options.checkpoint.resume = is_resume != 0;
        tk_assert_ok(fit(f), &f->err);
        assert_int_equal(f->result.outcome, CAIRN_OUTCOME_COMPLETE);
        assert_string_equal(f->seen, "start:checkpoint_4.mdl");
        assert_true(tk_exists(f->dir, "model_checkpoint_4.mdl"));
        assert_says(f, "INFO: The process that saved step 4 ended before");
        assert_int_equal(unlink(tk_join(path, f->dir, "model_checkpoint_4.mdl")), 0);
    }
}

static void catch_up__writes_nothing_twice(void **state)
{
    struct fixture *const f = *state;
    f->extra = "model";
    f->belongs = true;
    tk_assert_ok(fit(f), &f->err);
    char *const before = tk_list(f->dir);
    tk_assert_ok(fit(f), &f->err);
    assert_null(strstr(f->log_text, "Saved checkpoint"));
    tk_assert_list(f->dir, before);
    free(before);
}

static void catch_up__is_not_for_what_another_run_saved(void **state)
{
    struct fixture *const f = *state;
    char path[TK_PATH_SIZE];
    cut_off(f);
    f->ckpt =
        (cairn_ckpt){.kind = CAIRN_CKPT_PATH, .path = tk_join(path, f->dir, "checkpoint_4.mdl")};
    f->selects = "model"; /* So a new run begins. */
    f->extra = NULL;
    f->belongs = false;
    tk_assert_ok(fit(f), &f->err);
    assert_string_equal(f->seen, "start:none");
    assert_false(tk_exists(f->dir, "model_checkpoint_4.mdl"));
}

static void catch_up__that_finds_no_room_does_not_end_a_run_with_steps_left(void **state)
{
    struct fixture *const f = *state;
    cut_off(f);
    f->fails_write_at = 1;
    f->options.checkpoint.resume = true; /* Else run.json would be written first. */
    f->options.loop.max_steps = cairn_int(6);
    tk_assert_ok(fit(f), &f->err);
    assert_string_equal(f->seen, "start:checkpoint_4.mdl failed:checkpoint_4.mdl");
    assert_says(f, "ERROR: What belongs to the checkpoint of step 4 is NOT SAVED.");
    assert_false(tk_exists(f->dir, "model_checkpoint_4.mdl"));
    assert_true(tk_exists(f->dir, "model_checkpoint_6.mdl"));
}

static void catch_up__that_finds_no_room_fails_a_complete_run(void **state)
{
    struct fixture *const f = *state;
    cut_off(f);
    f->fails_write_at = 1;
    tk_assert_status(fit(f), CAIRN_ENOSPACE, &f->err);
    assert_int_equal(cairn_exit_code(f->err.status), 5);
    tk_assert_error_has(&f->err, "model_checkpoint_4.mdl");
    assert_string_equal(f->seen, "start:checkpoint_4.mdl failed:checkpoint_4.mdl");
    f->fails_write_at = 0;
    tk_assert_ok(fit(f), &f->err);
    assert_true(tk_exists(f->dir, "model_checkpoint_4.mdl"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        T(initial_weights__are_computed_once_for_a_fresh_start),
        T(initial_weights__are_not_computed_for_a_strict_load),
        T(initial_weights__are_not_computed_to_validate_a_checkpoint),
        T(initial_weights__are_computed_where_a_load_may_leave_some_out),
        T(initial_weights__are_computed_after_all_when_a_tolerant_load_lacks_them),
        T(catch_up__writes_the_alternative_of_a_complete_run_too),
        T(catch_up__writes_nothing_twice),
        T(catch_up__is_not_for_what_another_run_saved),
        T(catch_up__that_finds_no_room_does_not_end_a_run_with_steps_left),
        T(catch_up__that_finds_no_room_fails_a_complete_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
