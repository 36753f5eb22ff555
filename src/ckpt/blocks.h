/*
 * The state machine of an asynchronous save: who may touch which block of the arena. Pure state,
 * no threads, no waiting: guard.c calls it with a lock held, blocks_model_test.c in every order.
 *
 *            capture            take                done
 *     FREE ----------> PENDING -------> BUSY ---------------------> FREE
 *                         |                                          ^
 *                         | enter (a slot is free)                   | done (slot freed)
 *                         v                                          |
 *                      COPYING ------------------> STAGED -----------+
 *                                    copied                (taken once in between)
 *
 * Updaters write to FREE and STAGED blocks only. A block is BUSY while the writer reads it from
 * the arena; a STAGED one is read from its slot. The writer never waits for an updater: it skips
 * COPYING blocks. With no slot free an updater moves its block to the head of the queue and waits
 * for one write. After an abort PENDING and queued STAGED blocks are FREE at once; BUSY and COPYING
 * ones become so when the one call that holds them ends.
 *
 * Thread safety: crn_blocks_may_write at any time; all else under one lock of the caller's.
 */
#ifndef CRN_CKPT_BLOCKS_H
#define CRN_CKPT_BLOCKS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cairn/error.h"

typedef enum crn_block_state {
    CRN_BLOCK_FREE,
    CRN_BLOCK_PENDING,
    CRN_BLOCK_BUSY,
    CRN_BLOCK_COPYING,
    CRN_BLOCK_STAGED
} crn_block_state;

#define CRN_BLOCK_NONE UINT32_MAX /* no block, no slot */

typedef struct crn_block {
    _Atomic uint32_t state; /* changed under the lock; read without it by crn_blocks_may_write */
    uint32_t slot;          /* COPYING, STAGED */
    uint32_t next;          /* in the queue */
    uint32_t previous;
    bool is_queued;
} crn_block;

typedef struct crn_blocks {
    crn_block *blocks;
    uint32_t count;
    uint32_t *order;      /* in which they are captured, and without urgency taken */
    uint32_t head;        /* of the queue: PENDING, COPYING and STAGED blocks not taken yet */
    uint32_t left;        /* blocks that are not FREE */
    uint32_t *free_slots; /* [free_slot_count] of [slot_count] */
    uint32_t slot_count;
    uint32_t free_slot_count;
    bool is_aborted;
} crn_blocks;

/*
 * All blocks FREE. @order: a permutation of [0, count), copied; NULL: as numbered. Usable, and to
 * be disposed of, whatever is returned.
 */
cairn_status crn_blocks_init(crn_blocks *b, uint32_t count, const uint32_t *order, uint32_t slots,
                             cairn_error *err);
void crn_blocks_dispose(crn_blocks *b);

/* All blocks become PENDING. Only when crn_blocks_is_finished, and while nobody updates. */
void crn_blocks_capture(crn_blocks *b);
/* No block is wanted any more: the save has all of them, or gave up. */
bool crn_blocks_is_finished(const crn_blocks *b);
/* Gives the save up. */
void crn_blocks_abort(crn_blocks *b);

/* ---- The updater's side ---- */

/*
 * Whether block @i may be written: true remains true until the next capture. Needs no lock; what
 * the writer read before it freed the block has happened before.
 */
bool crn_blocks_may_write(const crn_blocks *b, uint32_t i);

typedef enum crn_enter {
    CRN_ENTER_GO,   /* write */
    CRN_ENTER_COPY, /* copy the block into *out_slot without the lock, then crn_blocks_copied */
    CRN_ENTER_WAIT  /* ask again after any done, copied or abort; the block is urgent now */
} crn_enter;

crn_enter crn_blocks_enter(crn_blocks *b, uint32_t i, uint32_t *out_slot);
/* The copy is complete: the block may be written. */
void crn_blocks_copied(crn_blocks *b, uint32_t i);

/* ---- The writer's side ---- */

/*
 * The next block to write; false: none is ready now. *out_slot is where it lies, CRN_BLOCK_NONE in
 * the arena. It stays as it is until crn_blocks_done.
 */
bool crn_blocks_take(crn_blocks *b, uint32_t *out_block, uint32_t *out_slot);
/* Takes block @i too if it waits in the arena: what lies in a row is written with one call. */
bool crn_blocks_take_also(crn_blocks *b, uint32_t i);
/* Every file that wants the block has it, or the save is given up. */
void crn_blocks_done(crn_blocks *b, uint32_t i);

#endif
