#include "interop/widen.h"

#include <string.h>

static float from_bits(uint32_t bits)
{
    float value = 0.0F;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* IEEE 754 binary16, exactly. */
static float from_half(uint32_t half)
{
    const uint32_t sign = (half & 0x8000U) << 16;
    const uint32_t exponent = half >> 10 & 0x1fU;
    const uint32_t fraction = half & 0x3ffU;
    if (exponent == 0x1fU)
        return from_bits(sign | 0x7f800000U | fraction << 13);
    if (exponent > 0)
        return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
    const float small = (float)fraction * 0x1p-24F;
    return sign != 0 ? -small : small;
}

float crn_widen(const uint8_t *bytes, cairn_dtype dtype, uint64_t i)
{
    if (dtype == CAIRN_DTYPE_F32) {
        const uint8_t *const b = bytes + 4 * i;
        return from_bits((uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
                         (uint32_t)b[3] << 24);
    }
    const uint32_t word = (uint32_t)bytes[2 * i] | (uint32_t)bytes[2 * i + 1] << 8;
    return dtype == CAIRN_DTYPE_BF16 ? from_bits(word << 16) : from_half(word);
}

bool crn_can_widen(cairn_dtype dtype)
{
    return dtype == CAIRN_DTYPE_F32 || dtype == CAIRN_DTYPE_F16 || dtype == CAIRN_DTYPE_BF16;
}
