#include "kit/kit.h"

#include "cairn/state.h"
#include "tensor/layout.h"

static void layout__small_tensors_begin_at_64_and_large_ones_at_4096(void **state)
{
    (void)state;
    static const uint64_t k_bytes[] = {4, 65, 0, 65535, 65536, 1, 100000};
    static const uint64_t k_offsets[] = {0, 64, 192, 192, 69632, 135168, 139264};
    uint64_t offsets[7];
    uint64_t region = 0;
    assert_true(crn_layout_region(k_bytes, 7, offsets, &region));
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(offsets[i], k_offsets[i]);
    assert_int_equal(region, 241664); /* 139264 + 100000, up to a page */
}

static void layout__a_region_without_bytes_is_empty(void **state)
{
    (void)state;
    static const uint64_t k_zero = 0;
    uint64_t offset = 1;
    uint64_t region = 1;
    assert_true(crn_layout_region(&k_zero, 1, &offset, &region));
    assert_int_equal(offset, 0);
    assert_int_equal(region, 0);
    assert_true(crn_layout_region(NULL, 0, NULL, &region));
    assert_int_equal(region, 0);
}

static void layout__a_subset_is_whole_regions_closed_up(void **state)
{
    (void)state;
    static const uint64_t k_regions[] = {8192, 0, 4096, 12288};
    static const bool k_wanted[] = {false, true, true, true};
    uint64_t offsets[4] = {7, 7, 7, 7};
    uint64_t bytes = 0;
    assert_true(crn_layout_pack(k_regions, k_wanted, 4, offsets, &bytes));
    assert_int_equal(offsets[0], 7);
    assert_int_equal(offsets[1], 0);
    assert_int_equal(offsets[2], 0);
    assert_int_equal(offsets[3], 4096);
    assert_int_equal(bytes, 16384);
    assert_true(crn_layout_pack(k_regions, NULL, 4, offsets, &bytes));
    assert_int_equal(offsets[3], 12288);
    assert_int_equal(bytes, 24576);
}

static void layout__what_does_not_fit_64_bits_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    static const uint64_t k_two[] = {UINT64_MAX / 2 + 1, UINT64_MAX / 2 + 1};
    uint64_t offsets[2];
    uint64_t end = 100;
    uint64_t offset = 5;
    uint64_t bytes = 0;
    assert_false(crn_layout_place(UINT64_MAX - 4095, &end, &offset));
    assert_int_equal(end, 100);
    assert_int_equal(offset, 5);
    assert_false(crn_layout_region(k_two, 2, offsets, &bytes));
    assert_false(crn_layout_pack(k_two, NULL, 2, offsets, &bytes));
    assert_false(crn_layout_region_bytes(UINT64_MAX, &bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout__small_tensors_begin_at_64_and_large_ones_at_4096),
        cmocka_unit_test(layout__a_region_without_bytes_is_empty),
        cmocka_unit_test(layout__a_subset_is_whole_regions_closed_up),
        cmocka_unit_test(layout__what_does_not_fit_64_bits_is_refused_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
