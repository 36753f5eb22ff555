#include "kernels/ref/ref.h"

#include <math.h>

static double rstd_of(int64_t cols, double eps, const double *x)
{
    double squares = 0.0;
    for (int64_t c = 0; c < cols; c++)
        squares += x[c] * x[c];
    return 1.0 / sqrt(squares / (double)cols + eps);
}

void crn_ref_rmsnorm(int64_t rows, int64_t cols, double eps, const double *x, const double *gamma,
                     double *y)
{
    for (int64_t r = 0; r < rows; r++) {
        const double rstd = rstd_of(cols, eps, x + r * cols);
        for (int64_t c = 0; c < cols; c++)
            y[r * cols + c] = x[r * cols + c] * rstd * gamma[c];
    }
}

/* d rstd / d x_c = -rstd^3 x_c / C */
void crn_ref_rmsnorm_backward(int64_t rows, int64_t cols, double eps, const double *x,
                              const double *gamma, const double *dy, double *dx, double *dgamma)
{
    for (int64_t c = 0; c < cols; c++)
        dgamma[c] = 0.0;
    for (int64_t r = 0; r < rows; r++) {
        const double rstd = rstd_of(cols, eps, x + r * cols);
        double sum = 0.0;
        for (int64_t c = 0; c < cols; c++) {
            const int64_t i = r * cols + c;
            sum += dy[i] * gamma[c] * x[i];
            dgamma[c] += dy[i] * x[i] * rstd;
        }
        for (int64_t c = 0; c < cols; c++) {
            const int64_t i = r * cols + c;
            dx[i] = rstd * dy[i] * gamma[c] - pow(rstd, 3.0) * x[i] * sum / (double)cols;
        }
    }
}
