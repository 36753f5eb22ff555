/* The loop of a fit: segments of steps, saves on the way, a validation after each segment. */
#include <inttypes.h>

#include "base/mem.h"
#include "base/try.h"
#include "train/trainer_priv.h"

/* Why the loop ends before its last step; both NULL while it goes on. */
struct ending {
    const char *signal;  /* asked from outside: saved, to be resumed */
    const char *request; /* a callback's: the run is finished */
};

static bool is_ended(const struct ending *ending)
{
    return ending->signal != NULL || ending->request != NULL;
}

/*
 * Written before the save of the step: only both together make a run that is over. A process that
 * dies between them resumes from an older checkpoint, comes to this step again and ends here.
 */
static cairn_status mark_complete(cairn_trainer *trainer, const char *reason, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_run *const run = &trainer->run;
    char *const copy = crn_strdup(reason);
    CRN_NEED(err, copy, "a reason");
    crn_free(run->complete_reason);
    run->complete_reason = copy;
    run->complete_step = trainer->step;
    CRN_TRY(err, cairn_run_update(trainer->store, run, err),
            "write down that the run is complete at step %" PRIu64, trainer->step);
out:
    return rc;
}

/* A stop that callbacks asked for. */
static cairn_status take_request(cairn_trainer *trainer, const cairn_control *asked,
                                 struct ending *ending, cairn_error *err)
{
    if (!asked->stop || ending->request != NULL)
        return CAIRN_OK;
    ending->request = asked->reason;
    return asked->complete ? mark_complete(trainer, asked->reason, err) : CAIRN_OK;
}

/* The step is finished: hears of a save that has ended, makes the one that is due. */
static cairn_status end_step(cairn_trainer *trainer, struct ending *ending, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_control asked = crn_trainer_take_asked(trainer);
    crn_save_why why = CRN_SAVE_PERIODIC;
    CRN_TRY_PLAIN(take_request(trainer, &asked, ending, err));
    CRN_TRY_PLAIN(crn_trainer_poll_save(trainer, err));
    if (crn_trainer_save_is_due(trainer, &asked, &why))
        CRN_TRY_PLAIN(crn_trainer_save(trainer, why, err));
out:
    return rc;
}

/* As end_step for what was asked for by the hooks of a save, a segment's end, a validation. */
static cairn_status end_late(cairn_trainer *trainer, struct ending *ending, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_control asked = crn_trainer_take_asked(trainer);
    CRN_TRY_PLAIN(take_request(trainer, &asked, ending, err));
    if (asked.stop && crn_trainer_saves_at_end(trainer))
        CRN_TRY_PLAIN(crn_trainer_save(trainer, CRN_SAVE_LAST, err));
    else if (asked.save)
        CRN_TRY_PLAIN(crn_trainer_save(trainer, CRN_SAVE_ASKED, err));
out:
    return rc;
}

/* ---- A segment ---- */

/* A step, or the reason not to begin it. */
static cairn_status timed_step(cairn_trainer *trainer, struct ending *ending, cairn_error *err)
{
    const int64_t begin_ns = trainer->os->monotonic_ns(trainer->os);
    ending->signal = crn_trainer_await_batch(trainer, trainer->train);
    if (ending->signal != NULL)
        return CAIRN_OK;
    const cairn_status rc = crn_trainer_step(trainer, begin_ns, err);
    crn_time_limit_note_step(&trainer->time_limit,
                             trainer->os->monotonic_ns(trainer->os) - begin_ns);
    return rc;
}

static cairn_event segment_event(cairn_trainer *trainer)
{
    cairn_event event = crn_trainer_event(trainer);
    event.batch_index = trainer->step - trainer->segment_first;
    event.batch_count = trainer->segment_end - trainer->segment_first;
    event.is_last = trainer->segment_end == trainer->schedule.end_step;
    return event;
}

static cairn_status begin_segment(cairn_trainer *trainer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    trainer->segment_first = trainer->step;
    trainer->segment_end = crn_run_schedule_segment_end(&trainer->schedule, trainer->step);
    cairn_event event = segment_event(trainer);
    crn_trainer_log_segment(trainer);
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_enter_train, &event, err));
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_train_start, &event, err));
    if (trainer->options.checkpoint.save_initial_checkpoint &&
        trainer->step == trainer->schedule.first_step)
        CRN_TRY_PLAIN(crn_trainer_save(trainer, CRN_SAVE_INITIAL, err));
out:
    return rc;
}

static cairn_status run_segment(cairn_trainer *trainer, struct ending *ending, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(begin_segment(trainer, err));
    while (trainer->step < trainer->segment_end && !is_ended(ending)) {
        CRN_TRY_PLAIN(timed_step(trainer, ending, err));
        if (ending->signal != NULL)
            break;
        crn_trainer_start_succeeded(trainer);
        CRN_TRY_PLAIN(end_step(trainer, ending, err));
    }
    cairn_event event = segment_event(trainer);
    event.is_last = trainer->step == trainer->schedule.end_step || ending->request != NULL;
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_train_end, &event, err));
    trainer->loop_index++;
out:
    if (rc != CAIRN_OK)
        crn_trainer_tell_failure(trainer, CRN_HOOK_on_train_exception, err);
    return rc;
}

/* ---- The loop ---- */

static cairn_status run_segments(cairn_trainer *trainer, struct ending *ending, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_run_schedule *const schedule = &trainer->schedule;
    CRN_TRY_PLAIN(end_late(trainer, ending, err)); /* of a validation that was made up for */
    while (trainer->step < schedule->end_step && !is_ended(ending)) {
        CRN_TRY_PLAIN(run_segment(trainer, ending, err));
        if (ending->signal == NULL && crn_run_schedule_validates_at(schedule, trainer->step))
            CRN_TRY_PLAIN(crn_trainer_validate_round(trainer, &ending->signal, err));
        CRN_TRY_PLAIN(end_late(trainer, ending, err));
    }
out:
    return rc;
}

cairn_status crn_trainer_loop(cairn_trainer *trainer, cairn_fit_result *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct ending ending = {0};
    trainer->last_save_ns = trainer->os->monotonic_ns(trainer->os);
    CRN_TRY_PLAIN(run_segments(trainer, &ending, err));
    out->outcome = CAIRN_OUTCOME_FINISHED;
    out->reason = ending.request != NULL ? ending.request : trainer->schedule.limit;
    if (ending.signal != NULL) {
        CRN_TRY_PLAIN(crn_trainer_save(trainer, CRN_SAVE_STOP, err));
        out->outcome = CAIRN_OUTCOME_STOPPED;
        out->reason = ending.signal;
    }
    CRN_TRY_PLAIN(crn_trainer_finish_save(trainer, true, err));
    crn_trainer_log_saves(trainer);
out:
    return rc;
}
