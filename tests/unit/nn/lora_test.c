/* Adapters: which layers get them, what they change at first, merging, what stays frozen. */
#include "numeric/tiny_gpt2.h"

#include "nn/ops/ops.h"
#include "nn/tape_impl.h"
#include "numeric/state.h"

enum { B = 2, T = 5, TOKENS = B * T, VOCAB = 11 };

static const int32_t k_ids[TOKENS] = {1, 7, 3, 3, 10, 0, 2, 7, 9, 1};
static const int32_t k_labels[TOKENS] = {7, 3, 3, 10, 4, 2, 5, 9, 1, 5};

/* A model with adapters in the state "lora". */
typedef struct adapted {
    tiny t;
    cairn_state *lora;
} adapted;

static cairn_lora_params_options group_of(int64_t r, const char *const *targets, size_t count)
{
    return (cairn_lora_params_options){
        .r = r, .alpha = 2.0, .target_modules = {.items = targets, .count = count}};
}

static cairn_status declare(adapted *m, const cairn_gpt2_options *options,
                            const cairn_lora_params_options *items, size_t count)
{
    const cairn_lora_params_list groups = {.items = items, .count = count};
    tiny_declare(&m->t, options);
    tiny_ok(&m->t, cairn_state_tree_add(m->t.tree, "lora", &m->lora, &m->t.err));
    return cairn_model_adapters(&m->t.model)->add(m->t.model.self, &groups, m->lora, &m->t.err);
}

/* With random weights, adapters at their initial values, which alone have gradients. */
static void make(adapted *m, const cairn_gpt2_options *options,
                 const cairn_lora_params_options *group)
{
    tiny *const t = &m->t;
    tiny_ok(t, declare(m, options, group, 1));
    cairn_state_freeze(t->state);
    tiny_ok(t, cairn_state_tree_allocate(t->tree, &t->err));
    tiny_ok(t, cairn_state_allocate_gradients(m->lora, &t->err));
    tiny_randomize(t, 3);
    tiny_ok(t, cairn_model_adapters(&t->model)->initialize(t->model.self, t->tree, 5, &t->err));
}

static void randomize_adapters(adapted *m, uint64_t seed)
{
    num_pool pool = {.seed = seed};
    num_randomize(&pool, m->t.tree, m->lora);
    num_free(&pool);
}

static double loss_of(adapted *m, bool is_training)
{
    const cairn_batch batch = tiny_batch(B, T, k_ids, k_labels, NULL);
    const cairn_pass pass = tiny_pass(is_training, 0);
    return tiny_compute(&m->t, &batch, &pass).loss;
}

static void logits_of(adapted *m, float out[VOCAB])
{
    if (m->t.model.ops->parameters_changed != NULL)
        m->t.model.ops->parameters_changed(m->t.model.self);
    tiny_ok(&m->t, m->t.model.ops->next_logits(m->t.model.self, k_ids, T, out, &m->t.err));
}

/* ---- Which layers ---- */

typedef struct choice {
    const char *targets[3];
    size_t count;
    size_t adapters; /* of two layers; 0: refused */
} choice;

static void targets__are_classes_that_a_layer_lies_in_or_patterns_for_its_name(void **state)
{
    (void)state;
    static const choice k_choices[] = {
        {{NULL}, 0, 2 * 6 + 3},
        {{"Linear"}, 1, 2 * 6 + 1},
        {{"Embedding"}, 1, 2},
        {{"TransformerDecoderLayer", "Linear"}, 2, 2 * 6},
        {{"TransformerDecoderLayer", "Embedding"}, 2, 0},
        {{"MultiheadAttention"}, 1, 2 * 4},
        {{"MultiQueryAttention"}, 1, 0},
        {{"FeedForwardNetwork", "Linear"}, 2, 2 * 2},
        {{"Gpt2Model", "TransformerDecoder", "MultiheadAttention"}, 3, 2 * 4},
        {{"proj_[qv]_dense_layer"}, 1, 2 * 2},
        {{"proj_q_dense_layer", "proj_v_dense_layer"}, 2, 0},
        {{"transformer_decoder.layers.1.*"}, 1, 6},
        {{"lm_head"}, 1, 1},
        {{"lm"}, 1, 0},
    };
    for (size_t i = 0; i < sizeof k_choices / sizeof k_choices[0]; i++) {
        adapted m;
        const choice *const c = &k_choices[i];
        const cairn_gpt2_options options = tiny_options();
        const cairn_lora_params_options group = group_of(2, c->targets, c->count);
        const cairn_status status = declare(&m, &options, &group, 1);
        assert_int_equal(status, c->adapters > 0 ? CAIRN_OK : CAIRN_ECONFIG);
        if (status == CAIRN_OK)
            assert_int_equal(cairn_state_tensor_count(m.lora), 2 * c->adapters);
        tiny_destroy(&m.t);
    }
}

static void of_several_groups__the_first_that_means_a_layer_counts(void **state)
{
    (void)state;
    adapted m;
    static const char *const k_head[] = {"lm_head"};
    static const char *const k_attention[] = {"MultiheadAttention"};
    static const char *const k_linear[] = {"Linear"};
    const cairn_gpt2_options options = tiny_options();
    const cairn_lora_params_options groups[] = {group_of(0, k_head, 1), group_of(3, k_attention, 1),
                                                group_of(1, k_linear, 1)};
    assert_int_equal(declare(&m, &options, groups, 3), CAIRN_OK);
    assert_null(cairn_state_tensor_find(m.lora, "lm_head.lora_A"));
    const cairn_tensor *const a = cairn_state_tensor_find(
        m.lora, "transformer_decoder.layers.0.self_attn.proj_k_dense_layer.lora_A");
    const cairn_tensor *const b = cairn_state_tensor_find(
        m.lora, "transformer_decoder.layers.0.ffn.ffn.0.linear_layer.lora_B");
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal(a->shape[0], 3);
    assert_int_equal(a->shape[1], 8);
    assert_int_equal(b->shape[0], 12);
    assert_int_equal(b->shape[1], 1);
    tiny_destroy(&m.t);
}

static void groups_that_give_no_layer_an_adapter__are_refused(void **state)
{
    (void)state;
    static const char *const k_linear[] = {"Linear"};
    static const char *const k_attention[] = {"MultiheadAttention"};
    const cairn_gpt2_options options = tiny_options();
    const cairn_lora_params_options none = group_of(0, k_linear, 1);
    const cairn_lora_params_options hidden[] = {group_of(2, k_linear, 1),
                                                group_of(4, k_attention, 1)};
    adapted m;
    assert_int_equal(declare(&m, &options, &none, 1), CAIRN_ECONFIG);
    assert_non_null(strstr(m.t.err.frame[0].text, "r is 0"));
    tiny_destroy(&m.t);
    assert_int_equal(declare(&m, &options, hidden, 2), CAIRN_ECONFIG);
    assert_non_null(strstr(m.t.err.frame[0].text, "lora_params 2 means no layer"));
    tiny_destroy(&m.t);
}

/* ---- What they change ---- */

static void new_adapters__change_nothing_and_begin_within_their_bound(void **state)
{
    (void)state;
    adapted m;
    tiny plain;
    const cairn_gpt2_options options = tiny_options();
    const cairn_lora_params_options group = group_of(2, NULL, 0);
    const cairn_batch batch = tiny_batch(B, T, k_ids, k_labels, NULL);
    const cairn_pass pass = tiny_pass(false, 0);
    tiny_new(&plain, &options);
    tiny_randomize(&plain, 3);
    make(&m, &options, &group);
    assert_true(loss_of(&m, false) == tiny_compute(&plain, &batch, &pass).loss);
    const cairn_tensor *const a = cairn_state_tensor_find(
        m.lora, "transformer_decoder.layers.0.ffn.ffn.1.linear_layer.lora_A");
    const float *const values = a->data;
    float largest = 0.0F;
    for (int64_t i = 0; i < cairn_tensor_elements(a); i++)
        largest = fabsf(values[i]) > largest ? fabsf(values[i]) : largest;
    assert_true(largest <= 1.0F / sqrtf(12.0F));
    assert_true(largest > 0.5F / sqrtf(12.0F));
    tiny_destroy(&plain);
    tiny_destroy(&m.t);
}

static void dropout_of_adapters__acts_in_training_only(void **state)
{
    (void)state;
    adapted m;
    adapted dropped;
    static const char *const k_linear[] = {"Linear"};
    const cairn_gpt2_options options = tiny_options();
    cairn_lora_params_options group = group_of(2, k_linear, 1);
    make(&m, &options, &group);
    group.dropout = 0.5;
    make(&dropped, &options, &group);
    randomize_adapters(&m, 9);
    randomize_adapters(&dropped, 9);
    assert_true(loss_of(&m, false) == loss_of(&dropped, false));
    assert_true(loss_of(&m, true) == loss_of(&m, false));
    assert_true(loss_of(&m, true) != loss_of(&dropped, true));
    tiny_destroy(&m.t);
    tiny_destroy(&dropped.t);
}

static void training__computes_no_gradient_of_the_weights(void **state)
{
    (void)state;
    adapted m;
    const cairn_gpt2_options options = tiny_options();
    const cairn_lora_params_options group = group_of(2, NULL, 0);
    size_t count = 0;
    make(&m, &options, &group);
    (void)loss_of(&m, true);
    for (size_t i = 0; i < cairn_state_tensor_count(m.t.state); i++)
        assert_null(cairn_state_tensor_at(m.t.state, i)->grad);
    const float *const gradients = cairn_state_gradients(m.lora, &count);
    double sum = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += fabs((double)gradients[i]);
    assert_true(sum > 0.0);
    tiny_destroy(&m.t);
}

/* A step along the gradient of a tensor changes the loss by the gradient's length. */
static void gradients_of_adapters__are_those_of_central_differences(void **state)
{
    (void)state;
    adapted m;
    const double h = 0.01;
    const cairn_gpt2_options options = tiny_options();
    const cairn_lora_params_options group = group_of(1, NULL, 0);
    make(&m, &options, &group);
    randomize_adapters(&m, 9);
    (void)loss_of(&m, true);
    for (size_t n = 0; n < cairn_state_tensor_count(m.lora); n++) {
        const cairn_tensor *const tensor = cairn_state_tensor_at(m.lora, n);
        const int64_t count = cairn_tensor_elements(tensor);
        double loss[2];
        double squares = 0.0;
        for (int64_t i = 0; i < count; i++)
            squares += (double)tensor->grad[i] * (double)tensor->grad[i];
        const double norm = sqrt(squares);
        for (int side = 0; side < 2; side++) {
            const double from = side == 0 ? 0.0 : h;
            float *const values = tiny_begin(&m.t, tensor);
            for (int64_t i = 0; i < count; i++)
                values[i] -= (float)((from + h) / norm * (double)tensor->grad[i]) *
                             (side == 0 ? -1.0F : 1.0F);
            tiny_end(&m.t, tensor);
            loss[side] = loss_of(&m, false);
        }
        float *const values = tiny_begin(&m.t, tensor);
        for (int64_t i = 0; i < count; i++)
            values[i] += (float)(h / norm * (double)tensor->grad[i]);
        tiny_end(&m.t, tensor);
        const double slope = (loss[0] - loss[1]) / (2.0 * h);
        if (!(fabs(slope - norm) <= 5e-3 * norm + 1e-4))
            fail_msg("%s: the gradient's length is %g, the slope %g", tensor->name, norm, slope);
    }
    tiny_destroy(&m.t);
}

static void layers_that_are_computed_again__give_the_same_gradients(void **state)
{
    (void)state;
    adapted m;
    adapted again;
    cairn_gpt2_options options = tiny_options();
    static const char *const k_second[] = {"transformer_decoder.layers.1.*"};
    cairn_lora_params_options group = group_of(2, k_second, 1);
    group.dropout = 0.5;
    size_t count = 0;
    make(&m, &options, &group);
    options.gradient_checkpointing = true;
    make(&again, &options, &group);
    randomize_adapters(&m, 9);
    randomize_adapters(&again, 9);
    assert_true(loss_of(&m, true) == loss_of(&again, true));
    const float *const expected = cairn_state_gradients(m.lora, &count);
    const float *const actual = cairn_state_gradients(again.lora, &count);
    assert_memory_equal(expected, actual, count * sizeof *actual);
    tiny_destroy(&m.t);
    tiny_destroy(&again.t);
}

/* ---- Operations before which nothing is trained ---- */

static void operations_before_the_first_trained_parameter__have_no_backward(void **state)
{
    (void)state;
    cairn_error err;
    cairn_state_tree *tree = NULL;
    cairn_state *states[2];
    const cairn_tensor *tensors[2];
    const cairn_tensor_spec spec = {.name = "w",
                                    .dtype = CAIRN_DTYPE_F32,
                                    .role = CAIRN_ROLE_WEIGHT,
                                    .rank = 2,
                                    .shape = {4, 4}};
    static const int32_t ids[3] = {1, 3, 1};
    num_pool pool = {.seed = 1};
    crn_tape *tape = NULL;
    crn_run run = {.loss_scale = 1.0F};
    const crn_loss_spec loss = {.per_token = true, .samples = 1, .factor = 1.0};
    assert_int_equal(cairn_state_tree_new(&tree, &err), CAIRN_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(cairn_state_tree_add(tree, i == 0 ? "model" : "lora", &states[i], &err),
                         CAIRN_OK);
        assert_int_equal(cairn_state_add_tensor(states[i], &spec, &tensors[i], &err), CAIRN_OK);
    }
    cairn_state_freeze(states[0]);
    assert_int_equal(cairn_state_tree_allocate(tree, &err), CAIRN_OK);
    assert_int_equal(cairn_state_allocate_gradients(states[1], &err), CAIRN_OK);
    num_randomize(&pool, tree, states[0]);
    num_randomize(&pool, tree, states[1]);
    assert_int_equal(crn_tape_new(true, &tape, &err), CAIRN_OK);
    const crn_value input = crn_tape_input(tape);
    crn_tape_set_input(tape, input, ids);
    const crn_value frozen = crn_tape_parameter(tape, tensors[0]);
    const crn_value x = crn_op_embedding(tape, input, frozen, CRN_VALUE_NONE, 1, 3);
    const crn_value h = crn_op_activation(tape, x, CRN_ACTIVATION_GELU);
    const crn_value y =
        crn_op_linear(tape, h, crn_tape_parameter(tape, tensors[1]), CRN_VALUE_NONE);
    crn_op_cross_entropy(tape, crn_op_add(tape, y, h), input, CRN_VALUE_NONE, &loss);
    assert_int_equal(crn_tape_plan(tape, &err), CAIRN_OK);
    assert_int_equal(crn_tape_run(tape, &run, &err), CAIRN_OK);
    static const bool k_want[] = {false, false, true, true, true};
    for (size_t i = 0; i < tape->op_count; i++)
        assert_int_equal(tape->ops[i].has_backward, k_want[i]);
    assert_null(tape->vars[x].grad);
    assert_null(tensors[0]->grad);
    assert_true(tensors[1]->grad[0] != 0.0F);
    crn_tape_destroy(tape);
    cairn_state_tree_destroy(tree);
    num_free(&pool);
}

/* ---- Merging ---- */

static void check_merge(const cairn_gpt2_options *options, const cairn_lora_params_options *group)
{
    adapted m;
    float apart[VOCAB];
    float merged[VOCAB];
    double expected[VOCAB];
    make(&m, options, group);
    randomize_adapters(&m, 9);
    logits_of(&m, apart);
    tiny_ok(&m.t, cairn_model_adapters(&m.t.model)->merge(m.t.model.self, m.t.tree, &m.t.err));
    logits_of(&m, merged);
    for (int i = 0; i < VOCAB; i++)
        expected[i] = (double)apart[i];
    num_assert_close_at("merged logits", VOCAB, merged, expected, 1e-5, __FILE__, __LINE__);
    randomize_adapters(&m, 10); /* So that the comparison can fail. */
    logits_of(&m, merged);
    assert_true(num_error_of(VOCAB, merged, expected) > 1e-2);
    tiny_destroy(&m.t);
}

static void merged_adapters__give_the_logits_that_they_gave_apart(void **state)
{
    (void)state;
    static const char *const k_layers[] = {"TransformerDecoderLayer"};
    cairn_gpt2_options options = tiny_options();
    const cairn_lora_params_options all = group_of(2, NULL, 0);
    const cairn_lora_params_options layers = group_of(3, k_layers, 1);
    check_merge(&options, &layers);
    options.share_embedding_weights = false;
    check_merge(&options, &all);
}

static void a_weight_that_two_layers_share__cannot_take_the_adapter_of_one(void **state)
{
    (void)state;
    adapted m;
    static const char *const k_head[] = {"lm_head"};
    const cairn_gpt2_options options = tiny_options();
    const cairn_lora_params_options group = group_of(2, k_head, 1);
    make(&m, &options, &group);
    assert_int_equal(cairn_model_adapters(&m.t.model)->merge(m.t.model.self, m.t.tree, &m.t.err),
                     CAIRN_EUNSUPPORTED);
    tiny_destroy(&m.t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(targets__are_classes_that_a_layer_lies_in_or_patterns_for_its_name),
        cmocka_unit_test(of_several_groups__the_first_that_means_a_layer_counts),
        cmocka_unit_test(groups_that_give_no_layer_an_adapter__are_refused),
        cmocka_unit_test(new_adapters__change_nothing_and_begin_within_their_bound),
        cmocka_unit_test(dropout_of_adapters__acts_in_training_only),
        cmocka_unit_test(training__computes_no_gradient_of_the_weights),
        cmocka_unit_test(gradients_of_adapters__are_those_of_central_differences),
        cmocka_unit_test(layers_that_are_computed_again__give_the_same_gradients),
        cmocka_unit_test(operations_before_the_first_trained_parameter__have_no_backward),
        cmocka_unit_test(merged_adapters__give_the_logits_that_they_gave_apart),
        cmocka_unit_test(a_weight_that_two_layers_share__cannot_take_the_adapter_of_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
