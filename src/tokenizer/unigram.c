#include "base/mem.h"
#include "base/try.h"
#include "format/utf8.h"
#include "tokenizer/tokenizer.h"

/* The best way to the end of a prefix of the piece. */
struct crn_best {
    double score;
    uint32_t begin; /* of its last word */
    uint32_t next;  /* on the best way of all: the end of the word that begins here */
    uint32_t id;
    bool is_there;
    bool is_unknown;
};

static void offer(struct crn_best *best, const cairn_tokenizer *tokenizer, double score,
                  uint32_t begin, uint32_t id, bool is_unknown)
{
    const double sum = tokenizer->has_float_sums ? (double)(float)score : score;
    if (best->is_there && !(sum > best->score))
        return;
    *best = (struct crn_best){
        .score = sum, .begin = begin, .id = id, .is_there = true, .is_unknown = is_unknown};
}

/* All words that begin with the character at @begin. */
static void extend(struct crn_best *best, const cairn_tokenizer *tokenizer, const char *piece,
                   size_t size, size_t begin, size_t length)
{
    const double before = best[begin].score;
    bool is_character_word = false;
    uint32_t node = 0;
    uint32_t id = 0;
    for (size_t at = begin; at < size; at++) {
        node = crn_trie_step(&tokenizer->words_by_prefix, node, (uint8_t)piece[at]);
        if (node == 0)
            break;
        if (!crn_trie_end(&tokenizer->words_by_prefix, node, &id))
            continue;
        const size_t count = at + 1 - begin;
        offer(&best[at + 1], tokenizer, tokenizer->scores[id] + before, (uint32_t)begin, id, false);
        is_character_word = is_character_word || count == length;
    }
    if (!is_character_word)
        offer(&best[begin + length], tokenizer, tokenizer->unknown_score + before, (uint32_t)begin,
              tokenizer->unknown_id, true);
}

cairn_status crn_unigram_encode(crn_bpe *scratch, const cairn_tokenizer *tokenizer,
                                const char *piece, size_t size, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t length = 0;
    scratch->id_count = 0;
    CRN_TRY_PLAIN(crn_grow(&scratch->ids, &scratch->id_capacity, size, sizeof *scratch->ids, err));
    CRN_TRY_PLAIN(
        crn_grow(&scratch->best, &scratch->best_capacity, size + 1, sizeof *scratch->best, err));
    struct crn_best *const best = scratch->best;
    for (size_t i = 0; i <= size; i++)
        best[i].is_there = false;
    best[0].score = scratch->score;
    for (size_t at = 0; at < size; at += length) {
        (void)crn_utf8_decode(piece + at, &length);
        extend(best, tokenizer, piece, size, at, length);
    }
    scratch->score = best[size].score;
    for (size_t end = size; end > 0; end = best[end].begin)
        best[best[end].begin].next = (uint32_t)end;
    bool follows_unknown = false;
    for (size_t at = 0; at < size; at = best[at].next) {
        const struct crn_best *const word = &best[best[at].next];
        if (word->is_unknown)
            crn_bpe_put_unknown(scratch, tokenizer, piece + at, best[at].next - at,
                                follows_unknown);
        else
            scratch->ids[scratch->id_count++] = word->id;
        follows_unknown = word->is_unknown;
    }
out:
    return rc;
}
