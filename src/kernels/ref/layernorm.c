#include "kernels/ref/ref.h"

#include <math.h>

/* Mean and 1 / standard deviation of a row. */
static void moments(int64_t cols, double eps, const double *x, double *mean, double *rstd)
{
    double sum = 0.0;
    double squares = 0.0;
    for (int64_t c = 0; c < cols; c++)
        sum += x[c];
    *mean = sum / (double)cols;
    for (int64_t c = 0; c < cols; c++)
        squares += (x[c] - *mean) * (x[c] - *mean);
    *rstd = 1.0 / sqrt(squares / (double)cols + eps);
}

void crn_ref_layernorm(int64_t rows, int64_t cols, double eps, const double *x, const double *gamma,
                       const double *beta, double *y)
{
    for (int64_t r = 0; r < rows; r++) {
        double mean = 0.0;
        double rstd = 0.0;
        moments(cols, eps, x + r * cols, &mean, &rstd);
        for (int64_t c = 0; c < cols; c++)
            y[r * cols + c] = (x[r * cols + c] - mean) * rstd * gamma[c] + beta[c];
    }
}

void crn_ref_layernorm_backward(int64_t rows, int64_t cols, double eps, const double *x,
                                const double *gamma, const double *dy, double *dx, double *dgamma,
                                double *dbeta)
{
    for (int64_t c = 0; c < cols; c++) {
        dgamma[c] = 0.0;
        dbeta[c] = 0.0;
    }
    for (int64_t r = 0; r < rows; r++) {
        double mean = 0.0;
        double rstd = 0.0;
        double mean_g = 0.0;
        double mean_gh = 0.0;
        moments(cols, eps, x + r * cols, &mean, &rstd);
        for (int64_t c = 0; c < cols; c++) {
            const double h = (x[r * cols + c] - mean) * rstd;
            const double d = dy[r * cols + c];
            dgamma[c] += d * h;
            dbeta[c] += d;
            mean_g += d * gamma[c] / (double)cols;
            mean_gh += d * gamma[c] * h / (double)cols;
        }
        for (int64_t c = 0; c < cols; c++) {
            const double h = (x[r * cols + c] - mean) * rstd;
            dx[r * cols + c] = rstd * (dy[r * cols + c] * gamma[c] - mean_g - h * mean_gh);
        }
    }
}
