#include "kit/kit.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "format/format.h"

static crn_meta_entry meta_of(const char *key, const char *value)
{
    return (crn_meta_entry){
        .key = key, .key_length = strlen(key), .value = value, .value_length = strlen(value)};
}

static crn_file_entry entry_of(const char *name, cairn_dtype dtype, uint32_t rank,
                               const uint64_t *shape, uint64_t begin, uint64_t bytes)
{
    return (crn_file_entry){.name = name,
                            .name_length = strlen(name),
                            .dtype = dtype,
                            .rank = rank,
                            .shape = shape,
                            .begin = begin,
                            .bytes = bytes};
}

static const uint64_t k_two_three[] = {2, 3};
static const uint64_t k_forty[] = {40};
static const uint64_t k_zero[] = {0};

enum { SAMPLE_META = 3, SAMPLE_ENTRIES = 4, SAMPLE_DATA = 72 };

/* A small header with all that matters: escapes, a pad, a scalar, an empty tensor. */
static void make_sample(crn_meta_entry *meta, crn_file_entry *entries)
{
    meta[0] = meta_of("cairn.format", "1.0");
    meta[1] = meta_of("cairn.values", "{\"global_step\":{\"value\":\"500\"}}");
    meta[2] = meta_of("odd \n\"key\"\\", "\x7f \xc3\xa4 \x01");
    entries[0] = entry_of("model.w", CAIRN_DTYPE_F32, 2, k_two_three, 0, 24);
    entries[1] = entry_of("__pad__.0", CAIRN_DTYPE_U8, 1, k_forty, 24, 40);
    entries[2] = entry_of("optimizer.t", CAIRN_DTYPE_I64, 0, NULL, 64, 8);
    entries[3] = entry_of("model.empty", CAIRN_DTYPE_BF16, 1, k_zero, 64, 0);
}

static void write_sample(crn_str *out)
{
    crn_meta_entry meta[SAMPLE_META];
    crn_file_entry entries[SAMPLE_ENTRIES];
    cairn_error err = {0};
    make_sample(meta, entries);
    tk_assert_ok(crn_header_write(meta, SAMPLE_META, entries, SAMPLE_ENTRIES, out, &err), &err);
}

static void header__reads_back_what_was_written(void **state)
{
    (void)state;
    crn_str text = {0};
    crn_header header;
    char message[200];
    uint64_t length = 0;
    write_sample(&text);
    const uint8_t *const bytes = (const uint8_t *)text.text;
    assert_int_equal(text.length % 4096, 0);
    assert_int_equal(
        crn_header_length(bytes, text.length, text.length + SAMPLE_DATA, &length, message),
        CRN_FORMAT_OK);
    assert_int_equal(length, text.length - 8);
    assert_int_equal(crn_header_parse(bytes + 8, length, SAMPLE_DATA, &header, message),
                     CRN_FORMAT_OK);
    assert_false(header.is_nonstandard);

    assert_int_equal(header.meta_count, 1 + SAMPLE_META);
    assert_string_equal(header.meta[0].key, CRN_META_HEADER_DIGEST);
    assert_int_equal(header.meta[0].value_length, 32);
    const crn_meta_entry *const odd = crn_header_meta(&header, "odd \n\"key\"\\");
    assert_non_null(odd);
    assert_string_equal(odd->value, "\x7f \xc3\xa4 \x01");
    assert_string_equal(crn_header_meta(&header, "cairn.format")->value, "1.0");
    assert_null(crn_header_meta(&header, "cairn.forma"));

    static const char *const k_names[] = {"model.w", "__pad__.0", "model.empty", "optimizer.t"};
    assert_int_equal(header.entry_count, SAMPLE_ENTRIES); /* sorted: the empty one comes first */
    for (size_t i = 0; i < SAMPLE_ENTRIES; i++) {
        assert_string_equal(header.entries[i].name, k_names[i]);
        assert_int_equal(header.entries[i].name_length, strlen(k_names[i]));
        assert_int_equal(header.entries[i].is_pad, i == 1);
    }
    assert_int_equal(header.entries[0].dtype, CAIRN_DTYPE_F32);
    assert_int_equal(header.entries[0].rank, 2);
    assert_memory_equal(header.entries[0].shape, k_two_three, sizeof k_two_three);
    assert_int_equal(header.entries[3].begin, 64);
    assert_int_equal(header.entries[3].bytes, 8);
    assert_int_equal(header.entries[3].rank, 0);
    crn_header_dispose(&header);
    crn_str_dispose(&text);
}

static void header__is_written_to_the_same_bytes_each_time(void **state)
{
    (void)state;
    static const char k_begin[] = "{\"__metadata__\":{\"cairn.header_digest\":\"";
    static const char k_middle[] =
        "\",\"cairn.format\":\"1.0\",\"cairn.values\":\"{\\\"global_step\\\":{\\\"value\\\":"
        "\\\"500\\\"}}\",\"odd \\u000a\\\"key\\\"\\\\\":\"\\u007f \xc3\xa4 \\u0001\"},"
        "\"model.w\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
        "\"__pad__.0\":{\"dtype\":\"U8\",\"shape\":[40],\"data_offsets\":[24,64]},"
        "\"optimizer.t\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[64,72]},"
        "\"model.empty\":{\"dtype\":\"BF16\",\"shape\":[0],\"data_offsets\":[64,64]}}   ";
    crn_str first = {0};
    crn_str second = {0};
    crn_str_append(&second, "old contents");
    write_sample(&first);
    write_sample(&second);
    assert_int_equal(first.length, second.length);
    assert_memory_equal(first.text, second.text, first.length);
    assert_memory_equal(first.text + 8, k_begin, sizeof k_begin - 1);
    assert_memory_equal(first.text + 8 + sizeof k_begin - 1 + 32, k_middle, sizeof k_middle - 1);
    assert_int_equal(first.text[first.length - 1], ' ');
    crn_str_dispose(&first);
    crn_str_dispose(&second);
}

static void header_digest__is_over_length_word_and_header_with_its_digits_as_zeros(void **state)
{
    (void)state;
    cairn_error err = {0};
    crn_str text = {0};
    crn_digest stored;
    crn_digest computed;
    write_sample(&text);
    tk_assert_ok(
        crn_header_digest((const uint8_t *)text.text, text.length, &stored, &computed, &err), &err);
    assert_true(crn_digest_equal(&stored, &computed));
    memset(text.text + 8 + 40, '0', 32);
    const crn_digest expected = crn_hash(text.text, text.length);
    assert_true(crn_digest_equal(&stored, &expected));
    crn_str_dispose(&text);
}

static void header_digest__is_only_found_at_its_place(void **state)
{
    (void)state;
    static const char k_moved[] = "12345678{\"__metadata__\":{\"a\":\"\",\"cairn.header_digest\":\""
                                  "00112233445566778899aabbccddeeff\"}}";
    crn_digest stored;
    crn_digest computed;
    crn_str text = {0};
    write_sample(&text);
    const uint8_t *const bytes = (const uint8_t *)text.text;
    cairn_error err = {0};
    tk_assert_status(
        crn_header_digest((const uint8_t *)k_moved, sizeof k_moved - 1, &stored, &computed, &err),
        CAIRN_ECORRUPT, &err);
    tk_assert_status(crn_header_digest(bytes, 8 + 40 + 32, &stored, &computed, &err),
                     CAIRN_ECORRUPT, &err);
    text.text[8 + 40 + 5] = 'A';
    tk_assert_status(crn_header_digest(bytes, text.length, &stored, &computed, &err),
                     CAIRN_ECORRUPT, &err);
    crn_str_dispose(&text);
}

static void header_digest__without_memory_is_no_damage(void **state)
{
    (void)state;
    cairn_error err = {0};
    crn_digest stored;
    crn_digest computed;
    crn_str text = {0};
    write_sample(&text);
    crn_mem_fail_at(1, 1);
    const cairn_status rc =
        crn_header_digest((const uint8_t *)text.text, text.length, &stored, &computed, &err);
    crn_mem_fail_at(0, 0);
    tk_assert_status(rc, CAIRN_ENOMEM, &err);
    crn_str_dispose(&text);
}

/* What a reader concludes from a whole file of which only the header is at hand. */
static bool is_accepted(const uint8_t *bytes, size_t header_size, size_t file_size)
{
    crn_header header;
    crn_digest stored;
    crn_digest computed;
    char message[200];
    uint64_t length = 0;
    if (crn_header_length(bytes, header_size, file_size, &length, message) != CRN_FORMAT_OK ||
        8 + length > header_size)
        return false; /* reaches into the data, which begins with a zero byte */
    if (crn_header_parse(bytes + 8, length, file_size - 8 - length, &header, message) !=
        CRN_FORMAT_OK)
        return false;
    bool is_ours = false;
    for (size_t i = 0; i < header.meta_count; i++)
        is_ours = is_ours || strncmp(header.meta[i].key, "cairn.", 6) == 0;
    crn_header_dispose(&header);
    if (crn_header_digest(bytes, 8 + length, &stored, &computed, NULL) != CAIRN_OK)
        return !is_ours; /* it would pass for a plain file */
    return crn_digest_equal(&stored, &computed);
}

static void every_flipped_bit_of_length_word_and_header__is_noticed(void **state)
{
    (void)state;
    crn_str text = {0};
    write_sample(&text);
    uint8_t *const bytes = (uint8_t *)text.text;
    const size_t file_size = text.length + SAMPLE_DATA;
    assert_true(is_accepted(bytes, text.length, file_size));
    for (size_t bit = 0; bit < 8 * text.length; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        if (is_accepted(bytes, text.length, file_size))
            fail_msg("bit %zu", bit);
        bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    crn_str_dispose(&text);
}

static void write__of_what_no_reader_would_take__is_refused(void **state)
{
    (void)state;
    crn_str text = {0};
    const crn_file_entry wrong[][2] = {
        {entry_of("a", CAIRN_DTYPE_U8, 1, k_forty, 0, 40),
         entry_of("b", CAIRN_DTYPE_U8, 1, k_forty, 41, 40)},
        {entry_of("a", CAIRN_DTYPE_U8, 1, k_forty, 0, 40),
         entry_of("a", CAIRN_DTYPE_U8, 1, k_forty, 40, 40)},
        {entry_of("a", CAIRN_DTYPE_U8, 1, k_forty, 0, 40),
         entry_of("\xff", CAIRN_DTYPE_U8, 1, k_forty, 40, 40)},
        {entry_of("a", CAIRN_DTYPE_U8, 1, k_forty, 0, 40),
         entry_of("b", CAIRN_DTYPE_F32, 1, k_forty, 40, 40)},
        {entry_of("a", CAIRN_DTYPE_U8, 1, k_forty, 0, 40),
         entry_of("b", (cairn_dtype)0, 1, k_forty, 40, 40)},
    };
    static const char *const k_codes[] = {"E_HOLE", "E_DUPLICATE_NAME", "E_UTF8", "E_SIZE_MISMATCH",
                                          "E_DTYPE"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cairn_error err = {0};
        tk_assert_status(crn_header_write(NULL, 0, wrong[i], 2, &text, &err), CAIRN_EINVAL, &err);
        tk_assert_error_has(&err, k_codes[i]);
    }
    const crn_meta_entry digest = meta_of(CRN_META_HEADER_DIGEST, "0");
    cairn_error err = {0};
    tk_assert_status(crn_header_write(&digest, 1, NULL, 0, &text, &err), CAIRN_EINVAL, &err);
    crn_str_dispose(&text);
}

static void write__of_nothing__is_one_page(void **state)
{
    (void)state;
    crn_str text = {0};
    tk_assert_ok(crn_header_write(NULL, 0, NULL, 0, &text, NULL), NULL);
    assert_int_equal(text.length, 4096);
    crn_str_dispose(&text);
}

static void read_and_write__say_so_when_any_allocation_fails(void **state)
{
    (void)state;
    crn_meta_entry meta[SAMPLE_META];
    crn_file_entry entries[SAMPLE_ENTRIES];
    crn_str text = {0};
    uint64_t n = 0;
    cairn_status rc = CAIRN_ENOMEM;
    make_sample(meta, entries);
    while (rc != CAIRN_OK) {
        crn_mem_fail_at(++n, 0);
        rc = crn_header_write(meta, SAMPLE_META, entries, SAMPLE_ENTRIES, &text, NULL);
        crn_mem_fail_at(0, 0);
        assert_true(rc == CAIRN_OK || rc == CAIRN_ENOMEM);
        assert_true(n < 100);
    }
    assert_true(n > 4);
    crn_str_dispose(&text);
}

struct seen {
    crn_str keys;
    size_t limit;
    size_t count;
};

static bool note_key(void *user, const crn_meta_entry *entry)
{
    struct seen *const seen = user;
    assert_int_equal(strlen(entry->key), entry->key_length);
    assert_int_equal(entry->value[entry->value_length], '\0');
    crn_str_printf(&seen->keys, "%s=%s;", entry->key, entry->value);
    return ++seen->count < seen->limit;
}

static void assert_peek(const char *json, size_t size, size_t limit, bool begins, const char *keys)
{
    struct seen seen = {.limit = limit};
    uint8_t *const copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, json, size);
    crn_str_append(&seen.keys, "");
    assert_int_equal(crn_header_peek(copy, size, note_key, &seen), begins);
    assert_string_equal(seen.keys.text, keys);
    crn_str_dispose(&seen.keys);
    free(copy);
}

static void peek__gives_the_complete_keys_of_a_cut_header(void **state)
{
    (void)state;
    static const char k_json[] = "{\"__metadata__\":{\"a\":\"1\",\"b\\u0062\":\"2\\n\"},\"t\":{}}";
    assert_peek(k_json, sizeof k_json - 1, 9, true, "a=1;bb=2\n;");
    assert_peek(k_json, sizeof k_json - 1, 1, true, "a=1;");
    for (size_t size = 0; size < sizeof k_json - 1; size++)
        assert_peek(k_json, size, 9, size >= 17,
                    size >= 40   ? "a=1;bb=2\n;"
                    : size >= 24 ? "a=1;"
                                 : "");
}

static void peek__of_anything_else_is_false(void **state)
{
    (void)state;
    static const char *const k_other[] = {
        "", "[]", "{}", "{\"t\":{},\"__metadata__\":{}}", "{\"__metadata__\":null}", "\xff"};
    for (size_t i = 0; i < sizeof k_other / sizeof k_other[0]; i++)
        assert_peek(k_other[i], strlen(k_other[i]), 9, false, "");
    static const char k_wrong[] = "{\"__metadata__\":{\"a\":\"1\",\"b\":2,\"c\":\"3\"}}";
    static const char k_bytes[] = "{\"__metadata__\":{\"a\":\"1\",\"b\":\"\xff\",\"c\":\"3\"}}";
    assert_peek(k_wrong, sizeof k_wrong - 1, 9, true, "a=1;");
    assert_peek(k_bytes, sizeof k_bytes - 1, 9, true, "a=1;");
}

static crn_format_code note_pair(void *user, const char *outer, const char *key, const char *value)
{
    crn_str *const seen = user;
    crn_str_printf(seen, "%s/%s=%s;", outer, key != NULL ? key : "-", value != NULL ? value : "-");
    return value != NULL && strcmp(value, "stop") == 0 ? CRN_FORMAT_NAME : CRN_FORMAT_OK;
}

static void assert_pairs(const char *json, crn_format_code expected, const char *pairs)
{
    crn_str seen = {0};
    const size_t size = strlen(json);
    char *const copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, json, size);
    crn_str_append(&seen, "");
    assert_int_equal(crn_pairs_parse(copy, size, note_pair, &seen), expected);
    if (pairs != NULL)
        assert_string_equal(seen.text, pairs);
    crn_str_dispose(&seen);
    free(copy);
}

static void pairs__are_walked_flat_and_nested(void **state)
{
    (void)state;
    assert_pairs("{}", CRN_FORMAT_OK, "");
    assert_pairs("{\"a\":\"1\",\"b\":\"\"}", CRN_FORMAT_OK, "/a=1;/b=;");
    assert_pairs(" {\"m\":{\"x\":\"1\",\"y\\\"\":\"2\"},\"e\":{},\"s\":{\"v\":\"3\"}} ",
                 CRN_FORMAT_OK, "m/-=-;m/x=1;m/y\"=2;e/-=-;s/-=-;s/v=3;");
}

static void pairs__of_anything_but_texts_are_refused(void **state)
{
    (void)state;
    static const char *const k_wrong[] = {"",
                                          "[]",
                                          "{\"a\":1}",
                                          "{\"a\":null}",
                                          "{\"a\":[\"b\"]}",
                                          "{\"a\"",
                                          "{\"a\":{\"b\"",
                                          "{\"a\":{\"b\":{}}}",
                                          "{\"a\":{\"b\":1}}",
                                          "{} {}",
                                          "{\"\\u0000\":\"b\"}",
                                          "{\"a\":\"\\u0000\"}",
                                          "{\"a\":\"\xff\"}"};
    for (size_t i = 0; i < sizeof k_wrong / sizeof k_wrong[0]; i++)
        assert_pairs(k_wrong[i], CRN_FORMAT_JSON, NULL);
}

static void pairs__end_with_the_code_of_the_caller(void **state)
{
    (void)state;
    assert_pairs("{\"a\":\"stop\",\"b\":\"1\"}", CRN_FORMAT_NAME, "/a=stop;");
    assert_pairs("{\"a\":{\"b\":\"stop\",\"c\":\"1\"}}", CRN_FORMAT_NAME, "a/-=-;a/b=stop;");
}

static void parse_peek_and_pairs__say_so_without_memory(void **state)
{
    (void)state;
    static const char k_json[] = "{\"__metadata__\":{\"a\":\"1\"}}";
    struct seen seen = {.limit = 9};
    crn_header header;
    char message[200];
    for (uint64_t n = 1; n <= 2; n++) {
        crn_mem_fail_at(n, 0);
        const crn_format_code code =
            crn_header_parse((const uint8_t *)k_json, sizeof k_json - 1, 0, &header, message);
        crn_mem_fail_at(0, 0);
        assert_int_equal(code, CRN_FORMAT_NO_MEMORY);
        assert_null(header.memory);
    }
    crn_mem_fail_at(1, 0);
    assert_int_equal(crn_pairs_parse("{}", 2, note_pair, NULL), CRN_FORMAT_NO_MEMORY);
    crn_mem_fail_at(1, 0);
    assert_false(crn_header_peek((const uint8_t *)k_json, sizeof k_json - 1, note_key, &seen));
    crn_mem_fail_at(0, 0);
    assert_int_equal(seen.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header__reads_back_what_was_written),
        cmocka_unit_test(header__is_written_to_the_same_bytes_each_time),
        cmocka_unit_test(header_digest__is_over_length_word_and_header_with_its_digits_as_zeros),
        cmocka_unit_test(header_digest__is_only_found_at_its_place),
        cmocka_unit_test(header_digest__without_memory_is_no_damage),
        cmocka_unit_test(every_flipped_bit_of_length_word_and_header__is_noticed),
        cmocka_unit_test(write__of_what_no_reader_would_take__is_refused),
        cmocka_unit_test(write__of_nothing__is_one_page),
        cmocka_unit_test(read_and_write__say_so_when_any_allocation_fails),
        cmocka_unit_test(peek__gives_the_complete_keys_of_a_cut_header),
        cmocka_unit_test(peek__of_anything_else_is_false),
        cmocka_unit_test(pairs__are_walked_flat_and_nested),
        cmocka_unit_test(pairs__of_anything_but_texts_are_refused),
        cmocka_unit_test(pairs__end_with_the_code_of_the_caller),
        cmocka_unit_test(parse_peek_and_pairs__say_so_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
