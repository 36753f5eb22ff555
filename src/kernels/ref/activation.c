#include "kernels/ref/ref.h"

#include <math.h>

static double normal_below(double x)
{
    return 0.5 * erfc(-x * sqrt(0.5));
}

void crn_ref_gelu(int64_t count, const double *x, double *y)
{
    for (int64_t i = 0; i < count; i++)
        y[i] = x[i] * normal_below(x[i]);
}

void crn_ref_gelu_backward(int64_t count, const double *x, const double *dy, double *dx)
{
    const double pi = acos(-1.0);
    for (int64_t i = 0; i < count; i++)
        dx[i] = dy[i] * (normal_below(x[i]) + x[i] * exp(-0.5 * x[i] * x[i]) / sqrt(2.0 * pi));
}

void crn_ref_relu(int64_t count, const double *x, double *y)
{
    for (int64_t i = 0; i < count; i++)
        y[i] = x[i] > 0.0 ? x[i] : 0.0;
}

void crn_ref_relu_backward(int64_t count, const double *x, const double *dy, double *dx)
{
    for (int64_t i = 0; i < count; i++)
        dx[i] = x[i] > 0.0 ? dy[i] : 0.0;
}
