#include "kernels/ref/ref.h"

#include <math.h>

void crn_ref_rotary(int64_t rows, int64_t time, int64_t heads, int64_t head_size, int64_t size,
                    const double *angles, double sign, const double *x, double *y)
{
    for (int64_t i = 0; i < rows * heads * head_size; i++) {
        const int64_t d = i % head_size;
        const int64_t t = i / (heads * head_size) % time;
        if (d >= size) {
            y[i] = x[i];
            continue;
        }
        const double angle = sign * angles[t * (size / 2) + d / 2];
        y[i] = d % 2 == 0 ? x[i] * cos(angle) - x[i + 1] * sin(angle)
                          : x[i] * cos(angle) + x[i - 1] * sin(angle);
    }
}
