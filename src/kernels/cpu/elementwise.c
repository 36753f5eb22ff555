#include "kernels/kernels.h"

#include <math.h>

enum { SUM_PARTS_MAX = 32 };

void crn_add(int64_t count, const float *a, const float *b, float *out)
{
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < count; i++)
        out[i] = a[i] + b[i];
}

void crn_copy(int64_t count, const float *from, bool adds, float *out)
{
    if (adds) {
        crn_add(count, out, from, out);
        return;
    }
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < count; i++)
        out[i] = from[i];
}

int64_t crn_find_nonfinite(int64_t count, const float *x)
{
    int64_t bad = 0;
#pragma omp parallel for simd schedule(static) reduction(+ : bad)
    for (int64_t i = 0; i < count; i++)
        bad += !(fabsf(x[i]) <= 3.402823466e+38F); /* FLT_MAX; a NaN fails any comparison. */
    for (int64_t i = 0; bad > 0 && i < count; i++) {
        if (!isfinite(x[i]))
            return i;
    }
    return -1;
}

void crn_scale(int64_t count, float factor, const float *from, bool adds, float *out)
{
    const float keep = adds ? 1.0F : 0.0F;
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < count; i++) {
        const float value = factor * from[i];
        out[i] = keep > 0.0F ? out[i] + value : value; /* Old content may be anything. */
    }
}

void crn_add_bias(int64_t rows, int64_t cols, const float *bias, float *y)
{
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        float *const row = y + r * cols;
#pragma omp simd
        for (int64_t c = 0; c < cols; c++)
            row[c] += bias[c];
    }
}

int64_t crn_sum_rows_scratch(int64_t rows, int64_t cols)
{
    return (rows < SUM_PARTS_MAX ? rows : SUM_PARTS_MAX) * cols;
}

void crn_sum_rows(int64_t rows, int64_t cols, const float *x, float *scratch, float *out)
{
    /* The parts depend on the shape only, so the bits do not depend on the threads. */
    const int64_t parts = rows < SUM_PARTS_MAX ? rows : SUM_PARTS_MAX;
#pragma omp parallel for schedule(static)
    for (int64_t p = 0; p < parts; p++) {
        float *const part = scratch + p * cols;
        for (int64_t c = 0; c < cols; c++)
            part[c] = 0.0F;
        for (int64_t r = rows * p / parts; r < rows * (p + 1) / parts; r++) {
            const float *const row = x + r * cols;
#pragma omp simd
            for (int64_t c = 0; c < cols; c++)
                part[c] += row[c];
        }
    }
    for (int64_t p = 0; p < parts; p++) {
        const float *const part = scratch + p * cols;
#pragma omp simd
        for (int64_t c = 0; c < cols; c++)
            out[c] += part[c];
    }
}
