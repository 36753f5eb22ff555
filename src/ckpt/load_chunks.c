#include "ckpt/load_chunks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"

/* A chunk is read as one tile of the write guard. */
_Static_assert((int)CRN_FORMAT_CHUNK_BYTES <= (int)CAIRN_WRITE_TILE_BYTES, "a chunk is a tile");

enum {
    READERS_MAX = 4,
    /* Less is not worth a second descriptor and threads. */
    DIRECT_MIN_BYTES = 16 * 1024 * 1024,
    /* What lies between two chunks and is not wanted is read over if it is no more. */
    SKIP_MAX_BYTES = 64 * 1024,
    /* A shorter run of pages is not worth a piece of its own. */
    STRAIGHT_MIN_BYTES = 64 * 1024,
    PARTS_MAX = 2 * (CRN_FORMAT_CHUNK_BYTES / STRAIGHT_MIN_BYTES) + 1,
    /* A group with the rest of its first and its last page. */
    BUFFER_BYTES = CRN_FORMAT_CHUNK_BYTES + 2 * CAIRN_PAGE_BYTES
};
_Static_assert((int)PARTS_MAX <= (int)CRN_OS_PARTS_MAX, "one call takes the pieces of a group");

typedef struct chunk {
    const crn_match *match;
    uint64_t index; /* in its tensor */
    uint64_t begin; /* in the file */
    uint64_t end;
    uint8_t *to; /* in the arena, while its group is read */
} chunk;

/* What all readers share. */
typedef struct pool {
    const crn_load *load;
    chunk *chunks; /* in file order */
    size_t count;
    uint64_t bytes;
    int direct_fd;          /* -1: none */
    _Atomic bool is_direct; /* until a read says that it cannot be */
    pthread_mutex_t lock;   /* over all that follows */
    size_t next;
    const chunk *failed_at; /* first chunk of the group that failed; NULL: none */
    cairn_status status;
    cairn_error error;
} pool;

typedef struct reader {
    pool *pool;
    uint8_t *buffer; /* BUFFER_BYTES, in pages */
    pthread_t thread;
} reader;

/* Chunks that are read together. */
typedef struct group {
    chunk *chunks;
    size_t count;
    uint64_t unit;  /* what places, sizes and memory are multiples of: a page if direct, else 1 */
    uint64_t begin; /* of the read in the file */
    uint64_t end;
    uint8_t *buffer; /* byte @begin of the file comes first */
    crn_os_part parts[PARTS_MAX];
    size_t part_count;
} group;

/* ---- One group ---- */

static uint64_t round_down(uint64_t offset, uint64_t unit)
{
    return offset - offset % unit;
}

static uint64_t round_up(uint64_t offset, uint64_t unit)
{
    return round_down(offset + unit - 1, unit);
}

/* The bytes of @c that go straight to the arena; none: *from and *to are where @c begins. */
static void straight_range(const group *g, const chunk *c, uint64_t *from, uint64_t *to)
{
    const uint64_t begin = round_up(c->begin, g->unit);
    const uint64_t end = round_down(c->end, g->unit);
    const bool is_straight =
        end >= begin + STRAIGHT_MIN_BYTES && ((uintptr_t)c->to + (begin - c->begin)) % g->unit == 0;
    *from = is_straight ? begin : c->begin;
    *to = is_straight ? end : c->begin;
}

static void add_part(group *g, uint8_t *bytes, uint64_t size)
{
    if (size > 0)
        g->parts[g->part_count++] = (crn_os_part){.bytes = bytes, .size = (size_t)size};
}

/* Says where each byte of the read goes. */
static void plan_parts(group *g)
{
    uint64_t at = g->begin;
    g->part_count = 0;
    for (size_t i = 0; i < g->count; i++) {
        const chunk *const c = &g->chunks[i];
        uint64_t from = 0;
        uint64_t to = 0;
        straight_range(g, c, &from, &to);
        if (to == from)
            continue;
        add_part(g, g->buffer + (at - g->begin), from - at);
        add_part(g, c->to + (from - c->begin), to - from);
        at = to;
    }
    add_part(g, g->buffer + (at - g->begin), g->end - at);
}

/* Copies what did not go straight to its place. */
static void copy_rest(const group *g)
{
    for (size_t i = 0; i < g->count; i++) {
        const chunk *const c = &g->chunks[i];
        const uint8_t *const bytes = g->buffer + (c->begin - g->begin);
        uint64_t from = 0;
        uint64_t to = 0;
        straight_range(g, c, &from, &to);
        memcpy(c->to, bytes, (size_t)(from - c->begin));
        memcpy(c->to + (to - c->begin), bytes + (to - c->begin), (size_t)(c->end - to));
    }
}

/* Reads the group as it is planned for @unit; an errno value. */
static int read_as(const pool *p, group *g, uint64_t unit, size_t *out_got)
{
    const cairn_checkpoint *const ckpt = p->load->ckpt;
    g->unit = unit;
    g->begin = round_down(g->chunks[0].begin, unit);
    g->end = round_up(g->chunks[g->count - 1].end, unit);
    plan_parts(g);
    return ckpt->os->read_parts(ckpt->os, unit > 1 ? p->direct_fd : ckpt->fd, g->parts,
                                g->part_count, g->begin, out_got);
}

/* Fills the chunks' places, through the page cache where it cannot be helped. */
static cairn_status read_bytes(pool *p, group *g, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_checkpoint *const ckpt = p->load->ckpt;
    size_t got = 0;
    int e = EINVAL;
    /* The last page of a file need not be whole. */
    const uint64_t end = round_up(g->chunks[g->count - 1].end, CAIRN_PAGE_BYTES);
    if (end <= ckpt->stat.size && atomic_load(&p->is_direct)) {
        e = read_as(p, g, CAIRN_PAGE_BYTES, &got);
        if (e == EINVAL)
            atomic_store(&p->is_direct, false);
    }
    if (e == EINVAL)
        e = read_as(p, g, 1, &got);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "read %" PRIu64 " bytes of '%s' at byte %" PRIu64, g->end - g->begin,
                       ckpt->path, g->begin);
    if (got < g->end - g->begin)
        CRN_FAIL(err, CAIRN_ECORRUPT,
                 "'%s' is damaged: it ended at byte %" PRIu64 " while it was read (E_CHANGED)",
                 ckpt->path, g->begin + got);
    copy_rest(g);
out:
    return rc;
}

static cairn_status read_group(pool *p, group *g, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_load *const load = p->load;
    size_t begun = 0;
    for (; begun < g->count; begun++) {
        chunk *const c = &g->chunks[begun];
        c->to = cairn_tensor_write_begin(load->tree, c->match->tensor,
                                         c->index * CRN_FORMAT_CHUNK_BYTES, c->end - c->begin);
    }
    CRN_TRY_PLAIN(read_bytes(p, g, err));
    for (size_t i = 0; i < g->count; i++)
        CRN_TRY_PLAIN(crn_load_check_chunk(load->ckpt, g->chunks[i].match->source,
                                           g->chunks[i].index, g->chunks[i].to, err));
out:
    for (size_t i = 0; i < begun; i++)
        cairn_tensor_write_end(load->tree, g->chunks[i].match->tensor,
                               g->chunks[i].index * CRN_FORMAT_CHUNK_BYTES,
                               g->chunks[i].end - g->chunks[i].begin);
    return rc;
}

/* ---- The readers ---- */

/* How many chunks from @first on are read with it. */
static size_t group_count(const pool *p, size_t first)
{
    size_t i = first + 1;
    while (i < p->count && p->chunks[i].begin >= p->chunks[i - 1].end &&
           p->chunks[i].begin - p->chunks[i - 1].end <= SKIP_MAX_BYTES &&
           p->chunks[i].end - p->chunks[first].begin <= CRN_FORMAT_CHUNK_BYTES)
        i++;
    return i - first;
}

/* The next group, in file order; false: there is no more to do. */
static bool take_group(pool *p, group *g)
{
    (void)pthread_mutex_lock(&p->lock);
    const bool is_there = p->failed_at == NULL && p->next < p->count;
    if (is_there) {
        g->chunks = &p->chunks[p->next];
        g->count = group_count(p, p->next);
        p->next += g->count;
    }
    (void)pthread_mutex_unlock(&p->lock);
    return is_there;
}

/* The first failure in the file is told: every group before it was taken before it. */
static void fail(pool *p, const group *g, cairn_status status, const cairn_error *error)
{
    (void)pthread_mutex_lock(&p->lock);
    if (p->failed_at == NULL || g->chunks < p->failed_at) {
        p->failed_at = g->chunks;
        p->status = status;
        p->error = *error;
    }
    (void)pthread_mutex_unlock(&p->lock);
}

static void *reader_main(void *argument)
{
    const reader *const r = argument;
    group g = {.buffer = r->buffer};
    while (take_group(r->pool, &g)) {
        cairn_error err = {0};
        const cairn_status rc = read_group(r->pool, &g, &err);
        if (rc != CAIRN_OK)
            fail(r->pool, &g, rc, &err);
    }
    return NULL;
}

/* The caller is the first of the readers. A thread that cannot be had is one fewer. */
static cairn_status run_readers(pool *p, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    reader readers[READERS_MAX] = {{.pool = p}};
    size_t wanted = (size_t)(p->bytes / CRN_FORMAT_CHUNK_BYTES) + 1;
    size_t started = 1;
    wanted = wanted < READERS_MAX ? wanted : READERS_MAX;
    for (size_t i = 0; i < wanted; i++) {
        readers[i] = (reader){.pool = p, .buffer = crn_pages_alloc(BUFFER_BYTES)};
        CRN_NEED(err, readers[i].buffer, "a buffer to read into");
    }
    while (started < wanted && crn_thread_start(&readers[started].thread, reader_main,
                                                &readers[started], "cairn-reader") == 0)
        started++;
    (void)reader_main(&readers[0]);
    for (size_t i = 1; i < started; i++)
        (void)pthread_join(readers[i].thread, NULL);
    rc = p->status;
    if (rc != CAIRN_OK && err != NULL)
        *err = p->error;
out:
    for (size_t i = 0; i < READERS_MAX; i++)
        crn_pages_free(readers[i].buffer, BUFFER_BYTES);
    return rc;
}

/* A second descriptor of the same file for direct reads; it is a matter of speed only. */
static void open_direct(pool *p)
{
    const cairn_checkpoint *const ckpt = p->load->ckpt;
    const crn_os *const os = ckpt->os;
    crn_file_stat stat;
    int fd = -1;
    if (p->bytes < DIRECT_MIN_BYTES ||
        os->open(os, CRN_OS_CWD, ckpt->path, CRN_OPEN_READ, &fd) != 0)
        return;
    if (os->stat_fd(os, fd, &stat) == 0 && stat.inode == ckpt->stat.inode &&
        stat.size == ckpt->stat.size && stat.mtime_ns == ckpt->stat.mtime_ns &&
        os->set_direct(os, fd) == 0) {
        p->direct_fd = fd;
        atomic_store(&p->is_direct, true);
    } else {
        (void)os->close(os, fd); /* Nothing was read. */
    }
}

/* ---- What there is to read ---- */

static int compare_chunks(const void *a, const void *b)
{
    const chunk *const x = a;
    const chunk *const y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

static cairn_status list_chunks(pool *p, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_load *const load = p->load;
    size_t total = 0;
    for (size_t i = 0; i < load->match_count; i++)
        total += load->matches[i].source != NULL
                     ? (size_t)crn_chunk_count(load->matches[i].tensor->bytes)
                     : 0;
    p->chunks = crn_calloc(total, sizeof *p->chunks);
    CRN_NEED(err, p->chunks, "a load");
    for (size_t i = 0; i < load->match_count; i++) {
        const crn_match *const match = &load->matches[i];
        if (match->source == NULL)
            continue;
        for (uint64_t j = 0; j < crn_chunk_count(match->tensor->bytes); j++) {
            const uint64_t begin =
                load->ckpt->data_begin + match->source->entry->begin + j * CRN_FORMAT_CHUNK_BYTES;
            const size_t size = crn_load_chunk_size(match->tensor->bytes, j);
            p->chunks[p->count++] =
                (chunk){.match = match, .index = j, .begin = begin, .end = begin + size};
            p->bytes += size;
        }
    }
    if (p->count > 0)
        qsort(p->chunks, p->count, sizeof *p->chunks, compare_chunks);
out:
    return rc;
}

cairn_status crn_load_chunks(crn_load *load, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = load->ckpt->os;
    pool p = {.load = load, .direct_fd = -1};
    CRN_TRY_PLAIN(list_chunks(&p, err));
    if (pthread_mutex_init(&p.lock, NULL) != 0)
        CRN_FAIL(err, CAIRN_ENOMEM, "no memory for the lock of a load");
    open_direct(&p);
    rc = run_readers(&p, err);
    if (p.direct_fd >= 0)
        (void)os->close(os, p.direct_fd); /* Only read. */
    (void)pthread_mutex_destroy(&p.lock);
out:
    crn_free(p.chunks);
    return rc;
}

size_t crn_load_chunk_size(uint64_t bytes, uint64_t i)
{
    const uint64_t left = bytes - i * CRN_FORMAT_CHUNK_BYTES;
    return left < CRN_FORMAT_CHUNK_BYTES ? (size_t)left : (size_t)CRN_FORMAT_CHUNK_BYTES;
}

cairn_status crn_load_check_chunk(const cairn_checkpoint *ckpt, const crn_read_tensor *source,
                                  uint64_t i, const void *bytes, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_file_entry *const entry = source->entry;
    const size_t size = crn_load_chunk_size(entry->bytes, i);
    const uint64_t offset = ckpt->data_begin + entry->begin + i * CRN_FORMAT_CHUNK_BYTES;
    const crn_digest actual = crn_hash(bytes, size);
    char shown[200];
    if (!crn_chunk_is_intact(source, i, &actual))
        CRN_FAIL(err, CAIRN_ECORRUPT,
                 "'%s' is damaged: tensor '%s' does not match its digest between bytes %" PRIu64
                 " and %" PRIu64 " of the file",
                 ckpt->path, crn_escape(entry->name, entry->name_length, shown, sizeof shown),
                 offset, offset + size);
out:
    return rc;
}
