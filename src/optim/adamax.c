/* Adamax. */
#include <math.h>

#include "optim/optimizer.h"

struct scalars {
    float beta1;
    float beta2;
    float one_minus_beta1;
    float eps;
    float sign;
    float weight_decay;
    float learning_rate; /* corrected */
};
_Static_assert(sizeof(struct scalars) <= CRN_SCALARS_BYTES, "a group's room is too small");

static size_t moments(const void *options, const cairn_tensor *param,
                      crn_moment out[CRN_MOMENTS_MAX])
{
    (void)options;
    (void)param;
    out[0].name = "exp_avg";
    out[1].name = "exp_inf";
    return 2;
}

static void advance(const void *options, double counters[CRN_COUNTERS_MAX])
{
    const cairn_adamax_options *const o = options;
    counters[0] *= o->betas.first;
}

static void prepare(const void *options, const double counters[CRN_COUNTERS_MAX],
                    double learning_rate, double weight_decay, void *scalars)
{
    const cairn_adamax_options *const o = options;
    struct scalars *const k = scalars;
    *k = (struct scalars){
        .beta1 = (float)o->betas.first,
        .beta2 = (float)o->betas.second,
        .one_minus_beta1 = (float)(1.0 - o->betas.first),
        .eps = (float)o->eps,
        .sign = o->maximize ? -1.0f : 1.0f,
        .weight_decay = (float)weight_decay,
        .learning_rate = (float)(learning_rate / (1.0 - counters[0])),
    };
}

static void update(const crn_tile *tile, const void *scalars)
{
    const struct scalars k = *(const struct scalars *)scalars;
    float *restrict const p = tile->p;
    float *restrict const m = tile->m[0];
    float *restrict const most = tile->m[1];
    const float *restrict const g = tile->g;
    const size_t count = tile->count;
#pragma omp parallel for simd schedule(static) if (count > CRN_PARALLEL_FLOATS)
    for (size_t i = 0; i < count; i++) {
        const float grad = k.sign * g[i] + k.weight_decay * p[i];
        const float now = fabsf(grad) + k.eps;
        const float past = k.beta2 * most[i];
        m[i] = k.beta1 * m[i] + k.one_minus_beta1 * grad;
        most[i] = now > past ? now : past;
        p[i] -= k.learning_rate * (m[i] / most[i]);
    }
}

static const crn_optimizer_class k_adamax = {
    .ops = CRN_OPTIMIZER_OPS("Adamax", crn_optimizer_weight_decay),
    .section = "adamax",
    .moments = moments,
    .counters = {{.name = "beta1_power"}},
    .advance = advance,
    .prepare = prepare,
    .update = update,
};

cairn_status cairn_adamax_new(const cairn_adamax_options *options, cairn_optimizer *out,
                              cairn_error *err)
{
    return crn_optimizer_new(&k_adamax, options, options->lr, options->weight_decay, out, err);
}
