/*
 * Saves in the background as the trainer makes them: when they wait, when they are skipped, when
 * callbacks hear of them, and what a failed one does to the run.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/trainer_priv.h"
#include "unit/train/mean.h"

enum { SEEN_SIZE = 1024 };

/* What is done to the gate at a hook of a step. */
typedef struct script_row {
    const char *hook;
    uint64_t step;
    bool is_open;
    int fail_errno;
    uint64_t fail_sync;  /* 0: none */
    cairn_status status; /* of the hook */
} script_row;

typedef struct fixture {
    char *dir;
    tk_gate_os gate;
    const script_row *script; /* ends with a row without a hook */
    char seen[SEEN_SIZE];     /* "save@2 saved@2 failed@4 ..." */
    cairn_status failure;     /* the last that on_save_exception told */
    char lacking[64];         /* failed_saves at the end of each step, as digits */
    cairn_save_cost costs[8]; /* of saves that on_after_save_checkpoint told */
    size_t cost_count;
    cairn_trainer_options options;
    cairn_fit_result result;
    cairn_error err;
} fixture;

static cairn_status act(fixture *f, const char *hook, const cairn_event *event)
{
    for (const script_row *row = f->script; row != NULL && row->hook != NULL; row++) {
        if (strcmp(row->hook, hook) != 0 || row->step != event->step)
            continue;
        if (row->fail_sync > 0)
            tk_gate_fail_sync(&f->gate, row->fail_sync);
        tk_gate_set(&f->gate, row->is_open, row->fail_errno);
        return row->status;
    }
    return CAIRN_OK;
}

static void note(fixture *f, const char *what, const cairn_event *event)
{
    const size_t length = strlen(f->seen);
    (void)snprintf(f->seen + length, sizeof f->seen - length, "%s%s@%d", length > 0 ? " " : "",
                   what, (int)event->step);
}

static cairn_status on_save(void *self, const cairn_event *event, cairn_control *control,
                            cairn_error *err)
{
    (void)control;
    (void)err;
    note(self, "save", event);
    return act(self, "save", event);
}

static cairn_status on_saved(void *self, const cairn_event *event, cairn_control *control,
                             cairn_error *err)
{
    (void)control;
    (void)err;
    fixture *const f = self;
    note(f, "saved", event);
    assert_non_null(event->path);
    assert_int_equal(event->cost->struct_size, sizeof *event->cost);
    if (f->cost_count < sizeof f->costs / sizeof f->costs[0])
        f->costs[f->cost_count++] = *event->cost;
    return act(f, "saved", event);
}

static cairn_status on_failed(void *self, const cairn_event *event, cairn_control *control,
                              cairn_error *err)
{
    fixture *const f = self;
    (void)control;
    (void)err;
    note(f, "failed", event);
    f->failure = event->failure->status;
    assert_int_equal(event->cost->struct_size, sizeof *event->cost);
    assert_true(event->failed_saves > 0);
    return act(f, "failed", event);
}

static cairn_status on_step(void *self, const cairn_event *event, cairn_control *control,
                            cairn_error *err)
{
    fixture *const f = self;
    (void)control;
    const size_t length = strlen(f->lacking);
    if (length + 1 < sizeof f->lacking)
        f->lacking[length] = (char)('0' + event->failed_saves);
    const cairn_status rc = act(f, "step", event);
    if (rc != CAIRN_OK && err != NULL)
        err->status = rc;
    return rc;
}

static const cairn_callback_ops k_script = {.struct_size = sizeof(cairn_callback_ops),
                                            .name = "Script",
                                            .on_save_checkpoint = on_save,
                                            .on_after_save_checkpoint = on_saved,
                                            .on_save_exception = on_failed,
                                            .on_train_batch_end = on_step};

static int begin(void **state)
{
    fixture *const f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->dir = make_run_folder();
    tk_gate_init(&f->gate, crn_os_posix());
    f->gate.is_at_sync = true; /* Else updates, and so the training, would wait for the writer. */
    f->options = run_options(f->dir);
    f->options.loop.eval_frequency = (cairn_opt_number){.kind = CAIRN_NUMBER_NULL};
    *state = f;
    return 0;
}

static int end(void **state)
{
    fixture *const f = *state;
    char *const dir = f->dir;
    cairn_fit_result_dispose(&f->result);
    tk_gate_dispose(&f->gate);
    free(f);
    return end_run_folder(dir);
}

static cairn_status fit(fixture *f, int64_t steps, int64_t save_every, const script_row *script)
{
    cairn_loader *const train = make_loader();
    cairn_loader *val = make_loader();
    f->script = script;
    f->seen[0] = '\0';
    memset(f->lacking, 0, sizeof f->lacking);
    f->cost_count = 0;
    f->options.loop.num_steps = cairn_int(steps);
    f->options.checkpoint.steps = cairn_int(save_every);
    cairn_trainer *const trainer = make_mean_trainer(&f->options, &k_model, 0.0, &f->err);
    trainer->os = &f->gate.os;
    const cairn_callback callback = {&k_script, f};
    tk_assert_ok(cairn_trainer_add_callback(trainer, callback, &f->err), &f->err);
    f->err = (cairn_error){0};
    cairn_fit_result_dispose(&f->result);
    const cairn_status rc =
        cairn_trainer_fit(trainer, train, &val, 1, cairn_ckpt_omitted(), &f->result, &f->err);
    cairn_trainer_destroy(trainer);
    cairn_loader_destroy(val);
    cairn_loader_destroy(train);
    return rc;
}

static uint64_t file_size(const char *dir, const char *name)
{
    size_t size = 0;
    free(tk_read_file(dir, name, &size));
    return size;
}

static void assert_steps(const fixture *f, const char *steps)
{
    char found[128] = "";
    for (int i = 0; i < 20; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "checkpoint_%d.mdl", i);
        if (!tk_exists(f->options.model_dir, name))
            continue;
        const size_t length = strlen(found);
        (void)snprintf(found + length, sizeof found - length, "%s%d", length > 0 ? " " : "", i);
    }
    assert_string_equal(found, steps);
}

static void a_save_is_told_at_a_later_step_and_before_the_end(void **state)
{
    fixture *const f = *state;
    static const script_row k_script_rows[] = {
        {"save", 2, false, 0, 0, CAIRN_OK}, {"step", 4, true, 0, 0, CAIRN_OK}, {.hook = NULL}};
    tk_assert_ok(fit(f, 5, 2, k_script_rows), &f->err);
    assert_non_null(strstr(f->seen, "save@2 saved@2 save@4 saved@4 save@5 saved@5"));
    assert_steps(f, "2 4 5");
    assert_non_null(strstr(f->result.checkpoint, "checkpoint_5.mdl"));
}

static void a_periodic_save_is_skipped_while_one_is_written__when_busy_skip(void **state)
{
    fixture *const f = *state;
    static const script_row k_script_rows[] = {
        {"save", 1, false, 0, 0, CAIRN_OK}, {"step", 4, true, 0, 0, CAIRN_OK}, {.hook = NULL}};
    f->options.checkpoint.when_busy = "skip";
    tk_assert_ok(fit(f, 4, 1, k_script_rows), &f->err);
    assert_string_equal(f->seen, "save@1 saved@1 save@4 saved@4"); /* The last one never is. */
    assert_steps(f, "1 4");
}

static void saves_that_are_waited_for_give_the_same_files(void **state)
{
    fixture *const f = *state;
    char dir[TK_PATH_SIZE];
    size_t size = 0;
    size_t other_size = 0;
    tk_assert_ok(fit(f, 6, 2, NULL), &f->err);
    assert_steps(f, "2 4 6");
    f->options.checkpoint.asynchronous = false;
    f->options.model_dir = tk_join(dir, f->dir, "sync");
    tk_assert_ok(fit(f, 6, 2, NULL), &f->err);
    assert_string_equal(f->seen, "save@2 saved@2 save@4 saved@4 save@6 saved@6");
    for (int i = 2; i <= 6; i += 2) {
        char name[32];
        (void)snprintf(name, sizeof name, "checkpoint_%d.mdl", i);
        char *const one = tk_read_file(f->dir, name, &size);
        char *const other = tk_read_file(dir, name, &other_size);
        assert_int_equal(size, other_size);
        assert_memory_equal(one + size - 4096, other + size - 4096, 4096); /* the data */
        free(one);
        free(other);
    }
}

static void a_validation_during_the_save_is_noted_after_the_commit(void **state)
{
    fixture *const f = *state;
    static const script_row k_script_rows[] = {
        {"save", 2, false, 0, 0, CAIRN_OK}, {"step", 4, true, 0, 0, CAIRN_OK}, {.hook = NULL}};
    char dir[TK_PATH_SIZE];
    char path[TK_PATH_SIZE];
    double loss = 0.0;
    double want = 0.0;
    f->options.loop.eval_frequency = (cairn_opt_number){.kind = CAIRN_NUMBER_INT, .i = 1};
    tk_assert_ok(fit(f, 4, 2, k_script_rows), &f->err);
    assert_true(
        cairn_notes_get_number(tk_join(path, f->dir, "checkpoint_2.mdl"), "val_loss", &loss));
    f->options.checkpoint.asynchronous = false;
    f->options.model_dir = tk_join(dir, f->dir, "sync");
    tk_assert_ok(fit(f, 4, 2, NULL), &f->err);
    assert_true(cairn_notes_get_number(tk_join(path, dir, "checkpoint_2.mdl"), "val_loss", &want));
    assert_true(loss == want);
    assert_true(cairn_notes_get_number(tk_join(path, dir, "checkpoint_4.mdl"), "val_loss", &want));
    assert_true(loss != want);
    assert_true(
        cairn_notes_get_number(tk_join(path, f->dir, "checkpoint_4.mdl"), "val_loss", &loss));
    assert_true(loss == want);
}

static void a_full_disk_does_not_end_the_run(void **state)
{
    fixture *const f = *state;
    static const script_row k_script_rows[] = {{"save", 2, true, ENOSPC, 0, CAIRN_OK},
                                               {"failed", 2, true, 0, 0, CAIRN_OK},
                                               {.hook = NULL}};
    for (int i = 0; i < 2; i++) {
        char dir[TK_PATH_SIZE];
        f->options.checkpoint.asynchronous = i == 0;
        f->options.model_dir = i == 0 ? f->dir : tk_join(dir, f->dir, "sync");
        tk_assert_ok(fit(f, 6, 2, k_script_rows), &f->err);
        assert_string_equal(f->seen, "save@2 failed@2 save@4 saved@4 save@6 saved@6");
        assert_int_equal(f->failure, CAIRN_ENOSPACE);
        if (i == 1) /* In the background it is told a step later or so. */
            assert_string_equal(f->lacking, "001100");
        assert_steps(f, "4 6");
    }
}

static void three_failures_in_a_row_end_the_run(void **state)
{
    fixture *const f = *state;
    static const script_row k_script_rows[] = {{"save", 2, true, EIO, 0, CAIRN_OK}, {.hook = NULL}};
    for (int i = 0; i < 2; i++) {
        char dir[TK_PATH_SIZE];
        f->options.checkpoint.asynchronous = i == 0;
        f->options.model_dir = i == 0 ? f->dir : tk_join(dir, f->dir, "sync");
        tk_assert_status(fit(f, 100, 1, k_script_rows), CAIRN_EIO, &f->err);
        tk_assert_error_has(&f->err, "3 saves in a row failed");
        assert_int_equal(cairn_exit_code(f->err.status), 5);
        assert_string_equal(f->seen, "save@1 saved@1 save@2 failed@2 save@3 failed@3 save@4 "
                                     "failed@4");
        assert_steps(f, "1");
        assert_non_null(strstr(f->result.checkpoint, "checkpoint_1.mdl"));
        tk_gate_set(&f->gate, true, 0);
    }
}

static void a_last_save_that_fails_ends_the_run(void **state)
{
    fixture *const f = *state;
    static const script_row k_script_rows[] = {{"save", 4, true, ENOSPC, 0, CAIRN_OK},
                                               {.hook = NULL}};
    tk_assert_status(fit(f, 4, 2, k_script_rows), CAIRN_ENOSPACE, &f->err);
    tk_assert_error_has(&f->err, "save step 4");
    assert_string_equal(f->seen, "save@2 saved@2 save@4 failed@4");
    assert_steps(f, "2");
    assert_non_null(strstr(f->result.checkpoint, "checkpoint_2.mdl"));
}

/* With a clock by which each write takes 50 ms, and no more. */
static int64_t s_now_ns;

static int64_t slow_clock(const crn_os *os)
{
    (void)os;
    return s_now_ns;
}

static int slow_write(const crn_os *os, int fd, const void *buf, size_t size, uint64_t offset)
{
    s_now_ns += INT64_C(50000000);
    return crn_os_posix()->write_at(os, fd, buf, size, offset);
}

static void what_a_save_took_is_told(void **state)
{
    fixture *const f = *state;
    f->gate.os.monotonic_ns = slow_clock;
    f->gate.os.write_at = slow_write;
    f->options.checkpoint.asynchronous = false;
    tk_assert_ok(fit(f, 4, 2, NULL), &f->err);
    assert_int_equal(f->cost_count, 2);
    const cairn_save_cost *const first = &f->costs[0];
    const cairn_save_cost *const second = &f->costs[1];
    const uint64_t bytes = file_size(f->dir, "checkpoint_2.mdl");
    assert_int_equal(first->bytes, bytes);
    assert_true(first->blocked_ms >= 100.0); /* data and header; the index comes after */
    assert_true(first->background_ms == 0.0);
    assert_true(fabs(first->gb_per_s * first->blocked_ms / (double)bytes * 1e6 - 1.0) < 1e-6);
    assert_true(first->percent_of_fastest == 0.0);
    assert_true(second->percent_of_fastest > 0.0 && second->percent_of_fastest <= 100.0);
}

static void a_save_in_the_background_tells_its_time_there(void **state)
{
    fixture *const f = *state;
    tk_assert_ok(fit(f, 4, 2, NULL), &f->err);
    assert_int_equal(f->cost_count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_true(f->costs[i].background_ms > 0.0);
        const double rate = (double)f->costs[i].bytes / 1e6 / f->costs[i].background_ms;
        assert_true(fabs(f->costs[i].gb_per_s / rate - 1.0) < 1e-6);
    }
}

static void an_unknown_outcome_is_not_saved(void **state)
{
    fixture *const f = *state;
    /* The file's own fsync is the first; the folder's fails. */
    static const script_row k_script_rows[] = {{"save", 2, true, 0, 2, CAIRN_OK}, {.hook = NULL}};
    tk_assert_ok(fit(f, 4, 2, k_script_rows), &f->err);
    assert_string_equal(f->seen, "save@2 failed@2 save@4 saved@4");
    assert_int_equal(f->failure, CAIRN_EUNKNOWN);
    assert_steps(f, "2 4"); /* It is there all the same. */
}

static void a_run_that_fails_leaves_no_save_unfinished(void **state)
{
    fixture *const f = *state;
    static const script_row k_script_rows[] = {{"save", 2, false, 0, 0, CAIRN_OK},
                                               {"step", 3, true, 0, 0, CAIRN_ECALLBACK},
                                               {.hook = NULL}};
    tk_assert_status(fit(f, 4, 2, k_script_rows), CAIRN_ECALLBACK, &f->err);
    assert_string_equal(f->seen, "save@2");
    assert_steps(f, "2");
    assert_non_null(strstr(f->result.checkpoint, "checkpoint_2.mdl"));
    char *const names = tk_list(f->dir);
    assert_null(strstr(names, ".part"));
    free(names);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        T(a_save_is_told_at_a_later_step_and_before_the_end),
        T(a_periodic_save_is_skipped_while_one_is_written__when_busy_skip),
        T(saves_that_are_waited_for_give_the_same_files),
        T(a_validation_during_the_save_is_noted_after_the_commit),
        T(a_full_disk_does_not_end_the_run),
        T(three_failures_in_a_row_end_the_run),
        T(a_last_save_that_fails_ends_the_run),
        T(what_a_save_took_is_told),
        T(a_save_in_the_background_tells_its_time_there),
        T(an_unknown_outcome_is_not_saved),
        T(a_run_that_fails_leaves_no_save_unfinished),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
