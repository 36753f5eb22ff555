/* Gradient descent with momentum. */
#include "base/try.h"
#include "optim/optimizer.h"

struct scalars {
    float sign; /* -1 goes up the gradient */
    float momentum;
    float one_minus_dampening;
    bool nesterov;
    float weight_decay;
    float learning_rate;
};
_Static_assert(sizeof(struct scalars) <= CRN_SCALARS_BYTES, "a group's room is too small");

static size_t moments(const void *options, const cairn_tensor *param,
                      crn_moment out[CRN_MOMENTS_MAX])
{
    const cairn_sgd_options *const o = options;
    (void)param;
    out[0].name = "momentum_buffer";
    return o->momentum != 0.0 ? 1 : 0;
}

static void prepare(const void *options, const double counters[CRN_COUNTERS_MAX],
                    double learning_rate, double weight_decay, void *scalars)
{
    const cairn_sgd_options *const o = options;
    struct scalars *const k = scalars;
    (void)counters;
    *k = (struct scalars){
        .sign = o->maximize ? -1.0f : 1.0f,
        .momentum = (float)o->momentum,
        .one_minus_dampening = (float)(1.0 - o->dampening),
        .nesterov = o->nesterov,
        .weight_decay = (float)weight_decay,
        .learning_rate = (float)learning_rate,
    };
}

static void update_plain(const crn_tile *tile, const struct scalars *scalars)
{
    const struct scalars k = *scalars;
    float *restrict const p = tile->p;
    const float *restrict const g = tile->g;
    const size_t count = tile->count;
#pragma omp parallel for simd schedule(static) if (count > CRN_PARALLEL_FLOATS)
    for (size_t i = 0; i < count; i++)
        p[i] -= k.learning_rate * (k.sign * g[i] + k.weight_decay * p[i]);
}

static void update_momentum(const crn_tile *tile, const struct scalars *scalars)
{
    const struct scalars k = *scalars;
    /* What the step takes of the gradient and of the buffer. */
    const float of_gradient = k.nesterov ? 1.0f : 0.0f;
    const float of_buffer = k.nesterov ? k.momentum : 1.0f;
    float *restrict const p = tile->p;
    float *restrict const b = tile->m[0];
    const float *restrict const g = tile->g;
    const size_t count = tile->count;
#pragma omp parallel for simd schedule(static) if (count > CRN_PARALLEL_FLOATS)
    for (size_t i = 0; i < count; i++) {
        const float grad = k.sign * g[i] + k.weight_decay * p[i];
        b[i] = k.momentum * b[i] + k.one_minus_dampening * grad;
        p[i] -= k.learning_rate * (of_gradient * grad + of_buffer * b[i]);
    }
}

static void update(const crn_tile *tile, const void *scalars)
{
    if (tile->m[0] != NULL)
        update_momentum(tile, scalars);
    else
        update_plain(tile, scalars);
}

static const crn_optimizer_class k_sgd = {
    .ops = CRN_OPTIMIZER_OPS("SGD", crn_optimizer_weight_decay),
    .section = "sgd",
    .moments = moments,
    .prepare = prepare,
    .update = update,
};

cairn_status cairn_sgd_new(const cairn_sgd_options *options, cairn_optimizer *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (options->nesterov && (options->momentum <= 0.0 || options->dampening != 0.0))
        CRN_FAIL(err, CAIRN_ECONFIG, "SGD: nesterov needs a momentum above 0 and no dampening");
    CRN_TRY_PLAIN(crn_optimizer_new(&k_sgd, options, options->lr, options->weight_decay, out, err));
out:
    return rc;
}
