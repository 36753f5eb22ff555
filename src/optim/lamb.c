/* Lamb: Adam without bias correction, its updates scaled to the size of each tensor. */
#include <math.h>

#include "optim/optimizer.h"

struct scalars {
    float beta1;
    float beta2;
    float one_minus_beta1;
    float one_minus_beta2;
    float eps;
    float weight_decay;
    float learning_rate; /* in the second pass times the trust ratio */
    bool is_scaled;
};
_Static_assert(sizeof(struct scalars) <= CRN_SCALARS_BYTES, "a group's room is too small");

/* Largest norm of a tensor that counts: the paper's phi, as in the Model Zoo. */
static const double k_norm_max = 10.0;

/* What the update is computed from. */
struct direction {
    const struct scalars *k;
    const float *p;
    const float *m;
    const float *v;
};

static size_t moments(const void *options, const cairn_tensor *param,
                      crn_moment out[CRN_MOMENTS_MAX])
{
    (void)options;
    (void)param;
    out[0].name = "exp_avg";
    out[1].name = "exp_avg_sq";
    return 2;
}

static void prepare(const void *options, const double counters[CRN_COUNTERS_MAX],
                    double learning_rate, double weight_decay, void *scalars)
{
    const cairn_lamb_options *const o = options;
    struct scalars *const k = scalars;
    (void)counters;
    *k = (struct scalars){
        .beta1 = (float)o->betas.first,
        .beta2 = (float)o->betas.second,
        .one_minus_beta1 = (float)(1.0 - o->betas.first),
        .one_minus_beta2 = (float)(1.0 - o->betas.second),
        .eps = (float)o->eps,
        .weight_decay = (float)weight_decay,
        .learning_rate = (float)learning_rate,
        .is_scaled = !o->adam,
    };
}

static void update_moments(const crn_tile *tile, const void *scalars)
{
    const struct scalars k = *(const struct scalars *)scalars;
    float *restrict const m = tile->m[0];
    float *restrict const v = tile->m[1];
    const float *restrict const g = tile->g;
    const size_t count = tile->count;
#pragma omp parallel for simd schedule(static) if (count > CRN_PARALLEL_FLOATS)
    for (size_t i = 0; i < count; i++) {
        m[i] = k.beta1 * m[i] + k.one_minus_beta1 * g[i];
        v[i] = k.beta2 * v[i] + k.one_minus_beta2 * (g[i] * g[i]);
    }
}

static double chunk_of_direction(const void *what, size_t first, size_t count)
{
    const struct direction *const d = what;
    const struct scalars k = *d->k;
    double sum = 0.0;
    for (size_t i = first; i < first + count; i++) {
        const float step = d->m[i] / (sqrtf(d->v[i]) + k.eps) + k.weight_decay * d->p[i];
        sum += (double)step * (double)step;
    }
    return sum;
}

static void update_params(const crn_tile *tile, const void *what)
{
    const struct direction *const d = what;
    const struct scalars k = *d->k;
    float *restrict const p = tile->p;
    /* The moments are read where they are: the tile is the part of them that belongs to it. */
    const size_t first = (size_t)(tile->p - d->p);
    const float *restrict const m = d->m + first;
    const float *restrict const v = d->v + first;
    const size_t count = tile->count;
#pragma omp parallel for simd schedule(static) if (count > CRN_PARALLEL_FLOATS)
    for (size_t i = 0; i < count; i++) {
        const float step = m[i] / (sqrtf(v[i]) + k.eps) + k.weight_decay * p[i];
        p[i] -= k.learning_rate * step;
    }
}

static cairn_status step_tensor(crn_optimizer *optimizer, cairn_state_tree *tree,
                                const crn_slot *slot, const void *scalars, cairn_error *err)
{
    struct scalars k = *(const struct scalars *)scalars;
    const struct direction direction = {
        .k = &k, .p = slot->param->data, .m = slot->moment[0]->data, .v = slot->moment[1]->data};
    const size_t count = (size_t)cairn_tensor_elements(slot->param);
    (void)optimizer;
    (void)err;
    crn_update_tiles(tree, slot, false, true, update_moments, scalars);
    const double size = fmin(sqrt(crn_sum_of_squares(direction.p, count)), k_norm_max);
    const double step = sqrt(crn_sum_chunks(count, chunk_of_direction, &direction));
    if (k.is_scaled && size > 0.0 && step > 0.0)
        k.learning_rate *= (float)(size / step);
    crn_update_tiles(tree, slot, true, false, update_params, &direction);
    return CAIRN_OK;
}

static const crn_optimizer_class k_lamb = {
    .ops = CRN_OPTIMIZER_OPS("Lamb", crn_optimizer_weight_decay),
    .section = "lamb",
    .moments = moments,
    .prepare = prepare,
    .step_tensor = step_tensor,
};

cairn_status cairn_lamb_new(const cairn_lamb_options *options, cairn_optimizer *out,
                            cairn_error *err)
{
    return crn_optimizer_new(&k_lamb, options, options->lr, options->weight_decay, out, err);
}
