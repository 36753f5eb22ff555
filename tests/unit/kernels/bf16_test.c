/* bfloat16: rounding, and products of numbers that have been rounded. */
#include "kernels/kernels.h"

#include <string.h>

#include "kernels/ref/ref.h"
#include "numeric/numeric.h"

static float from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static crn_bf16 rounded(uint32_t bits)
{
    const float x = from_bits(bits);
    crn_bf16 out = 0;
    crn_to_bf16(1, &x, &out);
    return out;
}

static void every_bfloat16__comes_back(void **state)
{
    (void)state;
    enum { ALL = 1 << 16 };
    static crn_bf16 in[ALL];
    static crn_bf16 out[ALL];
    static float wide[ALL];
    for (int i = 0; i < ALL; i++)
        in[i] = (crn_bf16)i;
    crn_from_bf16(ALL, in, wide);
    crn_to_bf16(ALL, wide, out);
    for (int i = 0; i < ALL; i++) {
        const bool is_nan = (i & 0x7F80) == 0x7F80 && (i & 0x7F) != 0;
        if (is_nan)
            assert_true(isnan(wide[i]) && (out[i] | 0x40) == (in[i] | 0x40));
        else
            assert_int_equal(out[i], in[i]);
    }
}

/* Both neighbours of each finite number: halfway between them is the even one, anything off it the
 * nearer one. Denormals and the step to infinity included. */
static void rounding__is_to_nearest_and_ties_are_to_even(void **state)
{
    (void)state;
    enum { FINITE = 0x7F80, BELOW = 2, PLACES = 5 };
    static const uint32_t k_behind[PLACES] = {1, 0x7FFF, 0x8001, 0xFFFF, 0x8000};
    static float x[FINITE * PLACES];
    static crn_bf16 out[FINITE * PLACES];
    for (uint32_t sign = 0; sign < 2; sign++) {
        for (uint32_t i = 0; i < FINITE * PLACES; i++)
            x[i] = from_bits((sign << 15 | i / PLACES) << 16 | k_behind[i % PLACES]);
        crn_to_bf16(FINITE * PLACES, x, out);
        for (uint32_t i = 0; i < FINITE * PLACES; i++) {
            const uint32_t near = sign << 15 | i / PLACES;
            const uint32_t far = near + 1; /* away from 0; 0x7F80 is infinity */
            const uint32_t even = (near & 1) == 0 ? near : far;
            const uint32_t place = i % PLACES;
            assert_int_equal(out[i], place < BELOW ? near : place < PLACES - 1 ? far : even);
        }
    }
}

static void infinities_and_nans__stay_what_they_are(void **state)
{
    (void)state;
    static const uint32_t nans[] = {0x7F800001, 0x7FFFFFFF, 0xFF800001, 0xFFFFFFFF, 0x7FC00000};
    assert_int_equal(rounded(0x7F800000), 0x7F80);
    assert_int_equal(rounded(0xFF800000), 0xFF80);
    for (size_t i = 0; i < sizeof nans / sizeof nans[0]; i++) {
        const crn_bf16 out = rounded(nans[i]);
        float wide = 0.0F;
        crn_from_bf16(1, &out, &wide);
        assert_true(isnan(wide));
        assert_int_equal(out >> 15, nans[i] >> 31);
    }
}

static void rounding_in_place__is_there_and_back(void **state)
{
    (void)state;
    enum { COUNT = 1001 };
    num_pool pool = {.seed = 1};
    const num_array x = num_random(&pool, COUNT, 3.0);
    crn_bf16 half[COUNT];
    float wide[COUNT];
    crn_to_bf16(COUNT, x.f, half);
    crn_from_bf16(COUNT, half, wide);
    crn_round_to_bf16(COUNT, x.f, x.f);
    assert_memory_equal(x.f, wide, sizeof wide);
    num_free(&pool);
}

/* Random numbers as the products see them: rounded, in both precisions. */
static num_array random_halves(num_pool *pool, int64_t count, crn_bf16 **out)
{
    num_array made = num_random(pool, count, 1.0);
    *out = num_alloc(pool, count, sizeof **out);
    crn_to_bf16(count, made.f, *out);
    crn_round_to_bf16(count, made.f, made.f);
    for (int64_t i = 0; i < count; i++)
        made.d[i] = (double)made.f[i];
    return made;
}

/* A linear layer, forward and backward, beside the float64 reference of the rounded factors. */
static void check_linear(crn_bf16_gemms *gemms, const crn_linear_shape *n, bool has_bias)
{
    num_pool pool = {.seed = 1};
    cairn_error err = {0};
    crn_bf16 *x_half = NULL;
    crn_bf16 *w_half = NULL;
    const num_array x = random_halves(&pool, n->rows * n->in, &x_half);
    const num_array w = random_halves(&pool, n->out * n->in, &w_half);
    const num_array b = num_random(&pool, n->out, 1.0);
    const num_array dy = num_random(&pool, n->rows * n->out, 1.0);
    const num_array old = num_random(&pool, n->out * n->in, 1.0);
    num_array y = num_zeros(&pool, n->rows * n->out);
    num_array dx = num_zeros(&pool, n->rows * n->in);
    num_array dw = num_zeros(&pool, n->out * n->in);
    num_array db = num_zeros(&pool, n->out);
    num_array unused = num_zeros(&pool, n->rows * n->in + n->out * n->in);
    float *const scratch = num_alloc(&pool, crn_linear_bf16_scratch(n, has_bias), sizeof *scratch);
    crn_ref_linear(n->rows, n->in, n->out, x.d, w.d, has_bias ? b.d : NULL, y.d);
    /* The bias takes the gradients as they are, the products rounded ones. */
    crn_ref_linear_backward(n->rows, n->in, n->out, x.d, w.d, dy.d, unused.d,
                            unused.d + n->rows * n->in, db.d);
    float *const dy_rounded = num_alloc(&pool, n->rows * n->out, sizeof *dy_rounded);
    double *const dy_d = num_alloc(&pool, n->rows * n->out, sizeof *dy_d);
    double *const db_unused = num_alloc(&pool, n->out, sizeof *db_unused);
    crn_round_to_bf16(n->rows * n->out, dy.f, dy_rounded);
    for (int64_t i = 0; i < n->rows * n->out; i++)
        dy_d[i] = (double)dy_rounded[i];
    crn_ref_linear_backward(n->rows, n->in, n->out, x.d, w.d, dy_d, dx.d, dw.d, db_unused);
    y.f[0] = NAN; /* Must not be read; nor must dx. */
    dx.f[0] = NAN;
    for (int64_t i = 0; i < dw.count; i++) {
        dw.f[i] = old.f[i];
        dw.d[i] += old.d[i];
    }
    assert_int_equal(crn_linear_bf16(gemms, n, x_half, w_half, has_bias ? b.f : NULL, y.f, &err),
                     CAIRN_OK);
    assert_int_equal(crn_linear_bf16_backward(gemms, n, x_half, w_half, dy.f, false, dx.f, dw.f,
                                              has_bias ? db.f : NULL, scratch, &err),
                     CAIRN_OK);
    num_assert_close(y, 1e-5);
    num_assert_close(dx, 1e-5);
    num_assert_close(dw, 1e-5);
    if (has_bias)
        num_assert_close(db, 1e-5);
    num_free(&pool);
}

static void a_linear_layer__multiplies_rounded_factors_and_adds_up_in_float32(void **state)
{
    (void)state;
    /* The last ones need several blocks of each side where products are emulated. */
    static const crn_linear_shape shapes[] = {{1, 1, 1},   {3, 17, 5},    {17, 3, 70},
                                              {70, 33, 1}, {130, 64, 48}, {1030, 7, 520},
                                              {9, 1100, 6}};
    crn_bf16_gemms *gemms = NULL;
    cairn_error err = {0};
    assert_int_equal(crn_bf16_gemms_new(&gemms, &err), CAIRN_OK);
    assert_int_not_equal(crn_bf16_gemms_unit(gemms), CRN_BF16_DISTRUSTED);
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        check_linear(gemms, &shapes[i], i % 2 == 0);
    crn_bf16_gemms_destroy(gemms);
}

/*
 * Queries of zeros see all keys alike: probabilities 1, 1/2 and 1/3, and 171/512 is the bfloat16
 * nearest to 1/3. With ones as values the third query sums three of them up, and the first value's
 * gradient sums one of each; scores' gradients are seen through a key that is alone not 0.
 */
static void attention__multiplies_rounded_probabilities_and_gradients(void **state)
{
    (void)state;
    enum { TIME = 3, SCRATCH = 4096 };
    const crn_attention_shape shape = {.batch = 1,
                                       .time = TIME,
                                       .heads = 1,
                                       .kv_heads = 1,
                                       .head_size = 1,
                                       .scale = 1.0F,
                                       .is_bf16 = true};
    const crn_dropout_place none = {0};
    const float zeros[TIME] = {0.0F, 0.0F, 0.0F};
    const float ones[TIME] = {1.0F, 1.0F, 1.0F};
    const float one_key[TIME] = {0.0F, 1.0F, 0.0F};
    const float values[TIME] = {0.0F, 1.0F, 5.0F};
    float y[TIME];
    float lse[TIME];
    float dq[TIME];
    float dk[TIME];
    float dv[TIME];
    float rounded_dq[TIME];
    float scratch[SCRATCH];
    cairn_error err = {0};
    const crn_attention_gradients out = {.dq = dq, .dk = dk, .dv = dv};
    assert_true(crn_attention_scratch(&shape, 1) <= SCRATCH);
    assert_int_equal(crn_attention(&shape, &none, zeros, zeros, ones, y, lse, 1, scratch, &err),
                     CAIRN_OK);
    assert_true(y[0] == 1.0F && y[1] == 1.0F && y[2] == 513.0F / 512.0F);
    assert_int_equal(crn_attention_backward(&shape, &none, zeros, zeros, ones, y, lse, ones, &out,
                                            1, scratch, &err),
                     CAIRN_OK);
    assert_true(dv[0] == 1.5F + 171.0F / 512.0F);
    assert_int_equal(crn_attention(&shape, &none, zeros, one_key, values, y, lse, 1, scratch, &err),
                     CAIRN_OK);
    assert_int_equal(crn_attention_backward(&shape, &none, zeros, one_key, values, y, lse, ones,
                                            &out, 1, scratch, &err),
                     CAIRN_OK);
    crn_round_to_bf16(TIME, dq, rounded_dq);
    assert_true(dq[2] != 0.0F);
    assert_memory_equal(dq, rounded_dq, sizeof dq);
}

/* Shapes beyond what is kept: those of before are made again. */
static void many_shapes__are_computed_too(void **state)
{
    (void)state;
    enum { SHAPES = 300 };
    crn_bf16_gemms *gemms = NULL;
    cairn_error err = {0};
    crn_bf16 ones[SHAPES];
    for (int i = 0; i < SHAPES; i++)
        ones[i] = 0x3F80;
    crn_thread_set(1); /* So small products are faster so. */
    assert_int_equal(crn_bf16_gemms_new(&gemms, &err), CAIRN_OK);
    for (int round = 0; round < 2; round++) {
        for (int k = 1; k <= SHAPES; k++) {
            const crn_bf16_matrix row = {.data = ones, .stride = SHAPES};
            const crn_bf16_matrix column = {.data = ones, .stride = 1};
            float out = 0.0F;
            assert_int_equal(crn_bf16_gemm(gemms, 1, 1, k, row, column, false, &out, 1, &err),
                             CAIRN_OK);
            assert_true(out == (float)k);
        }
    }
    crn_bf16_gemms_destroy(gemms);
    crn_thread_set(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_bfloat16__comes_back),
        cmocka_unit_test(rounding__is_to_nearest_and_ties_are_to_even),
        cmocka_unit_test(infinities_and_nans__stay_what_they_are),
        cmocka_unit_test(rounding_in_place__is_there_and_back),
        cmocka_unit_test(a_linear_layer__multiplies_rounded_factors_and_adds_up_in_float32),
        cmocka_unit_test(attention__multiplies_rounded_probabilities_and_gradients),
        cmocka_unit_test(many_shapes__are_computed_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
