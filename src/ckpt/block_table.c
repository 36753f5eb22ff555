#include "ckpt/block_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"

typedef struct cutter {
    crn_block_table *table;
    const cairn_state_tree *tree;
    const crn_plan *plan;
    uint64_t begin;     /* of the block that grows */
    uint64_t clean;     /* the last page boundary behind it that cuts no piece */
    size_t piece_begin; /* first piece of it */
    uint32_t region;    /* where it lies */
    uint64_t region_offset;
    uint64_t region_end;
} cutter;

static bool is_page(uint64_t offset)
{
    return offset % CAIRN_PAGE_BYTES == 0;
}

/* Ends the block at @end, which cuts piece @cut in two (CRN_BLOCK_NONE: none). */
static cairn_status cut_at(cutter *c, uint64_t end, size_t piece_end, const crn_piece *cut,
                           cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_block_table *const t = c->table;
    crn_block_span span = {
        .offset = c->begin,
        .bytes = end - c->begin,
        .region_offset = c->region_offset,
        .region = c->region,
        .last_splice = CRN_BLOCK_NONE,
        .piece_begin = c->piece_begin,
        .piece_end = piece_end,
    };
    if (cut != NULL) {
        CRN_TRY_PLAIN(crn_grow(&t->splices, &t->splice_capacity, t->splice_count + 1,
                               sizeof *t->splices, err));
        span.last_splice = (uint32_t)t->splice_count;
        t->splices[t->splice_count].size = cut->bytes;
        t->splices[t->splice_count++].bytes = crn_calloc((size_t)cut->bytes, 1);
        CRN_NEED(err, t->splices[t->splice_count - 1].bytes, "a tensor in two blocks");
    }
    CRN_TRY_PLAIN(crn_grow(&t->spans, &t->capacity, t->count + 1, sizeof *t->spans, err));
    t->spans[t->count++] = span;
    t->max_bytes = span.bytes > t->max_bytes ? span.bytes : t->max_bytes;
    c->begin = end;
    c->clean = end;
    c->piece_begin = cut != NULL ? piece_end - 1 : piece_end;
out:
    return rc;
}

/* The piece @i begins at a boundary that no block may cross. */
static bool is_forced(const cutter *c, const crn_piece *piece)
{
    return piece->arena_offset == c->region_end ||
           (piece->digest != NULL && piece->bytes >= CAIRN_LARGE_BYTES);
}

static void enter_region(cutter *c, uint64_t offset)
{
    while (offset >= c->region_end) {
        const cairn_state *const state = cairn_state_tree_at(c->tree, ++c->region);
        c->region_offset = c->region_end;
        c->region_end += cairn_state_region_bytes(state);
    }
}

/* The first piece at or behind @offset, counted back from @piece. */
static size_t piece_at(const crn_plan *plan, size_t piece, uint64_t offset)
{
    while (piece > 0 && plan->pieces[piece - 1].arena_offset >= offset)
        piece--;
    return piece;
}

/* Piece @i does not fit behind what the block has. */
static cairn_status cut_before_end_of(cutter *c, size_t i, cairn_error *err)
{
    const crn_piece *const piece = &c->plan->pieces[i];
    if (c->clean > c->begin)
        return cut_at(c, c->clean, piece_at(c->plan, i + 1, c->clean), NULL, err);
    return cut_at(c, c->begin + CRN_FORMAT_CHUNK_BYTES, i + 1, piece, err);
}

static cairn_status cut_pieces(cutter *c, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_plan *const plan = c->plan;
    for (size_t i = 0; i < plan->piece_count; i++) {
        const crn_piece *const piece = &plan->pieces[i];
        const uint64_t at = piece->arena_offset;
        if (piece->bytes == 0)
            continue;
        if (at > c->begin && is_page(at)) {
            c->clean = at;
            if (is_forced(c, piece))
                CRN_TRY_PLAIN(cut_at(c, at, i, NULL, err));
        }
        if (at >= c->region_end)
            enter_region(c, at);
        while (at + piece->bytes - c->begin > CRN_FORMAT_CHUNK_BYTES)
            CRN_TRY_PLAIN(cut_before_end_of(c, i, err));
    }
    if (plan->data_bytes > c->begin)
        CRN_TRY_PLAIN(cut_at(c, plan->data_bytes, plan->piece_count, NULL, err));
out:
    return rc;
}

/* Where updates come: tensors of one parameter stand at the same place of their regions. */
typedef struct place {
    double where;
    uint32_t block;
} place;

static int compare_places(const void *a, const void *b)
{
    const place *const x = a;
    const place *const y = b;
    if (x->where != y->where)
        return x->where < y->where ? -1 : 1;
    return x->block < y->block ? -1 : x->block > y->block;
}

static cairn_status make_order(crn_block_table *table, const cairn_state_tree *tree,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    place *const places = crn_calloc(table->count, sizeof *places);
    CRN_NEED(err, places, "the order of blocks");
    table->order = crn_calloc(table->count, sizeof *table->order);
    CRN_NEED(err, table->order, "the order of blocks");
    for (size_t i = 0; i < table->count; i++) {
        const crn_block_span *const span = &table->spans[i];
        const cairn_state *const state = cairn_state_tree_at(tree, span->region);
        places[i].where =
            (double)(span->offset - span->region_offset) / (double)cairn_state_region_bytes(state);
        places[i].block = (uint32_t)i;
    }
    if (table->count > 0)
        qsort(places, table->count, sizeof *places, compare_places);
    for (size_t i = 0; i < table->count; i++)
        table->order[i] = places[i].block;
out:
    crn_free(places);
    return rc;
}

cairn_status crn_block_table_make(crn_block_table *out, const cairn_state_tree *tree,
                                  const crn_plan *plan, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cutter c = {.table = out, .tree = tree, .plan = plan};
    *out = (crn_block_table){0};
    if (plan->state_count > 0)
        c.region_end = cairn_state_region_bytes(cairn_state_tree_at(tree, 0));
    CRN_TRY_PLAIN(cut_pieces(&c, err));
    if (out->count >= CRN_BLOCK_NONE)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "a state of %zu blocks is too large", out->count);
    CRN_TRY_PLAIN(make_order(out, tree, err));
out:
    return rc;
}

void crn_block_table_dispose(crn_block_table *table)
{
    for (size_t i = 0; i < table->splice_count; i++)
        crn_free(table->splices[i].bytes);
    crn_free(table->splices);
    crn_free(table->spans);
    crn_free(table->order);
    *table = (crn_block_table){0};
}

uint32_t crn_block_table_find(const crn_block_table *table, uint64_t offset)
{
    size_t low = 0;
    size_t high = table->count;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (table->spans[middle].offset <= offset)
            low = middle;
        else
            high = middle;
    }
    return (uint32_t)low;
}

void crn_block_table_reset(crn_block_table *table, const crn_plan *plan)
{
    for (size_t i = 0; i < plan->piece_count; i++) {
        if (plan->pieces[i].bytes == 0)
            *plan->pieces[i].digest = crn_hash("", 0);
    }
    for (size_t i = 0; i < table->splice_count; i++)
        atomic_store(&table->splices[i].halves_left, 2);
}

/* Bytes [from, from + size) of a piece that lies in two blocks. The last half hashes it. */
static cairn_status add_half(crn_splice *splice, const crn_piece *piece, uint64_t from,
                             const uint8_t *bytes, uint64_t size, cairn_error *err)
{
    memcpy(splice->bytes + from, bytes, (size_t)size);
    if (atomic_fetch_sub(&splice->halves_left, 1) > 1)
        return CAIRN_OK;
    return crn_piece_digest(piece, splice->bytes, err);
}

cairn_status crn_block_table_digest(crn_block_table *table, uint32_t i, const uint8_t *bytes,
                                    const crn_plan *plan, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_block_span *const span = &table->spans[i];
    const uint64_t end = span->offset + span->bytes;
    for (size_t p = span->piece_begin; p < span->piece_end; p++) {
        const crn_piece *const piece = &plan->pieces[p];
        const uint64_t piece_end = piece->arena_offset + piece->bytes;
        if (piece->bytes == 0)
            continue;
        if (piece->arena_offset < span->offset)
            CRN_TRY_PLAIN(add_half(&table->splices[table->spans[i - 1].last_splice], piece,
                                   span->offset - piece->arena_offset, bytes,
                                   piece_end - span->offset, err));
        else if (piece_end > end)
            CRN_TRY_PLAIN(add_half(&table->splices[span->last_splice], piece, 0,
                                   bytes + (piece->arena_offset - span->offset),
                                   end - piece->arena_offset, err));
        else
            CRN_TRY_PLAIN(
                crn_piece_digest(piece, bytes + (piece->arena_offset - span->offset), err));
    }
out:
    return rc;
}
