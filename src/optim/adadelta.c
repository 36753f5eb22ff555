/* Adadelta. */
#include <math.h>

#include "optim/optimizer.h"

struct scalars {
    float rho;
    float one_minus_rho;
    float eps;
    float sign;
    float weight_decay;
    float learning_rate;
};
_Static_assert(sizeof(struct scalars) <= CRN_SCALARS_BYTES, "a group's room is too small");

static size_t moments(const void *options, const cairn_tensor *param,
                      crn_moment out[CRN_MOMENTS_MAX])
{
    (void)options;
    (void)param;
    out[0].name = "square_avg";
    out[1].name = "acc_delta";
    return 2;
}

static void prepare(const void *options, const double counters[CRN_COUNTERS_MAX],
                    double learning_rate, double weight_decay, void *scalars)
{
    const cairn_adadelta_options *const o = options;
    struct scalars *const k = scalars;
    (void)counters;
    *k = (struct scalars){
        .rho = (float)o->rho,
        .one_minus_rho = (float)(1.0 - o->rho),
        .eps = (float)o->eps,
        .sign = o->maximize ? -1.0f : 1.0f,
        .weight_decay = (float)weight_decay,
        .learning_rate = (float)learning_rate,
    };
}

static void update(const crn_tile *tile, const void *scalars)
{
    const struct scalars k = *(const struct scalars *)scalars;
    float *restrict const p = tile->p;
    float *restrict const v = tile->m[0];
    float *restrict const a = tile->m[1];
    const float *restrict const g = tile->g;
    const size_t count = tile->count;
#pragma omp parallel for simd schedule(static) if (count > CRN_PARALLEL_FLOATS)
    for (size_t i = 0; i < count; i++) {
        const float grad = k.sign * g[i] + k.weight_decay * p[i];
        const float square = k.rho * v[i] + k.one_minus_rho * (grad * grad);
        const float delta = sqrtf(a[i] + k.eps) / sqrtf(square + k.eps) * grad;
        v[i] = square;
        a[i] = k.rho * a[i] + k.one_minus_rho * (delta * delta);
        p[i] -= k.learning_rate * delta;
    }
}

static const crn_optimizer_class k_adadelta = {
    .ops = CRN_OPTIMIZER_OPS("Adadelta", crn_optimizer_weight_decay),
    .section = "adadelta",
    .moments = moments,
    .prepare = prepare,
    .update = update,
};

cairn_status cairn_adadelta_new(const cairn_adadelta_options *options, cairn_optimizer *out,
                                cairn_error *err)
{
    return crn_optimizer_new(&k_adadelta, options, options->lr, options->weight_decay, out, err);
}
