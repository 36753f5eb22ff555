/* Averaged stochastic gradient descent. */
#include <math.h>

#include "optim/optimizer.h"

struct scalars {
    float keep; /* what decay leaves of a parameter */
    float eta;
    float mu;
    float sign;
    float weight_decay;
};
_Static_assert(sizeof(struct scalars) <= CRN_SCALARS_BYTES, "a group's room is too small");

static size_t moments(const void *options, const cairn_tensor *param,
                      crn_moment out[CRN_MOMENTS_MAX])
{
    (void)options;
    (void)param;
    out[0].name = "ax";
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
    const cairn_asgd_options *const o = options;
    struct scalars *const k = scalars;
    const double done = counters[0] - 1.0;
    const double eta = learning_rate / pow(1.0 + o->lambd * learning_rate * done, o->alpha);
    *k = (struct scalars){
        .keep = (float)(1.0 - o->lambd * eta),
        .eta = (float)eta,
        .mu = (float)(1.0 / fmax(1.0, done - o->t0)),
        .sign = o->maximize ? -1.0f : 1.0f,
        .weight_decay = (float)weight_decay,
    };
}

static void update(const crn_tile *tile, const void *scalars)
{
    const struct scalars k = *(const struct scalars *)scalars;
    float *restrict const p = tile->p;
    float *restrict const ax = tile->m[0];
    const float *restrict const g = tile->g;
    const size_t count = tile->count;
#pragma omp parallel for simd schedule(static) if (count > CRN_PARALLEL_FLOATS)
    for (size_t i = 0; i < count; i++) {
        const float grad = k.sign * g[i] + k.weight_decay * p[i];
        const float next = k.keep * p[i] - k.eta * grad;
        /* Until averaging begins the average is the parameter itself, without rounding. */
        ax[i] = k.mu == 1.0f ? next : ax[i] + k.mu * (next - ax[i]);
        p[i] = next;
    }
}

static const crn_optimizer_class k_asgd = {
    .ops = CRN_OPTIMIZER_OPS("ASGD", crn_optimizer_weight_decay),
    .section = "asgd",
    .moments = moments,
    .counters = {{.name = "step", .is_count = true}},
    .advance = advance,
    .prepare = prepare,
    .update = update,
};

cairn_status cairn_asgd_new(const cairn_asgd_options *options, cairn_optimizer *out,
                            cairn_error *err)
{
    return crn_optimizer_new(&k_asgd, options, options->lr, options->weight_decay, out, err);
}
