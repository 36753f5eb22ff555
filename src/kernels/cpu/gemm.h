/* oneDNN's products of bfloat16 factors, for bf16_gemm.c. */
#ifndef CRN_KERNELS_CPU_GEMM_H
#define CRN_KERNELS_CPU_GEMM_H

#include "kernels/kernels.h"

/* Everything of a product but where its numbers are. */
typedef struct crn_bf16_shape {
    int64_t m;
    int64_t n;
    int64_t k;
    int64_t a_stride;
    int64_t b_stride;
    int64_t out_stride;
    bool a_is_transposed;
    bool b_is_transposed;
    bool adds;
    int threads; /* that it runs on */
} crn_bf16_shape;

/* The library's products, one for each shape that was asked for. */
typedef struct crn_dnnl crn_dnnl;

/* CAIRN_ENOMEM, CAIRN_EDEVICE. */
cairn_status crn_dnnl_new(crn_dnnl **out, cairn_error *err);
/* Accepts NULL. */
void crn_dnnl_destroy(crn_dnnl *dnnl);
/* Computes, and sets *out_is_done, unless the library has nothing faster than its reference loops
 * for this shape and processor. CAIRN_ENOMEM, CAIRN_EDEVICE. */
cairn_status crn_dnnl_gemm(crn_dnnl *dnnl, const crn_bf16_shape *shape, const crn_bf16 *a,
                           const crn_bf16 *b, float *out, bool *out_is_done, cairn_error *err);

#endif
