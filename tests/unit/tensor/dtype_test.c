#include "kit/kit.h"

#include <string.h>

#include "cairn/tensor.h"

static void dtype__names_and_sizes_come_back(void **state)
{
    (void)state;
    static const struct {
        cairn_dtype dtype;
        const char *text;
        uint32_t bits;
    } k_cases[] = {
        {CAIRN_DTYPE_BOOL, "BOOL", 8},       {CAIRN_DTYPE_F8_E8M0, "F8_E8M0", 8},
        {CAIRN_DTYPE_BF16, "BF16", 16},      {CAIRN_DTYPE_F32, "F32", 32},
        {CAIRN_DTYPE_C64, "C64", 64},        {CAIRN_DTYPE_F4, "F4", 4},
        {CAIRN_DTYPE_F6_E3M2, "F6_E3M2", 6},
    };
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        cairn_dtype found = CAIRN_DTYPE_U8;
        assert_string_equal(cairn_dtype_name(k_cases[i].dtype), k_cases[i].text);
        assert_int_equal(cairn_dtype_bits(k_cases[i].dtype), k_cases[i].bits);
        assert_true(cairn_dtype_from_name(k_cases[i].text, strlen(k_cases[i].text), &found));
        assert_int_equal(found, k_cases[i].dtype);
    }
}

static void dtype__anything_else_is_none(void **state)
{
    (void)state;
    static const char *const k_wrong[] = {"", "f32", "F3", "F32 ", "F128"};
    cairn_dtype found = CAIRN_DTYPE_I64;
    for (size_t i = 0; i < sizeof k_wrong / sizeof k_wrong[0]; i++)
        assert_false(cairn_dtype_from_name(k_wrong[i], strlen(k_wrong[i]), &found));
    assert_int_equal(found, CAIRN_DTYPE_I64);
    assert_int_equal(cairn_dtype_bits((cairn_dtype)0), 0);
    assert_string_equal(cairn_dtype_name((cairn_dtype)99), "?");
}

static void tensor__elements_are_the_product_of_the_axes(void **state)
{
    (void)state;
    const cairn_tensor scalar = {.rank = 0};
    const cairn_tensor cube = {.rank = 3, .shape = {2, 3, 4}};
    const cairn_tensor empty = {.rank = 2, .shape = {5, 0}};
    assert_int_equal(cairn_tensor_elements(&scalar), 1);
    assert_int_equal(cairn_tensor_elements(&cube), 24);
    assert_int_equal(cairn_tensor_elements(&empty), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dtype__names_and_sizes_come_back),
        cmocka_unit_test(dtype__anything_else_is_none),
        cmocka_unit_test(tensor__elements_are_the_product_of_the_axes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
