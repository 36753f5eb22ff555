#include "unit/config/config_kit.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

#include "config/config_priv.h"

struct example {
    const char *text; /* As written after "k: ". */
    crn_node_kind kind;
    const char *json;
};

/* What PyYAML 6.0.3's safe_load gives for each, timestamps excepted, which stay texts here. */
static const struct example k_examples[] = {
    {"", CRN_NODE_NULL, "null"},
    {"~", CRN_NODE_NULL, "null"},
    {"null", CRN_NODE_NULL, "null"},
    {"Null", CRN_NODE_NULL, "null"},
    {"NULL", CRN_NODE_NULL, "null"},
    {"nULL", CRN_NODE_TEXT, "\"nULL\""},
    {"none", CRN_NODE_TEXT, "\"none\""},
    {"yes", CRN_NODE_BOOL, "true"},
    {"No", CRN_NODE_BOOL, "false"},
    {"ON", CRN_NODE_BOOL, "true"},
    {"off", CRN_NODE_BOOL, "false"},
    {"True", CRN_NODE_BOOL, "true"},
    {"FALSE", CRN_NODE_BOOL, "false"},
    {"tRUE", CRN_NODE_TEXT, "\"tRUE\""},
    {"y", CRN_NODE_TEXT, "\"y\""},
    {"n", CRN_NODE_TEXT, "\"n\""},
    {"0", CRN_NODE_INT, "0"},
    {"-0", CRN_NODE_INT, "0"},
    {"+12", CRN_NODE_INT, "12"},
    {"1_000", CRN_NODE_INT, "1000"},
    {"1__0_", CRN_NODE_INT, "10"},
    {"_1", CRN_NODE_TEXT, "\"_1\""},
    {"017", CRN_NODE_INT, "15"},
    {"-017", CRN_NODE_INT, "-15"},
    {"00", CRN_NODE_INT, "0"},
    {"08", CRN_NODE_TEXT, "\"08\""},
    {"0o17", CRN_NODE_TEXT, "\"0o17\""},
    {"0x1F", CRN_NODE_INT, "31"},
    {"-0x1f", CRN_NODE_INT, "-31"},
    {"0X1F", CRN_NODE_TEXT, "\"0X1F\""},
    {"0b1_01", CRN_NODE_INT, "5"},
    {"0b2", CRN_NODE_TEXT, "\"0b2\""},
    {"190:20:30", CRN_NODE_INT, "685230"},
    {"-1:5", CRN_NODE_INT, "-65"},
    {"1:60", CRN_NODE_TEXT, "\"1:60\""},
    {"0:30", CRN_NODE_TEXT, "\"0:30\""},
    {"9223372036854775807", CRN_NODE_INT, "9223372036854775807"},
    {"-9223372036854775808", CRN_NODE_INT, "-9223372036854775808"},
    {"9223372036854775808", CRN_NODE_INT, "9.223372036854776e+18"},
    {"99999999999999999999", CRN_NODE_INT, "1.0e+20"},
    {"1.0", CRN_NODE_FLOAT, "1.0"},
    {"1.", CRN_NODE_FLOAT, "1.0"},
    {".5", CRN_NODE_FLOAT, "0.5"},
    {"-.5", CRN_NODE_TEXT, "\"-.5\""},
    {"-0.5", CRN_NODE_FLOAT, "-0.5"},
    {"0.1", CRN_NODE_FLOAT, "0.1"},
    {"08.5", CRN_NODE_FLOAT, "8.5"},
    {"1_0.5_5", CRN_NODE_FLOAT, "10.55"},
    {"._5", CRN_NODE_TEXT, "\"._5\""},
    {"1e-4", CRN_NODE_TEXT, "\"1e-4\""},
    {"1e5", CRN_NODE_TEXT, "\"1e5\""},
    {"1.0e-4", CRN_NODE_FLOAT, "0.0001"},
    {"1.0e-05", CRN_NODE_FLOAT, "1.0e-05"},
    {"1.e+3", CRN_NODE_FLOAT, "1000.0"},
    {"1.0e4", CRN_NODE_TEXT, "\"1.0e4\""},
    {".5e+1", CRN_NODE_FLOAT, "5.0"},
    {"190:20:30.15", CRN_NODE_FLOAT, "685230.15"},
    {"1:2.5e+1", CRN_NODE_TEXT, "\"1:2.5e+1\""},
    {".inf", CRN_NODE_FLOAT, "\"inf\""},
    {"-.INF", CRN_NODE_FLOAT, "\"-inf\""},
    {"+.Inf", CRN_NODE_FLOAT, "\"inf\""},
    {".iNF", CRN_NODE_TEXT, "\".iNF\""},
    {".nan", CRN_NODE_FLOAT, "\"nan\""},
    {"-.nan", CRN_NODE_TEXT, "\"-.nan\""},
    {"inf", CRN_NODE_TEXT, "\"inf\""},
    {"3e-4x", CRN_NODE_TEXT, "\"3e-4x\""},
    {"1.2.3", CRN_NODE_TEXT, "\"1.2.3\""},
    {".", CRN_NODE_TEXT, "\".\""},
    {"+", CRN_NODE_TEXT, "\"+\""},
    {"2001-12-14", CRN_NODE_TEXT, "\"2001-12-14\""},
    {"2001-12-14 21:59:43.10", CRN_NODE_TEXT, "\"2001-12-14 21:59:43.10\""},
    {"'5'", CRN_NODE_TEXT, "\"5\""},
    {"\"yes\"", CRN_NODE_TEXT, "\"yes\""},
    {"''", CRN_NODE_TEXT, "\"\""},
    {"!!str 5", CRN_NODE_TEXT, "\"5\""},
    {"! 5", CRN_NODE_TEXT, "\"5\""},
    {"!!int '5'", CRN_NODE_INT, "5"},
    {"!!float 1", CRN_NODE_FLOAT, "1.0"},
    {"!!float '1e-4'", CRN_NODE_FLOAT, "0.0001"},
    {"!!bool 'no'", CRN_NODE_BOOL, "false"},
    {"!!null ''", CRN_NODE_NULL, "null"},
};

static void plain_scalars__resolve_as_pyyaml_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof k_examples / sizeof k_examples[0]; i++) {
        char yaml[100];
        const struct example *const example = &k_examples[i];
        (void)snprintf(yaml, sizeof yaml, "k: %s\n", example->text);
        crn_doc *const doc = must_parse(yaml);
        const crn_node *const node = crn_node_get(crn_doc_root(doc), "k");
        if (node->kind != example->kind)
            fail_msg("'%s' is %s", example->text, crn_node_kind_phrase(node->kind));
        assert_json(node, example->json);
        crn_doc_destroy(doc);
    }
}

static void an_integer_beyond_64_bits__is_marked_big_and_saturates(void **state)
{
    (void)state;
    crn_doc *const doc = must_parse("[-99999999999999999999, 0xffffffffffffffff]");
    const crn_node *const low = crn_node_item(crn_doc_root(doc), 0);
    const crn_node *const high = crn_node_item(crn_doc_root(doc), 1);
    assert_true(low->is_big);
    assert_true(low->i == INT64_MIN);
    assert_true(low->f == -1e20);
    assert_true(high->is_big);
    assert_true(high->i == INT64_MAX);
    assert_true(high->f == 0x1p64);
    crn_doc_destroy(doc);
}

static void lax_integers__take_what_pydantic_takes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
        bool is_good;
    } k_cases[] = {{"5", 5, true},        {" +5 ", 5, true}, {"-5.00", -5, true}, {"05", 5, true},
                   {"1_000", 1000, true}, {"5.5", 0, false}, {"1e3", 0, false},   {"", 0, false},
                   {" ", 0, false},       {"_5", 0, false},  {"5_", 0, false},    {"0x5", 0, false},
                   {"5x", 0, false},      {".0", 0, false},  {"-", 0, false}};
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        int64_t value = 0;
        bool is_big = true;
        if (crn_scalar_lax_int(k_cases[i].text, &value, &is_big) != k_cases[i].is_good)
            fail_msg("'%s'", k_cases[i].text);
        assert_int_equal(value, k_cases[i].value);
        assert_int_equal(is_big, !k_cases[i].is_good);
    }
}

static void lax_floats__take_what_pydantic_takes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
        bool is_good;
    } k_cases[] = {
        {"1e-4", 1e-4, true},       {" 2 ", 2.0, true},      {"-.5", -0.5, true},
        {"1_0e1", 100.0, true},     {"inf", INFINITY, true}, {"-Infinity", -INFINITY, true},
        {"-.inf", -INFINITY, true}, {"3e-4x", 0, false},     {"0x1p3", 0, false},
        {"1e", 0, false},           {"", 0, false},          {"1 2", 0, false},
        {"+-1", 0, false},          {"1e999", 0, false}};
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        double value = 0.0;
        if (crn_scalar_lax_float(k_cases[i].text, &value) != k_cases[i].is_good)
            fail_msg("'%s'", k_cases[i].text);
        assert_true(value == k_cases[i].value);
    }
}

static void decimal_text__is_the_shortest_that_gives_the_same_bits(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } k_cases[] = {{0.1, "0.1"},
                   {1.0, "1"},
                   {1e-6, "1e-06"},
                   {0.1 + 0.2, "0.30000000000000004"},
                   {1.0 / 3.0, "0.3333333333333333"},
                   {5e-324, "4.94065645841247e-324"},
                   {DBL_MAX, "1.7976931348623157e+308"},
                   {-0.0, "-0"},
                   {NAN, "nan"},
                   {-INFINITY, "-inf"}};
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        char buf[CRN_F64_TEXT_SIZE];
        assert_string_equal(crn_f64_to_decimal(k_cases[i].value, buf), k_cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_scalars__resolve_as_pyyaml_does),
        cmocka_unit_test(an_integer_beyond_64_bits__is_marked_big_and_saturates),
        cmocka_unit_test(lax_integers__take_what_pydantic_takes),
        cmocka_unit_test(lax_floats__take_what_pydantic_takes),
        cmocka_unit_test(decimal_text__is_the_shortest_that_gives_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
