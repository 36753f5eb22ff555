#include "kit/kit.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"

static void philox_block__gives_the_published_vectors(void **state)
{
    (void)state;
    /* philox4x32 with 10 rounds, kat_vectors of the Random123 distribution. */
    static const struct {
        uint32_t counter[4];
        uint32_t key[2];
        uint32_t expected[4];
    } k_vectors[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof k_vectors / sizeof k_vectors[0]; i++) {
        uint32_t out[4];
        crn_philox_block(k_vectors[i].counter, k_vectors[i].key, out);
        assert_memory_equal(out, k_vectors[i].expected, sizeof out);
    }
}

static void philox__is_a_function_of_its_four_arguments(void **state)
{
    (void)state;
    static const uint64_t k_high = UINT64_C(1) << 32;
    uint32_t base[4];
    uint32_t out[4];
    crn_philox(1, CRN_STREAM_INIT, 2, 3, base);
    crn_philox(1, CRN_STREAM_INIT, 2, 3, out);
    assert_memory_equal(out, base, sizeof out);
    const struct {
        uint64_t seed;
        uint32_t stream;
        uint64_t step;
        uint64_t index;
    } others[] = {
        {2, CRN_STREAM_INIT, 2, 3},    {1 + k_high, CRN_STREAM_INIT, 2, 3},
        {1, CRN_STREAM_DROPOUT, 2, 3}, {1, CRN_STREAM_INIT | 1 << 8, 2, 3},
        {1, CRN_STREAM_INIT, 3, 3},    {1, CRN_STREAM_INIT, 2 + k_high, 3},
        {1, CRN_STREAM_INIT, 2, 4},    {1, CRN_STREAM_INIT, 2, 3 + k_high},
        {1, CRN_STREAM_INIT, 3, 2},    {2, CRN_STREAM_INIT, 1, 3},
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        crn_philox(others[i].seed, others[i].stream, others[i].step, others[i].index, out);
        assert_memory_not_equal(out, base, sizeof out);
    }
}

static void philox__never_changes_between_versions(void **state)
{
    (void)state;
    /*
     * Our own arrangement of seed, stream, step and index: a run that goes on after an update of
     * the program depends on it. Worked out by a second implementation in Python.
     */
    static const uint32_t k_expected[4] = {0xc7c26f1f, 0x1affbd99, 0xd122d749, 0xbec9c785};
    uint32_t out[4];
    crn_philox(0x0123456789abcdef, CRN_STREAM_SHUFFLE, 42, 7, out);
    assert_memory_equal(out, k_expected, sizeof out);
}

static void uniform_f32__covers_zero_to_just_below_one(void **state)
{
    (void)state;
    assert_true(crn_uniform_f32(0) == 0.0f);
    assert_true(crn_uniform_f32(UINT32_MAX) == 1.0f - 0x1p-24f);
    assert_true(crn_uniform_f32(0x80000000u) == 0.5f);
}

static void uniform_f64__is_never_zero_or_one(void **state)
{
    (void)state;
    assert_true(crn_uniform_f64(0, 0) == 0x1p-53);
    assert_true(crn_uniform_f64(UINT32_MAX, UINT32_MAX) == 1.0 - 0x1p-53);
}

static void philox__has_the_moments_of_a_uniform_variable(void **state)
{
    (void)state;
    enum { BLOCKS = 50000 };
    double sum = 0.0;
    double squares = 0.0;
    for (uint64_t i = 0; i < BLOCKS; i++) {
        uint32_t out[4];
        crn_philox(11, CRN_STREAM_DROPOUT, 1, i, out);
        for (int j = 0; j < 4; j++) {
            const double u = (double)crn_uniform_f32(out[j]);
            sum += u;
            squares += u * u;
        }
    }
    const double n = 4.0 * BLOCKS;
    const double mean = sum / n;
    const double variance = squares / n - mean * mean;
    /* Five standard errors: sqrt(1/12/n) for the mean, sqrt(1/180/n) for the variance. */
    assert_true(fabs(mean - 0.5) < 5.0 * sqrt(1.0 / 12.0 / n));
    assert_true(fabs(variance - 1.0 / 12.0) < 5.0 * sqrt(1.0 / 180.0 / n));
}

static void philox_fill__gives_the_same_blocks_at_any_place_and_length(void **state)
{
    (void)state;
    enum { BLOCKS_MAX = 21 };
    static const uint64_t firsts[] = {0, 5, UINT32_MAX - 3, UINT64_MAX - 3};
    for (size_t f = 0; f < sizeof firsts / sizeof firsts[0]; f++) {
        for (uint64_t blocks = 0; blocks <= BLOCKS_MAX; blocks++) {
            uint32_t all[4 * BLOCKS_MAX + 1];
            uint32_t one[4];
            all[4 * blocks] = 4711;
            crn_philox_fill(3, CRN_STREAM_DROPOUT, 9, firsts[f], blocks, all);
            for (uint64_t i = 0; i < blocks; i++) {
                crn_philox(3, CRN_STREAM_DROPOUT, 9, firsts[f] + i, one);
                assert_memory_equal(all + 4 * i, one, sizeof one);
            }
            assert_int_equal(all[4 * blocks], 4711);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_block__gives_the_published_vectors),
        cmocka_unit_test(philox__is_a_function_of_its_four_arguments),
        cmocka_unit_test(philox__never_changes_between_versions),
        cmocka_unit_test(philox_fill__gives_the_same_blocks_at_any_place_and_length),
        cmocka_unit_test(uniform_f32__covers_zero_to_just_below_one),
        cmocka_unit_test(uniform_f64__is_never_zero_or_one),
        cmocka_unit_test(philox__has_the_moments_of_a_uniform_variable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
