/* RMSprop. */
#include <math.h>

#include "optim/optimizer.h"

struct scalars {
    float alpha;
    float one_minus_alpha;
    float eps;
    float momentum;
    bool centered;
    float weight_decay;
    float learning_rate;
};
_Static_assert(sizeof(struct scalars) <= CRN_SCALARS_BYTES, "a group's room is too small");

static size_t moments(const void *options, const cairn_tensor *param,
                      crn_moment out[CRN_MOMENTS_MAX])
{
    const cairn_rmsprop_options *const o = options;
    size_t count = 0;
    (void)param;
    out[count++].name = "square_avg";
    if (o->momentum > 0.0)
        out[count++].name = "momentum_buffer";
    if (o->centered)
        out[count++].name = "grad_avg";
    return count;
}

static void prepare(const void *options, const double counters[CRN_COUNTERS_MAX],
                    double learning_rate, double weight_decay, void *scalars)
{
    const cairn_rmsprop_options *const o = options;
    struct scalars *const k = scalars;
    (void)counters;
    *k = (struct scalars){
        .alpha = (float)o->alpha,
        .one_minus_alpha = (float)(1.0 - o->alpha),
        .eps = (float)o->eps,
        .momentum = (float)o->momentum,
        .centered = o->centered,
        .weight_decay = (float)weight_decay,
        .learning_rate = (float)learning_rate,
    };
}

static void update(const crn_tile *tile, const void *scalars)
{
    const struct scalars k = *(const struct scalars *)scalars;
    float *restrict const p = tile->p;
    float *restrict const v = tile->m[0];
    float *restrict const b = k.momentum > 0.0f ? tile->m[1] : NULL;
    float *restrict const a = !k.centered ? NULL : tile->m[b != NULL ? 2 : 1];
    const float *restrict const g = tile->g;
    const size_t count = tile->count;
#pragma omp parallel for simd schedule(static) if (count > CRN_PARALLEL_FLOATS)
    for (size_t i = 0; i < count; i++) {
        const float grad = g[i] + k.weight_decay * p[i];
        const float square = k.alpha * v[i] + k.one_minus_alpha * (grad * grad);
        float variance = square;
        if (a != NULL) {
            a[i] = k.alpha * a[i] + k.one_minus_alpha * grad;
            variance = square - a[i] * a[i];
        }
        const float step = grad / (sqrtf(variance) + k.eps);
        v[i] = square;
        if (b != NULL)
            b[i] = k.momentum * b[i] + step;
        p[i] -= k.learning_rate * (b != NULL ? b[i] : step);
    }
}

static const crn_optimizer_class k_rmsprop = {
    .ops = CRN_OPTIMIZER_OPS("RMSprop", crn_optimizer_weight_decay),
    .section = "rmsprop",
    .moments = moments,
    .prepare = prepare,
    .update = update,
};

cairn_status cairn_rmsprop_new(const cairn_rmsprop_options *options, cairn_optimizer *out,
                               cairn_error *err)
{
    return crn_optimizer_new(&k_rmsprop, options, options->lr, options->weight_decay, out, err);
}
