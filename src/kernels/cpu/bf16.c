#include "kernels/cpu/bf16.h"

void crn_to_bf16(int64_t count, const float *x, crn_bf16 *out)
{
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < count; i++)
        out[i] = crn_bf16_of(x[i]);
}

void crn_from_bf16(int64_t count, const crn_bf16 *x, float *out)
{
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < count; i++)
        out[i] = crn_float_of_bf16(x[i]);
}

void crn_round_to_bf16(int64_t count, const float *x, float *out)
{
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < count; i++)
        out[i] = crn_float_of_bf16(crn_bf16_of(x[i]));
}
