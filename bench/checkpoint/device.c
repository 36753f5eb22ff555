/* What the device gives to the same program, block size and depth without the engine. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/str.h"
#include "base/try.h"
#include "bench.h"

static const char k_name[] = "device.bin";

enum { DEPTH_MAX = 16 };

/* Blocks of one file, taken by whichever thread is free. */
typedef struct transfer {
    const bench *b;
    int fd;
    bool is_read;
    size_t block;
    uint64_t bytes;
    uint8_t *memory;
    _Atomic uint64_t next;
    _Atomic int error; /* errno of any */
} transfer;

static void *transfer_main(void *argument)
{
    transfer *const t = argument;
    const crn_os *const os = t->b->os;
    for (;;) {
        const uint64_t at = atomic_fetch_add(&t->next, t->block);
        if (at >= t->bytes || atomic_load(&t->error) != 0)
            return NULL;
        const size_t size = t->bytes - at < t->block ? (size_t)(t->bytes - at) : t->block;
        size_t got = size;
        int e = t->is_read ? os->read_at(os, t->fd, t->memory + at, size, at, &got)
                           : os->write_at(os, t->fd, t->memory + at, size, at);
        if (e == 0 && got != size)
            e = EIO;
        if (e != 0)
            atomic_store(&t->error, e);
    }
}

static cairn_status run(transfer *t, unsigned depth, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    pthread_t threads[DEPTH_MAX];
    unsigned count = 0;
    while (count + 1 < depth && count < DEPTH_MAX &&
           crn_thread_start(&threads[count], transfer_main, t, "bench") == 0)
        count++;
    (void)transfer_main(t);
    for (unsigned i = 0; i < count; i++)
        (void)pthread_join(threads[i], NULL);
    const int e = atomic_load(&t->error);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "%s '%s/%s'", t->is_read ? "read" : "write", t->b->folder, k_name);
out:
    return rc;
}

static cairn_status open_file(const bench *b, crn_open_mode mode, bool is_direct, int *out_fd,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    int folder = -1;
    int e = b->os->open(b->os, CRN_OS_CWD, b->folder, CRN_OPEN_DIRECTORY, &folder);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "open '%s'", b->folder);
    e = b->os->open(b->os, folder, k_name, mode, out_fd);
    (void)b->os->close(b->os, folder);
    if (e == 0 && is_direct)
        e = b->os->set_direct(b->os, *out_fd);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "open '%s/%s'", b->folder, k_name);
out:
    return rc;
}

/* The arena is written only while the bytes that are read are those that it holds. */
static uint8_t *arena_of(const bench *b)
{
    return (uint8_t *)(uintptr_t)cairn_state_tree_arena(b->tree);
}

cairn_status bench_device_write(bench *b, bench_way way, size_t block, unsigned depth,
                                bench_io *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    transfer t = {.b = b,
                  .fd = -1,
                  .block = block,
                  .bytes = cairn_state_tree_bytes(b->tree),
                  .memory = arena_of(b)};
    const double start = bench_now(b);
    int e = 0;
    *out = (bench_io){.seconds = 0};
    CRN_TRY_PLAIN(open_file(b, CRN_OPEN_CREATE_NEW, way == BENCH_DIRECT, &t.fd, err));
    if (way == BENCH_DIRECT)
        e = b->os->reserve(b->os, t.fd, t.bytes);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "reserve '%s/%s'", b->folder, k_name);
    out->reserve_seconds = bench_now(b) - start;
    CRN_TRY_PLAIN(run(&t, depth, err));
    const double before_sync = bench_now(b);
    e = b->os->sync(b->os, t.fd);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "fsync '%s/%s'", b->folder, k_name);
    out->sync_seconds = bench_now(b) - before_sync;
out:
    if (t.fd >= 0)
        (void)b->os->close(b->os, t.fd);
    out->seconds = bench_now(b) - start;
    return rc;
}

cairn_status bench_device_read(bench *b, size_t block, unsigned depth, bench_io *out,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    transfer t = {.b = b,
                  .fd = -1,
                  .is_read = true,
                  .block = block,
                  .bytes = cairn_state_tree_bytes(b->tree),
                  .memory = arena_of(b)};
    const double start = bench_now(b);
    *out = (bench_io){.seconds = 0};
    CRN_TRY_PLAIN(open_file(b, CRN_OPEN_READ, true, &t.fd, err));
    CRN_TRY_PLAIN(run(&t, depth, err));
out:
    if (t.fd >= 0)
        (void)b->os->close(b->os, t.fd);
    out->seconds = bench_now(b) - start;
    return rc;
}

void bench_device_remove(const bench *b)
{
    int folder = -1;
    if (b->os->open(b->os, CRN_OS_CWD, b->folder, CRN_OPEN_DIRECTORY, &folder) != 0)
        return;
    (void)b->os->unlink(b->os, folder, k_name); /* It may not be there. */
    (void)b->os->close(b->os, folder);
}
