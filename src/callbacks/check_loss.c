/* CheckLoss: a loss that is no number ends the run before it spoils the parameters. */
#include <inttypes.h>
#include <math.h>

#include "base/try.h"
#include "cairn/callbacks.h"

static const char k_advice[] =
    "the step is not applied and nothing is saved, so the newest checkpoint is good; lower the "
    "learning rate, set precision.max_gradient_norm, or look at the data of this step";

static const char *text_of(double value)
{
    return isnan(value) ? "nan" : value > 0.0 ? "inf" : "-inf";
}

/* As in the Model Zoo (trainer/callbacks/loss.py 2.10) every forward pass is looked at, those of
 * validations too. In training nothing has changed yet, and no gradient was computed. */
static cairn_status on_after_forward(void *self, const cairn_event *event, cairn_control *control,
                                     cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    (void)self;    /* has no state */
    (void)control; /* asks for nothing */
    if (isfinite(event->loss))
        return CAIRN_OK;
    if (event->is_validation)
        CRN_FAIL(err, CAIRN_ENONFINITE,
                 "the loss of batch %" PRIu64 " is %s in the validation after step %" PRIu64
                 "; look at its data, or try an older checkpoint",
                 event->batch_index + 1, text_of(event->loss), event->step);
    CRN_FAIL(err, CAIRN_ENONFINITE, "the loss of step %" PRIu64 " is %s; %s", event->step + 1,
             text_of(event->loss), k_advice);
out:
    return rc;
}

/* Parameters are still those of the step before, and so is the newest checkpoint. */
static cairn_status on_before_optimizer_step(void *self, const cairn_event *event,
                                             cairn_control *control, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    (void)self;    /* has no state */
    (void)control; /* asks for nothing */
    /* The loss scaler deals with an overflow: it skips the update and lowers the scale. */
    if (!event->is_skipped && !isfinite(event->gradient_norm))
        CRN_FAIL(err, CAIRN_ENONFINITE, "the gradient norm of step %" PRIu64 " is %s; %s",
                 event->step + 1, text_of(event->gradient_norm), k_advice);
out:
    return rc;
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof(cairn_callback_ops),
    .name = "CheckLoss",
    .on_after_forward = on_after_forward,
    .on_before_optimizer_step = on_before_optimizer_step,
};

cairn_status cairn_check_loss_new(cairn_callback *out, cairn_error *err)
{
    (void)err; /* cannot fail, but has the shape of all constructors */
    *out = (cairn_callback){.ops = &k_ops, .self = NULL};
    return CAIRN_OK;
}
