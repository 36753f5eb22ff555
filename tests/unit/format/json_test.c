#include "kit/kit.h"

#include <string.h>

#include "format/json.h"
#include "format/sort.h"
#include "format/utf8.h"

static void init(crn_json *json, const char *text)
{
    crn_json_init(json, (const uint8_t *)text, strlen(text));
}

/* Reads @text to its end or first failure; returns the failure's code. */
static crn_format_code read_through(const char *text, size_t size)
{
    crn_json json;
    crn_json_init(&json, (const uint8_t *)text, size);
    for (;;) {
        const crn_json_token token = crn_json_next(&json);
        if (token == CRN_JSON_FAILED)
            return json.code;
        if (token == CRN_JSON_END)
            return CRN_FORMAT_OK;
    }
}

static void tokens__come_in_order_with_depth(void **state)
{
    (void)state;
    static const struct {
        crn_json_token token;
        uint8_t depth;
    } k_expected[] = {
        {CRN_JSON_OBJECT_BEGIN, 1}, {CRN_JSON_KEY, 1},         {CRN_JSON_ARRAY_BEGIN, 2},
        {CRN_JSON_NUMBER, 2},       {CRN_JSON_TRUE, 2},        {CRN_JSON_FALSE, 2},
        {CRN_JSON_NULL, 2},         {CRN_JSON_STRING, 2},      {CRN_JSON_OBJECT_BEGIN, 3},
        {CRN_JSON_OBJECT_END, 2},   {CRN_JSON_ARRAY_BEGIN, 3}, {CRN_JSON_ARRAY_END, 2},
        {CRN_JSON_ARRAY_END, 1},    {CRN_JSON_KEY, 1},         {CRN_JSON_NUMBER, 1},
        {CRN_JSON_OBJECT_END, 0},   {CRN_JSON_END, 0},         {CRN_JSON_END, 0},
    };
    crn_json json;
    init(&json, " {\"a\" : [1,true,false,null,\"x\",{},[]]\n,\t\"b\":-0.5e+10}\r\n");
    for (size_t i = 0; i < sizeof k_expected / sizeof k_expected[0]; i++) {
        assert_int_equal(crn_json_next(&json), k_expected[i].token);
        assert_int_equal(json.depth, k_expected[i].depth);
    }
}

static void string__escapes_become_the_bytes_they_stand_for(void **state)
{
    (void)state;
    static const char k_expected[] = "\"\\/\b\f\n\r\t A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
    char text[64];
    crn_json json;
    init(&json, "\"\\\"\\\\\\/\\b\\f\\n\\r\\t \\u0041\\u00E9\\u20ac\\ud83d\\ude00\"");
    assert_int_equal(crn_json_next(&json), CRN_JSON_STRING);
    assert_int_equal(json.length, sizeof k_expected - 1);
    crn_json_unescape(&json, text);
    assert_string_equal(text, k_expected);
}

static void string__comparison_sees_through_escapes(void **state)
{
    (void)state;
    crn_json json;
    init(&json, "\"\\u0061b\"");
    assert_int_equal(crn_json_next(&json), CRN_JSON_STRING);
    assert_true(crn_json_is(&json, "ab"));
    assert_false(crn_json_is(&json, "aB"));
    assert_false(crn_json_is(&json, "abc"));
}

static void text__that_is_not_json_is_refused(void **state)
{
    (void)state;
    static const char *const k_wrong[] = {
        "",
        " ",
        "{",
        "[",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,}",
        "[1,]",
        "[,1]",
        "{,}",
        "{\"a\" 1}",
        "{a:1}",
        "{'a':1}",
        "{1:1}",
        "[1 2]",
        "[1}",
        "{\"a\":1]",
        "nul",
        "True",
        "NaN",
        "[Infinity]",
        "-",
        "1.",
        ".5",
        "1e",
        "1e+",
        "+1",
        "\"a",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "\"\\u00g0\"",
        "\"a\nb\"",
        "// c\n1",
        "[1,/**/2]",
        "\"\\",
        "\xef\xbb\xbf{}",
    };
    for (size_t i = 0; i < sizeof k_wrong / sizeof k_wrong[0]; i++) {
        if (read_through(k_wrong[i], strlen(k_wrong[i])) != CRN_FORMAT_JSON)
            fail_msg("case %zu: %s", i, k_wrong[i]);
    }
    assert_int_equal(read_through("\"a\0b\"", 5), CRN_FORMAT_JSON);
}

static void text__after_the_end_is_refused_unless_white(void **state)
{
    (void)state;
    assert_int_equal(read_through("{} \t\r\n", 6), CRN_FORMAT_OK);
    assert_int_equal(read_through("{}x", 3), CRN_FORMAT_JSON_TRAILING);
    assert_int_equal(read_through("{}\0", 3), CRN_FORMAT_JSON_TRAILING);
    assert_int_equal(read_through("1 2", 3), CRN_FORMAT_JSON_TRAILING);
}

static void depth__of_eight_is_read_and_of_nine_refused(void **state)
{
    (void)state;
    assert_int_equal(read_through("[[[[[[[[]]]]]]]]", 16), CRN_FORMAT_OK);
    assert_int_equal(read_through("[[[[[[[[[]]]]]]]]]", 18), CRN_FORMAT_JSON_DEPTH);
    assert_int_equal(read_through("[[[[[[[{\"a\":{}}]]]]]]]", 22), CRN_FORMAT_JSON_DEPTH);
}

static void number__is_a_count_only_if_digits_that_fit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_count;
        uint64_t value;
    } k_cases[] = {
        {"0", true, 0},
        {"18446744073709551615", true, UINT64_MAX},
        {"18446744073709551616", false, 0},
        {"99999999999999999999999", false, 0},
        {"-1", false, 0},
        {"1.0", false, 0},
        {"1e2", false, 0},
    };
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        crn_json json;
        uint64_t value = 0;
        init(&json, k_cases[i].text);
        assert_int_equal(crn_json_next(&json), CRN_JSON_NUMBER);
        assert_int_equal(crn_json_u64(&json, &value), k_cases[i].is_count);
        if (k_cases[i].is_count)
            assert_true(value == k_cases[i].value);
    }
    assert_int_equal(read_through("[01]", 4), CRN_FORMAT_NUMBER);
    assert_int_equal(read_through("-00", 3), CRN_FORMAT_NUMBER);
}

static void skip__ends_behind_the_whole_value(void **state)
{
    (void)state;
    crn_json json;
    init(&json, "[{\"a\":[1,{\"b\":2}]},7]");
    assert_int_equal(crn_json_next(&json), CRN_JSON_ARRAY_BEGIN);
    assert_int_equal(crn_json_next(&json), CRN_JSON_OBJECT_BEGIN);
    assert_true(crn_json_skip(&json));
    assert_int_equal(crn_json_next(&json), CRN_JSON_NUMBER);
    assert_true(crn_json_skip(&json));
    assert_int_equal(crn_json_next(&json), CRN_JSON_ARRAY_END);
    init(&json, "[[1,");
    assert_int_equal(crn_json_next(&json), CRN_JSON_ARRAY_BEGIN);
    assert_false(crn_json_skip(&json));
}

static void failure__names_its_place_and_stays(void **state)
{
    (void)state;
    crn_json json;
    init(&json, "{\"ab\":\"\\q\"}");
    assert_int_equal(crn_json_next(&json), CRN_JSON_OBJECT_BEGIN);
    assert_int_equal(crn_json_next(&json), CRN_JSON_KEY);
    assert_int_equal(crn_json_next(&json), CRN_JSON_FAILED);
    assert_int_equal(json.token_at, 7);
    assert_int_equal(crn_json_next(&json), CRN_JSON_FAILED);
}

static void utf8__well_formed_text_passes_at_any_alignment(void **state)
{
    (void)state;
    static const char k_text[] = "abcdefgh\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 "
                                 "\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf 0123456789";
    for (size_t begin = 0; begin <= 8; begin++) {
        const size_t size = sizeof k_text - 1 - begin;
        assert_int_equal(crn_utf8_check((const uint8_t *)k_text + begin, size), size);
    }
}

static void utf8__first_wrong_byte_is_named(void **state)
{
    (void)state;
    static const char *const k_wrong[] = {"\xff",
                                          "\x80",
                                          "\xc0\xaf",
                                          "\xc1\xbf",
                                          "\xc3",
                                          "\xc3(",
                                          "\xe0\x9f\xbf",
                                          "\xed\xa0\x80",
                                          "\xe2\x82",
                                          "\xe2\x82(",
                                          "\xf0\x8f\xbf\xbf",
                                          "\xf4\x90\x80\x80",
                                          "\xf5\x80\x80\x80",
                                          "\xf0\x9f\x98"};
    for (size_t i = 0; i < sizeof k_wrong / sizeof k_wrong[0]; i++) {
        uint8_t text[32] = "0123456789";
        const size_t size = strlen(k_wrong[i]);
        memcpy(text + 10, k_wrong[i], size);
        assert_int_equal(crn_utf8_check(text, 10 + size), 10);
    }
}

static int by_tens(const void *context, uint32_t a, uint32_t b)
{
    const uint32_t *const values = context;
    return (int)(values[a] / 10) - (int)(values[b] / 10);
}

static void sort__orders_any_count_and_keeps_equals_in_order(void **state)
{
    (void)state;
    enum { MOST = 70 };
    uint32_t values[MOST] = {0};
    uint32_t order[MOST] = {0};
    uint32_t scratch[MOST];
    for (size_t count = 0; count <= MOST; count++) {
        for (size_t i = 0; i < count; i++) {
            values[i] = (uint32_t)(i * 37 % 50);
            order[i] = (uint32_t)i;
        }
        crn_sort(order, scratch, count, by_tens, values);
        for (size_t i = 1; i < count; i++) {
            const int compared = by_tens(values, order[i - 1], order[i]);
            assert_true(compared < 0 || (compared == 0 && order[i - 1] < order[i]));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens__come_in_order_with_depth),
        cmocka_unit_test(string__escapes_become_the_bytes_they_stand_for),
        cmocka_unit_test(string__comparison_sees_through_escapes),
        cmocka_unit_test(text__that_is_not_json_is_refused),
        cmocka_unit_test(text__after_the_end_is_refused_unless_white),
        cmocka_unit_test(depth__of_eight_is_read_and_of_nine_refused),
        cmocka_unit_test(number__is_a_count_only_if_digits_that_fit),
        cmocka_unit_test(skip__ends_behind_the_whole_value),
        cmocka_unit_test(failure__names_its_place_and_stays),
        cmocka_unit_test(utf8__well_formed_text_passes_at_any_alignment),
        cmocka_unit_test(utf8__first_wrong_byte_is_named),
        cmocka_unit_test(sort__orders_any_count_and_keeps_equals_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
