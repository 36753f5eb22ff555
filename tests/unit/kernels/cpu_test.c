/* The fp32 kernels against the float64 references, over odd shapes. */
#include "kernels/kernels.h"

#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "kernels/ref/ref.h"
#include "numeric/numeric.h"

static const double k_limit = 1e-5;

enum { SHAPES = 5, PARTS_OF_A_ROW = 17 };

static const int64_t k_rows[SHAPES] = {1, 3, 17, 70, 200};
static const int64_t k_cols[SHAPES] = {1, 17, 3, 33, 128};

/* A copy of @from in @to, as an old content that the kernel must add to. */
static void add_old(num_array *to, const float *old)
{
    for (int64_t i = 0; i < to->count; i++) {
        to->f[i] = old[i];
        to->d[i] += (double)old[i];
    }
}

static crn_matrix matrix(const float *data, int64_t stride, bool is_transposed)
{
    const crn_matrix made = {.data = data, .stride = stride, .is_transposed = is_transposed};
    return made;
}

static void gemm__computes_all_that_a_linear_layer_needs(void **state)
{
    (void)state;
    for (int s = 0; s < SHAPES; s++) {
        num_pool pool = {.seed = 1};
        cairn_error err = {0};
        const int64_t rows = k_rows[s];
        const int64_t in = k_cols[s];
        const int64_t out = k_rows[SHAPES - 1 - s];
        const num_array x = num_random(&pool, rows * in, 1.0);
        const num_array w = num_random(&pool, out * in, 1.0);
        const num_array b = num_random(&pool, out, 1.0);
        const num_array dy = num_random(&pool, rows * out, 1.0);
        const num_array old = num_random(&pool, out * in, 1.0);
        num_array y = num_zeros(&pool, rows * out);
        num_array dx = num_zeros(&pool, rows * in);
        num_array dw = num_zeros(&pool, out * in);
        num_array db = num_zeros(&pool, out);
        float *const scratch = num_alloc(&pool, crn_sum_rows_scratch(rows, out), sizeof *scratch);
        crn_ref_linear(rows, in, out, x.d, w.d, b.d, y.d);
        crn_ref_linear_backward(rows, in, out, x.d, w.d, dy.d, dx.d, dw.d, db.d);
        y.f[0] = NAN; /* Must not be read. */
        assert_int_equal(crn_gemm(rows, out, in, 1.0F, matrix(x.f, in, false),
                                  matrix(w.f, in, true), 0.0F, y.f, out, &err),
                         CAIRN_OK);
        crn_add_bias(rows, out, b.f, y.f);
        assert_int_equal(crn_gemm(rows, in, out, 1.0F, matrix(dy.f, out, false),
                                  matrix(w.f, in, false), 0.0F, dx.f, in, &err),
                         CAIRN_OK);
        add_old(&dw, old.f);
        assert_int_equal(crn_gemm(out, in, rows, 1.0F, matrix(dy.f, out, true),
                                  matrix(x.f, in, false), 1.0F, dw.f, in, &err),
                         CAIRN_OK);
        add_old(&db, b.f);
        crn_sum_rows(rows, out, dy.f, scratch, db.f);
        num_assert_close(y, k_limit);
        num_assert_close(dx, k_limit);
        num_assert_close(dw, k_limit);
        num_assert_close(db, k_limit);
        num_free(&pool);
    }
}

static void gemm__says_device_error_for_a_stride_that_cannot_be(void **state)
{
    (void)state;
    cairn_error err = {0};
    const float a[4] = {0};
    float out[4] = {0};
    assert_int_equal(
        crn_gemm(2, 2, 2, 1.0F, matrix(a, 1, false), matrix(a, 2, false), 0.0F, out, 2, &err),
        CAIRN_EDEVICE);
    assert_int_equal(err.status, CAIRN_EDEVICE);
}

static void elementwise__adds_and_copies(void **state)
{
    (void)state;
    num_pool pool = {.seed = 2};
    const num_array a = num_random(&pool, 101, 1.0);
    const num_array b = num_random(&pool, 101, 1.0);
    num_array sum = num_zeros(&pool, 101);
    num_array copy = num_zeros(&pool, 101);
    for (int i = 0; i < 101; i++) {
        sum.d[i] = a.d[i] + b.d[i];
        copy.d[i] = a.d[i];
    }
    crn_add(101, a.f, b.f, sum.f);
    num_assert_close(sum, 1e-7);
    crn_copy(101, a.f, false, copy.f);
    num_assert_close(copy, 0.0);
    crn_copy(101, b.f, true, copy.f);
    assert_memory_equal(copy.f, sum.f, 101 * sizeof(float));
    num_free(&pool);
}

static void layernorm__agrees_with_the_reference(void **state)
{
    (void)state;
    for (int s = 0; s < SHAPES; s++) {
        num_pool pool = {.seed = 3};
        const int64_t rows = k_rows[s];
        const int64_t cols = k_cols[s];
        const num_array x = num_random(&pool, rows * cols, 3.0);
        const num_array gamma = num_random(&pool, cols, 1.0);
        const num_array beta = num_random(&pool, cols, 1.0);
        const num_array dy = num_random(&pool, rows * cols, 1.0);
        num_array y = num_zeros(&pool, rows * cols);
        num_array dx = num_zeros(&pool, rows * cols);
        num_array dgamma = num_zeros(&pool, cols);
        num_array dbeta = num_zeros(&pool, cols);
        float *const moments = num_alloc(&pool, 2 * rows, sizeof *moments);
        float *const scratch = num_alloc(&pool, crn_layernorm_scratch(rows, cols), sizeof *scratch);
        const double eps = 1e-2; /* A row of one element has variance 0. */
        crn_ref_layernorm(rows, cols, eps, x.d, gamma.d, beta.d, y.d);
        crn_ref_layernorm_backward(rows, cols, eps, x.d, gamma.d, dy.d, dx.d, dgamma.d, dbeta.d);
        crn_layernorm(rows, cols, (float)eps, x.f, gamma.f, beta.f, y.f, moments, moments + rows);
        num_assert_close(y, k_limit);
        add_old(&dgamma, gamma.f);
        add_old(&dbeta, beta.f);
        dx.f[0] = NAN; /* Must not be read. */
        crn_layernorm_backward(rows, cols, x.f, gamma.f, moments, moments + rows, dy.f, false, dx.f,
                               dgamma.f, dbeta.f, scratch);
        if (cols > 1) /* With one column dx is 0 but for rounding. */
            num_assert_close(dx, k_limit);
        num_assert_close(dgamma, k_limit);
        num_assert_close(dbeta, k_limit);
        add_old(&dx, dy.f);
        crn_layernorm_backward(rows, cols, x.f, gamma.f, moments, moments + rows, dy.f, true, dx.f,
                               dgamma.f, dbeta.f, scratch);
        num_assert_close(dx, k_limit);
        num_free(&pool);
    }
}

static void activations__agree_with_the_reference_from_tail_to_tail(void **state)
{
    (void)state;
    num_pool pool = {.seed = 4};
    enum { COUNT = 4001 };
    num_array x = num_random(&pool, COUNT, 12.0);
    const num_array dy = num_random(&pool, COUNT, 1.0);
    num_array y = num_zeros(&pool, COUNT);
    num_array dx = num_zeros(&pool, COUNT);
    x.d[0] = 0.0;
    x.f[0] = 0.0F;
    x.d[1] = -100.0;
    x.f[1] = -100.0F;
    crn_ref_gelu(COUNT, x.d, y.d);
    crn_ref_gelu_backward(COUNT, x.d, dy.d, dx.d);
    crn_gelu(COUNT, x.f, y.f);
    crn_gelu_backward(COUNT, x.f, dy.f, false, dx.f);
    for (int i = 0; i < COUNT; i++)
        assert_true(fabs((double)y.f[i] - y.d[i]) <= 2e-7 * (1.0 + fabs(x.d[i])));
    num_assert_close(dx, k_limit);
    add_old(&dx, dy.f);
    crn_gelu_backward(COUNT, x.f, dy.f, true, dx.f);
    num_assert_close(dx, k_limit);
    crn_ref_relu(COUNT, x.d, y.d);
    crn_ref_relu_backward(COUNT, x.d, dy.d, dx.d);
    crn_relu(COUNT, x.f, y.f);
    crn_relu_backward(COUNT, x.f, dy.f, false, dx.f);
    num_assert_close(y, 0.0);
    num_assert_close(dx, 0.0);
    x.f[0] = NAN;
    crn_gelu(COUNT, x.f, y.f);
    assert_true(isnan(y.f[0]));
    crn_relu(COUNT, x.f, y.f);
    assert_true(isnan(y.f[0]));
    num_free(&pool);
}

static void rmsnorm__agrees_with_the_reference(void **state)
{
    (void)state;
    for (int s = 0; s < SHAPES; s++) {
        num_pool pool = {.seed = 13};
        const int64_t rows = k_rows[s];
        const int64_t cols = k_cols[s];
        const double eps = 1e-2;
        const num_array x = num_random(&pool, rows * cols, 3.0);
        const num_array gamma = num_random(&pool, cols, 1.0);
        const num_array dy = num_random(&pool, rows * cols, 1.0);
        num_array y = num_zeros(&pool, rows * cols);
        num_array dx = num_zeros(&pool, rows * cols);
        num_array dgamma = num_zeros(&pool, cols);
        float *const rstd = num_alloc(&pool, rows, sizeof *rstd);
        float *const scratch = num_alloc(&pool, crn_rmsnorm_scratch(rows, cols), sizeof *scratch);
        crn_ref_rmsnorm(rows, cols, eps, x.d, gamma.d, y.d);
        crn_ref_rmsnorm_backward(rows, cols, eps, x.d, gamma.d, dy.d, dx.d, dgamma.d);
        crn_rmsnorm(rows, cols, (float)eps, x.f, gamma.f, y.f, rstd);
        num_assert_close(y, k_limit);
        add_old(&dgamma, gamma.f);
        dx.f[0] = NAN; /* Must not be read. */
        crn_rmsnorm_backward(rows, cols, x.f, gamma.f, rstd, dy.f, false, dx.f, dgamma.f, scratch);
        if (cols > 1) /* With one column dx is 0 but for rounding. */
            num_assert_close(dx, k_limit);
        num_assert_close(dgamma, k_limit);
        add_old(&dx, dy.f);
        crn_rmsnorm_backward(rows, cols, x.f, gamma.f, rstd, dy.f, true, dx.f, dgamma.f, scratch);
        num_assert_close(dx, k_limit);
        num_free(&pool);
    }
}

static void rotary__turns_there_and_back_as_the_reference(void **state)
{
    (void)state;
    enum { ROWS = 10, TIME = 5, HEADS = 3, SIZE = 6, COUNT = ROWS * HEADS * SIZE };
    for (int64_t turned = 2; turned <= SIZE; turned += 2) {
        num_pool pool = {.seed = 14};
        const crn_rotary_shape shape = {
            .rows = ROWS, .time = TIME, .heads = HEADS, .head_size = SIZE, .size = turned};
        const num_array x = num_random(&pool, COUNT, 1.0);
        const num_array angles = num_random(&pool, TIME * turned / 2, 3.0);
        float *const cosines = num_alloc(&pool, angles.count, sizeof *cosines);
        float *const sines = num_alloc(&pool, angles.count, sizeof *sines);
        num_array y = num_zeros(&pool, COUNT);
        num_array back = num_zeros(&pool, COUNT);
        for (int64_t i = 0; i < angles.count; i++) {
            cosines[i] = (float)cos(angles.d[i]);
            sines[i] = (float)sin(angles.d[i]);
        }
        crn_ref_rotary(ROWS, TIME, HEADS, SIZE, turned, angles.d, 1.0, x.d, y.d);
        crn_rotary(&shape, cosines, sines, false, x.f, false, y.f);
        num_assert_close(y, k_limit);
        memcpy(back.d, x.d, COUNT * sizeof *back.d);
        crn_rotary(&shape, cosines, sines, true, y.f, false, back.f);
        num_assert_close(back, k_limit);
        crn_ref_rotary(ROWS, TIME, HEADS, SIZE, turned, angles.d, -1.0, x.d, back.d);
        add_old(&back, x.f);
        crn_rotary(&shape, cosines, sines, true, x.f, true, back.f);
        num_assert_close(back, k_limit);
        num_free(&pool);
    }
}

/* y = f(x) and dx = dy f'(x), set and added. */
static void check_activation(double (*of)(double x), double (*slope)(double x),
                             void (*forward)(int64_t count, const float *x, float *y),
                             void (*backward)(int64_t count, const float *x, const float *dy,
                                              bool adds, float *dx))
{
    enum { COUNT = 4001 };
    num_pool pool = {.seed = 17};
    num_array x = num_random(&pool, COUNT, 12.0);
    const num_array dy = num_random(&pool, COUNT, 1.0);
    num_array y = num_zeros(&pool, COUNT);
    num_array dx = num_zeros(&pool, COUNT);
    x.d[0] = -100.0;
    x.f[0] = -100.0F;
    for (int i = 0; i < COUNT; i++) {
        y.d[i] = of(x.d[i]);
        dx.d[i] = dy.d[i] * slope(x.d[i]);
    }
    forward(COUNT, x.f, y.f);
    num_assert_close(y, k_limit);
    dx.f[1] = NAN;
    backward(COUNT, x.f, dy.f, false, dx.f);
    num_assert_close(dx, k_limit);
    add_old(&dx, dy.f);
    backward(COUNT, x.f, dy.f, true, dx.f);
    num_assert_close(dx, k_limit);
    x.f[0] = NAN;
    forward(COUNT, x.f, y.f);
    assert_true(isnan(y.f[0]));
    num_free(&pool);
}

static void more_activations__agree_with_the_reference(void **state)
{
    (void)state;
    check_activation(crn_ref_silu_of, crn_ref_silu_slope, crn_silu, crn_silu_backward);
    check_activation(crn_ref_gelu_tanh_of, crn_ref_gelu_tanh_slope, crn_gelu_tanh,
                     crn_gelu_tanh_backward);
    check_activation(crn_ref_squared_relu_of, crn_ref_squared_relu_slope, crn_squared_relu,
                     crn_squared_relu_backward);
}

static double linear_of(double x)
{
    return x;
}

static double linear_slope(double x)
{
    (void)x;
    return 1.0;
}

static double relu_of(double x)
{
    return x > 0.0 ? x : 0.0;
}

static double relu_slope(double x)
{
    return x > 0.0 ? 1.0 : 0.0;
}

static void gated_units__agree_with_the_reference(void **state)
{
    (void)state;
    enum { COUNT = 1003 };
    static const struct {
        crn_gate kind;
        double (*of)(double x);
        double (*slope)(double x);
    } gates[] = {{CRN_GATE_LINEAR, linear_of, linear_slope},
                 {CRN_GATE_GELU, crn_ref_gelu_of, crn_ref_gelu_slope},
                 {CRN_GATE_RELU, relu_of, relu_slope},
                 {CRN_GATE_SILU, crn_ref_silu_of, crn_ref_silu_slope}};
    for (size_t g = 0; g < sizeof gates / sizeof gates[0]; g++) {
        num_pool pool = {.seed = 18};
        const num_array x = num_random(&pool, COUNT, 2.0);
        const num_array gate = num_random(&pool, COUNT, 6.0);
        const num_array dy = num_random(&pool, COUNT, 1.0);
        num_array y = num_zeros(&pool, COUNT);
        num_array dx = num_zeros(&pool, COUNT);
        num_array dgate = num_zeros(&pool, COUNT);
        for (int i = 0; i < COUNT; i++) {
            y.d[i] = x.d[i] * gates[g].of(gate.d[i]);
            dx.d[i] = dy.d[i] * gates[g].of(gate.d[i]);
            dgate.d[i] = dy.d[i] * x.d[i] * gates[g].slope(gate.d[i]);
        }
        crn_glu(COUNT, gates[g].kind, x.f, gate.f, y.f);
        num_assert_close(y, k_limit);
        dx.f[0] = NAN;
        dgate.f[0] = NAN;
        crn_glu_backward(COUNT, gates[g].kind, x.f, gate.f, dy.f, false, dx.f, false, dgate.f);
        num_assert_close(dx, k_limit);
        num_assert_close(dgate, k_limit);
        add_old(&dgate, x.f);
        crn_glu_backward(COUNT, gates[g].kind, x.f, gate.f, dy.f, false, dx.f, true, dgate.f);
        num_assert_close(dx, k_limit);
        num_assert_close(dgate, k_limit);
        num_free(&pool);
    }
}

static void scale__sets_and_adds(void **state)
{
    (void)state;
    num_pool pool = {.seed = 19};
    const num_array x = num_random(&pool, 37, 1.0);
    num_array y = num_zeros(&pool, 37);
    for (int i = 0; i < 37; i++)
        y.d[i] = 2.5 * x.d[i];
    y.f[0] = NAN;
    crn_scale(37, 2.5F, x.f, false, y.f);
    num_assert_close(y, k_limit);
    add_old(&y, x.f);
    crn_scale(37, 2.5F, x.f, true, y.f);
    num_assert_close(y, k_limit);
    num_free(&pool);
}

static void embedding__without_positions_is_the_table(void **state)
{
    (void)state;
    num_pool pool = {.seed = 20};
    const int32_t ids[4] = {2, 0, 2, 1};
    const num_array words = num_random(&pool, 9, 1.0);
    num_array dwords = num_zeros(&pool, 9);
    float y[12];
    crn_embedding(2, 2, 3, ids, words.f, NULL, y);
    for (int r = 0; r < 4; r++)
        assert_memory_equal(y + 3 * r, words.f + 3 * ids[r], 3 * sizeof *y);
    crn_embedding_backward(2, 2, 3, ids, y, dwords.f, NULL);
    for (int c = 0; c < 3; c++) {
        assert_true(dwords.f[c] == words.f[c]);
        assert_true(dwords.f[6 + c] == 2.0F * words.f[6 + c]);
    }
    num_free(&pool);
}

static void embedding__agrees_with_the_reference_with_repeated_ids(void **state)
{
    (void)state;
    for (int s = 0; s < SHAPES; s++) {
        num_pool pool = {.seed = 5};
        const int64_t time = k_rows[s];
        const int64_t cols = k_cols[s];
        const int32_t vocab = 7;
        const int32_t *const ids = num_ids(&pool, 3 * time, vocab);
        const num_array words = num_random(&pool, vocab * cols, 1.0);
        const num_array positions = num_random(&pool, time * cols, 1.0);
        const num_array dy = num_random(&pool, 3 * time * cols, 1.0);
        num_array y = num_zeros(&pool, 3 * time * cols);
        num_array dwords = num_zeros(&pool, vocab * cols);
        num_array dpositions = num_zeros(&pool, time * cols);
        crn_ref_embedding(3, time, cols, ids, words.d, positions.d, y.d);
        crn_ref_embedding_backward(3, time, cols, vocab, ids, dy.d, dwords.d, dpositions.d);
        crn_embedding(3, time, cols, ids, words.f, positions.f, y.f);
        add_old(&dwords, words.f);
        add_old(&dpositions, positions.f);
        crn_embedding_backward(3, time, cols, ids, dy.f, dwords.f, dpositions.f);
        num_assert_close(y, k_limit);
        num_assert_close(dwords, k_limit);
        num_assert_close(dpositions, k_limit);
        num_free(&pool);
    }
}

/* The factors that the kernel draws for each row of probabilities. */
static void expected_factors(const crn_attention_shape *shape, const crn_dropout_place *dropout,
                             num_array *factors)
{
    for (int64_t row = 0; row < shape->batch * shape->heads * shape->time; row++)
        crn_dropout_factors(dropout, (uint64_t)(row * ((shape->time + 3) / 4)), shape->time,
                            factors->f + row * shape->time);
    for (int64_t i = 0; i < factors->count; i++)
        factors->d[i] = (double)factors->f[i];
}

/* A shape of attention; zeros are the plain form. */
typedef struct attention_case {
    int64_t time;
    int64_t heads;
    int64_t kv_heads;
    int64_t head_size;
    int64_t window;
    int64_t sinks;
    float rate;
    bool adds;
    int workers;
} attention_case;

/* The factors that the kernel draws, which number the columns of a block, at the keys. */
static void place_factors(const attention_case *c, num_array *factors)
{
    for (int64_t row = 0; c->window > 0 && row < factors->count / c->time; row++) {
        double *const d = factors->d + row * c->time;
        const int64_t first = row % c->time / 64 * 64;
        const int64_t begin = first - c->window + 1;
        if (begin <= c->sinks)
            continue;
        for (int64_t key = c->time - 1; key >= begin; key--)
            d[key] = d[key - begin + c->sinks];
    }
}

static void check_attention(const attention_case *c)
{
    num_pool pool = {.seed = 6};
    cairn_error err = {0};
    const crn_attention_shape shape = {.batch = 2,
                                       .time = c->time,
                                       .heads = c->heads,
                                       .kv_heads = c->kv_heads,
                                       .head_size = c->head_size,
                                       .window = c->window,
                                       .sinks = c->sinks,
                                       .scale = 0.7F};
    const crn_ref_attention_shape ref = {.batch = 2,
                                         .time = c->time,
                                         .heads = c->heads,
                                         .kv_heads = c->kv_heads,
                                         .head_size = c->head_size,
                                         .window = c->window,
                                         .sinks = c->sinks,
                                         .scale = (double)0.7F};
    const crn_dropout_place dropout = {.seed = 9, .step = 4, .number = 2, .rate = c->rate};
    const int64_t count = 2 * c->time * c->heads * c->head_size;
    const int64_t kv_count = 2 * c->time * c->kv_heads * c->head_size;
    const int64_t pairs = 2 * c->heads * c->time * c->time;
    const num_array q = num_random(&pool, count, 2.0);
    const num_array k = num_random(&pool, kv_count, 2.0);
    const num_array v = num_random(&pool, kv_count, 1.0);
    const num_array dy = num_random(&pool, count, 1.0);
    num_array factors = num_zeros(&pool, pairs);
    const num_array p = num_zeros(&pool, pairs);
    num_array y = num_zeros(&pool, count);
    num_array dq = num_zeros(&pool, count);
    num_array dk = num_zeros(&pool, kv_count);
    num_array dv = num_zeros(&pool, kv_count);
    float *const lse = num_alloc(&pool, 2 * c->heads * c->time, sizeof *lse);
    float *const scratch =
        num_alloc(&pool, crn_attention_scratch(&shape, c->workers), sizeof *scratch);
    expected_factors(&shape, &dropout, &factors);
    place_factors(c, &factors);
    crn_ref_attention(&ref, factors.d, q.d, k.d, v.d, p.d, y.d);
    crn_ref_attention_backward(&ref, factors.d, q.d, k.d, v.d, p.d, dy.d, dq.d, dk.d, dv.d);
    assert_int_equal(
        crn_attention(&shape, &dropout, q.f, k.f, v.f, y.f, lse, c->workers, scratch, &err),
        CAIRN_OK);
    num_assert_close(y, k_limit);
    const crn_attention_gradients out = {.dq = dq.f,
                                         .dk = dk.f,
                                         .dv = dv.f,
                                         .adds_dq = c->adds,
                                         .adds_dk = c->adds,
                                         .adds_dv = c->adds};
    if (c->adds) {
        add_old(&dq, q.f);
        add_old(&dk, k.f);
        add_old(&dv, v.f);
    } else {
        dq.f[0] = NAN;
        dk.f[0] = NAN;
        dv.f[0] = NAN;
    }
    assert_int_equal(crn_attention_backward(&shape, &dropout, q.f, k.f, v.f, y.f, lse, dy.f, &out,
                                            c->workers, scratch, &err),
                     CAIRN_OK);
    if (c->time > 1 || c->adds) { /* One token: the scores' gradients are 0 but for rounding. */
        num_assert_close(dq, k_limit);
        num_assert_close(dk, k_limit);
    }
    num_assert_close(dv, k_limit);
    num_free(&pool);
}

static void attention__agrees_with_the_reference(void **state)
{
    (void)state;
    static const int64_t times[] = {1, 3, 17, 64, 65, 130};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        const attention_case one = {
            .time = times[i], .heads = 1, .kv_heads = 1, .head_size = 3, .workers = 1};
        const attention_case three = {.time = times[i],
                                      .heads = 3,
                                      .kv_heads = 3,
                                      .head_size = 17,
                                      .adds = true,
                                      .workers = 2};
        check_attention(&one);
        check_attention(&three);
    }
}

static void attention__agrees_with_the_reference_with_dropout(void **state)
{
    (void)state;
    static const attention_case cases[] = {
        {3, 2, 2, 1, 0, 0, 0.5F, false, 2},
        {17, 3, 3, 5, 0, 0, 0.3F, true, 3},
        {130, 2, 2, 8, 0, 0, 0.1F, false, 2},
        {200, 4, 2, 3, 70, 2, 0.2F, false, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_attention(&cases[i]);
}

static void attention__agrees_with_the_reference_with_groups_windows_and_sinks(void **state)
{
    (void)state;
    static const int64_t times[] = {1, 5, 64, 65, 200};
    static const int64_t windows[] = {0, 1, 2, 63, 64, 65, 1000};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        for (size_t j = 0; j < sizeof windows / sizeof windows[0]; j++) {
            for (int64_t sinks = 0; sinks < 4; sinks += 3) {
                const attention_case grouped = {.time = times[i],
                                                .heads = 6,
                                                .kv_heads = 2,
                                                .head_size = 4,
                                                .window = windows[j],
                                                .sinks = sinks,
                                                .adds = j % 2 == 1,
                                                .workers = 2};
                check_attention(&grouped);
            }
        }
    }
}

static void cross_entropy__agrees_with_the_reference_with_mask_and_negative_labels(void **state)
{
    (void)state;
    for (int s = 0; s < SHAPES; s++) {
        num_pool pool = {.seed = 7};
        const int64_t rows = k_rows[s];
        const int64_t vocab = k_cols[s];
        num_array logits = num_random(&pool, rows * vocab, 30.0);
        num_array mask = num_random(&pool, rows, 1.0);
        const num_array weight = num_zeros(&pool, rows);
        int32_t *const labels = num_ids(&pool, rows, (int32_t)vocab);
        num_array gradient = num_zeros(&pool, rows * vocab);
        float *const lse = num_alloc(&pool, 2 * rows, sizeof *lse);
        for (int64_t r = 0; r < rows; r++) {
            mask.f[r] = r % 3 == 1 ? 0.0F : fabsf(mask.f[r]);
            labels[r] = r % 5 == 3 ? -100 : labels[r];
            weight.d[r] = labels[r] < 0 ? 0.0 : (double)mask.f[r];
        }
        const crn_token_labels tokens = {.labels = labels, .mask = mask.f};
        const double expected = crn_ref_cross_entropy(rows, vocab, logits.d, labels, weight.d);
        crn_ref_cross_entropy_backward(rows, vocab, logits.d, labels, weight.d, gradient.d);
        const double loss = crn_cross_entropy(rows, vocab, logits.f, &tokens, lse, lse + rows);
        assert_true(fabs(loss - expected) <= k_limit * (1e-6 + fabs(expected)));
        crn_cross_entropy_backward(rows, vocab, &tokens, lse, 0.5F, logits.f);
        for (int64_t i = 0; i < gradient.count; i++) {
            gradient.f[i] = logits.f[i];
            gradient.d[i] *= 0.5;
        }
        if (vocab > 1)
            num_assert_close(gradient, k_limit);
        num_free(&pool);
    }
}

static void cross_entropy__is_finite_for_huge_logits(void **state)
{
    (void)state;
    float logits[4] = {1e30F, -1e30F, 3e4F, 3e4F};
    const int32_t labels[2] = {0, 1};
    const crn_token_labels tokens = {.labels = labels};
    float scratch[4];
    const double loss = crn_cross_entropy(2, 2, logits, &tokens, scratch, scratch + 2);
    assert_true(fabs(loss - log(2.0)) < 0.01);
}

static void dropout__keeps_the_expected_share_and_the_mean(void **state)
{
    (void)state;
    num_pool pool = {.seed = 8};
    enum { COUNT = 100003 };
    const crn_dropout_place place = {.seed = 1, .step = 2, .number = 3, .rate = 0.1F};
    num_array x = num_zeros(&pool, COUNT);
    const num_array y = num_zeros(&pool, COUNT);
    int64_t dropped = 0;
    for (int i = 0; i < COUNT; i++)
        x.f[i] = 2.0F;
    crn_dropout(&place, COUNT, x.f, false, y.f);
    for (int i = 0; i < COUNT; i++) {
        dropped += y.f[i] == 0.0F;
        assert_true(y.f[i] == 0.0F || fabsf(y.f[i] - 2.0F / 0.9F) < 1e-6F);
    }
    /* Six standard deviations of a binomial distribution. */
    assert_true(fabs((double)dropped - 0.1 * COUNT) < 6.0 * sqrt(COUNT * 0.1 * 0.9));
    num_free(&pool);
}

static void dropout__is_the_same_in_the_backward_and_depends_on_seed_step_and_number(void **state)
{
    (void)state;
    num_pool pool = {.seed = 9};
    enum { COUNT = 9001 };
    const crn_dropout_place place = {.seed = 1, .step = 2, .number = 3, .rate = 0.5F};
    crn_dropout_place others[3] = {place, place, place};
    others[0].seed++;
    others[1].step++;
    others[2].number++;
    const num_array x = num_random(&pool, COUNT, 1.0);
    const num_array y = num_zeros(&pool, COUNT);
    num_array again = num_zeros(&pool, COUNT);
    crn_dropout(&place, COUNT, x.f, false, y.f);
    crn_dropout(&place, COUNT, x.f, false, again.f);
    assert_memory_equal(y.f, again.f, COUNT * sizeof(float));
    crn_dropout(&place, COUNT, x.f, true, again.f);
    for (int i = 0; i < COUNT; i++)
        assert_true(again.f[i] == 2.0F * y.f[i]);
    for (int o = 0; o < 3; o++) {
        int64_t same = 0;
        crn_dropout(&others[o], COUNT, x.f, false, again.f);
        for (int i = 0; i < COUNT; i++)
            same += (again.f[i] == 0.0F) == (y.f[i] == 0.0F);
        assert_true(fabs((double)same - 0.5 * COUNT) < 6.0 * sqrt(COUNT * 0.25));
    }
    num_free(&pool);
}

static void dropout__of_a_part_draws_what_the_whole_draws_there(void **state)
{
    (void)state;
    const crn_dropout_place place = {.seed = 5, .step = 1, .number = 0, .rate = 0.4F};
    float whole[103];
    float part[PARTS_OF_A_ROW];
    crn_dropout_factors(&place, 7, 103, whole);
    crn_dropout_factors(&place, 7 + 9, PARTS_OF_A_ROW, part);
    assert_memory_equal(part, whole + 36, sizeof part);
}

#ifdef _OPENMP
enum { MANY_ROWS = 203, MANY_COLS = 77, MANY = MANY_ROWS * MANY_COLS };

/* What sums over rows in parallel: column sums, norm, embedding, loss, attention. */
static void compute_with_threads(int threads, num_pool *pool, num_array *out)
{
    const int before = omp_get_max_threads();
    const crn_attention_shape shape = {
        .batch = 1, .time = MANY_ROWS, .heads = 7, .kv_heads = 7, .head_size = 11, .scale = 0.3F};
    const crn_dropout_place dropout = {.seed = 1, .rate = 0.1F};
    const num_array x = num_random(pool, MANY, 1.0);
    const num_array dy = num_random(pool, MANY, 1.0);
    num_array logits = num_random(pool, MANY, 1.0);
    const int32_t *const ids = num_ids(pool, MANY_ROWS, 5);
    const crn_token_labels labels = {.labels = ids};
    float *const scratch = num_alloc(pool, 8 * MANY, sizeof *scratch);
    float *const lse = num_alloc(pool, 8 * MANY_ROWS, sizeof *lse);
    float *const y = num_alloc(pool, MANY, sizeof *y);
    float *const to = out->f;
    const crn_attention_gradients gradients = {
        .dq = to + MANY, .dk = to + 2 * MANY, .dv = to + 3 * MANY};
    omp_set_num_threads(threads);
    crn_sum_rows(MANY_ROWS, MANY_COLS, x.f, scratch, to);
    crn_layernorm(MANY_ROWS, MANY_COLS, 1e-5F, x.f, dy.f, dy.f, y, lse, lse + MANY_ROWS);
    crn_layernorm_backward(MANY_ROWS, MANY_COLS, x.f, dy.f, lse, lse + MANY_ROWS, dy.f, false, y,
                           to + 100, to + 200, scratch);
    crn_embedding_backward(7, MANY_ROWS / 7, MANY_COLS, ids, dy.f, to + 300, to + 800);
    to[0] += (float)crn_cross_entropy(MANY_ROWS, MANY_COLS, logits.f, &labels, lse, scratch);
    assert_int_equal(
        crn_attention(&shape, &dropout, x.f, x.f, dy.f, y, lse, threads, scratch, NULL), CAIRN_OK);
    assert_int_equal(crn_attention_backward(&shape, &dropout, x.f, x.f, dy.f, y, lse, dy.f,
                                            &gradients, threads, scratch, NULL),
                     CAIRN_OK);
    omp_set_num_threads(before);
}

static void bits__do_not_depend_on_the_number_of_threads(void **state)
{
    (void)state;
    num_pool one = {.seed = 10};
    num_pool three = {.seed = 10};
    num_array first = num_zeros(&one, 4 * MANY);
    num_array second = num_zeros(&three, 4 * MANY);
    compute_with_threads(1, &one, &first);
    compute_with_threads(3, &three, &second);
    assert_memory_equal(first.f, second.f, 4 * MANY * sizeof(float));
    num_free(&one);
    num_free(&three);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gemm__computes_all_that_a_linear_layer_needs),
        cmocka_unit_test(gemm__says_device_error_for_a_stride_that_cannot_be),
        cmocka_unit_test(elementwise__adds_and_copies),
        cmocka_unit_test(layernorm__agrees_with_the_reference),
        cmocka_unit_test(activations__agree_with_the_reference_from_tail_to_tail),
        cmocka_unit_test(rmsnorm__agrees_with_the_reference),
        cmocka_unit_test(rotary__turns_there_and_back_as_the_reference),
        cmocka_unit_test(more_activations__agree_with_the_reference),
        cmocka_unit_test(gated_units__agree_with_the_reference),
        cmocka_unit_test(scale__sets_and_adds),
        cmocka_unit_test(embedding__without_positions_is_the_table),
        cmocka_unit_test(embedding__agrees_with_the_reference_with_repeated_ids),
        cmocka_unit_test(attention__agrees_with_the_reference),
        cmocka_unit_test(attention__agrees_with_the_reference_with_dropout),
        cmocka_unit_test(attention__agrees_with_the_reference_with_groups_windows_and_sinks),
        cmocka_unit_test(cross_entropy__agrees_with_the_reference_with_mask_and_negative_labels),
        cmocka_unit_test(cross_entropy__is_finite_for_huge_logits),
        cmocka_unit_test(dropout__keeps_the_expected_share_and_the_mean),
        cmocka_unit_test(dropout__is_the_same_in_the_backward_and_depends_on_seed_step_and_number),
#ifdef _OPENMP
        cmocka_unit_test(bits__do_not_depend_on_the_number_of_threads),
#endif
        cmocka_unit_test(dropout__of_a_part_draws_what_the_whole_draws_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
