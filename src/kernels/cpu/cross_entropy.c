#include "kernels/kernels.h"

#include <math.h>

#include "kernels/cpu/vecmath.h"

double crn_cross_entropy(int64_t rows, int64_t vocab, const float *logits,
                         const crn_token_labels *labels, float *lse, float *row_loss)
{
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        const float *const row = logits + r * vocab;
        const float weight = crn_token_weight(labels, r);
        const float top = crn_max_of(vocab, row);
        float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
        for (int64_t c = 0; c < vocab; c++)
            sum += crn_expf(row[c] - top);
        lse[r] = top + logf(sum);
        row_loss[r] = weight == 0.0F ? 0.0F : weight * (lse[r] - row[labels->labels[r]]);
    }
    double total = 0.0;
    for (int64_t r = 0; r < rows; r++)
        total += (double)row_loss[r];
    return total;
}

double crn_count_correct(int64_t rows, int64_t vocab, const float *logits,
                         const crn_token_labels *labels, float *row_hits)
{
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        const float *const row = logits + r * vocab;
        const float weight = crn_token_weight(labels, r);
        int64_t likeliest = 0;
        for (int64_t c = 1; weight != 0.0F && c < vocab; c++)
            likeliest = row[c] > row[likeliest] ? c : likeliest;
        row_hits[r] = likeliest == labels->labels[r] ? weight : 0.0F;
    }
    double total = 0.0;
    for (int64_t r = 0; r < rows; r++)
        total += (double)row_hits[r];
    return total;
}

void crn_cross_entropy_backward(int64_t rows, int64_t vocab, const crn_token_labels *labels,
                                const float *lse, float factor, float *logits)
{
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        float *const row = logits + r * vocab;
        const float weight = crn_token_weight(labels, r) * factor;
        if (weight == 0.0F) {
            for (int64_t c = 0; c < vocab; c++)
                row[c] = 0.0F;
            continue;
        }
        const float shift = lse[r];
#pragma omp simd
        for (int64_t c = 0; c < vocab; c++)
            row[c] = weight * crn_expf(row[c] - shift);
        row[labels->labels[r]] -= weight;
    }
}
