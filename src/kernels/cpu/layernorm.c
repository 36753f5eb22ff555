#include "kernels/kernels.h"

#include <math.h>

enum { PARTS_MAX = 32 };

void crn_layernorm(int64_t rows, int64_t cols, float eps, const float *x, const float *gamma,
                   const float *beta, float *y, float *mean, float *rstd)
{
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        const float *const in = x + r * cols;
        float *const out = y + r * cols;
        float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
        for (int64_t c = 0; c < cols; c++)
            sum += in[c];
        const float m = sum / (float)cols;
        float squares = 0.0F;
#pragma omp simd reduction(+ : squares)
        for (int64_t c = 0; c < cols; c++)
            squares += (in[c] - m) * (in[c] - m);
        const float s = 1.0F / sqrtf(squares / (float)cols + eps);
#pragma omp simd
        for (int64_t c = 0; c < cols; c++)
            out[c] = (in[c] - m) * s * gamma[c] + beta[c];
        mean[r] = m;
        rstd[r] = s;
    }
}

static int64_t parts_of(int64_t rows)
{
    return rows < PARTS_MAX ? rows : PARTS_MAX;
}

int64_t crn_layernorm_scratch(int64_t rows, int64_t cols)
{
    return 2 * parts_of(rows) * cols;
}

/*
 * With g = dy gamma and h = (x - mean) rstd: dx = rstd (g - mean(g) - h mean(g h)). Adds to the
 * part's dgamma = sum of dy h and dbeta = sum of dy.
 */
static void backward_row(int64_t cols, const float *x, const float *gamma, float mean, float rstd,
                         const float *dy, bool adds, float *dx, float *dgamma, float *dbeta)
{
    float sum_g = 0.0F;
    float sum_gh = 0.0F;
#pragma omp simd reduction(+ : sum_g, sum_gh)
    for (int64_t c = 0; c < cols; c++) {
        const float h = (x[c] - mean) * rstd;
        sum_g += dy[c] * gamma[c];
        sum_gh += dy[c] * gamma[c] * h;
    }
    const float mean_g = sum_g / (float)cols;
    const float mean_gh = sum_gh / (float)cols;
    const float keep = adds ? 1.0F : 0.0F;
#pragma omp simd
    for (int64_t c = 0; c < cols; c++) {
        const float h = (x[c] - mean) * rstd;
        const float d = rstd * (dy[c] * gamma[c] - mean_g - h * mean_gh);
        dx[c] = keep > 0.0F ? dx[c] + d : d; /* Old content may be anything, even NaN. */
        dgamma[c] += dy[c] * h;
        dbeta[c] += dy[c];
    }
}

void crn_layernorm_backward(int64_t rows, int64_t cols, const float *x, const float *gamma,
                            const float *mean, const float *rstd, const float *dy, bool adds,
                            float *dx, float *dgamma, float *dbeta, float *scratch)
{
    const int64_t parts = parts_of(rows);
#pragma omp parallel for schedule(static)
    for (int64_t p = 0; p < parts; p++) {
        float *const part = scratch + 2 * p * cols;
        for (int64_t c = 0; c < 2 * cols; c++)
            part[c] = 0.0F;
        for (int64_t r = rows * p / parts; r < rows * (p + 1) / parts; r++)
            backward_row(cols, x + r * cols, gamma, mean[r], rstd[r], dy + r * cols, adds,
                         dx + r * cols, part, part + cols);
    }
    for (int64_t p = 0; dgamma != NULL && p < parts; p++) {
        const float *const part = scratch + 2 * p * cols;
#pragma omp simd
        for (int64_t c = 0; c < cols; c++) {
            dgamma[c] += part[c];
            dbeta[c] += part[cols + c];
        }
    }
}
