#include "interop/hf_config.h"

#include <jansson.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"

/* What stands for an absent key. */
enum { MISTRAL_WINDOW = 4096 };
static const double k_dropout = 0.1;
static const double k_theta = 10000.0;

/* One reading: where it comes from and where it goes. */
struct reader {
    const json_t *config;
    const char *file;
    crn_doc *doc;
    crn_node *model;
    crn_diag *diag;
};

/* ---- Values ---- */

/* NULL where the key is absent or null. */
static const json_t *find(const json_t *map, const char *key)
{
    const json_t *const value = json_object_get(map, key);
    return json_is_null(value) ? NULL : value;
}

static cairn_status get_int(const struct reader *r, const char *key, int64_t *out, bool *out_found,
                            cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const json_t *const value = find(r->config, key);
    *out_found = value != NULL;
    if (value != NULL && !json_is_integer(value))
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s': \"%s\" is no integer", r->file, key);
    if (value != NULL)
        *out = json_integer_value(value);
out:
    return rc;
}

/* Takes integer @key, which must be there, as option @name. */
static cairn_status take_int(const struct reader *r, const char *key, const char *name,
                             int64_t *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    bool is_found = false;
    CRN_TRY_PLAIN(get_int(r, key, out, &is_found, err));
    if (!is_found)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' has no \"%s\"", r->file, key);
    (void)crn_doc_put_int(r->doc, r->model, name, *out, false, r->diag);
out:
    return rc;
}

static cairn_status get_number(const struct reader *r, const json_t *map, const char *key,
                               double fallback, double *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const json_t *const value = find(map, key);
    if (value != NULL && !json_is_number(value))
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s': \"%s\" is no number", r->file, key);
    *out = value != NULL ? json_number_value(value) : fallback;
out:
    return rc;
}

static cairn_status take_number(const struct reader *r, const char *key, double fallback,
                                const char *name, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    double value = 0.0;
    CRN_TRY_PLAIN(get_number(r, r->config, key, fallback, &value, err));
    (void)crn_doc_put_float(r->doc, r->model, name, value, false, r->diag);
out:
    return rc;
}

static cairn_status get_bool(const struct reader *r, const char *key, bool fallback, bool *out,
                             cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const json_t *const value = find(r->config, key);
    if (value != NULL && !json_is_boolean(value))
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s': \"%s\" is neither true nor false", r->file, key);
    *out = value != NULL ? json_is_true(value) : fallback;
out:
    return rc;
}

/* Takes bool @key as option @name. */
static cairn_status take_bool(const struct reader *r, const char *key, bool fallback,
                              const char *name, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    bool value = false;
    CRN_TRY_PLAIN(get_bool(r, key, fallback, &value, err));
    (void)crn_doc_put_bool(r->doc, r->model, name, value, false, r->diag);
out:
    return rc;
}

/* Feature @key must be off, since no model here has it. */
static cairn_status refuse(const struct reader *r, const char *key, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    bool value = false;
    CRN_TRY_PLAIN(get_bool(r, key, false, &value, err));
    if (value)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "'%s': \"%s\" is true, which this version lacks", r->file,
                 key);
out:
    return rc;
}

static cairn_status get_text(const struct reader *r, const json_t *map, const char *key,
                             const char *fallback, const char **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const json_t *const value = find(map, key);
    if (value != NULL && !json_is_string(value))
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s': \"%s\" is no text", r->file, key);
    *out = value != NULL ? json_string_value(value) : fallback;
out:
    return rc;
}

static void put_text(const struct reader *r, const char *name, const char *text)
{
    (void)crn_doc_put_text(r->doc, r->model, name, text, false, r->diag);
}

/* A map of options, which counts as given. */
static crn_node *put_map(const struct reader *r, const char *name)
{
    (void)crn_doc_put_null(r->doc, r->model, name, false, r->diag);
    return crn_doc_ensure_map(r->doc, r->model, name, r->diag);
}

static void put_bool(const struct reader *r, const char *name, bool value)
{
    (void)crn_doc_put_bool(r->doc, r->model, name, value, false, r->diag);
}

/* ---- Nonlinearities ---- */

/* The first row of ours is the one to write. */
static const struct nonlinearity {
    const char *theirs;
    const char *ours;
    bool is_gated;
} k_nonlinearities[] = {
    {"gelu_new", "gelu_new", false},  {"gelu_pytorch_tanh", "gelu_new", false},
    {"gelu", "gelu", false},          {"relu", "relu", false},
    {"silu", "silu", false},          {"swish", "silu", false},
    {"relu2", "squared_relu", false}, {"silu", "swiglu", true},
    {"swish", "swiglu", true},        {"gelu", "geglu", true},
    {"relu", "reglu", true},          {"linear", "liglu", true},
};

enum { NONLINEARITIES = sizeof k_nonlinearities / sizeof k_nonlinearities[0] };

static cairn_status take_nonlinearity(const struct reader *r, const char *key, const char *fallback,
                                      bool is_gated, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *theirs = NULL;
    char shown[100];
    CRN_TRY_PLAIN(get_text(r, r->config, key, fallback, &theirs, err));
    for (size_t i = 0; i < NONLINEARITIES; i++) {
        const struct nonlinearity *const row = &k_nonlinearities[i];
        if (row->is_gated == is_gated && strcmp(row->theirs, theirs) == 0) {
            put_text(r, "nonlinearity", row->ours);
            return CAIRN_OK;
        }
    }
    CRN_FAIL(err, CAIRN_EUNSUPPORTED, "'%s': \"%s\" is \"%s\", which this version lacks", r->file,
             key, crn_escape(theirs, strlen(theirs), shown, sizeof shown));
out:
    return rc;
}

static const struct nonlinearity *nonlinearity_of(const char *ours)
{
    for (size_t i = 0; i < NONLINEARITIES; i++) {
        if (strcmp(k_nonlinearities[i].ours, ours) == 0)
            return &k_nonlinearities[i];
    }
    return NULL;
}

/* ---- Reading ---- */

static cairn_status read_gpt2(const struct reader *r, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    int64_t width = 0;
    int64_t inner = 0;
    int64_t other = 0;
    bool is_found = false;
    bool is_scaled = true;
    put_text(r, "name", "gpt2");
    CRN_TRY_PLAIN(refuse(r, "scale_attn_by_inverse_layer_idx", err));
    CRN_TRY_PLAIN(refuse(r, "add_cross_attention", err));
    CRN_TRY_PLAIN(take_int(r, "vocab_size", "vocab_size", &other, err));
    CRN_TRY_PLAIN(take_int(r, "n_positions", "max_position_embeddings", &other, err));
    CRN_TRY_PLAIN(take_int(r, "n_embd", "hidden_size", &width, err));
    CRN_TRY_PLAIN(take_int(r, "n_layer", "num_hidden_layers", &other, err));
    CRN_TRY_PLAIN(take_int(r, "n_head", "num_heads", &other, err));
    CRN_TRY_PLAIN(get_int(r, "n_inner", &inner, &is_found, err));
    if (!is_found && __builtin_mul_overflow(width, 4, &inner))
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s': \"n_embd\" is out of range", r->file);
    (void)crn_doc_put_int(r->doc, r->model, "filter_size", inner, false, r->diag);
    CRN_TRY_PLAIN(take_number(r, "resid_pdrop", k_dropout, "dropout_rate", err));
    CRN_TRY_PLAIN(take_number(r, "attn_pdrop", k_dropout, "attention_dropout_rate", err));
    CRN_TRY_PLAIN(take_number(r, "embd_pdrop", k_dropout, "embedding_dropout_rate", err));
    CRN_TRY_PLAIN(take_number(r, "layer_norm_epsilon", 1e-5, "layer_norm_epsilon", err));
    CRN_TRY_PLAIN(take_number(r, "initializer_range", 0.02, "initializer_range", err));
    CRN_TRY_PLAIN(take_nonlinearity(r, "activation_function", "gelu_new", false, err));
    CRN_TRY_PLAIN(get_bool(r, "scale_attn_weights", true, &is_scaled, err));
    put_text(r, "attention_type", is_scaled ? "scaled_dot_product" : "dot_product");
    CRN_TRY_PLAIN(take_bool(r, "tie_word_embeddings", true, "share_embedding_weights", err));
out:
    return rc;
}

static cairn_status read_llama3_scaling(const struct reader *r, const json_t *rope,
                                        cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    double low = 0.0;
    double high = 0.0;
    const json_t *const length = find(rope, "original_max_position_embeddings");
    if (find(rope, "low_freq_factor") == NULL || find(rope, "high_freq_factor") == NULL ||
        !json_is_integer(length))
        CRN_FAIL(err, CAIRN_ECORRUPT,
                 "'%s': the scaling of positions \"llama3\" needs low_freq_factor, "
                 "high_freq_factor and original_max_position_embeddings",
                 r->file);
    CRN_TRY_PLAIN(get_number(r, rope, "low_freq_factor", 0.0, &low, err));
    CRN_TRY_PLAIN(get_number(r, rope, "high_freq_factor", 0.0, &high, err));
    crn_node *const extra = put_map(r, "pos_scaling_extra_args");
    CRN_NEED(err, extra, "the model's options");
    (void)crn_doc_put_float(r->doc, extra, "low_freq_factor", low, false, r->diag);
    (void)crn_doc_put_float(r->doc, extra, "high_freq_factor", high, false, r->diag);
    (void)crn_doc_put_int(r->doc, extra, "original_max_position_embeddings",
                          json_integer_value(length), false, r->diag);
out:
    return rc;
}

/* Version 5 has one map; 4 has the base apart, and "type" in its oldest files. */
static cairn_status read_rope(const struct reader *r, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const json_t *rope = find(r->config, "rope_parameters");
    const char *kind = "default";
    double theta = k_theta;
    double factor = 1.0;
    char shown[100];
    if (rope == NULL)
        rope = find(r->config, "rope_scaling");
    if (rope != NULL && !json_is_object(rope))
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s': the scaling of positions is no object", r->file);
    CRN_TRY_PLAIN(get_number(r, r->config, "rope_theta", k_theta, &theta, err));
    CRN_TRY_PLAIN(get_number(r, rope, "rope_theta", theta, &theta, err));
    (void)crn_doc_put_float(r->doc, r->model, "rope_theta", theta, false, r->diag);
    CRN_TRY_PLAIN(get_text(r, rope, "type", kind, &kind, err));
    CRN_TRY_PLAIN(get_text(r, rope, "rope_type", kind, &kind, err));
    if (strcmp(kind, "default") == 0)
        return CAIRN_OK;
    if (strcmp(kind, "linear") != 0 && strcmp(kind, "llama3") != 0)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "'%s': positions are scaled by \"%s\"; this version has linear and llama3",
                 r->file, crn_escape(kind, strlen(kind), shown, sizeof shown));
    if (find(rope, "factor") == NULL)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s': the scaling of positions has no factor", r->file);
    CRN_TRY_PLAIN(get_number(r, rope, "factor", 1.0, &factor, err));
    put_text(r, "pos_scaling_type", kind);
    (void)crn_doc_put_float(r->doc, r->model, "pos_scaling_factor", factor, false, r->diag);
    if (strcmp(kind, "llama3") == 0)
        CRN_TRY_PLAIN(read_llama3_scaling(r, rope, err));
out:
    return rc;
}

/* Heads, and groups of them that share keys and values. */
static cairn_status read_heads(const struct reader *r, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    int64_t width = 0;
    int64_t heads = 0;
    int64_t groups = 0;
    int64_t size = 0;
    double turned = 1.0;
    bool is_found = false;
    CRN_TRY_PLAIN(take_int(r, "hidden_size", "hidden_size", &width, err));
    CRN_TRY_PLAIN(take_int(r, "num_attention_heads", "num_heads", &heads, err));
    if (heads < 1 || width % heads != 0)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s': num_attention_heads does not divide hidden_size",
                 r->file);
    CRN_TRY_PLAIN(get_int(r, "head_dim", &size, &is_found, err));
    if (is_found && size != width / heads)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "'%s': \"head_dim\" is not hidden_size / num_attention_heads, which this version "
                 "lacks",
                 r->file);
    CRN_TRY_PLAIN(get_number(r, r->config, "partial_rotary_factor", 1.0, &turned, err));
    if (turned != 1.0)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "'%s': \"partial_rotary_factor\" is not 1", r->file);
    CRN_TRY_PLAIN(get_int(r, "num_key_value_heads", &groups, &is_found, err));
    if (!is_found || groups == heads)
        return CAIRN_OK;
    put_text(r, "attention_module", "multiquery_attention");
    crn_node *const extra = put_map(r, "extra_attention_params");
    CRN_NEED(err, extra, "the model's options");
    (void)crn_doc_put_int(r->doc, extra, "num_kv_groups", groups, false, r->diag);
out:
    return rc;
}

static cairn_status read_window(const struct reader *r, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    int64_t window = MISTRAL_WINDOW;
    bool is_found = false;
    CRN_TRY_PLAIN(get_int(r, "sliding_window", &window, &is_found, err));
    if (is_found || json_object_get(r->config, "sliding_window") == NULL)
        (void)crn_doc_put_int(r->doc, r->model, "attention_sliding_window_length", window, false,
                              r->diag);
out:
    return rc;
}

static cairn_status read_llama(const struct reader *r, bool is_mistral, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    int64_t other = 0;
    bool has_bias = false;
    put_text(r, "name", "llama");
    CRN_TRY_PLAIN(take_int(r, "vocab_size", "vocab_size", &other, err));
    CRN_TRY_PLAIN(take_int(r, "max_position_embeddings", "max_position_embeddings", &other, err));
    CRN_TRY_PLAIN(read_heads(r, err));
    CRN_TRY_PLAIN(take_int(r, "num_hidden_layers", "num_hidden_layers", &other, err));
    CRN_TRY_PLAIN(take_int(r, "intermediate_size", "filter_size", &other, err));
    (void)crn_doc_put_float(r->doc, r->model, "dropout_rate", 0.0, false, r->diag);
    CRN_TRY_PLAIN(take_number(r, "attention_dropout", 0.0, "attention_dropout_rate", err));
    CRN_TRY_PLAIN(take_number(r, "rms_norm_eps", 1e-6, "layer_norm_epsilon", err));
    CRN_TRY_PLAIN(take_number(r, "initializer_range", 0.02, "initializer_range", err));
    put_text(r, "position_embedding_type", "rotary");
    CRN_TRY_PLAIN(read_rope(r, err));
    put_text(r, "norm_type", "rmsnorm");
    CRN_TRY_PLAIN(take_nonlinearity(r, "hidden_act", "silu", true, err));
    CRN_TRY_PLAIN(get_bool(r, "attention_bias", false, &has_bias, err));
    put_bool(r, "use_projection_bias_in_attention", has_bias);
    put_bool(r, "use_ffn_bias_in_attention", has_bias);
    CRN_TRY_PLAIN(take_bool(r, "mlp_bias", false, "use_ffn_bias", err));
    CRN_TRY_PLAIN(take_bool(r, "tie_word_embeddings", false, "share_embedding_weights", err));
    if (is_mistral)
        CRN_TRY_PLAIN(read_window(r, err));
out:
    return rc;
}

static cairn_status read_model(const struct reader *r, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *type = NULL;
    char shown[100];
    CRN_TRY_PLAIN(get_text(r, r->config, "model_type", "", &type, err));
    if (strcmp(type, "gpt2") == 0)
        CRN_TRY_PLAIN(read_gpt2(r, err));
    else if (strcmp(type, "llama") == 0 || strcmp(type, "mistral") == 0)
        CRN_TRY_PLAIN(read_llama(r, type[0] == 'm', err));
    else
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "'%s': \"model_type\" is \"%s\"; this version reads gpt2, llama and mistral",
                 r->file, crn_escape(type, strlen(type), shown, sizeof shown));
out:
    return rc;
}

cairn_status crn_hf_config_read(const char *json, size_t size, const char *file, crn_doc *doc,
                                crn_node *model, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    json_error_t problem;
    crn_diag diag = {0};
    json_t *const config = json_loadb(json, size, JSON_REJECT_DUPLICATES, &problem);
    const struct reader reader = {config, file, doc, model, &diag};
    if (!json_is_object(config))
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' is no JSON object: line %d: %s", file,
                 config == NULL ? problem.line : 1,
                 config == NULL ? problem.text : "another value");
    CRN_TRY_PLAIN(read_model(&reader, err));
    CRN_TRY_PLAIN(crn_diag_check(&diag, err));
out:
    crn_diag_dispose(&diag);
    json_decref(config);
    return rc;
}

/* ---- What their models can be ---- */

static bool is(const char *text, const char *value)
{
    return strcmp(text, value) == 0;
}

/* Conditions that both families share. NULL, or the option that is not so. */
static const char *check_common(const cairn_gpt2_options *o)
{
    if (o->use_bias_in_output)
        return "use_bias_in_output: true";
    if (o->embedding_layer_norm)
        return "embedding_layer_norm: true";
    if (o->embeddings_scale != 1.0)
        return "embeddings_scale other than 1";
    if (o->mup_base_hidden_size.is_set)
        return "muP scales (mup_base_hidden_size)";
    if (o->scale_qk_dot_by_d)
        return "scale_qk_dot_by_d: true";
    if (o->attention_logits_alpha != 1.0)
        return "attention_logits_alpha other than 1";
    if (o->attention_sink_tokens.is_set && o->attention_sink_tokens.value > 0)
        return "attention_sink_tokens";
    return NULL;
}

int64_t crn_hf_kv_heads(const cairn_gpt2_options *o)
{
    return is(o->attention_module, "multiquery_attention") ? o->extra_attention_params.num_kv_groups
                                                           : o->num_heads;
}

static const char *check_gpt2(const cairn_gpt2_options *o)
{
    if (!is(o->norm_type, "layernorm"))
        return "norm_type: rmsnorm with learned positions";
    if (nonlinearity_of(o->nonlinearity)->is_gated)
        return "a gated nonlinearity with learned positions";
    if (!o->use_projection_bias_in_attention || !o->use_ffn_bias_in_attention || !o->use_ffn_bias)
        return "a GPT-2 without some of its biases";
    if (crn_hf_kv_heads(o) != o->num_heads)
        return "grouped keys and values with learned positions";
    if (o->attention_sliding_window_length.is_set)
        return "a sliding window with learned positions";
    return NULL;
}

static const char *check_llama(const cairn_gpt2_options *o)
{
    const bool has_window = o->attention_sliding_window_length.is_set;
    if (!is(o->norm_type, "rmsnorm"))
        return "norm_type: layernorm with rotary positions";
    if (!nonlinearity_of(o->nonlinearity)->is_gated)
        return "a nonlinearity without a gate with rotary positions";
    if (!is(o->attention_type, "scaled_dot_product"))
        return "attention_type: dot_product with rotary positions";
    if (o->rotary_dim.is_set && o->rotary_dim.value != o->hidden_size / o->num_heads)
        return "rotary_dim other than the head size";
    if (o->use_projection_bias_in_attention != o->use_ffn_bias_in_attention)
        return "biases in some projections of the attention and not in others";
    if (has_window && (o->use_projection_bias_in_attention || o->use_ffn_bias))
        return "a sliding window with biases";
    return NULL;
}

cairn_status crn_hf_family_of(const cairn_gpt2_options *o, crn_hf_family *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const bool is_rotary = is(o->position_embedding_type, "rotary");
    const char *problem = check_common(o);
    if (problem == NULL)
        problem = is_rotary ? check_llama(o) : check_gpt2(o);
    if (problem != NULL)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "the model has %s, which Hugging Face's gpt2, llama and mistral cannot express",
                 problem);
    *out = is_rotary ? CRN_HF_LLAMA : CRN_HF_GPT2;
out:
    return rc;
}

/* ---- Writing ---- */

static double or_else(cairn_opt_float value, double fallback)
{
    return value.is_set ? value.value : fallback;
}

/* Whether it went well; takes @value. */
static bool set(json_t *map, const char *key, json_t *value)
{
    return json_object_set_new(map, key, value) == 0;
}

static bool write_gpt2(const cairn_gpt2_options *o, json_t *c)
{
    json_t *const names = json_pack("[s]", "GPT2LMHeadModel");
    return set(c, "model_type", json_string("gpt2")) && set(c, "architectures", names) &&
           set(c, "n_positions", json_integer(o->max_position_embeddings)) &&
           set(c, "n_embd", json_integer(o->hidden_size)) &&
           set(c, "n_layer", json_integer(o->num_hidden_layers)) &&
           set(c, "n_head", json_integer(o->num_heads)) &&
           set(c, "n_inner", json_integer(o->filter_size)) &&
           set(c, "activation_function", json_string(nonlinearity_of(o->nonlinearity)->theirs)) &&
           set(c, "resid_pdrop", json_real(o->dropout_rate)) &&
           set(c, "attn_pdrop", json_real(or_else(o->attention_dropout_rate, o->dropout_rate))) &&
           set(c, "embd_pdrop", json_real(or_else(o->embedding_dropout_rate, o->dropout_rate))) &&
           set(c, "layer_norm_epsilon", json_real(o->layer_norm_epsilon)) &&
           set(c, "scale_attn_weights", json_boolean(is(o->attention_type, "scaled_dot_product")));
}

/* As version 4 writes it, which 5 reads too. */
static bool write_rope(const cairn_gpt2_options *o, json_t *c)
{
    const cairn_pos_scaling_options *const extra = &o->pos_scaling_extra_args;
    const bool is_llama3 = is(o->pos_scaling_type, "llama3");
    if (!set(c, "rope_theta", json_real(o->rope_theta)))
        return false;
    if (o->pos_scaling_factor == 1.0 && !is_llama3)
        return set(c, "rope_scaling", json_null());
    json_t *const rope = json_object();
    if (!set(c, "rope_scaling", rope) ||
        !set(rope, "rope_type", json_string(o->pos_scaling_type)) ||
        !set(rope, "factor", json_real(o->pos_scaling_factor)))
        return false;
    return !is_llama3 || (set(rope, "low_freq_factor", json_real(extra->low_freq_factor)) &&
                          set(rope, "high_freq_factor", json_real(extra->high_freq_factor)) &&
                          set(rope, "original_max_position_embeddings",
                              json_integer(extra->original_max_position_embeddings)));
}

static bool write_llama(const cairn_gpt2_options *o, json_t *c)
{
    const cairn_opt_int window = o->attention_sliding_window_length;
    json_t *const names =
        json_pack("[s]", window.is_set ? "MistralForCausalLM" : "LlamaForCausalLM");
    if (window.is_set && !set(c, "sliding_window", json_integer(window.value))) {
        json_decref(names);
        return false;
    }
    return set(c, "architectures", names) &&
           set(c, "model_type", json_string(window.is_set ? "mistral" : "llama")) &&
           set(c, "max_position_embeddings", json_integer(o->max_position_embeddings)) &&
           set(c, "hidden_size", json_integer(o->hidden_size)) &&
           set(c, "intermediate_size", json_integer(o->filter_size)) &&
           set(c, "num_hidden_layers", json_integer(o->num_hidden_layers)) &&
           set(c, "num_attention_heads", json_integer(o->num_heads)) &&
           set(c, "num_key_value_heads", json_integer(crn_hf_kv_heads(o))) &&
           set(c, "head_dim", json_integer(o->hidden_size / o->num_heads)) &&
           set(c, "hidden_act", json_string(nonlinearity_of(o->nonlinearity)->theirs)) &&
           set(c, "rms_norm_eps", json_real(o->layer_norm_epsilon)) &&
           set(c, "attention_bias", json_boolean(o->use_projection_bias_in_attention)) &&
           set(c, "attention_dropout",
               json_real(or_else(o->attention_dropout_rate, o->dropout_rate))) &&
           set(c, "mlp_bias", json_boolean(o->use_ffn_bias)) && write_rope(o, c);
}

static int append(const char *bytes, size_t size, void *user)
{
    crn_str_append_bytes(user, bytes, size);
    return 0;
}

cairn_status crn_hf_config_write(const cairn_gpt2_options *o, crn_str *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_hf_family family;
    json_t *const c = json_object();
    CRN_TRY_PLAIN(crn_hf_family_of(o, &family, err));
    /* The ids of the tokens that begin and end a text are the tokenizer's affair. */
    const bool is_written =
        (family == CRN_HF_GPT2 ? write_gpt2(o, c) : write_llama(o, c)) &&
        set(c, "vocab_size", json_integer(o->vocab_size)) &&
        set(c, "initializer_range", json_real(o->initializer_range)) &&
        set(c, "tie_word_embeddings", json_boolean(o->share_embedding_weights)) &&
        set(c, "torch_dtype", json_string("float32")) && set(c, "bos_token_id", json_null()) &&
        set(c, "eos_token_id", json_null());
    const size_t how = JSON_INDENT(2) | JSON_SORT_KEYS | JSON_REAL_PRECISION(17);
    if (!is_written || json_dump_callback(c, append, out, how) != 0)
        CRN_FAIL(err, CAIRN_ENOMEM, "no memory for config.json");
    crn_str_append(out, "\n");
    CRN_TRY_PLAIN(crn_str_check(out, err));
out:
    json_decref(c);
    return rc;
}
