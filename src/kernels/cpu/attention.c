/*
 * The probabilities are not kept: the backward computes them again, a block of queries at a time,
 * from the logarithm of each row's sum, after T. Dao et al., "FlashAttention", 2022. A block needs
 * the keys up to its last query only, so the half above the diagonal is mostly not computed.
 */
#include "kernels/kernels.h"

#include <math.h>
#include <string.h>

#include "base/try.h"
#include "kernels/cpu/vecmath.h"

enum { QUERIES = 64, RANDOM_BLOCK = 4 };

/* One head of one sequence: where it begins in [B][T][C] and in [B][H][T]. */
typedef struct head {
    int64_t at;
    int64_t row;
} head;

static head head_of(const crn_attention_shape *shape, int64_t item)
{
    const int64_t cols = shape->heads * shape->head_size;
    const int64_t b = item / shape->heads;
    const int64_t h = item % shape->heads;
    const head found = {.at = b * shape->time * cols + h * shape->head_size,
                        .row = item * shape->time};
    return found;
}

static int64_t worker_floats(const crn_attention_shape *shape)
{
    return (2 * QUERIES + 1) * shape->time;
}

int64_t crn_attention_scratch(const crn_attention_shape *shape, int workers)
{
    return workers * worker_floats(shape);
}

static crn_matrix part_of(const crn_attention_shape *shape, const float *data, bool is_transposed)
{
    const crn_matrix matrix = {
        .data = data, .stride = shape->heads * shape->head_size, .is_transposed = is_transposed};
    return matrix;
}

static crn_matrix scores_of(const float *data, int64_t keys, bool is_transposed)
{
    const crn_matrix matrix = {.data = data, .stride = keys, .is_transposed = is_transposed};
    return matrix;
}

/* First random block of a row of probabilities: rows do not share blocks. */
static uint64_t random_block(const crn_attention_shape *shape, int64_t row)
{
    return (uint64_t)(row * ((shape->time + RANDOM_BLOCK - 1) / RANDOM_BLOCK));
}

/* Scores of one query to probabilities; those of later keys are 0. Returns the log of the sum. */
static float softmax_row(int64_t allowed, int64_t keys, float *s)
{
    const float top = crn_max_of(allowed, s);
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < allowed; j++) {
        s[j] = crn_expf(s[j] - top);
        sum += s[j];
    }
    const float factor = 1.0F / sum;
#pragma omp simd
    for (int64_t j = 0; j < allowed; j++)
        s[j] *= factor;
    memset(s + allowed, 0, (size_t)(keys - allowed) * sizeof *s);
    return top + logf(sum);
}

static cairn_status forward_head(const crn_attention_shape *shape, const crn_dropout_place *dropout,
                                 const float *q, const float *k, const float *v, float *y,
                                 float *lse, const head *at, float *scratch)
{
    const int64_t cols = shape->heads * shape->head_size;
    float *const s = scratch;
    float *const factors = scratch + 2 * QUERIES * shape->time;
    for (int64_t first = 0; first < shape->time; first += QUERIES) {
        const int64_t n = shape->time - first < QUERIES ? shape->time - first : QUERIES;
        const int64_t keys = first + n;
        cairn_status rc = crn_gemm(n, keys, shape->head_size, shape->scale,
                                   part_of(shape, q + at->at + first * cols, false),
                                   part_of(shape, k + at->at, true), 0.0F, s, keys, NULL);
        for (int64_t i = 0; i < n && rc == CAIRN_OK; i++) {
            const int64_t row = at->row + first + i;
            lse[row] = softmax_row(first + i + 1, keys, s + i * keys);
            if (dropout->rate == 0.0F)
                continue;
            crn_dropout_factors(dropout, random_block(shape, row), first + i + 1, factors);
#pragma omp simd
            for (int64_t j = 0; j <= first + i; j++)
                s[i * keys + j] *= factors[j];
        }
        if (rc == CAIRN_OK)
            rc = crn_gemm(n, shape->head_size, keys, 1.0F, scores_of(s, keys, false),
                          part_of(shape, v + at->at, false), 0.0F, y + at->at + first * cols, cols,
                          NULL);
        if (rc != CAIRN_OK)
            return rc;
    }
    return CAIRN_OK;
}

cairn_status crn_attention(const crn_attention_shape *shape, const crn_dropout_place *dropout,
                           const float *q, const float *k, const float *v, float *y, float *lse,
                           int workers, float *scratch, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const int64_t items = shape->batch * shape->heads;
    int failed = 0;
#pragma omp parallel for schedule(static) reduction(| : failed)
    for (int w = 0; w < workers; w++) {
        for (int64_t item = w; item < items; item += workers) {
            const head at = head_of(shape, item);
            failed |= forward_head(shape, dropout, q, k, v, y, lse, &at,
                                   scratch + w * worker_floats(shape)) != CAIRN_OK;
        }
    }
    if (failed)
        CRN_FAIL(err, CAIRN_EDEVICE, "oneDNN refuses a product of the attention");
out:
    return rc;
}

/* Everything of a backward pass that is the same for all heads. */
typedef struct backward {
    const crn_attention_shape *shape;
    const crn_dropout_place *dropout;
    const float *q;
    const float *k;
    const float *v;
    const float *y;
    const float *lse;
    const float *dy;
    const crn_attention_gradients *out;
} backward;

/*
 * One query: scores @s become probabilities after dropout, @dp (gradients of those) become
 * gradients of the scores. With P before dropout, m the factors and y = (m P) v:
 * ds = P (m dp - sum(P m dp)), and that sum is dy . y.
 */
static void backward_row(const backward *pass, int64_t row, int64_t allowed, int64_t keys, float *s,
                         float *dp, float dot, float *factors)
{
    const float lse = pass->lse[row];
    if (pass->dropout->rate == 0.0F) {
#pragma omp simd
        for (int64_t j = 0; j < allowed; j++) {
            s[j] = crn_expf(s[j] - lse);
            dp[j] = s[j] * (dp[j] - dot);
        }
    } else {
        crn_dropout_factors(pass->dropout, random_block(pass->shape, row), allowed, factors);
#pragma omp simd
        for (int64_t j = 0; j < allowed; j++) {
            const float p = crn_expf(s[j] - lse);
            dp[j] = p * (factors[j] * dp[j] - dot);
            s[j] = p * factors[j];
        }
    }
    memset(s + allowed, 0, (size_t)(keys - allowed) * sizeof *s);
    memset(dp + allowed, 0, (size_t)(keys - allowed) * sizeof *dp);
}

static float dot_product(int64_t count, const float *a, const float *b)
{
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Queries [first, first + n) of one head. The last block of a head comes first and reaches all
 * keys, so it alone sets dk and dv; the others add. */
static cairn_status backward_block(const backward *pass, const head *at, int64_t first, int64_t n,
                                   float *scratch)
{
    const crn_attention_shape *const shape = pass->shape;
    const crn_attention_gradients *const out = pass->out;
    const int64_t cols = shape->heads * shape->head_size;
    const int64_t size = shape->head_size;
    const int64_t keys = first + n;
    const int64_t block = at->at + first * cols;
    const bool is_last = keys == shape->time;
    float *const s = scratch;
    float *const dp = scratch + QUERIES * shape->time;
    float *const factors = scratch + 2 * QUERIES * shape->time;
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(crn_gemm(n, keys, size, shape->scale, part_of(shape, pass->q + block, false),
                           part_of(shape, pass->k + at->at, true), 0.0F, s, keys, NULL));
    CRN_TRY_PLAIN(crn_gemm(n, keys, size, 1.0F, part_of(shape, pass->dy + block, false),
                           part_of(shape, pass->v + at->at, true), 0.0F, dp, keys, NULL));
    for (int64_t i = 0; i < n; i++) {
        const float dot =
            dot_product(size, pass->dy + block + i * cols, pass->y + block + i * cols);
        backward_row(pass, at->row + first + i, first + i + 1, keys, s + i * keys, dp + i * keys,
                     dot, factors);
    }
    CRN_TRY_PLAIN(crn_gemm(n, size, keys, shape->scale, scores_of(dp, keys, false),
                           part_of(shape, pass->k + at->at, false), out->adds_dq ? 1.0F : 0.0F,
                           out->dq + block, cols, NULL));
    CRN_TRY_PLAIN(crn_gemm(keys, size, n, shape->scale, scores_of(dp, keys, true),
                           part_of(shape, pass->q + block, false),
                           out->adds_dk || !is_last ? 1.0F : 0.0F, out->dk + at->at, cols, NULL));
    CRN_TRY_PLAIN(crn_gemm(keys, size, n, 1.0F, scores_of(s, keys, true),
                           part_of(shape, pass->dy + block, false),
                           out->adds_dv || !is_last ? 1.0F : 0.0F, out->dv + at->at, cols, NULL));
out:
    return rc;
}

cairn_status crn_attention_backward(const crn_attention_shape *shape,
                                    const crn_dropout_place *dropout, const float *q,
                                    const float *k, const float *v, const float *y,
                                    const float *lse, const float *dy,
                                    const crn_attention_gradients *out, int workers, float *scratch,
                                    cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const backward pass = {shape, dropout, q, k, v, y, lse, dy, out};
    const int64_t items = shape->batch * shape->heads;
    const int64_t last_block = (shape->time - 1) / QUERIES * QUERIES;
    int failed = 0;
#pragma omp parallel for schedule(static) reduction(| : failed)
    for (int w = 0; w < workers; w++) {
        for (int64_t item = w; item < items; item += workers) {
            const head at = head_of(shape, item);
            for (int64_t first = last_block; first >= 0; first -= QUERIES) {
                const int64_t left = shape->time - first;
                failed |= backward_block(&pass, &at, first, left < QUERIES ? left : QUERIES,
                                         scratch + w * worker_floats(shape)) != CAIRN_OK;
            }
        }
    }
    if (failed)
        CRN_FAIL(err, CAIRN_EDEVICE, "oneDNN refuses a product of the attention's backward");
out:
    return rc;
}
