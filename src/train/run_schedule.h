/*
 * When a run ends, saves and validates: pure arithmetic (model-zoo reference 1.1 and 2.3).
 *
 * Everything counts from first_step, the step at which the run started. An interrupted run that is
 * resumed keeps first_step, so it saves and validates where the uninterrupted one does.
 */
#ifndef CRN_TRAIN_RUN_SCHEDULE_H
#define CRN_TRAIN_RUN_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "cairn/error.h"
#include "cairn/options.h"

typedef struct crn_run_schedule {
    uint64_t first_step;
    uint64_t end_step;   /* the run is complete after this step; first_step if nothing is left */
    uint64_t save_every; /* steps; 0: no periodic saves and none at the end */
    uint64_t eval_every; /* steps; 0: no validation */
    const char *limit;   /* the option that decided end_step; static */
    const char *culprit; /* after ECONFIG: the option of `loop` that is wrong; NULL: the section */
} crn_run_schedule;

/*
 * @batches_per_epoch: of the training loader, before accumulation; 0: not known yet, and what
 * contradicts the data is not found.
 * @has_validation: false: eval_frequency has no effect.
 * ECONFIG: no limit given, a count below its least, num_epochs with num_steps, steps_per_epoch
 * longer than the data, eval_frequency a float outside (0, 1] or negative, max_time no time.
 * out->culprit is set then.
 */
cairn_status crn_run_schedule_make(const cairn_loop_options *loop, cairn_opt_int save_steps,
                                   uint64_t first_step, uint64_t batches_per_epoch,
                                   bool has_validation, crn_run_schedule *out, cairn_error *err);

/* Whether the state after @step is saved, or validated. */
bool crn_run_schedule_saves_at(const crn_run_schedule *schedule, uint64_t step);
bool crn_run_schedule_validates_at(const crn_run_schedule *schedule, uint64_t step);
/* Saves, or validations, after @step until the end. */
uint64_t crn_run_schedule_saves_after(const crn_run_schedule *schedule, uint64_t step);
uint64_t crn_run_schedule_validations_after(const crn_run_schedule *schedule, uint64_t step);
/* The step at which the training segment that follows @step ends. */
uint64_t crn_run_schedule_segment_end(const crn_run_schedule *schedule, uint64_t step);

#endif
