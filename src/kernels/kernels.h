/*
 * fp32 loops over dense row-major arrays on the processor; nothing here knows tensors or tapes.
 *
 * Shapes stand in comments: [R][C] has R rows of C elements. R is usually B * T, the tokens of a
 * batch. Outputs must not overlap inputs unless a function says so, but forward functions that turn
 * elements, rows or heads each into themselves (activations, gates, norms, rotary, scale) may write
 * over their input. Work is divided statically and
 * every sum has a fixed order that does not depend on the number of threads (only the matrix
 * products of oneDNN may), so the same inputs give the same bits. Functions are thread safe on
 * different outputs; those that return nothing cannot fail.
 */
#ifndef CRN_KERNELS_KERNELS_H
#define CRN_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "cairn/error.h"

/* Threads that a parallel loop gets at most. */
int crn_thread_count(void);
/* Sets it for the calling thread; at most 0: one a processor. */
void crn_thread_set(int count);

/* --- isa.c --- */

/* The instructions that everything but the matrix products is compiled for: "avx512", "avx2" or
 * "portable". Bits of results depend on it. Static. */
const char *crn_kernels_isa(void);

/* --- gemm.c: the only calls of oneDNN --- */

/* "2.6.3": the library that computes the products, whose version the bits depend on. */
void crn_gemm_version(char out[32]);
/* The instruction set it uses, such as "avx2". Static. */
const char *crn_gemm_isa(void);

/* A factor of a product: @data with @stride elements from row to row, used as it is or turned. */
typedef struct crn_matrix {
    const float *data;
    int64_t stride;
    bool is_transposed;
} crn_matrix;

/*
 * out[M][N] = alpha a[M][K] b[K][N] + beta out; rows of @out are @out_stride apart. With beta 0 the
 * old content of @out is not read. Inside a parallel region it runs on the calling thread.
 * CAIRN_EDEVICE: oneDNN refused.
 */
cairn_status crn_gemm(int64_t m, int64_t n, int64_t k, float alpha, crn_matrix a, crn_matrix b,
                      float beta, float *out, int64_t out_stride, cairn_error *err);

/* --- bf16.c --- */

/* bfloat16: the upper half of the bits of a float32. */
typedef uint16_t crn_bf16;

/* The nearest each, of two equally near the even one (IEEE 754's default); what is too large
 * becomes infinite, a NaN stays one. */
void crn_to_bf16(int64_t count, const float *x, crn_bf16 *out);
/* Exact. */
void crn_from_bf16(int64_t count, const crn_bf16 *x, float *out);
/* The same, kept in float32. @out may be @x. */
void crn_round_to_bf16(int64_t count, const float *x, float *out);

/* --- bf16_gemm.c: products of bfloat16 factors, added up in float32 --- */

/* As crn_matrix. */
typedef struct crn_bf16_matrix {
    const crn_bf16 *data;
    int64_t stride;
    bool is_transposed;
} crn_bf16_matrix;

/* What multiplies. */
typedef enum crn_bf16_unit {
    CRN_BF16_NATIVE,    /* the processor, by oneDNN */
    CRN_BF16_EMULATED,  /* float32 arithmetic: the product of two bfloat16 is exact in float32 */
    CRN_BF16_DISTRUSTED /* the same, since oneDNN's result was found wrong */
} crn_bf16_unit;

/* What products need beside their factors, so that they allocate nothing: made once for each shape.
 * Belongs to one thread. */
typedef struct crn_bf16_gemms crn_bf16_gemms;

/* Tries the processor's unit with a small product, if it has one. Yours. CAIRN_ENOMEM,
 * CAIRN_EDEVICE. */
cairn_status crn_bf16_gemms_new(crn_bf16_gemms **out, cairn_error *err);
/* Accepts NULL. */
void crn_bf16_gemms_destroy(crn_bf16_gemms *gemms);
crn_bf16_unit crn_bf16_gemms_unit(const crn_bf16_gemms *gemms);
/*
 * out[M][N] (=|+=) a[M][K] b[K][N], K > 0; rows of @out are @out_stride apart. The first product of
 * a shape allocates. CAIRN_ENOMEM, CAIRN_EDEVICE: oneDNN refused.
 */
cairn_status crn_bf16_gemm(crn_bf16_gemms *gemms, int64_t m, int64_t n, int64_t k,
                           crn_bf16_matrix a, crn_bf16_matrix b, bool adds, float *out,
                           int64_t out_stride, cairn_error *err);

/* --- elementwise.c --- */

/* out[i] = a[i] + b[i]; @out may be @a or @b. */
void crn_add(int64_t count, const float *a, const float *b, float *out);
/* out[i] = value or, if @adds, out[i] += value, of @from[i]. */
void crn_copy(int64_t count, const float *from, bool adds, float *out);
/* The same of factor * from[i]. */
void crn_scale(int64_t count, float factor, const float *from, bool adds, float *out);
/* Place of the first of @x that is infinite or no number; -1: all are finite. */
int64_t crn_find_nonfinite(int64_t count, const float *x);
/* y[R][C] += bias[C] */
void crn_add_bias(int64_t rows, int64_t cols, const float *bias, float *y);
/* Floats of scratch that crn_sum_rows needs. */
int64_t crn_sum_rows_scratch(int64_t rows, int64_t cols);
/* out[C] += the sum over R of x[R][C] */
void crn_sum_rows(int64_t rows, int64_t cols, const float *x, float *scratch, float *out);

/* --- linear.c --- */

/* Of one linear layer. */
typedef struct crn_linear_shape {
    int64_t rows;
    int64_t in;
    int64_t out;
} crn_linear_shape;

/* y[R][O] = x[R][I] weight[O][I]^T + bias[O]; @bias NULL: none. CAIRN_EDEVICE. */
cairn_status crn_linear(const crn_linear_shape *shape, const float *x, const float *weight,
                        const float *bias, float *y, cairn_error *err);
/* dweight += dy^T x; dbias += the column sums of dy (each unless NULL); dx (=|+=) dy weight.
 * @scratch: crn_sum_rows_scratch(R, O) floats if there is a bias. CAIRN_EDEVICE. */
cairn_status crn_linear_backward(const crn_linear_shape *shape, const float *x, const float *weight,
                                 const float *dy, bool adds, float *dx, float *dweight,
                                 float *dbias, float *scratch, cairn_error *err);

/* The same of bfloat16 factors; bias and sums are float32's. CAIRN_ENOMEM, CAIRN_EDEVICE. */
cairn_status crn_linear_bf16(crn_bf16_gemms *gemms, const crn_linear_shape *shape,
                             const crn_bf16 *x, const crn_bf16 *weight, const float *bias, float *y,
                             cairn_error *err);
/* Floats of scratch that crn_linear_bf16_backward needs. */
int64_t crn_linear_bf16_scratch(const crn_linear_shape *shape, bool has_bias);
/* The same with @dy rounded for the products. CAIRN_ENOMEM, CAIRN_EDEVICE. */
cairn_status crn_linear_bf16_backward(crn_bf16_gemms *gemms, const crn_linear_shape *shape,
                                      const crn_bf16 *x, const crn_bf16 *weight, const float *dy,
                                      bool adds, float *dx, float *dweight, float *dbias,
                                      float *scratch, cairn_error *err);

/* --- activation.c --- */

/* y = x Phi(x), the exact form with the normal distribution's Phi (error below 2e-7). */
void crn_gelu(int64_t count, const float *x, float *y);
/* dx = dy (Phi(x) + x phi(x)), added to @dx if @adds. */
void crn_gelu_backward(int64_t count, const float *x, const float *dy, bool adds, float *dx);
void crn_relu(int64_t count, const float *x, float *y);
/* The slope at 0 is 0. */
void crn_relu_backward(int64_t count, const float *x, const float *dy, bool adds, float *dx);

void crn_silu(int64_t count, const float *x, float *y);
void crn_silu_backward(int64_t count, const float *x, const float *dy, bool adds, float *dx);
/* GELU by its tanh form, 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))): D. Hendrycks and
 * K. Gimpel, "Gaussian Error Linear Units", 2016. */
void crn_gelu_tanh(int64_t count, const float *x, float *y);
void crn_gelu_tanh_backward(int64_t count, const float *x, const float *dy, bool adds, float *dx);
/* y = relu(x)^2 */
void crn_squared_relu(int64_t count, const float *x, float *y);
void crn_squared_relu_backward(int64_t count, const float *x, const float *dy, bool adds,
                               float *dx);

/* --- glu.c: gated units, N. Shazeer, "GLU Variants Improve Transformer", 2020 --- */

/* What the gate goes through. */
typedef enum crn_gate { CRN_GATE_LINEAR, CRN_GATE_GELU, CRN_GATE_RELU, CRN_GATE_SILU } crn_gate;

/* y = x * act(gate) */
void crn_glu(int64_t count, crn_gate kind, const float *x, const float *gate, float *y);
/* dx (=|+=) dy act(gate); dgate (=|+=) dy x act'(gate). */
void crn_glu_backward(int64_t count, crn_gate kind, const float *x, const float *gate,
                      const float *dy, bool adds_dx, float *dx, bool adds_dgate, float *dgate);

/* --- rotary.c --- */

/*
 * Rotary positions (J. Su et al., "RoFormer", 2021) as the Model Zoo turns them: neighbours
 * (2i, 2i + 1) of each head's first @size elements are a point in the plane, turned by the angle
 * of position t and pair i; the rest of the head stays. x, y [B * T][H * D]; cosines and sines
 * [T or more][size / 2]. @is_inverse turns back, which is the gradient's way.
 */
typedef struct crn_rotary_shape {
    int64_t rows; /* B * T */
    int64_t time;
    int64_t heads;
    int64_t head_size;
    int64_t size; /* even, at most head_size */
} crn_rotary_shape;

void crn_rotary(const crn_rotary_shape *shape, const float *cosines, const float *sines,
                bool is_inverse, const float *x, bool adds, float *y);

/* --- layernorm.c --- */

/* y = (x - mean) rstd gamma + beta for each row of x[R][C], rstd = 1 / sqrt(variance + eps); keeps
 * mean[R] and rstd[R]. */
void crn_layernorm(int64_t rows, int64_t cols, float eps, const float *x, const float *gamma,
                   const float *beta, float *y, float *mean, float *rstd);
/* Floats of scratch that crn_layernorm_backward needs. */
int64_t crn_layernorm_scratch(int64_t rows, int64_t cols);
/* dx[R][C] is set, or added to if @adds; dgamma[C] and dbeta[C] are added to unless they are NULL.
 */
void crn_layernorm_backward(int64_t rows, int64_t cols, const float *x, const float *gamma,
                            const float *mean, const float *rstd, const float *dy, bool adds,
                            float *dx, float *dgamma, float *dbeta, float *scratch);

/* RMSNorm (B. Zhang and R. Sennrich, 2019): y = x rstd gamma for each row, rstd = 1 / sqrt(mean of
 * x^2 + eps); keeps rstd[R]. */
void crn_rmsnorm(int64_t rows, int64_t cols, float eps, const float *x, const float *gamma,
                 float *y, float *rstd);
/* Floats of scratch that crn_rmsnorm_backward needs. */
int64_t crn_rmsnorm_scratch(int64_t rows, int64_t cols);
/* dx[R][C] is set, or added to if @adds; dgamma[C] is added to unless it is NULL. */
void crn_rmsnorm_backward(int64_t rows, int64_t cols, const float *x, const float *gamma,
                          const float *rstd, const float *dy, bool adds, float *dx, float *dgamma,
                          float *scratch);

/* --- dropout.c --- */

/* Where a dropout draws its numbers: see base/rng.h. Rate 0 drops nothing and draws nothing. */
typedef struct crn_dropout_place {
    uint64_t seed;
    uint64_t step;
    uint32_t number; /* Of the dropout within the model. */
    float rate;      /* Probability that an element becomes 0; the others grow by 1/(1-rate). */
} crn_dropout_place;

/* out[count] = 0 or 1/(1-rate): the factors of elements 4 * first_block and up. Serial. */
void crn_dropout_factors(const crn_dropout_place *place, uint64_t first_block, int64_t count,
                         float *out);
/* y = x times its factor, added to @y if @adds; the backward is the same with gradients. @y may be
 * @x if it does not add. */
void crn_dropout(const crn_dropout_place *place, int64_t count, const float *x, bool adds,
                 float *y);

/* --- embedding.c --- */

/* y[B][T][C] = words[ids[B][T]][C] + positions[T][C]; ids are within the table; without positions
 * (NULL) the words alone. */
void crn_embedding(int64_t batch, int64_t time, int64_t cols, const int32_t *ids,
                   const float *words, const float *positions, float *y);
/* Adds dy[B][T][C] to the rows of @dwords and @dpositions that it came from. */
void crn_embedding_backward(int64_t batch, int64_t time, int64_t cols, const int32_t *ids,
                            const float *dy, float *dwords, float *dpositions);

/* y[B][T][K] = columns[K][ids[B][T]] of columns[K][V]; without ids (NULL) the column of the
 * position, t. */
void crn_columns(int64_t batch, int64_t time, int64_t rank, int64_t size, const int32_t *ids,
                 const float *columns, float *y);
/* Adds dy[B][T][K] to the columns of @dcolumns that it came from. */
void crn_columns_backward(int64_t batch, int64_t time, int64_t rank, int64_t size,
                          const int32_t *ids, const float *dy, float *dcolumns);

/* --- attention.c --- */

/*
 * Causal self-attention of B sequences of T tokens with H heads of D elements; C = H * D. Keys and
 * values may have fewer heads G, each used by H / G heads of queries in a row (J. Ainslie et al.,
 * "GQA", 2023). With a window W a query sees itself and the W - 1 tokens before, and the first S
 * tokens of the sequence, the sinks (G. Xiao et al., "Efficient Streaming Language Models with
 * Attention Sinks", 2023); keys that no query of a block sees cost nothing.
 */
typedef struct crn_attention_shape {
    int64_t batch;
    int64_t time;
    int64_t heads;
    int64_t kv_heads; /* G, divides heads */
    int64_t head_size;
    int64_t window; /* 0: none */
    int64_t sinks;  /* only with a window */
    float scale;    /* Of the scores: 1 / sqrt(D), or what the model says. */
    /* q, k, v and dy are bfloat16 numbers; probabilities and their gradients are rounded to such
     * before they are multiplied. */
    bool is_bf16;
} crn_attention_shape;

/* Floats of scratch for @workers threads at once. */
int64_t crn_attention_scratch(const crn_attention_shape *shape, int workers);
/*
 * y[B][T][C] = dropout(softmax(scale q k^T, over the keys that the query sees)) v, head by head,
 * from q [B][T][C] and k, v [B][T][G * D]. Keeps lse[B][H][T], the logarithm of each softmax's sum,
 * from which the backward computes the probabilities again. CAIRN_EDEVICE.
 */
cairn_status crn_attention(const crn_attention_shape *shape, const crn_dropout_place *dropout,
                           const float *q, const float *k, const float *v, float *y, float *lse,
                           int workers, float *scratch, cairn_error *err);

typedef struct crn_attention_gradients {
    float *dq; /* As q, k, v; set, or added to if the flag says so. */
    float *dk;
    float *dv;
    bool adds_dq;
    bool adds_dk;
    bool adds_dv;
} crn_attention_gradients;

/* @y and @lse are those of the forward. CAIRN_EDEVICE. */
cairn_status crn_attention_backward(const crn_attention_shape *shape,
                                    const crn_dropout_place *dropout, const float *q,
                                    const float *k, const float *v, const float *y,
                                    const float *lse, const float *dy,
                                    const crn_attention_gradients *out, int workers, float *scratch,
                                    cairn_error *err);

/* --- decode.c: attention of a few new tokens, for generation --- */

/* Tokens [first, first + rows) of one sequence, of which all keys and values so far are kept. */
typedef struct crn_decode_shape {
    int64_t first;
    int64_t rows;
    int64_t heads;
    int64_t kv_heads;
    int64_t head_size;
    int64_t window; /* as in crn_attention_shape */
    int64_t sinks;
    float scale;
} crn_decode_shape;

/* y, q [rows][H * D]; k, v [first + rows][G * D]; @scores [H][first + rows] is scratch. */
void crn_decode_attention(const crn_decode_shape *shape, const float *q, const float *k,
                          const float *v, float *y, float *scores);

/* --- cross_entropy.c --- */

/* What the loss counts: all of logits[R][V]. */
typedef struct crn_token_labels {
    const int32_t *labels; /* [R]; a negative one does not count. */
    const float *mask;     /* [R] weights of the tokens; NULL: ones. */
} crn_token_labels;

/* Weight of row @r: its mask, 0 where the label is negative. */
static inline float crn_token_weight(const crn_token_labels *labels, int64_t r)
{
    if (labels->labels[r] < 0)
        return 0.0F;
    return labels->mask != NULL ? labels->mask[r] : 1.0F;
}

/* Sum over R of weight * (log sum exp of the logits - logit of the label); keeps lse[R].
 * @row_loss[R] is scratch. */
double crn_cross_entropy(int64_t rows, int64_t vocab, const float *logits,
                         const crn_token_labels *labels, float *lse, float *row_loss);
/* Sum of the weights of the rows whose label has the largest logit (the first of equal ones).
 * @row_hits[R] is scratch. */
double crn_count_correct(int64_t rows, int64_t vocab, const float *logits,
                         const crn_token_labels *labels, float *row_hits);
/* Turns @logits into gradients: factor * weight * (softmax - one at the label). */
void crn_cross_entropy_backward(int64_t rows, int64_t vocab, const crn_token_labels *labels,
                                const float *lse, float factor, float *logits);

#endif
