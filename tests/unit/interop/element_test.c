/* Numbers of two bytes. */
#include "interop/element.h"

#include <math.h>
#include <string.h>

#include "kit/kit.h"

enum { WORDS = 1 << 16 };

static uint32_t put(cairn_dtype dtype, float value)
{
    uint8_t bytes[4] = {0};
    crn_element_put(bytes, dtype, 0, value);
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static float get(cairn_dtype dtype, uint32_t word)
{
    const uint8_t bytes[2] = {(uint8_t)word, (uint8_t)(word >> 8)};
    return crn_element_get(bytes, dtype, 0);
}

static void check_all_words(cairn_dtype dtype)
{
    for (uint32_t word = 0; word < WORDS; word++) {
        const float value = get(dtype, word);
        if (isnan(value))
            assert_true(isnan(get(dtype, put(dtype, value))));
        else if (put(dtype, value) != word)
            fail_msg("%#x is %g and becomes %#x", word, (double)value, put(dtype, value));
    }
}

static void every_number_of_two_bytes__comes_back(void **state)
{
    (void)state;
    check_all_words(CAIRN_DTYPE_F16);
    check_all_words(CAIRN_DTYPE_BF16);
    assert_int_equal(put(CAIRN_DTYPE_F32, 1.0F), 0x3f800000);
}

/* Between two neighbours the nearer is taken, and in the middle the even one. */
static void check_between(cairn_dtype dtype, uint32_t words)
{
    for (uint32_t word = 0; word + 1 < words; word++) {
        const float low = get(dtype, word);
        const float high = get(dtype, word + 1);
        const float middle = low + (high - low) / 2.0F;
        if (put(dtype, middle) != (word % 2 == 0 ? word : word + 1))
            fail_msg("between %#x and %#x: %#x", word, word + 1, put(dtype, middle));
        assert_int_equal(put(dtype, nextafterf(middle, low)), word);
        assert_int_equal(put(dtype, nextafterf(middle, high)), word + 1);
        assert_int_equal(put(dtype, -nextafterf(middle, high)), (word + 1) | 0x8000);
    }
}

static void a_number_between_two__becomes_the_nearer_or_the_even_one(void **state)
{
    enum { F16_FINITE = 0x7c00, BF16_NORMAL = 0x7f80 };
    (void)state;
    check_between(CAIRN_DTYPE_F16, F16_FINITE);
    check_between(CAIRN_DTYPE_BF16, BF16_NORMAL);
}

static void what_is_too_large__becomes_infinite(void **state)
{
    (void)state;
    assert_int_equal(put(CAIRN_DTYPE_F16, 65519.0F), 0x7bff);
    assert_int_equal(put(CAIRN_DTYPE_F16, 65520.0F), 0x7c00);
    assert_int_equal(put(CAIRN_DTYPE_F16, -1e30F), 0xfc00);
    assert_int_equal(put(CAIRN_DTYPE_F16, INFINITY), 0x7c00);
    assert_int_equal(put(CAIRN_DTYPE_BF16, 3.4e38F), 0x7f80);
    assert_int_equal(put(CAIRN_DTYPE_F16, -1e-30F), 0x8000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_of_two_bytes__comes_back),
        cmocka_unit_test(a_number_between_two__becomes_the_nearer_or_the_even_one),
        cmocka_unit_test(what_is_too_large__becomes_infinite),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
