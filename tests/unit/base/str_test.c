#include "kit/kit.h"

#include <float.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static void str__grows_and_is_handed_out(void **state)
{
    (void)state;
    crn_str s = {0};
    for (int i = 0; i < 1000; i++)
        crn_str_printf(&s, "%03d,", i);
    crn_str_append(&s, "end");
    crn_str_append_bytes(&s, "\0x", 2);
    tk_assert_ok(crn_str_check(&s, NULL), NULL);
    assert_int_equal(s.length, 4005);
    assert_memory_equal(s.text + 3996, "999,end\0x", 10);
    char *const text = crn_str_take(&s);
    assert_memory_equal(text, "000,001,", 8);
    assert_null(s.text);
    assert_int_equal(s.length, 0);
    crn_free(text);
}

static void take__of_an_empty_string_is_a_text(void **state)
{
    (void)state;
    crn_str s = {0};
    char *const text = crn_str_take(&s);
    assert_string_equal(text, "");
    crn_free(text);
}

static void append__after_a_failure_does_nothing_and_check_tells(void **state)
{
    (void)state;
    crn_str s = {0};
    cairn_error err = {0};
    crn_str_append(&s, "abc");
    crn_mem_fail_at(1, 0);
    crn_str_printf(&s, "%100d", 1);
    crn_mem_fail_at(0, 0);
    crn_str_append(&s, "def");
    assert_true(s.is_failed);
    assert_string_equal(s.text, "abc");
    tk_assert_status(crn_str_check(&s, &err), CAIRN_ENOMEM, &err);
    assert_null(crn_str_take(&s));
    assert_false(s.is_failed);
}

static void append_json__escapes_what_json_forbids(void **state)
{
    (void)state;
    crn_str s = {0};
    crn_str_append_json(&s, "a\"b\\c\n\0\x7f\xc3\xa4", 10);
    assert_string_equal(s.text, "\"a\\\"b\\\\c\\u000a\\u0000\\u007f\xc3\xa4\"");
    crn_str_dispose(&s);
    crn_str_append_json(&s, "", 0);
    assert_string_equal(s.text, "\"\"");
    crn_str_dispose(&s);
}

static void append_u64__writes_what_printf_does(void **state)
{
    (void)state;
    static const uint64_t k_numbers[] = {0, 9, 10, 1234567890, 9999999999, UINT64_MAX};
    for (size_t i = 0; i < sizeof k_numbers / sizeof k_numbers[0]; i++) {
        crn_str s = {0};
        crn_str expected = {0};
        crn_str_append_u64(&s, k_numbers[i]);
        crn_str_printf(&expected, "%" PRIu64, k_numbers[i]);
        assert_string_equal(s.text, expected.text);
        crn_str_dispose(&expected);
        crn_str_dispose(&s);
    }
}

static void assert_escaped(const char *text, size_t length, const char *expected)
{
    char buf[256];
    assert_string_equal(crn_escape(text, length, buf, sizeof buf), expected);
}

static void escape__keeps_valid_utf8_and_shows_the_rest_as_bytes(void **state)
{
    (void)state;
    assert_escaped("plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", 17,
                   "plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80");
    assert_escaped("\x1b[31m\n\0\x7f", 8, "\\x1b[31m\\x0a\\x00\\x7f");
    assert_escaped("\x80", 1, "\\x80");                            /* no start byte */
    assert_escaped("\xc3", 1, "\\xc3");                            /* cut */
    assert_escaped("\xc0\xaf", 2, "\\xc0\\xaf");                   /* overlong */
    assert_escaped("\xe0\x80\xaf", 3, "\\xe0\\x80\\xaf");          /* overlong */
    assert_escaped("\xed\xa0\x80", 3, "\\xed\\xa0\\x80");          /* surrogate */
    assert_escaped("\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80"); /* above U+10FFFF */
    assert_escaped("\xc2\x9b", 2, "\\xc2\\x9b");                   /* C1: a terminal obeys it */
    assert_escaped("\xff", 1, "\\xff");
}

static void escape__uses_the_whole_buffer_and_cuts_with_dots(void **state)
{
    (void)state;
    char buf[16];
    assert_string_equal(crn_escape("abcdef", 6, buf, 7), "abcdef");
    assert_string_equal(crn_escape("abcdef", 6, buf, 6), "ab...");
    assert_string_equal(crn_escape("abcdef", 6, buf, 4), "...");
    assert_string_equal(crn_escape("ab\xe2\x82\xac"
                                   "defg",
                                   9, buf, 8),
                        "ab...");
    for (size_t size = 1; size < 4; size++) {
        memset(buf, '#', sizeof buf);
        assert_int_equal(strlen(crn_escape("abcdef", 6, buf, size)), size - 1);
    }
    buf[0] = '#';
    (void)crn_escape("abc", 3, buf, 0);
    assert_int_equal(buf[0], '#');
}

static void nearest__finds_slips_and_nothing_else(void **state)
{
    (void)state;
    static const char *const k_names[] = {"weight_decay", "learning_rate", "eps", "betas"};
    static const size_t k_count = sizeof k_names / sizeof k_names[0];
    assert_string_equal(crn_nearest("weigth_decay", k_names, k_count), "weight_decay");
    assert_string_equal(crn_nearest("Weight_Decay", k_names, k_count), "weight_decay");
    assert_string_equal(crn_nearest("learningrate", k_names, k_count), "learning_rate");
    assert_string_equal(crn_nearest("esp", k_names, k_count), "eps");
    assert_string_equal(crn_nearest("beta", k_names, k_count), "betas");
    assert_null(crn_nearest("model_dir", k_names, k_count));
    assert_null(crn_nearest("xyz", k_names, k_count));
    assert_null(crn_nearest("eps", k_names, 0));
}

static void nearest__takes_the_nearest_and_of_equals_the_first(void **state)
{
    (void)state;
    static const char *const k_names[] = {"abcdef", "abcdxx", "abcdey", "abcdez"};
    assert_string_equal(crn_nearest("abcdeq", k_names, 4), "abcdef");
    assert_string_equal(crn_nearest("abcdxy", k_names, 4), "abcdxx");
}

static void nearest__survives_names_of_any_length(void **state)
{
    (void)state;
    char wrong[300];
    memset(wrong, 'a', sizeof wrong);
    wrong[sizeof wrong - 1] = '\0';
    const char *const names[] = {wrong, "a"};
    assert_null(crn_nearest(wrong, names, 2));
    assert_string_equal(crn_nearest("", names, 2), "a");
}

static void starts_with__compares_the_prefix(void **state)
{
    (void)state;
    assert_true(crn_starts_with("model.weight", "model."));
    assert_true(crn_starts_with("x", ""));
    assert_false(crn_starts_with("mode", "model"));
}

static void format_count__groups_by_three(void **state)
{
    (void)state;
    char buf[32];
    assert_string_equal(crn_format_count(0, buf), "0");
    assert_string_equal(crn_format_count(999, buf), "999");
    assert_string_equal(crn_format_count(1000, buf), "1,000");
    assert_string_equal(crn_format_count(1234567, buf), "1,234,567");
    assert_string_equal(crn_format_count(UINT64_MAX, buf), "18,446,744,073,709,551,615");
}

static void format_bytes__never_shows_1024_of_a_unit(void **state)
{
    (void)state;
    char buf[32];
    assert_string_equal(crn_format_bytes(0, buf), "0 B");
    assert_string_equal(crn_format_bytes(1023, buf), "1023 B");
    assert_string_equal(crn_format_bytes(1024, buf), "1.00 KiB");
    assert_string_equal(crn_format_bytes(1536, buf), "1.50 KiB");
    assert_string_equal(crn_format_bytes(1492501135, buf), "1.39 GiB");
    assert_string_equal(crn_format_bytes((UINT64_C(1) << 20) - 1, buf), "1.00 MiB");
    assert_string_equal(crn_format_bytes(UINT64_MAX, buf), "16.00 EiB");
}

static void hex__is_lower_case_and_ended(void **state)
{
    (void)state;
    char out[9];
    crn_hex("\x00\x9f\xff\x1a", 4, out);
    assert_string_equal(out, "009fff1a");
}

static void assert_round_trip(double value)
{
    char buf[40];
    double back = 0.0;
    crn_f64_to_text(value, buf);
    assert_true(crn_f64_from_text(buf, &back));
    assert_memory_equal(&back, &value, sizeof value);
}

static void f64__comes_back_bit_for_bit(void **state)
{
    (void)state;
    static const double k_values[] = {0.0,     -0.0,      1.5,      0.1,      -1.0 / 3.0, DBL_MAX,
                                      DBL_MIN, 0x1p-1074, -DBL_MAX, INFINITY, -INFINITY,  6e-4};
    char buf[40];
    double back = 0.0;
    for (size_t i = 0; i < sizeof k_values / sizeof k_values[0]; i++)
        assert_round_trip(k_values[i]);
    crn_f64_to_text(1.5, buf);
    assert_string_equal(buf, "0x1.8p+0");
    crn_f64_to_text((double)NAN, buf);
    assert_string_equal(buf, "nan");
    assert_true(crn_f64_from_text("nan", &back));
    assert_true(isnan(back));
}

static void f64_from_text__takes_one_whole_number_only(void **state)
{
    (void)state;
    static const char *const k_bad[] = {"",   " 1",  "1 ",    "1,5",    "1.5x",
                                        "0x", "--1", "1e999", "-1e999", "1e"};
    double value = 7.0;
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++)
        assert_false(crn_f64_from_text(k_bad[i], &value));
    assert_true(value == 7.0);
    assert_true(crn_f64_from_text("1e-4", &value));
    assert_true(value == 1e-4);
    assert_true(crn_f64_from_text("1e-999", &value)); /* Nearest double: 0. */
    assert_true(value == 0.0);
}

static void integers__are_read_whole_or_not_at_all(void **state)
{
    (void)state;
    uint64_t u = 7;
    assert_true(crn_u64_from_text("18446744073709551615", &u));
    assert_true(u == UINT64_MAX);
    assert_false(crn_u64_from_text("18446744073709551616", &u));
    assert_false(crn_u64_from_text("-1", &u));
    assert_false(crn_u64_from_text("+1", &u));
    assert_false(crn_u64_from_text("1.0", &u));
    assert_false(crn_u64_from_text(" 1", &u));
    assert_false(crn_u64_from_text("1_000", &u));
    assert_false(crn_u64_from_text("", &u));
    assert_true(u == UINT64_MAX);
}

/* Makes a locale with a decimal comma if the machine has none. */
static bool enter_comma_locale(const char *dir)
{
    char command[TK_PATH_SIZE + 128];
    if (setlocale(LC_ALL, "de_DE.UTF-8") == NULL) {
        (void)snprintf(command, sizeof command,
                       "localedef -i de_DE -f UTF-8 '%s/de_DE.UTF-8' >/dev/null 2>&1", dir);
        if (system(command) != 0 || setenv("LOCPATH", dir, 1) != 0 ||
            setlocale(LC_ALL, "de_DE.UTF-8") == NULL)
            return false;
    }
    return strcmp(localeconv()->decimal_point, ",") == 0;
}

static void numbers__ignore_a_locale_with_a_decimal_comma(void **state)
{
    char buf[40];
    double back = 0.0;
    if (!enter_comma_locale(*state))
        skip();
    crn_f64_to_text(1.5, buf);
    const bool is_read = crn_f64_from_text("1.25", &back);
    const bool is_comma_read = crn_f64_from_text("1,25", &back);
    char bytes[32];
    (void)crn_format_bytes(1536, bytes);
    char still[8];
    (void)snprintf(still, sizeof still, "%.1f", 1.5);
    (void)setlocale(LC_ALL, "C");
    assert_string_equal(buf, "0x1.8p+0");
    assert_true(is_read);
    assert_false(is_comma_read);
    assert_true(back == 1.25);
    assert_string_equal(bytes, "1.50 KiB");
    assert_string_equal(still, "1,5"); /* The program's own locale is left as it was. */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(str__grows_and_is_handed_out),
        cmocka_unit_test(take__of_an_empty_string_is_a_text),
        cmocka_unit_test(append__after_a_failure_does_nothing_and_check_tells),
        cmocka_unit_test(append_json__escapes_what_json_forbids),
        cmocka_unit_test(append_u64__writes_what_printf_does),
        cmocka_unit_test(escape__keeps_valid_utf8_and_shows_the_rest_as_bytes),
        cmocka_unit_test(escape__uses_the_whole_buffer_and_cuts_with_dots),
        cmocka_unit_test(nearest__finds_slips_and_nothing_else),
        cmocka_unit_test(nearest__takes_the_nearest_and_of_equals_the_first),
        cmocka_unit_test(nearest__survives_names_of_any_length),
        cmocka_unit_test(starts_with__compares_the_prefix),
        cmocka_unit_test(format_count__groups_by_three),
        cmocka_unit_test(format_bytes__never_shows_1024_of_a_unit),
        cmocka_unit_test(hex__is_lower_case_and_ended),
        cmocka_unit_test(f64__comes_back_bit_for_bit),
        cmocka_unit_test(f64_from_text__takes_one_whole_number_only),
        cmocka_unit_test(integers__are_read_whole_or_not_at_all),
        cmocka_unit_test_setup_teardown(numbers__ignore_a_locale_with_a_decimal_comma,
                                        tk_temp_setup, tk_temp_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
