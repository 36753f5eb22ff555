/* A small GPT-2 for tests, with its state tree. Its options are spelled out, so that a test does
 * not move when a default does. */
#ifndef CRN_TESTS_TINY_GPT2_H
#define CRN_TESTS_TINY_GPT2_H

#include "numeric/numeric.h"

#include <string.h>

#include "cairn/model.h"

typedef struct tiny {
    cairn_model model;
    cairn_state_tree *tree;
    cairn_state *state;
    cairn_error err;
} tiny;

static inline cairn_gpt2_options tiny_options(void)
{
    const cairn_gpt2_options options = {.name = "gpt2",
                                        .vocab_size = 11,
                                        .max_position_embeddings = 6,
                                        .hidden_size = 8,
                                        .num_hidden_layers = 2,
                                        .num_heads = 2,
                                        .filter_size = 12,
                                        .layer_norm_epsilon = 1e-5,
                                        .position_embedding_type = "learned",
                                        .share_embedding_weights = true,
                                        .attention_type = "scaled_dot_product",
                                        .use_projection_bias_in_attention = true,
                                        .use_ffn_bias_in_attention = true,
                                        .use_ffn_bias = true,
                                        .nonlinearity = "gelu",
                                        .initializer_range = 0.02,
                                        .loss_scaling = "num_tokens",
                                        .loss_weight = 1.0,
                                        .norm_type = "layernorm",
                                        .attention_module = "aiayn_attention",
                                        .rope_theta = 10000.0,
                                        .pos_scaling_factor = 1.0,
                                        .pos_scaling_type = "linear",
                                        .pos_scaling_extra_args = {1.0, 4.0, 8192},
                                        .embeddings_scale = 1.0,
                                        .scale_output_logits_by_d = true,
                                        .attention_logits_alpha = 1.0};
    return options;
}

#define tiny_ok(t, call)                                                                           \
    do {                                                                                           \
        if ((call) != CAIRN_OK) {                                                                  \
            char text_[1024];                                                                      \
            cairn_error_format(&(t)->err, text_, sizeof text_);                                    \
            print_error("%s\n", text_);                                                            \
            fail();                                                                                \
        }                                                                                          \
    } while (0)

/* Declares the model; other states may be added before tiny_allocate. */
static inline void tiny_declare(tiny *t, const cairn_gpt2_options *options)
{
    memset(t, 0, sizeof *t);
    tiny_ok(t, cairn_gpt2_new(options, &t->model, &t->err));
    tiny_ok(t, cairn_state_tree_new(&t->tree, &t->err));
    tiny_ok(t, cairn_state_tree_add(t->tree, "model", &t->state, &t->err));
    tiny_ok(t, t->model.ops->declare(t->model.self, t->state, &t->err));
}

static inline void tiny_allocate(tiny *t)
{
    tiny_ok(t, cairn_state_tree_allocate(t->tree, &t->err));
    tiny_ok(t, cairn_state_allocate_gradients(t->state, &t->err));
}

static inline void tiny_new(tiny *t, const cairn_gpt2_options *options)
{
    tiny_declare(t, options);
    tiny_allocate(t);
}

static inline void tiny_destroy(tiny *t)
{
    t->model.ops->destroy(t->model.self);
    cairn_state_tree_destroy(t->tree);
}

/* All elements of a tensor, writable until tiny_end. */
static inline float *tiny_begin(const tiny *t, const cairn_tensor *tensor)
{
    return cairn_tensor_write_begin(t->tree, tensor, 0, tensor->bytes);
}

static inline void tiny_end(const tiny *t, const cairn_tensor *tensor)
{
    cairn_tensor_write_end(t->tree, tensor, 0, tensor->bytes);
}

/* Random weights, large enough that every part of the model matters. */
static inline void tiny_randomize(const tiny *t, uint64_t seed)
{
    for (size_t i = 0; i < cairn_state_tensor_count(t->state); i++) {
        const cairn_tensor *const tensor = cairn_state_tensor_at(t->state, i);
        const bool is_scale = tensor->role == CAIRN_ROLE_NORM && strstr(tensor->name, "weight");
        float *const data = tiny_begin(t, tensor);
        for (int64_t j = 0; j < cairn_tensor_elements(tensor); j++)
            data[j] = (float)((double)(num_next(&seed) >> 11) * 0x1p-53 - 0.5 + (is_scale ? 1 : 0));
        tiny_end(t, tensor);
    }
}

static inline void tiny_zero_gradients(const tiny *t)
{
    size_t count = 0;
    float *const gradients = cairn_state_gradients(t->state, &count);
    memset(gradients, 0, count * sizeof *gradients);
}

static inline cairn_batch tiny_batch(int64_t batch, int64_t time, const int32_t *ids,
                                     const int32_t *labels, const float *mask)
{
    const cairn_batch made = {
        .struct_size = sizeof made,
        .samples = batch,
        .field_count = mask != NULL ? 3 : 2,
        .field = {{"input_ids", CAIRN_DTYPE_I32, 2, {batch, time}, ids},
                  {"labels", CAIRN_DTYPE_I32, 2, {batch, time}, labels},
                  {"attention_mask", CAIRN_DTYPE_F32, 2, {batch, time}, mask}}};
    return made;
}

static inline cairn_pass tiny_pass(bool is_training, uint64_t step)
{
    const cairn_pass pass = {.struct_size = sizeof pass,
                             .is_training = is_training,
                             .seed = 42,
                             .step = step,
                             .loss_scale = 1.0F};
    return pass;
}

static inline cairn_loss tiny_compute(tiny *t, const cairn_batch *batch, const cairn_pass *pass)
{
    cairn_loss loss = {0};
    tiny_ok(t, t->model.ops->compute(t->model.self, batch, pass, &loss, &t->err));
    return loss;
}

#endif
