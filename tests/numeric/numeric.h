/*
 * For tests of arithmetic: arrays in float64 and float32 at once, reproducible numbers to fill
 * them, the normalised error, central differences.
 *
 * The error of an array is its largest difference over the largest magnitude of what was expected.
 */
#ifndef CRN_TESTS_NUMERIC_H
#define CRN_TESTS_NUMERIC_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { NUM_POOL_MAX = 96 };

/* Everything that a test allocates; released together. */
typedef struct num_pool {
    void *items[NUM_POOL_MAX];
    int count;
    uint64_t seed;
} num_pool;

/* The same @count numbers twice. */
typedef struct num_array {
    int64_t count;
    double *d;
    float *f;
} num_array;

static inline void *num_alloc(num_pool *pool, int64_t count, size_t size)
{
    assert_true(pool->count < NUM_POOL_MAX);
    void *const memory = calloc((size_t)(count > 0 ? count : 1), size);
    assert_non_null(memory);
    pool->items[pool->count++] = memory;
    return memory;
}

static inline void num_free(num_pool *pool)
{
    for (int i = 0; i < pool->count; i++)
        free(pool->items[i]);
    pool->count = 0;
}

static inline num_array num_zeros(num_pool *pool, int64_t count)
{
    const num_array made = {.count = count,
                            .d = num_alloc(pool, count, sizeof(double)),
                            .f = num_alloc(pool, count, sizeof(float))};
    return made;
}

/* G. L. Steele et al., "Fast splittable pseudorandom number generators", 2014. */
static inline uint64_t num_next(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15U;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
    z = (z ^ z >> 27) * 0x94D049BB133111EBU;
    return z ^ z >> 31;
}

/* Numbers in (-size, size), each the same in both arrays. */
static inline num_array num_random(num_pool *pool, int64_t count, double size)
{
    const num_array made = num_zeros(pool, count);
    for (int64_t i = 0; i < count; i++) {
        made.f[i] = (float)(size * ((double)(num_next(&pool->seed) >> 11) * 0x1p-52 - 1.0));
        made.d[i] = (double)made.f[i];
    }
    return made;
}

/* Integers in [0, limit). */
static inline int32_t *num_ids(num_pool *pool, int64_t count, int32_t limit)
{
    int32_t *const ids = num_alloc(pool, count, sizeof *ids);
    for (int64_t i = 0; i < count; i++)
        ids[i] = (int32_t)(num_next(&pool->seed) % (uint64_t)limit);
    return ids;
}

static inline double num_error_of(int64_t count, const float *actual, const double *expected)
{
    double worst = 0.0;
    double largest = 1e-30;
    for (int64_t i = 0; i < count; i++) {
        const double off = fabs((double)actual[i] - expected[i]);
        worst = off <= worst ? worst : off; /* A NaN is the worst. */
        largest = fabs(expected[i]) > largest ? fabs(expected[i]) : largest;
    }
    return worst / largest;
}

static inline void num_assert_close_at(const char *what, int64_t count, const float *actual,
                                       const double *expected, double limit, const char *file,
                                       int line)
{
    const double error = num_error_of(count, actual, expected);
    if (!(error <= limit)) {
        print_error("%s: error %.3g is above %.3g\n", what, error, limit);
        _fail(file, line);
    }
}

/* The float32 side of @array against its float64 side. */
#define num_assert_close(array, limit)                                                             \
    num_assert_close_at(#array, (array).count, (array).f, (array).d, (limit), __FILE__, __LINE__)

/* A scalar function of arrays that the test may change. */
typedef double (*num_scalar_fn)(void *context);

/* Compares @gradient [count] with (f(x + h) - f(x - h)) / 2h for each element of @x. */
static inline void num_assert_gradient_at(const char *what, num_scalar_fn f, void *context,
                                          int64_t count, double *x, const double *gradient,
                                          double limit, const char *file, int line)
{
    const double h = 1e-5;
    double worst = 0.0;
    double largest = 1e-30;
    for (int64_t i = 0; i < count; i++) {
        const double old = x[i];
        x[i] = old + h;
        const double above = f(context);
        x[i] = old - h;
        const double below = f(context);
        x[i] = old;
        const double slope = (above - below) / (2.0 * h);
        const double off = fabs(gradient[i] - slope);
        worst = off <= worst ? worst : off;
        largest = fabs(slope) > largest ? fabs(slope) : largest;
    }
    if (!(worst / largest <= limit)) {
        print_error("%s: error %.3g is above %.3g\n", what, worst / largest, limit);
        _fail(file, line);
    }
}

#define num_assert_gradient(f, context, x, gradient, limit)                                        \
    num_assert_gradient_at(#x, (f), (context), (x).count, (x).d, (gradient).d, (limit), __FILE__,  \
                           __LINE__)

/* Sum of a[i] b[i]. */
static inline double num_dot(int64_t count, const double *a, const double *b)
{
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

#endif
