#include "kernels/ref/ref.h"

#include <math.h>
#include <stdbool.h>

typedef crn_ref_attention_shape shape_t;

/* Element @d of head @h of token @t of sequence @b in [B][T][C]. */
static int64_t at(const shape_t *s, int64_t b, int64_t t, int64_t h, int64_t d)
{
    return ((b * s->time + t) * s->heads + h) * s->head_size + d;
}

/* The same in the keys and values [B][T][G * D], for query head @h. */
static int64_t kv_at(const shape_t *s, int64_t b, int64_t t, int64_t h, int64_t d)
{
    const int64_t g = h * s->kv_heads / s->heads;
    return ((b * s->time + t) * s->kv_heads + g) * s->head_size + d;
}

static bool sees(const shape_t *s, int64_t i, int64_t j)
{
    return j <= i && (s->window == 0 || i - j < s->window || j < s->sinks);
}

/* Query @i, key @j in [B][H][T][T]. */
static int64_t pair(const shape_t *s, int64_t b, int64_t h, int64_t i, int64_t j)
{
    return ((b * s->heads + h) * s->time + i) * s->time + j;
}

static double score(const shape_t *s, const double *q, const double *k, int64_t b, int64_t h,
                    int64_t i, int64_t j)
{
    double sum = 0.0;
    for (int64_t d = 0; d < s->head_size; d++)
        sum += q[at(s, b, i, h, d)] * k[kv_at(s, b, j, h, d)];
    return s->scale * sum;
}

static void attend(const shape_t *s, const double *factors, const double *q, const double *k,
                   const double *v, double *p, double *y, int64_t b, int64_t h, int64_t i)
{
    double *const row = p + pair(s, b, h, i, 0);
    double top = -INFINITY;
    double total = 0.0;
    for (int64_t j = 0; j < s->time; j++) {
        row[j] = sees(s, i, j) ? score(s, q, k, b, h, i, j) : -INFINITY;
        top = row[j] > top ? row[j] : top;
    }
    for (int64_t j = 0; j < s->time; j++) {
        row[j] = exp(row[j] - top);
        total += row[j];
    }
    for (int64_t j = 0; j < s->time; j++)
        row[j] /= total;
    for (int64_t d = 0; d < s->head_size; d++) {
        double sum = 0.0;
        for (int64_t j = 0; j <= i; j++)
            sum += row[j] * factors[pair(s, b, h, i, j)] * v[kv_at(s, b, j, h, d)];
        y[at(s, b, i, h, d)] = sum;
    }
}

void crn_ref_attention(const shape_t *shape, const double *factors, const double *q,
                       const double *k, const double *v, double *p, double *y)
{
    for (int64_t b = 0; b < shape->batch; b++) {
        for (int64_t h = 0; h < shape->heads; h++) {
            for (int64_t i = 0; i < shape->time; i++)
                attend(shape, factors, q, k, v, p, y, b, h, i);
        }
    }
}

/* Gradient of the probability of (i, j) before the factors. */
static double dp_of(const shape_t *s, const double *factors, const double *v, const double *dy,
                    int64_t b, int64_t h, int64_t i, int64_t j)
{
    double sum = 0.0;
    for (int64_t d = 0; d < s->head_size; d++)
        sum += dy[at(s, b, i, h, d)] * v[kv_at(s, b, j, h, d)];
    return sum * factors[pair(s, b, h, i, j)];
}

void crn_ref_attention_backward(const shape_t *s, const double *factors, const double *q,
                                const double *k, const double *v, const double *p, const double *dy,
                                double *dq, double *dk, double *dv)
{
    for (int64_t i = 0; i < s->batch * s->time * s->heads * s->head_size; i++)
        dq[i] = 0.0;
    for (int64_t i = 0; i < s->batch * s->time * s->kv_heads * s->head_size; i++) {
        dk[i] = 0.0;
        dv[i] = 0.0;
    }
    for (int64_t n = 0; n < s->batch * s->heads * s->time; n++) {
        const int64_t b = n / (s->heads * s->time);
        const int64_t h = n / s->time % s->heads;
        const int64_t i = n % s->time;
        double mean = 0.0;
        for (int64_t j = 0; j <= i; j++)
            mean += p[pair(s, b, h, i, j)] * dp_of(s, factors, v, dy, b, h, i, j);
        for (int64_t j = 0; j <= i; j++) {
            const double prob = p[pair(s, b, h, i, j)];
            const double ds = s->scale * prob * (dp_of(s, factors, v, dy, b, h, i, j) - mean);
            for (int64_t d = 0; d < s->head_size; d++) {
                dq[at(s, b, i, h, d)] += ds * k[kv_at(s, b, j, h, d)];
                dk[kv_at(s, b, j, h, d)] += ds * q[at(s, b, i, h, d)];
                dv[kv_at(s, b, j, h, d)] +=
                    prob * factors[pair(s, b, h, i, j)] * dy[at(s, b, i, h, d)];
            }
        }
    }
}
