/* The small models whose figures PyTorch gave: the same sizes, first values and batches as in
 * make_gpt2_torch.py, make_decoder_torch.py and make_lora_torch.py. */
#ifndef NUMERIC_TORCH_MODEL_H
#define NUMERIC_TORCH_MODEL_H

#include <math.h>
#include <string.h>

#include "numeric/tiny_gpt2.h"

enum { V = 97, P = 16, C = 32, B = 4, T = 16, STEPS = 20, BATCHES = 4 };

static inline cairn_gpt2_options torch_gpt2_options(void)
{
    cairn_gpt2_options o = tiny_options();
    o.vocab_size = V;
    o.max_position_embeddings = P;
    o.hidden_size = C;
    o.num_heads = 4;
    o.filter_size = 64;
    return o;
}

static inline cairn_gpt2_options torch_llama3_options(void)
{
    cairn_gpt2_options o = torch_gpt2_options();
    o.norm_type = "rmsnorm";
    o.nonlinearity = "swiglu";
    o.use_projection_bias_in_attention = false;
    o.use_ffn_bias_in_attention = false;
    o.use_ffn_bias = false;
    o.share_embedding_weights = false;
    o.attention_module = "multiquery_attention";
    o.extra_attention_params.num_kv_groups = 2;
    o.position_embedding_type = "rotary";
    o.rope_theta = 500.0;
    o.pos_scaling_type = "llama3";
    o.pos_scaling_factor = 8.0;
    o.pos_scaling_extra_args.original_max_position_embeddings = 32;
    return o;
}

/* Of the tensors of @state. */
static inline void torch_set_first_values(const tiny *t, const cairn_state *state)
{
    for (size_t n = 0; n < cairn_state_tensor_count(state); n++) {
        const cairn_tensor *const tensor = cairn_state_tensor_at(state, n);
        const bool is_scale = tensor->role == CAIRN_ROLE_NORM && strstr(tensor->name, ".weight");
        float *const data = tiny_begin(t, tensor);
        for (int64_t j = 0; j < cairn_tensor_elements(tensor); j++) {
            const double i = (double)j;
            const double wave = 0.1 * sin(0.37 * i + 0.0013 * i * i + (double)n);
            data[j] = (float)(is_scale ? 1.0 + wave : wave);
        }
        tiny_end(t, tensor);
    }
}

typedef struct torch_arrays {
    int32_t ids[B * T];
    int32_t labels[B * T];
    float mask[B * T];
} torch_arrays;

/* The batch of a step, in @a. */
static inline cairn_batch torch_batch(int step, torch_arrays *a)
{
    const int s = step % BATCHES;
    for (int b = 0; b < B; b++) {
        for (int t = 0; t < T; t++) {
            const int i = b * T + t;
            a->ids[i] = (7 * b * b + 13 * t + 5 * s * s + 3 * s * t + b * t) % V;
            a->labels[i] = (3 * a->ids[i] + t + 1) % V;
            a->mask[i] = b % 2 == 1 && t >= T - 3 ? 0.0F : 1.0F;
        }
    }
    return tiny_batch(B, T, a->ids, a->labels, a->mask);
}

#endif
