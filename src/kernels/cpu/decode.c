#include "kernels/kernels.h"

#include <math.h>

#include "kernels/cpu/vecmath.h"

static bool sees(const crn_decode_shape *shape, int64_t query, int64_t key)
{
    return shape->window == 0 || query - key < shape->window || key < shape->sinks;
}

static float dot(int64_t count, const float *a, const float *b)
{
    float sum = 0.0F;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

/* One head of one query over the keys up to its own. @scores [query + 1] is scratch. */
static void attend(const crn_decode_shape *shape, int64_t query, const float *q, const float *k,
                   const float *v, float *y, float *scores)
{
    const int64_t size = shape->head_size;
    const int64_t stride = shape->kv_heads * size;
    float sum = 0.0F;
    for (int64_t key = 0; key <= query; key++)
        scores[key] =
            sees(shape, query, key) ? shape->scale * dot(size, q, k + key * stride) : -INFINITY;
    const float top = crn_max_of(query + 1, scores);
    for (int64_t d = 0; d < size; d++)
        y[d] = 0.0F;
    for (int64_t key = 0; key <= query; key++) {
        if (!sees(shape, query, key))
            continue;
        const float p = crn_expf(scores[key] - top);
        const float *const value = v + key * stride;
        sum += p;
#pragma omp simd
        for (int64_t d = 0; d < size; d++)
            y[d] += p * value[d];
    }
    const float factor = 1.0F / sum;
    for (int64_t d = 0; d < size; d++)
        y[d] *= factor;
}

void crn_decode_attention(const crn_decode_shape *shape, const float *q, const float *k,
                          const float *v, float *y, float *scores)
{
    const int64_t group = shape->heads / shape->kv_heads;
    const int64_t size = shape->head_size;
    const int64_t end = shape->first + shape->rows;
#pragma omp parallel for schedule(static)
    for (int64_t h = 0; h < shape->heads; h++) {
        const int64_t kv = h / group * size;
        for (int64_t r = 0; r < shape->rows; r++) {
            const int64_t at = (r * shape->heads + h) * size;
            attend(shape, shape->first + r, q + at, k + kv, v + kv, y + at, scores + h * end);
        }
    }
}
