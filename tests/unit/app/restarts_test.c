#include "kit/kit.h"

#include <signal.h>
#include <string.h>

#include "app/restarts.h"

static crn_child_end exited(int code)
{
    return (crn_child_end){.number = code};
}

static crn_child_end killed(int number)
{
    return (crn_child_end){.is_signal = true, .number = number};
}

static crn_restart_verdict verdict_of(crn_child_end end, bool has_result)
{
    crn_restarts restarts = {.max = 3};
    const char *why = NULL;
    const crn_restart_verdict verdict =
        crn_restarts_decide(&restarts, &end, has_result, false, &why);
    assert_non_null(why);
    assert_int_equal(why[0] != '\0', verdict == CRN_RESTART_FINAL);
    assert_int_equal(restarts.failures, verdict == CRN_RESTART_AGAIN);
    return verdict;
}

static void decide__goes_by_the_exit_code(void **state)
{
    (void)state;
    static const struct {
        int code;
        crn_restart_verdict verdict;
    } k_codes[] = {
        {0, CRN_RESTART_DONE},    {1, CRN_RESTART_AGAIN},  {2, CRN_RESTART_FINAL},
        {3, CRN_RESTART_FINAL},   {4, CRN_RESTART_FINAL},  {5, CRN_RESTART_AGAIN},
        {6, CRN_RESTART_FINAL},   {7, CRN_RESTART_AGAIN},  {8, CRN_RESTART_FINAL},
        {75, CRN_RESTART_DONE},   {99, CRN_RESTART_AGAIN}, {127, CRN_RESTART_FINAL},
        {130, CRN_RESTART_FINAL},
    };
    for (size_t i = 0; i < sizeof k_codes / sizeof k_codes[0]; i++)
        assert_int_equal(verdict_of(exited(k_codes[i].code), true), k_codes[i].verdict);
}

static void decide__takes_a_silent_success_for_a_crash(void **state)
{
    (void)state;
    assert_int_equal(verdict_of(exited(0), false), CRN_RESTART_AGAIN);
    assert_int_equal(verdict_of(exited(75), false), CRN_RESTART_AGAIN);
}

static void decide__tells_a_crash_from_a_wish_by_the_signal(void **state)
{
    (void)state;
    static const int k_crashes[] = {SIGKILL, SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGXCPU};
    static const int k_wishes[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
    for (size_t i = 0; i < sizeof k_crashes / sizeof k_crashes[0]; i++)
        assert_int_equal(verdict_of(killed(k_crashes[i]), false), CRN_RESTART_AGAIN);
    for (size_t i = 0; i < sizeof k_wishes / sizeof k_wishes[0]; i++)
        assert_int_equal(verdict_of(killed(k_wishes[i]), false), CRN_RESTART_FINAL);
}

static void decide__never_starts_again_what_was_asked_to_stop(void **state)
{
    (void)state;
    crn_child_end end = killed(SIGKILL);
    end.was_asked_to_stop = true;
    assert_int_equal(verdict_of(end, false), CRN_RESTART_FINAL);
    end = exited(5);
    end.was_asked_to_stop = true;
    assert_int_equal(verdict_of(end, true), CRN_RESTART_FINAL);
    end = exited(75);
    end.was_asked_to_stop = true;
    assert_int_equal(verdict_of(end, true), CRN_RESTART_DONE);
}

/* Feeds crashes ('.': without, '+': with a new checkpoint); returns the counts as digits. */
static void feed(uint64_t max, const char *crashes, const char *expected_counts, bool gives_up)
{
    crn_restarts restarts = {.max = max};
    const crn_child_end end = killed(SIGSEGV);
    char counts[32] = "";
    const size_t count = strlen(crashes);
    for (size_t i = 0; i < count; i++) {
        const char *why = NULL;
        const crn_restart_verdict verdict =
            crn_restarts_decide(&restarts, &end, false, crashes[i] == '+', &why);
        counts[i] = (char)('0' + restarts.without_progress);
        assert_int_equal(verdict,
                         i + 1 == count && gives_up ? CRN_RESTART_GIVEN_UP : CRN_RESTART_AGAIN);
    }
    assert_string_equal(counts, expected_counts);
}

static void decide__counts_failures_without_progress(void **state)
{
    (void)state;
    feed(3, "....", "1234", true);
    feed(3, "+...", "1234", true); /* The first counts, whatever it has saved. */
    feed(3, "...+...", "1230123", false);
    feed(1, ".+++++.", "1000001", false);
    feed(1, ".+..", "1012", true);
    feed(0, ".", "1", true);
}

static void wait__doubles_without_progress_up_to_a_minute(void **state)
{
    static const struct {
        double backoff;
        uint64_t without_progress;
        double seconds;
    } k_rows[] = {
        {1.0, 0, 1.0},           {1.0, 1, 1.0}, {1.0, 2, 2.0},   {1.0, 5, 16.0},  {1.0, 7, 60.0},
        {1.0, UINT64_MAX, 60.0}, {0.0, 9, 0.0}, {90.0, 1, 90.0}, {90.0, 9, 90.0}, {0.5, 3, 2.0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        const crn_restarts restarts = {.backoff = k_rows[i].backoff,
                                       .without_progress = k_rows[i].without_progress};
        assert_true(crn_restarts_wait(&restarts) == k_rows[i].seconds);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decide__goes_by_the_exit_code),
        cmocka_unit_test(decide__takes_a_silent_success_for_a_crash),
        cmocka_unit_test(decide__tells_a_crash_from_a_wish_by_the_signal),
        cmocka_unit_test(decide__never_starts_again_what_was_asked_to_stop),
        cmocka_unit_test(decide__counts_failures_without_progress),
        cmocka_unit_test(wait__doubles_without_progress_up_to_a_minute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
