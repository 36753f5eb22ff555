/* A piece is a list of symbols; a heap holds the pairs that could merge. */
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "format/utf8.h"
#include "tokenizer/tokenizer.h"

enum { NONE = -1 };

#define NO_WORD UINT32_MAX

/* A token so far. One that was merged into its left neighbour has no length. */
struct crn_symbol {
    uint32_t id; /* NO_WORD: JOINS, a character that is none */
    uint32_t begin;
    uint32_t length;
    int32_t before;
    int32_t after;
    bool is_final; /* never merges */
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
    crn_free(bpe->best);
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

/* The higher the score, the lower the rank, in the order of floats. */
static uint32_t rank_of(double score)
{
    const float value = (float)score + 0.0F; /* no -0 */
    uint32_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    return (bits >> 31) != 0 ? bits : ~(bits | 1U << 31);
}

/* Whether two neighbours merge, and what into. */
static bool find_merge(const crn_bpe *bpe, const cairn_tokenizer *tokenizer,
                       const struct crn_symbol *a, const struct crn_symbol *b, uint32_t *out_rank,
                       uint32_t *out_id)
{
    if (tokenizer->model != CRN_MODEL_JOINS) {
        const crn_merge *const merge = crn_vocabulary_merge_of(tokenizer, a->id, b->id);
        if (merge == NULL)
            return false;
        *out_rank = merge->rank;
        *out_id = merge->id;
        return true;
    }
    if (a->is_final || b->is_final ||
        !crn_vocabulary_find(tokenizer, bpe->piece + a->begin, a->length + b->length, out_id))
        return false;
    *out_rank = rank_of(tokenizer->scores[*out_id]);
    return true;
}

/* If the symbol and the one after it merge, they are a candidate. */
static cairn_status consider(crn_bpe *bpe, const cairn_tokenizer *tokenizer, int32_t left,
                             cairn_error *err)
{
    const struct crn_symbol *const a = &bpe->symbols[left];
    struct crn_candidate candidate = {.left = left};
    if (a->after == NONE)
        return CAIRN_OK;
    const struct crn_symbol *const b = &bpe->symbols[a->after];
    if (!find_merge(bpe, tokenizer, a, b, &candidate.rank, &candidate.id))
        return CAIRN_OK;
    candidate.length = a->length + b->length;
    return push(bpe, candidate, err);
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

static void add_symbol(crn_bpe *bpe, uint32_t id, size_t begin, size_t length, bool is_final)
{
    const int32_t at = (int32_t)bpe->symbol_count++;
    bpe->symbols[at] = (struct crn_symbol){.id = id,
                                           .begin = (uint32_t)begin,
                                           .length = (uint32_t)length,
                                           .before = at - 1,
                                           .after = NONE,
                                           .is_final = is_final};
    if (at > 0)
        bpe->symbols[at - 1].after = at;
}

/* PAIRS: a character that is no word, as the package `tokenizers` has it. */
static void add_strange(crn_bpe *bpe, const cairn_tokenizer *tokenizer, size_t at, size_t length,
                        bool follows_strange)
{
    if (tokenizer->has_byte_ids) {
        for (size_t i = 0; i < length; i++)
            add_symbol(bpe, tokenizer->byte_ids[(uint8_t)bpe->piece[at + i]], at + i, 1, false);
    } else if (tokenizer->has_unknown && tokenizer->fuses_unknown && follows_strange) {
        bpe->symbols[bpe->symbol_count - 1].length += (uint32_t)length;
    } else if (tokenizer->has_unknown) {
        add_symbol(bpe, tokenizer->unknown_id, at, length, false);
    }
}

static void add_characters(crn_bpe *bpe, const cairn_tokenizer *tokenizer, size_t size)
{
    const bool is_joins = tokenizer->model == CRN_MODEL_JOINS;
    bool follows_strange = false;
    size_t length = 0;
    for (size_t at = 0; at < size; at += length) {
        uint32_t id = NO_WORD;
        bool is_open = false;
        length = crn_trie_longest(&tokenizer->user_defined, bpe->piece + at, size - at, &is_open);
        const bool is_final = length > 0;
        if (!is_final)
            (void)crn_utf8_decode(bpe->piece + at, &length);
        const bool is_word = crn_vocabulary_find(tokenizer, bpe->piece + at, length, &id);
        if (is_word || is_joins)
            add_symbol(bpe, id, at, length, is_final);
        else
            add_strange(bpe, tokenizer, at, length, follows_strange);
        follows_strange = !is_word;
    }
}

void crn_bpe_put_unknown(crn_bpe *bpe, const cairn_tokenizer *tokenizer, const char *character,
                         size_t size, bool follows_unknown)
{
    if (tokenizer->has_byte_ids) {
        for (size_t i = 0; i < size; i++)
            bpe->ids[bpe->id_count++] = tokenizer->byte_ids[(uint8_t)character[i]];
    } else if (tokenizer->has_unknown && !(tokenizer->fuses_unknown && follows_unknown)) {
        bpe->ids[bpe->id_count++] = tokenizer->unknown_id;
    }
}

static void put_ids(crn_bpe *bpe, const cairn_tokenizer *tokenizer)
{
    bool follows_unknown = false;
    for (int32_t i = bpe->symbol_count > 0 ? 0 : NONE; i != NONE; i = bpe->symbols[i].after) {
        const struct crn_symbol *const symbol = &bpe->symbols[i];
        if (symbol->id == NO_WORD)
            crn_bpe_put_unknown(bpe, tokenizer, bpe->piece + symbol->begin, symbol->length,
                                follows_unknown);
        else
            bpe->ids[bpe->id_count++] = symbol->id;
        follows_unknown = symbol->id == NO_WORD;
    }
}

cairn_status crn_bpe_encode(crn_bpe *bpe, const cairn_tokenizer *tokenizer, const char *piece,
                            size_t size, bool is_whole, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint32_t whole = 0;
    bpe->piece = piece;
    bpe->id_count = 0;
    bpe->heap_count = 0;
    bpe->symbol_count = 0;
    CRN_TRY_PLAIN(crn_grow(&bpe->ids, &bpe->id_capacity, size, sizeof *bpe->ids, err));
    if (tokenizer->takes_whole_pieces && is_whole &&
        crn_vocabulary_find(tokenizer, piece, size, &whole)) {
        bpe->ids[bpe->id_count++] = whole;
        goto out;
    }
    CRN_TRY_PLAIN(crn_grow(&bpe->symbols, &bpe->symbol_capacity, size, sizeof *bpe->symbols, err));
    if (tokenizer->model == CRN_MODEL_BYTE_PAIRS) {
        for (size_t i = 0; i < size; i++)
            add_symbol(bpe, tokenizer->byte_ids[(uint8_t)piece[i]], i, 1, false);
    } else {
        add_characters(bpe, tokenizer, size);
    }
    for (size_t i = 0; i + 1 < bpe->symbol_count; i++)
        CRN_TRY_PLAIN(consider(bpe, tokenizer, (int32_t)i, err));
    CRN_TRY_PLAIN(merge_all(bpe, tokenizer, err));
    put_ids(bpe, tokenizer);
out:
    return rc;
}
