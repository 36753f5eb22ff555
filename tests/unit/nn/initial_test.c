/* First values: their distribution, their bounds, and that they are a function of the seed. */
#include "nn/initial.h"

#include <string.h>

#include "numeric/numeric.h"

enum { ROWS = 300, COLS = 401, COUNT = ROWS * COLS };

typedef struct room {
    cairn_state_tree *tree;
    const cairn_tensor *tensor;
    cairn_error err;
} room;

static int set_up(void **state)
{
    static room r;
    cairn_state *model = NULL;
    const cairn_tensor_spec spec = {.name = "w",
                                    .dtype = CAIRN_DTYPE_F32,
                                    .role = CAIRN_ROLE_WEIGHT,
                                    .rank = 2,
                                    .shape = {ROWS, COLS}};
    memset(&r, 0, sizeof r);
    *state = &r;
    return cairn_state_tree_new(&r.tree, &r.err) != CAIRN_OK ||
           cairn_state_tree_add(r.tree, "model", &model, &r.err) != CAIRN_OK ||
           cairn_state_add_tensor(model, &spec, &r.tensor, &r.err) != CAIRN_OK ||
           cairn_state_tree_allocate(r.tree, &r.err) != CAIRN_OK;
}

static int tear_down(void **state)
{
    room *const r = *state;
    cairn_state_tree_destroy(r->tree);
    return 0;
}

typedef struct moments {
    double mean;
    double std;
    double least;
    double most;
} moments;

static moments fill(room *r, const cairn_initializer *initializer, uint64_t seed)
{
    moments m = {.least = HUGE_VAL, .most = -HUGE_VAL};
    double squares = 0.0;
    assert_int_equal(crn_initialize(r->tree, r->tensor, initializer, seed, 3, &r->err), CAIRN_OK);
    const float *const data = r->tensor->data;
    for (int i = 0; i < COUNT; i++) {
        const double x = (double)data[i];
        m.mean += x / COUNT;
        squares += x * x / COUNT;
        m.least = x < m.least ? x : m.least;
        m.most = x > m.most ? x : m.most;
    }
    m.std = sqrt(squares - m.mean * m.mean);
    return m;
}

/* Six standard errors. */
static void assert_moments(const moments *m, double mean, double std)
{
    const double error = std / sqrt(COUNT);
    if (!(fabs(m->mean - mean) < 6.0 * error) || !(fabs(m->std - std) < 6.0 * error))
        fail_msg("mean %g, std %g instead of %g, %g", m->mean, m->std, mean, std);
}

static void quantile__is_the_inverse_of_the_distribution(void **state)
{
    (void)state;
    static const double probabilities[] = {1e-300, 1e-40, 1e-12, 1e-6,  0.001, 0.02275, 0.07,
                                           0.08,   0.3,   0.5,   0.701, 0.93,  0.9772,  0.999999};
    for (size_t i = 0; i < sizeof probabilities / sizeof probabilities[0]; i++) {
        const double p = probabilities[i];
        const double back = 0.5 * erfc(-crn_normal_quantile(p) * sqrt(0.5));
        assert_true(fabs(back / p - 1.0) < 1e-12);
    }
    assert_true(crn_normal_quantile(0.5) == 0.0);
}

static void normal__has_its_mean_and_deviation(void **state)
{
    const cairn_initializer initializer = {.kind = CAIRN_INIT_NORMAL, .mean = 0.5, .std = 0.02};
    const moments m = fill(*state, &initializer, 1);
    assert_moments(&m, 0.5, 0.02);
    assert_true(m.most > 0.5 + 3.5 * 0.02);
}

static void truncated_normal__stays_within_its_bounds_and_fills_them(void **state)
{
    const cairn_initializer initializer = {
        .kind = CAIRN_INIT_TRUNCATED_NORMAL, .std = 0.02, .a = -0.04, .b = 0.04};
    const moments m = fill(*state, &initializer, 1);
    /* Deviation of a normal distribution cut at two of them: 0.8796. */
    assert_moments(&m, 0.0, 0.02 * 0.87962566103423978);
    assert_true(m.least >= -0.04 && m.least < -0.0399);
    assert_true(m.most <= 0.04 && m.most > 0.0399);
}

static void truncated_normal__cuts_at_two_deviations_without_bounds(void **state)
{
    const cairn_initializer initializer = {
        .kind = CAIRN_INIT_TRUNCATED_NORMAL, .mean = 1.0, .std = 0.1};
    const moments m = fill(*state, &initializer, 1);
    assert_moments(&m, 1.0, 0.1 * 0.87962566103423978);
    assert_true(m.least >= (double)(float)0.8 && m.most <= (double)(float)1.2);
}

static void truncated_normal__far_out_in_one_tail_gives_numbers_there(void **state)
{
    const cairn_initializer initializer = {
        .kind = CAIRN_INIT_TRUNCATED_NORMAL, .std = 1.0, .a = -31.0, .b = -30.0};
    const moments m = fill(*state, &initializer, 1);
    assert_true(m.least >= -31.0 && m.most <= -30.0);
}

static void uniform_and_xavier__have_their_bounds(void **state)
{
    const cairn_initializer uniform = {.kind = CAIRN_INIT_UNIFORM, .a = -1.0, .b = 3.0};
    moments m = fill(*state, &uniform, 1);
    assert_moments(&m, 1.0, 4.0 / sqrt(12.0));
    assert_true(m.least >= -1.0 && m.most <= 3.0);
    const cairn_initializer xavier = {.kind = CAIRN_INIT_XAVIER_UNIFORM, .gain = 2.0};
    m = fill(*state, &xavier, 1);
    assert_moments(&m, 0.0, 2.0 * sqrt(2.0 / (ROWS + COLS)));
    const cairn_initializer xavier_normal = {.kind = CAIRN_INIT_XAVIER_NORMAL, .gain = 2.0};
    m = fill(*state, &xavier_normal, 1);
    assert_moments(&m, 0.0, 2.0 * sqrt(2.0 / (ROWS + COLS)));
    assert_true(m.most > 3.5 * m.std);
}

static void constants__are_exact(void **state)
{
    const cairn_initializer constant = {.kind = CAIRN_INIT_CONSTANT, .value = 0.25};
    const cairn_initializer zeros = {.kind = CAIRN_INIT_ZEROS, .value = 7.0};
    const cairn_initializer ones = {.kind = CAIRN_INIT_ONES};
    moments m = fill(*state, &constant, 1);
    assert_true(m.least == 0.25 && m.most == 0.25);
    m = fill(*state, &zeros, 1);
    assert_true(m.least == 0.0 && m.most == 0.0);
    m = fill(*state, &ones, 1);
    assert_true(m.least == 1.0 && m.most == 1.0);
}

static void values__depend_on_seed_and_number_only(void **state)
{
    room *const r = *state;
    const cairn_initializer initializer = {.kind = CAIRN_INIT_NORMAL, .std = 1.0};
    float *const first = calloc(COUNT, sizeof *first);
    assert_non_null(first);
    (void)fill(r, &initializer, 1);
    memcpy(first, r->tensor->data, COUNT * sizeof *first);
    (void)fill(r, &initializer, 2);
    assert_memory_not_equal(first, r->tensor->data, COUNT * sizeof *first);
    assert_int_equal(crn_initialize(r->tree, r->tensor, &initializer, 1, 4, &r->err), CAIRN_OK);
    assert_memory_not_equal(first, r->tensor->data, COUNT * sizeof *first);
    (void)fill(r, &initializer, 1);
    assert_memory_equal(first, r->tensor->data, COUNT * sizeof *first);
    free(first);
}

static void bounds_that_hold_no_number__are_a_configuration_error(void **state)
{
    room *const r = *state;
    const cairn_initializer crossed = {.kind = CAIRN_INIT_UNIFORM, .a = 1.0, .b = -1.0};
    const cairn_initializer negative = {.kind = CAIRN_INIT_NORMAL, .std = -1.0};
    const cairn_initializer none = {.kind = CAIRN_INIT_DEFAULT};
    assert_int_equal(crn_initialize(r->tree, r->tensor, &crossed, 1, 1, &r->err), CAIRN_ECONFIG);
    assert_int_equal(crn_initialize(r->tree, r->tensor, &negative, 1, 1, &r->err), CAIRN_ECONFIG);
    assert_int_equal(crn_initialize(r->tree, r->tensor, &none, 1, 1, &r->err), CAIRN_EBUG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantile__is_the_inverse_of_the_distribution),
        cmocka_unit_test(normal__has_its_mean_and_deviation),
        cmocka_unit_test(truncated_normal__stays_within_its_bounds_and_fills_them),
        cmocka_unit_test(truncated_normal__cuts_at_two_deviations_without_bounds),
        cmocka_unit_test(truncated_normal__far_out_in_one_tail_gives_numbers_there),
        cmocka_unit_test(uniform_and_xavier__have_their_bounds),
        cmocka_unit_test(constants__are_exact),
        cmocka_unit_test(values__depend_on_seed_and_number_only),
        cmocka_unit_test(bounds_that_hold_no_number__are_a_configuration_error),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
