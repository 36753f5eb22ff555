/* SamplesStreamedInfo: after a loss that is no number it says how to go on behind the samples that
 * were at fault (Model Zoo reference, 2.7). */
#include <inttypes.h>

#include "base/mem.h"
#include "base/try.h"
#include "callbacks/skipped.h"

static const char k_name[] = "SamplesStreamedInfo";

struct streamed {
    uint64_t captured; /* samples consumed by the checkpoint that is being saved */
    uint64_t saved;    /* by the newest one, from which the run would go on */
};

static cairn_status on_fit_start(void *self, const cairn_event *event, cairn_control *control,
                                 cairn_error *err)
{
    struct streamed *const streamed = self;
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    streamed->saved = cairn_trainer_samples_streamed(event->trainer);
    return CAIRN_OK;
}

static cairn_status on_save_checkpoint(void *self, const cairn_event *event, cairn_control *control,
                                       cairn_error *err)
{
    struct streamed *const streamed = self;
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    streamed->captured = cairn_trainer_samples_streamed(event->trainer);
    return CAIRN_OK;
}

static cairn_status on_after_save_checkpoint(void *self, const cairn_event *event,
                                             cairn_control *control, cairn_error *err)
{
    struct streamed *const streamed = self;
    (void)event;   /* saves end in the order in which they are prepared */
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    streamed->saved = streamed->captured;
    return CAIRN_OK;
}

static cairn_status on_fit_exception(void *self, const cairn_event *event, cairn_control *control,
                                     cairn_error *err)
{
    const struct streamed *const streamed = self;
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    if (event->failure == NULL || event->failure->status != CAIRN_ENONFINITE)
        return CAIRN_OK;
    const uint64_t now = cairn_trainer_samples_streamed(event->trainer);
    const uint64_t since = now > streamed->saved ? now - streamed->saved : 0;
    cairn_log_message(cairn_trainer_log(event->trainer), CAIRN_LOG_INFO,
                      "%" PRIu64 " samples had been streamed, %" PRIu64
                      " of them since the newest checkpoint; to go on from it behind these add the "
                      "callback '- SkipSamples: {n: %" PRIu64 "}'",
                      now, since, crn_samples_skipped(event->trainer) + since);
    return CAIRN_OK;
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof(cairn_callback_ops),
    .name = k_name,
    .destroy = crn_free,
    .on_fit_start = on_fit_start,
    .on_save_checkpoint = on_save_checkpoint,
    .on_after_save_checkpoint = on_after_save_checkpoint,
    .on_fit_exception = on_fit_exception,
};

cairn_status cairn_samples_streamed_info_new(cairn_callback *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct streamed *const streamed = crn_calloc(1, sizeof *streamed);
    CRN_NEED(err, streamed, k_name);
    *out = (cairn_callback){.ops = &k_ops, .self = streamed};
out:
    return rc;
}
