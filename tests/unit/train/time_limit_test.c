/* loop.max_time: what is read, what is kept free. */
#include <string.h>

#include "kit/kit.h"
#include "train/time_limit.h"

static const int64_t k_second = INT64_C(1000000000);

static void durations(void **state)
{
    (void)state;
    const struct {
        const char *text;
        double seconds;
    } rows[] = {
        {"1h30m", 5400}, {"90m", 5400},          {"45s", 45},
        {"2d", 172800},  {"1.5h", 5400},         {"5400", 5400},
        {"0.25", 0.25},  {"1d2h3m4s", 93784},    {"1:30:00", 5400},
        {"30:00", 1800}, {"1-12:00:00", 129600}, {"0:00:01", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t ns = 0;
        if (!crn_duration_parse(rows[i].text, &ns))
            fail_msg("%s", rows[i].text);
        assert_int_equal(ns, (int64_t)(rows[i].seconds * (double)k_second));
    }
}

static void what_is_no_duration(void **state)
{
    (void)state;
    static const char *const k_wrong[] = {
        "",      "0",    "-5",  "1h30",  "30m1h", "h",          "1x", "1:2:3:4",
        "1-2:3", "1-12", "nan", "1e999", "1m1m",  ":",          "1:", "2-:00:00",
        "1 h",   "1h ",  "inf", "0s",    "1..5h", "10000000000"};
    for (size_t i = 0; i < sizeof k_wrong / sizeof k_wrong[0]; i++) {
        int64_t ns = 7;
        if (crn_duration_parse(k_wrong[i], &ns))
            fail_msg("'%s' was read as %lld ns", k_wrong[i], (long long)ns);
        assert_int_equal(ns, 7);
    }
}

static void the_margin__is_longest_recent_step_save_and_a_minimum(void **state)
{
    crn_time_limit limit = {0};
    (void)state;
    crn_time_limit_set(&limit, 0, 100 * k_second);
    assert_int_equal(crn_time_limit_margin_ns(&limit, false), 3 * k_second); /* 1 s and 2 % */
    crn_time_limit_note_step(&limit, 5 * k_second);
    crn_time_limit_note_step(&limit, 2 * k_second);
    crn_time_limit_note_save(&limit, 4 * k_second);
    assert_int_equal(crn_time_limit_margin_ns(&limit, false), (3 + 5 + 4) * k_second);
    assert_int_equal(crn_time_limit_margin_ns(&limit, true), (3 + 5 + 8) * k_second);
    for (int i = 0; i < CRN_RECENT_STEPS - 1; i++)
        crn_time_limit_note_step(&limit, k_second);
    assert_int_equal(crn_time_limit_margin_ns(&limit, false), (3 + 2 + 4) * k_second);
    crn_time_limit_note_step(&limit, k_second); /* now the 2 s are forgotten too */
    assert_int_equal(crn_time_limit_margin_ns(&limit, false), (3 + 1 + 4) * k_second);
}

static void the_minimum__is_at_most_a_minute(void **state)
{
    crn_time_limit limit = {0};
    (void)state;
    crn_time_limit_set(&limit, 0, 86400 * k_second);
    assert_int_equal(crn_time_limit_margin_ns(&limit, false), 60 * k_second);
}

static void the_time_is_over__when_the_margin_begins(void **state)
{
    crn_time_limit limit = {0};
    (void)state;
    assert_false(crn_time_limit_is_over(&limit, INT64_MAX / 2, false)); /* no limit */
    crn_time_limit_set(&limit, 50 * k_second, 100 * k_second);
    assert_false(crn_time_limit_is_over(&limit, 147 * k_second - 1, false));
    assert_true(crn_time_limit_is_over(&limit, 147 * k_second, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations),
        cmocka_unit_test(what_is_no_duration),
        cmocka_unit_test(the_margin__is_longest_recent_step_save_and_a_minimum),
        cmocka_unit_test(the_minimum__is_at_most_a_minute),
        cmocka_unit_test(the_time_is_over__when_the_margin_begins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
