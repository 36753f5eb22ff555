/* Functions that compilers turn into vector code when a loop calls them. */
#ifndef CRN_KERNELS_CPU_VECMATH_H
#define CRN_KERNELS_CPU_VECMATH_H

#include <stdint.h>
#include <string.h>

/* As float from its bits. */
static inline float crn_float_of_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* The largest of x[count], count > 0; NaN are passed over. */
static inline float crn_max_of(int64_t count, const float *x)
{
    enum { LANES = 16 };
    float lane[LANES];
    int64_t i = 0;
    for (int l = 0; l < LANES; l++)
        lane[l] = x[0];
    for (; i + LANES <= count; i += LANES) {
#pragma omp simd
        for (int l = 0; l < LANES; l++)
            lane[l] = x[i + l] > lane[l] ? x[i + l] : lane[l];
    }
    float top = x[0];
    for (; i < count; i++)
        top = x[i] > top ? x[i] : top;
    for (int l = 0; l < LANES; l++)
        top = lane[l] > top ? lane[l] : top;
    return top;
}

/*
 * exp(x), relative error below 2e-7; below -87.3 it is exp(-87.3) ~ 1e-38, above 88 it is exp(88).
 * x = n log 2 + r with |r| <= log(2) / 2; exp(r) by its Taylor polynomial of degree 7 (remainder
 * below 6e-9), log 2 in two parts after W. J. Cody and W. Waite, "Software Manual for the
 * Elementary Functions", 1980.
 */
static inline float crn_expf(float x)
{
    const float shifter = 12582912.0F; /* 1.5 * 2^23: adding it rounds to an integer */
    x = x < -87.3F ? -87.3F : x;
    x = x > 88.0F ? 88.0F : x;
    const float n = (x * 1.44269504F + shifter) - shifter;
    const float r = (x - n * 0.693359375F) - n * -2.12194440e-4F;
    float p = 1.0F / 5040.0F;
    p = p * r + 1.0F / 720.0F;
    p = p * r + 1.0F / 120.0F;
    p = p * r + 1.0F / 24.0F;
    p = p * r + 1.0F / 6.0F;
    p = p * r + 0.5F;
    p = p * r + 1.0F;
    p = p * r + 1.0F;
    return p * crn_float_of_bits((uint32_t)((int32_t)n + 127) << 23);
}

/*
 * The upper tail of the normal distribution at |x|, Phi(-|x|), and exp(-x^2 / 2), which its
 * derivative needs. Rational form 7.1.26 of M. Abramowitz and I. A. Stegun, "Handbook of
 * Mathematical Functions", 1964: absolute error below 1e-7.
 */
static inline float crn_normal_tail(float x, float *out_exp)
{
    const float z = (x < 0.0F ? -x : x) * 0.707106781F;
    const float t = 1.0F / (1.0F + 0.3275911F * z);
    const float e = crn_expf(-z * z);
    float p = 1.061405429F;
    p = p * t - 1.453152027F;
    p = p * t + 1.421413741F;
    p = p * t - 0.284496736F;
    p = p * t + 0.254829592F;
    *out_exp = e;
    return 0.5F * p * t * e;
}

#endif
