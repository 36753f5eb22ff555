#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include <cmocka.h>

#include "base/rng.h"
#include "cairn/optim.h"

/* Larger than several chunks, and not a multiple of anything. */
enum { LARGE = 300007, SMALL = 5 };

struct fixture {
    cairn_state_tree *tree;
    cairn_state *model;
    float *large;
    float *small;
};

static void set_threads(int count)
{
#ifdef _OPENMP
    omp_set_num_threads(count);
#else
    (void)count;
#endif
}

static void add(cairn_state *model, const char *name, int64_t size, const cairn_tensor **out)
{
    const cairn_tensor_spec spec = {.name = name,
                                    .dtype = CAIRN_DTYPE_F32,
                                    .role = CAIRN_ROLE_WEIGHT,
                                    .rank = 1,
                                    .shape = {size}};
    assert_int_equal(cairn_state_add_tensor(model, &spec, out, NULL), CAIRN_OK);
}

static void make(struct fixture *f)
{
    const cairn_tensor *large = NULL;
    const cairn_tensor *small = NULL;
    assert_int_equal(cairn_state_tree_new(&f->tree, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_tree_add(f->tree, "model", &f->model, NULL), CAIRN_OK);
    add(f->model, "small", SMALL, &small);
    add(f->model, "large", LARGE, &large);
    assert_int_equal(cairn_state_tree_allocate(f->tree, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_allocate_gradients(f->model, NULL), CAIRN_OK);
    f->large = large->grad;
    f->small = small->grad;
}

static void fill(struct fixture *f)
{
    uint32_t random[4];
    for (int i = 0; i < LARGE; i++) {
        crn_philox(1, CRN_STREAM_INIT, 0, (uint64_t)i, random);
        f->large[i] = crn_uniform_f32(random[0]) - 0.5f;
    }
    for (int i = 0; i < SMALL; i++)
        f->small[i] = (float)i;
}

static void norm__is_the_root_of_the_sum_of_squares(void **state)
{
    struct fixture f;
    (void)state;
    make(&f);
    assert_true(cairn_gradient_norm(f.model) == 0.0);
    f.small[0] = 3.0f;
    f.large[LARGE - 1] = -4.0f;
    assert_true(cairn_gradient_norm(f.model) == 5.0);
    fill(&f);
    long double sum = 0.0L;
    for (int i = 0; i < LARGE; i++)
        sum += (long double)f.large[i] * (long double)f.large[i];
    for (int i = 0; i < SMALL; i++)
        sum += (long double)f.small[i] * (long double)f.small[i];
    const double expected = (double)sqrtl(sum);
    assert_true(fabs(cairn_gradient_norm(f.model) - expected) <= 1e-14 * expected);
    cairn_state_tree_destroy(f.tree);
}

static void norm__has_the_same_bits_for_any_thread_count(void **state)
{
    struct fixture f;
    (void)state;
    make(&f);
    fill(&f);
    set_threads(1);
    const double one = cairn_gradient_norm(f.model);
    for (int threads = 2; threads <= 5; threads++) {
        set_threads(threads);
        assert_true(cairn_gradient_norm(f.model) == one);
    }
    set_threads(2);
    cairn_state_tree_destroy(f.tree);
}

static void sums__are_those_of_each_range_to_the_same_bits(void **state)
{
    enum { RANGES = 1200 }; /* more than are collected at a time */
    struct fixture f;
    static cairn_floats ranges[RANGES];
    static double sums[RANGES];
    (void)state;
    make(&f);
    fill(&f);
    ranges[0] = (cairn_floats){f.large, LARGE};
    ranges[1] = (cairn_floats){NULL, 0};
    for (size_t i = 2; i < RANGES; i++)
        ranges[i] = (cairn_floats){f.large + i, i % 7 * 100};
    for (int threads = 1; threads <= 3; threads++) {
        set_threads(threads);
        cairn_sums_of_squares(ranges, RANGES, sums);
        for (size_t i = 0; i < RANGES; i++)
            assert_true(sums[i] == cairn_sum_of_squares(ranges[i].values, ranges[i].count));
    }
    set_threads(2);
    assert_true(sums[0] > 0.0 && sums[1] == 0.0);
    cairn_sums_of_squares(NULL, 0, NULL);
    cairn_state_tree_destroy(f.tree);
}

static void squares__of_any_part_come_out_of_the_norms(void **state)
{
    struct fixture f;
    static const size_t k_parts[][2] = {
        {0, 0},         {0, 1},      {0, 32768},   {5, 32763},
        {32768, 65536}, {7, 100000}, {70000, 100}, {299999, LARGE - 299999},
        {0, LARGE}};
    (void)state;
    make(&f);
    fill(&f);
    double *const squares = calloc(cairn_gradient_square_count(f.model), sizeof *squares);
    assert_non_null(squares);
    assert_true(cairn_gradient_norm_kept(f.model, squares) == cairn_gradient_norm(f.model));
    for (size_t i = 0; i < sizeof k_parts / sizeof k_parts[0]; i++) {
        const float *const first = f.large + k_parts[i][0];
        const double want = cairn_sum_of_squares(first, k_parts[i][1]);
        const double have = cairn_gradient_squares(f.model, squares, first, k_parts[i][1]);
        assert_true(fabs(have - want) <= 1e-13 * want);
    }
    /* What is known is not read again. */
    f.large[40000] = 1e9f;
    assert_true(cairn_gradient_squares(f.model, squares, f.large, 65536) < 1e9);
    free(squares);
    cairn_state_tree_destroy(f.tree);
}

static void norm__does_not_overflow_where_float_would(void **state)
{
    struct fixture f;
    (void)state;
    make(&f);
    f.small[0] = 3e30f;
    f.small[1] = 4e30f;
    const double norm = cairn_gradient_norm(f.model);
    assert_true(fabs(norm - 5e30) < 1e-6 * 5e30);
    cairn_state_tree_destroy(f.tree);
}

static void norm__is_not_finite_if_one_gradient_is_not(void **state)
{
    struct fixture f;
    (void)state;
    make(&f);
    fill(&f);
    f.large[LARGE / 2] = NAN;
    assert_true(isnan(cairn_gradient_norm(f.model)));
    f.large[LARGE / 2] = INFINITY;
    assert_true(isinf(cairn_gradient_norm(f.model)));
    cairn_state_tree_destroy(f.tree);
}

/* More than one group of partial sums. */
static void norm__counts_every_element_of_a_large_model(void **state)
{
    enum { COUNT = 17 * 1000 * 1000 };
    cairn_state_tree *tree = NULL;
    cairn_state *model = NULL;
    const cairn_tensor *tensor = NULL;
    (void)state;
    assert_int_equal(cairn_state_tree_new(&tree, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_tree_add(tree, "model", &model, NULL), CAIRN_OK);
    add(model, "w", COUNT, &tensor);
    assert_int_equal(cairn_state_allocate_gradients(model, NULL), CAIRN_OK);
    tensor->grad[5] = 3.0f;
    tensor->grad[COUNT - 1] = 4.0f;
    assert_true(cairn_gradient_norm(model) == 5.0);
    cairn_state_tree_destroy(tree);
}

static void norm__is_zero_without_gradients(void **state)
{
    cairn_state_tree *tree = NULL;
    cairn_state *model = NULL;
    (void)state;
    assert_int_equal(cairn_state_tree_new(&tree, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_tree_add(tree, "model", &model, NULL), CAIRN_OK);
    assert_true(cairn_gradient_norm(model) == 0.0);
    cairn_clip_gradients(model, 5.0, 1.0);
    cairn_state_tree_destroy(tree);
}

static void clip__scales_all_gradients_to_the_limit(void **state)
{
    struct fixture f;
    (void)state;
    make(&f);
    fill(&f);
    const double norm = cairn_gradient_norm(f.model);
    const float first = f.large[0];
    cairn_clip_gradients(f.model, norm, 1.5);
    const float factor = (float)(1.5 / (norm + 1e-6));
    assert_true(f.large[0] == first * factor);
    assert_true(f.small[4] == 4.0f * factor);
    assert_true(fabs(cairn_gradient_norm(f.model) - 1.5) < 1e-6);
    cairn_state_tree_destroy(f.tree);
}

/* PyTorch's addend shows where gradients are tiny. */
static void clip__adds_a_millionth_to_the_norm(void **state)
{
    struct fixture f;
    (void)state;
    make(&f);
    f.small[0] = 3e-6f;
    cairn_clip_gradients(f.model, 3e-6, 2e-6);
    assert_true(f.small[0] == 3e-6f * 0.5f);
    f.small[0] = 3e-6f;
    cairn_clip_gradients(f.model, 3e-6, 4e-6);
    assert_true(f.small[0] == 3e-6f);
    cairn_state_tree_destroy(f.tree);
}

static void clip__leaves_gradients_below_the_limit_alone(void **state)
{
    struct fixture f;
    (void)state;
    make(&f);
    fill(&f);
    const double norm = cairn_gradient_norm(f.model);
    const float first = f.large[0];
    cairn_clip_gradients(f.model, norm, norm * 1.01);
    assert_true(f.large[0] == first);
    assert_true(cairn_gradient_norm(f.model) == norm);
    cairn_state_tree_destroy(f.tree);
}

static void clip_values__moves_every_element_into_the_range(void **state)
{
    struct fixture f;
    (void)state;
    make(&f);
    fill(&f);
    f.small[0] = NAN;
    f.small[1] = -3.0f;
    f.small[2] = INFINITY;
    f.large[7] = 0.125f;
    cairn_clip_gradient_values(f.model, 0.25);
    assert_true(isnan(f.small[0]));
    assert_true(f.small[1] == -0.25f);
    assert_true(f.small[2] == 0.25f);
    assert_true(f.small[4] == 0.25f);
    assert_true(f.large[7] == 0.125f);
    for (int i = 0; i < LARGE; i++)
        assert_true(fabsf(f.large[i]) <= 0.25f);
    cairn_state_tree_destroy(f.tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(norm__is_the_root_of_the_sum_of_squares),
        cmocka_unit_test(norm__has_the_same_bits_for_any_thread_count),
        cmocka_unit_test(sums__are_those_of_each_range_to_the_same_bits),
        cmocka_unit_test(squares__of_any_part_come_out_of_the_norms),
        cmocka_unit_test(norm__does_not_overflow_where_float_would),
        cmocka_unit_test(norm__is_not_finite_if_one_gradient_is_not),
        cmocka_unit_test(norm__counts_every_element_of_a_large_model),
        cmocka_unit_test(norm__is_zero_without_gradients),
        cmocka_unit_test(clip__scales_all_gradients_to_the_limit),
        cmocka_unit_test(clip__adds_a_millionth_to_the_norm),
        cmocka_unit_test(clip__leaves_gradients_below_the_limit_alone),
        cmocka_unit_test(clip_values__moves_every_element_into_the_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
