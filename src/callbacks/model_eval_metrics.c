/* ModelEvalMetrics: perplexity and accuracy of a validation (Model Zoo reference, 2.7). */
#include <math.h>

#include "base/mem.h"
#include "base/try.h"
#include "cairn/callbacks.h"

static const char k_name[] = "ModelEvalMetrics";

/* Sums over the tokens of the validation that runs. */
struct sums {
    double weight;
    double token_loss;
    double correct;
};

static cairn_status on_validate_start(void *self, const cairn_event *event, cairn_control *control,
                                      cairn_error *err)
{
    struct sums *const sums = self;
    (void)event;   /* every validation begins anew */
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    *sums = (struct sums){0};
    return CAIRN_OK;
}

static cairn_status on_validate_batch_end(void *self, const cairn_event *event,
                                          cairn_control *control, cairn_error *err)
{
    struct sums *const sums = self;
    const cairn_loss *const loss = event->computed;
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    if (loss == NULL || !loss->has_metrics)
        return CAIRN_OK;
    sums->weight += loss->weight;
    sums->token_loss += loss->token_loss;
    sums->correct += loss->correct;
    return CAIRN_OK;
}

static cairn_status on_validate_end(void *self, const cairn_event *event, cairn_control *control,
                                    cairn_error *err)
{
    const struct sums *const sums = self;
    cairn_status rc = CAIRN_OK;
    (void)control; /* asks for nothing */
    if (!(sums->weight > 0.0))
        return CAIRN_OK; /* The model tells nothing, or no token counts. */
    CRN_TRY_PLAIN(cairn_trainer_add_metric(event->trainer, "eval/lm_perplexity",
                                           exp(sums->token_loss / sums->weight), err));
    CRN_TRY_PLAIN(cairn_trainer_add_metric(event->trainer, "eval/accuracy",
                                           sums->correct / sums->weight, err));
out:
    return rc;
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof(cairn_callback_ops),
    .name = k_name,
    .destroy = crn_free,
    .on_validate_start = on_validate_start,
    .on_validate_batch_end = on_validate_batch_end,
    .on_validate_end = on_validate_end,
};

cairn_status cairn_model_eval_metrics_new(cairn_callback *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct sums *const sums = crn_calloc(1, sizeof *sums);
    CRN_NEED(err, sums, k_name);
    *out = (cairn_callback){.ops = &k_ops, .self = sums};
out:
    return rc;
}
