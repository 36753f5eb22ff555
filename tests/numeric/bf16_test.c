/* Small models of the GPT-2 family learn in bfloat16 what they learn in float32. */
#include "numeric/bf16.h"

#include "cairn/optim.h"
#include "kernels/kernels.h"

enum { V = 97, C = 32, B = 4, T = 16, STEPS = 200, GROUPS_MAX = 8 };

static cairn_gpt2_options gpt2_options(void)
{
    cairn_gpt2_options o = tiny_options();
    o.vocab_size = V;
    o.max_position_embeddings = T;
    o.hidden_size = C;
    o.num_heads = 4;
    o.filter_size = 64;
    o.dropout_rate = 0.1;
    return o;
}

static cairn_gpt2_options llama_options(void)
{
    cairn_gpt2_options o = gpt2_options();
    o.position_embedding_type = "rotary";
    o.rotary_dim = (cairn_opt_int){.is_set = true, .value = 8};
    o.norm_type = "rmsnorm";
    o.nonlinearity = "swiglu";
    o.attention_module = "multiquery_attention";
    o.extra_attention_params.num_kv_groups = 2;
    o.use_projection_bias_in_attention = false;
    o.use_ffn_bias_in_attention = false;
    o.use_ffn_bias = false;
    o.share_embedding_weights = false;
    return o;
}

/* Tokens that a rule gives two times of three, so that a part of the loss can be learnt. */
static cairn_batch draw_batch(uint64_t *seed, int32_t *ids, int32_t *labels)
{
    for (int i = 0; i < B * T; i++) {
        const int32_t before = i % T > 0 ? labels[i - 1] : (int32_t)(num_next(seed) % V);
        const bool is_rule = num_next(seed) % 3 > 0;
        ids[i] = before;
        labels[i] = is_rule ? (5 * before + 3) % V : (int32_t)(num_next(seed) % V);
    }
    return tiny_batch(B, T, ids, labels, NULL);
}

/* Losses of @steps steps; the weights after them have the sum *@out_sum. */
static void train(const cairn_gpt2_options *options, bool is_bf16, int steps, double *losses,
                  double *out_sum)
{
    tiny t;
    int32_t ids[B * T];
    int32_t labels[B * T];
    uint64_t seed = 5;
    cairn_optimizer optimizer = {0};
    cairn_state *moments = NULL;
    cairn_param_groups *groups = NULL;
    const cairn_adamw_options adamw = {
        .lr = 1e-3, .betas = {0.9, 0.95}, .eps = 1e-8, .weight_decay = 0.1, .correct_bias = true};
    const double rates[GROUPS_MAX] = {1e-3, 1e-3};
    const double decays[GROUPS_MAX] = {0.1, 0.0};
    tiny_declare(&t, options);
    tiny_ok(&t, cairn_adamw_new(&adamw, &optimizer, &t.err));
    tiny_ok(&t, cairn_state_tree_add(t.tree, "optimizer", &moments, &t.err));
    tiny_ok(&t, cairn_param_groups_new(t.state, NULL, 0, &groups, &t.err));
    assert_int_equal(cairn_param_groups_count(groups), 2);
    tiny_ok(&t, optimizer.ops->declare(optimizer.self, t.state, groups, moments, &t.err));
    cairn_param_groups_destroy(groups);
    tiny_allocate(&t);
    if (is_bf16)
        tiny_use_bf16(&t);
    tiny_ok(&t, t.model.ops->initialize(t.model.self, t.tree, 3, &t.err));
    tiny_ok(&t, optimizer.ops->reset(optimizer.self, t.tree, &t.err));
    for (int step = 0; step < steps; step++) {
        const cairn_batch batch = draw_batch(&seed, ids, labels);
        const cairn_pass pass = tiny_pass(true, (uint64_t)step);
        tiny_zero_gradients(&t);
        losses[step] = tiny_compute(&t, &batch, &pass).loss;
        tiny_ok(&t, optimizer.ops->step(optimizer.self, t.tree, rates, decays, &t.err));
    }
    *out_sum = 0.0;
    for (size_t n = 0; n < cairn_state_tensor_count(t.state); n++) {
        const cairn_tensor *const tensor = cairn_state_tensor_at(t.state, n);
        for (int64_t i = 0; i < cairn_tensor_elements(tensor); i++)
            *out_sum += (double)((const float *)tensor->data)[i];
    }
    optimizer.ops->destroy(optimizer.self);
    tiny_destroy(&t);
}

static void check_curve(const cairn_gpt2_options *options)
{
    double sum = 0.0;
    double single[STEPS];
    double half[STEPS];
    train(options, false, STEPS, single, &sum);
    train(options, true, STEPS, half, &sum);
    double worst = 0.0;
    bool is_equal = true;
    for (int i = 0; i < STEPS; i++) {
        worst = fmax(worst, fabs(half[i] / single[i] - 1.0));
        is_equal = is_equal && half[i] == single[i];
    }
    assert_false(is_equal); /* It was bfloat16. */
    assert_true(single[STEPS - 1] < 0.8 * single[0]);
    if (!(worst <= 0.01))
        fail_msg("the losses differ by up to %.4f", worst);
}

static void a_curve_of_200_steps__is_float32s_within_a_hundredth(void **state)
{
    (void)state;
    const cairn_gpt2_options gpt2 = gpt2_options();
    const cairn_gpt2_options llama = llama_options();
    crn_thread_set(1); /* So small a model is faster so. */
    check_curve(&gpt2);
    check_curve(&llama);
    crn_thread_set(0);
}

static void two_runs__have_the_same_bits_in_float32_and_in_bfloat16(void **state)
{
    (void)state;
    enum { FEW = 20 };
    const cairn_gpt2_options llama = llama_options();
    for (int is_bf16 = 0; is_bf16 < 2; is_bf16++) {
        double first[FEW];
        double again[FEW];
        double sum = 0.0;
        double sum_again = 0.0;
        train(&llama, is_bf16, FEW, first, &sum);
        train(&llama, is_bf16, FEW, again, &sum_again);
        assert_memory_equal(first, again, sizeof first);
        assert_true(sum == sum_again);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_curve_of_200_steps__is_float32s_within_a_hundredth),
        cmocka_unit_test(two_runs__have_the_same_bits_in_float32_and_in_bfloat16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
