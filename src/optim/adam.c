/* AdamW and Adam: they differ in where weight decay enters. */
#include <math.h>

#include "optim/optimizer.h"

/* What the two option structs have in common. */
struct adam {
    cairn_opt_pair betas;
    double eps;
    bool correct_bias;
};

struct scalars {
    float beta1;
    float beta2;
    float one_minus_beta1;
    float one_minus_beta2;
    float eps;
    float correction;
    float decay; /* decoupled */
    float l2;    /* into the gradient */
    float learning_rate;
};
_Static_assert(sizeof(struct scalars) <= CRN_SCALARS_BYTES, "a group's room is too small");

static size_t moments(bool amsgrad, crn_moment out[CRN_MOMENTS_MAX])
{
    out[0].name = "exp_avg";
    out[1].name = "exp_avg_sq";
    out[2].name = "max_exp_avg_sq";
    return amsgrad ? 3 : 2;
}

static void advance(cairn_opt_pair betas, double counters[CRN_COUNTERS_MAX])
{
    counters[0] *= betas.first;
    counters[1] *= betas.second;
}

static void prepare(const struct adam *o, const double counters[CRN_COUNTERS_MAX],
                    double learning_rate, double decay, double l2, struct scalars *out)
{
    const double correction = sqrt(1.0 - counters[1]) / (1.0 - counters[0]);
    *out = (struct scalars){
        .beta1 = (float)o->betas.first,
        .beta2 = (float)o->betas.second,
        .one_minus_beta1 = (float)(1.0 - o->betas.first),
        .one_minus_beta2 = (float)(1.0 - o->betas.second),
        .eps = (float)o->eps,
        .correction = o->correct_bias ? (float)correction : 1.0f,
        .decay = (float)decay,
        .l2 = (float)l2,
        .learning_rate = (float)learning_rate,
    };
}

/* Model Zoo reference 2.5 (AdamBase.py): eps is added before the bias is corrected. */
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
        const float grad = g[i] + k.l2 * p[i];
        const float mean = k.beta1 * m[i] + k.one_minus_beta1 * grad;
        const float square = k.beta2 * v[i] + k.one_minus_beta2 * (grad * grad);
        const float step = mean / (sqrtf(square) + k.eps) * k.correction + k.decay * p[i];
        m[i] = mean;
        v[i] = square;
        p[i] -= k.learning_rate * step;
    }
}

static void update_amsgrad(const crn_tile *tile, const void *scalars)
{
    const struct scalars k = *(const struct scalars *)scalars;
    float *restrict const p = tile->p;
    float *restrict const m = tile->m[0];
    float *restrict const v = tile->m[1];
    float *restrict const most = tile->m[2];
    const float *restrict const g = tile->g;
    const size_t count = tile->count;
#pragma omp parallel for simd schedule(static) if (count > CRN_PARALLEL_FLOATS)
    for (size_t i = 0; i < count; i++) {
        const float grad = g[i] + k.l2 * p[i];
        const float mean = k.beta1 * m[i] + k.one_minus_beta1 * grad;
        const float square = k.beta2 * v[i] + k.one_minus_beta2 * (grad * grad);
        const float largest = square > most[i] ? square : most[i];
        const float step = mean / (sqrtf(largest) + k.eps) * k.correction + k.decay * p[i];
        m[i] = mean;
        v[i] = square;
        most[i] = largest;
        p[i] -= k.learning_rate * step;
    }
}

static void update_any(const crn_tile *tile, const void *scalars)
{
    if (tile->m[2] != NULL)
        update_amsgrad(tile, scalars);
    else
        update(tile, scalars);
}

/* ---- AdamW ---- */

static size_t adamw_moments(const void *options, const cairn_tensor *param,
                            crn_moment out[CRN_MOMENTS_MAX])
{
    const cairn_adamw_options *const o = options;
    (void)param;
    return moments(o->amsgrad, out);
}

static void adamw_advance(const void *options, double counters[CRN_COUNTERS_MAX])
{
    const cairn_adamw_options *const o = options;
    advance(o->betas, counters);
}

static void adamw_prepare(const void *options, const double counters[CRN_COUNTERS_MAX],
                          double learning_rate, double weight_decay, void *scalars)
{
    const cairn_adamw_options *const o = options;
    const struct adam adam = {.betas = o->betas, .eps = o->eps, .correct_bias = o->correct_bias};
    prepare(&adam, counters, learning_rate, weight_decay, 0.0, scalars);
}

static const crn_optimizer_class k_adamw = {
    .ops = CRN_OPTIMIZER_OPS("AdamW", crn_optimizer_weight_decay),
    .section = "adamw",
    .moments = adamw_moments,
    .counters = {{.name = "beta1_power"}, {.name = "beta2_power"}},
    .advance = adamw_advance,
    .prepare = adamw_prepare,
    .update = update_any,
};

cairn_status cairn_adamw_new(const cairn_adamw_options *options, cairn_optimizer *out,
                             cairn_error *err)
{
    return crn_optimizer_new(&k_adamw, options, options->lr, options->weight_decay, out, err);
}

/* ---- Adam ---- */

static size_t adam_moments(const void *options, const cairn_tensor *param,
                           crn_moment out[CRN_MOMENTS_MAX])
{
    const cairn_adam_options *const o = options;
    (void)param;
    return moments(o->amsgrad, out);
}

static void adam_advance(const void *options, double counters[CRN_COUNTERS_MAX])
{
    const cairn_adam_options *const o = options;
    advance(o->betas, counters);
}

static void adam_prepare(const void *options, const double counters[CRN_COUNTERS_MAX],
                         double learning_rate, double weight_decay, void *scalars)
{
    const cairn_adam_options *const o = options;
    const struct adam adam = {.betas = o->betas, .eps = o->eps, .correct_bias = true};
    prepare(&adam, counters, learning_rate, 0.0, weight_decay, scalars);
}

static const crn_optimizer_class k_adam = {
    .ops = CRN_OPTIMIZER_OPS("Adam", crn_optimizer_weight_decay),
    .section = "adam",
    .moments = adam_moments,
    .counters = {{.name = "beta1_power"}, {.name = "beta2_power"}},
    .advance = adam_advance,
    .prepare = adam_prepare,
    .update = update_any,
};

cairn_status cairn_adam_new(const cairn_adam_options *options, cairn_optimizer *out,
                            cairn_error *err)
{
    return crn_optimizer_new(&k_adam, options, options->lr, options->weight_decay, out, err);
}
