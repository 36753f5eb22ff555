/* Sizes from outside, or products of them, go through here: false means it does not fit. */
#ifndef CRN_BASE_CHECKED_H
#define CRN_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool crn_add_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

static inline bool crn_mul_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline bool crn_mul_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

/* Rounds up to a multiple of @unit, a power of two. */
static inline bool crn_round_up_u64(uint64_t value, uint64_t unit, uint64_t *out)
{
    uint64_t sum = 0;
    if (!crn_add_u64(value, unit - 1, &sum))
        return false;
    *out = sum & ~(unit - 1);
    return true;
}

#endif
