#include "kernels/ref/ref.h"

#include <stddef.h>

void crn_ref_linear(int64_t rows, int64_t in, int64_t out, const double *x, const double *w,
                    const double *b, double *y)
{
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t o = 0; o < out; o++) {
            double sum = b != NULL ? b[o] : 0.0;
            for (int64_t i = 0; i < in; i++)
                sum += x[r * in + i] * w[o * in + i];
            y[r * out + o] = sum;
        }
    }
}

void crn_ref_linear_backward(int64_t rows, int64_t in, int64_t out, const double *x,
                             const double *w, const double *dy, double *dx, double *dw, double *db)
{
    for (int64_t i = 0; i < rows * in; i++)
        dx[i] = 0.0;
    for (int64_t i = 0; i < out * in; i++)
        dw[i] = 0.0;
    for (int64_t o = 0; o < out; o++)
        db[o] = 0.0;
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t o = 0; o < out; o++) {
            const double d = dy[r * out + o];
            db[o] += d;
            for (int64_t i = 0; i < in; i++) {
                dx[r * in + i] += d * w[o * in + i];
                dw[o * in + i] += d * x[r * in + i];
            }
        }
    }
}
