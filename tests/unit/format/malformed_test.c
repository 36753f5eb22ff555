/*
 * The malformed files that the format's reader must tell apart, one test a case; "caseNN" is the
 * number in the table of [CF-60]. Cases 50 and 51 are about paths.
 */
#include "kit/kit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "format/format.h"

static char s_message[200];

static crn_format_code parse_bytes(const void *json, size_t size, uint64_t data_bytes)
{
    crn_header header;
    /* A copy of the exact size, so that a sanitizer sees any byte read beyond it. */
    uint8_t *const copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    if (size > 0)
        memcpy(copy, json, size);
    const crn_format_code code = crn_header_parse(copy, size, data_bytes, &header, s_message);
    assert_true(memchr(s_message, '\0', sizeof s_message) != NULL);
    assert_true((code == CRN_FORMAT_OK) == (s_message[0] == '\0'));
    if (code != CRN_FORMAT_OK)
        assert_null(header.memory);
    crn_header_dispose(&header);
    free(copy);
    return code;
}

static crn_format_code parse(const char *json, uint64_t data_bytes)
{
    return parse_bytes(json, strlen(json), data_bytes);
}

#define assert_code(actual, expected)                                                              \
    assert_string_equal(crn_format_code_text(actual), crn_format_code_text(CRN_FORMAT_##expected))
#define assert_parse(json, data_bytes, expected) assert_code(parse((json), (data_bytes)), expected)
#define assert_message(part)                     assert_non_null(strstr(s_message, (part)))

/* A tensor "a" of four bytes, with a shape of the caller's. */
static crn_format_code parse_shape(const char *shape)
{
    char json[2048];
    (void)snprintf(json, sizeof json,
                   "{\"a\":{\"dtype\":\"F32\",\"shape\":%s,\"data_offsets\":[0,4]}}", shape);
    return parse(json, 4);
}

static crn_format_code parse_offsets(const char *offsets, uint64_t data_bytes)
{
    char json[512];
    (void)snprintf(json, sizeof json,
                   "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":%s}}", offsets);
    return parse(json, data_bytes);
}

/* Tensors of bytes, "a", "b" and so on, from begin to end in pairs. */
static crn_format_code parse_table(const uint64_t *ends, size_t count, uint64_t data_bytes)
{
    crn_str json = {0};
    crn_str_append(&json, "{");
    for (size_t i = 0; i < count; i++)
        crn_str_printf(&json,
                       "%s\"%c\":{\"dtype\":\"U8\",\"shape\":[%" PRIu64
                       "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}",
                       i > 0 ? "," : "", (char)('a' + i), ends[2 * i + 1] - ends[2 * i],
                       ends[2 * i], ends[2 * i + 1]);
    crn_str_append(&json, "}");
    assert_false(json.is_failed);
    const crn_format_code code = parse(json.text, data_bytes);
    crn_str_dispose(&json);
    return code;
}

static crn_format_code length_of(const void *bytes, size_t size, uint64_t file_bytes)
{
    uint64_t length = 77;
    const crn_format_code code = crn_header_length(bytes, size, file_bytes, &length, s_message);
    assert_true(code == CRN_FORMAT_OK || length == 77);
    assert_true((code == CRN_FORMAT_OK) == (s_message[0] == '\0'));
    return code;
}

static crn_format_code length_word(uint64_t value, uint64_t file_bytes)
{
    uint8_t word[8];
    for (size_t i = 0; i < sizeof word; i++)
        word[i] = (uint8_t)(value >> (8 * i));
    return length_of(word, sizeof word, file_bytes);
}

static void case01__empty_file__is_truncated(void **state)
{
    (void)state;
    assert_code(length_of("", 0, 0), TRUNCATED);
}

static void case02__one_to_seven_bytes__are_truncated(void **state)
{
    (void)state;
    for (size_t size = 1; size < 8; size++)
        assert_code(length_of("PK\x03\x04xxx", size, size), TRUNCATED);
    assert_message("only 7 bytes");
}

static void case03__length_word_without_header__is_a_truncated_header(void **state)
{
    (void)state;
    assert_code(length_word(60, 8), TRUNCATED_HEADER);
}

static void case04__header_of_no_bytes__is_no_json(void **state)
{
    (void)state;
    assert_code(length_word(0, 8), JSON);
    assert_code(length_word(0, 1000), JSON);
    assert_parse("", 0, JSON);
    assert_message("empty");
}

static void case05__header_above_the_limit__is_too_large(void **state)
{
    (void)state;
    assert_code(length_word(100000001, UINT64_MAX), HEADER_TOO_LARGE);
    assert_code(length_word(100000000, UINT64_MAX), OK);
}

static void case06__length_that_wraps__is_too_large(void **state)
{
    (void)state;
    assert_code(length_word(UINT64_MAX, 4096), HEADER_TOO_LARGE);
    assert_code(length_word(UINT64_C(1) << 63, 4096), HEADER_TOO_LARGE);
    assert_code(length_word(UINT64_MAX - 7, 4096), HEADER_TOO_LARGE);
}

static void case07__header_one_byte_longer_than_the_file__is_a_truncated_header(void **state)
{
    (void)state;
    assert_code(length_word(4096 - 8 + 1, 4096), TRUNCATED_HEADER);
    assert_code(length_word(4096 - 8, 4096), OK);
}

static void case08__other_formats__are_named(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *hint;
    } k_cases[] = {
        {"PK\x03\x04\x00\x00\x08\x08", 8, "PyTorch zip"},
        {"\x80\x02\x8a\x0al\xfc\x9c"
         "F",
         8, "PyTorch pickle"},
        {"\x1f\x8b\x08\x00\x12\x34\x56\x78", 8, "gzip"},
        {"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xed", 11, "gzip"}, /* a plausible length */
        {"\x89HDF\r\n\x1a\n", 8, "HDF5 (a Model Zoo .mdl?)"},
        {"GGUF\x03\x00\x00\x00", 8, "GGUF"},
        {"<!DOCTYPE html>", 15, "HTML"},
        {"<html><body>", 12, "HTML"},
        {"version https://git-lfs.github.com/spec/v1", 42, "Git LFS pointer"},
    };
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        assert_code(length_of(k_cases[i].bytes, k_cases[i].size, 1 << 20), NOT_SAFETENSORS);
        assert_message(k_cases[i].hint);
    }
}

static void case08__length_word_that_looks_like_a_pickle__is_a_length(void **state)
{
    (void)state;
    assert_code(length_of("\x80\x02\0\0\0\0\0\0{", 9, 8 + 640), OK);
}

static void case09__header_that_is_no_utf8__is_refused_with_the_place(void **state)
{
    (void)state;
    assert_parse("{\"a\xff\":1}", 0, UTF8);
    assert_message("byte 11");
    assert_parse("{\"\xc0\xaf\":1}", 0, UTF8);
    assert_parse("{\"\xed\xa0\x80\":1}", 0, UTF8);
    assert_parse("{\"a\":\xff}", 0, UTF8);
}

static void case10__byte_order_mark__is_no_json(void **state)
{
    (void)state;
    assert_parse("\xef\xbb\xbf{}", 0, JSON);
}

static void case11__leading_white_space__is_accepted_and_told(void **state)
{
    (void)state;
    crn_header header;
    assert_code(crn_header_parse((const uint8_t *)" \t\n{}", 5, 0, &header, s_message), OK);
    assert_true(header.is_nonstandard);
    crn_header_dispose(&header);
    assert_code(crn_header_parse((const uint8_t *)"{} ", 3, 0, &header, s_message), OK);
    assert_false(header.is_nonstandard);
    crn_header_dispose(&header);
    assert_code(length_of("\x05\0\0\0\0\0\0\0 {}  ", 13, 13), OK);
}

static void case12__anything_but_an_object__is_a_wrong_type(void **state)
{
    (void)state;
    assert_parse("[]", 0, JSON_TYPE);
    assert_parse("\"x\"", 0, JSON_TYPE);
    assert_parse("null", 0, JSON_TYPE);
    assert_parse("1", 0, JSON_TYPE);
}

static void case13__bytes_after_the_object__are_refused(void **state)
{
    (void)state;
    assert_parse("{}x", 0, JSON_TRAILING);
    assert_parse("{}{}", 0, JSON_TRAILING);
    assert_code(parse_bytes("{}\0\0", 4, 0), JSON_TRAILING);
    assert_parse("{}   \n", 0, OK);
}

static void case14__broken_json__is_refused_with_the_place(void **state)
{
    (void)state;
    static const char *const k_wrong[] = {
        "{",
        "{\"a\":{",
        "{\"a",
        "{\"__metadata__\":{},}",
        "{/**/}",
        "{'a':{}}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\nb\":{}}",
        "{\"\\x41\":{}}",
        "{\"\\ud800\":{}}",
    };
    for (size_t i = 0; i < sizeof k_wrong / sizeof k_wrong[0]; i++) {
        assert_parse(k_wrong[i], 0, JSON);
        assert_message("byte ");
    }
}

static void case15__deep_nesting__is_refused_without_recursion(void **state)
{
    (void)state;
    enum { DEEP = 100000 };
    static const char k_begin[] = "{\"a\":{\"x\":";
    char *const json = malloc(sizeof k_begin + DEEP);
    assert_non_null(json);
    memcpy(json, k_begin, sizeof k_begin);
    memset(json + sizeof k_begin - 1, '[', DEEP);
    assert_code(parse_bytes(json, sizeof k_begin - 1 + DEEP, 0), JSON_DEPTH);
    free(json);
}

#define TENSOR_A "\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}"

static void case16__name_twice__is_refused(void **state)
{
    (void)state;
    assert_parse("{" TENSOR_A "," TENSOR_A "}", 4, DUPLICATE_NAME);
    assert_message("tensor 'a'");
    assert_parse("{" TENSOR_A ",\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]},"
                 "\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[8,12]}}",
                 12, DUPLICATE_NAME);
}

static void case17__name_twice_after_unescaping__is_refused(void **state)
{
    (void)state;
    assert_parse("{" TENSOR_A
                 ",\"\\u0061\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}}",
                 8, DUPLICATE_NAME);
}

static void case18__field_or_metadata_twice__is_refused(void **state)
{
    (void)state;
    assert_parse("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}",
                 0, DUPLICATE_FIELD);
    assert_parse("{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"sh\\u0061pe\":[0]}}", 0,
                 DUPLICATE_FIELD);
    assert_parse("{\"a\":{\"data_offsets\":[0,0],\"data_offsets\":[0,0]}}", 0, DUPLICATE_FIELD);
    assert_parse("{\"__metadata__\":{},\"__metadata__\":{}}", 0, DUPLICATE_FIELD);
    assert_parse("{\"__metadata__\":null,\"\\u005f_metadata__\":{}}", 0, DUPLICATE_FIELD);
    assert_parse("{\"__metadata__\":{\"k\":\"1\",\"j\":\"2\",\"\\u006b\":\"3\"}}", 0,
                 DUPLICATE_FIELD);
    assert_message("'k'");
}

static void case19__metadata_that_is_not_all_text__is_refused(void **state)
{
    (void)state;
    assert_parse("{\"__metadata__\":{\"k\":1}}", 0, METADATA_TYPE);
    assert_parse("{\"__metadata__\":{\"k\":[]}}", 0, METADATA_TYPE);
    assert_parse("{\"__metadata__\":{\"k\":{}}}", 0, METADATA_TYPE);
    assert_parse("{\"__metadata__\":{\"k\":null}}", 0, METADATA_TYPE);
    assert_parse("{\"__metadata__\":\"k\"}", 0, METADATA_TYPE);
}

static void case20__metadata_as_a_tensor__is_refused(void **state)
{
    (void)state;
    assert_parse("{\"__metadata__\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", 4,
                 METADATA_TYPE);
}

static void case21__metadata_null__is_none(void **state)
{
    (void)state;
    assert_parse("{\"__metadata__\":null}", 0, OK);
}

static void case22__tensor_without_its_fields__is_refused(void **state)
{
    (void)state;
    assert_parse("{\"a\":1}", 0, TENSOR_FIELDS);
    assert_parse("{\"a\":[]}", 0, TENSOR_FIELDS);
    assert_parse("{\"a\":null}", 0, TENSOR_FIELDS);
    assert_parse("{\"a\":{\"shape\":[0],\"data_offsets\":[0,0]}}", 0, TENSOR_FIELDS);
    assert_message("no dtype");
    assert_parse("{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,0]}}", 0, TENSOR_FIELDS);
    assert_message("no shape");
    assert_parse("{\"a\":{\"dtype\":\"U8\",\"shape\":[0]}}", 0, TENSOR_FIELDS);
    assert_message("no data_offsets");
}

static void case23__unknown_field__is_ignored(void **state)
{
    (void)state;
    assert_parse("{\"a\":{\"x\":{\"shape\":[1,[2]]},\"dtype\":\"U8\",\"y\":[{}],\"shape\":[4],"
                 "\"z\":-1.5,\"data_offsets\":[0,4]}}",
                 4, OK);
}

static void case24__unknown_dtype__is_refused(void **state)
{
    (void)state;
    static const char *const k_wrong[] = {
        "\"F128\"", "\"f32\"", "\"\"", "32", "null", "\"a name longer than any dtype\""};
    for (size_t i = 0; i < sizeof k_wrong / sizeof k_wrong[0]; i++) {
        char json[256];
        (void)snprintf(json, sizeof json,
                       "{\"a\":{\"dtype\":%s,\"shape\":[4],\"data_offsets\":[0,4]}}", k_wrong[i]);
        assert_parse(json, 4, DTYPE);
    }
}

static void case25__axis_that_is_no_count__is_refused(void **state)
{
    (void)state;
    static const char *const k_wrong[] = {"[-1]",   "[1.0]",  "[1e2]", "[01]", "[\"2\"]",
                                          "[null]", "[true]", "[[1]]", "null", "2"};
    for (size_t i = 0; i < sizeof k_wrong / sizeof k_wrong[0]; i++)
        assert_code(parse_shape(k_wrong[i]), NUMBER);
}

static void case26__axis_beyond_64_bits__is_refused(void **state)
{
    (void)state;
    char digits[1100];
    assert_code(parse_shape("[18446744073709551616]"), NUMBER);
    memset(digits, '9', sizeof digits);
    digits[0] = '[';
    memcpy(digits + sizeof digits - 2, "]", 2);
    assert_code(parse_shape(digits), NUMBER);
}

static void case27__product_that_wraps__is_an_overflow(void **state)
{
    (void)state;
    assert_code(parse_shape("[2,18446744073709551614]"), OVERFLOW);
}

static void case28__bits_that_wrap__are_an_overflow(void **state)
{
    (void)state;
    assert_code(parse_shape("[2,9223372036854775807]"), OVERFLOW);
    assert_code(parse_shape("[576460752303423488]"), OVERFLOW); /* 2^59 x 32 bits */
}

static void case29__zero_axis__hides_no_overflow_wherever_it_stands(void **state)
{
    (void)state;
    assert_code(parse_shape("[0,9223372036854775808,9223372036854775808]"), OVERFLOW);
    assert_code(parse_shape("[9223372036854775808,9223372036854775808,0]"), OVERFLOW);
    assert_parse("{\"a\":{\"dtype\":\"F32\",\"shape\":[0,1000000,1000],\"data_offsets\":[0,0]}}", 0,
                 OK);
}

static void case30__more_than_64_axes__are_refused(void **state)
{
    (void)state;
    crn_str shape = {0};
    crn_str_append(&shape, "[4");
    for (size_t i = 1; i < 64; i++)
        crn_str_append(&shape, ",1");
    char json[512];
    (void)snprintf(json, sizeof json,
                   "{\"a\":{\"dtype\":\"U8\",\"shape\":%s],\"data_offsets\":[0,4]}}", shape.text);
    assert_parse(json, 4, OK);
    crn_str_append(&shape, ",1]");
    assert_code(parse_shape(shape.text), RANK);
    crn_str_dispose(&shape);

    crn_str huge = {0};
    crn_str_append(&huge, "{\"a\":{\"shape\":[1");
    for (size_t i = 1; i < 10000000; i++)
        crn_str_append_bytes(&huge, ",1", 2);
    crn_str_append(&huge, "]}}");
    assert_false(huge.is_failed);
    assert_code(parse_bytes(huge.text, huge.length, 0), RANK);
    crn_str_dispose(&huge);
}

static void case31__offsets_that_are_not_two_counts__are_refused(void **state)
{
    (void)state;
    static const char *const k_wrong[] = {"[]",
                                          "[0]",
                                          "[0,4,4]",
                                          "[\"0\",4]",
                                          "[0,null]",
                                          "[-1,4]",
                                          "[0,4.0]",
                                          "0",
                                          "null",
                                          "{}",
                                          "[0,18446744073709551616]"};
    for (size_t i = 0; i < sizeof k_wrong / sizeof k_wrong[0]; i++)
        assert_code(parse_offsets(k_wrong[i], 4), OFFSETS);
}

static void case32__end_before_begin__is_refused(void **state)
{
    (void)state;
    assert_code(parse_offsets("[4,0]", 4), OFFSETS);
    assert_code(parse_offsets("[5,4]", 4), OFFSETS);
}

static void case33__tensor_beyond_the_data_in_a_broken_table__is_out_of_range(void **state)
{
    (void)state;
    static const uint64_t k_ends[] = {0, 4, 100, 104};
    assert_code(parse_table(k_ends, 2, 8), OUT_OF_RANGE);
    assert_message("tensor 'b'");
    assert_code(parse_offsets("[4,8]", 4), OUT_OF_RANGE);
}

static void case34__hole_before_the_first_tensor__is_refused(void **state)
{
    (void)state;
    assert_code(parse_offsets("[8,12]", 12), HOLE);
}

static void case35__hole_between_tensors__is_refused(void **state)
{
    (void)state;
    static const uint64_t k_ends[] = {0, 4, 5, 9};
    assert_code(parse_table(k_ends, 2, 9), HOLE);
    assert_message("tensor 'b'");
}

static void case36__overlap_by_a_byte_or_whole__is_refused(void **state)
{
    (void)state;
    static const uint64_t k_byte[] = {0, 4, 3, 8};
    static const uint64_t k_whole[] = {0, 4, 0, 4};
    static const uint64_t k_inside[] = {0, 8, 2, 4};
    assert_code(parse_table(k_byte, 2, 8), OVERLAP);
    assert_code(parse_table(k_whole, 2, 4), OVERLAP);
    assert_code(parse_table(k_inside, 2, 8), OVERLAP);
}

static void case37__bytes_at_the_end_that_belong_to_nothing__are_refused(void **state)
{
    (void)state;
    assert_code(parse_offsets("[0,4]", 5), TRAILING_DATA);
    assert_message("1 bytes at the end");
}

static void case38__file_that_is_short__says_by_how_much(void **state)
{
    (void)state;
    static const uint64_t k_ends[] = {0, 4, 4, 8192};
    assert_code(parse_table(k_ends, 2, 8191), TRUNCATED_DATA);
    assert_message("1 bytes too short");
    assert_code(parse_table(k_ends, 2, 8190), TRUNCATED_DATA);
    assert_message("2 bytes too short");
    assert_code(parse_table(k_ends, 2, 4096), TRUNCATED_DATA);
    assert_message("4096 bytes too short");
}

static void case39__range_that_does_not_fit_the_shape__is_refused(void **state)
{
    (void)state;
    assert_code(parse_offsets("[0,3]", 3), SIZE_MISMATCH);
    assert_code(parse_offsets("[0,5]", 5), SIZE_MISMATCH);
    assert_code(parse_shape("[1000,1000]"), SIZE_MISMATCH);
}

static void case40__bits_that_are_no_whole_bytes__are_refused(void **state)
{
    (void)state;
    assert_parse("{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,2]}}", 2, SUBBYTE);
    assert_parse("{\"a\":{\"dtype\":\"F6_E2M3\",\"shape\":[2],\"data_offsets\":[0,2]}}", 2,
                 SUBBYTE);
    assert_parse("{\"a\":{\"dtype\":\"F4\",\"shape\":[4],\"data_offsets\":[0,2]}}", 2, OK);
    assert_parse("{\"a\":{\"dtype\":\"F6_E3M2\",\"shape\":[4],\"data_offsets\":[0,3]}}", 3, OK);
}

static void case41__ends_that_wrap_only_with_the_header__are_an_overflow(void **state)
{
    (void)state;
    const uint64_t size = (UINT64_C(1) << 61) - 1;
    uint64_t ends[16];
    for (size_t i = 0; i < 8; i++) {
        ends[2 * i] = i * size;
        ends[2 * i + 1] = (i + 1) * size;
    }
    assert_code(parse_table(ends, 8, 4096), OVERFLOW);
}

static void case42__empty_tensor_between_others__is_accepted(void **state)
{
    (void)state;
    static const uint64_t k_ends[] = {0, 4, 4, 8, 0, 0, 4, 4, 8, 8};
    assert_code(parse_table(k_ends, 5, 8), OK);
}

static void case43__empty_tensor_inside_another__is_an_overlap(void **state)
{
    (void)state;
    static const uint64_t k_ends[] = {0, 8, 4, 4};
    assert_code(parse_table(k_ends, 2, 8), OVERLAP);
}

static void case44__tensor_without_axes__is_one_element(void **state)
{
    (void)state;
    assert_code(parse_shape("[]"), OK);
}

static void case45__no_tensors_and_no_data__is_accepted(void **state)
{
    (void)state;
    assert_parse("{}", 0, OK);
    assert_parse("{}", 1, TRAILING_DATA);
}

/* A header of @count empty tensors with names of eight digits; yours: free(). */
static char *many_tensors(size_t count, size_t *out_size)
{
    static const char k_one[] =
        ",\"%08zu\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}";
    char *const json = malloc(count * (sizeof k_one + 16));
    assert_non_null(json);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) /* names come in no order */
        used += (size_t)snprintf(json + used, sizeof k_one + 16, k_one, i * 7919 % 100000007);
    json[0] = '{';
    json[used++] = '}';
    *out_size = used;
    return json;
}

static void case46__more_tensors_than_the_limit__are_refused(void **state)
{
    (void)state;
    size_t size = 0;
    char *const json = many_tensors(CRN_FORMAT_TENSORS_MAX + 1, &size);
    assert_code(parse_bytes(json, size, 0), TOO_MANY);
    free(json);
}

static void case46__ten_megabytes_of_tiny_tensors__stay_within_the_memory_bound(void **state)
{
    (void)state;
    size_t size = 0;
    crn_header header;
    char *const json = many_tensors(170000, &size);
    assert_true(size > 10000000);
    const crn_format_code code =
        crn_header_parse((const uint8_t *)json, size, 0, &header, s_message);
    assert_code(code, OK);
    assert_int_equal(header.entry_count, 170000);
    assert_true(header.memory_bytes > 170000 * sizeof(crn_file_entry));
    assert_true(header.memory_bytes <= 3 * size + (16u << 20));
    crn_header_dispose(&header);
    free(json);
}

/* The texts that make the most memory for a byte: tensors of 64 axes, and empty metadata. */
static void case46__axes_and_keys_without_end__stay_within_the_memory_bound(void **state)
{
    (void)state;
    crn_header header;
    crn_str json = {0};
    crn_str_append(&json, "{\"__metadata__\":{\"\":\"\"");
    for (size_t i = 0; i < 200000; i++)
        crn_str_printf(&json, ",\"%zx\":\"\"", i);
    crn_str_append(&json, "}");
    for (size_t i = 0; i < 50000; i++) {
        crn_str_printf(&json, ",\"%zx\":{\"dtype\":\"U8\",\"shape\":[0", i);
        for (size_t axis = 1; axis < 64; axis++)
            crn_str_append_bytes(&json, ",1", 2);
        crn_str_append(&json, "],\"data_offsets\":[0,0]}");
    }
    crn_str_append(&json, "}");
    assert_false(json.is_failed);
    const crn_format_code code =
        crn_header_parse((const uint8_t *)json.text, json.length, 0, &header, s_message);
    assert_code(code, OK);
    assert_true(header.memory_bytes <= 3 * json.length + (16u << 20));
    crn_header_dispose(&header);
    crn_str_dispose(&json);
}

static void case46__metadata_keys_without_end__are_refused(void **state)
{
    (void)state;
    crn_str json = {0};
    crn_str_append(&json, "{\"__metadata__\":{\"\":\"\"");
    for (size_t i = 0; i < 1 << 18; i++)
        crn_str_printf(&json, ",\"%zx\":\"\"", i);
    crn_str_append(&json, "}}");
    assert_false(json.is_failed);
    assert_code(parse_bytes(json.text, json.length, 0), TOO_MANY);
    crn_str_dispose(&json);
}

static crn_format_code parse_name(const char *name)
{
    crn_str json = {0};
    crn_str_printf(&json, "{\"%s\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]}}", name);
    assert_false(json.is_failed);
    const crn_format_code code = parse_bytes(json.text, json.length, 4);
    crn_str_dispose(&json);
    return code;
}

static void case47__name_with_nul_or_too_long__is_refused(void **state)
{
    (void)state;
    char name[4098];
    memset(name, 'n', sizeof name);
    name[4097] = '\0';
    assert_code(parse_name(name), NAME);
    name[4096] = '\0';
    assert_code(parse_name(name), OK);
    assert_code(parse_name("a\\u0000b"), NAME);
    char *const large = malloc(1000001);
    assert_non_null(large);
    memset(large, 'n', 1000000);
    large[1000000] = '\0';
    assert_code(parse_name(large), NAME);
    free(large);
}

static void case47__strange_names__are_accepted_and_escaped_in_messages(void **state)
{
    (void)state;
    static const char *const k_names[] = {
        "", "/", "../..", "a\\nb", "\\u001b", "%n%s%n", "\xe2\x80\xae right to left"};
    for (size_t i = 0; i < sizeof k_names / sizeof k_names[0]; i++)
        assert_code(parse_name(k_names[i]), OK);
    assert_parse("{\"a\\n\\u001b%n\":1}", 0, TENSOR_FIELDS);
    assert_message("tensor 'a\\x0a\\x1b%n': its value is no object");
}

static void case48__header_and_data_off_any_boundary__are_accepted(void **state)
{
    (void)state;
    assert_parse("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                 "\"b\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[1,9]}}",
                 9, OK);
}

static void case52__one_tensor_of_exbibytes__is_checked_by_range_only(void **state)
{
    (void)state;
    static const uint64_t k_ends[] = {0, UINT64_C(1) << 60};
    assert_code(parse_table(k_ends, 1, UINT64_C(1) << 60), OK);
    assert_code(parse_table(k_ends, 1, (UINT64_C(1) << 60) - 1), TRUNCATED_DATA);
}

static void codes__have_the_texts_of_the_table(void **state)
{
    (void)state;
    assert_string_equal(crn_format_code_text(CRN_FORMAT_OK), "OK");
    assert_string_equal(crn_format_code_text(CRN_FORMAT_HOLE), "E_HOLE");
    assert_string_equal(crn_format_code_text((crn_format_code)1000), "E_?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(case01__empty_file__is_truncated),
        cmocka_unit_test(case02__one_to_seven_bytes__are_truncated),
        cmocka_unit_test(case03__length_word_without_header__is_a_truncated_header),
        cmocka_unit_test(case04__header_of_no_bytes__is_no_json),
        cmocka_unit_test(case05__header_above_the_limit__is_too_large),
        cmocka_unit_test(case06__length_that_wraps__is_too_large),
        cmocka_unit_test(case07__header_one_byte_longer_than_the_file__is_a_truncated_header),
        cmocka_unit_test(case08__other_formats__are_named),
        cmocka_unit_test(case08__length_word_that_looks_like_a_pickle__is_a_length),
        cmocka_unit_test(case09__header_that_is_no_utf8__is_refused_with_the_place),
        cmocka_unit_test(case10__byte_order_mark__is_no_json),
        cmocka_unit_test(case11__leading_white_space__is_accepted_and_told),
        cmocka_unit_test(case12__anything_but_an_object__is_a_wrong_type),
        cmocka_unit_test(case13__bytes_after_the_object__are_refused),
        cmocka_unit_test(case14__broken_json__is_refused_with_the_place),
        cmocka_unit_test(case15__deep_nesting__is_refused_without_recursion),
        cmocka_unit_test(case16__name_twice__is_refused),
        cmocka_unit_test(case17__name_twice_after_unescaping__is_refused),
        cmocka_unit_test(case18__field_or_metadata_twice__is_refused),
        cmocka_unit_test(case19__metadata_that_is_not_all_text__is_refused),
        cmocka_unit_test(case20__metadata_as_a_tensor__is_refused),
        cmocka_unit_test(case21__metadata_null__is_none),
        cmocka_unit_test(case22__tensor_without_its_fields__is_refused),
        cmocka_unit_test(case23__unknown_field__is_ignored),
        cmocka_unit_test(case24__unknown_dtype__is_refused),
        cmocka_unit_test(case25__axis_that_is_no_count__is_refused),
        cmocka_unit_test(case26__axis_beyond_64_bits__is_refused),
        cmocka_unit_test(case27__product_that_wraps__is_an_overflow),
        cmocka_unit_test(case28__bits_that_wrap__are_an_overflow),
        cmocka_unit_test(case29__zero_axis__hides_no_overflow_wherever_it_stands),
        cmocka_unit_test(case30__more_than_64_axes__are_refused),
        cmocka_unit_test(case31__offsets_that_are_not_two_counts__are_refused),
        cmocka_unit_test(case32__end_before_begin__is_refused),
        cmocka_unit_test(case33__tensor_beyond_the_data_in_a_broken_table__is_out_of_range),
        cmocka_unit_test(case34__hole_before_the_first_tensor__is_refused),
        cmocka_unit_test(case35__hole_between_tensors__is_refused),
        cmocka_unit_test(case36__overlap_by_a_byte_or_whole__is_refused),
        cmocka_unit_test(case37__bytes_at_the_end_that_belong_to_nothing__are_refused),
        cmocka_unit_test(case38__file_that_is_short__says_by_how_much),
        cmocka_unit_test(case39__range_that_does_not_fit_the_shape__is_refused),
        cmocka_unit_test(case40__bits_that_are_no_whole_bytes__are_refused),
        cmocka_unit_test(case41__ends_that_wrap_only_with_the_header__are_an_overflow),
        cmocka_unit_test(case42__empty_tensor_between_others__is_accepted),
        cmocka_unit_test(case43__empty_tensor_inside_another__is_an_overlap),
        cmocka_unit_test(case44__tensor_without_axes__is_one_element),
        cmocka_unit_test(case45__no_tensors_and_no_data__is_accepted),
        cmocka_unit_test(case46__more_tensors_than_the_limit__are_refused),
        cmocka_unit_test(case46__ten_megabytes_of_tiny_tensors__stay_within_the_memory_bound),
        cmocka_unit_test(case46__axes_and_keys_without_end__stay_within_the_memory_bound),
        cmocka_unit_test(case46__metadata_keys_without_end__are_refused),
        cmocka_unit_test(case47__name_with_nul_or_too_long__is_refused),
        cmocka_unit_test(case47__strange_names__are_accepted_and_escaped_in_messages),
        cmocka_unit_test(case48__header_and_data_off_any_boundary__are_accepted),
        cmocka_unit_test(case52__one_tensor_of_exbibytes__is_checked_by_range_only),
        cmocka_unit_test(codes__have_the_texts_of_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
