#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cairn/optim.h"

static cairn_scheduler *constant(double rate, cairn_opt_int total_iters)
{
    cairn_scheduler *scheduler = NULL;
    const cairn_constant_lr_options options = {.learning_rate = rate, .total_iters = total_iters};
    assert_int_equal(cairn_constant_lr_new(&options, &scheduler, NULL), CAIRN_OK);
    return scheduler;
}

static cairn_scheduler *linear(double initial, double end, int64_t total_iters, bool cycle)
{
    cairn_scheduler *scheduler = NULL;
    const cairn_linear_lr_options options = {.initial_learning_rate = initial,
                                             .end_learning_rate = end,
                                             .total_iters = total_iters,
                                             .cycle = cycle};
    assert_int_equal(cairn_linear_lr_new(&options, &scheduler, NULL), CAIRN_OK);
    return scheduler;
}

static cairn_scheduler *cosine(double initial, double end, int64_t total_iters)
{
    cairn_scheduler *scheduler = NULL;
    const cairn_cosine_decay_lr_options options = {
        .initial_learning_rate = initial, .end_learning_rate = end, .total_iters = total_iters};
    assert_int_equal(cairn_cosine_decay_lr_new(&options, &scheduler, NULL), CAIRN_OK);
    return scheduler;
}

static cairn_scheduler *sequence(cairn_scheduler **children, size_t count)
{
    cairn_scheduler *scheduler = NULL;
    assert_int_equal(cairn_sequential_lr_new(children, count, NULL, 0, &scheduler, NULL), CAIRN_OK);
    return scheduler;
}

static void assert_near(double actual, double expected, double tolerance)
{
    if (!(fabs(actual - expected) <= tolerance))
        fail_msg("%.17g is not %.17g within %g", actual, expected, tolerance);
}

/* The vector of the Model Zoo reference, section 2.4, to the digits printed there. */
static void sequential__gives_the_reference_vector(void **state)
{
    (void)state;
    static const double k_expected[] = {0,          1.5e-4,     3e-4,       4.5e-4, 6e-4,
                                        5.79447e-4, 5.20919e-4, 4.33325e-4, 3.3e-4, 2.26675e-4,
                                        1.39081e-4, 8.05525e-5, 6e-5,       6e-5};
    cairn_scheduler *children[] = {linear(0.0, 6e-4, 4, false), cosine(6e-4, 6e-5, 8)};
    cairn_scheduler *const scheduler = sequence(children, 2);
    for (uint64_t t = 0; t < sizeof k_expected / sizeof k_expected[0]; t++)
        assert_near(cairn_scheduler_value(scheduler, t), k_expected[t], 5e-10);
    assert_near(cairn_scheduler_value(scheduler, 11), 8.05525e-5, 5e-11);
    cairn_scheduler_destroy(scheduler);
}

static void linear__goes_straight_and_holds_its_end(void **state)
{
    (void)state;
    cairn_scheduler *const scheduler = linear(0.01, 0.001, 500, false);
    assert_near(cairn_scheduler_value(scheduler, 0), 0.01, 1e-17);
    assert_near(cairn_scheduler_value(scheduler, 125), 0.00775, 1e-17);
    assert_near(cairn_scheduler_value(scheduler, 499), 0.001018, 1e-17);
    assert_true(cairn_scheduler_value(scheduler, 500) == 0.001);
    assert_true(cairn_scheduler_value(scheduler, UINT64_MAX) == 0.001);
    assert_string_equal(cairn_scheduler_name(scheduler), "LinearLR");
    cairn_scheduler_destroy(scheduler);
}

/* T ceil((t + 1) / T) is T for t < T, and the end value stands from T on. */
static void linear__is_the_same_with_cycle(void **state)
{
    (void)state;
    cairn_scheduler *const plain = linear(0.5, 0.1, 7, false);
    cairn_scheduler *const cycle = linear(0.5, 0.1, 7, true);
    for (uint64_t t = 0; t < 30; t++)
        assert_true(cairn_scheduler_value(plain, t) == cairn_scheduler_value(cycle, t));
    assert_near(cairn_scheduler_value(cycle, 6), 0.5 - 6 * 0.4 / 7, 1e-16);
    assert_true(cairn_scheduler_value(cycle, 7) == 0.1);
    cairn_scheduler_destroy(plain);
    cairn_scheduler_destroy(cycle);
}

/* cos(pi / 3) = 1/2, cos(pi / 2) = 0, cos(2 pi / 3) = -1/2. */
static void cosine__decays_and_holds_its_end(void **state)
{
    (void)state;
    cairn_scheduler *const scheduler = cosine(1.0, 0.2, 12);
    assert_near(cairn_scheduler_value(scheduler, 0), 1.0, 1e-15);
    assert_near(cairn_scheduler_value(scheduler, 4), 0.8, 1e-15);
    assert_near(cairn_scheduler_value(scheduler, 6), 0.6, 1e-15);
    assert_near(cairn_scheduler_value(scheduler, 8), 0.4, 1e-15);
    assert_true(cairn_scheduler_value(scheduler, 12) == 0.2);
    assert_true(cairn_scheduler_value(scheduler, 1000) == 0.2);
    assert_string_equal(cairn_scheduler_name(scheduler), "CosineDecayLR");
    cairn_scheduler_destroy(scheduler);
}

static void cosine__warms_up_when_the_end_is_higher(void **state)
{
    (void)state;
    cairn_scheduler *const scheduler = cosine(0.0, 1.0, 2);
    assert_near(cairn_scheduler_value(scheduler, 0), 0.0, 1e-15);
    assert_near(cairn_scheduler_value(scheduler, 1), 0.5, 1e-15);
    assert_true(cairn_scheduler_value(scheduler, 2) == 1.0);
    cairn_scheduler_destroy(scheduler);
}

static void constant__never_changes(void **state)
{
    (void)state;
    uint64_t total = 99;
    cairn_scheduler *const endless = constant(3e-4, (cairn_opt_int){0});
    cairn_scheduler *const limited = constant(3e-4, cairn_int(5));
    for (uint64_t t = 0; t < 10; t++) {
        assert_true(cairn_scheduler_value(endless, t) == 3e-4);
        assert_true(cairn_scheduler_value(limited, t) == 3e-4);
    }
    assert_false(cairn_scheduler_total_iters(endless, &total));
    assert_int_equal(total, 99);
    assert_true(cairn_scheduler_total_iters(limited, &total));
    assert_int_equal(total, 5);
    cairn_scheduler_destroy(endless);
    cairn_scheduler_destroy(limited);
}

static void sequential__nests(void **state)
{
    (void)state;
    uint64_t total = 0;
    cairn_scheduler *inner[] = {constant(0.1, cairn_int(2)), linear(0.2, 0.6, 4, false)};
    cairn_scheduler *outer[] = {linear(0.0, 1.0, 2, false), sequence(inner, 2),
                                constant(0.9, (cairn_opt_int){0})};
    static const double k_expected[] = {0.0, 0.5, 0.1, 0.1, 0.2, 0.3, 0.4, 0.5, 0.9, 0.9};
    cairn_scheduler *const scheduler = sequence(outer, 3);
    for (uint64_t t = 0; t < sizeof k_expected / sizeof k_expected[0]; t++)
        assert_near(cairn_scheduler_value(scheduler, t), k_expected[t], 1e-15);
    assert_false(cairn_scheduler_total_iters(scheduler, &total));
    assert_string_equal(cairn_scheduler_name(scheduler), "SequentialLR");
    cairn_scheduler_destroy(scheduler);
}

static void sequential__length_is_the_sum_of_its_parts(void **state)
{
    (void)state;
    uint64_t total = 0;
    cairn_scheduler *children[] = {linear(0.0, 1.0, 1525, false), linear(1.0, 0.0, 7512, false)};
    cairn_scheduler *const scheduler = sequence(children, 2);
    assert_true(cairn_scheduler_total_iters(scheduler, &total));
    assert_int_equal(total, 9037);
    cairn_scheduler_destroy(scheduler);
}

static void sequential__accepts_milestones_that_equal_the_lengths(void **state)
{
    (void)state;
    const uint64_t milestones[] = {4, 10};
    cairn_scheduler *scheduler = NULL;
    cairn_scheduler *children[] = {linear(0, 1, 4, false), linear(1, 2, 6, false),
                                   linear(2, 3, 5, false)};
    assert_int_equal(cairn_sequential_lr_new(children, 3, milestones, 2, &scheduler, NULL),
                     CAIRN_OK);
    assert_near(cairn_scheduler_value(scheduler, 10), 2.0, 1e-15);
    cairn_scheduler_destroy(scheduler);
}

static void sequential__refuses_milestones_that_do_not_fit(void **state)
{
    (void)state;
    static const struct {
        uint64_t milestones[3];
        size_t count;
    } k_cases[] = {{{5}, 1}, {{4, 8}, 2}, {{0}, 0}};
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        cairn_error err = {0};
        cairn_scheduler *scheduler = NULL;
        cairn_scheduler *children[] = {linear(0, 1, 4, false), linear(1, 2, 6, false)};
        assert_int_equal(cairn_sequential_lr_new(children, 2, k_cases[i].milestones,
                                                 k_cases[i].count, &scheduler, &err),
                         CAIRN_ECONFIG);
        assert_non_null(strstr(err.frame[0].text, "milestone"));
        assert_null(scheduler);
    }
}

static void sequential__refuses_a_child_without_end_before_another(void **state)
{
    (void)state;
    cairn_error err = {0};
    cairn_scheduler *scheduler = NULL;
    cairn_scheduler *children[] = {constant(1.0, (cairn_opt_int){0}), linear(1, 2, 6, false)};
    assert_int_equal(cairn_sequential_lr_new(children, 2, NULL, 0, &scheduler, &err),
                     CAIRN_ECONFIG);
    assert_non_null(strstr(err.frame[0].text, "scheduler 1 (ConstantLR) needs total_iters"));
    assert_int_equal(cairn_sequential_lr_new(NULL, 0, NULL, 0, &scheduler, &err), CAIRN_ECONFIG);
}

static void sequential__refuses_lengths_that_overflow(void **state)
{
    (void)state;
    cairn_scheduler *scheduler = NULL;
    cairn_scheduler *children[] = {constant(1.0, cairn_int(INT64_MAX)),
                                   constant(1.0, cairn_int(INT64_MAX)),
                                   constant(1.0, cairn_int(INT64_MAX))};
    assert_int_equal(cairn_sequential_lr_new(children, 3, NULL, 0, &scheduler, NULL),
                     CAIRN_ECONFIG);
}

/* The children are released by the failing call; the sanitizers see it if they are not. */
static void sequential__fails_cleanly_at_every_allocation(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 2; n++) {
        cairn_scheduler *scheduler = NULL;
        cairn_scheduler *children[] = {linear(0, 1, 4, false), linear(1, 2, 6, false)};
        crn_mem_fail_at(n, 0);
        assert_int_equal(cairn_sequential_lr_new(children, 2, NULL, 0, &scheduler, NULL),
                         CAIRN_ENOMEM);
        crn_mem_fail_at(0, 0);
    }
}

static void new__refuses_values_outside_their_range(void **state)
{
    (void)state;
    cairn_scheduler *scheduler = NULL;
    cairn_linear_lr_options line = {.initial_learning_rate = -0.1, .total_iters = 1};
    assert_int_equal(cairn_linear_lr_new(&line, &scheduler, NULL), CAIRN_ECONFIG);
    line = (cairn_linear_lr_options){.end_learning_rate = (double)NAN, .total_iters = 1};
    assert_int_equal(cairn_linear_lr_new(&line, &scheduler, NULL), CAIRN_ECONFIG);
    line = (cairn_linear_lr_options){.total_iters = 0};
    assert_int_equal(cairn_linear_lr_new(&line, &scheduler, NULL), CAIRN_ECONFIG);
    const cairn_cosine_decay_lr_options cosine_options = {.total_iters = -1};
    assert_int_equal(cairn_cosine_decay_lr_new(&cosine_options, &scheduler, NULL), CAIRN_ECONFIG);
    const cairn_constant_lr_options constant_options = {.total_iters = cairn_int(0)};
    assert_int_equal(cairn_constant_lr_new(&constant_options, &scheduler, NULL), CAIRN_ECONFIG);
    assert_null(scheduler);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequential__gives_the_reference_vector),
        cmocka_unit_test(linear__goes_straight_and_holds_its_end),
        cmocka_unit_test(linear__is_the_same_with_cycle),
        cmocka_unit_test(cosine__decays_and_holds_its_end),
        cmocka_unit_test(cosine__warms_up_when_the_end_is_higher),
        cmocka_unit_test(constant__never_changes),
        cmocka_unit_test(sequential__nests),
        cmocka_unit_test(sequential__length_is_the_sum_of_its_parts),
        cmocka_unit_test(sequential__accepts_milestones_that_equal_the_lengths),
        cmocka_unit_test(sequential__refuses_milestones_that_do_not_fit),
        cmocka_unit_test(sequential__refuses_a_child_without_end_before_another),
        cmocka_unit_test(sequential__refuses_lengths_that_overflow),
        cmocka_unit_test(sequential__fails_cleanly_at_every_allocation),
        cmocka_unit_test(new__refuses_values_outside_their_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
