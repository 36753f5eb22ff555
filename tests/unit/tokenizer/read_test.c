/* What a tokenizer.json may hold, and what is refused by name. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "kit/kit.h"
#include "tokenizer/tokenizer.h"

/* A tokenizer of the 256 bytes and "ab"; a test replaces a part of it. */
static void append_file(crn_str *out)
{
    crn_str_append(out, "{\"added_tokens\":[{\"id\":257,\"content\":\"<e>\",\"special\":true}],"
                        "\"normalizer\":null,\"pre_tokenizer\":{\"type\":\"ByteLevel\","
                        "\"add_prefix_space\":false,\"use_regex\":true},"
                        "\"model\":{\"type\":\"BPE\",\"vocab\":{");
    uint32_t next = 0x100;
    for (uint32_t byte = 0; byte < 256; byte++) {
        const bool is_visible = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte != 0xad);
        const uint32_t code = is_visible ? byte : next++;
        crn_str_printf(out, "\"\\u%04x\":%u,", code, byte);
    }
    crn_str_append(out, "\"ab\":256},\"merges\":[\"a b\"]}}");
}

static char *file_with(const char *old, const char *new)
{
    crn_str whole = {0};
    crn_str text = {0};
    append_file(&whole);
    const char *const at = strstr(whole.text, old);
    assert_non_null(at);
    crn_str_append_bytes(&text, whole.text, (size_t)(at - whole.text));
    crn_str_append(&text, new);
    crn_str_append(&text, at + strlen(old));
    crn_str_dispose(&whole);
    assert_false(text.is_failed);
    return text.text;
}

static cairn_status open_with(const char *dir, const char *old, const char *new,
                              cairn_tokenizer **out, cairn_error *err)
{
    char path[TK_PATH_SIZE];
    char *const text = file_with(old, new);
    tk_write_text(dir, "tokenizer.json", text);
    crn_free(text);
    return cairn_tokenizer_open(tk_join(path, dir, "tokenizer.json"), out, err);
}

static void a_file_or_its_folder__opens(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    cairn_tokenizer *tokenizer = NULL;
    for (int i = 0; i < 2; i++) {
        if (i == 0)
            tk_assert_ok(open_with(dir, "[\"a b\"]", "[[\"a\",\"b\"]]", &tokenizer, &err), &err);
        else
            tk_assert_ok(cairn_tokenizer_open(dir, &tokenizer, &err), &err);
        assert_int_equal(cairn_tokenizer_vocab_size(tokenizer), 258);
        cairn_tokenizer_destroy(tokenizer);
    }
}

#define SPLIT(pattern)                                                                             \
    "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\","             \
    "\"pattern\":{\"Regex\":\"" pattern "\"},\"behavior\":\"Isolated\"},"                          \
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}]}"

static void what_is_not_understood__is_refused_by_name(void **state)
{
    static const char k_pre[] = "\"pre_tokenizer\":{\"type\":\"ByteLevel\","
                                "\"add_prefix_space\":false,\"use_regex\":true}";
    static const struct {
        const char *old;
        const char *new;
        cairn_status status;
        const char *words;
    } k_cases[] = {
        {"\"BPE\"", "\"WordPiece\"", CAIRN_EUNSUPPORTED, "the model is WordPiece"},
        {"\"BPE\"", "\"Unigram\"", CAIRN_EUNSUPPORTED, "Unigram with ByteLevel"},
        {"\"type\":\"BPE\"", "\"type\":\"BPE\",\"dropout\":0.1", CAIRN_EUNSUPPORTED, "dropout"},
        {"\"type\":\"BPE\"", "\"end_of_word_suffix\":\"</w>\"", CAIRN_EUNSUPPORTED,
         "parts of words"},
        {"\"normalizer\":null", "\"normalizer\":{\"type\":\"Precompiled\"}", CAIRN_EUNSUPPORTED,
         "the normalizer Precompiled"},
        {"\"normalizer\":null", "\"normalizer\":{\"type\":\"Prepend\"}", CAIRN_EDATA,
         "the normalizer Prepend"},
        {"\"normalizer\":null", "\"decoder\":{\"type\":\"WordPiece\"}", CAIRN_EUNSUPPORTED,
         "the decoder WordPiece"},
        {k_pre, "\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}", CAIRN_EUNSUPPORTED,
         "the pre-tokenizer UnicodeScripts"},
        {k_pre, "\"pre_tokenizer\":{\"type\":\"Metaspace\"}", CAIRN_EDATA, "Metaspace"},
        {k_pre, SPLIT("(?<=a)b"), CAIRN_EUNSUPPORTED, "the group '(?<='"},
        {k_pre, SPLIT("a*"), CAIRN_EUNSUPPORTED, "match an empty text"},
        {k_pre, SPLIT("\\\\w+"), CAIRN_EUNSUPPORTED, "'\\w'"},
        {k_pre, SPLIT("a{1,3}+"), CAIRN_EUNSUPPORTED, "'+' after a count"},
        {k_pre, SPLIT("^a"), CAIRN_EUNSUPPORTED, "'^'"},
        {k_pre, SPLIT("[a[b]]"), CAIRN_EUNSUPPORTED, "sets within sets"},
        {k_pre, SPLIT("(a"), CAIRN_EUNSUPPORTED, "PCRE2"},
        {k_pre, SPLIT("\\\\p{Nothing}"), CAIRN_EUNSUPPORTED, "PCRE2"},
        {"\"special\":true", "\"lstrip\":true", CAIRN_EUNSUPPORTED, "'<e>' is lstrip"},
        {"\"id\":257", "\"id\":12", CAIRN_EDATA, "'<e>' contradicts the vocabulary"},
        {"\"id\":257", "\"id\":-1", CAIRN_EDATA, "no number from 0 to"},
        {"\"id\":257", "\"id\":4194304", CAIRN_EDATA, "no number from 0 to"},
        {"\"ab\":256", "\"ab\":255", CAIRN_EDATA, "two tokens have the id 255"},
        {"\"ab\":256", "\"ab\":256,\"ab\":256", CAIRN_EDATA, "no JSON"},
        {"\"\\u0061\":97,", "", CAIRN_EUNSUPPORTED, "no token for the byte 0x61"},
        {"[\"a b\"]", "[\"a c\"]", CAIRN_EDATA, "'ac', which the vocabulary lacks"},
        {"[\"a b\"]", "[\"ab\"]", CAIRN_EDATA, "merge 0 is no pair"},
        {"[\"a b\"]", "[\"a b c\"]", CAIRN_EDATA, "merge 0 is no pair"},
        {"[\"a b\"]", "{}", CAIRN_EDATA, "no merges"},
    };
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        cairn_error err = {0};
        cairn_tokenizer *tokenizer = NULL;
        const cairn_status status =
            open_with(*state, k_cases[i].old, k_cases[i].new, &tokenizer, &err);
        if (status == CAIRN_OK)
            fail_msg("accepted: %s", k_cases[i].new);
        tk_assert_status(status, k_cases[i].status, &err);
        tk_assert_error_has(&err, k_cases[i].words);
        tk_assert_error_has(&err, "tokenizer.json");
    }
}

static cairn_status ignore(void *user, const uint32_t *ids, size_t count, cairn_error *err)
{
    (void)ids;
    (void)err;
    *(size_t *)user += count;
    return CAIRN_OK;
}

static void a_pattern_that_takes_for_ever__ends_in_an_error(void **state)
{
    static const char k_pre[] = "\"pre_tokenizer\":{\"type\":\"ByteLevel\","
                                "\"add_prefix_space\":false,\"use_regex\":true}";
    cairn_error err = {0};
    cairn_tokenizer *tokenizer = NULL;
    cairn_encoder *encoder = NULL;
    size_t count = 0;
    tk_assert_ok(open_with(*state, k_pre, SPLIT("(a|aa)+[bd]"), &tokenizer, &err), &err);
    const cairn_encoder_options options = {
        .struct_size = sizeof options, .emit = ignore, .user = &count};
    tk_assert_ok(cairn_encoder_new(tokenizer, &options, &encoder, &err), &err);
    char text[61];
    memset(text, 'a', sizeof text);
    text[60] = 'c';
    cairn_status status = cairn_encoder_add(encoder, text, sizeof text, &err);
    if (status == CAIRN_OK)
        status = cairn_encoder_finish(encoder, &err);
    tk_assert_status(status, CAIRN_EDATA, &err);
    tk_assert_error_has(&err, "takes too long");
    cairn_encoder_destroy(encoder);
    cairn_tokenizer_destroy(tokenizer);
}

static void a_missing_file__is_named(void **state)
{
    cairn_error err = {0};
    cairn_tokenizer *tokenizer = NULL;
    char path[TK_PATH_SIZE];
    tk_assert_status(cairn_tokenizer_open(tk_join(path, *state, "none.json"), &tokenizer, &err),
                     CAIRN_EDATA, &err);
    tk_assert_error_has(&err, "none.json");
    tk_assert_status(cairn_tokenizer_open(*state, &tokenizer, &err), CAIRN_EDATA, &err);
    tk_assert_error_has(&err, "/tokenizer.json");
}

/* Every allocation of ours in turn; those of jansson and PCRE2 are not counted. */
static void no_memory__is_an_error_and_leaves_nothing(void **state)
{
    const char *const dir = *state;
    char *const text = file_with("\"normalizer\"", "\"normalizer\"");
    tk_write_text(dir, "tokenizer.json", text);
    crn_free(text);
    cairn_status status = CAIRN_ENOMEM;
    for (uint64_t n = 1; status != CAIRN_OK; n++) {
        cairn_error err = {0};
        cairn_tokenizer *tokenizer = NULL;
        assert_true(n < 1000);
        crn_mem_fail_at(n, 0);
        status = cairn_tokenizer_open(dir, &tokenizer, &err);
        crn_mem_fail_at(0, 0);
        if (status != CAIRN_OK)
            tk_assert_status(status, CAIRN_ENOMEM, &err);
        cairn_tokenizer_destroy(tokenizer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_or_its_folder__opens, tk_temp_setup,
                                        tk_temp_teardown),
        cmocka_unit_test_setup_teardown(what_is_not_understood__is_refused_by_name, tk_temp_setup,
                                        tk_temp_teardown),
        cmocka_unit_test_setup_teardown(a_pattern_that_takes_for_ever__ends_in_an_error,
                                        tk_temp_setup, tk_temp_teardown),
        cmocka_unit_test_setup_teardown(a_missing_file__is_named, tk_temp_setup, tk_temp_teardown),
        cmocka_unit_test_setup_teardown(no_memory__is_an_error_and_leaves_nothing, tk_temp_setup,
                                        tk_temp_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
