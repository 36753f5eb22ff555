/* Resilient propagation. */
#include <math.h>

#include "optim/optimizer.h"

struct scalars {
    float shrink;
    float grow;
    float least;
    float most;
};
_Static_assert(sizeof(struct scalars) <= CRN_SCALARS_BYTES, "a group's room is too small");

static size_t moments(const void *options, const cairn_tensor *param,
                      crn_moment out[CRN_MOMENTS_MAX])
{
    const cairn_rprop_options *const o = options;
    (void)param;
    out[0].name = "prev";
    out[1] = (crn_moment){.name = "step_size", .first = o->lr};
    return 2;
}

static void prepare(const void *options, const double counters[CRN_COUNTERS_MAX],
                    double learning_rate, double weight_decay, void *scalars)
{
    const cairn_rprop_options *const o = options;
    struct scalars *const k = scalars;
    (void)counters;
    (void)learning_rate;
    (void)weight_decay;
    *k = (struct scalars){
        .shrink = (float)o->etas.first,
        .grow = (float)o->etas.second,
        .least = (float)o->step_sizes.first,
        .most = (float)o->step_sizes.second,
    };
}

static void update(const crn_tile *tile, const void *scalars)
{
    const struct scalars k = *(const struct scalars *)scalars;
    float *restrict const p = tile->p;
    float *restrict const prev = tile->m[0];
    float *restrict const size = tile->m[1];
    const float *restrict const g = tile->g;
    const size_t count = tile->count;
#pragma omp parallel for simd schedule(static) if (count > CRN_PARALLEL_FLOATS)
    for (size_t i = 0; i < count; i++) {
        const float turn = g[i] * prev[i];
        const float factor = turn > 0.0f ? k.grow : turn < 0.0f ? k.shrink : 1.0f;
        const float grad = turn < 0.0f ? 0.0f : g[i];
        const float wished = size[i] * factor;
        const float at_most = wished > k.most ? k.most : wished;
        const float sign = grad > 0.0f ? 1.0f : grad < 0.0f ? -1.0f : grad; /* NaN stays. */
        size[i] = at_most < k.least ? k.least : at_most;
        p[i] -= sign * size[i];
        prev[i] = grad;
    }
}

static const crn_optimizer_class k_rprop = {
    .ops = CRN_OPTIMIZER_OPS("Rprop", NULL),
    .section = "rprop",
    .moments = moments,
    .prepare = prepare,
    .update = update,
};

cairn_status cairn_rprop_new(const cairn_rprop_options *options, cairn_optimizer *out,
                             cairn_error *err)
{
    return crn_optimizer_new(&k_rprop, options, options->lr, 0.0, out, err);
}
