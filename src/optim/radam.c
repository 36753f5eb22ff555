/* Rectified Adam. */
#include <math.h>

#include "optim/optimizer.h"

struct scalars {
    float beta1;
    float beta2;
    float one_minus_beta1;
    float one_minus_beta2;
    float eps;
    float weight_decay;
    float learning_rate; /* all corrections included */
    bool is_rectified;
};
_Static_assert(sizeof(struct scalars) <= CRN_SCALARS_BYTES, "a group's room is too small");

static size_t moments(const void *options, const cairn_tensor *param,
                      crn_moment out[CRN_MOMENTS_MAX])
{
    (void)options;
    (void)param;
    out[0].name = "exp_avg";
    out[1].name = "exp_avg_sq";
    return 2;
}

static void advance(const void *options, double counters[CRN_COUNTERS_MAX])
{
    (void)options;
    counters[0] += 1.0;
}

static void prepare(const void *options, const double counters[CRN_COUNTERS_MAX],
                    double learning_rate, double weight_decay, void *scalars)
{
    const cairn_radam_options *const o = options;
    struct scalars *const k = scalars;
    const double s = counters[0];
    const double beta2 = o->betas.second;
    const double power2 = pow(beta2, s);
    const double most = 2.0 / (1.0 - beta2) - 1.0;
    const double rho = most - 2.0 * s * power2 / (1.0 - power2);
    const bool is_rectified = rho > 5.0;
    double rate = learning_rate / (1.0 - pow(o->betas.first, s));
    if (is_rectified)
        rate *= sqrt((rho - 4.0) * (rho - 2.0) * most / ((most - 4.0) * (most - 2.0) * rho)) *
                sqrt(1.0 - power2);
    *k = (struct scalars){
        .beta1 = (float)o->betas.first,
        .beta2 = (float)beta2,
        .one_minus_beta1 = (float)(1.0 - o->betas.first),
        .one_minus_beta2 = (float)(1.0 - beta2),
        .eps = (float)o->eps,
        .weight_decay = (float)weight_decay,
        .learning_rate = (float)rate,
        .is_rectified = is_rectified,
    };
}

static void update(const crn_tile *tile, const void *scalars)
{
    const struct scalars k = *(const struct scalars *)scalars;
    float *restrict const p = tile->p;
    float *restrict const m = tile->m[0];
    float *restrict const v = tile->m[1];
    const float *restrict const g = tile->g;
    const size_t count = tile->count;
#pragma omp parallel for simd schedule(static) if (count > CRN_PARALLEL_FLOATS)
    for (size_t i = 0; i < count; i++) {
        const float grad = g[i] + k.weight_decay * p[i];
        m[i] = k.beta1 * m[i] + k.one_minus_beta1 * grad;
        v[i] = k.beta2 * v[i] + k.one_minus_beta2 * (grad * grad);
        p[i] -= k.learning_rate * (k.is_rectified ? m[i] / (sqrtf(v[i]) + k.eps) : m[i]);
    }
}

static const crn_optimizer_class k_radam = {
    .ops = CRN_OPTIMIZER_OPS("RAdam", crn_optimizer_weight_decay),
    .section = "radam",
    .moments = moments,
    .counters = {{.name = "step", .is_count = true}},
    .advance = advance,
    .prepare = prepare,
    .update = update,
};

cairn_status cairn_radam_new(const cairn_radam_options *options, cairn_optimizer *out,
                             cairn_error *err)
{
    return crn_optimizer_new(&k_radam, options, options->lr, options->weight_decay, out, err);
}
