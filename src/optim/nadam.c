/* Adam with Nesterov momentum, as PyTorch computes it (the Model Zoo multiplies mu twice). */
#include <math.h>

#include "optim/optimizer.h"

struct scalars {
    float beta1;
    float beta2;
    float one_minus_beta1;
    float one_minus_beta2;
    float correction2; /* of the root of the second moment */
    float eps;
    float weight_decay;
    float of_gradient; /* learning rate times its share */
    float of_mean;
};
_Static_assert(sizeof(struct scalars) <= CRN_SCALARS_BYTES, "a group's room is too small");

/* The momentum of step @s. */
static double mu(const cairn_nadam_options *o, double s)
{
    return o->betas.first * (1.0 - 0.5 * pow(0.96, s * o->momentum_decay));
}

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
    const cairn_nadam_options *const o = options;
    counters[0] += 1.0;
    counters[1] *= mu(o, counters[0]);
}

static void prepare(const void *options, const double counters[CRN_COUNTERS_MAX],
                    double learning_rate, double weight_decay, void *scalars)
{
    const cairn_nadam_options *const o = options;
    struct scalars *const k = scalars;
    const double mu_now = mu(o, counters[0]);
    const double mu_next = mu(o, counters[0] + 1.0);
    *k = (struct scalars){
        .beta1 = (float)o->betas.first,
        .beta2 = (float)o->betas.second,
        .one_minus_beta1 = (float)(1.0 - o->betas.first),
        .one_minus_beta2 = (float)(1.0 - o->betas.second),
        .correction2 = (float)(1.0 / (1.0 - pow(o->betas.second, counters[0]))),
        .eps = (float)o->eps,
        .weight_decay = (float)weight_decay,
        .of_gradient = (float)(learning_rate * (1.0 - mu_now) / (1.0 - counters[1])),
        .of_mean = (float)(learning_rate * mu_next / (1.0 - counters[1] * mu_next)),
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
        p[i] -= (k.of_gradient * grad + k.of_mean * m[i]) / (sqrtf(v[i] * k.correction2) + k.eps);
    }
}

static const crn_optimizer_class k_nadam = {
    .ops = CRN_OPTIMIZER_OPS("NAdam", crn_optimizer_weight_decay),
    .section = "nadam",
    .moments = moments,
    .counters = {{.name = "step", .is_count = true}, {.name = "mu_product"}},
    .advance = advance,
    .prepare = prepare,
    .update = update,
};

cairn_status cairn_nadam_new(const cairn_nadam_options *options, cairn_optimizer *out,
                             cairn_error *err)
{
    return crn_optimizer_new(&k_nadam, options, options->lr, options->weight_decay, out, err);
}
