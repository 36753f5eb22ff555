#include "base/try.h"
#include "kernels/kernels.h"

static crn_matrix matrix(const float *data, int64_t stride, bool is_transposed)
{
    const crn_matrix made = {.data = data, .stride = stride, .is_transposed = is_transposed};
    return made;
}

static crn_bf16_matrix bf16_matrix(const crn_bf16 *data, int64_t stride, bool is_transposed)
{
    const crn_bf16_matrix made = {.data = data, .stride = stride, .is_transposed = is_transposed};
    return made;
}

cairn_status crn_linear(const crn_linear_shape *n, const float *x, const float *weight,
                        const float *bias, float *y, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(crn_gemm(n->rows, n->out, n->in, 1.0F, matrix(x, n->in, false),
                           matrix(weight, n->in, true), 0.0F, y, n->out, err));
    if (bias != NULL)
        crn_add_bias(n->rows, n->out, bias, y);
out:
    return rc;
}

cairn_status crn_linear_backward(const crn_linear_shape *n, const float *x, const float *weight,
                                 const float *dy, bool adds, float *dx, float *dweight,
                                 float *dbias, float *scratch, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (dweight != NULL)
        CRN_TRY_PLAIN(crn_gemm(n->out, n->in, n->rows, 1.0F, matrix(dy, n->out, true),
                               matrix(x, n->in, false), 1.0F, dweight, n->in, err));
    if (dbias != NULL)
        crn_sum_rows(n->rows, n->out, dy, scratch, dbias);
    CRN_TRY_PLAIN(crn_gemm(n->rows, n->in, n->out, 1.0F, matrix(dy, n->out, false),
                           matrix(weight, n->in, false), adds ? 1.0F : 0.0F, dx, n->in, err));
out:
    return rc;
}

cairn_status crn_linear_bf16(crn_bf16_gemms *gemms, const crn_linear_shape *n, const crn_bf16 *x,
                             const crn_bf16 *weight, const float *bias, float *y, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(crn_bf16_gemm(gemms, n->rows, n->out, n->in, bf16_matrix(x, n->in, false),
                                bf16_matrix(weight, n->in, true), false, y, n->out, err));
    if (bias != NULL)
        crn_add_bias(n->rows, n->out, bias, y);
out:
    return rc;
}

/* Floats that hold @dy in bfloat16. */
static int64_t half_floats(const crn_linear_shape *n)
{
    return (n->rows * n->out + 1) / 2;
}

int64_t crn_linear_bf16_scratch(const crn_linear_shape *n, bool has_bias)
{
    return half_floats(n) + (has_bias ? crn_sum_rows_scratch(n->rows, n->out) : 0);
}

cairn_status crn_linear_bf16_backward(crn_bf16_gemms *gemms, const crn_linear_shape *n,
                                      const crn_bf16 *x, const crn_bf16 *weight, const float *dy,
                                      bool adds, float *dx, float *dweight, float *dbias,
                                      float *scratch, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_bf16 *const half = (crn_bf16 *)(void *)scratch;
    crn_to_bf16(n->rows * n->out, dy, half);
    if (dweight != NULL)
        CRN_TRY_PLAIN(crn_bf16_gemm(gemms, n->out, n->in, n->rows, bf16_matrix(half, n->out, true),
                                    bf16_matrix(x, n->in, false), true, dweight, n->in, err));
    if (dbias != NULL)
        crn_sum_rows(n->rows, n->out, dy, scratch + half_floats(n), dbias);
    CRN_TRY_PLAIN(crn_bf16_gemm(gemms, n->rows, n->in, n->out, bf16_matrix(half, n->out, false),
                                bf16_matrix(weight, n->in, false), adds, dx, n->in, err));
out:
    return rc;
}
