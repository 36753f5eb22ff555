#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "data/order.h"

static void order__is_a_permutation_for_every_count(void **state)
{
    (void)state;
    for (uint64_t count = 1; count <= 300; count++) {
        uint8_t seen[300] = {0};
        for (uint64_t place = 0; place < count; place++) {
            const uint64_t sample = crn_order_at(11, 5, count, place);
            assert_true(sample < count);
            assert_int_equal(seen[sample], 0);
            seen[sample] = 1;
        }
    }
}

static void order__is_a_permutation_of_a_million(void **state)
{
    (void)state;
    const uint64_t count = 1000003;
    uint8_t *const seen = crn_calloc(count, 1);
    assert_non_null(seen);
    for (uint64_t place = 0; place < count; place++) {
        const uint64_t sample = crn_order_at(1, 0, count, place);
        assert_true(sample < count);
        assert_int_equal(seen[sample], 0);
        seen[sample] = 1;
    }
    crn_free(seen);
}

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a;
    const uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void order__stays_inside_and_repeats_nothing_at_two_to_the_forty(void **state)
{
    (void)state;
    enum { SAMPLED = 20000 };
    static uint64_t samples[SAMPLED];
    const uint64_t counts[] = {UINT64_C(1) << 40, (UINT64_C(1) << 40) - 12345,
                               (UINT64_C(1) << 38) + 1};
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        for (uint64_t i = 0; i < SAMPLED; i++) {
            samples[i] = crn_order_at(3, 9, counts[c], i * (counts[c] / SAMPLED));
            assert_true(samples[i] < counts[c]);
        }
        qsort(samples, SAMPLED, sizeof samples[0], compare);
        for (size_t i = 1; i < SAMPLED; i++)
            assert_true(samples[i - 1] != samples[i]);
    }
}

static uint64_t equal_places(uint64_t seed_a, uint64_t epoch_a, uint64_t seed_b, uint64_t epoch_b)
{
    const uint64_t count = 1000;
    uint64_t equal = 0;
    for (uint64_t place = 0; place < count; place++)
        equal += crn_order_at(seed_a, epoch_a, count, place) ==
                 crn_order_at(seed_b, epoch_b, count, place);
    return equal;
}

/* Two random permutations share one place on average; ten is out of the question. */
static void order__differs_between_epochs_and_seeds(void **state)
{
    (void)state;
    assert_true(equal_places(1, 0, 1, 1) < 10);
    assert_true(equal_places(1, 7, 1, 8) < 10);
    assert_true(equal_places(1, 0, 2, 0) < 10);
    assert_int_equal(equal_places(1, 0, 1, 0), 1000);
}

/* Chi-squared of (place, sample) over all epochs. */
static void order__puts_each_sample_at_each_place_about_equally_often(void **state)
{
    (void)state;
    enum { COUNT = 10, EPOCHS = 20000 };
    unsigned hits[COUNT][COUNT] = {{0}};
    double chi_squared = 0.0;
    const double expected = (double)EPOCHS / COUNT;
    for (uint64_t epoch = 0; epoch < EPOCHS; epoch++)
        for (uint64_t place = 0; place < COUNT; place++)
            hits[place][crn_order_at(5, epoch, COUNT, place)]++;
    for (int i = 0; i < COUNT; i++) {
        for (int j = 0; j < COUNT; j++) {
            const double off = (double)hits[i][j] - expected;
            chi_squared += off * off / expected;
        }
    }
    /* 81 degrees of freedom: mean 81, deviation 12.7; this is five deviations above. */
    assert_true(chi_squared < 81.0 + 5.0 * 12.7);
}

static void order__of_neighbours_is_not_neighbours(void **state)
{
    (void)state;
    const uint64_t count = 10000;
    uint64_t near = 0;
    for (uint64_t place = 0; place + 1 < count; place++) {
        const uint64_t a = crn_order_at(1, 0, count, place);
        const uint64_t b = crn_order_at(1, 0, count, place + 1);
        near += a + 1 == b || b + 1 == a;
    }
    assert_true(near < 15);
}

/* A resumed run relies on these numbers: if this fails, the order broke, not the test. */
static void order__is_the_same_in_every_version(void **state)
{
    (void)state;
    static const uint64_t k_epochs[2][12] = {{10, 6, 1, 11, 9, 4, 2, 3, 0, 7, 5, 8},
                                             {8, 2, 10, 4, 1, 11, 5, 7, 6, 3, 0, 9}};
    static const uint64_t k_large[] = {646422702, 668327079, 219040462, 90922012};
    static const uint64_t k_huge[] = {UINT64_C(308468515922), UINT64_C(476043987065),
                                      UINT64_C(809807728520)};
    for (uint64_t epoch = 0; epoch < 2; epoch++)
        for (uint64_t place = 0; place < 12; place++)
            assert_int_equal(crn_order_at(42, epoch, 12, place), k_epochs[epoch][place]);
    for (uint64_t i = 0; i < 4; i++)
        assert_int_equal(crn_order_at(7, 3, 1000000007, i * 1000), k_large[i]);
    for (uint64_t i = 0; i < 3; i++)
        assert_int_equal(crn_order_at(7, 3, UINT64_C(1) << 40, i * 1000), k_huge[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order__is_a_permutation_for_every_count),
        cmocka_unit_test(order__is_a_permutation_of_a_million),
        cmocka_unit_test(order__stays_inside_and_repeats_nothing_at_two_to_the_forty),
        cmocka_unit_test(order__differs_between_epochs_and_seeds),
        cmocka_unit_test(order__puts_each_sample_at_each_place_about_equally_often),
        cmocka_unit_test(order__of_neighbours_is_not_neighbours),
        cmocka_unit_test(order__is_the_same_in_every_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
