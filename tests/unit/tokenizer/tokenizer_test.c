/* Ids and texts that the Python packages `tokenizers` and `sentencepiece` gave:
 * tests/numeric/make_tokenizers.py. */
#include "cairn/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit/kit.h"

enum { IDS_MAX = 16384 };

/* Those whose tokens are bytes first; the fourth drops "£". */
static const char *const k_names[] = {"gpt2",    "prefix_space", "llama3",    "digits",
                                      "neox",    "words",        "llama2",    "mistral",
                                      "unigram", "folded",       "behaviors", "sp_unigram",
                                      "sp_bpe",  "sp_suffix",    "sp_plain"};
enum {
    NAMES = sizeof k_names / sizeof k_names[0],
    WHOLE_NAMES = 3,
    FIRST_WITH_TEXT = 6, /* from here on the text that the ids give is kept */
    FIRST_MODEL = 11     /* from here on they are SentencePiece's */
};

struct ids {
    uint32_t ids[IDS_MAX];
    size_t count;
};

static char *folder(char path[TK_PATH_SIZE])
{
    const char *const source = getenv("CAIRN_SOURCE_DIR");
    assert_non_null(source);
    return tk_join(path, source, "tests/numeric/tokenizers");
}

static cairn_tokenizer *open_fixture(const char *name)
{
    char path[TK_PATH_SIZE];
    char file[64];
    char full[TK_PATH_SIZE];
    cairn_tokenizer *tokenizer = NULL;
    cairn_error err = {0};
    (void)snprintf(file, sizeof file, "%s.%s", name,
                   strncmp(name, "sp_", 3) == 0 ? "model" : "json");
    tk_assert_ok(cairn_tokenizer_open(tk_join(full, folder(path), file), &tokenizer, &err), &err);
    return tokenizer;
}

static char *read_fixture(const char *name, size_t *out_size)
{
    char path[TK_PATH_SIZE];
    return tk_read_file(folder(path), name, out_size);
}

static void read_ids(const char *name, const char *label, struct ids *out)
{
    char file[64];
    (void)snprintf(file, sizeof file, "%s.%s.ids", name, label);
    char *const text = read_fixture(file, NULL);
    out->count = 0;
    for (char *at = text; *at != '\0'; at++) {
        assert_true(out->count < IDS_MAX);
        out->ids[out->count++] = (uint32_t)strtoul(at, &at, 10);
        assert_int_equal(*at, '\n');
    }
    free(text);
}

static cairn_status keep(void *user, const uint32_t *ids, size_t count, cairn_error *err)
{
    struct ids *const out = user;
    (void)err;
    assert_true(out->count + count <= IDS_MAX);
    memcpy(out->ids + out->count, ids, count * sizeof *ids);
    out->count += count;
    return CAIRN_OK;
}

static cairn_encoder *new_encoder(const cairn_tokenizer *tokenizer, bool replaces, struct ids *out)
{
    cairn_error err = {0};
    cairn_encoder *encoder = NULL;
    out->count = 0;
    const cairn_encoder_options options = {
        .struct_size = sizeof options, .replace_invalid = replaces, .emit = keep, .user = out};
    tk_assert_ok(cairn_encoder_new(tokenizer, &options, &encoder, &err), &err);
    return encoder;
}

/* In pieces of @step bytes. */
static void encode(const cairn_tokenizer *tokenizer, bool replaces, const char *text, size_t size,
                   size_t step, struct ids *out)
{
    cairn_error err = {0};
    cairn_encoder *const encoder = new_encoder(tokenizer, replaces, out);
    for (size_t at = 0; at < size; at += step) {
        const size_t piece = size - at < step ? size - at : step;
        char *const copy = malloc(piece); /* of that very size: a sanitizer sees a byte too many */
        assert_non_null(copy);
        memcpy(copy, text + at, piece);
        tk_assert_ok(cairn_encoder_add(encoder, copy, piece, &err), &err);
        free(copy);
    }
    tk_assert_ok(cairn_encoder_finish(encoder, &err), &err);
    cairn_encoder_destroy(encoder);
}

static void assert_ids(const char *name, const char *label, size_t step, const struct ids *got,
                       const struct ids *expected)
{
    for (size_t i = 0; i < expected->count && i < got->count; i++) {
        if (got->ids[i] != expected->ids[i])
            fail_msg("%s, %s, in pieces of %zu: id %zu is %u instead of %u", name, label, step, i,
                     got->ids[i], expected->ids[i]);
    }
    if (got->count != expected->count)
        fail_msg("%s, %s, in pieces of %zu: %zu ids instead of %zu", name, label, step, got->count,
                 expected->count);
}

static void check_fixture(const char *name, const char *label)
{
    static const size_t k_steps[] = {1 << 20, 1, 2, 3, 7, 64, 1000};
    static struct ids s_got;
    static struct ids s_expected;
    char file[64];
    size_t size = 0;
    (void)snprintf(file, sizeof file, "%s.txt", label);
    char *const text = read_fixture(file, &size);
    cairn_tokenizer *const tokenizer = open_fixture(name);
    read_ids(name, label, &s_expected);
    assert_true(s_expected.count > 20);
    for (size_t i = 0; i < sizeof k_steps / sizeof k_steps[0]; i++) {
        encode(tokenizer, true, text, size, k_steps[i], &s_got);
        assert_ids(name, label, k_steps[i], &s_got, &s_expected);
    }
    cairn_tokenizer_destroy(tokenizer);
    free(text);
}

static void ids__are_those_of_the_tokenizers_package(void **state)
{
    (void)state;
    for (size_t i = 0; i < NAMES; i++)
        check_fixture(k_names[i], "text");
}

static void what_is_no_utf8__is_replaced_as_python_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < NAMES; i++)
        check_fixture(k_names[i], "invalid");
}

static void decoding__gives_the_text_back(void **state)
{
    (void)state;
    static struct ids s_got;
    size_t size = 0;
    char *const text = read_fixture("text.txt", &size);
    for (size_t i = 0; i < WHOLE_NAMES; i++) {
        cairn_tokenizer *const tokenizer = open_fixture(k_names[i]);
        size_t at = 0;
        encode(tokenizer, false, text, size, size, &s_got);
        for (size_t k = 0; k < s_got.count; k++) {
            size_t length = 0;
            const char *bytes = cairn_tokenizer_decode(tokenizer, s_got.ids[k], &length);
            assert_non_null(bytes);
            if (strcmp(k_names[i], "prefix_space") == 0 && bytes[0] == ' ' && text[at] != ' ') {
                bytes++; /* the space that it puts before each section */
                length--;
            }
            assert_true(length <= size - at);
            assert_memory_equal(bytes, text + at, length);
            at += length;
        }
        assert_int_equal(at, size);
        cairn_tokenizer_destroy(tokenizer);
    }
    free(text);
}

/* The text is in @out, which has room for it. */
static size_t decode(const cairn_tokenizer *tokenizer, const struct ids *ids, char *out)
{
    size_t at = 0;
    for (size_t i = 0; i < ids->count; i++) {
        size_t length = 0;
        const char *const bytes =
            i == 0 ? cairn_tokenizer_decode_first(tokenizer, ids->ids[i], &length)
                   : cairn_tokenizer_decode(tokenizer, ids->ids[i], &length);
        assert_non_null(bytes);
        memcpy(out + at, bytes, length);
        at += length;
    }
    return at;
}

static void decoding__gives_the_text_of_the_packages(void **state)
{
    (void)state;
    static struct ids s_ids;
    static char s_text[1 << 16];
    for (size_t i = FIRST_WITH_TEXT; i < NAMES; i++) {
        char file[64];
        size_t size = 0;
        (void)snprintf(file, sizeof file, "%s.text.out", k_names[i]);
        char *const expected = read_fixture(file, &size);
        cairn_tokenizer *const tokenizer = open_fixture(k_names[i]);
        read_ids(k_names[i], "text", &s_ids);
        const size_t got = decode(tokenizer, &s_ids, s_text);
        for (size_t at = 0; at < size && at < got; at++) {
            if (s_text[at] != expected[at])
                fail_msg("%s: at byte %zu '%.20s' instead of '%.20s'", k_names[i], at, s_text + at,
                         expected + at);
        }
        assert_int_equal(got, size);
        cairn_tokenizer_destroy(tokenizer);
        free(expected);
    }
}

static void a_second_text__begins_afresh(void **state)
{
    (void)state;
    static struct ids s_got;
    cairn_error err = {0};
    cairn_tokenizer *const tokenizer = open_fixture("gpt2");
    cairn_encoder *const encoder = new_encoder(tokenizer, true, &s_got);
    for (int i = 0; i < 2; i++) {
        tk_assert_ok(cairn_encoder_add(encoder, "The \xe2\x82", 6, &err), &err);
        tk_assert_ok(cairn_encoder_finish(encoder, &err), &err);
    }
    assert_int_equal(s_got.count % 2, 0);
    assert_memory_equal(s_got.ids, s_got.ids + s_got.count / 2, s_got.count / 2 * sizeof(uint32_t));
    assert_int_equal(cairn_encoder_replaced(encoder), 2);
    cairn_encoder_destroy(encoder);
    cairn_tokenizer_destroy(tokenizer);
}

static void text_that_is_no_utf8__is_refused_with_its_offset(void **state)
{
    (void)state;
    static struct ids s_got;
    static const struct {
        const char *text;
        const char *words;
    } k_cases[] = {{"abc\xff", "at byte 3"},
                   {"\xc3\xa9\xe2\x82", "at byte 2"},
                   {"ab\xe2\x82z", "at byte 2"},
                   {"\xed\xa0\x80", "at byte 0"}};
    cairn_tokenizer *const tokenizer = open_fixture("llama3");
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        for (int by_bytes = 0; by_bytes < 2; by_bytes++) {
            cairn_error err = {0};
            cairn_encoder *const encoder = new_encoder(tokenizer, false, &s_got);
            const size_t size = strlen(k_cases[i].text);
            const size_t step = by_bytes ? 1 : size;
            cairn_status status = cairn_encoder_add(encoder, "a text before", 13, &err);
            if (status == CAIRN_OK)
                status = cairn_encoder_finish(encoder, &err);
            for (size_t at = 0; at < size && status == CAIRN_OK; at += step)
                status = cairn_encoder_add(encoder, k_cases[i].text + at, step, &err);
            if (status == CAIRN_OK)
                status = cairn_encoder_finish(encoder, &err);
            tk_assert_status(status, CAIRN_EDATA, &err);
            tk_assert_error_has(&err, k_cases[i].words);
            cairn_encoder_destroy(encoder);
        }
    }
    cairn_tokenizer_destroy(tokenizer);
}

static void added_tokens__are_found_by_their_text(void **state)
{
    (void)state;
    cairn_tokenizer *const tokenizer = open_fixture("gpt2");
    uint32_t id = 1;
    bool is_special = false;
    size_t size = 0;
    assert_true(cairn_tokenizer_find_added(tokenizer, "<|endoftext|>", &id));
    assert_int_equal(id, 0);
    assert_false(cairn_tokenizer_find_added(tokenizer, "the", &id));
    assert_int_equal(cairn_tokenizer_added_count(tokenizer), 7);
    assert_string_equal(cairn_tokenizer_added(tokenizer, 1, &id, &is_special), "<|pad|>");
    assert_true(is_special);
    assert_int_equal(id, cairn_tokenizer_vocab_size(tokenizer) - 6);
    assert_memory_equal(cairn_tokenizer_decode(tokenizer, id, &size), "<|pad|>", 7);
    assert_int_equal(size, 7);
    assert_null(cairn_tokenizer_decode(tokenizer, cairn_tokenizer_vocab_size(tokenizer), &size));
    cairn_tokenizer_destroy(tokenizer);
}

static void bytes__are_their_own_tokens(void **state)
{
    (void)state;
    static struct ids s_got;
    static const char k_text[] = "a\xff\x00z";
    cairn_error err = {0};
    cairn_tokenizer *tokenizer = NULL;
    size_t size = 0;
    tk_assert_ok(cairn_tokenizer_open("bytes", &tokenizer, &err), &err);
    assert_int_equal(cairn_tokenizer_vocab_size(tokenizer), 256);
    encode(tokenizer, false, k_text, 4, 4, &s_got);
    assert_int_equal(s_got.count, 4);
    assert_int_equal(s_got.ids[1], 0xff);
    assert_int_equal(s_got.ids[2], 0);
    assert_int_equal(*cairn_tokenizer_decode(tokenizer, 'z', &size), 'z');
    assert_int_equal(size, 1);
    cairn_tokenizer_destroy(tokenizer);
}

static void a_long_piece__is_refused_and_a_long_text_is_not(void **state)
{
    (void)state;
    enum { MIB = 1 << 20 };
    static struct ids s_got;
    cairn_error err = {0};
    cairn_tokenizer *const tokenizer = open_fixture("gpt2");
    cairn_encoder *encoder = new_encoder(tokenizer, false, &s_got);
    char *const text = malloc(MIB);
    assert_non_null(text);
    memset(text, 'a', MIB);
    cairn_status status = CAIRN_OK;
    for (int i = 0; i < 5 && status == CAIRN_OK; i++)
        status = cairn_encoder_add(encoder, text, MIB, &err);
    if (status == CAIRN_OK)
        status = cairn_encoder_finish(encoder, &err);
    tk_assert_status(status, CAIRN_EDATA, &err);
    tk_assert_error_has(&err, "one piece");
    cairn_encoder_destroy(encoder);
    free(text);
    cairn_tokenizer_destroy(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids__are_those_of_the_tokenizers_package),
        cmocka_unit_test(what_is_no_utf8__is_replaced_as_python_does),
        cmocka_unit_test(decoding__gives_the_text_back),
        cmocka_unit_test(decoding__gives_the_text_of_the_packages),
        cmocka_unit_test(a_second_text__begins_afresh),
        cmocka_unit_test(text_that_is_no_utf8__is_refused_with_its_offset),
        cmocka_unit_test(added_tokens__are_found_by_their_text),
        cmocka_unit_test(bytes__are_their_own_tokens),
        cmocka_unit_test(a_long_piece__is_refused_and_a_long_text_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
