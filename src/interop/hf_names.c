#include "interop/hf_names.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "base/try.h"

#define LAYER_PREFIX "transformer_decoder.layers."

/* NULL: the family has no such module. */
struct module {
    const char *ours;
    const char *gpt2;
    const char *llama;
    const char *gguf; /* of both */
    char part;        /* 'q', 'k', 'v' of the attention's inputs; else 0 */
    bool is_conv;     /* Conv1D in GPT-2 */
};

static const struct module k_outer[] = {
    {"embedding_layer.word_embeddings", "wte", "embed_tokens", "token_embd", 0, false},
    {"embedding_layer.position_embeddings.embed", "wpe", NULL, "position_embd", 0, false},
    {"ln_f", "ln_f", "norm", "output_norm", 0, false},
    {"lm_head", "lm_head", "lm_head", "output", 0, false},
};

static const struct module k_inner[] = {
    {"self_attn.proj_q_dense_layer", "attn.c_attn", "self_attn.q_proj", "attn_q", 'q', true},
    {"self_attn.proj_k_dense_layer", "attn.c_attn", "self_attn.k_proj", "attn_k", 'k', true},
    {"self_attn.proj_v_dense_layer", "attn.c_attn", "self_attn.v_proj", "attn_v", 'v', true},
    {"self_attn.proj_output_dense_layer", "attn.c_proj", "self_attn.o_proj", "attn_output", 0,
     true},
    {"norm1", "ln_1", "input_layernorm", "attn_norm", 0, false},
    {"norm3", "ln_2", "post_attention_layernorm", "ffn_norm", 0, false},
    {"ffn.ffn.0.linear_layer", "mlp.c_fc", "mlp.up_proj", "ffn_up", 0, true},
    {"ffn.ffn.0.linear_layer_for_glu", NULL, "mlp.gate_proj", "ffn_gate", 0, true},
    {"ffn.ffn.1.linear_layer", "mlp.c_proj", "mlp.down_proj", "ffn_down", 0, true},
};

const char *crn_hf_prefix(crn_hf_family family)
{
    return family == CRN_HF_GPT2 ? "transformer." : "model.";
}

/* @name is a module's name and ".weight" or ".bias", which *out_last points at. */
static const struct module *find(const struct module *modules, size_t count, const char *name,
                                 const char **out_last)
{
    const char *const dot = strrchr(name, '.');
    if (dot == NULL)
        return NULL;
    *out_last = dot;
    for (size_t i = 0; i < count; i++) {
        const size_t length = strlen(modules[i].ours);
        if (length == (size_t)(dot - name) && memcmp(modules[i].ours, name, length) == 0)
            return &modules[i];
    }
    return NULL;
}

/* The module of a tensor, and the layer that it is in: "" for none. */
static const struct module *locate(const char *ours, const char *layers, char layer[64],
                                   const char **out_last)
{
    layer[0] = '\0';
    if (!crn_starts_with(ours, LAYER_PREFIX))
        return find(k_outer, sizeof k_outer / sizeof k_outer[0], ours, out_last);
    const char *const number = ours + sizeof LAYER_PREFIX - 1;
    const size_t digits = strspn(number, "0123456789");
    (void)snprintf(layer, 64, "%s.%.*s.", layers, (int)digits, number);
    if (number[digits] != '.')
        return NULL;
    return find(k_inner, sizeof k_inner / sizeof k_inner[0], number + digits + 1, out_last);
}

/* Where the rows are: of query, key and value, one behind another in a tensor of GPT-2. */
static void place(crn_hf_family family, const struct module *module, const cairn_tensor *tensor,
                  crn_hf_piece *p)
{
    const bool is_fused = family == CRN_HF_GPT2 && module->part != 0;
    p->rows = tensor->shape[0];
    p->cols = tensor->rank == 2 ? tensor->shape[1] : 1;
    p->all = is_fused ? 3 * p->rows : p->rows;
    p->first = !is_fused             ? 0
               : module->part == 'k' ? p->rows
               : module->part == 'v' ? 2 * p->rows
                                     : 0;
}

cairn_status crn_hf_piece_of(crn_hf_family family, const cairn_gpt2_options *options,
                             const cairn_tensor *tensor, crn_hf_piece *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const bool is_gpt2 = family == CRN_HF_GPT2;
    const char *last = "";
    char layer[64];
    *out = (crn_hf_piece){0};
    const struct module *const module =
        locate(tensor->name, is_gpt2 ? "h" : "layers", layer, &last);
    const char *const theirs = module == NULL ? NULL : is_gpt2 ? module->gpt2 : module->llama;
    if (theirs == NULL)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "Hugging Face's models have no place for '%s'",
                 tensor->name);
    (void)snprintf(out->name, sizeof out->name, "%s%s%s", layer, theirs, last);
    out->is_outer = module == &k_outer[sizeof k_outer / sizeof k_outer[0] - 1];
    place(family, module, tensor, out);
    out->is_transposed = is_gpt2 && module->is_conv && tensor->rank == 2;
    if (!is_gpt2 && (module->part == 'q' || module->part == 'k'))
        out->turned = options->hidden_size / options->num_heads;
out:
    return rc;
}

cairn_status crn_gguf_piece_of(crn_hf_family family, const cairn_tensor *tensor, crn_hf_piece *out,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *last = "";
    char layer[64];
    *out = (crn_hf_piece){.is_outer = true};
    const struct module *const module = locate(tensor->name, "blk", layer, &last);
    if (module == NULL)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "GGUF has no place for '%s'", tensor->name);
    const bool is_fused = family == CRN_HF_GPT2 && module->part != 0;
    (void)snprintf(out->name, sizeof out->name, "%s%s%s", layer,
                   is_fused ? "attn_qkv" : module->gguf, last);
    place(family, module, tensor, out);
out:
    return rc;
}

bool crn_hf_is_derived(const char *name)
{
    static const char *const k_ends[] = {".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq"};
    const size_t length = strlen(name);
    for (size_t i = 0; i < sizeof k_ends / sizeof k_ends[0]; i++) {
        const size_t end = strlen(k_ends[i]);
        if (length >= end && strcmp(name + length - end, k_ends[i]) == 0)
            return true;
    }
    return false;
}
