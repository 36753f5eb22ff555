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

/* Causal attention, [B][T][H * D]; @factors [B][H][T][T] multiply the probabilities (dropout). */
typedef struct crn_ref_attention_shape {
    int64_t batch;
    int64_t time;
    int64_t heads;
    int64_t head_size;
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
