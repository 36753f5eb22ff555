/* The write guard: what an update does before it writes to a block. */
#include <string.h>

#include "ckpt/writer.h"

/* With the lock. The time counts once, however many updaters wait at once. */
static void begin_waiting(crn_writer *w)
{
    if (w->waiting++ == 0)
        w->waiting_since = w->os->monotonic_ns(w->os);
}

static void end_waiting(crn_writer *w)
{
    if (--w->waiting == 0)
        w->times.waited_ns += w->os->monotonic_ns(w->os) - w->waiting_since;
}

/* Leaves the lock for the time of the copy: the block is COPYING, so nobody else touches it. */
static void copy_aside(crn_writer *w, uint32_t block, uint32_t slot)
{
    const crn_block_span *const span = &w->table.spans[block];
    (void)pthread_mutex_unlock(&w->lock);
    memcpy(w->pool + slot * w->slot_bytes, w->arena + span->offset, (size_t)span->bytes);
    (void)pthread_mutex_lock(&w->lock);
    w->times.copied_bytes += span->bytes;
    crn_blocks_copied(&w->blocks, block);
    (void)pthread_cond_broadcast(&w->work);
    (void)pthread_cond_broadcast(&w->changed);
}

static void wait_for_block(crn_writer *w, uint32_t block)
{
    bool may_go = false;
    (void)pthread_mutex_lock(&w->lock);
    begin_waiting(w);
    while (!may_go) {
        uint32_t slot = CRN_BLOCK_NONE;
        switch (crn_blocks_enter(&w->blocks, block, &slot)) {
        case CRN_ENTER_GO:
            may_go = true;
            break;
        case CRN_ENTER_COPY:
            copy_aside(w, block, slot);
            may_go = true;
            break;
        case CRN_ENTER_WAIT:
            (void)pthread_cond_wait(&w->changed, &w->lock);
            break;
        }
    }
    end_waiting(w);
    (void)pthread_mutex_unlock(&w->lock);
}

static void guard_begin(void *self, uint64_t offset, uint64_t bytes)
{
    crn_writer *const w = self;
    (void)atomic_fetch_add(&w->updates, 1);
    if (bytes == 0)
        return;
    const uint32_t last = crn_block_table_find(&w->table, offset + bytes - 1);
    for (uint32_t i = crn_block_table_find(&w->table, offset); i <= last; i++) {
        if (!crn_blocks_may_write(&w->blocks, i))
            wait_for_block(w, i);
    }
}

static void guard_end(void *self, uint64_t offset, uint64_t bytes)
{
    crn_writer *const w = self;
    (void)offset;
    (void)bytes;
    (void)atomic_fetch_sub(&w->updates, 1);
}

const cairn_write_guard_ops crn_writer_guard = {
    .struct_size = sizeof(cairn_write_guard_ops),
    .begin = guard_begin,
    .end = guard_end,
};
