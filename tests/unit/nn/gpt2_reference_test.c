/* The model's loss and every gradient against the same model built from the float64 references. */
#include "kernels/ref/ref.h"

#include <string.h>

#include "numeric/tiny_gpt2.h"

enum { B = 2, T = 5, TOKENS = B * T };

static const int32_t k_ids[TOKENS] = {1, 7, 3, 3, 10, 0, 2, 7, 9, 1};
static const int32_t k_labels[TOKENS] = {7, 3, 3, 10, 4, 2, -100, 9, 1, 5};
static const float k_mask[TOKENS] = {1.0F, 1.0F, 0.5F, 0.0F, 1.0F, 2.0F, 1.0F, 1.0F, 1.0F, 0.0F};

enum { DOUBLES_MAX = 4096 };

typedef struct ref_model {
    const tiny *t;
    const cairn_gpt2_options *o;
    double *weights; /* Of all tensors, one after the other. */
    int64_t weight_count;
    const float *mask;
} ref_model;

static const double *ref_weight(const ref_model *m, const char *name)
{
    int64_t at = 0;
    const cairn_tensor *const wanted = cairn_state_tensor_find(m->t->state, name);
    if (wanted == NULL)
        return NULL;
    for (size_t i = 0; cairn_state_tensor_at(m->t->state, i) != wanted; i++)
        at += cairn_tensor_elements(cairn_state_tensor_at(m->t->state, i));
    return m->weights + at;
}

static const double *ref_named(const ref_model *m, int64_t layer, const char *name)
{
    char full[128];
    (void)snprintf(full, sizeof full, "transformer_decoder.layers.%d.%s", (int)layer, name);
    return ref_weight(m, full);
}

static void ref_linear(const ref_model *m, int64_t layer, const char *name, int64_t in, int64_t out,
                       const double *x, double *y)
{
    char weight[96];
    char bias[96];
    (void)snprintf(weight, sizeof weight, "%s.weight", name);
    (void)snprintf(bias, sizeof bias, "%s.bias", name);
    crn_ref_linear(TOKENS, in, out, x, ref_named(m, layer, weight), ref_named(m, layer, bias), y);
}

static void ref_norm(const ref_model *m, int64_t layer, const char *name, const double *x,
                     double *y)
{
    char weight[96];
    char bias[96];
    (void)snprintf(weight, sizeof weight, "%s.weight", name);
    (void)snprintf(bias, sizeof bias, "%s.bias", name);
    crn_ref_layernorm(TOKENS, m->o->hidden_size, m->o->layer_norm_epsilon, x,
                      ref_named(m, layer, weight), ref_named(m, layer, bias), y);
}

static void ref_block(const ref_model *m, int64_t layer, double *x)
{
    const int64_t c = m->o->hidden_size;
    const int64_t f = m->o->filter_size;
    const int64_t size = c / m->o->num_heads;
    const bool is_scaled = strcmp(m->o->attention_type, "scaled_dot_product") == 0;
    const crn_ref_attention_shape shape = {.batch = B,
                                           .time = T,
                                           .heads = m->o->num_heads,
                                           .kv_heads = m->o->num_heads,
                                           .head_size = size,
                                           .scale = is_scaled ? 1.0 / sqrt((double)size) : 1.0};
    double h[DOUBLES_MAX];
    double q[DOUBLES_MAX];
    double k[DOUBLES_MAX];
    double v[DOUBLES_MAX];
    double p[DOUBLES_MAX];
    double ones[DOUBLES_MAX];
    for (int i = 0; i < DOUBLES_MAX; i++)
        ones[i] = 1.0;
    ref_norm(m, layer, "norm1", x, h);
    ref_linear(m, layer, "self_attn.proj_q_dense_layer", c, c, h, q);
    ref_linear(m, layer, "self_attn.proj_k_dense_layer", c, c, h, k);
    ref_linear(m, layer, "self_attn.proj_v_dense_layer", c, c, h, v);
    crn_ref_attention(&shape, ones, q, k, v, p, h);
    ref_linear(m, layer, "self_attn.proj_output_dense_layer", c, c, h, q);
    for (int64_t i = 0; i < TOKENS * c; i++)
        x[i] += q[i];
    ref_norm(m, layer, "norm3", x, h);
    ref_linear(m, layer, "ffn.ffn.0.linear_layer", c, f, h, q);
    if (strcmp(m->o->nonlinearity, "relu") == 0)
        crn_ref_relu(TOKENS * f, q, k);
    else
        crn_ref_gelu(TOKENS * f, q, k);
    ref_linear(m, layer, "ffn.ffn.1.linear_layer", f, c, k, h);
    for (int64_t i = 0; i < TOKENS * c; i++)
        x[i] += h[i];
}

static double ref_loss(void *context)
{
    const ref_model *const m = context;
    const int64_t c = m->o->hidden_size;
    const int64_t vocab = m->o->vocab_size;
    double x[DOUBLES_MAX];
    double h[DOUBLES_MAX];
    double weight[TOKENS];
    double weights = 0.0;
    crn_ref_embedding(B, T, c, k_ids, ref_weight(m, "embedding_layer.word_embeddings.weight"),
                      ref_weight(m, "embedding_layer.position_embeddings.embed.weight"), x);
    for (int64_t layer = 0; layer < m->o->num_hidden_layers; layer++)
        ref_block(m, layer, x);
    crn_ref_layernorm(TOKENS, c, m->o->layer_norm_epsilon, x, ref_weight(m, "ln_f.weight"),
                      ref_weight(m, "ln_f.bias"), h);
    crn_ref_linear(TOKENS, c, vocab, h, ref_weight(m, "lm_head.weight"),
                   ref_weight(m, "lm_head.bias"), x);
    for (int i = 0; i < TOKENS; i++) {
        weight[i] = k_labels[i] < 0 ? 0.0 : m->mask != NULL ? (double)m->mask[i] : 1.0;
        weights += weight[i];
    }
    const double sum = crn_ref_cross_entropy(TOKENS, vocab, x, k_labels, weight);
    if (strcmp(m->o->loss_scaling, "num_tokens") == 0)
        return sum / weights;
    return sum / B * m->o->loss_weight;
}

static ref_model ref_of(const tiny *t, const cairn_gpt2_options *o, const float *mask)
{
    ref_model m = {.t = t, .o = o, .mask = mask};
    for (size_t i = 0; i < cairn_state_tensor_count(t->state); i++)
        m.weight_count += cairn_tensor_elements(cairn_state_tensor_at(t->state, i));
    m.weights = calloc((size_t)m.weight_count, sizeof *m.weights);
    assert_non_null(m.weights);
    double *to = m.weights;
    for (size_t i = 0; i < cairn_state_tensor_count(t->state); i++) {
        const cairn_tensor *const tensor = cairn_state_tensor_at(t->state, i);
        const float *const from = tensor->data;
        for (int64_t j = 0; j < cairn_tensor_elements(tensor); j++)
            *to++ = (double)from[j];
    }
    return m;
}

/* Every element's gradient against central differences of the float64 model. */
static void check_gradients(const ref_model *m)
{
    double *x = m->weights;
    for (size_t i = 0; i < cairn_state_tensor_count(m->t->state); i++) {
        const cairn_tensor *const tensor = cairn_state_tensor_at(m->t->state, i);
        const double h = 1e-5;
        double worst = 0.0;
        double largest = 0.0;
        for (int64_t j = 0; j < cairn_tensor_elements(tensor); j++, x++) {
            const double old = *x;
            *x = old + h;
            const double above = ref_loss((void *)(uintptr_t)m);
            *x = old - h;
            const double below = ref_loss((void *)(uintptr_t)m);
            *x = old;
            const double slope = (above - below) / (2.0 * h);
            const double off = fabs((double)tensor->grad[j] - slope);
            worst = off <= worst ? worst : off;
            largest = fabs(slope) > largest ? fabs(slope) : largest;
        }
        /* The floor is for biases of the keys, whose gradient is 0 but for rounding. */
        if (!(worst <= 1e-5 * largest + 1e-7))
            fail_msg("%s: gradient is off by %g of %g", tensor->name, worst, largest);
    }
}

static void check_model(const cairn_gpt2_options *options, const float *mask)
{
    tiny t;
    const cairn_batch batch = tiny_batch(B, T, k_ids, k_labels, mask);
    const cairn_pass pass = tiny_pass(true, 0);
    tiny_new(&t, options);
    tiny_randomize(&t, 5);
    ref_model m = ref_of(&t, options, mask);
    const double expected = ref_loss(&m);
    const cairn_loss loss = tiny_compute(&t, &batch, &pass);
    if (!(fabs(loss.loss - expected) <= 1e-5 * expected))
        fail_msg("loss %.9g instead of %.9g", loss.loss, expected);
    assert_true(loss.weight == (mask != NULL ? 7.5 : 9.0));
    check_gradients(&m);
    free(m.weights);
    tiny_destroy(&t);
}

static void loss_and_gradients__equal_those_in_float64(void **state)
{
    (void)state;
    const cairn_gpt2_options options = tiny_options();
    check_model(&options, NULL);
    check_model(&options, k_mask);
}

static void loss_and_gradients__equal_those_in_float64_with_every_option_turned(void **state)
{
    (void)state;
    cairn_gpt2_options options = tiny_options();
    options.share_embedding_weights = false;
    options.use_bias_in_output = true;
    options.use_projection_bias_in_attention = false;
    options.use_ffn_bias_in_attention = false;
    options.use_ffn_bias = false;
    options.nonlinearity = "relu";
    options.attention_type = "dot_product";
    options.loss_scaling = "batch_size";
    options.loss_weight = 0.125;
    check_model(&options, k_mask);
}

static void
loss_and_gradients__equal_those_in_float64_with_one_head_and_a_tied_output_with_bias(void **state)
{
    (void)state;
    cairn_gpt2_options options = tiny_options();
    options.num_heads = 1;
    options.num_hidden_layers = 1;
    options.use_bias_in_output = true;
    check_model(&options, k_mask);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_and_gradients__equal_those_in_float64),
        cmocka_unit_test(loss_and_gradients__equal_those_in_float64_with_every_option_turned),
        cmocka_unit_test(
            loss_and_gradients__equal_those_in_float64_with_one_head_and_a_tied_output_with_bias),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
