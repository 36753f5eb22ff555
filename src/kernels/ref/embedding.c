#include "kernels/ref/ref.h"

void crn_ref_embedding(int64_t batch, int64_t time, int64_t cols, const int32_t *ids,
                       const double *words, const double *positions, double *y)
{
    for (int64_t b = 0; b < batch; b++) {
        for (int64_t t = 0; t < time; t++) {
            for (int64_t c = 0; c < cols; c++)
                y[(b * time + t) * cols + c] =
                    words[ids[b * time + t] * cols + c] + positions[t * cols + c];
        }
    }
}

void crn_ref_embedding_backward(int64_t batch, int64_t time, int64_t cols, int64_t vocab,
                                const int32_t *ids, const double *dy, double *dwords,
                                double *dpositions)
{
    for (int64_t i = 0; i < vocab * cols; i++)
        dwords[i] = 0.0;
    for (int64_t i = 0; i < time * cols; i++)
        dpositions[i] = 0.0;
    for (int64_t b = 0; b < batch; b++) {
        for (int64_t t = 0; t < time; t++) {
            for (int64_t c = 0; c < cols; c++) {
                const double d = dy[(b * time + t) * cols + c];
                dwords[ids[b * time + t] * cols + c] += d;
                dpositions[t * cols + c] += d;
            }
        }
    }
}
