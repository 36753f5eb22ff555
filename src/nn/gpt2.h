/* The inside of the GPT-2 family, shared by the files gpt2*.c. */
#ifndef CRN_NN_GPT2_H
#define CRN_NN_GPT2_H

#include "cairn/model.h"
#include "nn/ops/ops.h"
#include "nn/params.h"
#include "nn/plans.h"

typedef struct crn_gpt2_block {
    crn_layer norm1;
    crn_layer q;
    crn_layer k;
    crn_layer v;
    crn_layer attention_out;
    crn_layer norm3;
    crn_layer ffn0;
    crn_layer gate; /* only of gated feed-forward layers */
    crn_layer ffn1;
} crn_gpt2_block;

/* The keys and values of a text so far: gpt2_decode.c. */
typedef struct crn_gpt2_cache crn_gpt2_cache;

typedef struct crn_gpt2 {
    cairn_gpt2_options options; /* Its texts are read by cairn_gpt2_new only. */
    bool is_per_token;
    bool is_rms;    /* RMS norms, which have no bias */
    bool is_rotary; /* else learned positions */
    bool is_gated;
    crn_activation activation;
    crn_gated gated;
    double attention_dropout;
    double embedding_dropout;
    int64_t kv_heads;
    double attention_scale; /* of the scores */
    double logits_scale;
    cairn_initializer decoder_init;
    cairn_initializer attention_out_init;
    cairn_initializer ffn_out_init;
    cairn_initializer embedding_init;
    cairn_initializer head_init;
    crn_params params;
    crn_params adapters;      /* of low rank; empty: none */
    int64_t adapter_rank_max; /* 0: none */
    const cairn_tensor *words;
    const cairn_tensor *positions; /* NULL with rotary positions */
    crn_lora words_lora;
    crn_lora positions_lora;
    crn_layer embedding_norm; /* weight NULL: none */
    crn_gpt2_block *blocks;
    crn_layer norm;
    crn_layer head;
    crn_rotary_table rotary;
    crn_mixed *mixed;      /* NULL: products are in float32 */
    crn_gpt2_cache *cache; /* NULL until the first text */
    crn_plans plans;
} crn_gpt2;

/* gpt2_declare.c: what the options mean for sizes, scales and first values. CAIRN_ECONFIG. */
cairn_status crn_gpt2_configure(crn_gpt2 *m, const cairn_gpt2_options *options, cairn_error *err);
/* Adds all parameters to @state in the Model Zoo's order. */
cairn_status crn_gpt2_declare(crn_gpt2 *m, cairn_state *state, cairn_error *err);

/* gpt2_lora.c: what the model can do with adapters. */
extern const cairn_adapter_ops crn_gpt2_adapter_ops;

/* gpt2_decode.c: logits[vocab_size] of the token that follows @tokens, which are within the
 * vocabulary; count >= 1. What it shares with the call before is not computed again. */
cairn_status crn_gpt2_next_logits(crn_gpt2 *m, const int32_t *tokens, int64_t count,
                                  float *out_logits, cairn_error *err);
/* The parameters have changed. Accepts NULL. */
void crn_gpt2_cache_forget(crn_gpt2_cache *cache);
/* Accepts NULL. */
void crn_gpt2_cache_destroy(crn_gpt2_cache *cache);

/* gpt2_record.c: the operations of a pass (crn_plan_record_fn). */
void crn_gpt2_record(const void *model, crn_plan *plan);

#endif
