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

/* 1 / (1 + exp(-x)) */
static inline float sigmoid(float x)
{
    return 1.0F / (1.0F + crn_expf(-x));
}

void crn_silu(int64_t count, const float *x, float *y)
{
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < count; i++)
        y[i] = x[i] * sigmoid(x[i]);
}

void crn_silu_backward(int64_t count, const float *x, const float *dy, bool adds, float *dx)
{
    const float keep = adds ? 1.0F : 0.0F;
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < count; i++) {
        const float s = sigmoid(x[i]);
        const float d = dy[i] * s * (1.0F + x[i] * (1.0F - s));
        dx[i] = keep > 0.0F ? dx[i] + d : d;
    }
}

/* tanh(u) by sigmoid(2 u); absolute error below 4e-7 */
static inline float tanh_of(float u)
{
    return 2.0F * sigmoid(2.0F * u) - 1.0F;
}

#define GELU_ROOT  0.797884561F /* sqrt(2 / pi) */
#define GELU_CUBIC 0.044715F

void crn_gelu_tanh(int64_t count, const float *x, float *y)
{
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < count; i++) {
        const float u = GELU_ROOT * (x[i] + GELU_CUBIC * x[i] * x[i] * x[i]);
        y[i] = x[i] * sigmoid(2.0F * u); /* (1 + tanh(u)) / 2 */
    }
}

void crn_gelu_tanh_backward(int64_t count, const float *x, const float *dy, bool adds, float *dx)
{
    const float keep = adds ? 1.0F : 0.0F;
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < count; i++) {
        const float square = x[i] * x[i];
        const float t = tanh_of(GELU_ROOT * (x[i] + GELU_CUBIC * x[i] * square));
        const float slope = GELU_ROOT * (1.0F + 3.0F * GELU_CUBIC * square);
        const float d = dy[i] * 0.5F * (1.0F + t + x[i] * (1.0F - t * t) * slope);
        dx[i] = keep > 0.0F ? dx[i] + d : d;
    }
}

void crn_squared_relu(int64_t count, const float *x, float *y)
{
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < count; i++)
        y[i] = x[i] < 0.0F ? 0.0F : x[i] * x[i]; /* A NaN stays one. */
}

void crn_squared_relu_backward(int64_t count, const float *x, const float *dy, bool adds, float *dx)
{
    const float keep = adds ? 1.0F : 0.0F;
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < count; i++) {
        const float d = x[i] > 0.0F ? 2.0F * x[i] * dy[i] : 0.0F;
        dx[i] = keep > 0.0F ? dx[i] + d : d;
    }
}
