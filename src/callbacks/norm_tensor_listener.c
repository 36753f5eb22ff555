/* NormTensorListener: norms of tensors, and of all of them together (Model Zoo reference, 2.7). */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/try.h"
#include "cairn/optim.h"
#include "callbacks/listener.h"

static const char k_name[] = "NormTensorListener";

enum { METRIC_SIZE = 256 };

struct norms {
    crn_listener listener;
    double squares; /* of the step that runs */
};

static cairn_status heard(void *user, cairn_trainer *trainer, const char *name, const float *values,
                          size_t count, cairn_error *err)
{
    struct norms *const norms = user;
    const double squares = cairn_sum_of_squares(values, count);
    norms->squares += squares;
    return cairn_trainer_add_metric(trainer, name, sqrt(squares), err);
}

static cairn_status setup(void *self, const cairn_event *event, cairn_control *control,
                          cairn_error *err)
{
    struct norms *const norms = self;
    (void)control; /* asks for nothing */
    return crn_listener_begin(&norms->listener, event->trainer, err);
}

static cairn_status on_before_optimizer_step(void *self, const cairn_event *event,
                                             cairn_control *control, cairn_error *err)
{
    struct norms *const norms = self;
    cairn_status rc = CAIRN_OK;
    char name[METRIC_SIZE];
    (void)control; /* asks for nothing */
    if (!event->is_log_step)
        return CAIRN_OK;
    CRN_TRY_PLAIN(crn_listener_parameters(&norms->listener, err));
    (void)snprintf(name, sizeof name, "%s/__all__", norms->listener.prefix);
    CRN_TRY_PLAIN(cairn_trainer_add_metric(event->trainer, name, sqrt(norms->squares), err));
    norms->squares = 0.0;
out:
    return rc;
}

static void destroy(void *self)
{
    struct norms *const norms = self;
    if (norms != NULL)
        crn_listener_dispose(&norms->listener);
    crn_free(norms);
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof(cairn_callback_ops),
    .name = k_name,
    .destroy = destroy,
    .setup = setup,
    .on_before_optimizer_step = on_before_optimizer_step,
};

cairn_status cairn_norm_tensor_listener_new(const cairn_norm_tensor_listener_options *options,
                                            cairn_callback *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct norms *norms = crn_calloc(1, sizeof *norms);
    CRN_NEED(err, norms, k_name);
    CRN_TRY_PLAIN(crn_listener_init(&norms->listener, k_name, options->listener_name,
                                    &options->tensor_names, heard, norms, err));
    *out = (cairn_callback){.ops = &k_ops, .self = norms};
    norms = NULL;
out:
    destroy(norms);
    return rc;
}
