#include "kernels/kernels.h"

const char *crn_kernels_isa(void)
{
#if defined __AVX512F__
    return "avx512";
#elif defined __AVX2__
    return "avx2";
#else
    return "portable";
#endif
}
