#include "os/posix.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include "base/mem.h"

static int posix_random(const crn_os *os, void *buf, size_t size)
{
    (void)os;
    size_t got = 0;
    while (got < size) {
        const ssize_t n = getrandom((char *)buf + got, size - got, 0);
        if (n > 0)
            got += (size_t)n;
        else if (n < 0 && errno != EINTR)
            return errno;
    }
    return 0;
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now = {0};
    (void)clock_gettime(clock, &now); /* These two clocks are always there on Linux. */
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int64_t posix_realtime_ns(const crn_os *os)
{
    (void)os;
    return clock_ns(CLOCK_REALTIME);
}

static int64_t posix_monotonic_ns(const crn_os *os)
{
    (void)os;
    return clock_ns(CLOCK_MONOTONIC);
}

static void posix_pause(const crn_os *os, int64_t ns)
{
    (void)os;
    const struct timespec span = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    (void)nanosleep(&span, NULL); /* Shorter is allowed. */
}

const crn_os *crn_os_posix(void)
{
    static const crn_os k_posix = {
        .open = crn_posix_open,
        .close = crn_posix_close,
        .duplicate = crn_posix_duplicate,
        .read_at = crn_posix_read_at,
        .read_parts = crn_posix_read_parts,
        .write_at = crn_posix_write_at,
        .write_uncached = crn_posix_write_uncached,
        .set_direct = crn_posix_set_direct,
        .start_writeback = crn_posix_start_writeback,
        .append = crn_posix_append,
        .reserve = crn_posix_reserve,
        .sync = crn_posix_sync,
        .stat_fd = crn_posix_stat_fd,
        .stat = crn_posix_stat,
        .rename_new = crn_posix_rename_new,
        .rename_over = crn_posix_rename_over,
        .unlink = crn_posix_unlink,
        .remove_folder = crn_posix_remove_folder,
        .symlink = crn_posix_symlink,
        .make_dirs = crn_posix_make_dirs,
        .list = crn_posix_list,
        .lock = crn_posix_lock,
        .free_bytes = crn_posix_free_bytes,
        .real_path = crn_posix_real_path,
        .random = posix_random,
        .realtime_ns = posix_realtime_ns,
        .monotonic_ns = posix_monotonic_ns,
        .pause = posix_pause,
    };
    return &k_posix;
}

/* The part between open and close. */
static int read_open_file(const crn_os *os, int fd, size_t max_bytes, char **out_text,
                          size_t *out_size)
{
    crn_file_stat info;
    size_t got = 0;
    int e = os->stat_fd(os, fd, &info);
    if (e != 0)
        return e;
    if (info.size > max_bytes)
        return EFBIG;
    char *const text = crn_calloc((size_t)info.size + 1, 1);
    if (text == NULL)
        return ENOMEM;
    e = os->read_at(os, fd, text, (size_t)info.size, 0, &got);
    if (e != 0) {
        crn_free(text);
        return e;
    }
    text[got] = '\0'; /* The file may have become shorter meanwhile. */
    *out_text = text;
    *out_size = got;
    return 0;
}

int crn_os_read_file(const crn_os *os, int dir, const char *name, size_t max_bytes, char **out_text,
                     size_t *out_size)
{
    int fd = -1;
    int e = os->open(os, dir, name, CRN_OPEN_READ, &fd);
    if (e != 0)
        return e;
    e = read_open_file(os, fd, max_bytes, out_text, out_size);
    (void)os->close(os, fd); /* Nothing was written that a close could lose. */
    return e;
}
