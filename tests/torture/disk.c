/* A disk that remembers: see disk.h. The FUSE protocol is that of <linux/fuse.h>, spoken by hand,
 * since the only thing to serve is one file that cannot be moved, removed or resized. */
#include "torture/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/loop.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit/kit.h"

enum { PAGE = 4096, WRITE_MAX = 1 << 20, TRIES = 20 };
#define LOG_BYTES ((uint64_t)2 << 30)

static bool refuse(tt_block_disk *d, const char *what)
{
    (void)snprintf(d->error, sizeof d->error, "%.100s: %.90s", what, strerror(errno));
    return false;
}

/* ---- The server, a process of its own ---------------------------------------------------------
 */

static void answer(int fuse, const struct fuse_in_header *in, int error, const void *body,
                   size_t size)
{
    union {
        const void *in;
        void *out;
    } cast = {.in = body};
    struct fuse_out_header header = {
        .len = (uint32_t)(sizeof header + size), .error = -error, .unique = in->unique};
    const struct iovec parts[] = {{.iov_base = &header, .iov_len = sizeof header},
                                  {.iov_base = cast.out, .iov_len = size}};
    /* ENOENT: the request was interrupted, and nobody waits. */
    if (writev(fuse, parts, size > 0 ? 2 : 1) < 0 && errno != ENOENT)
        _exit(4);
}

static void answer_init(int fuse, const struct fuse_in_header *in, const void *body)
{
    const struct fuse_init_in *const init = body;
    const struct fuse_init_out out = {
        .major = FUSE_KERNEL_VERSION,
        .minor = init->minor < FUSE_KERNEL_MINOR_VERSION ? init->minor : FUSE_KERNEL_MINOR_VERSION,
        .max_readahead = init->max_readahead,
        .flags = init->flags & (FUSE_BIG_WRITES | FUSE_MAX_PAGES | FUSE_ASYNC_READ),
        .max_background = 16,
        .congestion_threshold = 12,
        .max_write = WRITE_MAX,
        .time_gran = 1,
        .max_pages = WRITE_MAX / PAGE};
    answer(fuse, in, 0, &out, sizeof out);
}

static void answer_attributes(int fuse, const struct fuse_in_header *in, const tt_block_disk *d)
{
    const struct fuse_attr_out out = {.attr_valid = 3600,
                                      .attr = {.ino = FUSE_ROOT_ID,
                                               .size = d->bytes,
                                               .blocks = d->bytes / TT_SECTOR,
                                               .mode = S_IFREG | 0600,
                                               .nlink = 1,
                                               .blksize = PAGE}};
    answer(fuse, in, 0, &out, sizeof out);
}

static void add_entry(const tt_block_disk *d, tt_log_kind kind, uint64_t offset, const void *bytes,
                      size_t size)
{
    tt_disk_shared *const s = d->shared;
    if (!s->is_recording || s->count == TT_LOG_MAX || s->log_bytes + size > LOG_BYTES)
        return;
    memcpy(d->log_bytes + s->log_bytes, bytes, size);
    s->log[s->count++] = (tt_log_entry){
        .kind = kind, .offset = offset, .size = (uint32_t)size, .bytes_at = s->log_bytes};
    s->log_bytes += size;
}

static bool is_failing(uint64_t number, uint64_t at, bool is_sticky)
{
    return at != 0 && (is_sticky ? number >= at : number == at);
}

static int do_write(const tt_block_disk *d, uint64_t offset, const void *bytes, size_t size)
{
    tt_disk_shared *const s = d->shared;
    if (offset + size > d->bytes)
        return ENOSPC;
    (void)pthread_mutex_lock(&s->lock);
    const bool fails = is_failing(++s->writes, s->fault.write_at, s->fault.is_sticky);
    s->failed += fails;
    if (!fails) {
        memcpy(d->live + offset, bytes, size);
        memset(d->is_dirty + offset / PAGE, 1, (offset % PAGE + size + PAGE - 1) / PAGE);
        add_entry(d, TT_LOG_WRITE, offset, bytes, size);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return fails ? EIO : 0;
}

static int do_flush(const tt_block_disk *d)
{
    tt_disk_shared *const s = d->shared;
    (void)pthread_mutex_lock(&s->lock);
    const bool fails = is_failing(++s->flushes, s->fault.flush_at, s->fault.is_sticky);
    s->failed += fails;
    if (!fails)
        add_entry(d, TT_LOG_FLUSH, 0, "", 0);
    (void)pthread_mutex_unlock(&s->lock);
    return fails ? EIO : 0;
}

static void answer_data(int fuse, const struct fuse_in_header *in, const tt_block_disk *d,
                        const void *body)
{
    if (in->opcode == FUSE_READ) {
        const struct fuse_read_in *const read_in = body;
        const uint64_t left = read_in->offset < d->bytes ? d->bytes - read_in->offset : 0;
        answer(fuse, in, 0, d->live + read_in->offset,
               read_in->size < left ? read_in->size : (size_t)left);
        return;
    }
    const struct fuse_write_in *const write_in = body;
    const struct fuse_write_out out = {.size = write_in->size};
    const int e = do_write(d, write_in->offset, write_in + 1, write_in->size);
    answer(fuse, in, e, &out, e == 0 ? sizeof out : 0);
}

static void serve_one(int fuse, const struct fuse_in_header *in, const tt_block_disk *d)
{
    /* Past the page cache of the file: what is changed behind it must be seen. */
    const struct fuse_open_out opened = {.open_flags = FOPEN_DIRECT_IO};
    const struct fuse_statfs_out space = {.st = {.bsize = PAGE, .namelen = 255, .frsize = PAGE}};
    const void *const body = in + 1;
    switch (in->opcode) {
    case FUSE_INIT:
        answer_init(fuse, in, body);
        break;
    case FUSE_GETATTR:
    case FUSE_SETATTR:
        answer_attributes(fuse, in, d);
        break;
    case FUSE_OPEN:
        answer(fuse, in, 0, &opened, sizeof opened);
        break;
    case FUSE_READ:
    case FUSE_WRITE:
        answer_data(fuse, in, d, body);
        break;
    case FUSE_FSYNC:
        answer(fuse, in, do_flush(d), NULL, 0);
        break;
    case FUSE_STATFS:
        answer(fuse, in, 0, &space, sizeof space);
        break;
    case FUSE_FLUSH:
    case FUSE_RELEASE:
    case FUSE_DESTROY:
        answer(fuse, in, 0, NULL, 0);
        break;
    case FUSE_FALLOCATE:
        answer(fuse, in, EOPNOTSUPP, NULL, 0);
        break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        break; /* No answer is expected. */
    default:
        answer(fuse, in, ENOSYS, NULL, 0);
        break;
    }
}

/*
 * Until the disk is unmounted, or the test is gone: then its file system gets errors, and nobody
 * waits for ever. For that the mounts must not be ours too: a process that ends unmounts what is
 * only its own before it lets go of its descriptors, so it would wait for its own answers.
 */
static void serve(int fuse, const tt_block_disk *d)
{
    static _Alignas(uint64_t) uint8_t s_request[WRITE_MAX + 2 * PAGE];
    if (unshare(CLONE_NEWNS) != 0 || umount2(d->file, MNT_DETACH) != 0)
        _exit(6);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)setsid(); /* An interrupt at the terminal is for the test, which unmounts first. */
    for (;;) {
        const ssize_t got = read(fuse, s_request, sizeof s_request);
        if (got >= (ssize_t)sizeof(struct fuse_in_header))
            serve_one(fuse, (const struct fuse_in_header *)(const void *)s_request, d);
        else if (got < 0 && errno != EINTR && errno != ENOENT && errno != EAGAIN)
            _exit(errno == ENODEV ? 0 : 5);
    }
}

/* ---- The disk ---------------------------------------------------------------------------------
 */

static void *share(uint64_t bytes)
{
    void *const memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(memory != MAP_FAILED);
    return memory;
}

static void share_all(tt_block_disk *d)
{
    pthread_mutexattr_t attributes;
    d->shared = share(sizeof *d->shared);
    d->live = share(d->bytes);
    d->base = share(d->bytes);
    d->is_dirty = share(d->bytes / PAGE);
    d->log_bytes = share(LOG_BYTES);
    assert_int_equal(pthread_mutexattr_init(&attributes), 0);
    assert_int_equal(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED), 0);
    assert_int_equal(pthread_mutex_init(&d->shared->lock, &attributes), 0);
    (void)pthread_mutexattr_destroy(&attributes);
}

/* Mounts of our own, which end with us, however that may be. */
static bool leave_mounts(tt_block_disk *d)
{
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return refuse(d, "mounts of our own");
    return true;
}

static bool begin_serving(tt_block_disk *d)
{
    char options[100];
    const int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fuse < 0)
        return refuse(d, "/dev/fuse");
    (void)snprintf(options, sizeof options, "fd=%d,rootmode=%o,user_id=0,group_id=0", fuse,
                   (unsigned)S_IFREG);
    if (mount("cairn-torture", d->file, "fuse", MS_NOSUID | MS_NODEV, options) != 0) {
        (void)refuse(d, "mount of a FUSE file");
        (void)close(fuse);
        return false;
    }
    d->is_served = true;
    (void)fflush(NULL);
    d->server = fork();
    if (d->server == 0)
        serve(fuse, d);
    (void)close(fuse);
    return d->server > 0 || refuse(d, "fork");
}

bool tt_disk_open(tt_block_disk *d, const char *dir, uint64_t bytes)
{
    memset(d, 0, sizeof *d);
    d->bytes = bytes;
    share_all(d);
    tk_write_text(dir, "disk", "");
    (void)tk_join(d->file, dir, "disk");
    (void)tk_join(d->mount, dir, "mount");
    assert_true(mkdir(d->mount, 0755) == 0 || errno == EEXIST);
    if (geteuid() != 0) {
        (void)snprintf(d->error, sizeof d->error, "mounts need root");
        return false;
    }
    return leave_mounts(d) && begin_serving(d);
}

void tt_disk_close(tt_block_disk *d)
{
    int status = 0;
    if (d->shared == NULL)
        return;
    tt_disk_set_fault(d, (tt_disk_fault){.write_at = 0});
    if (d->is_mounted)
        (void)umount2(d->mount, MNT_DETACH);
    if (d->is_served)
        (void)umount2(d->file, MNT_DETACH);
    /* A test that failed may have files open there: the disk goes all the same. */
    if (d->server > 0 && d->is_mounted)
        (void)kill(d->server, SIGKILL);
    if (d->server > 0)
        (void)waitpid(d->server, &status, 0);
    (void)pthread_mutex_destroy(&d->shared->lock);
    (void)munmap(d->shared, sizeof *d->shared);
    (void)munmap(d->live, d->bytes);
    (void)munmap(d->base, d->bytes);
    (void)munmap(d->is_dirty, d->bytes / PAGE);
    (void)munmap(d->log_bytes, LOG_BYTES);
    d->shared = NULL;
}

bool tt_disk_make(tt_block_disk *d, const char *const *command)
{
    const char *argv[16] = {NULL};
    int status = 0;
    size_t count = 0;
    for (; command[count] != NULL; count++) {
        assert_true(count < 14);
        argv[count] = command[count];
    }
    argv[count] = d->file;
    (void)fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        union {
            const char *const *in;
            char *const *out;
        } cast = {.in = argv};
        if (null >= 0 && dup2(null, STDOUT_FILENO) >= 0 && dup2(null, STDERR_FILENO) >= 0)
            (void)execvp(argv[0], cast.out);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) != child)
        return refuse(d, "fork");
    if (status != 0)
        (void)snprintf(d->error, sizeof d->error, "%s: %s", argv[0],
                       WIFEXITED(status) && WEXITSTATUS(status) == 127 ? "not installed"
                                                                       : "it failed");
    return status == 0;
}

/* A loop device over the disk's file, gone by itself once nobody has it open; -1 if there is none.
 */
static int attach(tt_block_disk *d, char path[64])
{
    int loop = -1;
    const int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    const int file = open(d->file, O_RDWR | O_CLOEXEC);
    /* Between the two calls somebody else may take the same one. */
    for (int i = 0; i < TRIES && control >= 0 && file >= 0 && loop < 0; i++) {
        const int number = ioctl(control, LOOP_CTL_GET_FREE);
        const struct loop_config config = {.fd = (uint32_t)file,
                                           .block_size = TT_SECTOR,
                                           .info = {.lo_flags = LO_FLAGS_AUTOCLEAR}};
        (void)snprintf(path, 64, "/dev/loop%d", number);
        loop = number >= 0 ? open(path, O_RDWR | O_CLOEXEC) : -1;
        if (loop >= 0 && ioctl(loop, LOOP_CONFIGURE, &config) != 0) {
            (void)close(loop);
            loop = -1;
        }
    }
    if (loop < 0)
        (void)refuse(d, "loop device");
    if (control >= 0)
        (void)close(control);
    if (file >= 0)
        (void)close(file);
    return loop;
}

bool tt_disk_mount(tt_block_disk *d, const char *type, const char *options)
{
    char path[64];
    char what[TT_ERROR_SIZE];
    const int loop = attach(d, path);
    if (loop < 0)
        return false;
    d->is_mounted = mount(path, d->mount, type, MS_NOATIME | MS_NODEV, options) == 0;
    (void)snprintf(what, sizeof what, "mount of %s", type);
    if (!d->is_mounted)
        (void)refuse(d, what);
    (void)close(loop);
    return d->is_mounted;
}

bool tt_disk_unmount(tt_block_disk *d)
{
    d->is_mounted = umount2(d->mount, 0) != 0;
    return !d->is_mounted || refuse(d, "umount");
}

void tt_disk_keep(tt_block_disk *d)
{
    for (uint64_t page = 0; page < d->bytes / PAGE; page++) {
        if (!d->is_dirty[page])
            continue;
        memcpy(d->base + page * PAGE, d->live + page * PAGE, PAGE);
        d->is_dirty[page] = 0;
    }
}

void tt_disk_back(tt_block_disk *d)
{
    for (uint64_t page = 0; page < d->bytes / PAGE; page++) {
        if (!d->is_dirty[page])
            continue;
        memcpy(d->live + page * PAGE, d->base + page * PAGE, PAGE);
        d->is_dirty[page] = 0;
    }
}

void tt_disk_record(tt_block_disk *d, bool is_recording)
{
    (void)pthread_mutex_lock(&d->shared->lock);
    if (is_recording) {
        d->shared->count = 0;
        d->shared->log_bytes = 0;
    }
    d->shared->is_recording = is_recording;
    (void)pthread_mutex_unlock(&d->shared->lock);
    assert_true(d->shared->count < TT_LOG_MAX && d->shared->log_bytes < LOG_BYTES - WRITE_MAX);
}

void tt_disk_event(void *disk, const char *event)
{
    tt_block_disk *const d = disk;
    (void)pthread_mutex_lock(&d->shared->lock);
    add_entry(d, TT_LOG_EVENT, 0, event, strlen(event) + 1);
    (void)pthread_mutex_unlock(&d->shared->lock);
}

void tt_disk_set_fault(tt_block_disk *d, tt_disk_fault fault)
{
    (void)pthread_mutex_lock(&d->shared->lock);
    d->shared->fault = fault;
    d->shared->writes = 0;
    d->shared->flushes = 0;
    d->shared->failed = 0;
    (void)pthread_mutex_unlock(&d->shared->lock);
}

/* ---- After a power cut ------------------------------------------------------------------------
 */

static void apply(tt_block_disk *d, const tt_log_entry *entry, uint64_t from, uint64_t size)
{
    const uint64_t at = entry->offset + from;
    memcpy(d->live + at, d->log_bytes + entry->bytes_at + from, size);
    memset(d->is_dirty + at / PAGE, 1, (at % PAGE + size + PAGE - 1) / PAGE);
}

/* Nothing, all, or some of the sectors. */
static void apply_some(tt_block_disk *d, const tt_log_entry *entry, uint64_t density,
                       uint64_t *random)
{
    if (tt_next(random) % 4 != 0) {
        if (tt_next(random) % 16 < density)
            apply(d, entry, 0, entry->size);
        return;
    }
    for (uint64_t from = 0; from < entry->size; from += TT_SECTOR) {
        if (tt_next(random) % 16 < density)
            apply(d, entry, from, entry->size - from < TT_SECTOR ? entry->size - from : TT_SECTOR);
    }
}

void tt_disk_cut(tt_block_disk *d, size_t end, tt_cut_kind kind, uint64_t *random)
{
    size_t flushed = end;
    const uint64_t density = 1 + tt_next(random) % 15;
    while (flushed > 0 && d->shared->log[flushed - 1].kind != TT_LOG_FLUSH)
        flushed--;
    tt_disk_back(d);
    for (size_t i = 0; i < end; i++) {
        const tt_log_entry *const entry = &d->shared->log[i];
        if (entry->kind != TT_LOG_WRITE)
            continue;
        if (i < flushed || kind == TT_CUT_PREFIX)
            apply(d, entry, 0, entry->size);
        else if (kind == TT_CUT_ANY)
            apply_some(d, entry, density, random);
    }
}
