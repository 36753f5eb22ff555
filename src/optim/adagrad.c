/* Adagrad. */
#include <math.h>

#include "optim/optimizer.h"

struct scalars {
    float eps;
    float sign;
    float weight_decay;
    float learning_rate; /* decayed */
};
_Static_assert(sizeof(struct scalars) <= CRN_SCALARS_BYTES, "a group's room is too small");

static size_t moments(const void *options, const cairn_tensor *param,
                      crn_moment out[CRN_MOMENTS_MAX])
{
    const cairn_adagrad_options *const o = options;
    (void)param;
    out[0] = (crn_moment){.name = "sum", .first = o->initial_accumulator_value};
    return 1;
}

static void advance(const void *options, double counters[CRN_COUNTERS_MAX])
{
    (void)options;
    counters[0] += 1.0;
}

static void prepare(const void *options, const double counters[CRN_COUNTERS_MAX],
                    double learning_rate, double weight_decay, void *scalars)
{
    const cairn_adagrad_options *const o = options;
    struct scalars *const k = scalars;
    *k = (struct scalars){
        .eps = (float)o->eps,
        .sign = o->maximize ? -1.0f : 1.0f,
        .weight_decay = (float)weight_decay,
        .learning_rate = (float)(learning_rate / (1.0 + (counters[0] - 1.0) * o->lr_decay)),
    };
}

static void update(const crn_tile *tile, const void *scalars)
{
    const struct scalars k = *(const struct scalars *)scalars;
    float *restrict const p = tile->p;
    float *restrict const sum = tile->m[0];
    const float *restrict const g = tile->g;
    const size_t count = tile->count;
#pragma omp parallel for simd schedule(static) if (count > CRN_PARALLEL_FLOATS)
    for (size_t i = 0; i < count; i++) {
        const float grad = k.sign * g[i] + k.weight_decay * p[i];
        sum[i] += grad * grad;
        p[i] -= k.learning_rate * (grad / (sqrtf(sum[i]) + k.eps));
    }
}

static const crn_optimizer_class k_adagrad = {
    .ops = CRN_OPTIMIZER_OPS("Adagrad", crn_optimizer_weight_decay),
    .section = "adagrad",
    .moments = moments,
    .counters = {{.name = "step", .is_count = true}},
    .advance = advance,
    .prepare = prepare,
    .update = update,
};

cairn_status cairn_adagrad_new(const cairn_adagrad_options *options, cairn_optimizer *out,
                               cairn_error *err)
{
    return crn_optimizer_new(&k_adagrad, options, options->lr, options->weight_decay, out, err);
}
