/*
 * Counter-based random numbers: a number is a pure function of (seed, stream, step, index), so
 * nothing has to be saved, and evaluation cannot disturb training.
 *
 * Philox4x32-10 of J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers:
 * as easy as 1, 2, 3", SC 2011.
 */
#ifndef CRN_BASE_RNG_H
#define CRN_BASE_RNG_H

#include <stdint.h>

/* Who draws. Two users with one seed never share numbers. */
typedef enum crn_stream {
    CRN_STREAM_INIT = 1,    /* initial weights; step = the tensor's number */
    CRN_STREAM_DROPOUT = 2, /* + the number of the dropout op in bits 8 and up */
    CRN_STREAM_SHUFFLE = 3, /* step = epoch */
    CRN_STREAM_SAMPLE = 4   /* generated text; step = position */
} crn_stream;

/* The block of four words number @index of (@seed, @stream, @step). */
void crn_philox(uint64_t seed, uint32_t stream, uint64_t step, uint64_t index, uint32_t out[4]);

/* Blocks @first to @first + @blocks - 1 of the same, one after the other, @out[4 * blocks]: faster
 * than one at a time. */
void crn_philox_fill(uint64_t seed, uint32_t stream, uint64_t step, uint64_t first, uint64_t blocks,
                     uint32_t *out);

/* The bare generator, for test vectors: counter and key as in the paper. */
void crn_philox_block(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* 32 random bits to [0, 1) with 24 bits, exactly representable as float. */
static inline float crn_uniform_f32(uint32_t bits)
{
    return (float)(bits >> 8) * 0x1p-24f;
}

/* 64 random bits to (0, 1), never 0 or 1. */
static inline double crn_uniform_f64(uint32_t high, uint32_t low)
{
    const uint64_t bits = ((uint64_t)high << 32 | low) >> 12;
    return ((double)bits + 0.5) * 0x1p-52;
}

#endif
