/*
 * How the arena is cut into blocks: the units that are hashed, copied aside and written.
 *
 * A block is whole pages of one region, at most 4 MiB, and begins a new one at each chunk of a
 * large tensor, so that it never holds bytes of two of them and each chunk is hashed in one go.
 * Small tensors share blocks; the cut is made between two of them where a page ends there. Where
 * none does within 4 MiB, a small tensor lies in two blocks: its halves are gathered in a splice,
 * whichever comes first, and hashed when both are there.
 */
#ifndef CRN_CKPT_BLOCK_TABLE_H
#define CRN_CKPT_BLOCK_TABLE_H

#include "ckpt/blocks.h"
#include "ckpt/plan.h"

typedef struct crn_block_span {
    uint64_t offset; /* in the arena */
    uint64_t bytes;
    uint64_t region_offset; /* of the region that it lies in */
    uint32_t region;        /* number of the state in the tree */
    uint32_t last_splice;   /* of the piece that its end cuts; CRN_BLOCK_NONE */
    size_t piece_begin;     /* pieces of a full plan that have bytes here */
    size_t piece_end;
} crn_block_span;

typedef struct crn_splice {
    uint8_t *bytes;
    uint64_t size;
    _Atomic uint32_t halves_left; /* of this save */
} crn_splice;

typedef struct crn_block_table {
    crn_block_span *spans; /* by offset */
    size_t count;
    size_t capacity;
    uint32_t *order; /* what updates touch together, together: by relative place in the region */
    crn_splice *splices;
    size_t splice_count;
    size_t splice_capacity;
    uint64_t max_bytes;
} crn_block_table;

/* @plan: of a full file of @tree; any other such plan has the same pieces. @out is to be disposed
 * of, whatever is returned. */
cairn_status crn_block_table_make(crn_block_table *out, const cairn_state_tree *tree,
                                  const crn_plan *plan, cairn_error *err);
void crn_block_table_dispose(crn_block_table *table);

/* The block that holds byte @offset of the arena. */
uint32_t crn_block_table_find(const crn_block_table *table, uint64_t offset);

/* Before each save; digests tensors without bytes, which lie in no block. */
void crn_block_table_reset(crn_block_table *table, const crn_plan *plan);
/*
 * Digests what block @i, whose bytes are at @bytes, has of @plan's pieces. Several threads may do
 * different blocks at once. @retval CAIRN_EBUG  A gap is not zero.
 */
cairn_status crn_block_table_digest(crn_block_table *table, uint32_t i, const uint8_t *bytes,
                                    const crn_plan *plan, cairn_error *err);

#endif
