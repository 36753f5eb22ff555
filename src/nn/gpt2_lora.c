/*
 * Low-rank adapters of the GPT-2 family (E. J. Hu et al., "LoRA: Low-Rank Adaptation of Large
 * Language Models", 2021). Which layers a group means, how adapters begin and what they are called
 * is as in the Model Zoo (common/utils/model/lora.py, release 2.10).
 */
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "kernels/kernels.h"
#include "nn/gpt2.h"
#include "nn/initial.h"

enum { NAME_SIZE = 128 };

#define HEAD_NAME "lm_head"

/* The classes that the whole model is in the Model Zoo, whichever configuration it has. */
static const char *const k_roots[] = {"Gpt2Model",  "GPT2LMHeadModel",  "GPT3Model",
                                      "LlamaModel", "LlamaLMHeadModel", NULL};
#define DECODER_CLASSES "TransformerDecoder", "ModuleList", "TransformerDecoderLayer"
static const char *const k_words[] = {"EmbeddingLayer", "Embedding", NULL};
static const char *const k_positions[] = {"EmbeddingLayer", "LearnedPositionEmbeddingLayer",
                                          "Embedding", NULL};
static const char *const k_attention[] = {DECODER_CLASSES, "MultiheadAttention", "Linear", NULL};
static const char *const k_grouped[] = {DECODER_CLASSES, "MultiQueryAttention", "Linear", NULL};
static const char *const k_ffn[] = {DECODER_CLASSES, "FeedForwardNetwork", "SingleFeedForwardLayer",
                                    "Linear", NULL};
static const char *const k_head[] = {"Linear", NULL};

/* A layer that may get an adapter. */
struct site {
    const cairn_tensor *weight; /* NULL: the model has no such layer */
    const char *name;           /* NULL: that of the weight */
    const char *const *classes; /* that it lies in, and its own; ends with NULL */
    bool is_table;
    crn_lora *lora;
};

typedef cairn_status (*visit_fn)(void *user, const struct site *site, cairn_error *err);

/* Every layer there is, in the order of the model's parameters. */
static cairn_status visit_sites(crn_gpt2 *m, visit_fn visit, void *user, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const bool is_grouped = strcmp(m->options.attention_module, "multiquery_attention") == 0;
    const char *const *const attention = is_grouped ? k_grouped : k_attention;
    const struct site words = {m->words, NULL, k_words, true, &m->words_lora};
    const struct site positions = {m->positions, NULL, k_positions, true, &m->positions_lora};
    const struct site head = {m->head.weight, HEAD_NAME, k_head, false, &m->head.lora};
    CRN_TRY_PLAIN(visit(user, &words, err));
    if (m->positions != NULL)
        CRN_TRY_PLAIN(visit(user, &positions, err));
    for (int64_t i = 0; i < m->options.num_hidden_layers; i++) {
        crn_gpt2_block *const b = &m->blocks[i];
        crn_layer *const layers[] = {&b->q,    &b->k,    &b->v,   &b->attention_out,
                                     &b->ffn0, &b->gate, &b->ffn1};
        for (size_t j = 0; j < sizeof layers / sizeof layers[0]; j++) {
            const bool is_attention = j < 4;
            const struct site site = {layers[j]->weight, NULL, is_attention ? attention : k_ffn,
                                      false, &layers[j]->lora};
            if (site.weight != NULL) /* The gate is not there in all models. */
                CRN_TRY_PLAIN(visit(user, &site, err));
        }
    }
    CRN_TRY_PLAIN(visit(user, &head, err));
out:
    return rc;
}

/* "lm_head", or "ln_f" of "ln_f.weight". */
static void name_of(const struct site *site, char out[NAME_SIZE])
{
    const char *const name = site->name != NULL ? site->name : site->weight->name;
    (void)snprintf(out, NAME_SIZE, "%s", name);
    if (site->name == NULL)
        *strrchr(out, '.') = '\0';
}

/* ---- Which layers are meant ---- */

static bool is_among(const char *const *names, const char *name)
{
    for (size_t i = 0; names[i] != NULL; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* Whether @pattern is for a part of the path @name, or for all of it. */
static bool is_part(const char *name, const char *pattern)
{
    char path[NAME_SIZE];
    char *rest = path;
    (void)snprintf(path, sizeof path, "%s", name);
    if (fnmatch(pattern, name, 0) == 0)
        return true;
    for (const char *part = strsep(&rest, "."); part != NULL; part = strsep(&rest, "."))
        if (fnmatch(pattern, part, 0) == 0)
            return true;
    return false;
}

/* All targets must be met, as in get_lora_config_for_module; patterns are ours. */
static bool is_meant(const cairn_lora_params_options *group, const struct site *site,
                     const char *name)
{
    for (size_t i = 0; i < group->target_modules.count; i++) {
        const char *const target = group->target_modules.items[i];
        if (!is_among(site->classes, target) && !is_among(k_roots, target) &&
            !is_part(name, target))
            return false;
    }
    return true;
}

/* ---- Adding ---- */

struct adding {
    crn_gpt2 *model;
    const cairn_lora_params_list *groups;
    bool *has_met; /* [groups] a layer */
};

static cairn_status add_site(void *user, const struct site *site, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const struct adding *const adding = user;
    crn_gpt2 *const m = adding->model;
    char name[NAME_SIZE];
    size_t i = 0;
    name_of(site, name);
    while (i < adding->groups->count && !is_meant(&adding->groups->items[i], site, name))
        i++;
    if (i == adding->groups->count)
        return CAIRN_OK;
    const cairn_lora_params_options *const group = &adding->groups->items[i];
    adding->has_met[i] = true;
    if (group->r == 0)
        return CAIRN_OK;
    const int64_t rows = site->weight->shape[0];
    const int64_t cols = site->weight->shape[1];
    CRN_TRY_PLAIN(crn_params_add_lora(&m->adapters, name, group->r, site->is_table ? rows : cols,
                                      site->is_table ? cols : rows, site->is_table, site->lora,
                                      err));
    site->lora->scale = group->alpha / (double)group->r;
    site->lora->dropout_rate = group->dropout;
    if (group->r > m->adapter_rank_max)
        m->adapter_rank_max = group->r;
out:
    return rc;
}

static cairn_status add(void *self, const cairn_lora_params_list *groups, cairn_state *state,
                        cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_gpt2 *const m = self;
    struct adding adding = {.model = m, .groups = groups};
    adding.has_met = crn_calloc(groups->count + 1, sizeof *adding.has_met);
    CRN_NEED(err, adding.has_met, "adapters");
    m->adapters.state = state;
    m->adapters.first_number = m->params.count;
    CRN_TRY_PLAIN(visit_sites(m, add_site, &adding, err));
    for (size_t i = 0; i < groups->count; i++)
        if (!adding.has_met[i])
            CRN_FAIL(err, CAIRN_ECONFIG,
                     "lora_params %zu means no layer of the model, or only layers that one before "
                     "it means; each of its target_modules must be a class that the layer lies in "
                     "(TransformerDecoderLayer, %s, FeedForwardNetwork, EmbeddingLayer, Linear, "
                     "Embedding) or a pattern for a part of its name (proj_[qv]_dense_layer)",
                     i + 1,
                     strcmp(m->options.attention_module, "multiquery_attention") == 0
                         ? "MultiQueryAttention"
                         : "MultiheadAttention");
    if (m->adapters.count == 0)
        CRN_FAIL(err, CAIRN_ECONFIG, "lora_params give no layer an adapter: r is 0");
out:
    crn_free(adding.has_met);
    return rc;
}

static cairn_status initialize(void *self, cairn_state_tree *tree, uint64_t seed, cairn_error *err)
{
    const crn_gpt2 *const m = self;
    return crn_params_initialize(&m->adapters, tree, seed, err);
}

/* ---- Merging ---- */

struct merging {
    const crn_gpt2 *model;
    cairn_state_tree *tree;
};

/* weight[rows][cols] += scale b a, of a table its transpose; whole rows in tiles of the guard. */
static cairn_status merge_weight(cairn_state_tree *tree, const struct site *site, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_tensor *const weight = site->weight;
    const int64_t rows = weight->shape[0];
    const int64_t cols = weight->shape[1];
    const int64_t rank = site->lora->b->shape[1];
    const float *const a = site->lora->a->data;
    const float *const b = site->lora->b->data;
    const uint64_t row_bytes = (uint64_t)cols * sizeof(float);
    const int64_t most = (int64_t)(CAIRN_WRITE_TILE_BYTES / row_bytes);
    const int64_t step = most > 0 ? most : 1;
    for (int64_t first = 0; first < rows; first += step) {
        const int64_t count = rows - first < step ? rows - first : step;
        const uint64_t at = (uint64_t)first * row_bytes;
        const uint64_t bytes = (uint64_t)count * row_bytes;
        const crn_matrix left = {.data = site->is_table ? a + first : b + first * rank,
                                 .stride = site->is_table ? rows : rank,
                                 .is_transposed = site->is_table};
        const crn_matrix right = {.data = site->is_table ? b : a,
                                  .stride = site->is_table ? rank : cols,
                                  .is_transposed = site->is_table};
        float *const to = cairn_tensor_write_begin(tree, weight, at, bytes);
        rc =
            crn_gemm(count, cols, rank, (float)site->lora->scale, left, right, 1.0F, to, cols, err);
        cairn_tensor_write_end(tree, weight, at, bytes);
        CRN_TRY_PLAIN(rc);
    }
out:
    return rc;
}

static cairn_status merge_site(void *user, const struct site *site, cairn_error *err)
{
    static const cairn_initializer k_zeros = {.kind = CAIRN_INIT_ZEROS};
    cairn_status rc = CAIRN_OK;
    const struct merging *const merging = user;
    const crn_gpt2 *const m = merging->model;
    if (site->lora->a == NULL)
        return CAIRN_OK;
    if (m->head.weight == m->words && site->weight == m->words)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "the embedding and the output layer share one weight, and an adapter of one of "
                 "them cannot be merged into it; keep adapters beside the base, or train with "
                 "share_embedding_weights: false or without adapters there");
    CRN_TRY_PLAIN(merge_weight(merging->tree, site, err));
    CRN_TRY_PLAIN(crn_initialize(merging->tree, site->lora->b, &k_zeros, 0, 0, err));
out:
    return rc;
}

static cairn_status merge(void *self, cairn_state_tree *tree, cairn_error *err)
{
    struct merging merging = {.model = self, .tree = tree};
    return visit_sites(self, merge_site, &merging, err);
}

const cairn_adapter_ops crn_gpt2_adapter_ops = {
    .struct_size = sizeof(cairn_adapter_ops), .add = add, .initialize = initialize, .merge = merge};
