/* One open file: opening, reading, writing, reserving, syncing. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "os/posix.h"

_Static_assert(CRN_OS_CWD == AT_FDCWD, "names are handed to the kernel as they are");

/* Of Linux 6.14; headers may be older than the kernel, and kernels that lack it refuse it. */
#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x00000080
#endif

enum { NEW_FILE_MODE = 0644, STALLS_MAX = 2 };

static int open_flags(crn_open_mode mode)
{
    switch (mode) {
    case CRN_OPEN_READ:
        /* Without O_NONBLOCK a FIFO in the place of a file would hang us. */
        return O_RDONLY | O_NONBLOCK | O_NOCTTY;
    case CRN_OPEN_CREATE_NEW:
        return O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    case CRN_OPEN_APPEND:
        return O_WRONLY | O_APPEND | O_CREAT;
    case CRN_OPEN_LOCK:
        return O_RDWR | O_CREAT;
    case CRN_OPEN_DIRECTORY:
        return O_RDONLY | O_DIRECTORY;
    }
    return -1;
}

/* 0 for a regular file, else why it cannot be read as one. */
static int check_regular(int fd)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return errno;
    if (S_ISDIR(info.st_mode))
        return EISDIR;
    return S_ISREG(info.st_mode) ? 0 : EINVAL;
}

int crn_posix_open(const crn_os *os, int dir, const char *name, crn_open_mode mode, int *out_fd)
{
    (void)os;
    const int flags = open_flags(mode);
    int fd = -1;
    if (flags < 0)
        return EINVAL;
    do {
        fd = openat(dir, name, flags | O_CLOEXEC, NEW_FILE_MODE);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return errno;
    const int e = mode == CRN_OPEN_READ ? check_regular(fd) : 0;
    if (e != 0) {
        (void)close(fd);
        return e;
    }
    *out_fd = fd;
    return 0;
}

int crn_posix_close(const crn_os *os, int fd)
{
    (void)os;
    /* Linux frees the descriptor whatever close says: a second try could close another's. */
    return close(fd) == 0 ? 0 : errno;
}

int crn_posix_duplicate(const crn_os *os, int fd, int *out_fd)
{
    (void)os;
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return errno;
    *out_fd = copy;
    return 0;
}

int crn_posix_read_at(const crn_os *os, int fd, void *buf, size_t size, uint64_t offset,
                      size_t *out_got)
{
    (void)os;
    size_t got = 0;
    while (got < size) {
        const ssize_t n = pread(fd, (char *)buf + got, size - got, (off_t)(offset + got));
        if (n == 0)
            break;
        if (n > 0)
            got += (size_t)n;
        else if (errno != EINTR)
            return errno;
    }
    *out_got = got;
    return 0;
}

/* Drops the first @size bytes of @parts; returns what is left of them. */
static size_t drop_read(struct iovec **parts, size_t count, size_t size)
{
    while (count > 0 && size >= (*parts)->iov_len) {
        size -= (*parts)->iov_len;
        ++*parts;
        count--;
    }
    if (count > 0) {
        (*parts)->iov_base = (char *)(*parts)->iov_base + size;
        (*parts)->iov_len -= size;
    }
    return count;
}

int crn_posix_read_parts(const crn_os *os, int fd, const crn_os_part *parts, size_t count,
                         uint64_t offset, size_t *out_got)
{
    (void)os;
    struct iovec all[CRN_OS_PARTS_MAX];
    struct iovec *left = all;
    size_t got = 0;
    if (count > CRN_OS_PARTS_MAX)
        return EINVAL;
    for (size_t i = 0; i < count; i++)
        all[i] = (struct iovec){.iov_base = parts[i].bytes, .iov_len = parts[i].size};
    count = drop_read(&left, count, 0); /* Empty ones first would look like the end of the file. */
    while (count > 0) {
        const ssize_t n = preadv(fd, left, (int)count, (off_t)(offset + got));
        if (n == 0)
            break;
        if (n > 0) {
            got += (size_t)n;
            count = drop_read(&left, count, (size_t)n);
        } else if (errno != EINTR) {
            return errno;
        }
    }
    *out_got = got;
    return 0;
}

int crn_posix_put_all(crn_put_fn put, void *user, const void *buf, size_t size, uint64_t offset)
{
    size_t done = 0;
    int stalls = 0;
    while (done < size) {
        const ssize_t n = put(user, (const char *)buf + done, size - done, offset + done);
        if (n < 0 && errno != EINTR)
            return errno;
        if (n == 0 && ++stalls == STALLS_MAX)
            return EIO;
        if (n > 0) {
            done += (size_t)n;
            stalls = 0;
        }
    }
    return 0;
}

static ssize_t put_at(void *user, const void *buf, size_t size, uint64_t offset)
{
    return pwrite(*(const int *)user, buf, size, (off_t)offset);
}

static ssize_t put_at_end(void *user, const void *buf, size_t size, uint64_t offset)
{
    (void)offset; /* O_APPEND decides. */
    return write(*(const int *)user, buf, size);
}

int crn_posix_write_at(const crn_os *os, int fd, const void *buf, size_t size, uint64_t offset)
{
    (void)os;
    return crn_posix_put_all(put_at, &fd, buf, size, offset);
}

static ssize_t put_uncached_at(void *user, const void *buf, size_t size, uint64_t offset)
{
    union {
        const void *in;
        void *out;
    } cast = {.in = buf}; /* A vector of iovec serves reads too; a write leaves it alone. */
    const struct iovec part = {.iov_base = cast.out, .iov_len = size};
    return pwritev2(*(const int *)user, &part, 1, (off_t)offset, RWF_DONTCACHE);
}

int crn_posix_write_uncached(const crn_os *os, int fd, const void *buf, size_t size,
                             uint64_t offset)
{
    (void)os;
    return crn_posix_put_all(put_uncached_at, &fd, buf, size, offset);
}

int crn_posix_set_direct(const crn_os *os, int fd)
{
    (void)os;
    const int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return errno;
    return fcntl(fd, F_SETFL, flags | O_DIRECT) == 0 ? 0 : errno;
}

int crn_posix_start_writeback(const crn_os *os, int fd, uint64_t offset, uint64_t size)
{
    (void)os;
    /* Without the flags that wait: those would take an error away from the fsync that follows. */
    if (sync_file_range(fd, (off_t)offset, (off_t)size, SYNC_FILE_RANGE_WRITE) == 0)
        return 0;
    return errno == ENOSYS || errno == EINVAL || errno == ESPIPE ? 0 : errno;
}

int crn_posix_append(const crn_os *os, int fd, const void *buf, size_t size)
{
    (void)os;
    return crn_posix_put_all(put_at_end, &fd, buf, size, 0);
}

int crn_posix_reserve(const crn_os *os, int fd, uint64_t size)
{
    (void)os;
    if (size > INT64_MAX)
        return EFBIG;
    int e = 0;
    do {
        e = size > 0 && fallocate(fd, 0, 0, (off_t)size) != 0 ? errno : 0;
    } while (e == EINTR);
    if (e != 0 && e != EOPNOTSUPP && e != EINVAL && e != ENOSYS)
        return e;
    do {
        e = ftruncate(fd, (off_t)size) != 0 ? errno : 0;
    } while (e == EINTR);
    return e;
}

int crn_posix_sync(const crn_os *os, int fd)
{
    (void)os;
    return fsync(fd) == 0 ? 0 : errno;
}

void crn_posix_stat_from(const struct stat *info, crn_file_stat *out)
{
    out->kind = S_ISREG(info->st_mode)   ? CRN_FILE_REGULAR
                : S_ISDIR(info->st_mode) ? CRN_FILE_DIRECTORY
                                         : CRN_FILE_OTHER;
    out->size = (uint64_t)info->st_size;
    out->inode = info->st_ino;
    out->mtime_ns = (int64_t)info->st_mtim.tv_sec * 1000000000 + info->st_mtim.tv_nsec;
}

int crn_posix_stat_fd(const crn_os *os, int fd, crn_file_stat *out)
{
    (void)os;
    struct stat info;
    if (fstat(fd, &info) != 0)
        return errno;
    crn_posix_stat_from(&info, out);
    return 0;
}
