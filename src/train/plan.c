/* What the run will do, told before its first step, and whether the disk suffices for it. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
#include "base/try.h"
#include "train/trainer_priv.h"

/* The first step of a process plans and warms up; the second is like all others. */
enum { TYPICAL_STEP = 2 };

static uint64_t add(uint64_t a, uint64_t b)
{
    uint64_t sum = 0;
    return crn_add_u64(a, b, &sum) ? sum : UINT64_MAX;
}

static uint64_t multiply(uint64_t a, uint64_t b)
{
    uint64_t product = 0;
    return crn_mul_u64(a, b, &product) ? product : UINT64_MAX;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* With an alternative with @states, if not NULL. A size that cannot be told is 0: saving will
 * explain it. */
static uint64_t save_bytes(const cairn_trainer *trainer, const char *states)
{
    cairn_save_extra extra = {.states = states, .name_template = ""};
    const cairn_save_request request = {
        .struct_size = sizeof request,
        .step = trainer->schedule.end_step,
        .params_json = trainer->options.params_json,
        .environment_json = trainer->options.environment_json,
        .extras = &extra,
        .extra_count = states != NULL ? 1 : 0,
    };
    uint64_t bytes = 0;
    return cairn_store_save_bytes(trainer->store, trainer->tree, &request, &bytes, NULL) == CAIRN_OK
               ? bytes
               : 0;
}

static bool is_pinned(const char *path)
{
    cairn_notes *notes = NULL;
    const bool is_yes =
        cairn_notes_read(path, &notes, NULL) == CAIRN_OK && cairn_notes_is_pinned(notes);
    cairn_notes_destroy(notes);
    return is_yes;
}

/* Own checkpoints that go when new ones come. */
static uint64_t count_rotating(const cairn_trainer *trainer, const cairn_catalogue *catalogue)
{
    uint64_t count = 0;
    for (size_t i = 0; i < cairn_catalogue_count(catalogue); i++) {
        const cairn_checkpoint_info *const info = cairn_catalogue_at(catalogue, i);
        const uint64_t every = trainer->plan_keep_every;
        if (info->is_readable && info->is_full && info->name_matches &&
            strcmp(info->run_id, trainer->run.run_id) == 0 &&
            (every == 0 || info->step % every != 0) && !is_pinned(info->path))
            count++;
    }
    return count;
}

/* The most full checkpoints beyond those of now. */
static uint64_t count_kept(const cairn_trainer *trainer, const cairn_catalogue *catalogue,
                           uint64_t saves)
{
    if (trainer->plan_keep == 0)
        return saves;
    const uint64_t there = least(count_rotating(trainer, catalogue), trainer->plan_keep);
    /* The newest is there before the oldest goes. */
    uint64_t kept = add(trainer->plan_keep - there, 1);
    if (trainer->plan_keep_every > 0)
        kept = add(kept, trainer->schedule.end_step / trainer->plan_keep_every -
                             trainer->step / trainer->plan_keep_every + 1);
    const cairn_opt_float minutes = trainer->options.checkpoint.minutes;
    const bool is_timed = minutes.is_set && minutes.value > 0.0;
    return least(kept, is_timed ? trainer->schedule.end_step - trainer->step + 1 : saves);
}

/* Adds what the alternatives take. */
static void plan_extras(const cairn_trainer *trainer, crn_run_plan *plan)
{
    for (size_t i = 0; plan->saves > 0 && i < trainer->plan_extra_count; i++) {
        const crn_plan_extra *const extra = &trainer->plan_extras[i];
        const uint64_t both = save_bytes(trainer, extra->states);
        const uint64_t bytes = both > plan->full_bytes ? both - plan->full_bytes : 0;
        plan->extra_bytes = add(plan->extra_bytes, bytes);
        /* None is ever deleted, and the last save has one in any case. */
        plan->most_bytes = add(plan->most_bytes,
                               multiply(least(plan->saves / extra->every + 1, plan->saves), bytes));
        plan->bytes_a_save += (double)bytes / (double)extra->every;
    }
}

static crn_run_plan make_plan(const cairn_trainer *trainer, const cairn_catalogue *catalogue)
{
    const crn_run_schedule *const schedule = &trainer->schedule;
    const bool has_initial = trainer->options.checkpoint.save_initial_checkpoint &&
                             trainer->step == schedule->first_step;
    crn_run_plan plan = {.full_bytes = save_bytes(trainer, NULL)};
    plan.bytes_a_save = (double)plan.full_bytes;
    plan.saves = crn_run_schedule_saves_after(schedule, trainer->step);
    if (plan.saves == 0 && crn_trainer_saves_at_end(trainer))
        plan.saves = 1;
    plan.saves += has_initial ? 1 : 0;
    plan.most_bytes = multiply(count_kept(trainer, catalogue, plan.saves), plan.full_bytes);
    plan_extras(trainer, &plan);
    return plan;
}

static void say(const cairn_trainer *trainer, const crn_run_plan *plan)
{
    const cairn_log *const log = trainer->options.log;
    const crn_run_schedule *const schedule = &trainer->schedule;
    const cairn_opt_float minutes = trainer->options.checkpoint.minutes;
    char each[32];
    char most[32];
    cairn_log_message(log, CAIRN_LOG_INFO,
                      "plan: steps %" PRIu64 " to %" PRIu64 " (%s), %" PRIu64
                      " saves of %s, %" PRIu64 " validations, at most %s more on disk",
                      trainer->step + 1, schedule->end_step, schedule->limit, plan->saves,
                      crn_format_bytes(plan->full_bytes, each),
                      crn_run_schedule_validations_after(schedule, trainer->step),
                      crn_format_bytes(plan->most_bytes, most));
    if (minutes.is_set && minutes.value > 0.0)
        cairn_log_message(log, CAIRN_LOG_INFO,
                          "plan: besides a save when %g minutes have passed since the last%s",
                          minutes.value,
                          trainer->plan_keep == 0 ? "; how much disk they take is not known" : "");
    if (trainer->options.loop.eval_frequency.kind == CAIRN_NUMBER_INT && schedule->eval_every == 1)
        cairn_log_message(log, CAIRN_LOG_INFO,
                          "eval_frequency 1 validates after every step; 1.0 does so at the end");
    if (!crn_trainer_saves_at_end(trainer))
        cairn_log_message(log, CAIRN_LOG_WARNING,
                          "the end will not be saved: checkpoint.steps is null or 0");
}

bool crn_trainer_free_bytes(const cairn_trainer *trainer, uint64_t *out)
{
    const crn_os *const os = trainer->os;
    const char *const folder = cairn_store_checkpoint_root(trainer->store);
    int fd = -1;
    if (os->open(os, CRN_OS_CWD, folder, CRN_OPEN_DIRECTORY, &fd) != 0)
        return false;
    const bool is_known = os->free_bytes(os, fd, out) == 0;
    (void)os->close(os, fd); /* A folder holds no data of ours. */
    return is_known;
}

/* Better now than after the first hours. */
static cairn_status check_disk(const cairn_trainer *trainer, const crn_run_plan *plan,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const folder = cairn_store_checkpoint_root(trainer->store);
    const uint64_t needed = add(plan->full_bytes, plan->extra_bytes);
    char left_text[32];
    char need_text[32];
    uint64_t left = 0;
    if (plan->saves == 0 || plan->full_bytes == 0 || !crn_trainer_free_bytes(trainer, &left))
        return CAIRN_OK;
    if (left < needed)
        CRN_FAIL(err, CAIRN_ENOSPACE,
                 "'%s' has room (free space, quota) for %s (%" PRIu64
                 " bytes), but a single save takes %s (%" PRIu64
                 " bytes); make room, or set checkpoint_root to another folder",
                 folder, crn_format_bytes(left, left_text), left,
                 crn_format_bytes(needed, need_text), needed);
    if (left < plan->most_bytes)
        cairn_log_message(
            trainer->options.log, CAIRN_LOG_WARNING,
            "the disk may get full: '%s' has room (free space, quota) for %s (%" PRIu64
            " bytes), and the plan takes up to %s (%" PRIu64 " bytes); KeepNCheckpoints bounds it",
            folder, crn_format_bytes(left, left_text), left,
            crn_format_bytes(plan->most_bytes, need_text), plan->most_bytes);
out:
    return rc;
}

/* ---- How much is written ---- */

static double minutes_between(const cairn_trainer *trainer)
{
    const cairn_opt_float minutes = trainer->options.checkpoint.minutes;
    return minutes.is_set ? minutes.value : 0.0;
}

static void say_written(const cairn_trainer *trainer, double saves_an_hour, const char *why)
{
    const double hourly = trainer->bytes_a_save * saves_an_hour;
    char hour[32];
    char day[32];
    if (!(hourly > 0.0) || !(hourly * 24.0 < (double)INT64_MAX))
        return;
    cairn_log_message(trainer->options.log, CAIRN_LOG_INFO,
                      "plan: saves write up to %s an hour, %s a day (%s)",
                      crn_format_bytes((uint64_t)hourly, hour),
                      crn_format_bytes((uint64_t)(hourly * 24.0), day), why);
}

/* Where the clock alone decides, no step need be waited for. */
static void say_written_by_clock(cairn_trainer *trainer)
{
    const double minutes = minutes_between(trainer);
    char why[64];
    if (trainer->schedule.save_every > 0 || !(minutes > 0.0))
        return;
    (void)snprintf(why, sizeof why, "a save every %g minutes", minutes);
    say_written(trainer, 60.0 / minutes, why);
    trainer->bytes_a_save = 0.0;
}

void crn_trainer_plan_step(cairn_trainer *trainer, double seconds)
{
    const uint64_t every = trainer->schedule.save_every;
    const double minutes = minutes_between(trainer);
    char why[96];
    if (!(trainer->bytes_a_save > 0.0) || every == 0 || ++trainer->steps_timed < TYPICAL_STEP ||
        !(seconds > 0.0))
        return;
    const double interval = (double)every * seconds;
    /* The clock begins anew with each save. */
    const double between = minutes > 0.0 ? floor(interval / (minutes * 60.0)) : 0.0;
    (void)snprintf(why, sizeof why, "a save every %" PRIu64 " steps of %.3g s%s", every, seconds,
                   between > 0.0 ? ", and those by the clock" : "");
    say_written(trainer, (1.0 + between) * 3600.0 / interval, why);
    trainer->bytes_a_save = 0.0;
}

cairn_status crn_trainer_plan(cairn_trainer *trainer, const cairn_catalogue *catalogue,
                              cairn_error *err)
{
    const crn_run_plan plan = make_plan(trainer, catalogue);
    trainer->plan = plan;
    crn_trainer_log_summary(trainer);
    say(trainer, &plan);
    crn_trainer_log_memory(trainer);
    trainer->bytes_a_save = plan.bytes_a_save;
    say_written_by_clock(trainer);
    return check_disk(trainer, &plan, err);
}
