/* A piece is a list of symbols; a heap holds the pairs that could merge. */
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "tokenizer/tokenizer.h"

enum { NONE = -1 };

/* A token so far. One that was merged into its left neighbour has no length. */
struct crn_symbol {
    uint32_t id;
    uint32_t length;
    int32_t before;
    int32_t after;
};

/* A pair that merged when it was found; meanwhile either half may have merged with another. */
struct crn_candidate {
    uint32_t rank;
    int32_t left;
    uint32_t id;
    uint32_t length; /* of both together */
};

void crn_bpe_dispose(crn_bpe *bpe)
{
    crn_free(bpe->symbols);
    crn_free(bpe->heap);
    crn_free(bpe->ids);
    *bpe = (crn_bpe){0};
}

static bool goes_first(const struct crn_candidate *a, const struct crn_candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->left < b->left;
}

static cairn_status push(crn_bpe *bpe, struct crn_candidate candidate, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(
        crn_grow(&bpe->heap, &bpe->heap_capacity, bpe->heap_count + 1, sizeof *bpe->heap, err));
    size_t at = bpe->heap_count++;
    for (; at > 0 && goes_first(&candidate, &bpe->heap[(at - 1) / 2]); at = (at - 1) / 2)
        bpe->heap[at] = bpe->heap[(at - 1) / 2];
    bpe->heap[at] = candidate;
out:
    return rc;
}

static struct crn_candidate pop(crn_bpe *bpe)
{
    const struct crn_candidate first = bpe->heap[0];
    const struct crn_candidate last = bpe->heap[--bpe->heap_count];
    size_t at = 0;
    for (size_t child = 1; child < bpe->heap_count; child = 2 * at + 1) {
        if (child + 1 < bpe->heap_count && goes_first(&bpe->heap[child + 1], &bpe->heap[child]))
            child++;
        if (!goes_first(&bpe->heap[child], &last))
            break;
        bpe->heap[at] = bpe->heap[child];
        at = child;
    }
    bpe->heap[at] = last;
    return first;
}

/* If the symbol and the one after it merge, they are a candidate. */
static cairn_status consider(crn_bpe *bpe, const cairn_tokenizer *tokenizer, int32_t left,
                             cairn_error *err)
{
    const struct crn_symbol *const a = &bpe->symbols[left];
    if (a->after == NONE)
        return CAIRN_OK;
    const struct crn_symbol *const b = &bpe->symbols[a->after];
    const crn_merge *const merge = crn_vocabulary_merge_of(tokenizer, a->id, b->id);
    if (merge == NULL)
        return CAIRN_OK;
    return push(
        bpe,
        (struct crn_candidate){
            .rank = merge->rank, .left = left, .id = merge->id, .length = a->length + b->length},
        err);
}

/* Lengths only grow, so a pair of the same length in the same place is the same two symbols. */
static bool is_current(const crn_bpe *bpe, const struct crn_candidate *candidate)
{
    const struct crn_symbol *const a = &bpe->symbols[candidate->left];
    return a->length > 0 && a->after != NONE &&
           a->length + bpe->symbols[a->after].length == candidate->length;
}

static cairn_status merge_all(crn_bpe *bpe, const cairn_tokenizer *tokenizer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    while (bpe->heap_count > 0) {
        const struct crn_candidate candidate = pop(bpe);
        if (!is_current(bpe, &candidate))
            continue;
        struct crn_symbol *const a = &bpe->symbols[candidate.left];
        struct crn_symbol *const b = &bpe->symbols[a->after];
        a->id = candidate.id;
        a->length = candidate.length;
        a->after = b->after;
        b->length = 0;
        if (a->after != NONE)
            bpe->symbols[a->after].before = candidate.left;
        CRN_TRY_PLAIN(consider(bpe, tokenizer, candidate.left, err));
        if (a->before != NONE)
            CRN_TRY_PLAIN(consider(bpe, tokenizer, a->before, err));
    }
out:
    return rc;
}

cairn_status crn_bpe_encode(crn_bpe *bpe, const cairn_tokenizer *tokenizer, const char *piece,
                            size_t size, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint32_t whole = 0;
    bpe->id_count = 0;
    bpe->heap_count = 0;
    CRN_TRY_PLAIN(crn_grow(&bpe->ids, &bpe->id_capacity, size, sizeof *bpe->ids, err));
    if (tokenizer->takes_whole_pieces && crn_vocabulary_find(tokenizer, piece, size, &whole)) {
        bpe->ids[bpe->id_count++] = whole;
        goto out;
    }
    CRN_TRY_PLAIN(crn_grow(&bpe->symbols, &bpe->symbol_capacity, size, sizeof *bpe->symbols, err));
    for (size_t i = 0; i < size; i++)
        bpe->symbols[i] =
            (struct crn_symbol){.id = tokenizer->byte_ids[(uint8_t)piece[i]],
                                .length = 1,
                                .before = (int32_t)i - 1,
                                .after = i + 1 < size ? (int32_t)i + 1 : (int32_t)NONE};
    for (size_t i = 0; i + 1 < size; i++)
        CRN_TRY_PLAIN(consider(bpe, tokenizer, (int32_t)i, err));
    CRN_TRY_PLAIN(merge_all(bpe, tokenizer, err));
    for (int32_t i = 0; i != NONE; i = bpe->symbols[i].after)
        bpe->ids[bpe->id_count++] = bpe->symbols[i].id;
out:
    return rc;
}
