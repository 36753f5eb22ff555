#include "kit/kit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cairn/state.h"

enum { MANY = 10000 };

/* A fresh tree in *state for each test. */
static int setup(void **state)
{
    cairn_state_tree *tree = NULL;
    if (cairn_state_tree_new(&tree, NULL) != CAIRN_OK)
        return -1;
    *state = tree;
    return 0;
}

static int teardown(void **state)
{
    cairn_state_tree_destroy(*state);
    crn_mem_fail_at(0, 0);
    return 0;
}

static cairn_state *add_state(cairn_state_tree *tree, const char *name)
{
    cairn_error err = {0};
    cairn_state *state = NULL;
    tk_assert_ok(cairn_state_tree_add(tree, name, &state, &err), &err);
    return state;
}

static const cairn_tensor *add_f32(cairn_state *state, const char *name, cairn_role role,
                                   int64_t rows, int64_t columns)
{
    cairn_error err = {0};
    const cairn_tensor *tensor = NULL;
    const cairn_tensor_spec spec = {
        .name = name, .dtype = CAIRN_DTYPE_F32, .role = role, .rank = 2, .shape = {rows, columns}};
    tk_assert_ok(cairn_state_add_tensor(state, &spec, &tensor, &err), &err);
    return tensor;
}

static void arena__has_one_region_a_state_in_order_of_adding(void **state)
{
    cairn_error err = {0};
    cairn_state_tree *const tree = *state;
    cairn_state *const model = add_state(tree, "model");
    cairn_state *const step = add_state(tree, "global_step");
    cairn_state *const optimizer = add_state(tree, "optimizer");
    const cairn_tensor *const bias = add_f32(model, "bias", CAIRN_ROLE_BIAS, 1, 5);
    const cairn_tensor *const weight = add_f32(model, "weight", CAIRN_ROLE_WEIGHT, 256, 64);
    const cairn_tensor *const moment = add_f32(optimizer, "m", CAIRN_ROLE_OTHER, 1, 5);
    assert_null(weight->data);
    assert_null(cairn_state_tree_arena(tree));
    assert_int_equal(cairn_state_tree_bytes(tree), 4096 + 65536 + 4096);
    assert_int_equal(cairn_state_region_offset(optimizer), 4096 + 65536);

    tk_assert_ok(cairn_state_tree_allocate(tree, &err), &err);
    const uint8_t *const arena = cairn_state_tree_arena(tree);
    assert_int_equal((uintptr_t)arena % 4096, 0);
    assert_int_equal(cairn_state_tree_bytes(tree), 4096 + 65536 + 4096);
    assert_int_equal(bias->offset, 0);
    assert_int_equal(weight->offset, 4096);
    assert_int_equal(weight->bytes, 65536);
    assert_int_equal(moment->offset, 4096 + 65536);
    assert_ptr_equal(moment->data, arena + moment->offset);
    assert_int_equal(cairn_state_region_offset(model), 0);
    assert_int_equal(cairn_state_region_bytes(model), 4096 + 65536);
    assert_int_equal(cairn_state_region_bytes(step), 0);
    assert_int_equal(cairn_state_region_offset(optimizer), moment->offset);
    for (uint64_t i = 0; i < cairn_state_tree_bytes(tree); i++)
        assert_int_equal(arena[i], 0);
}

static void states__are_found_by_name_and_number(void **state)
{
    cairn_state_tree *const tree = *state;
    cairn_state *const model = add_state(tree, "model");
    cairn_state *const meta = add_state(tree, "__version__");
    assert_int_equal(cairn_state_tree_count(tree), 2);
    assert_ptr_equal(cairn_state_tree_at(tree, 1), meta);
    assert_ptr_equal(cairn_state_tree_find(tree, "model"), model);
    assert_null(cairn_state_tree_find(tree, "optimizer"));
    assert_string_equal(cairn_state_name(meta), "__version__");
}

static void state__with_a_name_that_is_none_or_taken_is_refused(void **state)
{
    static const char *const k_wrong[] = {"",         "a.b",          "a b",     "a-b",  "a,b",
                                          "\xc3\xa4", "__metadata__", "__pad__", "model"};
    cairn_state_tree *const tree = *state;
    (void)add_state(tree, "model");
    for (size_t i = 0; i < sizeof k_wrong / sizeof k_wrong[0]; i++) {
        cairn_error err = {0};
        tk_assert_status(cairn_state_tree_add(tree, k_wrong[i], NULL, &err), CAIRN_EINVAL, &err);
    }
    assert_int_equal(cairn_state_tree_count(tree), 1);
}

static void tensors__keep_their_address_and_are_found_among_many(void **state)
{
    cairn_error err = {0};
    cairn_state_tree *const tree = *state;
    cairn_state *const model = add_state(tree, "model");
    static const cairn_tensor *all[MANY];
    char name[32];
    for (size_t i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof name, "layers.%zu.weight", i);
        all[i] = add_f32(model, name, CAIRN_ROLE_WEIGHT, 1, 2);
    }
    tk_assert_ok(cairn_state_tree_allocate(tree, &err), &err);
    assert_int_equal(cairn_state_tensor_count(model), MANY);
    for (size_t i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof name, "layers.%zu.weight", i);
        assert_ptr_equal(cairn_state_tensor_at(model, i), all[i]);
        assert_ptr_equal(cairn_state_tensor_find(model, name), all[i]);
        assert_int_equal(all[i]->offset, 64 * i);
    }
    assert_null(cairn_state_tensor_find(model, "layers.10000.weight"));
}

static void tensor__that_is_not_allowed_is_refused_and_changes_nothing(void **state)
{
    cairn_state_tree *const tree = *state;
    cairn_state *const model = add_state(tree, "model");
    (void)add_f32(model, "taken", CAIRN_ROLE_WEIGHT, 1, 1);
    char long_name[CAIRN_NAME_MAX];
    memset(long_name, 'a', sizeof long_name);
    long_name[CAIRN_NAME_MAX - 5] = '\0'; /* one too many with "model." */
    const cairn_tensor_spec wrong[] = {
        {.name = "taken", .dtype = CAIRN_DTYPE_F32},
        {.name = "", .dtype = CAIRN_DTYPE_F32},
        {.name = long_name, .dtype = CAIRN_DTYPE_F32},
        {.name = "no_dtype"},
        {.name = "negative", .dtype = CAIRN_DTYPE_F32, .rank = 1, .shape = {-1}},
        {.name = "rank", .dtype = CAIRN_DTYPE_F32, .rank = CAIRN_TENSOR_AXES_MAX + 1},
        {.name = "rank", .dtype = CAIRN_DTYPE_F32, .rank = -1},
        {.name = "product", .dtype = CAIRN_DTYPE_U8, .rank = 2, .shape = {INT64_MAX, 3}},
        {.name = "hidden", .dtype = CAIRN_DTYPE_U8, .rank = 3, .shape = {0, INT64_MAX, 3}},
        {.name = "bits", .dtype = CAIRN_DTYPE_F32, .rank = 1, .shape = {INT64_MAX}},
        {.name = "nibble", .dtype = CAIRN_DTYPE_F4, .rank = 1, .shape = {3}},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cairn_error err = {0};
        tk_assert_status(cairn_state_add_tensor(model, &wrong[i], NULL, &err), CAIRN_EINVAL, &err);
        tk_assert_error_has(&err, "tensor 'model.");
    }
    assert_int_equal(cairn_state_tensor_count(model), 1);
    assert_int_equal(cairn_state_tree_bytes(tree), 4096);
}

static void tensor__of_the_longest_name_is_accepted(void **state)
{
    cairn_state *const model = add_state(*state, "model");
    char long_name[CAIRN_NAME_MAX];
    memset(long_name, 'a', sizeof long_name);
    long_name[CAIRN_NAME_MAX - 6] = '\0';
    assert_non_null(add_f32(model, long_name, CAIRN_ROLE_WEIGHT, 1, 1));
}

static void arena__beyond_63_bits_is_refused(void **state)
{
    cairn_state_tree *const tree = *state;
    cairn_error err = {0};
    const cairn_tensor_spec half = {
        .name = "half", .dtype = CAIRN_DTYPE_U8, .rank = 1, .shape = {INT64_C(1) << 60}};
    static const char *const k_names[] = {"a", "b", "c", "d", "e", "f", "g"};
    for (size_t i = 0; i < 7; i++) {
        cairn_state *const one = add_state(tree, k_names[i]);
        tk_assert_ok(cairn_state_add_tensor(one, &half, NULL, &err), &err);
    }
    cairn_state *const last = add_state(tree, "h");
    tk_assert_status(cairn_state_add_tensor(last, &half, NULL, &err), CAIRN_EINVAL, &err);
    assert_int_equal(cairn_state_tree_bytes(tree), UINT64_C(7) << 60);
    tk_assert_status(cairn_state_tree_allocate(tree, &err), CAIRN_ENOMEM, &err);
    assert_null(cairn_state_tree_arena(tree));
}

static void tree__takes_nothing_more_once_allocated(void **state)
{
    cairn_error err = {0};
    cairn_state_tree *const tree = *state;
    cairn_state *const model = add_state(tree, "model");
    const cairn_tensor_spec late = {.name = "late", .dtype = CAIRN_DTYPE_F32};
    tk_assert_ok(cairn_state_tree_allocate(tree, &err), &err);
    tk_assert_status(cairn_state_add_tensor(model, &late, NULL, &err), CAIRN_EINVAL, &err);
    tk_assert_status(cairn_state_tree_add(tree, "late", NULL, &err), CAIRN_EINVAL, &err);
    tk_assert_status(cairn_state_tree_allocate(tree, &err), CAIRN_EINVAL, &err);
}

static void alias__is_a_second_name_of_one_tensor(void **state)
{
    cairn_error err = {0};
    const char *alias = NULL;
    const char *target = NULL;
    cairn_state *const model = add_state(*state, "model");
    const cairn_tensor *const table = add_f32(model, "wte", CAIRN_ROLE_EMBEDDING, 4, 4);
    tk_assert_ok(cairn_state_add_alias(model, "lm_head", "wte", &err), &err);
    tk_assert_ok(cairn_state_add_alias(model, "again", "lm_head", &err), &err);
    assert_ptr_equal(cairn_state_tensor_find(model, "lm_head"), table);
    assert_int_equal(cairn_state_alias_count(model), 2);
    assert_int_equal(cairn_state_tensor_count(model), 1);
    cairn_state_alias_at(model, 1, &alias, &target);
    assert_string_equal(alias, "again");
    assert_string_equal(target, "wte");
    tk_assert_status(cairn_state_add_alias(model, "wte", "wte", &err), CAIRN_EINVAL, &err);
    tk_assert_status(cairn_state_add_alias(model, "x", "y", &err), CAIRN_EINVAL, &err);
}

static void gradients__are_one_block_for_the_parameters_with_64_byte_places(void **state)
{
    cairn_error err = {0};
    size_t floats = 1;
    cairn_state_tree *const tree = *state;
    cairn_state *const model = add_state(tree, "model");
    const cairn_tensor *const a = add_f32(model, "a", CAIRN_ROLE_WEIGHT, 3, 5);
    const cairn_tensor *const other = add_f32(model, "b", CAIRN_ROLE_OTHER, 3, 5);
    const cairn_tensor *const c = add_f32(model, "c", CAIRN_ROLE_NORM, 1, 17);
    assert_null(cairn_state_gradients(model, &floats));
    assert_int_equal(floats, 0);
    tk_assert_ok(cairn_state_tree_allocate(tree, &err), &err);
    tk_assert_ok(cairn_state_allocate_gradients(model, &err), &err);
    float *const all = cairn_state_gradients(model, &floats);
    assert_int_equal(floats, 16 + 32);
    assert_ptr_equal(a->grad, all);
    assert_null(other->grad);
    assert_ptr_equal(c->grad, all + 16);
    for (size_t i = 0; i < floats; i++)
        assert_true(all[i] == 0.0f);
    tk_assert_status(cairn_state_allocate_gradients(model, &err), CAIRN_EINVAL, &err);
}

static void values__come_back_exactly(void **state)
{
    cairn_error err = {0};
    uint64_t count = 0;
    double number = 0;
    cairn_state *const step = add_state(*state, "global_step");
    tk_assert_ok(cairn_state_set_u64(step, "value", UINT64_MAX, &err), &err);
    tk_assert_ok(cairn_state_set_f64(step, "power", 0.1, &err), &err);
    tk_assert_ok(cairn_state_set_text(step, "name", "", &err), &err);
    tk_assert_ok(cairn_state_get_u64(step, "value", &count, &err), &err);
    tk_assert_ok(cairn_state_get_f64(step, "power", &number, &err), &err);
    assert_true(count == UINT64_MAX);
    assert_true(number == 0.1);
    assert_string_equal(cairn_state_get_text(step, "value"), "18446744073709551615");
    assert_string_equal(cairn_state_get_text(step, "power"), "0x1.999999999999ap-4");
    assert_string_equal(cairn_state_get_text(step, "name"), "");
}

static void value__set_again_is_replaced_in_its_place(void **state)
{
    cairn_error err = {0};
    const char *key = NULL;
    const char *text = NULL;
    cairn_state *const step = add_state(*state, "s");
    tk_assert_ok(cairn_state_set_u64(step, "a", 1, &err), &err);
    tk_assert_ok(cairn_state_set_u64(step, "b", 2, &err), &err);
    tk_assert_ok(cairn_state_set_text(step, "a", "a text longer than any number", &err), &err);
    assert_int_equal(cairn_state_value_count(step), 2);
    cairn_state_value_at(step, 0, &key, &text);
    assert_string_equal(key, "a");
    assert_string_equal(text, "a text longer than any number");
    cairn_state_clear_values(step);
    assert_int_equal(cairn_state_value_count(step), 0);
    assert_null(cairn_state_get_text(step, "b"));
}

static void value__counting_up_allocates_nothing(void **state)
{
    cairn_error err = {0};
    cairn_state *const step = add_state(*state, "s");
    tk_assert_ok(cairn_state_set_u64(step, "value", 0, &err), &err);
    const uint64_t before = crn_mem_count();
    for (uint64_t i = 1; i <= 1000; i++)
        tk_assert_ok(cairn_state_set_u64(step, "value", i, &err), &err);
    assert_int_equal(crn_mem_count(), before);
}

static void value__absent_or_of_another_kind_is_an_error_and_leaves_the_output(void **state)
{
    cairn_error err = {0};
    uint64_t count = 7;
    double number = 7;
    cairn_state *const step = add_state(*state, "s");
    tk_assert_ok(cairn_state_set_text(step, "text", "-1x", &err), &err);
    tk_assert_status(cairn_state_get_u64(step, "none", &count, &err), CAIRN_ENOTFOUND, &err);
    tk_assert_status(cairn_state_get_u64(step, "text", &count, &err), CAIRN_ECORRUPT, &err);
    tk_assert_status(cairn_state_get_f64(step, "none", &number, &err), CAIRN_ENOTFOUND, &err);
    tk_assert_status(cairn_state_get_f64(step, "text", &number, &err), CAIRN_ECORRUPT, &err);
    assert_int_equal(count, 7);
    assert_true(number == 7);
}

struct ranges {
    char trace[256];
};

static void guard_begin(void *self, uint64_t offset, uint64_t bytes)
{
    struct ranges *const ranges = self;
    const size_t used = strlen(ranges->trace);
    (void)snprintf(ranges->trace + used, sizeof ranges->trace - used,
                   "begin %" PRIu64 " %" PRIu64 ";", offset, bytes);
}

static void guard_end(void *self, uint64_t offset, uint64_t bytes)
{
    struct ranges *const ranges = self;
    const size_t used = strlen(ranges->trace);
    (void)snprintf(ranges->trace + used, sizeof ranges->trace - used,
                   "end %" PRIu64 " %" PRIu64 ";", offset, bytes);
}

static void write_guard__hears_of_every_range_of_the_arena_while_installed(void **state)
{
    static const cairn_write_guard_ops k_ops = {
        .struct_size = sizeof k_ops, .begin = guard_begin, .end = guard_end};
    cairn_error err = {0};
    struct ranges ranges = {""};
    cairn_state_tree *const tree = *state;
    cairn_state *const model = add_state(tree, "model");
    (void)add_f32(model, "a", CAIRN_ROLE_WEIGHT, 1, 1);
    const cairn_tensor *const b = add_f32(model, "b", CAIRN_ROLE_WEIGHT, 2, 2);
    tk_assert_ok(cairn_state_tree_allocate(tree, &err), &err);

    cairn_state_tree_set_guard(tree, &k_ops, &ranges);
    float *const places = cairn_tensor_write_begin(tree, b, 4, 8);
    places[0] = 1.5f;
    cairn_tensor_write_end(tree, b, 4, 8);
    assert_string_equal(ranges.trace, "begin 68 8;end 68 8;");
    assert_true(((const float *)b->data)[1] == 1.5f);

    cairn_state_tree_set_guard(tree, NULL, NULL);
    assert_ptr_equal(cairn_tensor_write_begin(tree, b, 0, 16), b->data);
    cairn_tensor_write_end(tree, b, 0, 16);
    assert_string_equal(ranges.trace, "begin 68 8;end 68 8;");
}

/* Everything that a model does with a tree, once. */
static cairn_status build(cairn_state_tree *tree)
{
    cairn_status rc = CAIRN_OK;
    cairn_state *model = NULL;
    const cairn_tensor_spec spec = {
        .name = "w", .dtype = CAIRN_DTYPE_F32, .role = CAIRN_ROLE_WEIGHT, .rank = 1, .shape = {4}};
    rc = cairn_state_tree_add(tree, "model", &model, NULL);
    if (rc == CAIRN_OK)
        rc = cairn_state_add_tensor(model, &spec, NULL, NULL);
    if (rc == CAIRN_OK)
        rc = cairn_state_add_alias(model, "tied", "w", NULL);
    if (rc == CAIRN_OK)
        rc = cairn_state_set_u64(model, "n", 1, NULL);
    if (rc == CAIRN_OK)
        rc = cairn_state_tree_allocate(tree, NULL);
    return rc == CAIRN_OK ? cairn_state_allocate_gradients(model, NULL) : rc;
}

static void tree__says_so_when_any_allocation_fails(void **state)
{
    (void)state;
    uint64_t n = 0;
    cairn_status rc = CAIRN_ENOMEM;
    while (rc != CAIRN_OK) {
        cairn_state_tree *tree = NULL;
        crn_mem_fail_at(++n, 0);
        rc = cairn_state_tree_new(&tree, NULL);
        if (rc == CAIRN_OK)
            rc = build(tree);
        crn_mem_fail_at(0, 0);
        assert_true(rc == CAIRN_OK || rc == CAIRN_ENOMEM);
        cairn_state_tree_destroy(tree);
        assert_true(n < 100);
    }
    assert_true(n > 10); /* it did fail, at one place after the other */
}

#define TREE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TREE_TEST(arena__has_one_region_a_state_in_order_of_adding),
        TREE_TEST(states__are_found_by_name_and_number),
        TREE_TEST(state__with_a_name_that_is_none_or_taken_is_refused),
        TREE_TEST(tensors__keep_their_address_and_are_found_among_many),
        TREE_TEST(tensor__that_is_not_allowed_is_refused_and_changes_nothing),
        TREE_TEST(tensor__of_the_longest_name_is_accepted),
        TREE_TEST(arena__beyond_63_bits_is_refused),
        TREE_TEST(tree__takes_nothing_more_once_allocated),
        TREE_TEST(alias__is_a_second_name_of_one_tensor),
        TREE_TEST(gradients__are_one_block_for_the_parameters_with_64_byte_places),
        TREE_TEST(values__come_back_exactly),
        TREE_TEST(value__set_again_is_replaced_in_its_place),
        TREE_TEST(value__counting_up_allocates_nothing),
        TREE_TEST(value__absent_or_of_another_kind_is_an_error_and_leaves_the_output),
        TREE_TEST(write_guard__hears_of_every_range_of_the_arena_while_installed),
        TREE_TEST(tree__says_so_when_any_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
