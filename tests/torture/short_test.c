/*
 * Reads and writes that do less than they were asked to, calls that signals interrupt, threads that
 * cannot be had: below the table of calls, where the linker puts this file between the engine and
 * the C library (--wrap).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "kit/kit.h"
#include "torture/torture.h"

typedef enum cut { CUT_NONE, CUT_ONE, CUT_HALF, CUT_LAST, CUT_NOTHING, CUT_SIGNAL } cut;

/* Mutable statics since the calls have no user data; writer threads count too. */
static cut s_cut;
static _Atomic uint64_t s_calls;
static _Atomic uint64_t s_cuts;
static _Atomic uint64_t s_no_thread; /* the call to pthread_create that fails; 0: none */

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker's names. */
ssize_t __real_pread(int fd, void *buf, size_t size, off_t offset);
ssize_t __real_pwrite(int fd, const void *buf, size_t size, off_t offset);
ssize_t __real_write(int fd, const void *buf, size_t size);
ssize_t __real_pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags);
int __real_fallocate(int fd, int mode, off_t offset, off_t size);
int __real_ftruncate(int fd, off_t size);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*main)(void *),
                          void *argument);
ssize_t __wrap_pread(int fd, void *buf, size_t size, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *buf, size_t size, off_t offset);
ssize_t __wrap_write(int fd, const void *buf, size_t size);
ssize_t __wrap_pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags);
int __wrap_fallocate(int fd, int mode, off_t offset, off_t size);
int __wrap_ftruncate(int fd, off_t size);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*main)(void *),
                          void *argument);
/* NOLINTEND(bugprone-reserved-identifier) */

/* Every second call: true if a signal comes first. */
static bool is_interrupted(void)
{
    const bool is_now = s_cut == CUT_SIGNAL && atomic_fetch_add(&s_calls, 1) % 2 == 0;
    if (is_now) {
        (void)atomic_fetch_add(&s_cuts, 1);
        errno = EINTR;
    }
    return is_now;
}

/* How much of @size is done now. A write of nothing is given up only when it comes twice. */
static size_t part_of(size_t size)
{
    size_t part = size;
    if (s_cut == CUT_ONE)
        part = size < 1 ? size : 1;
    else if (s_cut == CUT_HALF)
        part = size - size / 2;
    else if (s_cut == CUT_LAST)
        part = size > 1 ? size - 1 : size;
    if (part != size)
        (void)atomic_fetch_add(&s_cuts, 1);
    return part;
}

static bool is_nothing(void)
{
    const bool is_now = s_cut == CUT_NOTHING && atomic_fetch_add(&s_calls, 1) % 2 == 0;
    if (is_now)
        (void)atomic_fetch_add(&s_cuts, 1);
    return is_now;
}

ssize_t __wrap_pread(int fd, void *buf, size_t size, off_t offset)
{
    return is_interrupted() ? -1 : __real_pread(fd, buf, part_of(size), offset);
}

ssize_t __wrap_pwrite(int fd, const void *buf, size_t size, off_t offset)
{
    if (is_nothing())
        return 0;
    return is_interrupted() ? -1 : __real_pwrite(fd, buf, part_of(size), offset);
}

ssize_t __wrap_write(int fd, const void *buf, size_t size)
{
    if (is_nothing())
        return 0;
    return is_interrupted() ? -1 : __real_write(fd, buf, part_of(size));
}

ssize_t __wrap_pwritev2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    const struct iovec part = {.iov_base = parts->iov_base, .iov_len = part_of(parts->iov_len)};
    assert_int_equal(count, 1);
    if (is_nothing())
        return 0;
    return is_interrupted() ? -1 : __real_pwritev2(fd, &part, 1, offset, flags);
}

int __wrap_fallocate(int fd, int mode, off_t offset, off_t size)
{
    return is_interrupted() ? -1 : __real_fallocate(fd, mode, offset, size);
}

int __wrap_ftruncate(int fd, off_t size)
{
    return is_interrupted() ? -1 : __real_ftruncate(fd, size);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*main)(void *),
                          void *argument)
{
    if (atomic_load(&s_no_thread) > 0 && atomic_fetch_sub(&s_no_thread, 1) == 1)
        return EAGAIN;
    return __real_pthread_create(thread, attr, main, argument);
}

/* Lives, is judged, all with short calls. */
static void try_cut(cut how, const char *what)
{
    char dir[TT_PATH_SIZE];
    char why[TT_WHY_SIZE];
    cairn_error err = {0};
    char more[64];
    tt_acks acks = {.run = 0};
    tt_score score = {0};
    (void)tt_temp_dir(dir);
    s_cut = how;
    atomic_store(&s_cuts, 0);
    tt_world world = {.os = crn_os_posix(), .dir = dir, .report = tt_acks_add, .user = &acks};
    tk_assert_ok(tt_world_play(&world, "orsnebwnpcospbwo", &err), &err);
    tt_world_end(&world);
    const tt_verdict verdict = tt_judge(dir, NULL, &acks, why);
    s_cut = CUT_NONE;
    tt_score_add(&score, verdict, what, why);
    assert_true(atomic_load(&s_cuts) > 10);
    (void)snprintf(more, sizeof more, "calls_cut=%" PRIu64, atomic_load(&s_cuts));
    tt_score_print(&score, what, more);
    tk_remove_tree(dir);
    assert_int_equal(verdict, TT_GOOD);
}

static void run__goes_on_where_a_call_stopped(void **state)
{
    char dir[TT_PATH_SIZE];
    (void)state;
    const bool is_in_memory = strncmp(tt_temp_dir(dir), "/dev/shm/", 9) == 0;
    tk_remove_tree(dir);
    if (!is_in_memory)
        skip(); /* On a disk a direct write begins at a sector. */
    try_cut(CUT_ONE, "reads and writes of one byte at most");
    try_cut(CUT_HALF, "reads and writes of half of what was asked for");
    try_cut(CUT_LAST, "reads and writes that leave out the last byte");
    try_cut(CUT_NOTHING, "every second write does nothing");
    try_cut(CUT_SIGNAL, "a signal at every second call");
}

static void attach__says_so_without_threads_and_serves_on(void **state)
{
    char dir[TT_PATH_SIZE];
    (void)state;
    (void)tt_temp_dir(dir);
    for (uint64_t n = 1; n <= 2; n++) {
        cairn_error err = {0};
        tt_acks acks = {.run = 0};
        char why[TT_WHY_SIZE];
        tt_world world = {.os = crn_os_posix(), .dir = dir, .report = tt_acks_add, .user = &acks};
        tk_assert_ok(tt_world_play(&world, "or", &err), &err);
        atomic_store(&s_no_thread, n);
        tk_assert_status(tt_world_play(&world, "b", &err), CAIRN_EIO, &err);
        tk_assert_error_has(&err, "thread");
        assert_int_equal(atomic_load(&s_no_thread), 0);
        tk_assert_ok(tt_world_play(&world, "sbw", &err), &err);
        tt_world_end(&world);
        assert_int_equal(tt_judge(dir, NULL, &acks, why), TT_GOOD);
        tk_remove_tree(dir);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run__goes_on_where_a_call_stopped),
        cmocka_unit_test(attach__says_so_without_threads_and_serves_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
