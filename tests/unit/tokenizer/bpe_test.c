/* The heap gives what the definition of byte pair encoding gives. */
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "kit/kit.h"
#include "tokenizer/tokenizer.h"

enum { PIECE_MAX = 40, PIECES = 400, ORDERS = 10, WORD_MAX = 4, WORDS = 1 << (WORD_MAX + 1) };

static uint32_t draw(uint32_t stream, uint64_t step, uint64_t index)
{
    uint32_t words[4];
    crn_philox(7, stream, step, index, words);
    return words[0];
}

static void append_bytes(crn_str *out)
{
    uint32_t next = 0x100;
    for (uint32_t byte = 0; byte < 256; byte++) {
        const bool is_visible = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte != 0xad);
        const uint32_t code = is_visible ? byte : next++;
        crn_str_printf(out, "%s\"\\u%04x\":%u", byte > 0 ? "," : "", code, byte);
    }
}

/* Word @number in letters a and b: its bits behind the highest. */
static size_t spell(uint32_t number, char word[WORD_MAX])
{
    size_t length = 0;
    while (number >> (length + 1) != 0)
        length++;
    for (size_t i = 0; i < length; i++)
        word[i] = (number >> (length - 1 - i) & 1) != 0 ? 'b' : 'a';
    return length;
}

/* Every word of two letters to four is a token; each is made of any two parts. */
static void append_words(crn_str *out, uint64_t order)
{
    char word[WORD_MAX];
    for (uint32_t n = 4; n < WORDS; n++) {
        const size_t length = spell(n, word);
        crn_str_printf(out, ",\"%.*s\":%u", (int)length, word, 252 + n);
    }
    crn_str_append(out, "},\"merges\":[");
    for (uint32_t i = 0; i < 600; i++) { /* often twice, which only lowers a rank */
        const size_t length = spell(4 + draw(0, order, i) % (WORDS - 4), word);
        const size_t left = 1 + draw(1, order, i) % (length - 1);
        crn_str_printf(out, "%s[\"%.*s\",\"%.*s\"]", i > 0 ? "," : "", (int)left, word,
                       (int)(length - left), word + left);
    }
    crn_str_append(out, "]}}");
}

static cairn_tokenizer *open_dense(const char *dir, uint64_t order)
{
    cairn_tokenizer *tokenizer = NULL;
    cairn_error err = {0};
    crn_str text = {0};
    crn_str_append(&text, "{\"pre_tokenizer\":{\"type\":\"ByteLevel\"},\"model\":{\"vocab\":{");
    append_bytes(&text);
    append_words(&text, order);
    assert_false(text.is_failed);
    tk_write_text(dir, "tokenizer.json", text.text);
    crn_str_dispose(&text);
    tk_assert_ok(cairn_tokenizer_open(dir, &tokenizer, &err), &err);
    return tokenizer;
}

/* Merges the leftmost pair of the lowest rank until there is none. Returns the number of ids. */
static size_t encode_slowly(const cairn_tokenizer *tokenizer, const char *piece, size_t size,
                            uint32_t *ids)
{
    for (size_t i = 0; i < size; i++)
        ids[i] = tokenizer->byte_ids[(uint8_t)piece[i]];
    for (;;) {
        const crn_merge *best = NULL;
        size_t at = 0;
        for (size_t i = 0; i + 1 < size; i++) {
            const crn_merge *const merge = crn_vocabulary_merge_of(tokenizer, ids[i], ids[i + 1]);
            if (merge != NULL && (best == NULL || merge->rank < best->rank)) {
                best = merge;
                at = i;
            }
        }
        if (best == NULL)
            return size;
        ids[at] = best->id;
        size--;
        memmove(ids + at + 1, ids + at + 2, (size - at - 1) * sizeof *ids);
    }
}

static void check_order(const char *dir, uint64_t order)
{
    cairn_tokenizer *const tokenizer = open_dense(dir, order);
    crn_bpe bpe = {0};
    uint64_t merged = 0;
    for (uint64_t n = 0; n < PIECES; n++) {
        char piece[PIECE_MAX];
        uint32_t ids[PIECE_MAX];
        cairn_error err = {0};
        const size_t size = 1 + draw(2, n, 0) % PIECE_MAX;
        for (size_t i = 0; i < size; i++)
            piece[i] = draw(3, n, i) % 2 == 0 ? 'a' : 'b';
        tk_assert_ok(crn_bpe_encode(&bpe, tokenizer, piece, size, true, &err), &err);
        const size_t count = encode_slowly(tokenizer, piece, size, ids);
        assert_int_equal(bpe.id_count, count);
        assert_memory_equal(bpe.ids, ids, count * sizeof *ids);
        merged += size - count;
    }
    assert_true(merged > PIECES);
    crn_bpe_dispose(&bpe);
    cairn_tokenizer_destroy(tokenizer);
}

static void random_pieces__are_encoded_as_the_definition_says(void **state)
{
    for (uint64_t order = 0; order < ORDERS; order++)
        check_order(*state, order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(random_pieces__are_encoded_as_the_definition_says,
                                        tk_temp_setup, tk_temp_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
