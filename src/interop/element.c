#include "interop/element.h"

#include <math.h>
#include <string.h>

enum {
    HALF_FRACTION_BITS = 10,
    FLOAT_FRACTION_BITS = 23,
    BIAS_BETWEEN = 127 - 15, /* of the exponents */
    HALF_INFINITE = 0x7c00,
    HALF_QUIET = 0x0200
};

static float from_bits(uint32_t bits)
{
    float value = 0.0F;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t to_bits(float value)
{
    uint32_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float from_half(uint32_t half)
{
    const uint32_t sign = (half & 0x8000U) << 16;
    const uint32_t exponent = half >> HALF_FRACTION_BITS & 0x1fU;
    const uint32_t fraction = half & 0x3ffU;
    if (exponent == 0x1fU)
        return from_bits(sign | 0x7f800000U | fraction << 13);
    if (exponent > 0)
        return from_bits(sign | (exponent + BIAS_BETWEEN) << FLOAT_FRACTION_BITS | fraction << 13);
    const float small = (float)fraction * 0x1p-24F;
    return sign != 0 ? -small : small;
}

/* @bits without the last @count, rounded. */
static uint32_t shorten(uint32_t bits, uint32_t count)
{
    const uint32_t odd = bits >> count & 1U;
    return (bits + (1U << (count - 1)) - 1 + odd) >> count;
}

static uint32_t to_half(float value)
{
    const uint32_t bits = to_bits(value);
    const uint32_t sign = bits >> 16 & 0x8000U;
    const uint32_t magnitude = bits & 0x7fffffffU;
    if (isnan(value))
        return sign | HALF_INFINITE | HALF_QUIET;
    if (magnitude >= to_bits(65520.0F)) /* Halfway from the largest to where the next would be. */
        return sign | HALF_INFINITE;
    if (magnitude < to_bits(0x1p-14F)) /* Counted in 2^-24, as what is small is there. */
        return sign | (uint32_t)nearbyintf(from_bits(magnitude) * 0x1p24F);
    return sign | shorten(magnitude - ((uint32_t)BIAS_BETWEEN << FLOAT_FRACTION_BITS), 13);
}

static uint32_t to_bf16(float value)
{
    enum { QUIET = 0x0040 };
    const uint32_t bits = to_bits(value);
    return isnan(value) ? bits >> 16 | QUIET : shorten(bits, 16);
}

float crn_element_get(const uint8_t *bytes, cairn_dtype dtype, uint64_t i)
{
    if (dtype == CAIRN_DTYPE_F32) {
        const uint8_t *const b = bytes + 4 * i;
        return from_bits((uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
                         (uint32_t)b[3] << 24);
    }
    const uint32_t word = (uint32_t)bytes[2 * i] | (uint32_t)bytes[2 * i + 1] << 8;
    return dtype == CAIRN_DTYPE_BF16 ? from_bits(word << 16) : from_half(word);
}

void crn_element_put(uint8_t *bytes, cairn_dtype dtype, uint64_t i, float value)
{
    const uint32_t width = cairn_dtype_bits(dtype) / 8;
    const uint32_t bits = dtype == CAIRN_DTYPE_F32    ? to_bits(value)
                          : dtype == CAIRN_DTYPE_BF16 ? to_bf16(value)
                                                      : to_half(value);
    for (uint32_t b = 0; b < width; b++)
        bytes[width * i + b] = (uint8_t)(bits >> (8 * b));
}
