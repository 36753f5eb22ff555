#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "data/mixture.h"

enum { SETS_MAX = 5 };

static crn_mixture make(const uint64_t *samples, const double *weights, size_t count, bool spread)
{
    crn_mixture mixture;
    assert_int_equal(crn_mixture_make(samples, weights, count, spread, &mixture, NULL), CAIRN_OK);
    return mixture;
}

/* Goes through an epoch; every set must come in its order, without a gap. */
static void check_epoch(const uint64_t *samples, const double *weights, size_t count, bool spread)
{
    crn_mixture mixture = make(samples, weights, count, spread);
    const uint64_t places = mixture.begin[count];
    uint64_t seen[SETS_MAX] = {0};
    for (uint64_t place = 0; place < places; place++) {
        size_t set = SETS_MAX;
        uint64_t sample = 0;
        crn_mixture_at(&mixture, place, &set, &sample);
        assert_true(set < count);
        assert_int_equal(sample, seen[set] % samples[set]);
        seen[set]++;
        /* What has come of a set is its share of what has come of all, to within half the sets. */
        for (size_t i = 0; spread && i < count; i++) {
            const double share = (double)(mixture.begin[i + 1] - mixture.begin[i]) / (double)places;
            const double ahead = (double)seen[i] - (double)(place + 1) * share;
            assert_true(ahead <= (double)count / 2 + 1 && ahead >= -(double)count / 2 - 1);
        }
    }
    for (size_t i = 0; i < count; i++)
        assert_int_equal(seen[i], mixture.begin[i + 1] - mixture.begin[i]);
    crn_mixture_dispose(&mixture);
}

static void epoch__has_every_place_of_every_set_once(void **state)
{
    (void)state;
    static const struct {
        size_t count;
        uint64_t samples[SETS_MAX];
        double weights[SETS_MAX];
    } k_cases[] = {
        {1, {7}, {0.3}},
        {2, {10, 10}, {1.0, 1.0}}, /* every time belongs to both */
        {2, {9, 2}, {3.0, 1.0}},
        {3, {100, 7, 13}, {0.5, 0.3, 0.2}},
        {3, {4, 4, 4}, {1.0, 1e-9, 1.0}}, /* no place for the second */
        {5, {20, 30, 40, 50, 60}, {1.0, 2.0, 3.0, 4.0, 0.1}},
    };
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        check_epoch(k_cases[i].samples, k_cases[i].weights, k_cases[i].count, true);
        check_epoch(k_cases[i].samples, k_cases[i].weights, k_cases[i].count, false);
    }
}

static void epoch__shows_every_set_of_more_than_a_twentieth_whole(void **state)
{
    (void)state;
    const uint64_t samples[] = {90, 20, 1000};
    const double weights[] = {76.0, 20.0, 4.0};
    crn_mixture mixture = make(samples, weights, 3, true);
    /* 90 / 0.76 = 118.4 places; the third has too little weight to make it longer. */
    assert_int_equal(mixture.begin[1], 90);
    assert_int_equal(mixture.begin[2] - mixture.begin[1], 23);
    assert_int_equal(mixture.begin[3] - mixture.begin[2], 4);
    crn_mixture_dispose(&mixture);
}

static void place__is_found_in_an_epoch_of_any_size(void **state)
{
    (void)state;
    const uint64_t samples[] = {UINT64_C(1) << 40, UINT64_C(1) << 39, 12345};
    const double weights[] = {2.0, 1.0, 0.5};
    crn_mixture mixture = make(samples, weights, 3, true);
    uint64_t last[3] = {0};
    const uint64_t middle = mixture.begin[3] / 2;
    for (uint64_t place = middle; place < middle + 100; place++) {
        size_t set = SETS_MAX;
        uint64_t sample = 0;
        crn_mixture_at(&mixture, place, &set, &sample);
        assert_true(set < 3);
        assert_true(last[set] == 0 || sample == (last[set] + 1) % samples[set]);
        last[set] = sample;
    }
    crn_mixture_dispose(&mixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epoch__has_every_place_of_every_set_once),
        cmocka_unit_test(epoch__shows_every_set_of_more_than_a_twentieth_whole),
        cmocka_unit_test(place__is_found_in_an_epoch_of_any_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
