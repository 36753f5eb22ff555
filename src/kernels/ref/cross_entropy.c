#include "kernels/ref/ref.h"

#include <math.h>

static double log_sum_exp(int64_t count, const double *x)
{
    double top = x[0];
    double sum = 0.0;
    for (int64_t i = 1; i < count; i++)
        top = x[i] > top ? x[i] : top;
    for (int64_t i = 0; i < count; i++)
        sum += exp(x[i] - top);
    return top + log(sum);
}

double crn_ref_cross_entropy(int64_t rows, int64_t vocab, const double *logits,
                             const int32_t *labels, const double *weight)
{
    double total = 0.0;
    for (int64_t r = 0; r < rows; r++) {
        const double *const row = logits + r * vocab;
        if (weight[r] != 0.0)
            total += weight[r] * (log_sum_exp(vocab, row) - row[labels[r]]);
    }
    return total;
}

void crn_ref_cross_entropy_backward(int64_t rows, int64_t vocab, const double *logits,
                                    const int32_t *labels, const double *weight, double *dlogits)
{
    for (int64_t r = 0; r < rows; r++) {
        const double lse = log_sum_exp(vocab, logits + r * vocab);
        for (int64_t c = 0; c < vocab; c++) {
            const double target = c == labels[r] ? 1.0 : 0.0;
            dlogits[r * vocab + c] =
                weight[r] != 0.0 ? weight[r] * (exp(logits[r * vocab + c] - lse) - target) : 0.0;
        }
    }
}
