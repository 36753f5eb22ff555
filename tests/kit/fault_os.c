#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kit/kit.h"

struct tk_fault_private {
    pthread_mutex_t lock;
    int open_fd[TK_OPEN_MAX];
    int open_count;
    bool is_torn_done;
};

typedef enum verdict { GO_ON, FAIL, DEAD } verdict;

static tk_fault_os *fault_of(const crn_os *os)
{
    return os->self;
}

/* Counts a call and decides on it; *out_errno is set unless GO_ON. */
static verdict judge(tk_fault_os *f, char op, int *out_errno)
{
    verdict answer = GO_ON;
    (void)pthread_mutex_lock(&f->priv->lock);
    if (f->calls + 1 < TK_TRACE_SIZE) {
        f->trace[f->calls] = op;
        f->trace[f->calls + 1] = '\0';
    }
    f->calls++;
    f->op_calls += f->fail_op == op;
    const bool is_mine = f->fail_op == '\0' || f->fail_op == op;
    const uint64_t number = f->fail_op == '\0' ? f->calls : f->op_calls;
    if (f->dead_at != 0 && f->calls >= f->dead_at) {
        answer = DEAD;
        *out_errno = EIO;
    } else if (f->fail_at != 0 && is_mine &&
               (f->is_sticky ? number >= f->fail_at : number == f->fail_at)) {
        answer = FAIL;
        *out_errno = f->fail_errno != 0 ? f->fail_errno : EIO;
    }
    f->failed += answer != GO_ON;
    (void)pthread_mutex_unlock(&f->priv->lock);
    return answer;
}

static void remember_fd(tk_fault_os *f, int fd)
{
    (void)pthread_mutex_lock(&f->priv->lock);
    if (f->priv->open_count < TK_OPEN_MAX)
        f->priv->open_fd[f->priv->open_count++] = fd;
    (void)pthread_mutex_unlock(&f->priv->lock);
}

static void forget_fd(tk_fault_os *f, int fd)
{
    (void)pthread_mutex_lock(&f->priv->lock);
    for (int i = 0; i < f->priv->open_count; i++) {
        if (f->priv->open_fd[i] == fd) {
            f->priv->open_fd[i] = f->priv->open_fd[--f->priv->open_count];
            break;
        }
    }
    (void)pthread_mutex_unlock(&f->priv->lock);
}

/* How much of a write that fails reaches the file. */
static size_t torn_size(tk_fault_os *f, size_t size)
{
    (void)pthread_mutex_lock(&f->priv->lock);
    const bool is_now = f->is_torn && !f->priv->is_torn_done;
    f->priv->is_torn_done |= is_now;
    (void)pthread_mutex_unlock(&f->priv->lock);
    return is_now ? size / 2 : 0;
}

#define PASS(op, call)                                                                             \
    do {                                                                                           \
        tk_fault_os *const f = fault_of(os);                                                       \
        int e = 0;                                                                                 \
        return judge(f, (op), &e) == GO_ON ? f->real->call : e;                                    \
    } while (0)

static int fault_open(const crn_os *os, int dir, const char *name, crn_open_mode mode, int *out_fd)
{
    tk_fault_os *const f = fault_of(os);
    int e = 0;
    if (judge(f, 'o', &e) == GO_ON)
        e = f->real->open(f->real, dir, name, mode, out_fd);
    if (e == 0)
        remember_fd(f, *out_fd);
    return e;
}

static int fault_close(const crn_os *os, int fd)
{
    tk_fault_os *const f = fault_of(os);
    int e = 0;
    const verdict answer = judge(f, 'c', &e);
    if (answer == DEAD)
        return e;
    forget_fd(f, fd);
    const int real = f->real->close(f->real, fd);
    return answer == FAIL ? e : real;
}

static int fault_duplicate(const crn_os *os, int fd, int *out_fd)
{
    tk_fault_os *const f = fault_of(os);
    int e = 0;
    if (judge(f, 'h', &e) == GO_ON)
        e = f->real->duplicate(f->real, fd, out_fd);
    if (e == 0)
        remember_fd(f, *out_fd);
    return e;
}

static int fault_read_at(const crn_os *os, int fd, void *buf, size_t size, uint64_t offset,
                         size_t *out_got)
{
    PASS('r', read_at(f->real, fd, buf, size, offset, out_got));
}

static int fault_read_parts(const crn_os *os, int fd, const crn_os_part *parts, size_t count,
                            uint64_t offset, size_t *out_got)
{
    PASS('r', read_parts(f->real, fd, parts, count, offset, out_got));
}

static int fault_write_at(const crn_os *os, int fd, const void *buf, size_t size, uint64_t offset)
{
    tk_fault_os *const f = fault_of(os);
    int e = 0;
    if (judge(f, 'w', &e) == GO_ON)
        return f->real->write_at(f->real, fd, buf, size, offset);
    const size_t part = torn_size(f, size);
    if (part > 0)
        (void)f->real->write_at(f->real, fd, buf, part, offset);
    return e;
}

static int fault_write_uncached(const crn_os *os, int fd, const void *buf, size_t size,
                                uint64_t offset)
{
    tk_fault_os *const f = fault_of(os);
    int e = 0;
    if (judge(f, 'e', &e) == GO_ON)
        return f->real->write_uncached(f->real, fd, buf, size, offset);
    const size_t part = torn_size(f, size);
    if (part > 0)
        (void)f->real->write_uncached(f->real, fd, buf, part, offset);
    return e;
}

static int fault_set_direct(const crn_os *os, int fd)
{
    PASS('i', set_direct(f->real, fd));
}

static int fault_start_writeback(const crn_os *os, int fd, uint64_t offset, uint64_t size)
{
    PASS('g', start_writeback(f->real, fd, offset, size));
}

static int fault_append(const crn_os *os, int fd, const void *buf, size_t size)
{
    tk_fault_os *const f = fault_of(os);
    int e = 0;
    if (judge(f, 'a', &e) == GO_ON)
        return f->real->append(f->real, fd, buf, size);
    const size_t part = torn_size(f, size);
    if (part > 0)
        (void)f->real->append(f->real, fd, buf, part);
    return e;
}

static int fault_reserve(const crn_os *os, int fd, uint64_t size)
{
    PASS('v', reserve(f->real, fd, size));
}

static int fault_sync(const crn_os *os, int fd)
{
    PASS('s', sync(f->real, fd));
}

static int fault_stat_fd(const crn_os *os, int fd, crn_file_stat *out)
{
    PASS('f', stat_fd(f->real, fd, out));
}

static int fault_stat(const crn_os *os, int dir, const char *name, crn_file_stat *out)
{
    PASS('t', stat(f->real, dir, name, out));
}

static int fault_rename_new(const crn_os *os, int dir, const char *from, const char *to)
{
    PASS('n', rename_new(f->real, dir, from, to));
}

static int fault_rename_over(const crn_os *os, int dir, const char *from, const char *to)
{
    PASS('m', rename_over(f->real, dir, from, to));
}

static int fault_unlink(const crn_os *os, int dir, const char *name)
{
    PASS('u', unlink(f->real, dir, name));
}

static int fault_remove_folder(const crn_os *os, int dir, const char *name)
{
    PASS('u', remove_folder(f->real, dir, name));
}

static int fault_symlink(const crn_os *os, const char *target, int dir, const char *name)
{
    PASS('y', symlink(f->real, target, dir, name));
}

static int fault_make_dirs(const crn_os *os, const char *path)
{
    PASS('d', make_dirs(f->real, path));
}

static int fault_list(const crn_os *os, int dir, crn_list_fn fn, void *user)
{
    PASS('l', list(f->real, dir, fn, user));
}

static int fault_lock(const crn_os *os, int fd)
{
    PASS('k', lock(f->real, fd));
}

static int fault_free_bytes(const crn_os *os, int dir, uint64_t *out_bytes)
{
    PASS('b', free_bytes(f->real, dir, out_bytes));
}

static int fault_real_path(const crn_os *os, const char *path, char **out_path)
{
    PASS('p', real_path(f->real, path, out_path));
}

static int fault_random(const crn_os *os, void *buf, size_t size)
{
    PASS('x', random(f->real, buf, size));
}

static int64_t fault_realtime_ns(const crn_os *os)
{
    const tk_fault_os *const f = fault_of(os);
    return f->is_clock_fake ? f->realtime_ns : f->real->realtime_ns(f->real);
}

static int64_t fault_monotonic_ns(const crn_os *os)
{
    const tk_fault_os *const f = fault_of(os);
    return f->is_clock_fake ? f->monotonic_ns : f->real->monotonic_ns(f->real);
}

static void fault_pause(const crn_os *os, int64_t ns)
{
    tk_fault_os *const f = fault_of(os);
    if (f->is_clock_fake)
        f->monotonic_ns += ns;
    else
        f->real->pause(f->real, ns);
}

void tk_fault_init(tk_fault_os *fault)
{
    memset(fault, 0, sizeof *fault);
    fault->real = crn_os_posix();
    fault->priv = calloc(1, sizeof *fault->priv);
    assert_non_null(fault->priv);
    assert_int_equal(pthread_mutex_init(&fault->priv->lock, NULL), 0);
    fault->os = (crn_os){.open = fault_open,
                         .close = fault_close,
                         .duplicate = fault_duplicate,
                         .read_at = fault_read_at,
                         .read_parts = fault_read_parts,
                         .write_at = fault_write_at,
                         .write_uncached = fault_write_uncached,
                         .set_direct = fault_set_direct,
                         .start_writeback = fault_start_writeback,
                         .append = fault_append,
                         .reserve = fault_reserve,
                         .sync = fault_sync,
                         .stat_fd = fault_stat_fd,
                         .stat = fault_stat,
                         .rename_new = fault_rename_new,
                         .rename_over = fault_rename_over,
                         .unlink = fault_unlink,
                         .remove_folder = fault_remove_folder,
                         .symlink = fault_symlink,
                         .make_dirs = fault_make_dirs,
                         .list = fault_list,
                         .lock = fault_lock,
                         .free_bytes = fault_free_bytes,
                         .real_path = fault_real_path,
                         .random = fault_random,
                         .realtime_ns = fault_realtime_ns,
                         .monotonic_ns = fault_monotonic_ns,
                         .pause = fault_pause,
                         .self = fault};
}

void tk_fault_reset(tk_fault_os *fault)
{
    fault->fail_at = 0;
    fault->fail_op = '\0';
    fault->fail_errno = 0;
    fault->is_sticky = false;
    fault->dead_at = 0;
    fault->is_torn = false;
    fault->calls = 0;
    fault->op_calls = 0;
    fault->failed = 0;
    fault->trace[0] = '\0';
    fault->priv->is_torn_done = false;
}

int tk_fault_open_count(const tk_fault_os *fault)
{
    return fault->priv->open_count;
}

void tk_fault_close_all(tk_fault_os *fault)
{
    while (fault->priv->open_count > 0)
        (void)close(fault->priv->open_fd[--fault->priv->open_count]);
}

void tk_fault_dispose(tk_fault_os *fault)
{
    tk_fault_close_all(fault);
    (void)pthread_mutex_destroy(&fault->priv->lock);
    free(fault->priv);
    fault->priv = NULL;
}
