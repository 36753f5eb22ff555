/* Tables from bytes to ids and from pairs to merges: open addressing, at most half full. */
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/try.h"
#include "tokenizer/tokenizer.h"

enum { SLOTS_MIN = 64 };

/* ---- The alphabet of bytes ---- */

/* Bytes that are visible characters of Latin-1 stand for themselves; the others, in order, are the
 * characters from U+0100 on (A. Radford et al., GPT-2, bytes_to_unicode). */
static bool is_visible(uint32_t byte)
{
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) ||
           (byte >= 0xae && byte <= 0xff);
}

/* -1: the character is not of the alphabet. */
static int byte_of(uint32_t code)
{
    uint32_t next = 0x100;
    if (code < 0x100)
        return is_visible(code) ? (int)code : -1;
    for (uint32_t byte = 0; byte < 0x100; byte++) {
        if (!is_visible(byte) && next++ == code)
            return (int)byte;
    }
    return -1;
}

/* Characters of one or two bytes, since no other is in the alphabet; UINT32_MAX for a longer one.
 */
static uint32_t next_code(const char *word, size_t length, size_t *at)
{
    const uint8_t first = (uint8_t)word[*at];
    if (first < 0x80) {
        *at += 1;
        return first;
    }
    if (first >= 0xe0 || *at + 1 >= length)
        return UINT32_MAX;
    const uint32_t code = ((uint32_t)(first & 0x1f) << 6) | ((uint8_t)word[*at + 1] & 0x3f);
    *at += 2;
    return code;
}

size_t crn_vocabulary_unmap(const char *word, size_t length, char *out, bool *out_is_mapped)
{
    size_t count = 0;
    for (size_t at = 0; at < length;) {
        const uint32_t code = next_code(word, length, &at);
        const int byte = code == UINT32_MAX ? -1 : byte_of(code);
        if (byte < 0) {
            memcpy(out, word, length);
            *out_is_mapped = false;
            return length;
        }
        out[count++] = (char)byte;
    }
    *out_is_mapped = true;
    return count;
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int crn_vocabulary_byte_of(const char *word, size_t length)
{
    if (length != 6 || memcmp(word, "<0x", 3) != 0 || word[5] != '>')
        return -1;
    const int high = digit_of(word[3]);
    const int low = digit_of(word[4]);
    return high < 0 || low < 0 ? -1 : 16 * high + low;
}

/* The character of the alphabet that stands for @byte. */
static uint32_t code_of(uint32_t byte)
{
    uint32_t code = 0x100;
    if (is_visible(byte))
        return byte;
    for (uint32_t before = 0; before < byte; before++)
        code += is_visible(before) ? 0 : 1;
    return code;
}

void crn_vocabulary_map(const char *bytes, size_t size, crn_str *out)
{
    for (size_t i = 0; i < size; i++) {
        const uint32_t code = code_of((uint8_t)bytes[i]);
        const char utf8[2] = {(char)(code < 0x80 ? code : 0xc0 | code >> 6),
                              (char)(0x80 | (code & 0x3f))};
        crn_str_append_bytes(out, utf8, code < 0x80 ? 1 : 2);
    }
}

/* ---- Tables ---- */

static size_t slots_for(size_t count)
{
    size_t slots = SLOTS_MIN;
    while (slots < 2 * count)
        slots *= 2;
    return slots;
}

cairn_status crn_vocabulary_reserve(cairn_tokenizer *tokenizer, size_t ids, size_t merges,
                                    cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const size_t id_slots = slots_for(ids);
    const size_t merge_slots = slots_for(merges);
    tokenizer->by_bytes = crn_calloc(id_slots, sizeof *tokenizer->by_bytes);
    tokenizer->merges = crn_calloc(merge_slots, sizeof *tokenizer->merges);
    CRN_NEED(err, tokenizer->by_bytes, "a vocabulary");
    CRN_NEED(err, tokenizer->merges, "a vocabulary");
    tokenizer->by_bytes_mask = id_slots - 1;
    tokenizer->merges_mask = merge_slots - 1;
    for (size_t i = 0; i < merge_slots; i++)
        tokenizer->merges[i].id = UINT32_MAX;
out:
    return rc;
}

static size_t first_slot(const char *bytes, size_t size, size_t mask)
{
    size_t start = 0;
    const crn_digest digest = crn_hash(bytes, size);
    memcpy(&start, digest.bytes, sizeof start);
    return start & mask;
}

void crn_vocabulary_index(cairn_tokenizer *tokenizer, uint32_t id)
{
    const crn_token *const word = &tokenizer->words[id];
    size_t slot = first_slot(word->bytes, word->size, tokenizer->by_bytes_mask);
    while (tokenizer->by_bytes[slot] != 0)
        slot = (slot + 1) & tokenizer->by_bytes_mask;
    tokenizer->by_bytes[slot] = id + 1;
}

bool crn_vocabulary_find(const cairn_tokenizer *tokenizer, const char *bytes, size_t size,
                         uint32_t *out_id)
{
    size_t slot = first_slot(bytes, size, tokenizer->by_bytes_mask);
    for (; tokenizer->by_bytes[slot] != 0; slot = (slot + 1) & tokenizer->by_bytes_mask) {
        const uint32_t id = tokenizer->by_bytes[slot] - 1;
        const crn_token *const word = &tokenizer->words[id];
        if (word->size == size && memcmp(word->bytes, bytes, size) == 0) {
            *out_id = id;
            return true;
        }
    }
    return false;
}

void crn_vocabulary_add_merge(cairn_tokenizer *tokenizer, crn_merge merge)
{
    size_t slot = (size_t)crn_map_mix(merge.pair) & tokenizer->merges_mask;
    while (tokenizer->merges[slot].id != UINT32_MAX && tokenizer->merges[slot].pair != merge.pair)
        slot = (slot + 1) & tokenizer->merges_mask;
    tokenizer->merges[slot] = merge;
}

const crn_merge *crn_vocabulary_merge_of(const cairn_tokenizer *tokenizer, uint32_t left,
                                         uint32_t right)
{
    const uint64_t pair = (uint64_t)left << 32 | right;
    size_t slot = (size_t)crn_map_mix(pair) & tokenizer->merges_mask;
    for (; tokenizer->merges[slot].id != UINT32_MAX; slot = (slot + 1) & tokenizer->merges_mask) {
        if (tokenizer->merges[slot].pair == pair)
            return &tokenizer->merges[slot];
    }
    return NULL;
}
