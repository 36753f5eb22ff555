/* What a pass can be asked besides: other weights, checks, a look at values, metrics. */
#include "numeric/tiny_gpt2.h"

#include <string.h>

enum { B = 2, T = 5, TOKENS = B * T, V = 11, SEEN_SIZE = 4096 };

static const int32_t k_ids[TOKENS] = {1, 7, 3, 3, 10, 0, 2, 7, 9, 1};
static const int32_t k_labels[TOKENS] = {7, 3, 3, 10, 4, 2, -100, 9, 1, 5};
static const float k_mask[TOKENS] = {1.0F, 1.0F, 0.5F, 0.0F, 1.0F, 2.0F, 1.0F, 1.0F, 1.0F, 0.0F};

static void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("'%s' lacks '%s'", text, part);
}

static void assert_error(const tiny *t, const char *part)
{
    char text[1024];
    (void)cairn_error_format(&t->err, text, sizeof text);
    assert_has(text, part);
}

static const cairn_tensor *find(const tiny *t, const char *name)
{
    const cairn_tensor *const tensor = cairn_state_tensor_find(t->state, name);
    assert_non_null(tensor);
    return tensor;
}

static void set(const tiny *t, const cairn_tensor *tensor, int64_t element, float value)
{
    tiny_begin(t, tensor)[element] = value;
    tiny_end(t, tensor);
}

/* --- other weights --- */

/* A copy of the model's tensors in a state of its own, planned before the tree is allocated. */
static cairn_state *declare_copy(tiny *t, int left_out, int64_t widened)
{
    cairn_state *copy = NULL;
    tiny_ok(t, cairn_state_tree_add(t->tree, "ema", &copy, &t->err));
    for (size_t i = 0; i < cairn_state_tensor_count(t->state); i++) {
        const cairn_tensor *const tensor = cairn_state_tensor_at(t->state, i);
        cairn_tensor_spec spec = {.name = tensor->name,
                                  .dtype = tensor->dtype,
                                  .role = CAIRN_ROLE_OTHER,
                                  .rank = tensor->rank};
        memcpy(spec.shape, tensor->shape, sizeof spec.shape);
        spec.shape[0] += (int64_t)i == widened;
        if ((int)i != left_out)
            tiny_ok(t, cairn_state_add_tensor(copy, &spec, NULL, &t->err));
    }
    return copy;
}

static void copy_to(const tiny *t, const cairn_state *to)
{
    for (size_t i = 0; i < cairn_state_tensor_count(to); i++) {
        const cairn_tensor *const tensor = cairn_state_tensor_at(to, i);
        memcpy(tiny_begin(t, tensor), find(t, tensor->name)->data, tensor->bytes);
        tiny_end(t, tensor);
    }
}

static void other_weights__give_what_the_model_with_these_weights_gives(void **state)
{
    (void)state;
    tiny t;
    const cairn_gpt2_options options = tiny_options();
    const cairn_batch batch = tiny_batch(B, T, k_ids, k_labels, k_mask);
    cairn_pass pass = tiny_pass(false, 0);
    tiny_declare(&t, &options);
    cairn_state *const copy = declare_copy(&t, -1, -1);
    tiny_allocate(&t);
    assert_true(t.model.ops->takes_weights);
    tiny_randomize(&t, 1);
    const double first = tiny_compute(&t, &batch, &pass).loss;
    copy_to(&t, copy);
    tiny_randomize(&t, 2);
    const double second = tiny_compute(&t, &batch, &pass).loss;
    assert_true(first != second);
    pass.weights = copy;
    assert_true(tiny_compute(&t, &batch, &pass).loss == first);
    assert_true(tiny_compute(&t, &batch, &pass).loss == first);
    pass.weights = NULL; /* And back. */
    assert_true(tiny_compute(&t, &batch, &pass).loss == second);
    /* Training is with the model's own, whatever was validated before. */
    pass.weights = copy;
    (void)tiny_compute(&t, &batch, &pass);
    const cairn_pass train = tiny_pass(true, 0);
    assert_true(tiny_compute(&t, &batch, &train).loss == second);
    cairn_loss loss = {0};
    pass.is_training = true;
    assert_int_equal(t.model.ops->compute(t.model.self, &batch, &pass, &loss, &t.err),
                     CAIRN_EINVAL);
    tiny_destroy(&t);
}

static void weights_that_do_not_fit__are_refused_by_name(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        tiny t;
        const cairn_gpt2_options options = tiny_options();
        const cairn_batch batch = tiny_batch(B, T, k_ids, k_labels, k_mask);
        cairn_pass pass = tiny_pass(false, 0);
        cairn_loss loss = {0};
        tiny_declare(&t, &options);
        const cairn_state *const wrong = declare_copy(&t, i == 0 ? 2 : -1, i == 1 ? 2 : -1);
        pass.weights = wrong;
        tiny_allocate(&t);
        assert_int_equal(t.model.ops->compute(t.model.self, &batch, &pass, &loss, &t.err),
                         CAIRN_EINCOMPATIBLE);
        assert_error(&t, "state 'ema' has no tensor of the name and shape of "
                         "'transformer_decoder.layers.0.self_attn.proj_q_dense_layer.weight'");
        pass.weights = NULL; /* The model computes with its own as before, not with some of each. */
        tiny_randomize(&t, 3);
        const double own = tiny_compute(&t, &batch, &pass).loss;
        pass.weights = wrong;
        assert_int_equal(t.model.ops->compute(t.model.self, &batch, &pass, &loss, &t.err),
                         CAIRN_EINCOMPATIBLE);
        pass.weights = NULL;
        assert_true(tiny_compute(&t, &batch, &pass).loss == own);
        tiny_destroy(&t);
    }
}

static void a_pass_of_an_older_program__is_read_as_far_as_it_goes(void **state)
{
    (void)state;
    tiny t;
    const cairn_gpt2_options options = tiny_options();
    const cairn_batch batch = tiny_batch(B, T, k_ids, k_labels, k_mask);
    cairn_pass pass = tiny_pass(false, 0);
    tiny_new(&t, &options);
    const double loss = tiny_compute(&t, &batch, &pass).loss;
    memset((char *)&pass + offsetof(cairn_pass, weights), 0xff,
           sizeof pass - offsetof(cairn_pass, weights));
    pass.struct_size = offsetof(cairn_pass, weights);
    assert_true(tiny_compute(&t, &batch, &pass).loss == loss);
    tiny_destroy(&t);
}

/* --- checks --- */

static cairn_status check(tiny *t, cairn_pass pass, cairn_check what)
{
    const cairn_batch batch = tiny_batch(B, T, k_ids, k_labels, k_mask);
    cairn_loss loss = {0};
    pass.check = what;
    t->err = (cairn_error){0};
    return t->model.ops->compute(t->model.self, &batch, &pass, &loss, &t->err);
}

static void checks__name_the_first_parameter_that_is_not_finite(void **state)
{
    (void)state;
    tiny t;
    const cairn_gpt2_options options = tiny_options();
    tiny_new(&t, &options);
    tiny_randomize(&t, 1);
    assert_int_equal(check(&t, tiny_pass(true, 0), CAIRN_CHECK_ALL), CAIRN_OK);
    /* The later layer's NaN must not hide the earlier one's. */
    set(&t, find(&t, "transformer_decoder.layers.1.ffn.ffn.1.linear_layer.bias"), 3, NAN);
    set(&t, find(&t, "transformer_decoder.layers.0.ffn.ffn.0.linear_layer.weight"), 17,
        (float)INFINITY);
    assert_int_equal(check(&t, tiny_pass(false, 0), CAIRN_CHECK_NONE), CAIRN_OK);
    assert_int_equal(check(&t, tiny_pass(false, 0), CAIRN_CHECK_VALUES), CAIRN_ENONFINITE);
    assert_error(&t, "forward of linear 'transformer_decoder.layers.0.ffn.ffn.0.linear_layer': "
                     "parameter transformer_decoder.layers.0.ffn.ffn.0.linear_layer.weight is the "
                     "first tensor that is not finite, inf at [2][1]");
    tiny_destroy(&t);
}

static void checks__name_the_first_output_that_is_not_finite(void **state)
{
    (void)state;
    tiny t;
    const cairn_gpt2_options options = tiny_options();
    tiny_new(&t, &options);
    tiny_randomize(&t, 1);
    const cairn_tensor *const gamma = find(&t, "ln_f.weight");
    for (int64_t i = 0; i < cairn_tensor_elements(gamma); i++)
        set(&t, gamma, i, 3e38F); /* Finite, but too large to be multiplied. */
    assert_int_equal(check(&t, tiny_pass(false, 0), CAIRN_CHECK_VALUES), CAIRN_ENONFINITE);
    assert_error(&t, "forward of layer norm 'ln_f': its output is the first tensor that is not "
                     "finite");
    tiny_destroy(&t);
}

static void checks__name_the_first_gradient_that_is_not_finite(void **state)
{
    (void)state;
    tiny t;
    const cairn_gpt2_options options = tiny_options();
    cairn_pass pass = tiny_pass(true, 0);
    tiny_new(&t, &options);
    tiny_randomize(&t, 1);
    pass.loss_scale = 3e38F;
    pass.seed = 42;
    /* The gradients overflow, the values do not. */
    set(&t, find(&t, "ln_f.weight"), 2, 1e4F);
    assert_int_equal(check(&t, pass, CAIRN_CHECK_VALUES), CAIRN_OK);
    tiny_zero_gradients(&t);
    assert_int_equal(check(&t, pass, CAIRN_CHECK_ALL), CAIRN_ENONFINITE);
    assert_error(&t, "backward of ");
    assert_error(&t, "is the first tensor that is not finite");
    tiny_destroy(&t);
}

static void checks_and_observers__change_no_bit(void **state)
{
    (void)state;
    tiny t;
    const cairn_gpt2_options options = tiny_options();
    const cairn_batch batch = tiny_batch(B, T, k_ids, k_labels, k_mask);
    cairn_pass pass = tiny_pass(true, 3);
    float kept[64];
    tiny_new(&t, &options);
    tiny_randomize(&t, 1);
    tiny_zero_gradients(&t);
    const double loss = tiny_compute(&t, &batch, &pass).loss;
    const cairn_tensor *const words = find(&t, "embedding_layer.word_embeddings.weight");
    memcpy(kept, words->grad, sizeof kept);
    tiny_zero_gradients(&t);
    pass.check = CAIRN_CHECK_ALL;
    assert_true(tiny_compute(&t, &batch, &pass).loss == loss);
    assert_memory_equal(kept, words->grad, sizeof kept);
    tiny_destroy(&t);
}

/* --- observers --- */

struct seen {
    char names[SEEN_SIZE];
    size_t counts[64];
    int count;
    int fails_at;
};

static cairn_status see(void *user, const char *name, const float *values, size_t count,
                        cairn_error *err)
{
    struct seen *const seen = user;
    const size_t used = strlen(seen->names);
    (void)err;
    assert_non_null(values);
    assert_true(isfinite(values[0]) && isfinite(values[count - 1]));
    (void)snprintf(seen->names + used, SEEN_SIZE - used, "%s ", name);
    assert_true(seen->count < 64);
    seen->counts[seen->count++] = count;
    return seen->count == seen->fails_at ? CAIRN_ECALLBACK : CAIRN_OK;
}

static void observers__see_what_every_operation_gives_in_order(void **state)
{
    (void)state;
    tiny t;
    struct seen seen = {.names = ""};
    cairn_gpt2_options options = tiny_options();
    const cairn_batch batch = tiny_batch(B, T, k_ids, k_labels, k_mask);
    cairn_pass pass = tiny_pass(false, 0);
    options.num_hidden_layers = 1;
    pass.observe = see;
    pass.observer = &seen;
    tiny_new(&t, &options);
    (void)tiny_compute(&t, &batch, &pass);
#define L "transformer_decoder.layers.0."
    assert_string_equal(
        seen.names,
        "embedding_layer.word_embeddings " L "norm1 " L "self_attn.proj_q_dense_layer " L
        "self_attn.proj_k_dense_layer " L "self_attn.proj_v_dense_layer attention.0 " L
        "self_attn.proj_output_dense_layer add.0 " L "norm3 " L
        "ffn.ffn.0.linear_layer activation.0 " L "ffn.ffn.1.linear_layer add.1 ln_f lm_head ");
#undef L
    assert_int_equal(seen.counts[0], TOKENS * 8);
    assert_int_equal(seen.counts[9], TOKENS * 12);
    assert_int_equal(seen.counts[14], TOKENS * V);
    seen.fails_at = seen.count + 2; /* A failure ends the pass. */
    cairn_loss loss = {0};
    assert_int_equal(t.model.ops->compute(t.model.self, &batch, &pass, &loss, &t.err),
                     CAIRN_ECALLBACK);
    assert_int_equal(seen.count, seen.fails_at);
    tiny_destroy(&t);
}

/* --- metrics --- */

/* From the logits, in float64. */
static void metrics__are_those_of_the_logits(void **state)
{
    (void)state;
    for (int is_batch_scaled = 0; is_batch_scaled < 2; is_batch_scaled++) {
        tiny t;
        cairn_gpt2_options options = tiny_options();
        const cairn_batch batch = tiny_batch(B, T, k_ids, k_labels, k_mask);
        cairn_pass pass = tiny_pass(false, 0);
        double token_loss = 0.0;
        double correct = 0.0;
        options.loss_scaling = is_batch_scaled ? "batch_size" : "num_tokens";
        options.compute_eval_metrics = true;
        tiny_new(&t, &options);
        tiny_randomize(&t, 5);
        for (int i = 0; i < TOKENS; i++) {
            float logits[V];
            double sum = 0.0;
            int best = 0;
            if (k_labels[i] < 0)
                continue;
            tiny_ok(&t, t.model.ops->next_logits(t.model.self, k_ids + i / T * T, i % T + 1, logits,
                                                 &t.err));
            for (int c = 0; c < V; c++) {
                sum += exp((double)logits[c]);
                best = logits[c] > logits[best] ? c : best;
            }
            token_loss += (double)k_mask[i] * (log(sum) - (double)logits[k_labels[i]]);
            correct += best == k_labels[i] ? (double)k_mask[i] : 0.0;
        }
        assert_false(tiny_compute(&t, &batch, &pass).has_metrics);
        pass.wants_metrics = true;
        const cairn_loss loss = tiny_compute(&t, &batch, &pass);
        assert_true(loss.has_metrics);
        assert_true(fabs(loss.token_loss - token_loss) < 1e-5 * token_loss);
        assert_true(loss.correct == correct && correct > 0.0);
        assert_true(loss.weight == 7.5);
        tiny_destroy(&t);
        options.compute_eval_metrics = false;
        tiny_new(&t, &options);
        assert_false(tiny_compute(&t, &batch, &pass).has_metrics);
        tiny_destroy(&t);
    }
}

static void flops__count_the_matrix_products(void **state)
{
    (void)state;
    tiny t;
    const cairn_gpt2_options options = tiny_options();
    const cairn_batch batch = tiny_batch(B, T, k_ids, k_labels, k_mask);
    tiny_new(&t, &options);
    /* q, k, v, output; the two of the ffn; scores and values over (T + 1) / 2 = 3 keys; logits. */
    const double layer = 4.0 * 8 * 8 + 2.0 * 8 * 12 + 2.0 * 8 * 3;
    const double expected = 2.0 * TOKENS * (2.0 * layer + 8.0 * V);
    assert_true(t.model.ops->flops(t.model.self, &batch, false) == expected);
    assert_true(t.model.ops->flops(t.model.self, &batch, true) == 3.0 * expected);
    tiny_destroy(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_weights__give_what_the_model_with_these_weights_gives),
        cmocka_unit_test(weights_that_do_not_fit__are_refused_by_name),
        cmocka_unit_test(a_pass_of_an_older_program__is_read_as_far_as_it_goes),
        cmocka_unit_test(checks__name_the_first_parameter_that_is_not_finite),
        cmocka_unit_test(checks__name_the_first_output_that_is_not_finite),
        cmocka_unit_test(checks__name_the_first_gradient_that_is_not_finite),
        cmocka_unit_test(checks_and_observers__change_no_bit),
        cmocka_unit_test(observers__see_what_every_operation_gives_in_order),
        cmocka_unit_test(metrics__are_those_of_the_logits),
        cmocka_unit_test(flops__count_the_matrix_products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
