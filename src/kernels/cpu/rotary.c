#include "kernels/kernels.h"

/* One head of one token. */
static void turn(int64_t pairs, const float *cosines, const float *sines, float direction,
                 const float *x, bool adds, float *y)
{
    for (int64_t i = 0; i < pairs; i++) {
        const float c = cosines[i];
        const float s = direction * sines[i];
        const float even = x[2 * i] * c - x[2 * i + 1] * s;
        const float odd = x[2 * i + 1] * c + x[2 * i] * s;
        y[2 * i] = adds ? y[2 * i] + even : even;
        y[2 * i + 1] = adds ? y[2 * i + 1] + odd : odd;
    }
}

void crn_rotary(const crn_rotary_shape *shape, const float *cosines, const float *sines,
                bool is_inverse, const float *x, bool adds, float *y)
{
    const int64_t pairs = shape->size / 2;
    const float direction = is_inverse ? -1.0F : 1.0F;
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < shape->rows; r++) {
        const int64_t t = r % shape->time;
        for (int64_t h = 0; h < shape->heads; h++) {
            const int64_t at = (r * shape->heads + h) * shape->head_size;
            turn(pairs, cosines + t * pairs, sines + t * pairs, direction, x + at, adds, y + at);
            for (int64_t d = shape->size; d < shape->head_size; d++)
                y[at + d] = adds ? y[at + d] + x[at + d] : x[at + d];
        }
    }
}
