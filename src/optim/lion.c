/* Lion: steps of one size, by the sign of an average of momentum and gradient. */
#include <math.h>

#include "optim/optimizer.h"

struct scalars {
    float beta1;
    float beta2;
    float one_minus_beta1;
    float one_minus_beta2;
    float keep; /* what decay leaves of a parameter */
    float learning_rate;
};
_Static_assert(sizeof(struct scalars) <= CRN_SCALARS_BYTES, "a group's room is too small");

static size_t moments(const void *options, const cairn_tensor *param,
                      crn_moment out[CRN_MOMENTS_MAX])
{
    (void)options;
    (void)param;
    out[0].name = "exp_avg";
    return 1;
}

static void prepare(const void *options, const double counters[CRN_COUNTERS_MAX],
                    double learning_rate, double weight_decay, void *scalars)
{
    const cairn_lion_options *const o = options;
    struct scalars *const k = scalars;
    (void)counters;
    *k = (struct scalars){
        .beta1 = (float)o->betas.first,
        .beta2 = (float)o->betas.second,
        .one_minus_beta1 = (float)(1.0 - o->betas.first),
        .one_minus_beta2 = (float)(1.0 - o->betas.second),
        .keep = (float)(1.0 - learning_rate * weight_decay),
        .learning_rate = (float)learning_rate,
    };
}

static void update(const crn_tile *tile, const void *scalars)
{
    const struct scalars k = *(const struct scalars *)scalars;
    float *restrict const p = tile->p;
    float *restrict const m = tile->m[0];
    const float *restrict const g = tile->g;
    const size_t count = tile->count;
#pragma omp parallel for simd schedule(static) if (count > CRN_PARALLEL_FLOATS)
    for (size_t i = 0; i < count; i++) {
        const float mean = k.beta1 * m[i] + k.one_minus_beta1 * g[i];
        const float sign = mean > 0.0f ? 1.0f : mean < 0.0f ? -1.0f : mean; /* NaN stays. */
        p[i] = k.keep * p[i] - k.learning_rate * sign;
        m[i] = k.beta2 * m[i] + k.one_minus_beta2 * g[i];
    }
}

static const crn_optimizer_class k_lion = {
    .ops = CRN_OPTIMIZER_OPS("Lion", crn_optimizer_weight_decay),
    .section = "lion",
    .moments = moments,
    .prepare = prepare,
    .update = update,
};

cairn_status cairn_lion_new(const cairn_lion_options *options, cairn_optimizer *out,
                            cairn_error *err)
{
    return crn_optimizer_new(&k_lion, options, options->lr, options->weight_decay, out, err);
}
