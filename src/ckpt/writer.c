#include "ckpt/writer.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"

#define NOT_IN_FILE UINT64_MAX

enum {
    THREADS_DEFAULT = 6,
    STAGING_SHARE = 50, /* 2 % */
    /* Most that one call writes: small writes cost throughput, large ones make updates wait. */
    RUN_BYTES = 4 * 1024 * 1024
};
#define STAGING_MIN ((uint64_t)64 * 1024 * 1024)

/* ---- A save, on the threads ---- */

/* Where each region begins in each file. */
static void place_regions(crn_writer *w)
{
    for (size_t f = 0; f < w->job.count; f++) {
        const crn_job_file *const file = &w->job.files[f];
        uint64_t *const begin = w->file_begin + f * w->state_count;
        uint64_t at = file->header.length;
        size_t next = 0;
        for (size_t s = 0; s < w->state_count; s++) {
            const cairn_state *const state = cairn_state_tree_at(w->tree, s);
            const bool is_in = next < file->plan.state_count && file->plan.states[next] == state;
            begin[s] = is_in ? at : NOT_IN_FILE;
            at += is_in ? cairn_state_region_bytes(state) : 0;
            next += is_in;
        }
    }
}

/* The first failure of the full file ends the save; that of an extra leaves the others alone. */
static void fail(crn_writer *w, size_t file, cairn_status status, const cairn_error *error)
{
    (void)pthread_mutex_lock(&w->lock);
    atomic_store(&w->is_file_bad[file], true);
    if (file > 0) {
        if (w->extra_status == CAIRN_OK)
            w->extra_error = *error;
        w->extra_status = w->extra_status == CAIRN_OK ? status : w->extra_status;
    } else if (w->status == CAIRN_OK) {
        w->error = *error;
        w->status = status;
        crn_blocks_abort(&w->blocks);
        (void)pthread_cond_broadcast(&w->changed);
    }
    (void)pthread_mutex_unlock(&w->lock);
}

static void fail_extra(crn_writer *w, size_t file, cairn_status status, cairn_error *error)
{
    crn_error_note(error, status, __FILE__, __LINE__, "write alternative checkpoint '%s'",
                   w->job.files[file].name_template);
    fail(w, file, status, error);
}

static void open_files(crn_writer *w)
{
    cairn_error err = {0};
    crn_block_table_reset(&w->table, &w->job.files[0].plan);
    cairn_status rc = crn_job_headers(&w->job, true, &err);
    if (rc == CAIRN_OK)
        rc = crn_job_begin(&w->job, 0, w->mode, &err);
    if (rc != CAIRN_OK) {
        fail(w, 0, rc, &err);
        return;
    }
    place_regions(w);
    for (size_t f = 1; f < w->job.count; f++) {
        rc = crn_job_begin(&w->job, f, w->mode, &err);
        if (rc != CAIRN_OK)
            fail_extra(w, f, rc, &err);
    }
}

/* Blocks that lie in a row and are written with one call. */
typedef struct run {
    uint32_t first;
    uint32_t count;
    const uint8_t *bytes;
    uint64_t size;
} run;

/* For the digester. */
typedef struct digest_call {
    crn_writer *writer;
    const run *run;
} digest_call;

static void digest_run(void *user)
{
    const digest_call *const call = user;
    crn_writer *const w = call->writer;
    const run *const r = call->run;
    const uint64_t begin = w->table.spans[r->first].offset;
    cairn_error err = {0};
    cairn_status rc = CAIRN_OK;
    for (uint32_t i = r->first; i < r->first + r->count && rc == CAIRN_OK; i++)
        rc = crn_block_table_digest(&w->table, i, r->bytes + (w->table.spans[i].offset - begin),
                                    &w->job.files[0].plan, &err);
    if (rc != CAIRN_OK)
        fail(w, 0, rc, &err);
}

/* Gives the blocks of @r to every file that wants them. */
static void write_run(crn_writer *w, const run *r)
{
    cairn_error err = {0};
    const crn_block_span *const span = &w->table.spans[r->first];
    const uint64_t within = span->offset - span->region_offset;
    for (size_t f = 0; f < w->job.count && !atomic_load(&w->is_file_bad[0]); f++) {
        const uint64_t begin = w->file_begin[f * w->state_count + span->region];
        if (begin == NOT_IN_FILE || atomic_load(&w->is_file_bad[f]))
            continue;
        const cairn_status rc = crn_publish_write(&w->job.files[f].publish, r->bytes,
                                                  (size_t)r->size, begin + within, &err);
        if (rc != CAIRN_OK && f == 0)
            fail(w, f, rc, &err);
        else if (rc != CAIRN_OK)
            fail_extra(w, f, rc, &err);
    }
}

/* The pieces of a subset are some of the full file's, in the same order. */
static void copy_digests(const crn_plan *full, const crn_plan *subset)
{
    size_t from = 0;
    for (size_t i = 0; i < subset->piece_count; i++) {
        const crn_piece *const piece = &subset->pieces[i];
        while (full->pieces[from].arena_offset != piece->arena_offset ||
               full->pieces[from].bytes != piece->bytes)
            from++;
        if (piece->digest != NULL)
            *piece->digest = *full->pieces[from].digest;
        from++;
    }
}

/* All data are there, or the save is given up. */
static void finish(crn_writer *w)
{
    cairn_error err = {0};
    if (w->status == CAIRN_OK) {
        const cairn_status rc = crn_job_commit(&w->job, 0, &err);
        if (rc != CAIRN_OK)
            fail(w, 0, rc, &err);
    }
    for (size_t f = 1; f < w->job.count && w->status == CAIRN_OK; f++) {
        if (atomic_load(&w->is_file_bad[f]))
            continue;
        copy_digests(&w->job.files[0].plan, &w->job.files[f].plan);
        const cairn_status rc = crn_job_commit(&w->job, f, &err);
        if (rc != CAIRN_OK)
            fail_extra(w, f, rc, &err);
    }
    for (size_t f = 0; f < w->job.count; f++)
        crn_publish_end(&w->job.files[f].publish);
    w->times.ended_ns = w->os->monotonic_ns(w->os);
    if (w->job.files[0].is_durable)
        w->index_status = crn_index_write(w->job.store, &w->index_error);
}

/* Runs one phase that a single thread does, without the lock. */
static void run_alone(crn_writer *w, crn_writer_phase during, crn_writer_phase after,
                      void (*step)(crn_writer *w))
{
    w->phase = during;
    (void)pthread_mutex_unlock(&w->lock);
    step(w);
    (void)pthread_mutex_lock(&w->lock);
    w->phase = after;
    (void)pthread_cond_broadcast(&w->work);
}

/* The next block, and those behind it in the arena that can be written with it. */
static bool take_run(crn_writer *w, run *out)
{
    const crn_block_span *const spans = w->table.spans;
    uint32_t block = CRN_BLOCK_NONE;
    uint32_t slot = CRN_BLOCK_NONE;
    if (!crn_blocks_take(&w->blocks, &block, &slot))
        return false;
    *out = (run){.first = block, .count = 1, .size = spans[block].bytes};
    if (slot != CRN_BLOCK_NONE) {
        out->bytes = w->pool + slot * w->slot_bytes;
        return true;
    }
    out->bytes = w->arena + spans[block].offset;
    for (uint32_t i = block + 1;
         i < w->table.count && spans[i].region == spans[block].region &&
         out->size + spans[i].bytes <= w->run_bytes && crn_blocks_take_also(&w->blocks, i);
         i++) {
        out->count++;
        out->size += spans[i].bytes;
    }
    return true;
}

static void finish_run(crn_writer *w, const run *r)
{
    digest_call call = {.writer = w, .run = r};
    crn_digest_job job = {.run = digest_run, .user = &call};
    (void)pthread_mutex_unlock(&w->lock);
    crn_digester_give(w->digester, &job);
    write_run(w, r);
    crn_digester_settle(w->digester, &job);
    (void)pthread_mutex_lock(&w->lock);
    for (uint32_t i = r->first; i < r->first + r->count; i++)
        crn_blocks_done(&w->blocks, i);
    (void)pthread_cond_broadcast(&w->changed);
}

/* So that no save meets the cost of fresh pages. That can take the host of a virtual machine a
 * quarter of a second, which training need not wait for. */
static void populate_pool(crn_writer *w)
{
    if (w->is_pool_asked_for)
        return;
    w->is_pool_asked_for = true;
    (void)pthread_mutex_unlock(&w->lock);
    crn_pages_populate(w->pool, w->pool_bytes);
    (void)pthread_mutex_lock(&w->lock);
}

static void *writer_main(void *argument)
{
    crn_writer *const w = argument;
    run next;
    (void)pthread_mutex_lock(&w->lock);
    populate_pool(w);
    while (!w->is_stopping) {
        if (w->phase == CRN_WRITER_STARTED) {
            run_alone(w, CRN_WRITER_OPENING, CRN_WRITER_WRITING, open_files);
        } else if (w->phase == CRN_WRITER_WRITING && crn_blocks_is_finished(&w->blocks)) {
            run_alone(w, CRN_WRITER_FINISHING, CRN_WRITER_ENDED, finish);
            (void)pthread_cond_broadcast(&w->ended);
        } else if (w->phase == CRN_WRITER_WRITING && take_run(w, &next)) {
            finish_run(w, &next);
        } else {
            (void)pthread_cond_wait(&w->work, &w->lock);
        }
    }
    (void)pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* ---- Making one ---- */

uint64_t crn_staging_most(uint64_t staging_bytes, uint64_t state_bytes)
{
    const uint64_t share = state_bytes / STAGING_SHARE;
    return staging_bytes == CAIRN_STAGING_NONE ? 0
           : staging_bytes > 0                 ? staging_bytes
           : share > STAGING_MIN               ? share
                                               : STAGING_MIN;
}

static uint32_t slot_count(const crn_writer *w, uint64_t staging_bytes)
{
    const uint64_t bytes = crn_staging_most(staging_bytes, cairn_state_tree_bytes(w->tree));
    const uint64_t slots = w->slot_bytes > 0 ? bytes / w->slot_bytes : 0;
    return (uint32_t)(slots < w->table.count ? slots : w->table.count);
}

/* The first thread asks for its pages. */
static cairn_status make_pool(crn_writer *w, uint32_t slots, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    w->pool_bytes = slots * w->slot_bytes;
    if (slots == 0)
        return CAIRN_OK;
    w->pool = crn_pages_alloc(w->pool_bytes);
    CRN_NEED(err, w->pool, "the copies of an asynchronous save");
out:
    return rc;
}

static cairn_status make_locks(crn_writer *w, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    /* With default attributes these do not fail on Linux. */
    w->has_lock =
        pthread_mutex_init(&w->lock, NULL) == 0 && pthread_cond_init(&w->work, NULL) == 0 &&
        pthread_cond_init(&w->changed, NULL) == 0 && pthread_cond_init(&w->ended, NULL) == 0;
    if (!w->has_lock)
        CRN_FAIL(err, CAIRN_ENOMEM, "no memory for the lock of a save");
out:
    return rc;
}

static cairn_status set_up(crn_writer *w, const crn_plan *plan, const crn_writer_options *options,
                           cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const unsigned wanted = options->threads > 0 ? options->threads : THREADS_DEFAULT;
    bool is_locked = false;
    CRN_TRY_PLAIN(crn_block_table_make(&w->table, w->tree, plan, err));
    w->slot_bytes = w->table.max_bytes;
    const uint32_t slots = slot_count(w, options->staging_bytes);
    CRN_TRY_PLAIN(
        crn_blocks_init(&w->blocks, (uint32_t)w->table.count, w->table.order, slots, err));
    CRN_TRY_PLAIN(make_pool(w, slots, err));
    CRN_TRY_PLAIN(make_locks(w, err));
    CRN_TRY_PLAIN(crn_digester_new(&w->digester, err));
    /* None begins before all are made: their stacks would wait for the pages of the pool. */
    (void)pthread_mutex_lock(&w->lock);
    is_locked = true;
    for (; w->thread_count < wanted && w->thread_count < CAIRN_WRITER_THREADS_MAX;
         w->thread_count++) {
        const int e =
            crn_thread_start(&w->threads[w->thread_count], writer_main, w, "cairn-writer");
        if (e != 0)
            CRN_FAIL_ERRNO(err, e, "start a thread that writes checkpoints");
    }
    cairn_state_tree_set_guard(w->tree, &crn_writer_guard, w);
out:
    if (is_locked)
        (void)pthread_mutex_unlock(&w->lock);
    return rc;
}

cairn_status crn_writer_new(const crn_os *os, cairn_state_tree *tree, const crn_plan *plan,
                            const crn_writer_options *options, crn_writer **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_writer *w = crn_calloc(1, sizeof *w);
    CRN_NEED(err, w, "asynchronous saves");
    w->os = os;
    w->tree = tree;
    w->arena = cairn_state_tree_arena(tree);
    w->mode = options->mode;
    w->run_bytes = RUN_BYTES;
    w->state_count = cairn_state_tree_count(tree);
    CRN_TRY_PLAIN(set_up(w, plan, options, err));
    *out = w;
    w = NULL;
out:
    crn_writer_destroy(w);
    return rc;
}

static void stop_threads(crn_writer *w)
{
    (void)pthread_mutex_lock(&w->lock);
    while (w->phase != CRN_WRITER_IDLE && w->phase != CRN_WRITER_ENDED)
        (void)pthread_cond_wait(&w->ended, &w->lock);
    w->is_stopping = true;
    (void)pthread_cond_broadcast(&w->work);
    (void)pthread_mutex_unlock(&w->lock);
    for (unsigned i = 0; i < w->thread_count; i++)
        (void)pthread_join(w->threads[i], NULL);
}

void crn_writer_destroy(crn_writer *w)
{
    if (w == NULL)
        return;
    if (w->has_lock) {
        stop_threads(w);
        (void)pthread_mutex_destroy(&w->lock);
        (void)pthread_cond_destroy(&w->work);
        (void)pthread_cond_destroy(&w->changed);
        (void)pthread_cond_destroy(&w->ended);
    }
    crn_digester_destroy(w->digester);
    cairn_state_tree_set_guard(w->tree, NULL, NULL);
    crn_job_dispose(&w->job);
    crn_blocks_dispose(&w->blocks);
    crn_block_table_dispose(&w->table);
    crn_pages_free(w->pool, w->pool_bytes);
    crn_free(w->file_begin);
    crn_free(w->is_file_bad);
    crn_free(w);
}

/* ---- The owner's side ---- */

cairn_status crn_writer_start(crn_writer *w, crn_job *job, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t *begin = NULL;
    _Atomic bool *is_bad = NULL;
    if (atomic_load(&w->updates) != 0)
        CRN_FAIL(err, CAIRN_EINVAL, "a tensor is being written to: save between two updates");
    begin = crn_calloc(job->count * w->state_count, sizeof *begin);
    is_bad = crn_calloc(job->count, sizeof *is_bad);
    if (begin == NULL || is_bad == NULL)
        CRN_FAIL(err, CAIRN_ENOMEM, "no memory for a save");
    (void)pthread_mutex_lock(&w->lock);
    w->job = *job;
    *job = (crn_job){0};
    w->file_begin = begin;
    w->is_file_bad = is_bad;
    w->status = CAIRN_OK;
    w->extra_status = CAIRN_OK;
    w->index_status = CAIRN_OK;
    w->times = (crn_writer_times){.started_ns = w->os->monotonic_ns(w->os)};
    crn_blocks_capture(&w->blocks);
    w->phase = CRN_WRITER_STARTED;
    (void)pthread_cond_broadcast(&w->work);
    (void)pthread_mutex_unlock(&w->lock);
    begin = NULL;
    is_bad = NULL;
out:
    crn_free(begin);
    crn_free(is_bad);
    return rc;
}

static crn_writer_phase phase_of(crn_writer *w)
{
    (void)pthread_mutex_lock(&w->lock);
    const crn_writer_phase phase = w->phase;
    (void)pthread_mutex_unlock(&w->lock);
    return phase;
}

bool crn_writer_is_idle(crn_writer *w)
{
    return phase_of(w) == CRN_WRITER_IDLE;
}

bool crn_writer_has_ended(crn_writer *w)
{
    return phase_of(w) == CRN_WRITER_ENDED;
}

void crn_writer_wait(crn_writer *w)
{
    (void)pthread_mutex_lock(&w->lock);
    while (w->phase != CRN_WRITER_ENDED)
        (void)pthread_cond_wait(&w->ended, &w->lock);
    (void)pthread_mutex_unlock(&w->lock);
}

cairn_status crn_writer_collect(crn_writer *w, crn_job *out_job, crn_writer_times *out_times,
                                cairn_error *err)
{
    (void)pthread_mutex_lock(&w->lock);
    const cairn_status rc = w->status != CAIRN_OK ? w->status : w->extra_status;
    if (rc != CAIRN_OK && err != NULL)
        *err = w->status != CAIRN_OK ? w->error : w->extra_error;
    *out_job = w->job;
    *out_times = w->times;
    w->job = (crn_job){0};
    crn_free(w->file_begin);
    crn_free(w->is_file_bad);
    w->file_begin = NULL;
    w->is_file_bad = NULL;
    w->phase = CRN_WRITER_IDLE;
    (void)pthread_mutex_unlock(&w->lock);
    return rc;
}
