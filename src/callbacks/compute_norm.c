/* ComputeNorm: norms of the parameters and of the unclipped gradients (Model Zoo reference, 2.7).
 * Only on log steps, since each costs a walk through memory. */
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "cairn/callbacks.h"
#include "cairn/optim.h"

static const char k_name[] = "ComputeNorm";

enum { METRIC_SIZE = 64, NO_LAYER = -1 };

struct norms {
    int64_t *layers; /* [tensors of the model] number of its layer, or NO_LAYER */
    double *squares; /* [layer_count] */
    size_t layer_count;
    cairn_floats *ranges; /* [tensors of the model] */
    double *sums;         /* likewise */
};

/* The number in "...layers.7...."; NO_LAYER if there is none. */
static int64_t layer_of(const char *name)
{
    static const char k_layers[] = "layers.";
    for (const char *at = strstr(name, k_layers); at != NULL; at = strstr(at + 1, k_layers)) {
        char *end = NULL;
        const char *const digits = at + strlen(k_layers);
        const bool is_word = at == name || at[-1] == '.';
        if (!is_word || !isdigit((unsigned char)*digits))
            continue;
        const long number = strtol(digits, &end, 10);
        if (*end == '.' && number < INT32_MAX)
            return number;
    }
    return NO_LAYER;
}

static cairn_status post_setup(void *self, const cairn_event *event, cairn_control *control,
                               cairn_error *err)
{
    struct norms *const norms = self;
    cairn_status rc = CAIRN_OK;
    const cairn_state *const trained = cairn_trainer_trained_state(event->trainer);
    const size_t all = cairn_state_tensor_count(cairn_trainer_model_state(event->trainer));
    const size_t count = cairn_state_tensor_count(trained);
    const size_t most = all > count ? all : count;
    (void)control; /* asks for nothing */
    norms->layers = crn_calloc(count, sizeof *norms->layers);
    CRN_NEED(err, norms->layers, k_name);
    for (size_t i = 0; i < count; i++) {
        norms->layers[i] = layer_of(cairn_state_tensor_at(trained, i)->name);
        /* Layers are numbered from 0; a name with a number of another kind must cost no memory. */
        if (norms->layers[i] >= (int64_t)count)
            norms->layers[i] = NO_LAYER;
        if (norms->layers[i] != NO_LAYER && (size_t)norms->layers[i] >= norms->layer_count)
            norms->layer_count = (size_t)norms->layers[i] + 1;
    }
    norms->squares = crn_calloc(norms->layer_count, sizeof *norms->squares);
    CRN_NEED(err, norms->squares, k_name);
    norms->ranges = crn_calloc(most, sizeof *norms->ranges);
    CRN_NEED(err, norms->ranges, k_name);
    norms->sums = crn_calloc(most, sizeof *norms->sums);
    CRN_NEED(err, norms->sums, k_name);
out:
    return rc;
}

/* Of tensors that lie side by side one range, since its middle is known already. */
static void add_layer_squares(const struct norms *norms, const cairn_trainer *trainer,
                              const cairn_state *model)
{
    const size_t count = cairn_state_tensor_count(model);
    memset(norms->squares, 0, norms->layer_count * sizeof *norms->squares);
    for (size_t i = 0; i < count;) {
        const int64_t layer = norms->layers[i];
        const cairn_tensor *const first = cairn_state_tensor_at(model, i++);
        const cairn_tensor *last = first;
        if (layer == NO_LAYER || first->grad == NULL)
            continue;
        for (; i < count && norms->layers[i] == layer; i++) {
            const cairn_tensor *const next = cairn_state_tensor_at(model, i);
            if (next->grad == NULL || next->grad < last->grad)
                break;
            last = next;
        }
        norms->squares[layer] += cairn_trainer_gradient_squares(
            trainer, first->grad,
            (size_t)(last->grad - first->grad) + (size_t)cairn_tensor_elements(last));
    }
}

static cairn_status log_layers(const struct norms *norms, cairn_trainer *trainer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    add_layer_squares(norms, trainer, cairn_trainer_trained_state(trainer));
    for (size_t i = 0; i < norms->layer_count; i++) {
        char name[METRIC_SIZE];
        (void)snprintf(name, sizeof name, "per_layer_grad_norm/layer_%zu", i);
        CRN_TRY_PLAIN(cairn_trainer_add_metric(trainer, name, sqrt(norms->squares[i]), err));
    }
out:
    return rc;
}

/* All sums at once. What is no parameter is an empty range. */
static double params_squares(const struct norms *norms, const cairn_state *model)
{
    double squares = 0.0;
    const size_t count = cairn_state_tensor_count(model);
    for (size_t i = 0; i < count; i++) {
        const cairn_tensor *const tensor = cairn_state_tensor_at(model, i);
        const bool is_param = tensor->dtype == CAIRN_DTYPE_F32 && tensor->role != CAIRN_ROLE_OTHER;
        norms->ranges[i] =
            (cairn_floats){tensor->data, is_param ? (size_t)cairn_tensor_elements(tensor) : 0};
    }
    cairn_sums_of_squares(norms->ranges, count, norms->sums);
    for (size_t i = 0; i < count; i++)
        squares += norms->sums[i];
    return squares;
}

static cairn_status on_before_optimizer_step(void *self, const cairn_event *event,
                                             cairn_control *control, cairn_error *err)
{
    const struct norms *const norms = self;
    cairn_status rc = CAIRN_OK;
    cairn_trainer *const trainer = event->trainer;
    const cairn_state *const model = cairn_trainer_model_state(trainer);
    const cairn_state *const trained = cairn_trainer_trained_state(trainer);
    (void)control; /* asks for nothing */
    if (!event->is_log_step)
        return CAIRN_OK;
    double squares = params_squares(norms, model);
    if (trained != model)
        squares += params_squares(norms, trained);
    CRN_TRY_PLAIN(cairn_trainer_add_metric(trainer, "model_wise_params_norm", sqrt(squares), err));
    CRN_TRY_PLAIN(
        cairn_trainer_add_metric(trainer, "model_wise_grad_norm", event->gradient_norm, err));
    CRN_TRY_PLAIN(log_layers(norms, trainer, err));
out:
    return rc;
}

static void destroy(void *self)
{
    struct norms *const norms = self;
    if (norms == NULL)
        return;
    crn_free(norms->layers);
    crn_free(norms->squares);
    crn_free(norms->ranges);
    crn_free(norms->sums);
    crn_free(norms);
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof(cairn_callback_ops),
    .name = k_name,
    .destroy = destroy,
    .post_setup = post_setup,
    .on_before_optimizer_step = on_before_optimizer_step,
};

cairn_status cairn_compute_norm_new(cairn_callback *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct norms *const norms = crn_calloc(1, sizeof *norms);
    CRN_NEED(err, norms, k_name);
    *out = (cairn_callback){.ops = &k_ops, .self = norms};
out:
    return rc;
}
