/* The kit's faulty table does what other tests rely on. */
#include "kit/kit.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

struct fixture {
    tk_fault_os fault;
    char path[TK_PATH_SIZE];
    int dir;
};

static int setup(void **state)
{
    static struct fixture s_fixture;
    tk_fault_init(&s_fixture.fault);
    s_fixture.dir = tk_open_dir(tk_temp_dir(s_fixture.path));
    *state = &s_fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *const x = *state;
    tk_fault_dispose(&x->fault);
    (void)close(x->dir);
    tk_remove_tree(x->path);
    return 0;
}

static void trace__has_one_letter_for_each_call(void **state)
{
    struct fixture *const x = *state;
    const crn_os *const os = &x->fault.os;
    crn_file_stat info;
    uint64_t bytes = 0;
    size_t got = 0;
    char *path = NULL;
    char buf[4];
    int fd = -1;
    assert_int_equal(os->open(os, x->dir, "a", CRN_OPEN_LOCK, &fd), 0);
    assert_int_equal(os->lock(os, fd), 0);
    assert_int_equal(os->reserve(os, fd, 4), 0);
    assert_int_equal(os->write_at(os, fd, "abcd", 4, 0), 0);
    assert_int_equal(os->read_at(os, fd, buf, 4, 0, &got), 0);
    assert_int_equal(os->stat_fd(os, fd, &info), 0);
    assert_int_equal(os->sync(os, fd), 0);
    assert_int_equal(tk_fault_open_count(&x->fault), 1);
    assert_int_equal(os->close(os, fd), 0);
    assert_int_equal(tk_fault_open_count(&x->fault), 0);
    assert_int_equal(os->stat(os, x->dir, "a", &info), 0);
    assert_int_equal(os->rename_new(os, x->dir, "a", "b"), 0);
    assert_int_equal(os->rename_over(os, x->dir, "b", "c"), 0);
    assert_int_equal(os->unlink(os, x->dir, "c"), 0);
    assert_int_equal(os->free_bytes(os, x->dir, &bytes), 0);
    assert_int_equal(os->make_dirs(os, x->path), 0);
    assert_int_equal(os->real_path(os, x->path, &path), 0);
    assert_int_equal(os->random(os, buf, sizeof buf), 0);
    (void)os->monotonic_ns(os);
    crn_free(path);
    assert_string_equal(x->fault.trace, "okvwrfsctnmubdpx");
    assert_int_equal(x->fault.calls, 16);
    assert_int_equal(x->fault.failed, 0);
}

static void fail_at__fails_that_call_only(void **state)
{
    struct fixture *const x = *state;
    const crn_os *const os = &x->fault.os;
    crn_file_stat info;
    x->fault.fail_at = 2;
    x->fault.fail_errno = ENOSPC;
    assert_int_equal(os->stat(os, x->dir, ".", &info), 0);
    assert_int_equal(os->stat(os, x->dir, ".", &info), ENOSPC);
    assert_int_equal(os->stat(os, x->dir, ".", &info), 0);
    assert_int_equal(x->fault.failed, 1);
    tk_fault_reset(&x->fault);
    x->fault.fail_at = 2;
    x->fault.is_sticky = true;
    assert_int_equal(os->stat(os, x->dir, ".", &info), 0);
    assert_int_equal(os->stat(os, x->dir, ".", &info), EIO);
    assert_int_equal(os->stat(os, x->dir, ".", &info), EIO);
}

static void fail_op__counts_calls_of_its_letter_only(void **state)
{
    struct fixture *const x = *state;
    const crn_os *const os = &x->fault.os;
    crn_file_stat info;
    x->fault.fail_op = 'u';
    x->fault.fail_at = 2;
    assert_int_equal(os->unlink(os, x->dir, "absent"), ENOENT);
    assert_int_equal(os->stat(os, x->dir, ".", &info), 0);
    assert_int_equal(os->unlink(os, x->dir, "absent"), EIO);
    assert_int_equal(os->unlink(os, x->dir, "absent"), ENOENT);
    assert_int_equal(x->fault.op_calls, 3);
}

static void dead_at__does_nothing_more_and_the_kernel_frees_the_locks(void **state)
{
    struct fixture *const x = *state;
    const crn_os *const os = &x->fault.os;
    const crn_os *const real = crn_os_posix();
    int fd = -1;
    int other = -1;
    assert_int_equal(os->open(os, x->dir, "a", CRN_OPEN_LOCK, &fd), 0);
    assert_int_equal(os->lock(os, fd), 0);
    x->fault.dead_at = x->fault.calls + 2;
    assert_int_equal(os->write_at(os, fd, "abcd", 4, 0), 0);
    assert_int_equal(os->write_at(os, fd, "efgh", 4, 4), EIO);
    assert_int_equal(os->unlink(os, x->dir, "a"), EIO);
    assert_int_equal(os->close(os, fd), EIO);
    tk_assert_file_text(x->path, "a", "abcd");
    assert_int_equal(real->open(real, x->dir, "a", CRN_OPEN_LOCK, &other), 0);
    assert_int_equal(real->lock(real, other), EAGAIN);
    tk_fault_close_all(&x->fault);
    assert_int_equal(real->lock(real, other), 0);
    assert_int_equal(real->close(real, other), 0);
}

static void is_torn__writes_half_of_the_failing_write(void **state)
{
    struct fixture *const x = *state;
    const crn_os *const os = &x->fault.os;
    int fd = -1;
    assert_int_equal(os->open(os, x->dir, "a", CRN_OPEN_CREATE_NEW, &fd), 0);
    x->fault.dead_at = 2;
    x->fault.is_torn = true;
    assert_int_equal(os->write_at(os, fd, "abcd", 4, 0), EIO);
    assert_int_equal(os->write_at(os, fd, "efgh", 4, 4), EIO);
    tk_assert_file_text(x->path, "a", "ab");
}

static void close__that_fails_has_closed_all_the_same(void **state)
{
    struct fixture *const x = *state;
    const crn_os *const os = &x->fault.os;
    int fd = -1;
    assert_int_equal(os->open(os, x->dir, "a", CRN_OPEN_CREATE_NEW, &fd), 0);
    x->fault.fail_at = 2;
    assert_int_equal(os->close(os, fd), EIO);
    assert_int_equal(tk_fault_open_count(&x->fault), 0);
    assert_int_equal(crn_os_posix()->close(crn_os_posix(), fd), EBADF);
}

static void clocks__stand_still_when_told(void **state)
{
    struct fixture *const x = *state;
    const crn_os *const os = &x->fault.os;
    x->fault.is_clock_fake = true;
    x->fault.realtime_ns = 5;
    x->fault.monotonic_ns = 6;
    assert_int_equal(os->realtime_ns(os), 5);
    assert_int_equal(os->monotonic_ns(os), 6);
    x->fault.is_clock_fake = false;
    assert_true(os->realtime_ns(os) > 6);
    assert_int_equal(x->fault.calls, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(trace__has_one_letter_for_each_call),
        T(fail_at__fails_that_call_only),
        T(fail_op__counts_calls_of_its_letter_only),
        T(dead_at__does_nothing_more_and_the_kernel_frees_the_locks),
        T(is_torn__writes_half_of_the_failing_write),
        T(close__that_fails_has_closed_all_the_same),
        T(clocks__stand_still_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
