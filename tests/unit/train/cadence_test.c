/*
 * Saves by the clock and on request, the plan against the disk, starts that finish no step. The
 * trainer's operating system is one whose clock and disk the test sets; files are real.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "train/trainer_priv.h"
#include "unit/train/mean.h"

enum { LOG_SIZE = 32768 };

static const int64_t k_second_ns = INT64_C(1000000000);

struct fixture {
    char *dir;
    tk_fault_os fault;
    char log_text[LOG_SIZE];
    cairn_log log;
    cairn_trainer_options options;
    cairn_ckpt ckpt;
    cairn_fit_result result;
    cairn_error err;
    cairn_callback extra; /* added if it has ops */

    /* What happens at the end of a step. */
    int64_t seconds_a_step;
    uint64_t touches_at; /* makes save-now */
    uint64_t signals_at; /* save_requested is true */
    bool is_signalled;
    uint64_t stops_at; /* asks to stop before the next */
    uint64_t dies_at;  /* the hook fails before this step's update; 0: never */
    cairn_status dies_of;
    int64_t save_seconds; /* what a save takes on the fake clock */
    uint64_t stops_before_start;
};

static uint64_t s_free_bytes;
static int s_free_error;

static int free_bytes(const crn_os *os, int dir, uint64_t *out)
{
    (void)os;
    assert_true(dir >= 0);
    *out = s_free_bytes;
    return s_free_error;
}

static void write_log(void *user, cairn_log_level level, const char *message)
{
    struct fixture *const f = user;
    const size_t used = strlen(f->log_text);
    (void)snprintf(f->log_text + used, sizeof f->log_text - used, "%s: %s\n",
                   cairn_log_level_name(level), message);
}

static bool save_requested(void *user)
{
    struct fixture *const f = user;
    const bool is_asked = f->is_signalled;
    f->is_signalled = false;
    return is_asked;
}

static const char *stop_requested(void *user)
{
    const struct fixture *const f = user;
    return f->stops_before_start > 0 ? "SIGTERM" : NULL;
}

static cairn_status at_step_end(void *self, const cairn_event *event, cairn_control *control,
                                cairn_error *err)
{
    struct fixture *const f = self;
    (void)err;
    f->fault.monotonic_ns += f->seconds_a_step * k_second_ns;
    if (event->step == f->touches_at)
        tk_write_text(f->dir, CAIRN_SAVE_NOW_FILE, "");
    f->is_signalled = event->step == f->signals_at;
    if (event->step == f->stops_at) {
        control->stop = true;
        control->reason = "enough";
    }
    return CAIRN_OK;
}

static cairn_status before_update(void *self, const cairn_event *event, cairn_control *control,
                                  cairn_error *err)
{
    const struct fixture *const f = self;
    (void)control;
    if (f->dies_at == 0 || event->step + 1 != f->dies_at)
        return CAIRN_OK;
    if (err != NULL)
        err->status = f->dies_of;
    return f->dies_of;
}

static cairn_status after_save(void *self, const cairn_event *event, cairn_control *control,
                               cairn_error *err)
{
    struct fixture *const f = self;
    (void)event;
    (void)control;
    (void)err;
    f->fault.monotonic_ns += f->save_seconds * k_second_ns;
    return CAIRN_OK;
}

static const cairn_callback_ops k_script = {.struct_size = sizeof(cairn_callback_ops),
                                            .name = "Script",
                                            .on_before_optimizer_step = before_update,
                                            .on_train_batch_end = at_step_end,
                                            .on_after_save_checkpoint = after_save};

static int begin(void **state)
{
    struct fixture *const f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->dir = make_run_folder();
    tk_fault_init(&f->fault);
    f->fault.is_clock_fake = true;
    f->fault.os.free_bytes = free_bytes;
    s_free_bytes = UINT64_MAX;
    s_free_error = 0;
    f->log = (cairn_log){.level = CAIRN_LOG_INFO, .write = write_log, .user = f};
    f->options = run_options(f->dir);
    f->options.log = &f->log;
    f->options.loop.max_steps = cairn_int(12);
    f->options.checkpoint.asynchronous = false; /* The clock is the test's. */
    f->options.loop.eval_frequency = (cairn_opt_number){.kind = CAIRN_NUMBER_NULL};
    f->options.save_requested = save_requested;
    f->options.stop_requested = stop_requested;
    f->options.user = f;
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

/* A whole fit; the log begins anew. */
static cairn_status fit(struct fixture *f)
{
    cairn_loader *const train = make_loader();
    f->log_text[0] = '\0';
    f->err = (cairn_error){0};
    cairn_fit_result_dispose(&f->result);
    cairn_trainer *const trainer = make_mean_trainer(&f->options, &k_model, 0.0, &f->err);
    trainer->os = &f->fault.os;
    tk_assert_ok(
        cairn_trainer_add_callback(trainer, (cairn_callback){.ops = &k_script, .self = f}, &f->err),
        &f->err);
    if (f->extra.ops != NULL)
        tk_assert_ok(cairn_trainer_add_callback(trainer, f->extra, &f->err), &f->err);
    const cairn_status rc =
        cairn_trainer_fit(trainer, train, NULL, 0, f->ckpt, &f->result, &f->err);
    cairn_trainer_destroy(trainer);
    cairn_loader_destroy(train);
    return rc;
}

/* Steps of the checkpoints that are there: "3 6 12". */
static void assert_saved(const struct fixture *f, const char *want)
{
    char got[256] = "";
    for (int step = 0; step <= 20; step++) {
        char name[32];
        const size_t used = strlen(got);
        (void)snprintf(name, sizeof name, "checkpoint_%d.mdl", step);
        if (tk_exists(f->dir, name))
            (void)snprintf(got + used, sizeof got - used, "%s%d", used > 0 ? " " : "", step);
    }
    assert_string_equal(got, want);
}

static bool says(const struct fixture *f, const char *text)
{
    return strstr(f->log_text, text) != NULL;
}

static void assert_says(const struct fixture *f, const char *text)
{
    if (!says(f, text))
        fail_msg("'%s' is not in:\n%s", text, f->log_text);
}

/* ---- The clock ---- */

static void minutes__save_at_the_first_step_end_when_they_have_passed(void **state)
{
    struct fixture *const f = *state;
    f->options.checkpoint.minutes = cairn_float(1.0);
    f->seconds_a_step = 25; /* 25, 50, 75: the third */
    tk_assert_ok(fit(f), &f->err);
    assert_saved(f, "3 6 9 12");
    assert_says(f, "plan: besides a save when 1 minutes have passed since the last");
    assert_false(says(f, "the end will not be saved"));
}

static void minutes__count_from_the_end_of_the_last_save_of_any_kind(void **state)
{
    struct fixture *const f = *state;
    f->options.checkpoint.minutes = cairn_float(1.0);
    f->options.checkpoint.steps = cairn_int(4);
    f->seconds_a_step = 20;
    f->save_seconds = 45; /* Longer than what is left of the minute. */
    tk_assert_ok(fit(f), &f->err);
    /* 3 by the clock, 4 by the schedule, 7 by the clock ... */
    assert_saved(f, "3 4 7 8 11 12");
}

static void minutes__save_the_last_step_too(void **state)
{
    struct fixture *const f = *state;
    f->options.checkpoint.minutes = cairn_float(60.0);
    f->seconds_a_step = 1;
    tk_assert_ok(fit(f), &f->err);
    assert_saved(f, "12");
    assert_string_equal(f->result.reason, "max_steps");
    assert_false(says(f, "the end was not saved"));
}

static void minutes__save_a_run_that_a_callback_ends(void **state)
{
    struct fixture *const f = *state;
    f->options.checkpoint.minutes = cairn_float(60.0);
    f->stops_at = 5;
    tk_assert_ok(fit(f), &f->err);
    assert_saved(f, "5");
}

static void minutes__of_zero_or_null_do_nothing(void **state)
{
    struct fixture *const f = *state;
    f->options.checkpoint.minutes = cairn_float(0.0);
    f->seconds_a_step = 3600;
    tk_assert_ok(fit(f), &f->err);
    assert_saved(f, "");
    assert_says(f, "the end will not be saved");
    assert_says(f, "the end was not saved");
}

static void minutes__that_make_no_sense_are_refused(void **state)
{
    struct fixture *const f = *state;
    f->options.checkpoint.minutes = cairn_float(-1.0);
    tk_assert_status(fit(f), CAIRN_ECONFIG, &f->err);
    f->options.checkpoint.minutes = cairn_float((double)NAN);
    tk_assert_status(fit(f), CAIRN_ECONFIG, &f->err);
    tk_assert_error_has(&f->err, "checkpoint.minutes is nan");
}

/* ---- Requests ---- */

static void save_now__saves_at_the_next_step_end_and_is_gone(void **state)
{
    struct fixture *const f = *state;
    f->touches_at = 5;
    tk_assert_ok(fit(f), &f->err);
    assert_saved(f, "5");
    assert_false(tk_exists(f->dir, "save-now"));
    assert_false(tk_exists(f->dir, ".save-now.taken"));
    assert_says(f, "save-now' asks for a checkpoint");
}

static void save_now__from_before_the_start_is_answered_by_the_first_step(void **state)
{
    struct fixture *const f = *state;
    tk_write_text(f->dir, "save-now", "");
    tk_assert_ok(fit(f), &f->err);
    assert_saved(f, "1");
}

static void save_now__at_a_step_that_is_saved_anyway_saves_once(void **state)
{
    struct fixture *const f = *state;
    f->options.checkpoint.steps = cairn_int(6);
    f->touches_at = 6;
    f->signals_at = 6;
    tk_assert_ok(fit(f), &f->err);
    assert_saved(f, "6 12");
    assert_false(tk_exists(f->dir, ".save-now.taken"));
}

static void save_now__of_a_process_that_died_in_its_save_is_not_lost(void **state)
{
    struct fixture *const f = *state;
    tk_write_text(f->dir, ".save-now.taken", "");
    tk_assert_ok(fit(f), &f->err);
    assert_saved(f, "1");
    assert_false(tk_exists(f->dir, ".save-now.taken"));
}

static void a_signal_saves_and_sets_the_clock_back(void **state)
{
    struct fixture *const f = *state;
    f->options.checkpoint.minutes = cairn_float(1.0);
    f->seconds_a_step = 20;
    f->signals_at = 2;
    tk_assert_ok(fit(f), &f->err);
    assert_saved(f, "2 5 8 11 12");
}

/* ---- The disk ---- */

struct planned {
    uint64_t keep;
    uint64_t every;
    uint64_t extra_every;
    uint64_t extra_count; /* as many of them */
};

static cairn_status tell_plan(void *self, const cairn_event *event, cairn_control *control,
                              cairn_error *err)
{
    const struct planned *const planned = self;
    (void)control;
    (void)err;
    cairn_trainer_plan_keep(event->trainer, planned->keep);
    cairn_trainer_plan_keep_every(event->trainer, planned->every);
    for (uint64_t i = 0; i < planned->extra_count; i++)
        cairn_trainer_plan_extra(event->trainer, planned->extra_every, "model");
    return CAIRN_OK;
}

static const cairn_callback_ops k_planner = {
    .struct_size = sizeof(cairn_callback_ops), .name = "Planner", .setup = tell_plan};

static uint64_t size_of(const struct fixture *f, const char *name)
{
    size_t size = 0;
    free(tk_read_file(f->dir, name, &size));
    return size;
}

/* The size of a checkpoint of this run, from a run in a folder of its own. */
static uint64_t learn_size(struct fixture *f)
{
    f->options.checkpoint.steps = cairn_int(12);
    tk_assert_ok(fit(f), &f->err);
    const uint64_t size = size_of(f, "checkpoint_12.mdl");
    char path[TK_PATH_SIZE];
    assert_int_equal(unlink(tk_join(path, f->dir, "checkpoint_12.mdl")), 0);
    assert_int_equal(unlink(tk_join(path, f->dir, "run.json")), 0);
    return size;
}

static void disk__too_small_for_one_checkpoint_ends_the_run_before_its_first_step(void **state)
{
    struct fixture *const f = *state;
    char want[128];
    const uint64_t size = learn_size(f);
    s_free_bytes = size - 1;
    tk_assert_status(fit(f), CAIRN_ENOSPACE, &f->err);
    assert_int_equal(cairn_exit_code(f->err.status), 5);
    (void)snprintf(want, sizeof want, "(%llu bytes), but a single save takes",
                   (unsigned long long)size - 1);
    tk_assert_error_has(&f->err, want);
    (void)snprintf(want, sizeof want, "(%llu bytes); make room", (unsigned long long)size);
    tk_assert_error_has(&f->err, want);
    assert_int_equal(f->result.step, 0);
    assert_false(tk_exists(f->dir, "run.json"));
    s_free_bytes = size;
    tk_assert_ok(fit(f), &f->err);
    assert_saved(f, "12");
    assert_false(says(f, "the disk may get full"));
}

static void disk__too_small_for_the_plan_is_a_warning(void **state)
{
    struct fixture *const f = *state;
    char want[128];
    const uint64_t size = learn_size(f);
    f->options.checkpoint.steps = cairn_int(4);
    s_free_bytes = 3 * size - 1;
    tk_assert_ok(fit(f), &f->err);
    assert_says(f, "WARNING: the disk may get full");
    (void)snprintf(want, sizeof want, "(%llu bytes); KeepNCheckpoints bounds it",
                   (unsigned long long)(3 * size));
    assert_says(f, want);
    assert_saved(f, "4 8 12");
}

static void disk__that_cannot_tell_is_not_asked_again(void **state)
{
    struct fixture *const f = *state;
    (void)learn_size(f);
    s_free_bytes = 0;
    s_free_error = EOPNOTSUPP;
    tk_assert_ok(fit(f), &f->err);
    assert_saved(f, "12");
}

static void disk__does_not_matter_to_a_run_that_saves_nothing(void **state)
{
    struct fixture *const f = *state;
    s_free_bytes = 0;
    tk_assert_ok(fit(f), &f->err);
}

/* Saves at 1 to 12; what is there before: checkpoints of the same run. */
static void plan__counts_what_stays(void **state)
{
    static const struct {
        struct planned planned;
        uint64_t checkpoints; /* at most more on disk */
    } k_rows[] = {
        {{.keep = 0}, 12},
        {{.keep = 3}, 4},
        {{.keep = 100}, 12},
        {{.keep = UINT64_MAX}, 12},
        {{.keep = 3, .every = 5}, 7}, /* 5 and 10, and one that may be counted twice */
        {{.keep = 1, .every = 1}, 12},
    };
    struct fixture *const f = *state;
    const uint64_t size = learn_size(f);
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        struct planned planned = k_rows[i].planned;
        char want[128];
        f->options.checkpoint.steps = cairn_int(1);
        f->options.loop.max_steps = cairn_int(12);
        f->extra = (cairn_callback){.ops = &k_planner, .self = &planned};
        f->ckpt = (cairn_ckpt){.kind = CAIRN_CKPT_NULL};
        s_free_bytes = size;
        f->dies_at = 1;
        f->dies_of = CAIRN_ECONFIG;
        tk_assert_status(fit(f), CAIRN_ECONFIG, &f->err);
        (void)snprintf(want, sizeof want, "(%llu bytes); KeepN",
                       (unsigned long long)(size * k_rows[i].checkpoints));
        assert_says(f, want);
    }
}

static void plan__counts_what_is_there_and_goes(void **state)
{
    struct fixture *const f = *state;
    char want[128];
    char path[TK_PATH_SIZE];
    struct planned planned = {.keep = 3};
    f->options.checkpoint.steps = cairn_int(1);
    f->options.loop.max_steps = cairn_int(2);
    tk_assert_ok(fit(f), &f->err);
    assert_saved(f, "1 2");
    const uint64_t size = size_of(f, "checkpoint_2.mdl");
    tk_assert_ok(cairn_checkpoint_pin(tk_join(path, f->dir, "checkpoint_1.mdl"), true, &f->err),
                 &f->err);
    f->extra = (cairn_callback){.ops = &k_planner, .self = &planned};
    f->options.loop.max_steps = cairn_int(12);
    f->stops_at = 3;
    s_free_bytes = size;
    tk_assert_ok(fit(f), &f->err);
    /* Of four at a time one is there already; the pinned one does not make room. */
    (void)snprintf(want, sizeof want, "(%llu bytes); KeepN", (unsigned long long)(3 * size));
    assert_says(f, want);
}

static void plan__counts_alternatives_exactly(void **state)
{
    struct fixture *const f = *state;
    struct planned planned = {.extra_every = 2, .extra_count = 1};
    char want[128];
    const uint64_t size = learn_size(f);
    f->extra = (cairn_callback){.ops = &k_planner, .self = &planned};
    f->options.checkpoint.steps = cairn_int(4);
    s_free_bytes = size;
    tk_assert_status(fit(f), CAIRN_ENOSPACE, &f->err); /* The last save writes both. */
    (void)snprintf(want, sizeof want, "(%llu bytes), but", (unsigned long long)size);
    tk_assert_error_has(&f->err, want);
    s_free_bytes = 2 * size; /* An alternative with fewer states is smaller. */
    tk_assert_ok(fit(f), &f->err);
    assert_says(f, "the disk may get full"); /* Three, and two alternatives. */
}

/* What the first save takes, as a start says for which there is no room. */
static uint64_t needed(struct fixture *f)
{
    static const char k_before[] = "but a single save takes ";
    char text[1024];
    s_free_bytes = 1;
    tk_assert_status(fit(f), CAIRN_ENOSPACE, &f->err);
    (void)cairn_error_format(&f->err, text, sizeof text);
    const char *const takes = strstr(text, k_before);
    assert_non_null(takes);
    return strtoull(strchr(takes, '(') + 1, NULL, 10);
}

static void plan__counts_every_callback_that_writes_alternatives(void **state)
{
    struct fixture *const f = *state;
    struct planned planned = {.extra_every = 2, .extra_count = 1};
    char want[128];
    const uint64_t size = learn_size(f);
    f->extra = (cairn_callback){.ops = &k_planner, .self = &planned};
    f->options.checkpoint.steps = cairn_int(4);
    const uint64_t extra = needed(f) - size;
    assert_true(extra > 0 && extra < size);
    planned.extra_count = 3;
    assert_int_equal(needed(f), size + 3 * extra);
    s_free_bytes = size + 3 * extra;
    tk_assert_ok(fit(f), &f->err);
    /* Three saves; each callback acts at the second and at the last. */
    (void)snprintf(want, sizeof want, "(%llu bytes); KeepN",
                   (unsigned long long)(3 * size + 6 * extra));
    assert_says(f, want);
}

/* How often "an hour" is said. */
static unsigned times_told(const struct fixture *f)
{
    unsigned count = 0;
    for (const char *at = f->log_text; (at = strstr(at, " an hour, ")) != NULL; at++)
        count++;
    return count;
}

static void plan__tells_what_is_written_an_hour_as_soon_as_that_is_known(void **state)
{
    static const struct {
        int64_t steps; /* 0: null */
        double minutes;
        int64_t seconds_a_step;
        uint64_t last_step;
        double saves_an_hour; /* 0: nothing is told */
        const char *why;
    } k_rows[] = {
        {4, 0, 25, 12, 36, "(a save every 4 steps of 25 s)"},
        {4, 1, 10, 12, 90, "(a save every 4 steps of 10 s)"}, /* the clock never comes first */
        {4, 1, 35, 12, 3.0 * 3600 / 140, "(a save every 4 steps of 35 s, and those by the clock)"},
        {0, 5, 25, 12, 12, "(a save every 5 minutes)"},
        {4, 0, 25, 1, 0, NULL}, /* The first step is not typical. */
        {0, 0, 25, 12, 0, NULL},
        {4, 0, 0, 12, 0, NULL}, /* A clock that stands still. */
    };
    struct fixture *const f = *state;
    const double size = (double)learn_size(f);
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        char want[160];
        char hour[32];
        char day[32];
        const double bytes = size * k_rows[i].saves_an_hour;
        f->options.checkpoint.steps =
            k_rows[i].steps > 0 ? cairn_int(k_rows[i].steps) : (cairn_opt_int){0};
        f->options.checkpoint.minutes = cairn_float(k_rows[i].minutes);
        f->options.loop.max_steps = cairn_int((int64_t)k_rows[i].last_step);
        f->seconds_a_step = k_rows[i].seconds_a_step;
        f->ckpt = (cairn_ckpt){.kind = CAIRN_CKPT_NULL};
        tk_assert_ok(fit(f), &f->err);
        assert_int_equal(times_told(f), k_rows[i].why != NULL);
        if (k_rows[i].why == NULL)
            continue;
        (void)snprintf(want, sizeof want, "INFO: plan: saves write up to %s an hour, %s a day %s\n",
                       crn_format_bytes((uint64_t)bytes, hour),
                       crn_format_bytes((uint64_t)(bytes * 24.0), day), k_rows[i].why);
        assert_says(f, want);
    }
}

static void plan__counts_alternatives_in_what_is_written(void **state)
{
    struct fixture *const f = *state;
    struct planned planned = {.extra_every = 2, .extra_count = 3};
    char want[160];
    char hour[32];
    const uint64_t size = learn_size(f);
    f->extra = (cairn_callback){.ops = &k_planner, .self = &planned};
    f->options.checkpoint.minutes = cairn_float(60.0);
    f->options.checkpoint.steps = (cairn_opt_int){0};
    const uint64_t extra = (needed(f) - size) / 3;
    s_free_bytes = UINT64_MAX;
    tk_assert_ok(fit(f), &f->err);
    (void)snprintf(want, sizeof want, "write up to %s an hour",
                   crn_format_bytes(size + 3 * extra / 2, hour));
    assert_says(f, want);
}

/* ---- Starts that finish no step ---- */

/* A run of four steps, saved at 2 and 4, that is to go on to 8. */
static void begin_run(struct fixture *f)
{
    f->options.checkpoint.steps = cairn_int(2);
    f->options.loop.max_steps = cairn_int(4);
    tk_assert_ok(fit(f), &f->err);
    assert_saved(f, "2 4");
    f->options.loop.max_steps = cairn_int(8);
}

static void fail_start(struct fixture *f, cairn_status status)
{
    f->dies_at = 5;
    f->dies_of = status;
    tk_assert_status(fit(f), status, &f->err);
    f->dies_at = 0;
}

static void assert_starts(const struct fixture *f, double want)
{
    char path[TK_PATH_SIZE];
    double starts = 0.0;
    (void)cairn_notes_get_number(tk_join(path, f->dir, "checkpoint_4.mdl"), "starts", &starts);
    assert_true(starts == want);
}

static void starts__three_that_finish_no_step_are_told_loudly(void **state)
{
    struct fixture *const f = *state;
    begin_run(f);
    for (int i = 1; i <= 3; i++) {
        fail_start(f, CAIRN_EDEVICE);
        assert_starts(f, i);
        assert_false(says(f, "THE LAST"));
    }
    char *const before = tk_list(f->dir);
    fail_start(f, CAIRN_EDEVICE);
    assert_says(f, "ERROR: THE LAST 3 STARTS from ");
    assert_says(f, "checkpoint_4.mdl ended before they had finished a step");
    assert_says(f, "The next older one is ");
    assert_says(f, "checkpoint_2.mdl (step 2). To go on from it, name it as ckpt_path");
    tk_assert_list(f->dir, before);
    free(before);
    assert_starts(f, 4);
    /* One that works takes it all back. */
    f->stops_at = 5;
    tk_assert_ok(fit(f), &f->err);
    assert_says(f, "THE LAST 4 STARTS");
    assert_false(tk_exists(f->dir, "checkpoint_4.mdl.notes.json"));
    f->ckpt = (cairn_ckpt){.kind = CAIRN_CKPT_PATH};
    char path[TK_PATH_SIZE];
    f->ckpt.path = tk_join(path, f->dir, "checkpoint_4.mdl");
    tk_assert_ok(fit(f), &f->err);
    assert_false(says(f, "THE LAST"));
}

static void starts__of_the_oldest_name_no_other(void **state)
{
    struct fixture *const f = *state;
    char path[TK_PATH_SIZE];
    begin_run(f);
    assert_int_equal(unlink(tk_join(path, f->dir, "checkpoint_2.mdl")), 0);
    for (int i = 0; i < 4; i++)
        fail_start(f, CAIRN_ENOMEM);
    assert_says(f, "There is no older one of its run.");
}

static void starts__that_failed_for_other_reasons_do_not_count(void **state)
{
    static const cairn_status k_others[] = {CAIRN_ECONFIG, CAIRN_EDATA, CAIRN_ENOSPACE,
                                            CAIRN_EINCOMPATIBLE};
    struct fixture *const f = *state;
    begin_run(f);
    fail_start(f, CAIRN_EDEVICE);
    for (size_t i = 0; i < sizeof k_others / sizeof k_others[0]; i++) {
        fail_start(f, k_others[i]);
        assert_starts(f, 1);
    }
    f->stops_before_start = 1;
    tk_assert_ok(fit(f), &f->err);
    assert_int_equal(f->result.outcome, CAIRN_OUTCOME_STOPPED);
    assert_starts(f, 1);
    f->stops_before_start = 0;
    f->options.loop.max_steps = cairn_int(4);
    tk_assert_ok(fit(f), &f->err);
    assert_int_equal(f->result.outcome, CAIRN_OUTCOME_COMPLETE);
    assert_starts(f, 1);
}

static void starts__from_a_file_elsewhere_write_nothing_beside_it(void **state)
{
    struct fixture *const f = *state;
    char model_dir[TK_PATH_SIZE];
    char path[TK_PATH_SIZE];
    begin_run(f);
    char *const before = tk_list(f->dir);
    f->options.model_dir = tk_join(model_dir, f->dir, "other");
    f->ckpt =
        (cairn_ckpt){.kind = CAIRN_CKPT_PATH, .path = tk_join(path, f->dir, "checkpoint_4.mdl")};
    fail_start(f, CAIRN_EDEVICE);
    assert_starts(f, 0);
    tk_remove_tree(model_dir);
    tk_assert_list(f->dir, before);
    free(before);
}

static void max_time__stops_the_run_saved_before_it_is_over(void **state)
{
    struct fixture *const f = *state;
    f->options.loop.max_time = "1m40s";
    f->options.checkpoint.steps = cairn_int(100);
    f->seconds_a_step = 10;
    tk_assert_ok(fit(f), &f->err);
    assert_int_equal(f->result.outcome, CAIRN_OUTCOME_STOPPED);
    assert_string_equal(f->result.reason, "max_time");
    /* 90 s are used; a step more would take 10, and 3 are kept free. */
    assert_int_equal(f->result.step, 9);
    assert_true(tk_exists(f->dir, "checkpoint_9.mdl"));
    f->options.checkpoint.resume = true;
    tk_assert_ok(fit(f), &f->err);
    assert_int_equal(f->result.outcome, CAIRN_OUTCOME_FINISHED);
    assert_int_equal(f->result.step, 12);
}

static void max_time__counts_from_when_the_program_began(void **state)
{
    struct fixture *const f = *state;
    f->options.loop.max_time = "100";
    f->seconds_a_step = 10;
    f->fault.monotonic_ns = 50 * k_second_ns;
    f->options.clock_start_ns = 20 * k_second_ns;
    tk_assert_ok(fit(f), &f->err);
    assert_int_equal(f->result.step, 6);
}

static void max_time__that_cannot_be_read_is_refused(void **state)
{
    struct fixture *const f = *state;
    f->options.loop.max_time = "soon";
    tk_assert_status(fit(f), CAIRN_ECONFIG, &f->err);
    tk_assert_error_has(&f->err, "max_time is 'soon'");
    tk_assert_list(f->dir, "");
}

static void a_stop_before_the_start__loads_and_writes_nothing(void **state)
{
    struct fixture *const f = *state;
    f->stops_before_start = 1;
    tk_assert_ok(fit(f), &f->err);
    assert_int_equal(f->result.outcome, CAIRN_OUTCOME_STOPPED);
    assert_string_equal(f->result.reason, "SIGTERM");
    assert_null(f->result.checkpoint);
    assert_false(tk_exists(f->dir, "run.json"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        T(minutes__save_at_the_first_step_end_when_they_have_passed),
        T(minutes__count_from_the_end_of_the_last_save_of_any_kind),
        T(minutes__save_the_last_step_too),
        T(minutes__save_a_run_that_a_callback_ends),
        T(minutes__of_zero_or_null_do_nothing),
        T(minutes__that_make_no_sense_are_refused),
        T(save_now__saves_at_the_next_step_end_and_is_gone),
        T(save_now__from_before_the_start_is_answered_by_the_first_step),
        T(save_now__at_a_step_that_is_saved_anyway_saves_once),
        T(save_now__of_a_process_that_died_in_its_save_is_not_lost),
        T(a_signal_saves_and_sets_the_clock_back),
        T(disk__too_small_for_one_checkpoint_ends_the_run_before_its_first_step),
        T(disk__too_small_for_the_plan_is_a_warning),
        T(disk__that_cannot_tell_is_not_asked_again),
        T(disk__does_not_matter_to_a_run_that_saves_nothing),
        T(plan__counts_what_stays),
        T(plan__counts_what_is_there_and_goes),
        T(plan__counts_alternatives_exactly),
        T(plan__counts_every_callback_that_writes_alternatives),
        T(plan__tells_what_is_written_an_hour_as_soon_as_that_is_known),
        T(plan__counts_alternatives_in_what_is_written),
        T(starts__three_that_finish_no_step_are_told_loudly),
        T(starts__of_the_oldest_name_no_other),
        T(starts__that_failed_for_other_reasons_do_not_count),
        T(starts__from_a_file_elsewhere_write_nothing_beside_it),
        T(max_time__stops_the_run_saved_before_it_is_over),
        T(max_time__counts_from_when_the_program_began),
        T(max_time__that_cannot_be_read_is_refused),
        T(a_stop_before_the_start__loads_and_writes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
