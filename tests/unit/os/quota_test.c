/* What quotas leave. */
#include "kit/kit.h"

#include <stdio.h>
#include <sys/quota.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "os/posix.h"

enum { NOW = 1000000, KIB = 1024 };

static void quota__leaves_what_is_below_its_hard_limit(void **state)
{
    static const struct {
        uint64_t hard;  /* KiB; 0: none */
        uint64_t soft;  /* likewise */
        uint64_t used;  /* bytes */
        uint64_t until; /* when the time beyond the soft limit ends; 0: it has not begun */
        uint64_t left;
    } k_rows[] = {
        {0, 0, 0, 0, UINT64_MAX},
        {0, 0, 12345, 0, UINT64_MAX},
        {100, 0, 0, 0, 100 * KIB},
        {100, 0, 100 * KIB - 1, 0, 1},
        {100, 0, 100 * KIB, 0, 0},
        {100, 0, 200 * KIB, 0, 0}, /* lowered since */
        {100, 50, 10 * KIB, 0, 90 * KIB},
        {100, 50, 60 * KIB, NOW + 1, 40 * KIB},
        {100, 50, 60 * KIB, NOW, 0},
        {0, 50, 60 * KIB, NOW + 1, UINT64_MAX},
        {0, 50, 60 * KIB, NOW - 1, 0},
        {0, 50, 40 * KIB, NOW - 1, UINT64_MAX}, /* below it again */
        {UINT64_MAX, 0, 1, 0, UINT64_MAX},
    };
    (void)state;
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        const struct dqblk quota = {.dqb_bhardlimit = k_rows[i].hard,
                                    .dqb_bsoftlimit = k_rows[i].soft,
                                    .dqb_curspace = k_rows[i].used,
                                    .dqb_btime = k_rows[i].until};
        const uint64_t left = crn_quota_left(&quota, NOW);
        if (left != k_rows[i].left)
            fail_msg("row %zu: %llu", i, (unsigned long long)left);
    }
}

/* Test machines have none; where there is one it may only make the free space less. */
static void free_bytes__is_no_more_than_the_file_system_has(void **state)
{
    const crn_os *const os = crn_os_posix();
    const int dir = tk_open_dir(*state);
    struct statvfs info;
    uint64_t left = 0;
    assert_int_equal(os->free_bytes(os, dir, &left), 0);
    assert_int_equal(fstatvfs(dir, &info), 0);
    assert_true(left > 0 && left <= (uint64_t)info.f_blocks * info.f_frsize);
    assert_int_equal(close(dir), 0);
}

static void quota__of_what_cannot_be_asked_is_none(void **state)
{
    (void)state;
    assert_true(crn_posix_quota_left(-1) == UINT64_MAX);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, tk_temp_setup, tk_temp_teardown)
    const struct CMUnitTest tests[] = {
        T(quota__leaves_what_is_below_its_hard_limit),
        T(free_bytes__is_no_more_than_the_file_system_has),
        T(quota__of_what_cannot_be_asked_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
