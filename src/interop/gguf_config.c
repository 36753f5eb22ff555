#include "interop/gguf_config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "nn/rotary.h"

enum { KEY_SIZE = 96 };

#define KEY_NONLINEARITY "cairn.nonlinearity"
#define KEY_LOW          "cairn.rope.low_freq_factor"
#define KEY_HIGH         "cairn.rope.high_freq_factor"
#define KEY_FACTOR       "cairn.rope.factor"
#define KEY_LENGTH       "cairn.rope.original_context_length"

/* Of Llama 3.1 and its successors, whose files do not say them. */
enum { LLAMA3_LENGTH = 8192 };
static const double k_llama3_low = 1.0;
static const double k_llama3_high = 4.0;

/* The file has floats. */
static const double k_stretch_tolerance = 1e-5;

static bool is(const char *text, const char *value)
{
    return strcmp(text, value) == 0;
}

/* ---- Reading ---- */

struct reader {
    const crn_gguf *gguf;
    const char *architecture;
    const char *file;
    crn_doc *doc;
    crn_node *model;
    crn_diag *diag;
};

/* "llama." and @key; those with a "cairn." or "general." of their own are as they are. */
static const crn_gguf_pair *find(const struct reader *r, const char *key, char full[KEY_SIZE])
{
    const bool is_whole = crn_starts_with(key, "cairn.") || crn_starts_with(key, "general.");
    (void)snprintf(full, KEY_SIZE, "%s%s%s", is_whole ? "" : r->architecture, is_whole ? "" : ".",
                   key);
    return crn_gguf_find(r->gguf, full);
}

/* *out stays as it is where there is no such key. */
static cairn_status get_int(const struct reader *r, const char *key, int64_t *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char full[KEY_SIZE];
    const crn_gguf_pair *const pair = find(r, key, full);
    if (pair != NULL && !crn_gguf_to_int(pair, out))
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s': %s is no integer", r->file, full);
out:
    return rc;
}

static cairn_status get_number(const struct reader *r, const char *key, double *out,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char full[KEY_SIZE];
    const crn_gguf_pair *const pair = find(r, key, full);
    if (pair != NULL && !crn_gguf_to_number(pair, out))
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s': %s is no number", r->file, full);
out:
    return rc;
}

static cairn_status need(const struct reader *r, const char *key, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char full[KEY_SIZE];
    if (find(r, key, full) == NULL)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' has no %s", r->file, full);
out:
    return rc;
}

/* Takes integer @key, which must be there, as option @name. */
static cairn_status take_int(const struct reader *r, const char *key, const char *name,
                             int64_t *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(need(r, key, err));
    CRN_TRY_PLAIN(get_int(r, key, out, err));
    (void)crn_doc_put_int(r->doc, r->model, name, *out, false, r->diag);
out:
    return rc;
}

static void put_text(const struct reader *r, const char *name, const char *text)
{
    (void)crn_doc_put_text(r->doc, r->model, name, text, false, r->diag);
}

static void put_bool(const struct reader *r, const char *name, bool value)
{
    (void)crn_doc_put_bool(r->doc, r->model, name, value, false, r->diag);
}

static void put_number(const struct reader *r, const char *name, double value)
{
    (void)crn_doc_put_float(r->doc, r->model, name, value, false, r->diag);
}

/* A map of options, which counts as given. */
static crn_node *put_map(const struct reader *r, const char *name)
{
    (void)crn_doc_put_null(r->doc, r->model, name, false, r->diag);
    return crn_doc_ensure_map(r->doc, r->model, name, r->diag);
}

/* Whether the file has tensor @name: of biases and the output layer there is no key. */
static bool has(const struct reader *r, const char *name)
{
    return crn_gguf_find_tensor(r->gguf, name) != NULL;
}

/* Sizes, which both architectures call the same; *out_width and *out_heads are wanted further on.
 */
static cairn_status read_sizes(const struct reader *r, int64_t *out_width, int64_t *out_heads,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    int64_t other = 0;
    const crn_gguf_tensor *const words = crn_gguf_find_tensor(r->gguf, "token_embd.weight");
    if (words == NULL || words->rank != 2 || words->shape[0] > INT32_MAX)
        CRN_FAIL(err, CAIRN_EINCOMPATIBLE, "'%s' has no matrix token_embd.weight", r->file);
    (void)crn_doc_put_int(r->doc, r->model, "vocab_size", (int64_t)words->shape[0], false, r->diag);
    CRN_TRY_PLAIN(take_int(r, "context_length", "max_position_embeddings", &other, err));
    CRN_TRY_PLAIN(take_int(r, "embedding_length", "hidden_size", out_width, err));
    CRN_TRY_PLAIN(take_int(r, "block_count", "num_hidden_layers", &other, err));
    CRN_TRY_PLAIN(take_int(r, "attention.head_count", "num_heads", out_heads, err));
    CRN_TRY_PLAIN(take_int(r, "feed_forward_length", "filter_size", &other, err));
    if (*out_heads < 1 || *out_width < 1 || *out_width % *out_heads != 0)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s': the heads do not divide the width", r->file);
    put_number(r, "dropout_rate", 0.0);
    put_bool(r, "share_embedding_weights", !has(r, "output.weight"));
out:
    return rc;
}

static cairn_status read_epsilon(const struct reader *r, const char *key, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    double epsilon = 0.0;
    CRN_TRY_PLAIN(need(r, key, err));
    CRN_TRY_PLAIN(get_number(r, key, &epsilon, err));
    put_number(r, "layer_norm_epsilon", epsilon);
out:
    return rc;
}

static cairn_status read_gpt2(const struct reader *r, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    int64_t width = 0;
    int64_t heads = 0;
    char full[KEY_SIZE];
    put_text(r, "name", "gpt2");
    CRN_TRY_PLAIN(read_sizes(r, &width, &heads, err));
    CRN_TRY_PLAIN(read_epsilon(r, "attention.layer_norm_epsilon", err));
    const crn_gguf_pair *const pair = find(r, KEY_NONLINEARITY, full);
    put_text(r, "nonlinearity",
             pair != NULL && crn_gguf_is_text(pair, "gelu") ? "gelu" : "gelu_new");
out:
    return rc;
}

/* What must be so if the key is there at all. */
static cairn_status must_be(const struct reader *r, const char *key, int64_t wanted,
                            cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    int64_t value = wanted;
    CRN_TRY_PLAIN(get_int(r, key, &value, err));
    if (value != wanted)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "'%s': %s.%s is %lld; this version reads %lld only",
                 r->file, r->architecture, key, (long long)value, (long long)wanted);
out:
    return rc;
}

static cairn_status read_heads(const struct reader *r, int64_t width, int64_t heads,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    int64_t groups = heads;
    int64_t window = 0;
    CRN_TRY_PLAIN(must_be(r, "expert_count", 0, err));
    CRN_TRY_PLAIN(must_be(r, "rope.dimension_count", width / heads, err));
    CRN_TRY_PLAIN(must_be(r, "attention.key_length", width / heads, err));
    CRN_TRY_PLAIN(must_be(r, "attention.value_length", width / heads, err));
    CRN_TRY_PLAIN(get_int(r, "attention.head_count_kv", &groups, err));
    CRN_TRY_PLAIN(get_int(r, "attention.sliding_window", &window, err));
    if (groups != heads) {
        put_text(r, "attention_module", "multiquery_attention");
        crn_node *const extra = put_map(r, "extra_attention_params");
        (void)crn_doc_put_int(r->doc, extra, "num_kv_groups", groups, false, r->diag);
    }
    if (window != 0)
        (void)crn_doc_put_int(r->doc, r->model, "attention_sliding_window_length", window, false,
                              r->diag);
out:
    return rc;
}

/* @last: the stretch of the longest wave, which is the factor. */
static cairn_status read_llama3(const struct reader *r, double last, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    double low = k_llama3_low;
    double high = k_llama3_high;
    double factor = last;
    int64_t length = LLAMA3_LENGTH;
    CRN_TRY_PLAIN(get_number(r, KEY_LOW, &low, err));
    CRN_TRY_PLAIN(get_number(r, KEY_HIGH, &high, err));
    CRN_TRY_PLAIN(get_number(r, KEY_FACTOR, &factor, err));
    CRN_TRY_PLAIN(get_int(r, KEY_LENGTH, &length, err));
    put_text(r, "pos_scaling_type", "llama3");
    put_number(r, "pos_scaling_factor", factor);
    crn_node *const extra = put_map(r, "pos_scaling_extra_args");
    CRN_NEED(err, extra, "the model's options");
    (void)crn_doc_put_float(r->doc, extra, "low_freq_factor", low, false, r->diag);
    (void)crn_doc_put_float(r->doc, extra, "high_freq_factor", high, false, r->diag);
    (void)crn_doc_put_int(r->doc, extra, "original_max_position_embeddings", length, false,
                          r->diag);
out:
    return rc;
}

static cairn_status read_positions(const struct reader *r, const float *stretches, size_t count,
                                   cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    double theta = 10000.0; /* as llama.cpp */
    double factor = 1.0;
    char full[KEY_SIZE];
    put_text(r, "position_embedding_type", "rotary");
    CRN_TRY_PLAIN(get_number(r, "rope.freq_base", &theta, err));
    put_number(r, "rope_theta", theta);
    const crn_gguf_pair *const kind = find(r, "rope.scaling.type", full);
    if (kind != NULL && !crn_gguf_is_text(kind, "none") && !crn_gguf_is_text(kind, "linear"))
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "'%s': %s is neither none nor linear", r->file, full);
    /* The first is what older files have; llama.cpp takes either without looking at the type. */
    CRN_TRY_PLAIN(get_number(r, "rope.scale_linear", &factor, err));
    CRN_TRY_PLAIN(get_number(r, "rope.scaling.factor", &factor, err));
    if (stretches == NULL && factor != 1.0 && factor != 0.0)
        put_number(r, "pos_scaling_factor", factor);
    if (stretches != NULL && factor != 1.0 && factor != 0.0)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "'%s' has both a factor and " CRN_GGUF_STRETCHES "; this version reads one",
                 r->file);
    if (stretches != NULL && count > 0)
        CRN_TRY_PLAIN(read_llama3(r, (double)stretches[count - 1], err));
out:
    return rc;
}

static cairn_status read_llama(const struct reader *r, const float *stretches, size_t count,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    int64_t width = 0;
    int64_t heads = 0;
    put_text(r, "name", "llama");
    CRN_TRY_PLAIN(read_sizes(r, &width, &heads, err));
    CRN_TRY_PLAIN(read_heads(r, width, heads, err));
    CRN_TRY_PLAIN(read_epsilon(r, "attention.layer_norm_rms_epsilon", err));
    CRN_TRY_PLAIN(read_positions(r, stretches, count, err));
    put_text(r, "norm_type", "rmsnorm");
    put_text(r, "nonlinearity", "swiglu");
    put_bool(r, "use_projection_bias_in_attention", has(r, "blk.0.attn_q.bias"));
    put_bool(r, "use_ffn_bias_in_attention", has(r, "blk.0.attn_output.bias"));
    put_bool(r, "use_ffn_bias", has(r, "blk.0.ffn_up.bias"));
out:
    return rc;
}

cairn_status crn_gguf_config_read(const crn_gguf *gguf, const float *stretches,
                                  size_t stretch_count, const char *file, crn_doc *doc,
                                  crn_node *model, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_diag diag = {0};
    char shown[100];
    struct reader r = {.gguf = gguf, .file = file, .doc = doc, .model = model, .diag = &diag};
    const crn_gguf_pair *const name = crn_gguf_find(gguf, "general.architecture");
    if (name == NULL || name->kind != CRN_GGUF_TEXT)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' has no general.architecture", file);
    if (crn_gguf_is_text(name, "gpt2")) {
        r.architecture = "gpt2";
        CRN_TRY_PLAIN(read_gpt2(&r, err));
    } else if (crn_gguf_is_text(name, "llama")) {
        r.architecture = "llama";
        CRN_TRY_PLAIN(read_llama(&r, stretches, stretch_count, err));
    } else {
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "'%s': general.architecture is \"%s\"; this version reads gpt2 and llama", file,
                 crn_escape((const char *)name->bytes, (size_t)name->count, shown, sizeof shown));
    }
    CRN_TRY_PLAIN(crn_diag_check(&diag, err));
out:
    crn_diag_dispose(&diag);
    return rc;
}

cairn_status crn_gguf_check_stretches(const cairn_gpt2_options *o, const float *stretches,
                                      size_t stretch_count, const char *file, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const int64_t size = o->hidden_size / o->num_heads;
    bool is_same = (int64_t)stretch_count == size / 2;
    for (size_t i = 0; i < stretch_count && is_same; i++) {
        const double expected = crn_rotary_stretch(o, size, (int64_t)i);
        is_same = fabs((double)stretches[i] - expected) <= k_stretch_tolerance * expected;
    }
    if (!is_same)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "'%s': " CRN_GGUF_STRETCHES " does not stretch positions as Llama 3 does", file);
out:
    return rc;
}

/* ---- Writing ---- */

cairn_status crn_gguf_family_of(const cairn_gpt2_options *o, crn_hf_family *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *problem = NULL;
    CRN_TRY_PLAIN(crn_hf_family_of(o, out, err));
    if (*out == CRN_HF_LLAMA && !is(o->nonlinearity, "swiglu"))
        problem = "a nonlinearity other than swiglu";
    if (*out == CRN_HF_GPT2 && !is(o->nonlinearity, "gelu_new") && !is(o->nonlinearity, "gelu"))
        problem = "a nonlinearity other than gelu_new and gelu";
    if (*out == CRN_HF_GPT2 && !is(o->attention_type, "scaled_dot_product"))
        problem = "attention_type: dot_product";
    if (problem != NULL)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "the model has %s, which GGUF's %s cannot express",
                 problem, *out == CRN_HF_GPT2 ? "gpt2" : "llama");
out:
    return rc;
}

struct writer {
    const char *architecture;
    crn_gguf_pairs *out;
};

static void put_size(const struct writer *w, const char *key, int64_t value)
{
    char full[KEY_SIZE];
    (void)snprintf(full, sizeof full, "%s.%s", w->architecture, key);
    crn_gguf_put_u32(w->out, full, (uint32_t)value);
}

static void put_float(const struct writer *w, const char *key, double value)
{
    char full[KEY_SIZE];
    (void)snprintf(full, sizeof full, "%s.%s", w->architecture, key);
    crn_gguf_put_f32(w->out, full, value);
}

static void write_positions(const struct writer *w, const cairn_gpt2_options *o)
{
    const cairn_pos_scaling_options *const extra = &o->pos_scaling_extra_args;
    put_size(w, "rope.dimension_count", o->hidden_size / o->num_heads);
    put_float(w, "rope.freq_base", o->rope_theta);
    if (is(o->pos_scaling_type, "llama3")) {
        /* llama.cpp has the tensor; its own keys would stretch all waves once more. */
        crn_gguf_put_f32(w->out, KEY_FACTOR, o->pos_scaling_factor);
        crn_gguf_put_f32(w->out, KEY_LOW, extra->low_freq_factor);
        crn_gguf_put_f32(w->out, KEY_HIGH, extra->high_freq_factor);
        crn_gguf_put_u32(w->out, KEY_LENGTH, (uint32_t)extra->original_max_position_embeddings);
    } else if (o->pos_scaling_factor != 1.0) {
        crn_gguf_put_text(w->out, "llama.rope.scaling.type", "linear");
        put_float(w, "rope.scaling.factor", o->pos_scaling_factor);
    }
}

void crn_gguf_config_write(const cairn_gpt2_options *o, crn_hf_family family, cairn_dtype dtype,
                           crn_gguf_pairs *out)
{
    enum { F32 = 0, F16 = 1, BF16 = 32 }; /* of llama.cpp's file types */
    const bool is_gpt2 = family == CRN_HF_GPT2;
    const struct writer w = {.architecture = is_gpt2 ? "gpt2" : "llama", .out = out};
    crn_gguf_put_text(out, "general.architecture", w.architecture);
    crn_gguf_put_text(out, "general.type", "model");
    crn_gguf_put_u32(out, "general.file_type",
                     dtype == CAIRN_DTYPE_F16    ? F16
                     : dtype == CAIRN_DTYPE_BF16 ? BF16
                                                 : F32);
    put_size(&w, "vocab_size", o->vocab_size);
    put_size(&w, "context_length", o->max_position_embeddings);
    put_size(&w, "embedding_length", o->hidden_size);
    put_size(&w, "block_count", o->num_hidden_layers);
    put_size(&w, "feed_forward_length", o->filter_size);
    put_size(&w, "attention.head_count", o->num_heads);
    if (is_gpt2) {
        put_float(&w, "attention.layer_norm_epsilon", o->layer_norm_epsilon);
        if (is(o->nonlinearity, "gelu"))
            crn_gguf_put_text(out, KEY_NONLINEARITY, "gelu");
        return;
    }
    put_size(&w, "attention.head_count_kv", crn_hf_kv_heads(o));
    put_float(&w, "attention.layer_norm_rms_epsilon", o->layer_norm_epsilon);
    write_positions(&w, o);
    if (o->attention_sliding_window_length.is_set)
        put_size(&w, "attention.sliding_window", o->attention_sliding_window_length.value);
}
