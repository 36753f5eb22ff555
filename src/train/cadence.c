/* When the trainer saves: the schedule of steps, and what comes beside it. */
#include "train/trainer_priv.h"

static const double k_ns_a_minute = 60e9;

static double minutes_between_saves(const cairn_trainer *trainer)
{
    const cairn_opt_float minutes = trainer->options.checkpoint.minutes;
    return minutes.is_set ? minutes.value : 0.0;
}

static bool is_time_over(const cairn_trainer *trainer)
{
    const double minutes = minutes_between_saves(trainer);
    const int64_t now = trainer->os->monotonic_ns(trainer->os);
    return minutes > 0.0 && (double)(now - trainer->last_save_ns) >= minutes * k_ns_a_minute;
}

static bool is_signalled(const cairn_trainer *trainer)
{
    const cairn_trainer_options *const options = &trainer->options;
    return options->save_requested != NULL && options->save_requested(options->user);
}

bool crn_trainer_saves_at_end(const cairn_trainer *trainer)
{
    return trainer->schedule.save_every > 0 || minutes_between_saves(trainer) > 0.0;
}

bool crn_trainer_save_is_due(cairn_trainer *trainer, const cairn_control *control,
                             crn_save_why *out_why)
{
    /* Both are taken, whatever else is due: one save is the answer to all. */
    const bool is_signal = is_signalled(trainer);
    const bool is_touched = cairn_store_save_requested(trainer->store);
    const bool is_asked = control->save || is_signal || is_touched;
    const bool is_last = trainer->step == trainer->schedule.end_step || control->stop;
    trainer->requests_taken += is_touched;
    if (is_touched)
        cairn_log_message(trainer->options.log, CAIRN_LOG_INFO,
                          "'%s/" CAIRN_SAVE_NOW_FILE "' asks for a checkpoint",
                          cairn_store_model_dir(trainer->store));
    *out_why = is_last ? CRN_SAVE_LAST : is_asked ? CRN_SAVE_ASKED : CRN_SAVE_PERIODIC;
    return crn_run_schedule_saves_at(&trainer->schedule, trainer->step) || is_asked ||
           (is_last && crn_trainer_saves_at_end(trainer)) || is_time_over(trainer);
}
