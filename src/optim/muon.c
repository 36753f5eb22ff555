/*
 * Muon (Jordan 2024, https://kellerjordan.github.io/posts/muon): momentum made orthogonal. Matrices
 * of weights only; embeddings, biases and norms are updated by AdamW, as the author has it. Where
 * the Model Zoo loses the momentum buffer, this is the author's arithmetic, in fp32.
 */
#include <math.h>
#include <string.h>

#include "base/try.h"
#include "kernels/kernels.h"
#include "optim/optimizer.h"

/* Coefficients of the quintic iteration, and what keeps a zero gradient from dividing by zero. */
static const float k_a = 3.4445f;
static const float k_b = -4.7750f;
static const float k_c = 2.0315f;
static const double k_eps = 1e-7;

struct scalars {
    float momentum;
    float one_minus_momentum;
    bool nesterov;
    double learning_rate;
    double weight_decay;
    /* AdamW of the others. */
    float beta1;
    float beta2;
    float eps;
    float correction1;
    float correction2;
};
_Static_assert(sizeof(struct scalars) <= CRN_SCALARS_BYTES, "a group's room is too small");

static bool is_matrix(const cairn_tensor *param)
{
    return param->role == CAIRN_ROLE_WEIGHT && param->rank == 2;
}

static size_t moments(const void *options, const cairn_tensor *param,
                      crn_moment out[CRN_MOMENTS_MAX])
{
    (void)options;
    if (is_matrix(param)) {
        out[0].name = "momentum_buffer";
        return 1;
    }
    out[0].name = "exp_avg";
    out[1].name = "exp_avg_sq";
    return 2;
}

/* Two matrices of the parameter's shape, two squares of its shorter axis. */
static uint64_t scratch(const cairn_tensor *param)
{
    if (!is_matrix(param))
        return 0;
    const uint64_t rows = (uint64_t)param->shape[0];
    const uint64_t cols = (uint64_t)param->shape[1];
    const uint64_t least = rows < cols ? rows : cols;
    return 2 * rows * cols + 2 * least * least;
}

static void advance(const void *options, double counters[CRN_COUNTERS_MAX])
{
    const cairn_muon_options *const o = options;
    counters[0] *= o->adam_betas.first;
    counters[1] *= o->adam_betas.second;
}

static void prepare(const void *options, const double counters[CRN_COUNTERS_MAX],
                    double learning_rate, double weight_decay, void *scalars)
{
    const cairn_muon_options *const o = options;
    struct scalars *const k = scalars;
    *k = (struct scalars){
        .momentum = (float)o->momentum,
        .one_minus_momentum = (float)(1.0 - o->momentum),
        .nesterov = o->nesterov,
        .learning_rate = learning_rate,
        .weight_decay = weight_decay,
        .beta1 = (float)o->adam_betas.first,
        .beta2 = (float)o->adam_betas.second,
        .eps = (float)o->adam_eps,
        .correction1 = (float)(1.0 / (1.0 - counters[0])),
        .correction2 = (float)(1.0 / (1.0 - counters[1])),
    };
}

/* ---- Matrices ---- */

static void update_momentum(const crn_tile *tile, const void *scalars)
{
    const struct scalars k = *(const struct scalars *)scalars;
    float *restrict const b = tile->m[0];
    const float *restrict const g = tile->g;
    const size_t count = tile->count;
#pragma omp parallel for simd schedule(static) if (count > CRN_PARALLEL_FLOATS)
    for (size_t i = 0; i < count; i++)
        b[i] = k.momentum * b[i] + k.one_minus_momentum * g[i];
}

/* The direction before it is made orthogonal, divided by its norm. */
static void direction(const crn_slot *slot, const struct scalars *k, float *restrict x,
                      size_t count)
{
    const float *restrict const b = slot->moment[0]->data;
    const float *restrict const g = slot->param->grad;
    const float of_gradient = k->nesterov ? k->one_minus_momentum : 0.0f;
    const float of_buffer = k->nesterov ? k->momentum : 1.0f;
#pragma omp parallel for simd schedule(static) if (count > CRN_PARALLEL_FLOATS)
    for (size_t i = 0; i < count; i++)
        x[i] = of_gradient * g[i] + of_buffer * b[i];
    const float factor = (float)(1.0 / (sqrt(crn_sum_of_squares(x, count)) + k_eps));
#pragma omp parallel for simd schedule(static) if (count > CRN_PARALLEL_FLOATS)
    for (size_t i = 0; i < count; i++)
        x[i] *= factor;
}

/*
 * One step: with A = X X^T, X becomes a X + (b A + c A A) X. Where X has more rows than columns
 * the same is done from the other side, with A = X^T X: the transposed of what its transposed
 * would give. @x is replaced by @next, the two squares are work space.
 */
static cairn_status iterate(int64_t rows, int64_t cols, const float *x, float *next, float *square,
                            float *quartic, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const bool is_tall = rows > cols;
    const int64_t least = is_tall ? cols : rows;
    const int64_t most = is_tall ? rows : cols;
    const crn_matrix as_is = {.data = x, .stride = cols};
    const crn_matrix turned = {.data = x, .stride = cols, .is_transposed = true};
    const crn_matrix a = {.data = square, .stride = least};
    const crn_matrix b = {.data = quartic, .stride = least};
    CRN_TRY_PLAIN(crn_gemm(least, least, most, 1.0f, is_tall ? turned : as_is,
                           is_tall ? as_is : turned, 0.0f, square, least, err));
    memcpy(quartic, square, (size_t)(least * least) * sizeof(float));
    CRN_TRY_PLAIN(crn_gemm(least, least, least, k_c, a, a, k_b, quartic, least, err));
    memcpy(next, x, (size_t)(rows * cols) * sizeof(float));
    CRN_TRY_PLAIN(crn_gemm(rows, cols, least, 1.0f, is_tall ? as_is : b, is_tall ? b : as_is, k_a,
                           next, cols, err));
out:
    return rc;
}

struct subtraction {
    const float *first; /* of the parameter */
    const float *x;
    float keep; /* what decay leaves of it */
    float rate;
};

static void subtract(const crn_tile *tile, const void *what)
{
    const struct subtraction s = *(const struct subtraction *)what;
    float *restrict const p = tile->p;
    const float *restrict const x = s.x + (tile->p - s.first);
    const size_t count = tile->count;
#pragma omp parallel for simd schedule(static) if (count > CRN_PARALLEL_FLOATS)
    for (size_t i = 0; i < count; i++)
        p[i] = s.keep * p[i] - s.rate * x[i];
}

static cairn_status step_matrix(crn_optimizer *optimizer, cairn_state_tree *tree,
                                const crn_slot *slot, const struct scalars *k, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_muon_options *const o = optimizer->options;
    const int64_t rows = slot->param->shape[0];
    const int64_t cols = slot->param->shape[1];
    const int64_t least = rows < cols ? rows : cols;
    const int64_t most = rows < cols ? cols : rows;
    const double rate = k->learning_rate * 0.2 * sqrt((double)most);
    float *x = optimizer->scratch;
    float *next = x + rows * cols;
    float *const square = next + rows * cols;
    if (least == 0)
        return CAIRN_OK;
    crn_update_tiles(tree, slot, false, true, update_momentum, k);
    direction(slot, k, x, (size_t)(rows * cols));
    for (int64_t i = 0; i < o->ns_steps; i++) {
        float *const old = x;
        CRN_TRY_PLAIN(iterate(rows, cols, x, next, square, square + least * least, err));
        x = next;
        next = old;
    }
    const struct subtraction s = {.first = slot->param->data,
                                  .x = x,
                                  .keep = (float)(1.0 - rate * k->weight_decay),
                                  .rate = (float)rate};
    crn_update_tiles(tree, slot, true, false, subtract, &s);
out:
    return rc;
}

/* ---- The others ---- */

/* Bias is corrected before eps is added, as in PyTorch and in the author's code. */
static void update_adam(const crn_tile *tile, const void *scalars)
{
    const struct scalars k = *(const struct scalars *)scalars;
    const float one_minus_beta1 = 1.0f - k.beta1;
    const float one_minus_beta2 = 1.0f - k.beta2;
    const float rate = (float)k.learning_rate;
    const float keep = (float)(1.0 - k.learning_rate * k.weight_decay);
    float *restrict const p = tile->p;
    float *restrict const m = tile->m[0];
    float *restrict const v = tile->m[1];
    const float *restrict const g = tile->g;
    const size_t count = tile->count;
#pragma omp parallel for simd schedule(static) if (count > CRN_PARALLEL_FLOATS)
    for (size_t i = 0; i < count; i++) {
        m[i] = k.beta1 * m[i] + one_minus_beta1 * g[i];
        v[i] = k.beta2 * v[i] + one_minus_beta2 * (g[i] * g[i]);
        p[i] = keep * p[i] - rate * (m[i] * k.correction1 / (sqrtf(v[i] * k.correction2) + k.eps));
    }
}

static cairn_status step_tensor(crn_optimizer *optimizer, cairn_state_tree *tree,
                                const crn_slot *slot, const void *scalars, cairn_error *err)
{
    if (is_matrix(slot->param))
        return step_matrix(optimizer, tree, slot, scalars, err);
    crn_update_tiles(tree, slot, true, true, update_adam, scalars);
    return CAIRN_OK;
}

static const crn_optimizer_class k_muon = {
    .ops = CRN_OPTIMIZER_OPS("Muon", crn_optimizer_weight_decay),
    .section = "muon",
    .moments = moments,
    .counters = {{.name = "beta1_power"}, {.name = "beta2_power"}},
    .advance = advance,
    .prepare = prepare,
    .step_tensor = step_tensor,
    .scratch = scratch,
};

cairn_status cairn_muon_new(const cairn_muon_options *options, cairn_optimizer *out,
                            cairn_error *err)
{
    return crn_optimizer_new(&k_muon, options, options->lr, options->weight_decay, out, err);
}
