/* SummaryTensorListener: how the numbers of tensors are distributed (Model Zoo reference, 2.7). */
#include "base/mem.h"
#include "base/try.h"
#include "callbacks/listener.h"

static const char k_name[] = "SummaryTensorListener";

static cairn_status heard(void *user, cairn_trainer *trainer, const char *name, const float *values,
                          size_t count, cairn_error *err)
{
    (void)user; /* needs nothing of its own */
    return cairn_trainer_log_histogram(trainer, name, values, count, err);
}

static cairn_status setup(void *self, const cairn_event *event, cairn_control *control,
                          cairn_error *err)
{
    (void)control; /* asks for nothing */
    return crn_listener_begin(self, event->trainer, err);
}

static cairn_status on_before_optimizer_step(void *self, const cairn_event *event,
                                             cairn_control *control, cairn_error *err)
{
    (void)control; /* asks for nothing */
    return event->is_log_step ? crn_listener_parameters(self, err) : CAIRN_OK;
}

static void destroy(void *self)
{
    if (self != NULL)
        crn_listener_dispose(self);
    crn_free(self);
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof(cairn_callback_ops),
    .name = k_name,
    .destroy = destroy,
    .setup = setup,
    .on_before_optimizer_step = on_before_optimizer_step,
};

cairn_status cairn_summary_tensor_listener_new(const cairn_summary_tensor_listener_options *options,
                                               cairn_callback *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_listener *listener = crn_calloc(1, sizeof *listener);
    CRN_NEED(err, listener, k_name);
    CRN_TRY_PLAIN(crn_listener_init(listener, k_name, options->listener_name,
                                    &options->tensor_names, heard, listener, err));
    *out = (cairn_callback){.ops = &k_ops, .self = listener};
    listener = NULL;
out:
    destroy(listener);
    return rc;
}
