/* Why a run stops before its end: it is asked from outside, or its time is nearly over. */
#include "base/try.h"
#include "ckpt/ckpt.h"
#include "train/trainer_priv.h"

/* Slow for a disk: until a save has been measured the guess must not be too low. */
static const double k_guessed_bytes_a_second = 100e6;

/* How late a stop may be noticed while data hangs. */
static const int64_t k_poll_ns = 100000000;

const char *crn_trainer_stop_reason(cairn_trainer *trainer)
{
    const cairn_trainer_options *const options = &trainer->options;
    const char *const asked =
        options->stop_requested != NULL ? options->stop_requested(options->user) : NULL;
    if (asked != NULL)
        return asked;
    if (trainer->time_limit.is_set &&
        crn_time_limit_is_over(&trainer->time_limit, trainer->os->monotonic_ns(trainer->os),
                               trainer->saving.is_pending))
        return "max_time";
    return NULL;
}

const char *crn_trainer_await_batch(cairn_trainer *trainer, cairn_loader *loader)
{
    const char *reason = NULL;
    do
        reason = crn_trainer_stop_reason(trainer);
    while (reason == NULL && !cairn_loader_is_ready(loader, k_poll_ns));
    return reason;
}

cairn_status crn_trainer_start_clock(cairn_trainer *trainer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const text = trainer->options.loop.max_time;
    const int64_t begin = trainer->options.clock_start_ns;
    int64_t limit_ns = 0;
    if (text == NULL)
        return CAIRN_OK;
    if (!crn_duration_parse(text, &limit_ns))
        CRN_FAIL(err, CAIRN_ECONFIG, CRN_MAX_TIME_ADVICE, text);
    crn_time_limit_set(&trainer->time_limit,
                       begin != 0 ? begin : trainer->os->monotonic_ns(trainer->os), limit_ns);
    const double bytes = (double)cairn_state_tree_bytes(trainer->tree);
    crn_time_limit_note_save(&trainer->time_limit,
                             (int64_t)(bytes / k_guessed_bytes_a_second * 1e9));
out:
    return rc;
}
