#include "base/rng.h"
#include "kernels/kernels.h"

enum { BLOCK = 4, WORDS = 1024, TILE = 4096 };

void crn_dropout_factors(const crn_dropout_place *place, uint64_t first_block, int64_t count,
                         float *out)
{
    const float rate = place->rate;
    const float keep = 1.0F / (1.0F - rate);
    const uint32_t stream = CRN_STREAM_DROPOUT | place->number << 8;
    uint32_t words[WORDS];
    for (int64_t first = 0; first < count; first += WORDS) {
        const int64_t n = count - first < WORDS ? count - first : WORDS;
        crn_philox_fill(place->seed, stream, place->step, first_block + (uint64_t)(first / BLOCK),
                        (uint64_t)((n + BLOCK - 1) / BLOCK), words);
#pragma omp simd
        for (int64_t i = 0; i < n; i++)
            out[first + i] = crn_uniform_f32(words[i]) < rate ? 0.0F : keep;
    }
}

void crn_dropout(const crn_dropout_place *place, int64_t count, const float *x, bool adds, float *y)
{
    if (place->rate == 0.0F) {
        crn_copy(count, x, adds, y);
        return;
    }
#pragma omp parallel for schedule(static)
    for (int64_t first = 0; first < count; first += TILE) {
        const int64_t n = count - first < TILE ? count - first : TILE;
        float factors[TILE];
        crn_dropout_factors(place, (uint64_t)(first / BLOCK), n, factors);
        if (adds) {
#pragma omp simd
            for (int64_t i = 0; i < n; i++)
                y[first + i] += x[first + i] * factors[i];
        } else {
#pragma omp simd
            for (int64_t i = 0; i < n; i++)
                y[first + i] = x[first + i] * factors[i];
        }
    }
}
