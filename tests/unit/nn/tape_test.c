/* The tape: values read several times, memory that is shared, what it refuses. */
#include "nn/tape_impl.h"

#include <string.h>

#include "kernels/ref/ref.h"
#include "nn/ops/ops.h"
#include "numeric/state.h"

enum { ROWS = 3, COLS = 4, VOCAB = 4 };

typedef struct room {
    num_pool pool;
    cairn_state_tree *tree;
    cairn_state *state;
    const cairn_tensor *words;
    const cairn_tensor *positions;
    const cairn_tensor *square;
    const cairn_tensor *wide;
    const cairn_tensor *scale;
    cairn_error err;
} room;

static const int32_t k_ids[ROWS] = {1, 3, 1};
static const int32_t k_labels[ROWS] = {0, 2, 3};

static void add(room *r, const char *name, int64_t rows, int64_t cols, const cairn_tensor **out)
{
    const cairn_tensor_spec spec = {.name = name,
                                    .dtype = CAIRN_DTYPE_F32,
                                    .role = CAIRN_ROLE_WEIGHT,
                                    .rank = 2,
                                    .shape = {rows, cols}};
    assert_int_equal(cairn_state_add_tensor(r->state, &spec, out, &r->err), CAIRN_OK);
}

static int set_up(void **state)
{
    room *const r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->pool.seed = 1;
    assert_int_equal(cairn_state_tree_new(&r->tree, &r->err), CAIRN_OK);
    assert_int_equal(cairn_state_tree_add(r->tree, "model", &r->state, &r->err), CAIRN_OK);
    add(r, "words", VOCAB, COLS, &r->words);
    add(r, "positions", ROWS, COLS, &r->positions);
    add(r, "square", COLS, COLS, &r->square);
    add(r, "wide", COLS, COLS + 1, &r->wide);
    add(r, "scale", 1, COLS, &r->scale);
    assert_int_equal(cairn_state_tree_allocate(r->tree, &r->err), CAIRN_OK);
    assert_int_equal(cairn_state_allocate_gradients(r->state, &r->err), CAIRN_OK);
    num_randomize(&r->pool, r->tree, r->state);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    room *const r = *state;
    cairn_state_tree_destroy(r->tree);
    num_free(&r->pool);
    free(r);
    return 0;
}

static crn_value record_embedding(room *r, crn_tape *tape)
{
    const crn_value ids = crn_tape_input(tape);
    crn_tape_set_input(tape, ids, k_ids);
    return crn_op_embedding(tape, ids, crn_tape_parameter(tape, r->words),
                            crn_tape_parameter(tape, r->positions), 1, ROWS);
}

static void record_loss(crn_tape *tape, crn_value x)
{
    const crn_loss_spec spec = {.per_token = true, .samples = 1, .factor = 1.0};
    const crn_value labels = crn_tape_input(tape);
    const crn_value mask = crn_tape_input(tape);
    crn_tape_set_input(tape, labels, k_labels);
    crn_op_cross_entropy(tape, x, labels, mask, &spec);
}

/* Loss of ((e + e) W + e) W with e the embeddings, in float64. */
static double ref_loss(void *context)
{
    const double *const *const w = context; /* words, positions, square */
    static const double ones[ROWS] = {1.0, 1.0, 1.0};
    double e[ROWS * COLS];
    double x[ROWS * COLS];
    double y[ROWS * COLS];
    crn_ref_embedding(1, ROWS, COLS, k_ids, w[0], w[1], e);
    for (int i = 0; i < ROWS * COLS; i++)
        x[i] = 2.0 * e[i];
    crn_ref_linear(ROWS, COLS, COLS, x, w[2], NULL, y);
    for (int i = 0; i < ROWS * COLS; i++)
        y[i] += e[i];
    crn_ref_linear(ROWS, COLS, COLS, y, w[2], NULL, x);
    return crn_ref_cross_entropy(ROWS, COLS, x, k_labels, ones) / ROWS;
}

static num_array doubles_of(room *r, const cairn_tensor *tensor)
{
    const num_array made = num_zeros(&r->pool, cairn_tensor_elements(tensor));
    const float *const from = tensor->data;
    for (int64_t i = 0; i < made.count; i++)
        made.d[i] = (double)from[i];
    return made;
}

static void values_read_several_times__collect_all_parts_of_their_gradient(void **state)
{
    room *const r = *state;
    crn_tape *tape = NULL;
    crn_run run = {.loss_scale = 1.0F};
    assert_int_equal(crn_tape_new(true, &tape, &r->err), CAIRN_OK);
    const crn_value e = record_embedding(r, tape);
    const crn_value w = crn_tape_parameter(tape, r->square);
    const crn_value doubled = crn_op_add(tape, e, e);
    const crn_value y = crn_op_add(tape, crn_op_linear(tape, doubled, w, CRN_VALUE_NONE), e);
    record_loss(tape, crn_op_linear(tape, y, w, CRN_VALUE_NONE));
    assert_int_equal(crn_tape_plan(tape, &r->err), CAIRN_OK);
    assert_int_equal(crn_tape_run(tape, &run, &r->err), CAIRN_OK);
    const cairn_tensor *const tensors[3] = {r->words, r->positions, r->square};
    const num_array weights[3] = {doubles_of(r, r->words), doubles_of(r, r->positions),
                                  doubles_of(r, r->square)};
    const double *context[3] = {weights[0].d, weights[1].d, weights[2].d};
    assert_true(fabs(run.loss - ref_loss(context)) < 1e-6);
    for (int n = 0; n < 3; n++) {
        const num_array gradient = num_zeros(&r->pool, weights[n].count);
        for (int64_t i = 0; i < gradient.count; i++)
            gradient.d[i] = (double)tensors[n]->grad[i];
        num_assert_gradient(ref_loss, context, weights[n], gradient, 1e-5);
    }
    crn_tape_destroy(tape);
}

static uint64_t bytes_of_chain(room *r, bool is_training, int length)
{
    crn_tape *tape = NULL;
    crn_run run = {.loss_scale = 1.0F};
    assert_int_equal(crn_tape_new(is_training, &tape, &r->err), CAIRN_OK);
    crn_value x = record_embedding(r, tape);
    for (int i = 0; i < length; i++)
        x = crn_op_activation(tape, x, CRN_ACTIVATION_GELU);
    record_loss(tape, x);
    assert_int_equal(crn_tape_plan(tape, &r->err), CAIRN_OK);
    assert_int_equal(crn_tape_run(tape, &run, &r->err), CAIRN_OK);
    const uint64_t bytes = tape->memory_bytes;
    crn_tape_destroy(tape);
    return bytes;
}

static void memory__is_shared_by_values_that_do_not_live_together(void **state)
{
    room *const r = *state;
    enum { VALUE = 192 }; /* 3 * 4 floats, to a multiple of 64. */
    /* Without training a long chain needs two values at a time. */
    assert_int_equal(bytes_of_chain(r, false, 40), bytes_of_chain(r, false, 2));
    /* In training a gelu keeps its input, but gradients need no more than two places. */
    const uint64_t more = bytes_of_chain(r, true, 40) - bytes_of_chain(r, true, 20);
    assert_true(more <= 20 * VALUE);
}

static void dropout__is_recorded_in_training_only_and_numbered(void **state)
{
    room *const r = *state;
    crn_tape *tape = NULL;
    assert_int_equal(crn_tape_new(false, &tape, &r->err), CAIRN_OK);
    crn_value x = record_embedding(r, tape);
    assert_int_equal(crn_op_dropout(tape, x, 0.5), x);
    crn_tape_destroy(tape);
    assert_int_equal(crn_tape_new(true, &tape, &r->err), CAIRN_OK);
    x = record_embedding(r, tape);
    assert_int_equal(crn_op_dropout(tape, x, 0.0), x);
    assert_int_not_equal(crn_op_dropout(tape, x, 0.5), x);
    crn_tape_destroy(tape);
}

/* Twice the same dropout of the same value would give the same zeros. */
static void two_dropouts__of_one_step_draw_different_numbers(void **state)
{
    room *const r = *state;
    crn_tape *tape = NULL;
    enum { MANY = 512 };
    crn_run run = {.seed = 1, .loss_scale = 1.0F};
    static int32_t ids[MANY];
    const cairn_tensor *positions = NULL;
    cairn_state_tree *tree = NULL;
    cairn_state *model = NULL;
    const cairn_tensor_spec spec = {.name = "p",
                                    .dtype = CAIRN_DTYPE_F32,
                                    .role = CAIRN_ROLE_WEIGHT,
                                    .rank = 2,
                                    .shape = {MANY, COLS}};
    assert_int_equal(cairn_state_tree_new(&tree, &r->err), CAIRN_OK);
    assert_int_equal(cairn_state_tree_add(tree, "model", &model, &r->err), CAIRN_OK);
    assert_int_equal(cairn_state_add_tensor(model, &spec, &positions, &r->err), CAIRN_OK);
    assert_int_equal(cairn_state_tree_allocate(tree, &r->err), CAIRN_OK);
    assert_int_equal(cairn_state_allocate_gradients(model, &r->err), CAIRN_OK);
    assert_int_equal(crn_tape_new(true, &tape, &r->err), CAIRN_OK);
    const crn_value input = crn_tape_input(tape);
    crn_tape_set_input(tape, input, ids);
    const crn_value x = crn_op_embedding(tape, input, crn_tape_parameter(tape, r->words),
                                         crn_tape_parameter(tape, positions), 1, MANY);
    const crn_value sum =
        crn_op_add(tape, crn_op_dropout(tape, x, 0.5), crn_op_dropout(tape, x, 0.5));
    crn_op_cross_entropy(tape, sum, input, CRN_VALUE_NONE,
                         &(crn_loss_spec){.per_token = true, .factor = 1.0});
    assert_int_equal(crn_tape_plan(tape, &r->err), CAIRN_OK);
    assert_int_equal(crn_tape_run(tape, &run, &r->err), CAIRN_OK);
    /* dx = dsum (f1 + f2), f = 0 or 2: the gradient of the positions is 0 with a probability of
     * 1/4, of 1/2 if both drew alike. */
    int64_t zeros = 0;
    for (int64_t i = 0; i < MANY * COLS; i++)
        zeros += positions->grad[i] == 0.0F;
    assert_true(fabs((double)zeros - 0.25 * MANY * COLS) < 6.0 * sqrt(MANY * COLS * 0.25 * 0.75));
    crn_tape_destroy(tape);
    cairn_state_tree_destroy(tree);
}

static void shapes_that_do_not_fit__fail_when_the_tape_is_planned(void **state)
{
    room *const r = *state;
    crn_tape *tape = NULL;
    assert_int_equal(crn_tape_new(true, &tape, &r->err), CAIRN_OK);
    const crn_value x = record_embedding(r, tape);
    const crn_value y = crn_op_linear(tape, x, crn_tape_parameter(tape, r->wide), CRN_VALUE_NONE);
    assert_int_equal(y, CRN_VALUE_NONE);
    assert_int_equal(crn_op_activation(tape, y, CRN_ACTIVATION_GELU), CRN_VALUE_NONE);
    assert_int_equal(crn_tape_plan(tape, &r->err), CAIRN_EBUG);
    crn_tape_destroy(tape);
}

/* Two segments, of which the first gives two values to others, one of them by an operation that
 * saves something, and the second reads both. */
static crn_value record_segments(room *r, crn_tape *tape, bool has_segments)
{
    const crn_value w = crn_tape_parameter(tape, r->square);
    const crn_value e = record_embedding(r, tape);
    if (has_segments)
        crn_tape_begin_segment(tape);
    const crn_value a = crn_op_activation(tape, e, CRN_ACTIVATION_GELU);
    const crn_value b =
        crn_op_rmsnorm(tape, crn_op_linear(tape, crn_op_scale(tape, a, 2.0), w, CRN_VALUE_NONE),
                       crn_tape_parameter(tape, r->scale), 1e-5);
    crn_tape_end_segment(tape);
    if (has_segments)
        crn_tape_begin_segment(tape);
    const crn_value c = crn_op_activation(tape, crn_op_add(tape, b, a), CRN_ACTIVATION_GELU);
    const crn_value d = crn_op_dropout(tape, crn_op_linear(tape, c, w, CRN_VALUE_NONE), 0.3);
    const crn_value f = crn_op_add(tape, crn_op_activation(tape, d, CRN_ACTIVATION_GELU), a);
    crn_tape_end_segment(tape);
    return crn_op_linear(tape, f, w, CRN_VALUE_NONE);
}

static void segments__give_the_bits_of_a_tape_without_them(void **state)
{
    room *const r = *state;
    double losses[2];
    size_t count = 0;
    float *const gradients = cairn_state_gradients(r->state, &count);
    float *const first = calloc(count, sizeof *first);
    assert_non_null(first);
    for (int i = 0; i < 2; i++) {
        crn_tape *tape = NULL;
        crn_run run = {.seed = 3, .loss_scale = 1.0F};
        memset(gradients, 0, count * sizeof *gradients);
        assert_int_equal(crn_tape_new(true, &tape, &r->err), CAIRN_OK);
        record_loss(tape, record_segments(r, tape, i == 1));
        assert_int_equal(crn_tape_plan(tape, &r->err), CAIRN_OK);
        for (int n = 0; n < 2; n++) /* What the first run left must not matter. */
            assert_int_equal(crn_tape_run(tape, &run, &r->err), CAIRN_OK);
        losses[i] = run.loss;
        if (i == 0)
            memcpy(first, gradients, count * sizeof *first);
        crn_tape_destroy(tape);
    }
    assert_memory_equal(&losses[0], &losses[1], sizeof losses[0]);
    assert_memory_equal(first, gradients, count * sizeof *first);
    free(first);
}

/* A loss would be added twice, and where the logits were stands their gradient by then. */
static void a_loss_and_its_logits__cannot_be_in_a_segment(void **state)
{
    room *const r = *state;
    for (int are_logits_only = 0; are_logits_only < 2; are_logits_only++) {
        crn_tape *tape = NULL;
        assert_int_equal(crn_tape_new(true, &tape, &r->err), CAIRN_OK);
        const crn_value e = record_embedding(r, tape);
        if (are_logits_only)
            crn_tape_begin_segment(tape);
        const crn_value x = crn_op_activation(tape, e, CRN_ACTIVATION_GELU);
        crn_tape_end_segment(tape);
        if (!are_logits_only)
            crn_tape_begin_segment(tape);
        record_loss(tape, x);
        assert_int_equal(crn_tape_plan(tape, &r->err), CAIRN_EBUG);
        crn_tape_destroy(tape);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            values_read_several_times__collect_all_parts_of_their_gradient, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory__is_shared_by_values_that_do_not_live_together,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(dropout__is_recorded_in_training_only_and_numbered, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(two_dropouts__of_one_step_draw_different_numbers, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(segments__give_the_bits_of_a_tape_without_them, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_loss_and_its_logits__cannot_be_in_a_segment, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(shapes_that_do_not_fit__fail_when_the_tape_is_planned,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
