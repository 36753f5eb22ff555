/* The float64 references: each backward is the derivative of its forward. */
#include "kernels/ref/ref.h"

#include "numeric/numeric.h"

static const double k_limit = 1e-6;

/* One operation under test: its loss is the dot product of its output with @dy. */
typedef struct probe {
    int64_t rows;
    int64_t cols;
    int64_t in;
    num_array x;
    num_array w;
    num_array b;
    num_array y;
    num_array dy;
    num_array factors;
    num_array p;
    num_array q;
    num_array k;
    num_array v;
    const int32_t *ids;
    crn_ref_attention_shape shape;
} probe;

static double linear_loss(void *context)
{
    const probe *const t = context;
    crn_ref_linear(t->rows, t->in, t->cols, t->x.d, t->w.d, t->b.d, t->y.d);
    return num_dot(t->y.count, t->y.d, t->dy.d);
}

static void linear_backward__is_the_derivative(void **state)
{
    (void)state;
    num_pool pool = {.seed = 1};
    probe t = {.rows = 3, .in = 5, .cols = 4};
    t.x = num_random(&pool, 15, 1.0);
    t.w = num_random(&pool, 20, 1.0);
    t.b = num_random(&pool, 4, 1.0);
    t.y = num_zeros(&pool, 12);
    t.dy = num_random(&pool, 12, 1.0);
    const num_array dx = num_zeros(&pool, 15);
    const num_array dw = num_zeros(&pool, 20);
    const num_array db = num_zeros(&pool, 4);
    crn_ref_linear_backward(t.rows, t.in, t.cols, t.x.d, t.w.d, t.dy.d, dx.d, dw.d, db.d);
    num_assert_gradient(linear_loss, &t, t.x, dx, k_limit);
    num_assert_gradient(linear_loss, &t, t.w, dw, k_limit);
    num_assert_gradient(linear_loss, &t, t.b, db, k_limit);
    num_free(&pool);
}

static double layernorm_loss(void *context)
{
    const probe *const t = context;
    crn_ref_layernorm(t->rows, t->cols, 1e-5, t->x.d, t->w.d, t->b.d, t->y.d);
    return num_dot(t->y.count, t->y.d, t->dy.d);
}

static void layernorm_backward__is_the_derivative(void **state)
{
    (void)state;
    num_pool pool = {.seed = 2};
    probe t = {.rows = 3, .cols = 7};
    t.x = num_random(&pool, 21, 2.0);
    t.w = num_random(&pool, 7, 1.0);
    t.b = num_random(&pool, 7, 1.0);
    t.y = num_zeros(&pool, 21);
    t.dy = num_random(&pool, 21, 1.0);
    const num_array dx = num_zeros(&pool, 21);
    const num_array dw = num_zeros(&pool, 7);
    const num_array db = num_zeros(&pool, 7);
    crn_ref_layernorm_backward(t.rows, t.cols, 1e-5, t.x.d, t.w.d, t.dy.d, dx.d, dw.d, db.d);
    num_assert_gradient(layernorm_loss, &t, t.x, dx, k_limit);
    num_assert_gradient(layernorm_loss, &t, t.w, dw, k_limit);
    num_assert_gradient(layernorm_loss, &t, t.b, db, k_limit);
    num_free(&pool);
}

static double gelu_loss(void *context)
{
    const probe *const t = context;
    crn_ref_gelu(t->x.count, t->x.d, t->y.d);
    return num_dot(t->y.count, t->y.d, t->dy.d);
}

static double relu_loss(void *context)
{
    const probe *const t = context;
    crn_ref_relu(t->x.count, t->x.d, t->y.d);
    return num_dot(t->y.count, t->y.d, t->dy.d);
}

static void activation_backwards__are_the_derivatives(void **state)
{
    (void)state;
    num_pool pool = {.seed = 3};
    probe t = {0};
    t.x = num_random(&pool, 33, 4.0);
    t.y = num_zeros(&pool, 33);
    t.dy = num_random(&pool, 33, 1.0);
    const num_array dx = num_zeros(&pool, 33);
    crn_ref_gelu_backward(33, t.x.d, t.dy.d, dx.d);
    num_assert_gradient(gelu_loss, &t, t.x, dx, k_limit);
    crn_ref_relu_backward(33, t.x.d, t.dy.d, dx.d);
    num_assert_gradient(relu_loss, &t, t.x, dx, k_limit);
    num_free(&pool);
}

static double embedding_loss(void *context)
{
    const probe *const t = context;
    crn_ref_embedding(2, 3, 4, t->ids, t->w.d, t->b.d, t->y.d);
    return num_dot(t->y.count, t->y.d, t->dy.d);
}

static void embedding_backward__is_the_derivative_with_repeated_ids(void **state)
{
    (void)state;
    num_pool pool = {.seed = 4};
    const int32_t ids[6] = {1, 4, 1, 1, 0, 4};
    probe t = {.ids = ids};
    t.w = num_random(&pool, 20, 1.0);
    t.b = num_random(&pool, 12, 1.0);
    t.y = num_zeros(&pool, 24);
    t.dy = num_random(&pool, 24, 1.0);
    const num_array dw = num_zeros(&pool, 20);
    const num_array db = num_zeros(&pool, 12);
    crn_ref_embedding_backward(2, 3, 4, 5, ids, t.dy.d, dw.d, db.d);
    num_assert_gradient(embedding_loss, &t, t.w, dw, k_limit);
    num_assert_gradient(embedding_loss, &t, t.b, db, k_limit);
    num_free(&pool);
}

static double attention_loss(void *context)
{
    const probe *const t = context;
    crn_ref_attention(&t->shape, t->factors.d, t->q.d, t->k.d, t->v.d, t->p.d, t->y.d);
    return num_dot(t->y.count, t->y.d, t->dy.d);
}

static void attention_backward__is_the_derivative_with_and_without_dropout(void **state)
{
    (void)state;
    for (int with_dropout = 0; with_dropout < 2; with_dropout++) {
        num_pool pool = {.seed = 5};
        probe t = {
            .shape = {
                .batch = 2, .time = 5, .heads = 2, .kv_heads = 2, .head_size = 3, .scale = 0.5}};
        t.q = num_random(&pool, 60, 1.5);
        t.k = num_random(&pool, 60, 1.5);
        t.v = num_random(&pool, 60, 1.0);
        t.p = num_zeros(&pool, 100);
        t.factors = num_zeros(&pool, 100);
        for (int i = 0; i < 100; i++)
            t.factors.d[i] = with_dropout ? (num_next(&pool.seed) % 3 == 0 ? 0.0 : 1.5) : 1.0;
        t.y = num_zeros(&pool, 60);
        t.dy = num_random(&pool, 60, 1.0);
        const num_array dq = num_zeros(&pool, 60);
        const num_array dk = num_zeros(&pool, 60);
        const num_array dv = num_zeros(&pool, 60);
        (void)attention_loss(&t);
        crn_ref_attention_backward(&t.shape, t.factors.d, t.q.d, t.k.d, t.v.d, t.p.d, t.dy.d, dq.d,
                                   dk.d, dv.d);
        num_assert_gradient(attention_loss, &t, t.q, dq, k_limit);
        num_assert_gradient(attention_loss, &t, t.k, dk, k_limit);
        num_assert_gradient(attention_loss, &t, t.v, dv, k_limit);
        num_free(&pool);
    }
}

static void attention_backward__is_the_derivative_with_groups_a_window_and_sinks(void **state)
{
    (void)state;
    num_pool pool = {.seed = 15};
    probe t = {.shape = {.batch = 2,
                         .time = 7,
                         .heads = 4,
                         .kv_heads = 2,
                         .head_size = 3,
                         .window = 2,
                         .sinks = 1,
                         .scale = 0.5}};
    t.q = num_random(&pool, 2 * 7 * 4 * 3, 1.5);
    t.k = num_random(&pool, 2 * 7 * 2 * 3, 1.5);
    t.v = num_random(&pool, 2 * 7 * 2 * 3, 1.0);
    t.p = num_zeros(&pool, 2 * 4 * 7 * 7);
    t.factors = num_zeros(&pool, t.p.count);
    for (int64_t i = 0; i < t.p.count; i++)
        t.factors.d[i] = 1.0;
    t.y = num_zeros(&pool, t.q.count);
    t.dy = num_random(&pool, t.q.count, 1.0);
    const num_array dq = num_zeros(&pool, t.q.count);
    const num_array dk = num_zeros(&pool, t.k.count);
    const num_array dv = num_zeros(&pool, t.k.count);
    (void)attention_loss(&t);
    assert_true(t.p.d[6 * 7 + 0] > 0.0);  /* The sink, */
    assert_true(t.p.d[6 * 7 + 4] == 0.0); /* what is outside the window of 2, */
    assert_true(t.p.d[6 * 7 + 5] > 0.0);  /* and inside. */
    crn_ref_attention_backward(&t.shape, t.factors.d, t.q.d, t.k.d, t.v.d, t.p.d, t.dy.d, dq.d,
                               dk.d, dv.d);
    num_assert_gradient(attention_loss, &t, t.q, dq, k_limit);
    num_assert_gradient(attention_loss, &t, t.k, dk, k_limit);
    num_assert_gradient(attention_loss, &t, t.v, dv, k_limit);
    num_free(&pool);
}

static double rmsnorm_loss(void *context)
{
    const probe *const t = context;
    crn_ref_rmsnorm(t->rows, t->cols, 1e-5, t->x.d, t->w.d, t->y.d);
    return num_dot(t->y.count, t->y.d, t->dy.d);
}

static void rmsnorm_backward__is_the_derivative(void **state)
{
    (void)state;
    num_pool pool = {.seed = 16};
    probe t = {.rows = 3, .cols = 5};
    t.x = num_random(&pool, 15, 2.0);
    t.w = num_random(&pool, 5, 1.0);
    t.y = num_zeros(&pool, 15);
    t.dy = num_random(&pool, 15, 1.0);
    const num_array dx = num_zeros(&pool, 15);
    const num_array dw = num_zeros(&pool, 5);
    crn_ref_rmsnorm_backward(3, 5, 1e-5, t.x.d, t.w.d, t.dy.d, dx.d, dw.d);
    num_assert_gradient(rmsnorm_loss, &t, t.x, dx, k_limit);
    num_assert_gradient(rmsnorm_loss, &t, t.w, dw, k_limit);
    num_free(&pool);
}

static void slopes__are_the_derivatives(void **state)
{
    (void)state;
    static const struct {
        double (*of)(double x);
        double (*slope)(double x);
    } functions[] = {{crn_ref_silu_of, crn_ref_silu_slope},
                     {crn_ref_gelu_of, crn_ref_gelu_slope},
                     {crn_ref_gelu_tanh_of, crn_ref_gelu_tanh_slope},
                     {crn_ref_squared_relu_of, crn_ref_squared_relu_slope}};
    const double h = 1e-5;
    for (size_t f = 0; f < sizeof functions / sizeof functions[0]; f++) {
        for (double x = -6.05; x < 6.0; x += 0.1) {
            const double slope = (functions[f].of(x + h) - functions[f].of(x - h)) / (2.0 * h);
            assert_true(fabs(slope - functions[f].slope(x)) < 1e-7);
        }
    }
    assert_true(fabs(crn_ref_silu_of(1.0) - 0.7310585786300049) < 1e-15);
    assert_true(fabs(crn_ref_gelu_tanh_of(1.0) - 0.8411919906082768) < 1e-15);
}

static void attention__gives_an_early_query_nothing_of_a_later_key(void **state)
{
    (void)state;
    num_pool pool = {.seed = 6};
    probe t = {
        .shape = {.batch = 1, .time = 4, .heads = 1, .kv_heads = 1, .head_size = 2, .scale = 1.0}};
    t.q = num_random(&pool, 8, 1.0);
    t.k = num_random(&pool, 8, 1.0);
    t.v = num_random(&pool, 8, 1.0);
    t.p = num_zeros(&pool, 16);
    t.y = num_zeros(&pool, 8);
    t.factors = num_zeros(&pool, 16);
    for (int i = 0; i < 16; i++)
        t.factors.d[i] = 1.0;
    crn_ref_attention(&t.shape, t.factors.d, t.q.d, t.k.d, t.v.d, t.p.d, t.y.d);
    const double before = t.y.d[5]; /* Of query 2. */
    t.k.d[6] += 1.0;                /* Of key 3. */
    t.v.d[7] += 1.0;
    crn_ref_attention(&t.shape, t.factors.d, t.q.d, t.k.d, t.v.d, t.p.d, t.y.d);
    assert_true(t.y.d[5] == before);
    assert_true(t.p.d[0] == 1.0);
    num_free(&pool);
}

static double cross_entropy_loss(void *context)
{
    const probe *const t = context;
    return crn_ref_cross_entropy(t->rows, t->cols, t->x.d, t->ids, t->w.d);
}

static void cross_entropy_backward__is_the_derivative_with_a_mask(void **state)
{
    (void)state;
    num_pool pool = {.seed = 7};
    const int32_t labels[4] = {2, -1, 0, 4};
    probe t = {.rows = 4, .cols = 5, .ids = labels};
    t.x = num_random(&pool, 20, 3.0);
    t.w = num_random(&pool, 4, 1.0);
    t.w.d[1] = 0.0;
    const num_array dx = num_zeros(&pool, 20);
    crn_ref_cross_entropy_backward(t.rows, t.cols, t.x.d, labels, t.w.d, dx.d);
    num_assert_gradient(cross_entropy_loss, &t, t.x, dx, k_limit);
    num_free(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linear_backward__is_the_derivative),
        cmocka_unit_test(layernorm_backward__is_the_derivative),
        cmocka_unit_test(activation_backwards__are_the_derivatives),
        cmocka_unit_test(embedding_backward__is_the_derivative_with_repeated_ids),
        cmocka_unit_test(attention_backward__is_the_derivative_with_and_without_dropout),
        cmocka_unit_test(attention_backward__is_the_derivative_with_groups_a_window_and_sinks),
        cmocka_unit_test(rmsnorm_backward__is_the_derivative),
        cmocka_unit_test(slopes__are_the_derivatives),
        cmocka_unit_test(attention__gives_an_early_query_nothing_of_a_later_key),
        cmocka_unit_test(cross_entropy_backward__is_the_derivative_with_a_mask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
