#include "unit/ckpt/ckpt_kit.h"

static void name_check__refuses_wrong_templates(void **state)
{
    (void)state;
    static const char *const k_wrong[] = {
        "checkpoint.mdl",
        "",
        "checkpoint_{steps}.mdl",
        "checkpoint_{step.mdl",
        "checkpoint_{step}_{step}.mdl",
        "checkpoint_{step}_{epoch}.mdl",
        "checkpoint_{step}}.mdl",
        "{{checkpoint_{step}.mdl",
        "a/checkpoint_{step}.mdl",
        ".checkpoint_{step}.mdl",
        "checkpoint_{step:8d}.mdl",
        "checkpoint_{step:00d}.mdl",
        "checkpoint_{step:019d}.mdl",
        "checkpoint_{step:08}.mdl",
        "checkpoint_{step:08x}.mdl",
        "checkpoint_{Step}.mdl",
    };
    for (size_t i = 0; i < sizeof k_wrong / sizeof k_wrong[0]; i++) {
        cairn_error err = {0};
        if (cairn_checkpoint_name_check(k_wrong[i], &err) != CAIRN_ECONFIG)
            fail_msg("'%s' is accepted", k_wrong[i]);
    }
}

static void name_check__takes_plain_and_padded_steps(void **state)
{
    (void)state;
    static const char *const k_right[] = {"checkpoint_{step}.mdl", "{step}", "x{step:08d}",
                                          "a {step:018d} %s", "{step:01d}.safetensors"};
    for (size_t i = 0; i < sizeof k_right / sizeof k_right[0]; i++) {
        cairn_error err = {0};
        tk_assert_ok(cairn_checkpoint_name_check(k_right[i], &err), &err);
    }
}

static void name_parse__reads_the_whole_name_or_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *name_template;
        const char *name;
        bool matches;
        cairn_checkpoint_name want;
    } k_rows[] = {
        {"checkpoint_{step}.mdl", "checkpoint_500.mdl", true, {500, 0, 0}},
        {"checkpoint_{step}.mdl", "checkpoint_0.mdl", true, {0, 0, 0}},
        {"checkpoint_{step}.mdl",
         "checkpoint_500_20260311_142501.mdl",
         true,
         {500, 20260311142501, 0}},
        {"checkpoint_{step}.mdl",
         "checkpoint_500_20260311_142501_2.mdl",
         true,
         {500, 20260311142501, 2}},
        {"checkpoint_{step}.mdl", "checkpoint_18446744073709551615.mdl", true, {UINT64_MAX, 0, 0}},
        {"checkpoint_{step}.mdl", "checkpoint_18446744073709551616.mdl", false, {0, 0, 0}},
        {"checkpoint_{step}.mdl", "checkpoint_.mdl", false, {0, 0, 0}},
        {"checkpoint_{step}.mdl", "checkpoint_5.mdl.notes.json", false, {0, 0, 0}},
        {"checkpoint_{step}.mdl", "model_checkpoint_5.mdl", false, {0, 0, 0}},
        {"checkpoint_{step}.mdl", "checkpoint_5xmdl", false, {0, 0, 0}},
        {"checkpoint_{step}.mdl", "checkpoint_-5.mdl", false, {0, 0, 0}},
        {"checkpoint_{step}.mdl", "checkpoint_5_20260229_000000.mdl", false, {0, 0, 0}},
        {"checkpoint_{step}.mdl", "checkpoint_5_20240229_000000.mdl", true, {5, 20240229000000, 0}},
        {"checkpoint_{step}.mdl", "checkpoint_5_20261301_000000.mdl", false, {0, 0, 0}},
        {"checkpoint_{step}.mdl", "checkpoint_5_20260132_000000.mdl", false, {0, 0, 0}},
        {"checkpoint_{step}.mdl", "checkpoint_5_20260131_240000.mdl", false, {0, 0, 0}},
        {"checkpoint_{step}.mdl", "checkpoint_5_20260131_236000.mdl", false, {0, 0, 0}},
        {"checkpoint_{step}.mdl", "checkpoint_5_20260131_235959_0.mdl", false, {0, 0, 0}},
        {"checkpoint_{step}.mdl", "checkpoint_5_20260131_235959_.mdl", false, {0, 0, 0}},
        {"checkpoint_{step}.mdl", "checkpoint_5_20260131.mdl", false, {0, 0, 0}},
        {"checkpoint_{step}.mdl", "checkpoint_5_2.mdl", false, {0, 0, 0}},
        {"c_{step:08d}.mdl", "c_00000500.mdl", true, {500, 0, 0}},
        {"c_{step:08d}.mdl", "c_123456789.mdl", true, {123456789, 0, 0}},
        {"{step}", "9", true, {9, 0, 0}},
        {"c({step}).*", "c(7).*", true, {7, 0, 0}},
        {"c({step}).*", "c(7)x*", false, {0, 0, 0}},
    };
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        cairn_checkpoint_name got = {0};
        const bool matches =
            cairn_checkpoint_name_parse(k_rows[i].name_template, k_rows[i].name, &got);
        if (matches != k_rows[i].matches ||
            cairn_checkpoint_name_compare(&got, &k_rows[i].want) != 0)
            fail_msg("'%s' as '%s'", k_rows[i].name, k_rows[i].name_template);
    }
}

static void name_compare__orders_numbers_not_letters(void **state)
{
    (void)state;
    static const cairn_checkpoint_name k_sorted[] = {
        {9, 0, 0},
        {10, 0, 0},
        {10, 20260101000000, 0},
        {10, 20260101000000, 1},
        {10, 20260101000000, 2},
        {10, 20260101000000, 10},
        {10, 20260101000001, 0},
        {9000, 0, 0},
        {20000, 0, 0},
    };
    const size_t count = sizeof k_sorted / sizeof k_sorted[0];
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < count; j++)
            assert_int_equal(cairn_checkpoint_name_compare(&k_sorted[i], &k_sorted[j]),
                             i < j ? -1 : i > j);
    }
}

static void name_is_variant__takes_a_timestamp_before_the_extension_only(void **state)
{
    static const struct {
        const char *base;
        const char *name;
        bool want;
    } k_rows[] = {
        {"model_checkpoint_5.mdl", "model_checkpoint_5.mdl", true},
        {"model_checkpoint_5.mdl", "model_checkpoint_5_20240229_235959.mdl", true},
        {"model_checkpoint_5.mdl", "model_checkpoint_5_20240229_235959_2.mdl", true},
        {"model_checkpoint_5.mdl", "model_checkpoint_5_20240230_235959.mdl", false},
        {"model_checkpoint_5.mdl", "model_checkpoint_50.mdl", false},
        {"model_checkpoint_5.mdl", "model_checkpoint_5_b.mdl", false},
        {"model_checkpoint_5.mdl", "model_checkpoint_5.mdl_20240229_235959", false},
        {"model_checkpoint_5.mdl", "model_checkpoint_5", false},
        {"model_checkpoint_5.mdl", "", false},
        {"plain", "plain_20240229_235959", true},
        {".plain", ".plain_20240229_235959", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++)
        assert_int_equal(crn_name_is_variant(k_rows[i].base, k_rows[i].name), k_rows[i].want);
}

static void template_format__writes_what_parse_reads(void **state)
{
    (void)state;
    static const struct {
        const char *name_template;
        cairn_checkpoint_name name;
        const char *want;
    } k_rows[] = {
        {"checkpoint_{step}.mdl", {500, 0, 0}, "checkpoint_500.mdl"},
        {"checkpoint_{step:08d}.mdl", {500, 0, 0}, "checkpoint_00000500.mdl"},
        {"checkpoint_{step}.mdl", {5, 20260311142501, 0}, "checkpoint_5_20260311_142501.mdl"},
        {"checkpoint_{step}.mdl", {5, 20260311142501, 3}, "checkpoint_5_20260311_142501_3.mdl"},
        {"{step}", {UINT64_MAX, 0, 0}, "18446744073709551615"},
    };
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        crn_template t;
        crn_str text = {0};
        cairn_checkpoint_name back = {0};
        assert_int_equal(crn_template_parse(k_rows[i].name_template, &t, NULL), CAIRN_OK);
        crn_template_format(&t, &k_rows[i].name, &text);
        assert_string_equal(text.text, k_rows[i].want);
        assert_true(crn_template_match(&t, text.text, &back));
        assert_int_equal(cairn_checkpoint_name_compare(&back, &k_rows[i].name), 0);
        crn_str_dispose(&text);
    }
}

static void timestamp_utc__counts_from_1970(void **state)
{
    (void)state;
    assert_int_equal(crn_timestamp_utc(0), 19700101000000);
    assert_int_equal(crn_timestamp_utc(INT64_C(1709251199) * 1000000000), 20240229235959);
    assert_int_equal(crn_timestamp_utc(INT64_C(1709251200) * 1000000000 + 999999999),
                     20240301000000);
}

static void name_list_split__trims_and_drops_repeats(void **state)
{
    (void)state;
    crn_name_list list = {0};
    assert_int_equal(crn_name_list_split(&list, " model ,optimizer,,model", NULL), CAIRN_OK);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[0], "model");
    assert_string_equal(list.items[1], "optimizer");
    crn_name_list_dispose(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(name_check__refuses_wrong_templates),
        cmocka_unit_test(name_check__takes_plain_and_padded_steps),
        cmocka_unit_test(name_parse__reads_the_whole_name_or_nothing),
        cmocka_unit_test(name_compare__orders_numbers_not_letters),
        cmocka_unit_test(name_is_variant__takes_a_timestamp_before_the_extension_only),
        cmocka_unit_test(template_format__writes_what_parse_reads),
        cmocka_unit_test(timestamp_utc__counts_from_1970),
        cmocka_unit_test(name_list_split__trims_and_drops_repeats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
