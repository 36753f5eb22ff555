#include "ckpt/blocks.h"

#include <string.h>

#include "base/mem.h"
#include "base/try.h"

static crn_block_state state_of(const crn_blocks *b, uint32_t i)
{
    return (crn_block_state)atomic_load_explicit(&b->blocks[i].state, memory_order_acquire);
}

/* Release: whoever sees the new state sees what was done before it. */
static void set_state(crn_blocks *b, uint32_t i, crn_block_state state)
{
    atomic_store_explicit(&b->blocks[i].state, (uint32_t)state, memory_order_release);
}

cairn_status crn_blocks_init(crn_blocks *b, uint32_t count, const uint32_t *order, uint32_t slots,
                             cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    *b = (crn_blocks){.head = CRN_BLOCK_NONE};
    b->blocks = crn_calloc(count, sizeof *b->blocks);
    CRN_NEED(err, b->blocks, "the blocks of a save");
    b->order = crn_calloc(count, sizeof *b->order);
    CRN_NEED(err, b->order, "the blocks of a save");
    b->free_slots = crn_calloc(slots, sizeof *b->free_slots);
    CRN_NEED(err, b->free_slots, "the blocks of a save");
    b->count = count;
    b->slot_count = slots;
    b->free_slot_count = slots;
    for (uint32_t i = 0; i < count; i++) {
        atomic_init(&b->blocks[i].state, CRN_BLOCK_FREE);
        b->blocks[i].slot = CRN_BLOCK_NONE;
        b->order[i] = order != NULL ? order[i] : i;
    }
    for (uint32_t i = 0; i < slots; i++)
        b->free_slots[i] = slots - 1 - i; /* The lowest is given first. */
out:
    return rc;
}

void crn_blocks_dispose(crn_blocks *b)
{
    crn_free(b->blocks);
    crn_free(b->order);
    crn_free(b->free_slots);
    *b = (crn_blocks){.head = CRN_BLOCK_NONE};
}

static void push_head(crn_blocks *b, uint32_t i)
{
    crn_block *const block = &b->blocks[i];
    block->next = b->head;
    block->previous = CRN_BLOCK_NONE;
    block->is_queued = true;
    if (b->head != CRN_BLOCK_NONE)
        b->blocks[b->head].previous = i;
    b->head = i;
}

static void unlink_block(crn_blocks *b, uint32_t i)
{
    crn_block *const block = &b->blocks[i];
    if (block->previous != CRN_BLOCK_NONE)
        b->blocks[block->previous].next = block->next;
    else
        b->head = block->next;
    if (block->next != CRN_BLOCK_NONE)
        b->blocks[block->next].previous = block->previous;
    block->is_queued = false;
}

/* The save needs the block no more. */
static void set_free(crn_blocks *b, uint32_t i)
{
    crn_block *const block = &b->blocks[i];
    if (block->slot != CRN_BLOCK_NONE)
        b->free_slots[b->free_slot_count++] = block->slot;
    block->slot = CRN_BLOCK_NONE;
    b->left--;
    set_state(b, i, CRN_BLOCK_FREE);
}

void crn_blocks_capture(crn_blocks *b)
{
    b->is_aborted = false;
    b->left = b->count;
    for (uint32_t i = b->count; i > 0; i--) {
        set_state(b, b->order[i - 1], CRN_BLOCK_PENDING);
        push_head(b, b->order[i - 1]);
    }
}

bool crn_blocks_is_finished(const crn_blocks *b)
{
    return b->left == 0;
}

void crn_blocks_abort(crn_blocks *b)
{
    b->is_aborted = true;
    while (b->head != CRN_BLOCK_NONE) {
        const uint32_t i = b->head;
        unlink_block(b, i);
        if (state_of(b, i) != CRN_BLOCK_COPYING)
            set_free(b, i);
    }
}

bool crn_blocks_may_write(const crn_blocks *b, uint32_t i)
{
    const crn_block_state state = state_of(b, i);
    return state == CRN_BLOCK_FREE || state == CRN_BLOCK_STAGED;
}

crn_enter crn_blocks_enter(crn_blocks *b, uint32_t i, uint32_t *out_slot)
{
    crn_block *const block = &b->blocks[i];
    if (crn_blocks_may_write(b, i))
        return CRN_ENTER_GO;
    if (state_of(b, i) != CRN_BLOCK_PENDING)
        return CRN_ENTER_WAIT;
    if (b->free_slot_count == 0) {
        unlink_block(b, i);
        push_head(b, i);
        return CRN_ENTER_WAIT;
    }
    block->slot = b->free_slots[--b->free_slot_count];
    set_state(b, i, CRN_BLOCK_COPYING); /* It keeps its place in the queue. */
    *out_slot = block->slot;
    return CRN_ENTER_COPY;
}

void crn_blocks_copied(crn_blocks *b, uint32_t i)
{
    if (b->is_aborted)
        set_free(b, i); /* Abort took it out of the queue. */
    else
        set_state(b, i, CRN_BLOCK_STAGED);
}

bool crn_blocks_take(crn_blocks *b, uint32_t *out_block, uint32_t *out_slot)
{
    uint32_t i = b->head;
    while (i != CRN_BLOCK_NONE && state_of(b, i) == CRN_BLOCK_COPYING)
        i = b->blocks[i].next;
    if (i == CRN_BLOCK_NONE)
        return false;
    unlink_block(b, i);
    if (state_of(b, i) == CRN_BLOCK_PENDING)
        set_state(b, i, CRN_BLOCK_BUSY);
    *out_block = i;
    *out_slot = b->blocks[i].slot;
    return true;
}

bool crn_blocks_take_also(crn_blocks *b, uint32_t i)
{
    if (state_of(b, i) != CRN_BLOCK_PENDING)
        return false;
    unlink_block(b, i); /* A PENDING block is always in the queue. */
    set_state(b, i, CRN_BLOCK_BUSY);
    return true;
}

void crn_blocks_done(crn_blocks *b, uint32_t i)
{
    set_free(b, i);
}
