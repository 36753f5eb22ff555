#include "kernels/kernels.h"

#include <string.h>

enum { STRIP = 32 }; /* Columns that one thread adds at a time. */

void crn_embedding(int64_t batch, int64_t time, int64_t cols, const int32_t *ids,
                   const float *words, const float *positions, float *y)
{
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < batch * time; r++) {
        const float *const word = words + ids[r] * cols;
        float *const out = y + r * cols;
        if (positions == NULL) {
            memcpy(out, word, (size_t)cols * sizeof *out);
            continue;
        }
        const float *const position = positions + r % time * cols;
#pragma omp simd
        for (int64_t c = 0; c < cols; c++)
            out[c] = word[c] + position[c];
    }
}

void crn_embedding_backward(int64_t batch, int64_t time, int64_t cols, const int32_t *ids,
                            const float *dy, float *dwords, float *dpositions)
{
    /* Two tokens may share a row of the table: a thread owns columns, not rows, and goes through
     * the tokens in order. */
#pragma omp parallel for schedule(static)
    for (int64_t first = 0; first < cols; first += STRIP) {
        const int64_t n = cols - first < STRIP ? cols - first : STRIP;
        for (int64_t r = 0; r < batch * time; r++) {
            const float *const from = dy + r * cols + first;
            float *const word = dwords + ids[r] * cols + first;
#pragma omp simd
            for (int64_t c = 0; c < n; c++)
                word[c] += from[c];
            if (dpositions == NULL)
                continue;
            float *const position = dpositions + r % time * cols + first;
#pragma omp simd
            for (int64_t c = 0; c < n; c++)
                position[c] += from[c];
        }
    }
}

void crn_columns(int64_t batch, int64_t time, int64_t rank, int64_t size, const int32_t *ids,
                 const float *columns, float *y)
{
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < batch * time; r++) {
        const int64_t column = ids != NULL ? ids[r] : r % time;
        for (int64_t k = 0; k < rank; k++)
            y[r * rank + k] = columns[k * size + column];
    }
}

void crn_columns_backward(int64_t batch, int64_t time, int64_t rank, int64_t size,
                          const int32_t *ids, const float *dy, float *dcolumns)
{
    /* As above: a thread owns rows of the table, since two tokens may share a column. */
#pragma omp parallel for schedule(static)
    for (int64_t k = 0; k < rank; k++) {
        float *const row = dcolumns + k * size;
        for (int64_t r = 0; r < batch * time; r++)
            row[ids != NULL ? ids[r] : r % time] += dy[r * rank + k];
    }
}
