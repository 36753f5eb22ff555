/* bfloat16 one number at a time, in a form that compilers turn into vector code. */
#ifndef CRN_KERNELS_CPU_BF16_H
#define CRN_KERNELS_CPU_BF16_H

#include <string.h>

#include "kernels/cpu/vecmath.h"
#include "kernels/kernels.h"

/* Adding half of the last place that stays, less one where that place is even, carries into it as
 * IEEE 754 rounds; the exponent of the largest numbers becomes infinity's. */
static inline crn_bf16 crn_bf16_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t rounded = (bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16;
    const uint32_t quiet = bits >> 16 | 0x40U; /* A NaN whose upper bits are 0 must stay one. */
    return (crn_bf16)((bits & 0x7FFFFFFFU) > 0x7F800000U ? quiet : rounded);
}

static inline float crn_float_of_bf16(crn_bf16 x)
{
    return crn_float_of_bits((uint32_t)x << 16);
}

#endif
