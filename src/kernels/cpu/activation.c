#include "kernels/cpu/vecmath.h"
#include "kernels/kernels.h"

void crn_gelu(int64_t count, const float *x, float *y)
{
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < count; i++) {
        float e;
        const float tail = crn_normal_tail(x[i], &e);
        y[i] = x[i] * (x[i] < 0.0F ? tail : 1.0F - tail);
    }
}

static inline float gelu_slope(float x)
{
    float e;
    const float tail = crn_normal_tail(x, &e);
    return (x < 0.0F ? tail : 1.0F - tail) + x * 0.398942280F * e;
}

void crn_gelu_backward(int64_t count, const float *x, const float *dy, bool adds, float *dx)
{
    if (adds) {
#pragma omp parallel for simd schedule(static)
        for (int64_t i = 0; i < count; i++)
            dx[i] += dy[i] * gelu_slope(x[i]);
        return;
    }
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < count; i++)
        dx[i] = dy[i] * gelu_slope(x[i]);
}

void crn_relu(int64_t count, const float *x, float *y)
{
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < count; i++)
        y[i] = x[i] < 0.0F ? 0.0F : x[i]; /* A NaN stays one. */
}

void crn_relu_backward(int64_t count, const float *x, const float *dy, bool adds, float *dx)
{
    if (adds) {
#pragma omp parallel for simd schedule(static)
        for (int64_t i = 0; i < count; i++)
            dx[i] += x[i] > 0.0F ? dy[i] : 0.0F;
        return;
    }
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < count; i++)
        dx[i] = x[i] > 0.0F ? dy[i] : 0.0F;
}
