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

/* One head of one sequence: where it begins in q, in k and v, and in [B][H][T]. */
typedef struct head {
    int64_t q_at;
    int64_t kv_at;
    int64_t row;
} head;

static int64_t q_stride(const crn_attention_shape *shape)
{
    return shape->heads * shape->head_size;
}

static int64_t kv_stride(const crn_attention_shape *shape)
{
    return shape->kv_heads * shape->head_size;
}

/* Heads of queries that share one of keys and values. */
static int64_t group_of(const crn_attention_shape *shape)
{
    return shape->heads / shape->kv_heads;
}

/* Head number @member of the group of key head @item % G of sequence @item / G. */
static head head_of(const crn_attention_shape *shape, int64_t item, int64_t member)
{
    const int64_t b = item / shape->kv_heads;
    const int64_t g = item % shape->kv_heads;
    const int64_t h = g * group_of(shape) + member;
    const head found = {.q_at = b * shape->time * q_stride(shape) + h * shape->head_size,
                        .kv_at = b * shape->time * kv_stride(shape) + g * shape->head_size,
                        .row = (b * shape->heads + h) * shape->time};
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

/*
 * Queries [first, first + n) and the keys that at least one of them sees, as columns of scores:
 * first the sinks, if they lie apart from the window, then keys from @begin to the last query.
 */
typedef struct block {
    int64_t first;
    int64_t n;
    int64_t apart; /* sinks in columns of their own */
    int64_t begin;
    int64_t columns;
} block;

static block block_of(const crn_attention_shape *shape, int64_t first)
{
    const int64_t left = shape->time - first;
    block b = {.first = first, .n = left < QUERIES ? left : QUERIES};
    if (shape->window > 0 && first - shape->window + 1 > shape->sinks) {
        b.begin = first - shape->window + 1;
        b.apart = shape->sinks;
    }
    b.columns = b.apart + b.first + b.n - b.begin;
    return b;
}

/* Columns that query @first + @i sees: all of [0, end) but [hole, hole_end). */
typedef struct sight {
    int64_t hole;
    int64_t hole_end;
    int64_t end;
} sight;

static sight sight_of(const crn_attention_shape *shape, const block *b, int64_t i)
{
    const int64_t key = b->first + i;
    sight seen = {.end = b->apart + key - b->begin + 1};
    if (shape->window > 0 && key - shape->window + 1 > shape->sinks) {
        seen.hole = shape->sinks;
        seen.hole_end = b->apart + key - shape->window + 1 - b->begin;
    }
    return seen;
}

static crn_matrix q_part(const crn_attention_shape *shape, const float *data)
{
    const crn_matrix matrix = {.data = data, .stride = q_stride(shape)};
    return matrix;
}

static crn_matrix kv_part(const crn_attention_shape *shape, const float *data, bool is_transposed)
{
    const crn_matrix matrix = {
        .data = data, .stride = kv_stride(shape), .is_transposed = is_transposed};
    return matrix;
}

static crn_matrix scores_of(const float *data, const block *b, bool is_transposed)
{
    const crn_matrix matrix = {.data = data, .stride = b->columns, .is_transposed = is_transposed};
    return matrix;
}

/* s[n][columns] = factor a keys^T, for @a [n][D] of the queries' stride. */
static cairn_status times_keys(const crn_attention_shape *shape, const block *b, float factor,
                               const float *a, const float *keys, float *s)
{
    cairn_status rc = CAIRN_OK;
    const int64_t size = shape->head_size;
    if (b->apart > 0)
        CRN_TRY_PLAIN(crn_gemm(b->n, b->apart, size, factor, q_part(shape, a),
                               kv_part(shape, keys, true), 0.0F, s, b->columns, NULL));
    CRN_TRY_PLAIN(crn_gemm(b->n, b->columns - b->apart, size, factor, q_part(shape, a),
                           kv_part(shape, keys + b->begin * kv_stride(shape), true), 0.0F,
                           s + b->apart, b->columns, NULL));
out:
    return rc;
}

/* out[n][D] (=|+=) factor s values, rows of the queries' stride. */
static cairn_status times_values(const crn_attention_shape *shape, const block *b, float factor,
                                 const float *s, const float *values, bool adds, float *out)
{
    cairn_status rc = CAIRN_OK;
    const int64_t size = shape->head_size;
    CRN_TRY_PLAIN(crn_gemm(b->n, size, b->columns - b->apart, factor,
                           scores_of(s + b->apart, b, false),
                           kv_part(shape, values + b->begin * kv_stride(shape), false),
                           adds ? 1.0F : 0.0F, out, q_stride(shape), NULL));
    if (b->apart > 0)
        CRN_TRY_PLAIN(crn_gemm(b->n, size, b->apart, factor, scores_of(s, b, false),
                               kv_part(shape, values, false), 1.0F, out, q_stride(shape), NULL));
out:
    return rc;
}

/* First random block of a row of probabilities: rows do not share blocks. */
static uint64_t random_block(const crn_attention_shape *shape, int64_t row)
{
    return (uint64_t)(row * ((shape->time + RANDOM_BLOCK - 1) / RANDOM_BLOCK));
}

/* Scores of one query to probabilities; those of keys that it does not see are 0. Returns the log
 * of the sum. */
static float softmax_row(const sight *seen, int64_t columns, float *s)
{
    for (int64_t j = seen->hole; j < seen->hole_end; j++)
        s[j] = s[seen->end - 1]; /* seen by the query, so never above the maximum */
    const float top = crn_max_of(seen->end, s);
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < seen->hole; j++) {
        s[j] = crn_expf(s[j] - top);
        sum += s[j];
    }
#pragma omp simd reduction(+ : sum)
    for (int64_t j = seen->hole_end; j < seen->end; j++) {
        s[j] = crn_expf(s[j] - top);
        sum += s[j];
    }
    const float factor = 1.0F / sum;
#pragma omp simd
    for (int64_t j = 0; j < seen->end; j++)
        s[j] *= factor;
    memset(s + seen->hole, 0, (size_t)(seen->hole_end - seen->hole) * sizeof *s);
    memset(s + seen->end, 0, (size_t)(columns - seen->end) * sizeof *s);
    return top + logf(sum);
}

static cairn_status forward_head(const crn_attention_shape *shape, const crn_dropout_place *dropout,
                                 const float *q, const float *k, const float *v, float *y,
                                 float *lse, const head *at, float *scratch)
{
    cairn_status rc = CAIRN_OK;
    float *const s = scratch;
    float *const factors = scratch + 2 * QUERIES * shape->time;
    for (int64_t first = 0; first < shape->time; first += QUERIES) {
        const block b = block_of(shape, first);
        const int64_t queries = at->q_at + first * q_stride(shape);
        CRN_TRY_PLAIN(times_keys(shape, &b, shape->scale, q + queries, k + at->kv_at, s));
        for (int64_t i = 0; i < b.n; i++) {
            const int64_t row = at->row + first + i;
            const sight seen = sight_of(shape, &b, i);
            lse[row] = softmax_row(&seen, b.columns, s + i * b.columns);
            if (dropout->rate == 0.0F)
                continue;
            crn_dropout_factors(dropout, random_block(shape, row), seen.end, factors);
#pragma omp simd
            for (int64_t j = 0; j < seen.end; j++)
                s[i * b.columns + j] *= factors[j];
        }
        if (shape->is_bf16)
            crn_round_to_bf16(b.n * b.columns, s, s);
        CRN_TRY_PLAIN(times_values(shape, &b, 1.0F, s, v + at->kv_at, false, y + queries));
    }
out:
    return rc;
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
            const head at = head_of(shape, item / group_of(shape), item % group_of(shape));
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
static void backward_row(const backward *pass, int64_t row, const sight *seen, int64_t columns,
                         float *s, float *dp, float dot, float *factors)
{
    const float lse = pass->lse[row];
    if (pass->dropout->rate == 0.0F) {
#pragma omp simd
        for (int64_t j = 0; j < seen->end; j++) {
            s[j] = crn_expf(s[j] - lse);
            dp[j] = s[j] * (dp[j] - dot);
        }
    } else {
        crn_dropout_factors(pass->dropout, random_block(pass->shape, row), seen->end, factors);
#pragma omp simd
        for (int64_t j = 0; j < seen->end; j++) {
            const float p = crn_expf(s[j] - lse);
            dp[j] = p * (factors[j] * dp[j] - dot);
            s[j] = p * factors[j];
        }
    }
    const size_t hole = (size_t)(seen->hole_end - seen->hole) * sizeof *s;
    const size_t rest = (size_t)(columns - seen->end) * sizeof *s;
    memset(s + seen->hole, 0, hole);
    memset(dp + seen->hole, 0, hole);
    memset(s + seen->end, 0, rest);
    memset(dp + seen->end, 0, rest);
}

static float dot_product(int64_t count, const float *a, const float *b)
{
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

/* out[keys][D] (=|+=) factor s^T a, for the keys of the block. */
static cairn_status to_keys(const crn_attention_shape *shape, const block *b, float factor,
                            const float *s, const float *a, bool adds, float *out)
{
    cairn_status rc = CAIRN_OK;
    const int64_t size = shape->head_size;
    const float beta = adds ? 1.0F : 0.0F;
    CRN_TRY_PLAIN(crn_gemm(b->columns - b->apart, size, b->n, factor,
                           scores_of(s + b->apart, b, true), q_part(shape, a), beta,
                           out + b->begin * kv_stride(shape), kv_stride(shape), NULL));
    if (b->apart > 0)
        CRN_TRY_PLAIN(crn_gemm(b->apart, size, b->n, factor, scores_of(s, b, true),
                               q_part(shape, a), beta, out, kv_stride(shape), NULL));
out:
    return rc;
}

/* Queries of one block of one head; the first of a key head that reaches all keys may set dk and
 * dv, the others add. */
static cairn_status backward_block(const backward *pass, const head *at, const block *b,
                                   bool adds_dk, bool adds_dv, float *scratch)
{
    const crn_attention_shape *const shape = pass->shape;
    const crn_attention_gradients *const out = pass->out;
    const int64_t cols = q_stride(shape);
    const int64_t queries = at->q_at + b->first * cols;
    const float *const dy = pass->dy + queries;
    float *const s = scratch;
    float *const dp = scratch + QUERIES * shape->time;
    float *const factors = scratch + 2 * QUERIES * shape->time;
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(times_keys(shape, b, shape->scale, pass->q + queries, pass->k + at->kv_at, s));
    CRN_TRY_PLAIN(times_keys(shape, b, 1.0F, dy, pass->v + at->kv_at, dp));
    for (int64_t i = 0; i < b->n; i++) {
        const sight seen = sight_of(shape, b, i);
        const float dot =
            dot_product(shape->head_size, dy + i * cols, pass->y + queries + i * cols);
        backward_row(pass, at->row + b->first + i, &seen, b->columns, s + i * b->columns,
                     dp + i * b->columns, dot, factors);
    }
    if (shape->is_bf16) {
        crn_round_to_bf16(b->n * b->columns, s, s);
        crn_round_to_bf16(b->n * b->columns, dp, dp);
    }
    CRN_TRY_PLAIN(times_values(shape, b, shape->scale, dp, pass->k + at->kv_at, out->adds_dq,
                               out->dq + queries));
    CRN_TRY_PLAIN(
        to_keys(shape, b, shape->scale, dp, pass->q + queries, adds_dk, out->dk + at->kv_at));
    CRN_TRY_PLAIN(to_keys(shape, b, 1.0F, s, dy, adds_dv, out->dv + at->kv_at));
out:
    return rc;
}

static void zero_part(const crn_attention_shape *shape, float *part)
{
    for (int64_t t = 0; t < shape->time; t++)
        memset(part + t * kv_stride(shape), 0, (size_t)shape->head_size * sizeof *part);
}

/* All query heads of one key head, so that no other thread adds to its dk and dv. Without a window
 * the last block reaches all keys and comes first. */
static cairn_status backward_group(const backward *pass, int64_t item, float *scratch)
{
    cairn_status rc = CAIRN_OK;
    const crn_attention_shape *const shape = pass->shape;
    const crn_attention_gradients *const out = pass->out;
    const int64_t last = (shape->time - 1) / QUERIES * QUERIES;
    const head base = head_of(shape, item, 0);
    bool is_set = shape->window > 0;
    if (is_set && !out->adds_dk)
        zero_part(shape, out->dk + base.kv_at);
    if (is_set && !out->adds_dv)
        zero_part(shape, out->dv + base.kv_at);
    for (int64_t member = 0; member < group_of(shape); member++) {
        const head at = head_of(shape, item, member);
        for (int64_t first = last; first >= 0; first -= QUERIES) {
            const block b = block_of(shape, first);
            CRN_TRY_PLAIN(backward_block(pass, &at, &b, is_set || out->adds_dk,
                                         is_set || out->adds_dv, scratch));
            is_set = true;
        }
    }
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
    const int64_t items = shape->batch * shape->kv_heads;
    int failed = 0;
#pragma omp parallel for schedule(static) reduction(| : failed)
    for (int w = 0; w < workers; w++) {
        for (int64_t item = w; item < items; item += workers)
            failed |= backward_group(&pass, item, scratch + w * worker_floats(shape)) != CAIRN_OK;
    }
    if (failed)
        CRN_FAIL(err, CAIRN_EDEVICE, "oneDNN refuses a product of the attention's backward");
out:
    return rc;
}
