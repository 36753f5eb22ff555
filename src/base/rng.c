#include "base/rng.h"

enum { PHILOX_ROUNDS = 10, LANES = 8 };

/* Multipliers and Weyl constants of the paper's table 2. */
static const uint32_t k_m0 = 0xD2511F53u;
static const uint32_t k_m1 = 0xCD9E8D57u;
static const uint32_t k_w0 = 0x9E3779B9u;
static const uint32_t k_w1 = 0xBB67AE85u;

void crn_philox_block(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0];
    uint32_t c1 = counter[1];
    uint32_t c2 = counter[2];
    uint32_t c3 = counter[3];
    uint32_t k0 = key[0];
    uint32_t k1 = key[1];
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        const uint64_t p0 = (uint64_t)k_m0 * c0;
        const uint64_t p1 = (uint64_t)k_m1 * c2;
        const uint32_t next0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        const uint32_t next2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = next0;
        c2 = next2;
        k0 += k_w0;
        k1 += k_w1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/*
 * 256 bits of (seed, stream, step, index) must fit 192 bits of counter and key: the stream goes
 * through one block of its own to become the key, the step and index are the counter.
 */
static void make_key(uint64_t seed, uint32_t stream, uint32_t out[4])
{
    const uint32_t counter[4] = {(uint32_t)seed, (uint32_t)(seed >> 32), stream, 0};
    const uint32_t no_key[2] = {0, 0};
    crn_philox_block(counter, no_key, out);
}

void crn_philox(uint64_t seed, uint32_t stream, uint64_t step, uint64_t index, uint32_t out[4])
{
    uint32_t key[4];
    const uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), (uint32_t)step,
                                 (uint32_t)(step >> 32)};
    make_key(seed, stream, key);
    crn_philox_block(counter, key, out);
}

/* One round of LANES blocks side by side: loops over lanes become vector code. */
static void lanes_round(uint32_t c[4][LANES], uint32_t k0, uint32_t k1)
{
#pragma omp simd
    for (int i = 0; i < LANES; i++) {
        const uint64_t p0 = (uint64_t)k_m0 * c[0][i];
        const uint64_t p1 = (uint64_t)k_m1 * c[2][i];
        c[0][i] = (uint32_t)(p1 >> 32) ^ c[1][i] ^ k0;
        c[2][i] = (uint32_t)(p0 >> 32) ^ c[3][i] ^ k1;
        c[1][i] = (uint32_t)p1;
        c[3][i] = (uint32_t)p0;
    }
}

void crn_philox_fill(uint64_t seed, uint32_t stream, uint64_t step, uint64_t first, uint64_t blocks,
                     uint32_t *out)
{
    uint32_t key[4];
    uint32_t c[4][LANES];
    make_key(seed, stream, key);
    for (uint64_t done = 0; done < blocks; done += LANES) {
        const uint64_t count = blocks - done < LANES ? blocks - done : LANES;
        for (uint64_t i = 0; i < LANES; i++) {
            c[0][i] = (uint32_t)(first + done + i);
            c[1][i] = (uint32_t)((first + done + i) >> 32);
            c[2][i] = (uint32_t)step;
            c[3][i] = (uint32_t)(step >> 32);
        }
        for (uint32_t round = 0; round < PHILOX_ROUNDS; round++)
            lanes_round(c, key[0] + round * k_w0, key[1] + round * k_w1);
        for (uint64_t i = 0; i < 4 * count; i++)
            out[4 * done + i] = c[i % 4][i / 4];
    }
}
