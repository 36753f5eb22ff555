/*
 * A tokenizer whose pre-tokenizer divides nothing sees a whole text as one piece. Where two
 * neighbours stand in no word, none can reach over, and what is left and right does not depend on
 * each other: merges of one side never touch the other, and every path of Unigram goes through.
 */
#include "base/try.h"
#include "format/utf8.h"
#include "tokenizer/tokenizer.h"

cairn_status crn_cut_note(cairn_tokenizer *tokenizer, const char *word, size_t size,
                          cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t length = 0;
    uint64_t before = 0;
    for (size_t at = 0; at < size; at += length) {
        const uint32_t code = crn_utf8_decode(word + at, &length);
        if (at > 0)
            CRN_TRY_PLAIN(crn_map_put(&tokenizer->neighbours, before << 32 | code, 1, err));
        before = code;
    }
out:
    return rc;
}

static bool is_word(const cairn_tokenizer *tokenizer, const char *character, size_t length)
{
    uint32_t id = 0;
    if (tokenizer->model != CRN_MODEL_UNIGRAM)
        return crn_vocabulary_find(tokenizer, character, length, &id);
    uint32_t node = 0;
    for (size_t i = 0; i < length; i++) {
        node = crn_trie_step(&tokenizer->words_by_prefix, node, (uint8_t)character[i]);
        if (node == 0)
            return false;
    }
    return crn_trie_end(&tokenizer->words_by_prefix, node, &id);
}

size_t crn_cut_find(const cairn_tokenizer *tokenizer, const char *text, size_t size, size_t from)
{
    size_t length = 0;
    size_t next_length = 0;
    if (from >= size || tokenizer->model == CRN_MODEL_BYTE_PAIRS)
        return SIZE_MAX;
    uint64_t code = crn_utf8_decode(text + from, &length);
    for (size_t at = from; at + length < size;) {
        const uint32_t next = crn_utf8_decode(text + at + length, &next_length);
        uint32_t is_there = 0;
        if (!crn_map_get(&tokenizer->neighbours, code << 32 | next, &is_there) &&
            is_word(tokenizer, text + at, length))
            return at + length;
        at += length;
        length = next_length;
        code = next;
    }
    return SIZE_MAX;
}
