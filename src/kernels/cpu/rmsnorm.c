#include "kernels/kernels.h"

#include <math.h>

enum { PARTS_MAX = 32 };

void crn_rmsnorm(int64_t rows, int64_t cols, float eps, const float *x, const float *gamma,
                 float *y, float *rstd)
{
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        const float *const in = x + r * cols;
        float *const out = y + r * cols;
        float squares = 0.0F;
#pragma omp simd reduction(+ : squares)
        for (int64_t c = 0; c < cols; c++)
            squares += in[c] * in[c];
        const float s = 1.0F / sqrtf(squares / (float)cols + eps);
#pragma omp simd
        for (int64_t c = 0; c < cols; c++)
            out[c] = in[c] * s * gamma[c];
        rstd[r] = s;
    }
}

static int64_t parts_of(int64_t rows)
{
    return rows < PARTS_MAX ? rows : PARTS_MAX;
}

int64_t crn_rmsnorm_scratch(int64_t rows, int64_t cols)
{
    return parts_of(rows) * cols;
}

/* With g = dy gamma and h = x rstd: dx = rstd (g - h mean(g h)). Adds dy h to the part's dgamma. */
static void backward_row(int64_t cols, const float *x, const float *gamma, float rstd,
                         const float *dy, bool adds, float *dx, float *dgamma)
{
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (int64_t c = 0; c < cols; c++)
        sum += dy[c] * gamma[c] * (x[c] * rstd);
    const float mean = sum / (float)cols;
    const float keep = adds ? 1.0F : 0.0F;
#pragma omp simd
    for (int64_t c = 0; c < cols; c++) {
        const float h = x[c] * rstd;
        const float d = rstd * (dy[c] * gamma[c] - h * mean);
        dx[c] = keep > 0.0F ? dx[c] + d : d; /* Old content may be anything, even NaN. */
        dgamma[c] += dy[c] * h;
    }
}

void crn_rmsnorm_backward(int64_t rows, int64_t cols, const float *x, const float *gamma,
                          const float *rstd, const float *dy, bool adds, float *dx, float *dgamma,
                          float *scratch)
{
    const int64_t parts = parts_of(rows);
#pragma omp parallel for schedule(static)
    for (int64_t p = 0; p < parts; p++) {
        float *const part = scratch + p * cols;
        for (int64_t c = 0; c < cols; c++)
            part[c] = 0.0F;
        for (int64_t r = rows * p / parts; r < rows * (p + 1) / parts; r++)
            backward_row(cols, x + r * cols, gamma, rstd[r], dy + r * cols, adds, dx + r * cols,
                         part);
    }
    for (int64_t p = 0; dgamma != NULL && p < parts; p++) {
        const float *const part = scratch + p * cols;
#pragma omp simd
        for (int64_t c = 0; c < cols; c++)
            dgamma[c] += part[c];
    }
}
