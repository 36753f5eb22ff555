#include "data/order.h"

#include "base/rng.h"

enum { ROUNDS = 8 };

/* Half of the smallest even number of bits that holds every number below @count. */
static unsigned half_bits(uint64_t count)
{
    unsigned half = 1;
    while (half < 31 && (UINT64_C(1) << 2 * half) < count)
        half++;
    return half;
}

static uint64_t feistel(uint64_t seed, uint64_t epoch, unsigned half, uint64_t value)
{
    const uint64_t mask = (UINT64_C(1) << half) - 1;
    uint64_t left = value >> half;
    uint64_t right = value & mask;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        uint32_t random[4];
        crn_philox(seed, CRN_STREAM_SHUFFLE, epoch, round << 32 | right, random);
        const uint64_t mixed = left ^ (random[0] & mask);
        left = right;
        right = mixed;
    }
    return left << half | right;
}

uint64_t crn_order_at(uint64_t seed, uint64_t epoch, uint64_t count, uint64_t place)
{
    const unsigned half = half_bits(count);
    uint64_t value = place;
    do
        value = feistel(seed, epoch, half, value);
    while (value >= count);
    return value;
}
