#include "cairn/model.h"
#include "kernels/kernels.h"

cairn_status cairn_matrix_probe(float *work, cairn_error *err)
{
    const int64_t n = CAIRN_PROBE_SIZE;
    const crn_matrix a = {.data = work, .stride = n};
    const crn_matrix b = {.data = work + n * n, .stride = n};
    return crn_gemm(n, n, n, 1.0F, a, b, 0.0F, work + 2 * n * n, n, err);
}
