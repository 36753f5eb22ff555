#include "kit/kit.h"

#include "cairn/state.h"
#include "tensor/layout.h"

/* Places tensors of @bytes one behind the other in a region of their own; returns its size. */
static uint64_t place_all(const uint64_t *bytes, size_t count, uint64_t *offsets)
{
    uint64_t end = 0;
    uint64_t region = 1;
    for (size_t i = 0; i < count; i++)
        assert_true(crn_layout_place(bytes[i], &end, &offsets[i]));
    assert_true(crn_layout_region_bytes(end, &region));
    return region;
}

static void layout__small_tensors_begin_at_64_and_large_ones_at_4096(void **state)
{
    (void)state;
    static const uint64_t k_bytes[] = {4, 65, 0, 65535, 65536, 1, 100000};
    static const uint64_t k_offsets[] = {0, 64, 192, 192, 69632, 135168, 139264};
    uint64_t offsets[7];
    /* 139264 + 100000, up to a page */
    assert_int_equal(place_all(k_bytes, 7, offsets), 241664);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(offsets[i], k_offsets[i]);
}

static void layout__a_region_without_bytes_is_empty(void **state)
{
    (void)state;
    static const uint64_t k_zero = 0;
    uint64_t offset = 1;
    assert_int_equal(place_all(&k_zero, 1, &offset), 0);
    assert_int_equal(offset, 0);
    assert_int_equal(place_all(NULL, 0, NULL), 0);
}

static void layout__what_does_not_fit_64_bits_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    uint64_t end = 100;
    uint64_t offset = 5;
    uint64_t bytes = 0;
    assert_false(crn_layout_place(UINT64_MAX - 4095, &end, &offset));
    assert_int_equal(end, 100);
    assert_int_equal(offset, 5);
    assert_false(crn_layout_region_bytes(UINT64_MAX, &bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout__small_tensors_begin_at_64_and_large_ones_at_4096),
        cmocka_unit_test(layout__a_region_without_bytes_is_empty),
        cmocka_unit_test(layout__what_does_not_fit_64_bits_is_refused_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
