/* What the loops of a fit will be, told before the first step, and a line as each begins. */
#include <inttypes.h>

#include "train/trainer_priv.h"

/* Segments of @every steps in @total, the remainder included; one without validations. */
static uint64_t segments_in(uint64_t total, uint64_t every)
{
    if (every == 0)
        return total > 0 ? 1 : 0;
    return total / every + (total % every != 0 ? 1 : 0);
}

/* Number of the segment that follows the trainer's step, from 1. */
static uint64_t segment_number(const cairn_trainer *trainer)
{
    const crn_run_schedule *const schedule = &trainer->schedule;
    const uint64_t past = trainer->step - schedule->first_step;
    return schedule->eval_every > 0 ? past / schedule->eval_every + 1 : 1;
}

static uint64_t segment_count(const cairn_trainer *trainer)
{
    const crn_run_schedule *const schedule = &trainer->schedule;
    return segments_in(schedule->end_step - schedule->first_step, schedule->eval_every);
}

void crn_trainer_log_summary(const cairn_trainer *trainer)
{
    const cairn_log *const log = trainer->options.log;
    const crn_run_schedule *const schedule = &trainer->schedule;
    const uint64_t total = schedule->end_step - schedule->first_step;
    const uint64_t every = schedule->eval_every > 0 ? schedule->eval_every : total;
    const uint64_t loops = segment_count(trainer);
    const uint64_t rest = every > 0 ? total % every : 0;
    cairn_log_message(log, CAIRN_LOG_INFO, "Trainer Fit Summary");
    if (rest != 0)
        cairn_log_message(log, CAIRN_LOG_INFO,
                          "  train loops: %" PRIu64 ", of %" PRIu64 " steps each, the last of "
                          "%" PRIu64,
                          loops, every, rest);
    else
        cairn_log_message(log, CAIRN_LOG_INFO,
                          "  train loops: %" PRIu64 ", of %" PRIu64 " steps each", loops, every);
    if (schedule->eval_every > 0)
        cairn_log_message(log, CAIRN_LOG_INFO,
                          "  validations: %" PRIu64 ", with %zu loader(s) each", loops,
                          trainer->val_count);
    else
        cairn_log_message(log, CAIRN_LOG_INFO, "  validations: none");
    if (schedule->save_every > 0)
        cairn_log_message(log, CAIRN_LOG_INFO,
                          "  checkpoints: %" PRIu64 ", every %" PRIu64 " steps and at the end",
                          crn_run_schedule_saves_after(schedule, schedule->first_step),
                          schedule->save_every);
    else
        cairn_log_message(log, CAIRN_LOG_INFO, "  checkpoints: none by the number of steps");
    if (trainer->options.loop.grad_accum_steps > 1)
        cairn_log_message(log, CAIRN_LOG_INFO, "  batches a step: %" PRId64,
                          trainer->options.loop.grad_accum_steps);
    if (trainer->options.loop.max_time != NULL)
        cairn_log_message(log, CAIRN_LOG_INFO, "  time limit: %s", trainer->options.loop.max_time);
}

void crn_trainer_log_segment(const cairn_trainer *trainer)
{
    cairn_log_message(trainer->options.log, CAIRN_LOG_INFO,
                      "Train loop %" PRIu64 " of %" PRIu64 ": steps %" PRIu64 " to %" PRIu64,
                      segment_number(trainer), segment_count(trainer), trainer->segment_first + 1,
                      trainer->segment_end);
}

void crn_trainer_log_validation(const cairn_trainer *trainer)
{
    const crn_run_schedule *const schedule = &trainer->schedule;
    const uint64_t past = trainer->step - schedule->first_step;
    cairn_log_message(trainer->options.log, CAIRN_LOG_INFO,
                      "Validation %" PRIu64 " of %" PRIu64 ": after step %" PRIu64,
                      segments_in(past, schedule->eval_every), segment_count(trainer),
                      trainer->step);
}
