/* The output layer and its loss in one, against the operations that it stands for. */
#include "nn/tape.h"

#include <string.h>

#include "nn/ops/ops.h"
#include "numeric/state.h"

enum { BATCH = 2, TIME = 6, ROWS = BATCH * TIME, COLS = 5, VOCAB = 7, TENSORS = 3 };

typedef struct room {
    num_pool pool;
    cairn_state_tree *tree;
    cairn_state *state;
    const cairn_tensor *tensors[TENSORS]; /* words, weight, bias */
    float grads[TENSORS][VOCAB * COLS];
    cairn_error err;
} room;

static const int32_t k_ids[ROWS] = {1, 3, 1, 0, 6, 2, 5, 5, 4, 3, 2, 1};
static const int32_t k_labels[ROWS] = {0, 2, 3, -1, 4, 4, 6, 1, 0, 5, 2, 2};
static const float k_mask[ROWS] = {1, 0.5F, 1, 1, 0, 2, 1, 1, 1, 0.25F, 1, 1};

static int set_up(void **state)
{
    static const char *const k_names[TENSORS] = {"words", "weight", "bias"};
    room *const r = calloc(1, sizeof *r);
    assert_non_null(r);
    r->pool.seed = 1;
    assert_int_equal(cairn_state_tree_new(&r->tree, &r->err), CAIRN_OK);
    assert_int_equal(cairn_state_tree_add(r->tree, "model", &r->state, &r->err), CAIRN_OK);
    for (int i = 0; i < TENSORS; i++) {
        const cairn_tensor_spec spec = {.name = k_names[i],
                                        .dtype = CAIRN_DTYPE_F32,
                                        .role = i < 2 ? CAIRN_ROLE_WEIGHT : CAIRN_ROLE_BIAS,
                                        .rank = i < 2 ? 2 : 1,
                                        .shape = {VOCAB, COLS}};
        assert_int_equal(cairn_state_add_tensor(r->state, &spec, &r->tensors[i], &r->err),
                         CAIRN_OK);
    }
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

typedef struct shape {
    bool is_training;
    bool is_tied;
    bool has_bias;
    bool has_mask;
    bool per_token;
    double logits_scale;
    int64_t chunk_rows; /* 0: the single operations */
    bool is_bf16;
} shape;

static void record(const room *r, crn_tape *tape, const shape *s)
{
    const crn_head_loss_spec spec = {
        .loss = {.per_token = s->per_token, .samples = BATCH, .factor = 0.75},
        .logits_scale = s->logits_scale,
        .chunk_rows = s->chunk_rows};
    const crn_value ids = crn_tape_input(tape);
    const crn_value labels = crn_tape_input(tape);
    const crn_value mask = crn_tape_input(tape);
    const crn_value words = crn_tape_parameter(tape, r->tensors[0]);
    const crn_value x = crn_op_embedding(tape, ids, words, CRN_VALUE_NONE, BATCH, TIME);
    const crn_value weight = s->is_tied ? words : crn_tape_parameter(tape, r->tensors[1]);
    const crn_value bias = crn_tape_parameter(tape, s->has_bias ? r->tensors[2] : NULL);
    crn_tape_set_input(tape, ids, k_ids);
    crn_tape_set_input(tape, labels, k_labels);
    crn_tape_set_input(tape, mask, s->has_mask ? k_mask : NULL);
    if (s->chunk_rows > 0)
        crn_op_head_loss(tape, x, weight, bias, labels, mask, &spec);
    else
        crn_op_cross_entropy(
            tape, crn_op_scale(tape, crn_op_linear(tape, x, weight, bias), s->logits_scale), labels,
            mask, &spec.loss);
}

/* The gradients are copied to r->grads. */
static crn_run run_of(room *r, const shape *s)
{
    crn_tape *tape = NULL;
    crn_mixed *mixed = NULL;
    crn_run run = {.loss_scale = 8.0F, .wants_metrics = true};
    assert_int_equal(crn_tape_new(s->is_training, &tape, &r->err), CAIRN_OK);
    if (s->is_bf16) {
        assert_int_equal(crn_mixed_new(&mixed, &r->err), CAIRN_OK);
        crn_tape_use_bf16(tape, mixed);
    }
    record(r, tape, s);
    assert_int_equal(crn_tape_plan(tape, &r->err), CAIRN_OK);
    for (int i = 0; i < TENSORS; i++)
        memset(r->tensors[i]->grad, 0, r->tensors[i]->bytes);
    assert_int_equal(crn_tape_run(tape, &run, &r->err), CAIRN_OK);
    for (int i = 0; i < TENSORS; i++)
        memcpy(r->grads[i], r->tensors[i]->grad, r->tensors[i]->bytes);
    crn_tape_destroy(tape);
    crn_mixed_destroy(mixed);
    return run;
}

static void assert_close(double a, double b, double limit)
{
    assert_true(fabs(a - b) <= limit * fmax(1.0, fabs(b)));
}

static void compare(room *r, const shape *given)
{
    /* A last bit of float32 may decide how a gradient of the logits is rounded. */
    const double limit = given->is_bf16 ? 1e-2 : 1e-6;
    shape single = *given;
    float expected[TENSORS][VOCAB * COLS];
    single.chunk_rows = 0;
    const crn_run whole = run_of(r, &single);
    memcpy(expected, r->grads, sizeof expected);
    const crn_run chunked = run_of(r, given);
    assert_close(chunked.loss, whole.loss, limit);
    assert_close(chunked.token_loss, whole.token_loss, limit);
    assert_close(chunked.weight, whole.weight, limit);
    assert_close(chunked.correct, whole.correct, limit);
    for (int i = 0; i < TENSORS; i++) {
        double largest = 0.0;
        for (int64_t j = 0; j < cairn_tensor_elements(r->tensors[i]); j++) {
            assert_close((double)r->grads[i][j], (double)expected[i][j], limit);
            largest = fmax(largest, fabs((double)expected[i][j]));
        }
        const bool is_used = i == 0 || (i == 1 && !given->is_tied) || (i == 2 && given->has_bias);
        assert_int_equal(largest > 0.0, given->is_training && is_used);
    }
}

static void any_number_of_rows_at_once__gives_the_same(void **state)
{
    for (int64_t chunk = 1; chunk <= ROWS; chunk++) {
        const shape s = {.is_training = true,
                         .has_bias = true,
                         .has_mask = true,
                         .per_token = true,
                         .logits_scale = 1.7,
                         .chunk_rows = chunk};
        compare(*state, &s);
    }
}

static void every_option__gives_the_same(void **state)
{
    for (unsigned bits = 0; bits < 64; bits++) {
        const shape s = {.is_training = (bits & 1) != 0,
                         .is_tied = (bits & 2) != 0,
                         .has_bias = (bits & 4) != 0,
                         .has_mask = (bits & 8) != 0,
                         .per_token = (bits & 16) != 0,
                         .logits_scale = 1.0,
                         .chunk_rows = 5,
                         .is_bf16 = (bits & 32) != 0};
        compare(*state, &s);
    }
}

static void shapes_that_do_not_fit__fail_when_the_tape_is_planned(void **state)
{
    room *const r = *state;
    crn_tape *tape = NULL;
    const crn_head_loss_spec spec = {.logits_scale = 1.0, .chunk_rows = 1};
    assert_int_equal(crn_tape_new(true, &tape, &r->err), CAIRN_OK);
    const crn_value ids = crn_tape_input(tape);
    const crn_value x = crn_op_embedding(tape, ids, crn_tape_parameter(tape, r->tensors[0]),
                                         CRN_VALUE_NONE, BATCH, TIME);
    crn_op_head_loss(tape, x, crn_tape_parameter(tape, r->tensors[2]), CRN_VALUE_NONE, ids,
                     CRN_VALUE_NONE, &spec);
    assert_int_equal(crn_tape_plan(tape, &r->err), CAIRN_EBUG);
    crn_tape_destroy(tape);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(any_number_of_rows_at_once__gives_the_same, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(every_option__gives_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(shapes_that_do_not_fit__fail_when_the_tape_is_planned,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
