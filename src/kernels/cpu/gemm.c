#include <stdio.h>

#include <oneapi/dnnl/dnnl.h>

#include "base/try.h"
#include "kernels/kernels.h"

cairn_status crn_gemm(int64_t m, int64_t n, int64_t k, float alpha, crn_matrix a, crn_matrix b,
                      float beta, float *out, int64_t out_stride, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (m == 0 || n == 0)
        return CAIRN_OK;
    const dnnl_status_t status =
        dnnl_sgemm(a.is_transposed ? 'T' : 'N', b.is_transposed ? 'T' : 'N', m, n, k, alpha, a.data,
                   a.stride, b.data, b.stride, beta, out, out_stride);
    if (status != dnnl_success)
        CRN_FAIL(err, CAIRN_EDEVICE, "oneDNN refuses a %lldx%lldx%lld product (dnnl status %d)",
                 (long long)m, (long long)n, (long long)k, (int)status);
out:
    return rc;
}

void crn_gemm_version(char out[32])
{
    const dnnl_version_t *const version = dnnl_version();
    (void)snprintf(out, 32, "%d.%d.%d", version->major, version->minor, version->patch);
}

const char *crn_gemm_isa(void)
{
    switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_all:
        return "all";
    case dnnl_cpu_isa_sse41:
        return "sse4.1";
    case dnnl_cpu_isa_avx:
        return "avx";
    case dnnl_cpu_isa_avx2:
        return "avx2";
    case dnnl_cpu_isa_avx2_vnni:
        return "avx2_vnni";
    case dnnl_cpu_isa_avx512_mic:
        return "avx512_mic";
    case dnnl_cpu_isa_avx512_mic_4ops:
        return "avx512_mic_4ops";
    case dnnl_cpu_isa_avx512_core:
        return "avx512";
    case dnnl_cpu_isa_avx512_core_vnni:
        return "avx512_vnni";
    case dnnl_cpu_isa_avx512_core_bf16:
        return "avx512_bf16";
    case dnnl_cpu_isa_avx512_core_amx:
        return "avx512_amx";
    default:
        return "other";
    }
}
