/* RateProfiler: samples and steps a second (Model Zoo reference, 2.7). */
#include "base/mem.h"
#include "base/try.h"
#include "callbacks/timed.h"

static const char k_name[] = "RateProfiler";

struct rates {
    const crn_os *os;
    int64_t mark; /* when the step that runs began */
    double seconds;
    double steps;
    crn_rate samples;
};

static void begin(struct rates *rates)
{
    rates->mark = rates->os->monotonic_ns(rates->os);
}

static cairn_status on_train_start(void *self, const cairn_event *event, cairn_control *control,
                                   cairn_error *err)
{
    (void)event;   /* only the time counts */
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    begin(self);
    return CAIRN_OK;
}

static cairn_status on_after_save_checkpoint(void *self, const cairn_event *event,
                                             cairn_control *control, cairn_error *err)
{
    (void)event;   /* only the time counts */
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    begin(self);   /* A save is no part of the next step. */
    return CAIRN_OK;
}

static cairn_status on_train_batch_end(void *self, const cairn_event *event, cairn_control *control,
                                       cairn_error *err)
{
    struct rates *const rates = self;
    cairn_status rc = CAIRN_OK;
    const int64_t now = rates->os->monotonic_ns(rates->os);
    const double seconds = crn_seconds_between(rates->mark, now);
    (void)control; /* asks for nothing */
    rates->mark = now;
    rates->seconds += seconds;
    rates->steps += 1.0;
    crn_rate_add(&rates->samples, event->samples, seconds);
    if (!event->is_log_step || !(rates->seconds > 0.0))
        return CAIRN_OK;
    CRN_TRY_PLAIN(cairn_trainer_add_metric(event->trainer, "local_samples_per_sec",
                                           rates->samples.smoothed, err));
    CRN_TRY_PLAIN(cairn_trainer_add_metric(event->trainer, "avg_samples_per_sec",
                                           (double)rates->samples.amount / rates->seconds, err));
    CRN_TRY_PLAIN(cairn_trainer_add_metric(event->trainer, "avg_steps_per_sec",
                                           rates->steps / rates->seconds, err));
out:
    return rc;
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof(cairn_callback_ops),
    .name = k_name,
    .destroy = crn_free,
    .on_train_start = on_train_start,
    .on_train_batch_end = on_train_batch_end,
    .on_after_save_checkpoint = on_after_save_checkpoint,
};

cairn_status crn_rate_profiler_new_os(const crn_os *os, cairn_callback *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct rates *const rates = crn_calloc(1, sizeof *rates);
    CRN_NEED(err, rates, k_name);
    rates->os = os;
    *out = (cairn_callback){.ops = &k_ops, .self = rates};
out:
    return rc;
}

cairn_status cairn_rate_profiler_new(cairn_callback *out, cairn_error *err)
{
    return crn_rate_profiler_new_os(crn_os_posix(), out, err);
}
