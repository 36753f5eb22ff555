/*
 * Slow, obviously right versions of the operations in float64, forward and backward, that the tests
 * hold the fast ones to. They are checked themselves against central differences. Backwards set
 * their outputs (they do not add).
 */
#ifndef CRN_KERNELS_REF_REF_H
#define CRN_KERNELS_REF_REF_H

#include <stdint.h>

/* y[R][O] = x[R][I] w[O][I]^T + b[O]; @b may be NULL. */
void crn_ref_linear(int64_t rows, int64_t in, int64_t out, const double *x, const double *w,
                    const double *b, double *y);
void crn_ref_linear_backward(int64_t rows, int64_t in, int64_t out, const double *x,
                             const double *w, const double *dy, double *dx, double *dw, double *db);

void crn_ref_layernorm(int64_t rows, int64_t cols, double eps, const double *x, const double *gamma,
                       const double *beta, double *y);
void crn_ref_layernorm_backward(int64_t rows, int64_t cols, double eps, const double *x,
                                const double *gamma, const double *dy, double *dx, double *dgamma,
                                double *dbeta);

void crn_ref_gelu(int64_t count, const double *x, double *y);
void crn_ref_gelu_backward(int64_t count, const double *x, const double *dy, double *dx);
void crn_ref_relu(int64_t count, const double *x, double *y);
void crn_ref_relu_backward(int64_t count, const double *x, const double *dy, double *dx);

/* y[B][T][C] = words[ids] + positions; the backward sets dwords[V][C], dpositions[T][C]. */
void crn_ref_embedding(int64_t batch, int64_t time, int64_t cols, const int32_t *ids,
                       const double *words, const double *positions, double *y);
void crn_ref_embedding_backward(int64_t batch, int64_t time, int64_t cols, int64_t vocab,
                                const int32_t *ids, const double *dy, double *dwords,
                                double *dpositions);

/* y = x / sqrt(mean(x^2) + eps) gamma */
void crn_ref_rmsnorm(int64_t rows, int64_t cols, double eps, const double *x, const double *gamma,
                     double *y);
void crn_ref_rmsnorm_backward(int64_t rows, int64_t cols, double eps, const double *x,
                              const double *gamma, const double *dy, double *dx, double *dgamma);

/* Turns pairs (2i, 2i + 1) of the first @size elements of each head by @angles[T][size / 2]; the
 * backward is the same with -angles. */
void crn_ref_rotary(int64_t rows, int64_t time, int64_t heads, int64_t head_size, int64_t size,
                    const double *angles, double sign, const double *x, double *y);

/* The functions of one number that activations and gates are made of, and their slopes. */
double crn_ref_silu_of(double x);
double crn_ref_silu_slope(double x);
double crn_ref_gelu_of(double x);
double crn_ref_gelu_slope(double x);
double crn_ref_gelu_tanh_of(double x);
double crn_ref_gelu_tanh_slope(double x);
double crn_ref_squared_relu_of(double x);
double crn_ref_squared_relu_slope(double x);

/* Causal attention, q [B][T][H * D], k and v [B][T][G * D]; query head h uses key head h G / H.
 * With a window W > 0 query i sees keys j <= i with i - j < W or j < S. @factors [B][H][T][T]
 * multiply the probabilities (dropout). */
typedef struct crn_ref_attention_shape {
    int64_t batch;
    int64_t time;
    int64_t heads;
    int64_t kv_heads;
    int64_t head_size;
    int64_t window;
    int64_t sinks;
    double scale;
} crn_ref_attention_shape;

/* @p [B][H][T][T] receives the probabilities before the factors. */
void crn_ref_attention(const crn_ref_attention_shape *shape, const double *factors, const double *q,
                       const double *k, const double *v, double *p, double *y);
void crn_ref_attention_backward(const crn_ref_attention_shape *shape, const double *factors,
                                const double *q, const double *k, const double *v, const double *p,
                                const double *dy, double *dq, double *dk, double *dv);

/* Sum of weight[R] * cross entropy of logits[R][V]; a weight of 0 skips the row. */
double crn_ref_cross_entropy(int64_t rows, int64_t vocab, const double *logits,
                             const int32_t *labels, const double *weight);
void crn_ref_cross_entropy_backward(int64_t rows, int64_t vocab, const double *logits,
                                    const int32_t *labels, const double *weight, double *dlogits);

#endif
