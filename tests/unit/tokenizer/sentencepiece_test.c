/* What a model of SentencePiece may hold, and what is refused by name. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "kit/kit.h"
#include "tokenizer/tokenizer.h"

enum { NORMAL = 1, UNKNOWN, CONTROL, USER, UNUSED, BYTE };
enum { UNIGRAM = 1, PAIRS, WORDS };

/* ---- Writing one ---- */

static void put_varint(crn_str *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        crn_str_append_bytes(out, &(char){(char)(value | 0x80)}, 1);
    crn_str_append_bytes(out, &(char){(char)value}, 1);
}

static void put_number(crn_str *out, unsigned field, uint64_t value)
{
    put_varint(out, (uint64_t)field << 3);
    put_varint(out, value);
}

static void put_bytes(crn_str *out, unsigned field, const void *bytes, size_t size)
{
    put_varint(out, (uint64_t)field << 3 | 2);
    put_varint(out, size);
    crn_str_append_bytes(out, bytes, size);
}

static void put_piece(crn_str *out, const char *text, float score, unsigned type)
{
    crn_str piece = {0};
    put_bytes(&piece, 1, text, strlen(text));
    put_varint(&piece, 2 << 3 | 5);
    crn_str_append_bytes(&piece, &score, sizeof score);
    put_number(&piece, 3, type);
    put_bytes(out, 1, piece.text, piece.length);
    crn_str_dispose(&piece);
}

static void put_message(crn_str *out, unsigned field, crn_str *message)
{
    put_bytes(out, field, message->text, message->length);
    crn_str_dispose(message);
}

/* "<unk>", "<s>", "</s>", "a", "b", U+2581 "a", "ab"; all spaces stay. */
static void put_start(crn_str *out, unsigned kind)
{
    crn_str trainer = {0};
    crn_str normalizer = {0};
    put_piece(out, "<unk>", 0, UNKNOWN);
    put_piece(out, "<s>", 0, CONTROL);
    put_piece(out, "</s>", 0, CONTROL);
    put_piece(out, "a", -3, NORMAL);
    put_piece(out, "b", -4, NORMAL);
    put_piece(out,
              "\xe2\x96\x81"
              "a",
              -1, NORMAL);
    put_piece(out, "ab", -2, NORMAL);
    put_number(&trainer, 3, kind);
    put_message(out, 2, &trainer);
    put_number(&normalizer, 4, 0);
    put_message(out, 3, &normalizer);
}

static cairn_status open_model(const char *dir, const crn_str *model, cairn_tokenizer **out,
                               cairn_error *err)
{
    char path[TK_PATH_SIZE];
    assert_false(model->is_failed);
    tk_write_file(dir, "m.model", model->text, model->length);
    return cairn_tokenizer_open(tk_join(path, dir, "m.model"), out, err);
}

/* ---- Using one ---- */

struct ids {
    uint32_t ids[32];
    size_t count;
};

static cairn_status keep(void *user, const uint32_t *ids, size_t count, cairn_error *err)
{
    struct ids *const out = user;
    (void)err;
    assert_true(out->count + count <= 32);
    memcpy(out->ids + out->count, ids, count * sizeof *ids);
    out->count += count;
    return CAIRN_OK;
}

static void assert_encodes(const cairn_tokenizer *tokenizer, const char *text, size_t count,
                           const uint32_t *expected)
{
    cairn_error err = {0};
    cairn_encoder *encoder = NULL;
    struct ids got = {.count = 0};
    const cairn_encoder_options options = {
        .struct_size = sizeof options, .emit = keep, .user = &got};
    tk_assert_ok(cairn_encoder_new(tokenizer, &options, &encoder, &err), &err);
    tk_assert_ok(cairn_encoder_add(encoder, text, strlen(text), &err), &err);
    tk_assert_ok(cairn_encoder_finish(encoder, &err), &err);
    cairn_encoder_destroy(encoder);
    assert_int_equal(got.count, count);
    assert_memory_equal(got.ids, expected, count * sizeof *expected);
}

static void both_kinds__encode_by_their_rules(void **state)
{
    for (unsigned kind = UNIGRAM; kind <= PAIRS; kind++) {
        crn_str model = {0};
        cairn_error err = {0};
        cairn_tokenizer *tokenizer = NULL;
        put_start(&model, kind);
        tk_assert_ok(open_model(*state, &model, &tokenizer, &err), &err);
        assert_string_equal(cairn_tokenizer_kind(tokenizer), kind == UNIGRAM ? "Unigram" : "BPE");
        assert_int_equal(cairn_tokenizer_vocab_size(tokenizer), 7);
        /* BPE merges U+2581 and "a" first, the highest score; for Unigram it is the sum: -1 - 4. */
        assert_encodes(tokenizer, "ab", 2, (uint32_t[]){5, 4});
        assert_encodes(tokenizer, "aab", 2, (uint32_t[]){5, 6});
        /* A run of what has no piece is one unknown token; the first U+2581 is part of it. */
        assert_encodes(tokenizer,
                       "xy\xc3\xa9"
                       "az",
                       3, (uint32_t[]){0, 3, 0});
        crn_str_dispose(&model);
        cairn_tokenizer_destroy(tokenizer);
    }
}

static void control_pieces__are_known_but_not_found_in_a_text(void **state)
{
    crn_str model = {0};
    cairn_error err = {0};
    cairn_tokenizer *tokenizer = NULL;
    uint32_t id = 9;
    bool is_special = false;
    size_t size = 0;
    put_start(&model, UNIGRAM);
    put_piece(&model, "<tool>", -90, USER); /* The score does not count. */
    tk_assert_ok(open_model(*state, &model, &tokenizer, &err), &err);
    assert_encodes(tokenizer, "a<s>a", 3, (uint32_t[]){5, 0, 3});
    assert_encodes(tokenizer, "a<tool>a", 3, (uint32_t[]){5, 7, 3});
    assert_true(cairn_tokenizer_find_added(tokenizer, "</s>", &id));
    assert_int_equal(id, 2);
    assert_int_equal(cairn_tokenizer_added_count(tokenizer), 4);
    assert_string_equal(cairn_tokenizer_added(tokenizer, 3, &id, &is_special), "<tool>");
    assert_false(is_special);
    assert_memory_equal(cairn_tokenizer_decode(tokenizer, 2, &size), "</s>", 4);
    assert_memory_equal(cairn_tokenizer_decode(tokenizer, 5, &size), " a", 2);
    assert_memory_equal(cairn_tokenizer_decode_first(tokenizer, 5, &size), "a", 1);
    assert_int_equal(size, 1);
    assert_memory_equal(cairn_tokenizer_decode_first(tokenizer, 0, &size), " \xe2\x81\x87 ", 5);
    crn_str_dispose(&model);
    cairn_tokenizer_destroy(tokenizer);
}

/* ---- What is refused ---- */

static void put_bytes_but_one(crn_str *model)
{
    crn_str trainer = {0};
    char name[8];
    put_start(model, PAIRS);
    put_number(&trainer, 3, PAIRS);
    put_number(&trainer, 35, 1);
    put_message(model, 2, &trainer);
    for (unsigned byte = 0; byte < 255; byte++) {
        (void)snprintf(name, sizeof name, "<0x%02X>", byte);
        put_piece(model, name, 0, BYTE);
    }
}

static void put_table(crn_str *model, unsigned field, const void *table, size_t size)
{
    crn_str normalizer = {0};
    put_start(model, UNIGRAM);
    put_bytes(&normalizer, 2, table, size);
    put_message(model, field, &normalizer);
}

static void put_fault(crn_str *model, int fault)
{
    static const char k_no_strings[] = "\x04\0\0\0abcd";
    static const char k_too_large[] = "\xff\xff\0\0abcd\0";
    static const char k_no_utf8[] = "\x04\0\0\0abcd\xff";
    char word[5000];
    memset(word, 'w', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    if (fault == 0)
        put_start(model, WORDS);
    else if (fault == 8)
        put_bytes_but_one(model);
    else if (fault == 9)
        put_table(model, 3, k_no_strings, sizeof k_no_strings - 1);
    else if (fault == 10)
        put_table(model, 3, k_too_large, sizeof k_too_large);
    else if (fault == 11)
        put_table(model, 3, k_no_utf8, sizeof k_no_utf8);
    else if (fault == 12)
        put_table(model, 5, "x", 1);
    else if (fault == 13)
        put_piece(model, "a", 0, NORMAL);
    else
        put_start(model, fault == 6 ? PAIRS : UNIGRAM);
    if (fault >= 1 && fault <= 7)
        put_piece(model,
                  fault == 1   ? "a"
                  : fault == 2 ? "\xff"
                  : fault == 3 ? ""
                  : fault == 4 ? word
                               : "new",
                  fault == 5 ? (float)NAN : 0.0F,
                  fault == 6   ? UNUSED
                  : fault == 7 ? UNKNOWN
                               : NORMAL);
    if (fault == 14)
        put_piece(model, "<0x41>", 0, BYTE);
    if (fault == 15)
        put_piece(model, "new", 0, 7);
    if (fault == 16)
        crn_str_append(model, "\x0a\x7f");
    if (fault == 17)
        put_number(model, 2, 1);
}

static void what_is_wrong__is_refused_by_name(void **state)
{
    static const struct {
        cairn_status status;
        const char *words;
    } k_cases[] = {{CAIRN_EUNSUPPORTED, "type is number 3"},
                   {CAIRN_EDATA, "'a' is a piece twice"},
                   {CAIRN_EDATA, "piece 7: a piece is no UTF-8"},
                   {CAIRN_EDATA, "of 1 to 4096 bytes"},
                   {CAIRN_EDATA, "of 1 to 4096 bytes"},
                   {CAIRN_EDATA, "no finite score"},
                   {CAIRN_EUNSUPPORTED, "unused pieces"},
                   {CAIRN_EDATA, "two pieces are the unknown one"},
                   {CAIRN_EDATA, "no piece is the byte 0xFF"},
                   {CAIRN_EDATA, "contradicts its sizes"},
                   {CAIRN_EDATA, "contradicts its sizes"},
                   {CAIRN_EDATA, "a text that is no UTF-8"},
                   {CAIRN_EUNSUPPORTED, "denormalizer"},
                   {CAIRN_EDATA, "no piece is the unknown one"},
                   {CAIRN_EDATA, "piece 7 is a byte"},
                   {CAIRN_EDATA, "no type from 1 to 6"},
                   {CAIRN_EDATA, "no model of SentencePiece"},
                   {CAIRN_EDATA, "no model of SentencePiece"}};
    for (int i = 0; i < (int)(sizeof k_cases / sizeof k_cases[0]); i++) {
        crn_str model = {0};
        cairn_error err = {0};
        cairn_tokenizer *tokenizer = NULL;
        put_fault(&model, i);
        const cairn_status status = open_model(*state, &model, &tokenizer, &err);
        if (status == CAIRN_OK)
            fail_msg("accepted: fault %d", i);
        tk_assert_status(status, k_cases[i].status, &err);
        tk_assert_error_has(&err, k_cases[i].words);
        tk_assert_error_has(&err, "m.model");
        crn_str_dispose(&model);
    }
}

/* Its root says that its children are two gigabytes away. */
static void a_table_that_leads_outside__has_no_rules(void **state)
{
    static const char k_table[] = "\x04\0\0\0\xff\xff\xff\x7f"
                                  "ab";
    crn_str model = {0};
    crn_str normalizer = {0};
    cairn_error err = {0};
    cairn_tokenizer *tokenizer = NULL;
    put_start(&model, UNIGRAM);
    put_bytes(&normalizer, 2, k_table, sizeof k_table);
    put_message(&model, 3, &normalizer);
    tk_assert_ok(open_model(*state, &model, &tokenizer, &err), &err);
    assert_encodes(tokenizer, "ab", 2, (uint32_t[]){5, 4});
    crn_str_dispose(&model);
    cairn_tokenizer_destroy(tokenizer);
}

static char *read_fixture(const char *name, size_t *out_size)
{
    char path[TK_PATH_SIZE];
    const char *const source = getenv("CAIRN_SOURCE_DIR");
    assert_non_null(source);
    return tk_read_file(tk_join(path, source, "tests/numeric/tokenizers"), name, out_size);
}

/* A prefix is refused or is a smaller model; a sanitizer sees a byte too many. */
static void a_cut_file__is_never_read_beyond_its_end(void **state)
{
    (void)state;
    size_t size = 0;
    char *const model = read_fixture("sp_unigram.model", &size);
    for (size_t length = 0; length < size; length += length < 400 ? 1 : 97) {
        cairn_error err = {0};
        cairn_tokenizer *const tokenizer = crn_calloc(1, sizeof *tokenizer);
        char *const part = malloc(length + 1);
        assert_non_null(tokenizer);
        assert_non_null(part);
        memcpy(part, model, length);
        const cairn_status status = crn_tokenizer_read_model(tokenizer, part, length, "part", &err);
        assert_true(status == CAIRN_OK || status == CAIRN_EDATA);
        free(part);
        cairn_tokenizer_destroy(tokenizer);
    }
    free(model);
}

static void no_memory__is_an_error_and_leaves_nothing(void **state)
{
    static const char *const k_names[] = {"sp_unigram.model", "llama2.json", "folded.json"};
    for (size_t i = 0; i < sizeof k_names / sizeof k_names[0]; i++) {
        size_t size = 0;
        char path[TK_PATH_SIZE];
        char *const file = read_fixture(k_names[i], &size);
        cairn_status status = CAIRN_ENOMEM;
        tk_write_file(*state, "file", file, size);
        free(file);
        (void)tk_join(path, *state, "file");
        for (uint64_t n = 1; status != CAIRN_OK; n += n < 60 ? 1 : 7) {
            cairn_error err = {0};
            cairn_tokenizer *tokenizer = NULL;
            assert_true(n < 20000);
            crn_mem_fail_at(n, 0);
            status = cairn_tokenizer_open(path, &tokenizer, &err);
            crn_mem_fail_at(0, 0);
            if (status != CAIRN_OK)
                tk_assert_status(status, CAIRN_ENOMEM, &err);
            cairn_tokenizer_destroy(tokenizer);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_kinds__encode_by_their_rules, tk_temp_setup,
                                        tk_temp_teardown),
        cmocka_unit_test_setup_teardown(control_pieces__are_known_but_not_found_in_a_text,
                                        tk_temp_setup, tk_temp_teardown),
        cmocka_unit_test_setup_teardown(what_is_wrong__is_refused_by_name, tk_temp_setup,
                                        tk_temp_teardown),
        cmocka_unit_test_setup_teardown(a_table_that_leads_outside__has_no_rules, tk_temp_setup,
                                        tk_temp_teardown),
        cmocka_unit_test(a_cut_file__is_never_read_beyond_its_end),
        cmocka_unit_test_setup_teardown(no_memory__is_an_error_and_leaves_nothing, tk_temp_setup,
                                        tk_temp_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
