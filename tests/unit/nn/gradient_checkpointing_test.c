/* Layers that are computed again: the same bits, less memory, and nobody sees anything twice. */
#include "numeric/bf16.h"

#include <string.h>

#include "numeric/state.h"

enum { B = 2, T = 24, LAYERS = 4, SEEN_SIZE = 1 << 16 };

static int32_t s_ids[B * T];
static float s_mask[B * T];

static cairn_gpt2_options gpt2(void)
{
    cairn_gpt2_options options = tiny_options();
    options.num_hidden_layers = LAYERS;
    options.max_position_embeddings = T;
    options.dropout_rate = 0.3;
    options.attention_dropout_rate = (cairn_opt_float){.is_set = true, .value = 0.2};
    options.embedding_dropout_rate = (cairn_opt_float){.is_set = true, .value = 0.1};
    return options;
}

static cairn_gpt2_options llama(void)
{
    cairn_gpt2_options options = tiny_options();
    options.num_hidden_layers = LAYERS;
    options.max_position_embeddings = T;
    options.norm_type = "rmsnorm";
    options.nonlinearity = "swiglu";
    options.position_embedding_type = "rotary";
    options.attention_module = "multiquery_attention";
    options.extra_attention_params.num_kv_groups = 1;
    options.share_embedding_weights = false;
    options.use_projection_bias_in_attention = false;
    options.use_ffn_bias_in_attention = false;
    options.use_ffn_bias = false;
    return options;
}

static int set_up(void **state)
{
    (void)state;
    for (int i = 0; i < B * T; i++) {
        s_ids[i] = (7 * i + i * i / 5) % 11;
        s_mask[i] = i % 5 != 0 ? 1.0F : 0.5F;
    }
    return 0;
}

/* Names and values that an observer is shown. */
typedef struct seen {
    char names[SEEN_SIZE];
    size_t used;
    double sum;
} seen;

static cairn_status note(void *user, const char *name, const float *values, size_t count,
                         cairn_error *err)
{
    seen *const s = user;
    (void)err;
    s->used += (size_t)snprintf(s->names + s->used, sizeof s->names - s->used, "%s ", name);
    assert_true(s->used < sizeof s->names);
    for (size_t i = 0; i < count; i++)
        s->sum += (double)values[i] * (double)(i % 7 + 1);
    return CAIRN_OK;
}

/* Loss, gradients of @steps passes, what is seen, bytes planned. Yours: gradients. */
typedef struct outcome {
    double losses[2];
    float *gradients;
    size_t count;
    seen seen;
    uint64_t bytes;
} outcome;

static void train(const cairn_gpt2_options *options, bool is_again, bool is_bf16, outcome *out)
{
    tiny t;
    cairn_gpt2_options own = *options;
    const cairn_batch batch = tiny_batch(B, T, s_ids, s_ids, s_mask);
    own.gradient_checkpointing = is_again;
    memset(out, 0, sizeof *out);
    tiny_new(&t, &own);
    if (is_bf16)
        tiny_use_bf16(&t);
    tiny_randomize(&t, 5);
    tiny_ok(&t, t.model.ops->memory(t.model.self, &batch, true, &out->bytes, &t.err));
    tiny_zero_gradients(&t);
    for (uint64_t step = 0; step < 2; step++) {
        cairn_pass pass = tiny_pass(true, step);
        pass.check = CAIRN_CHECK_ALL;
        pass.observe = note;
        pass.observer = &out->seen;
        out->losses[step] = tiny_compute(&t, &batch, &pass).loss;
    }
    const float *const gradients = cairn_state_gradients(t.state, &out->count);
    out->gradients = malloc(out->count * sizeof *gradients);
    assert_non_null(out->gradients);
    memcpy(out->gradients, gradients, out->count * sizeof *gradients);
    tiny_destroy(&t);
}

static void compare(const cairn_gpt2_options *options, bool is_bf16)
{
    static outcome kept;
    static outcome again;
    train(options, false, is_bf16, &kept);
    train(options, true, is_bf16, &again);
    assert_memory_equal(kept.losses, again.losses, sizeof kept.losses);
    assert_int_equal(kept.count, again.count);
    assert_memory_equal(kept.gradients, again.gradients, kept.count * sizeof *kept.gradients);
    assert_string_equal(kept.seen.names, again.seen.names);
    assert_true(kept.seen.sum == again.seen.sum);
    assert_true(again.bytes < kept.bytes);
    free(kept.gradients);
    free(again.gradients);
}

static void a_gpt2_with_dropout__gets_the_same_bits_in_less_memory(void **state)
{
    (void)state;
    const cairn_gpt2_options options = gpt2();
    compare(&options, false);
    compare(&options, true);
}

static void a_llama_with_grouped_queries__gets_the_same_bits_in_less_memory(void **state)
{
    (void)state;
    const cairn_gpt2_options options = llama();
    compare(&options, false);
    compare(&options, true);
}

/* Gradients of adapters of a model whose weights are frozen. Yours. */
static float *train_adapters(bool is_again, size_t *out_count)
{
    tiny t;
    cairn_state *lora = NULL;
    num_pool pool = {.seed = 9};
    cairn_gpt2_options options = gpt2();
    const cairn_batch batch = tiny_batch(B, T, s_ids, s_ids, s_mask);
    const cairn_pass pass = tiny_pass(true, 0);
    const cairn_lora_params_options group = {.r = 2, .alpha = 2.0, .dropout = 0.2};
    const cairn_lora_params_list groups = {.items = &group, .count = 1};
    options.num_hidden_layers = 2;
    options.gradient_checkpointing = is_again;
    options.share_embedding_weights = false;
    tiny_declare(&t, &options);
    tiny_ok(&t, cairn_state_tree_add(t.tree, "lora", &lora, &t.err));
    tiny_ok(&t, cairn_model_adapters(&t.model)->add(t.model.self, &groups, lora, &t.err));
    cairn_state_freeze(t.state);
    tiny_ok(&t, cairn_state_tree_allocate(t.tree, &t.err));
    tiny_ok(&t, cairn_state_allocate_gradients(lora, &t.err));
    tiny_randomize(&t, 5);
    num_randomize(&pool, t.tree, lora);
    (void)tiny_compute(&t, &batch, &pass);
    const float *const gradients = cairn_state_gradients(lora, out_count);
    float *const copy = malloc(*out_count * sizeof *copy);
    assert_non_null(copy);
    memcpy(copy, gradients, *out_count * sizeof *copy);
    num_free(&pool);
    tiny_destroy(&t);
    return copy;
}

static void adapters__get_the_same_bits(void **state)
{
    (void)state;
    size_t counts[2] = {0, 0};
    float *const kept = train_adapters(false, &counts[0]);
    float *const again = train_adapters(true, &counts[1]);
    assert_true(counts[0] > 0 && counts[0] == counts[1]);
    assert_memory_equal(kept, again, counts[0] * sizeof *kept);
    free(kept);
    free(again);
}

static uint64_t bytes_of(int64_t layers, bool is_again)
{
    tiny t;
    uint64_t bytes = 0;
    cairn_gpt2_options options = gpt2();
    const cairn_batch batch = tiny_batch(B, T, NULL, NULL, NULL);
    options.num_hidden_layers = layers;
    options.gradient_checkpointing = is_again;
    tiny_declare(&t, &options);
    tiny_ok(&t, t.model.ops->memory(t.model.self, &batch, true, &bytes, &t.err));
    tiny_destroy(&t);
    return bytes;
}

static void a_further_layer__keeps_what_enters_it_and_no_more(void **state)
{
    (void)state;
    enum { ENTERS = B * T * 8 * 4 }; /* rows of hidden_size floats */
    assert_int_equal(bytes_of(9, true) - bytes_of(8, true), ENTERS);
    assert_true(bytes_of(9, false) - bytes_of(8, false) > 8 * (uint64_t)ENTERS);
}

static void evaluation__needs_the_same_with_and_without(void **state)
{
    (void)state;
    uint64_t bytes[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        tiny t;
        cairn_gpt2_options options = gpt2();
        const cairn_batch batch = tiny_batch(B, T, NULL, NULL, NULL);
        options.gradient_checkpointing = i == 1;
        tiny_declare(&t, &options);
        tiny_ok(&t, t.model.ops->memory(t.model.self, &batch, false, &bytes[i], &t.err));
        tiny_destroy(&t);
    }
    assert_true(bytes[0] > 0 && bytes[0] == bytes[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gpt2_with_dropout__gets_the_same_bits_in_less_memory),
        cmocka_unit_test(a_llama_with_grouped_queries__gets_the_same_bits_in_less_memory),
        cmocka_unit_test(adapters__get_the_same_bits),
        cmocka_unit_test(a_further_layer__keeps_what_enters_it_and_no_more),
        cmocka_unit_test(evaluation__needs_the_same_with_and_without),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
