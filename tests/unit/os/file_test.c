/* Opening, reading, writing, reserving. */
#include "kit/kit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/posix.h"

static int open_in(void **state, const char *name, crn_open_mode mode, int *out_fd)
{
    char path[TK_PATH_SIZE];
    const crn_os *const os = crn_os_posix();
    return os->open(os, CRN_OS_CWD, tk_join(path, *state, name), mode, out_fd);
}

static void open_read__refuses_what_is_no_regular_file(void **state)
{
    char path[TK_PATH_SIZE];
    int fd = -7;
    assert_int_equal(mkdir(tk_join(path, *state, "folder"), 0755), 0);
    assert_int_equal(mkfifo(tk_join(path, *state, "fifo"), 0644), 0);
    assert_int_equal(open_in(state, "folder", CRN_OPEN_READ, &fd), EISDIR);
    assert_int_equal(open_in(state, "absent", CRN_OPEN_READ, &fd), ENOENT);
    (void)alarm(20); /* Without O_NONBLOCK this open would wait for a writer for ever. */
    assert_int_equal(open_in(state, "fifo", CRN_OPEN_READ, &fd), EINVAL);
    (void)alarm(0);
    assert_int_equal(fd, -7);
}

static void open_create_new__never_opens_what_is_there(void **state)
{
    char path[TK_PATH_SIZE];
    int fd = -1;
    tk_write_text(*state, "old", "old");
    assert_int_equal(open_in(state, "old", CRN_OPEN_CREATE_NEW, &fd), EEXIST);
    assert_int_equal(symlink("target", tk_join(path, *state, "link")), 0);
    assert_int_equal(open_in(state, "link", CRN_OPEN_CREATE_NEW, &fd), EEXIST);
    assert_false(tk_exists(*state, "target"));
    tk_assert_file_text(*state, "old", "old");
}

static void open__makes_descriptors_that_no_child_inherits(void **state)
{
    static const crn_open_mode k_modes[] = {CRN_OPEN_CREATE_NEW, CRN_OPEN_READ, CRN_OPEN_APPEND,
                                            CRN_OPEN_LOCK};
    const crn_os *const os = crn_os_posix();
    for (size_t i = 0; i < sizeof k_modes / sizeof k_modes[0]; i++) {
        int fd = -1;
        assert_int_equal(open_in(state, "file", k_modes[i], &fd), 0);
        assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        assert_int_equal(os->close(os, fd), 0);
    }
}

static void close__of_no_descriptor_is_an_error(void **state)
{
    (void)state;
    const crn_os *const os = crn_os_posix();
    assert_int_equal(os->close(os, -1), EBADF);
}

static void write_at_and_read_at__meet_at_any_offset(void **state)
{
    const crn_os *const os = crn_os_posix();
    char buf[16] = {0};
    size_t got = 0;
    int fd = -1;
    assert_int_equal(open_in(state, "file", CRN_OPEN_CREATE_NEW, &fd), 0);
    assert_int_equal(os->write_at(os, fd, "world", 5, 6), 0);
    assert_int_equal(os->write_at(os, fd, "hello ", 6, 0), 0);
    assert_int_equal(os->sync(os, fd), 0);
    assert_int_equal(os->close(os, fd), 0);
    assert_int_equal(open_in(state, "file", CRN_OPEN_READ, &fd), 0);
    assert_int_equal(os->read_at(os, fd, buf, sizeof buf, 6, &got), 0);
    assert_int_equal(got, 5);
    assert_string_equal(buf, "world");
    assert_int_equal(os->read_at(os, fd, buf, sizeof buf, 100, &got), 0);
    assert_int_equal(got, 0);
    assert_int_equal(os->write_at(os, fd, "x", 1, 0), EBADF);
    assert_int_equal(os->close(os, fd), 0);
}

static void append__goes_to_the_end_whoever_wrote_last(void **state)
{
    const crn_os *const os = crn_os_posix();
    int a = -1;
    int b = -1;
    tk_write_text(*state, "log", "1\n");
    assert_int_equal(open_in(state, "log", CRN_OPEN_APPEND, &a), 0);
    assert_int_equal(open_in(state, "log", CRN_OPEN_APPEND, &b), 0);
    assert_int_equal(os->append(os, a, "2\n", 2), 0);
    assert_int_equal(os->append(os, b, "3\n", 2), 0);
    assert_int_equal(os->append(os, a, "4\n", 2), 0);
    assert_int_equal(os->close(os, a), 0);
    assert_int_equal(os->close(os, b), 0);
    tk_assert_file_text(*state, "log", "1\n2\n3\n4\n");
}

/* A file that takes at most `most` bytes a call, interrupts, stalls, and then breaks. */
struct slow_file {
    char taken[64];
    size_t most;
    int interrupts;
    int stalls;
    int stalls_at;
    size_t calls;
};

static ssize_t slow_put(void *user, const void *buf, size_t size, uint64_t offset)
{
    struct slow_file *const file = user;
    file->calls++;
    if (file->interrupts > 0) {
        file->interrupts--;
        errno = EINTR;
        return -1;
    }
    if (file->stalls > 0 && (size_t)file->stalls_at <= offset) {
        file->stalls--;
        return 0;
    }
    const size_t n = size < file->most ? size : file->most;
    memcpy(file->taken + offset, buf, n);
    return (ssize_t)n;
}

static void write__goes_on_after_short_writes_and_interrupts(void **state)
{
    (void)state;
    struct slow_file file = {.most = 3, .interrupts = 2, .stalls = 1, .stalls_at = 3};
    assert_int_equal(crn_posix_put_all(slow_put, &file, "0123456789", 10, 0), 0);
    assert_string_equal(file.taken, "0123456789");
    assert_int_equal(file.calls, 2 + 1 + 4);
}

static void write__without_progress_twice_is_an_io_error(void **state)
{
    (void)state;
    struct slow_file file = {.most = 3, .stalls = 2, .stalls_at = 6};
    assert_int_equal(crn_posix_put_all(slow_put, &file, "0123456789", 10, 0), EIO);
    assert_int_equal(file.calls, 4);
}

static void write__says_why_the_kernel_refused(void **state)
{
    (void)state;
    const crn_os *const os = crn_os_posix();
    int fd = -1;
    if (os->open(os, CRN_OS_CWD, "/dev/full", CRN_OPEN_APPEND, &fd) != 0)
        skip();
    assert_int_equal(os->append(os, fd, "x", 1), ENOSPC);
    assert_int_equal(os->close(os, fd), 0);
}

static void reserve__sets_exactly_the_size(void **state)
{
    const crn_os *const os = crn_os_posix();
    static const uint64_t k_sizes[] = {100000, 4096, 0, 12345};
    crn_file_stat info;
    int fd = -1;
    assert_int_equal(open_in(state, "file", CRN_OPEN_CREATE_NEW, &fd), 0);
    for (size_t i = 0; i < sizeof k_sizes / sizeof k_sizes[0]; i++) {
        assert_int_equal(os->reserve(os, fd, k_sizes[i]), 0);
        assert_int_equal(os->stat_fd(os, fd, &info), 0);
        assert_int_equal(info.size, k_sizes[i]);
        assert_int_equal(info.kind, CRN_FILE_REGULAR);
    }
    assert_int_equal(os->reserve(os, fd, UINT64_MAX), EFBIG);
    assert_int_equal(os->close(os, fd), 0);
}

static void read_file__returns_all_of_it_with_a_nul_behind(void **state)
{
    const crn_os *const os = crn_os_posix();
    const int dir = tk_open_dir(*state);
    char *text = NULL;
    size_t size = 99;
    tk_write_file(*state, "some", "a\0b", 3);
    tk_write_file(*state, "empty", "", 0);
    assert_int_equal(crn_os_read_file(os, dir, "some", 3, &text, &size), 0);
    assert_int_equal(size, 3);
    assert_memory_equal(text, "a\0b", 4);
    crn_free(text);
    assert_int_equal(crn_os_read_file(os, dir, "empty", 0, &text, &size), 0);
    assert_int_equal(size, 0);
    assert_string_equal(text, "");
    crn_free(text);
    assert_int_equal(close(dir), 0);
}

static void read_file__names_what_is_wrong_and_sets_nothing(void **state)
{
    const crn_os *const os = crn_os_posix();
    char path[TK_PATH_SIZE];
    const int dir = tk_open_dir(*state);
    char *text = NULL;
    size_t size = 99;
    tk_write_text(*state, "some", "abcd");
    assert_int_equal(mkdir(tk_join(path, *state, "folder"), 0755), 0);
    assert_int_equal(crn_os_read_file(os, dir, "some", 3, &text, &size), EFBIG);
    assert_int_equal(crn_os_read_file(os, dir, "absent", 3, &text, &size), ENOENT);
    assert_int_equal(crn_os_read_file(os, dir, "folder", 3, &text, &size), EISDIR);
    crn_mem_fail_at(1, 0);
    assert_int_equal(crn_os_read_file(os, dir, "some", 4, &text, &size), ENOMEM);
    crn_mem_fail_at(0, 0);
    assert_null(text);
    assert_int_equal(size, 99);
    assert_int_equal(close(dir), 0);
}

static void read_file__closes_after_every_failing_call(void **state)
{
    tk_fault_os fault;
    tk_fault_init(&fault);
    tk_write_text(*state, "some", "abcd");
    const int dir = tk_open_dir(*state);
    uint64_t n = 1;
    for (int e = EIO; e != 0; n++) {
        char *text = NULL;
        size_t size = 0;
        tk_fault_reset(&fault);
        fault.fail_at = n;
        fault.fail_errno = ESTALE;
        e = crn_os_read_file(&fault.os, dir, "some", 100, &text, &size);
        assert_int_equal(tk_fault_open_count(&fault), 0);
        /* A close that fails after reading costs nothing. */
        assert_int_equal(e, n < 4 ? ESTALE : 0);
        crn_free(text);
    }
    assert_string_equal(fault.trace, "ofrc");
    tk_fault_dispose(&fault);
    assert_int_equal(close(dir), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, tk_temp_setup, tk_temp_teardown)

static void read_parts__fills_pieces_one_behind_another(void **state)
{
    const crn_os *const os = crn_os_posix();
    char a[3] = "";
    char b[4] = "";
    char c[9] = "";
    size_t got = 99;
    int fd = -1;
    tk_write_text(*state, "file", "0123456789");
    assert_int_equal(open_in(state, "file", CRN_OPEN_READ, &fd), 0);
    /* Empty pieces, first ones too, end nothing. */
    const crn_os_part parts[] = {{c, 0}, {a, 2}, {b, 0}, {b, 3}, {c, 8}};
    assert_int_equal(os->read_parts(os, fd, parts, 4, 1, &got), 0);
    assert_int_equal(got, 5);
    assert_string_equal(a, "12");
    assert_string_equal(b, "345");
    assert_int_equal(os->read_parts(os, fd, parts, 5, 1, &got), 0);
    assert_int_equal(got, 9); /* The file ends in the last piece. */
    assert_string_equal(c, "6789");
    assert_int_equal(os->read_parts(os, fd, parts, 5, 100, &got), 0);
    assert_int_equal(got, 0);
    assert_int_equal(os->read_parts(os, fd, parts, 0, 0, &got), 0);
    assert_int_equal(got, 0);
    assert_int_equal(os->read_parts(os, fd, parts, CRN_OS_PARTS_MAX + 1, 0, &got), EINVAL);
    assert_int_equal(os->close(os, fd), 0);
    assert_int_equal(os->read_parts(os, fd, parts, 2, 0, &got), EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(open_read__refuses_what_is_no_regular_file),
        T(open_create_new__never_opens_what_is_there),
        T(open__makes_descriptors_that_no_child_inherits),
        T(close__of_no_descriptor_is_an_error),
        T(write_at_and_read_at__meet_at_any_offset),
        T(read_parts__fills_pieces_one_behind_another),
        T(append__goes_to_the_end_whoever_wrote_last),
        T(write__goes_on_after_short_writes_and_interrupts),
        T(write__without_progress_twice_is_an_io_error),
        T(write__says_why_the_kernel_refused),
        T(reserve__sets_exactly_the_size),
        T(read_file__returns_all_of_it_with_a_nul_behind),
        T(read_file__names_what_is_wrong_and_sets_nothing),
        T(read_file__closes_after_every_failing_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
