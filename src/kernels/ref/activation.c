#include "kernels/ref/ref.h"

#include <math.h>

static double normal_below(double x)
{
    return 0.5 * erfc(-x * sqrt(0.5));
}

void crn_ref_gelu(int64_t count, const double *x, double *y)
{
    for (int64_t i = 0; i < count; i++)
        y[i] = crn_ref_gelu_of(x[i]);
}

void crn_ref_gelu_backward(int64_t count, const double *x, const double *dy, double *dx)
{
    for (int64_t i = 0; i < count; i++)
        dx[i] = dy[i] * crn_ref_gelu_slope(x[i]);
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

double crn_ref_gelu_of(double x)
{
    return x * normal_below(x);
}

double crn_ref_gelu_slope(double x)
{
    return normal_below(x) + x * exp(-0.5 * x * x) / sqrt(2.0 * acos(-1.0));
}

double crn_ref_silu_of(double x)
{
    return x / (1.0 + exp(-x));
}

double crn_ref_silu_slope(double x)
{
    const double s = 1.0 / (1.0 + exp(-x));
    return s + x * s * (1.0 - s);
}

static double gelu_inner(double x)
{
    return sqrt(2.0 / acos(-1.0)) * (x + 0.044715 * x * x * x);
}

double crn_ref_gelu_tanh_of(double x)
{
    return 0.5 * x * (1.0 + tanh(gelu_inner(x)));
}

double crn_ref_gelu_tanh_slope(double x)
{
    const double t = tanh(gelu_inner(x));
    const double inner = sqrt(2.0 / acos(-1.0)) * (1.0 + 3.0 * 0.044715 * x * x);
    return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner;
}

double crn_ref_squared_relu_of(double x)
{
    return x > 0.0 ? x * x : 0.0;
}

double crn_ref_squared_relu_slope(double x)
{
    return x > 0.0 ? 2.0 * x : 0.0;
}
