#include "train/run_schedule.h"

#include <inttypes.h>
#include <math.h>

#include "base/checked.h"
#include "base/try.h"
#include "train/time_limit.h"

/* The reader of YAML checks these; a program in C may pass anything. */
static cairn_status check_counts(const cairn_loop_options *loop, cairn_opt_int save_steps,
                                 const char **culprit, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    int64_t max_time_ns = 0;
    const struct {
        const char *name;
        cairn_opt_int value;
        int64_t min;
    } counts[] = {
        {"num_steps", loop->num_steps, 1},
        {"max_steps", loop->max_steps, 1},
        {"num_epochs", loop->num_epochs, 1},
        {"steps_per_epoch", loop->steps_per_epoch, 1},
        {"eval_steps", loop->eval_steps, 1},
        {"grad_accum_steps", {.is_set = true, .value = loop->grad_accum_steps}, 1},
        {"checkpoint.steps", save_steps, 0},
    };
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        *culprit = counts[i].name;
        if (counts[i].value.is_set && counts[i].value.value < counts[i].min)
            CRN_FAIL(err, CAIRN_ECONFIG, "%s is %" PRId64 "; it must be at least %" PRId64,
                     counts[i].name, counts[i].value.value, counts[i].min);
    }
    *culprit = "max_time";
    if (loop->max_time != NULL && !crn_duration_parse(loop->max_time, &max_time_ns))
        CRN_FAIL(err, CAIRN_ECONFIG, CRN_MAX_TIME_ADVICE, loop->max_time);
    *culprit = NULL;
out:
    return rc;
}

static void limit_to(crn_run_schedule *schedule, uint64_t *total, uint64_t steps, const char *name)
{
    if (schedule->limit == NULL || steps < *total) {
        *total = steps;
        schedule->limit = name;
    }
}

static cairn_status epoch_steps(const cairn_loop_options *loop, uint64_t batches_per_epoch,
                                uint64_t *out, const char **culprit, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const uint64_t whole = batches_per_epoch / (uint64_t)loop->grad_accum_steps;
    uint64_t steps = whole;
    if (loop->steps_per_epoch.is_set)
        steps = (uint64_t)loop->steps_per_epoch.value;
    *out = steps;
    if (batches_per_epoch == 0)
        return CAIRN_OK;
    *culprit = "steps_per_epoch";
    if (steps > whole)
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "steps_per_epoch is %" PRIu64 ", but an epoch of the training data has %" PRIu64
                 " steps (%" PRIu64 " batches, grad_accum_steps %" PRId64 ")",
                 steps, whole, batches_per_epoch, loop->grad_accum_steps);
    *culprit = "grad_accum_steps";
    if (steps == 0)
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "an epoch of the training data has %" PRIu64
                 " batches, fewer than grad_accum_steps %" PRId64,
                 batches_per_epoch, loop->grad_accum_steps);
    *culprit = NULL;
out:
    return rc;
}

static cairn_status total_steps(const cairn_loop_options *loop, uint64_t first_step,
                                uint64_t batches_per_epoch, crn_run_schedule *schedule,
                                uint64_t *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t total = 0;
    schedule->culprit = "num_epochs";
    if (loop->num_steps.is_set && loop->num_epochs.is_set)
        CRN_FAIL(err, CAIRN_ECONFIG, "loop has both num_steps and num_epochs; give one of them");
    schedule->culprit = NULL;
    if (loop->num_steps.is_set)
        limit_to(schedule, &total, (uint64_t)loop->num_steps.value, "num_steps");
    if (loop->max_steps.is_set) {
        const uint64_t max = (uint64_t)loop->max_steps.value;
        limit_to(schedule, &total, max > first_step ? max - first_step : 0, "max_steps");
    }
    if (loop->num_epochs.is_set || loop->steps_per_epoch.is_set) {
        uint64_t steps = 0;
        CRN_TRY_PLAIN(epoch_steps(loop, batches_per_epoch, &steps, &schedule->culprit, err));
        if (loop->num_epochs.is_set) {
            schedule->culprit = "num_epochs";
            if (!crn_mul_u64(steps, (uint64_t)loop->num_epochs.value, &steps))
                CRN_FAIL(err, CAIRN_ECONFIG, "num_epochs is too large");
            schedule->culprit = NULL;
            limit_to(schedule, &total, steps, "num_epochs");
        }
    }
    if (schedule->limit == NULL)
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "the loop has no end: give max_steps, num_steps or num_epochs");
    *out = total;
out:
    return rc;
}

static cairn_status eval_steps(cairn_opt_number frequency, uint64_t total, uint64_t *out,
                               const char **culprit, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t every = 0;
    *culprit = "eval_frequency";
    switch (frequency.kind) {
    case CAIRN_NUMBER_NULL:
        break;
    case CAIRN_NUMBER_INT:
        if (frequency.i < 0)
            CRN_FAIL(err, CAIRN_ECONFIG, "eval_frequency is %" PRId64 "; it must not be negative",
                     frequency.i);
        every = (uint64_t)frequency.i < total ? (uint64_t)frequency.i : total;
        break;
    case CAIRN_NUMBER_FLOAT:
        if (!(frequency.f >= 0.0 && frequency.f <= 1.0))
            CRN_FAIL(err, CAIRN_ECONFIG,
                     "eval_frequency is %g; a float is a share of the training and must be in "
                     "(0, 1], an integer counts steps",
                     frequency.f);
        every = (uint64_t)ceil(frequency.f * (double)total);
        break;
    }
    *culprit = NULL;
    *out = every;
out:
    return rc;
}

cairn_status crn_run_schedule_make(const cairn_loop_options *loop, cairn_opt_int save_steps,
                                   uint64_t first_step, uint64_t batches_per_epoch,
                                   bool has_validation, crn_run_schedule *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_run_schedule schedule = {.first_step = first_step};
    uint64_t total = 0;
    CRN_TRY_PLAIN(check_counts(loop, save_steps, &schedule.culprit, err));
    CRN_TRY_PLAIN(total_steps(loop, first_step, batches_per_epoch, &schedule, &total, err));
    if (!crn_add_u64(first_step, total, &schedule.end_step))
        CRN_FAIL(err, CAIRN_ECONFIG, "the number of steps is too large");
    CRN_TRY_PLAIN(
        eval_steps(loop->eval_frequency, total, &schedule.eval_every, &schedule.culprit, err));
    if (!has_validation)
        schedule.eval_every = 0;
    if (save_steps.is_set)
        schedule.save_every = (uint64_t)save_steps.value;
out:
    *out = schedule;
    return rc;
}

static bool is_due(const crn_run_schedule *schedule, uint64_t every, uint64_t step)
{
    if (every == 0 || step <= schedule->first_step || step > schedule->end_step)
        return false;
    return (step - schedule->first_step) % every == 0 || step == schedule->end_step;
}

static uint64_t due_after(const crn_run_schedule *schedule, uint64_t every, uint64_t step)
{
    if (every == 0 || step >= schedule->end_step)
        return 0;
    const uint64_t total = schedule->end_step - schedule->first_step;
    const uint64_t all = total / every + (total % every != 0 ? 1 : 0);
    const uint64_t past = (step - schedule->first_step) / every;
    return all - past;
}

bool crn_run_schedule_saves_at(const crn_run_schedule *schedule, uint64_t step)
{
    return is_due(schedule, schedule->save_every, step);
}

bool crn_run_schedule_validates_at(const crn_run_schedule *schedule, uint64_t step)
{
    return is_due(schedule, schedule->eval_every, step);
}

uint64_t crn_run_schedule_saves_after(const crn_run_schedule *schedule, uint64_t step)
{
    return due_after(schedule, schedule->save_every, step);
}

uint64_t crn_run_schedule_validations_after(const crn_run_schedule *schedule, uint64_t step)
{
    return due_after(schedule, schedule->eval_every, step);
}

uint64_t crn_run_schedule_segment_end(const crn_run_schedule *schedule, uint64_t step)
{
    if (schedule->eval_every == 0)
        return schedule->end_step;
    const uint64_t past = (step - schedule->first_step) / schedule->eval_every;
    const uint64_t next = schedule->first_step + (past + 1) * schedule->eval_every;
    return next < schedule->end_step ? next : schedule->end_step;
}
