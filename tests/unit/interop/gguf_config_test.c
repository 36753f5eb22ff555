/* Options of a model from and to the metadata of a GGUF file. */
#include "interop/gguf_config.h"

#include <stdio.h>
#include <string.h>

#include "kit/kit.h"
#include "nn/rotary.h"

enum { STRETCHES_MAX = 8 };

#define GPT2                                                                                       \
    "name: gpt2, vocab_size: 10, max_position_embeddings: 8, hidden_size: 8, num_heads: 2, "       \
    "num_hidden_layers: 1, filter_size: 12, dropout_rate: 0.0"
#define LLAMA                                                                                      \
    "name: llama, vocab_size: 10, max_position_embeddings: 64, hidden_size: 64, num_heads: 4, "    \
    "num_hidden_layers: 1, filter_size: 12, dropout_rate: 0.0, position_embedding_type: rotary, "  \
    "norm_type: rmsnorm, share_embedding_weights: false"
#define SWIGLU ", nonlinearity: swiglu"
#define NO_BIASES                                                                                  \
    ", use_projection_bias_in_attention: false, use_ffn_bias_in_attention: false, "                \
    "use_ffn_bias: false"

/* Options, and the document that owns their texts. */
struct model {
    crn_doc *doc;
    cairn_gpt2_options options;
};

static void read_yaml(const char *yaml, struct model *out)
{
    crn_diag diag = {0};
    cairn_error err = {0};
    char text[1000];
    (void)snprintf(text, sizeof text, "{model: {%s}}", yaml);
    assert_true(crn_doc_parse(text, strlen(text), "test", &diag, &out->doc));
    crn_node *const node = crn_node_get(crn_doc_root(out->doc), "model");
    (void)crn_section_read(crn_section_find("gpt2"), "model", out->doc, node, &out->options, &diag);
    tk_assert_ok(crn_diag_check(&diag, &err), &err);
    crn_diag_dispose(&diag);
}

static void add_tensor(crn_str *infos, const char *name, uint64_t rows, uint64_t *count)
{
    crn_gguf_append_text(infos, name, strlen(name));
    crn_gguf_append_number(infos, 2, 4);
    crn_gguf_append_number(infos, 0, 8); /* No elements, so no bytes. */
    crn_gguf_append_number(infos, rows, 8);
    crn_gguf_append_number(infos, 0, 4);
    crn_gguf_append_number(infos, 0, 8);
    (*count)++;
}

/* A file with this metadata and tensors without elements. */
static crn_str make_file(const crn_gguf_pairs *pairs, const cairn_gpt2_options *o)
{
    crn_str infos = {0};
    crn_str out = {0};
    uint64_t count = 0;
    add_tensor(&infos, "token_embd.weight", (uint64_t)o->vocab_size, &count);
    if (!o->share_embedding_weights)
        add_tensor(&infos, "output.weight", 1, &count);
    if (o->use_projection_bias_in_attention)
        add_tensor(&infos, "blk.0.attn_q.bias", 1, &count);
    if (o->use_ffn_bias_in_attention)
        add_tensor(&infos, "blk.0.attn_output.bias", 1, &count);
    if (o->use_ffn_bias)
        add_tensor(&infos, "blk.0.ffn_up.bias", 1, &count);
    crn_str_append(&out, "GGUF");
    crn_gguf_append_number(&out, 3, 4);
    crn_gguf_append_number(&out, count, 8);
    crn_gguf_append_number(&out, pairs->count, 8);
    crn_str_append_bytes(&out, pairs->bytes.text, pairs->bytes.length);
    crn_str_append_bytes(&out, infos.text, infos.length);
    while (out.length % CRN_GGUF_ALIGNMENT != 0)
        crn_str_append_bytes(&out, "", 1);
    crn_str_dispose(&infos);
    return out;
}

static cairn_status read_file(const crn_str *file, const float *stretches, size_t count,
                              struct model *out, cairn_error *err)
{
    crn_gguf gguf;
    crn_diag diag = {0};
    bool is_short = false;
    *err = (cairn_error){0};
    *out = (struct model){0};
    cairn_status rc = crn_gguf_parse((const uint8_t *)file->text, file->length, file->length,
                                     "file", &gguf, &is_short, err);
    tk_assert_ok(rc, err);
    assert_true(crn_doc_parse("{model: {}}", 11, "test", &diag, &out->doc));
    crn_node *const node = crn_node_get(crn_doc_root(out->doc), "model");
    rc = crn_gguf_config_read(&gguf, stretches, count, "file", out->doc, node, err);
    if (rc == CAIRN_OK) {
        (void)crn_section_read(crn_section_find("gpt2"), "model", out->doc, node, &out->options,
                               &diag);
        rc = crn_diag_check(&diag, err);
    }
    crn_diag_dispose(&diag);
    crn_gguf_dispose(&gguf);
    return rc;
}

static size_t stretches_of(const cairn_gpt2_options *o, float stretches[STRETCHES_MAX])
{
    const int64_t size = o->hidden_size / o->num_heads;
    for (int64_t i = 0; i < size / 2; i++)
        stretches[i] = (float)crn_rotary_stretch(o, size, i);
    return strcmp(o->pos_scaling_type, "llama3") == 0 ? (size_t)size / 2 : 0;
}

/* What was written says the same again: each option that is written came back. */
static void assert_comes_back(const char *yaml)
{
    struct model first;
    struct model again;
    cairn_error err = {0};
    crn_hf_family family;
    crn_gguf_pairs pairs = {0};
    crn_gguf_pairs written = {0};
    float stretches[STRETCHES_MAX];
    read_yaml(yaml, &first);
    tk_assert_ok(crn_gguf_family_of(&first.options, &family, &err), &err);
    crn_gguf_config_write(&first.options, family, CAIRN_DTYPE_F16, &pairs);
    crn_str file = make_file(&pairs, &first.options);
    const size_t count = stretches_of(&first.options, stretches);
    tk_assert_ok(read_file(&file, count > 0 ? stretches : NULL, count, &again, &err), &err);
    tk_assert_ok(crn_gguf_family_of(&again.options, &family, &err), &err);
    crn_gguf_config_write(&again.options, family, CAIRN_DTYPE_F16, &written);
    assert_int_equal(written.count, pairs.count);
    assert_int_equal(written.bytes.length, pairs.bytes.length);
    assert_memory_equal(written.bytes.text, pairs.bytes.text, pairs.bytes.length);
    assert_true(again.options.share_embedding_weights == first.options.share_embedding_weights);
    assert_true(again.options.use_ffn_bias == first.options.use_ffn_bias);
    assert_true(again.options.use_projection_bias_in_attention ==
                first.options.use_projection_bias_in_attention);
    assert_true(again.options.layer_norm_epsilon == first.options.layer_norm_epsilon);
    assert_string_equal(again.options.nonlinearity, first.options.nonlinearity);
    if (count > 0)
        tk_assert_ok(crn_gguf_check_stretches(&again.options, stretches, count, "file", &err),
                     &err);
    crn_gguf_pairs_dispose(&pairs);
    crn_gguf_pairs_dispose(&written);
    crn_str_dispose(&file);
    crn_doc_destroy(first.doc);
    crn_doc_destroy(again.doc);
}

static void options_of_gpt2_and_llama__come_back(void **state)
{
    (void)state;
    assert_comes_back(GPT2);
    assert_comes_back(GPT2 ", nonlinearity: gelu_new, share_embedding_weights: false, "
                           "layer_norm_epsilon: 1.0e-3");
    assert_comes_back(LLAMA SWIGLU NO_BIASES);
    assert_comes_back(LLAMA SWIGLU); /* all biases */
    assert_comes_back(LLAMA SWIGLU ", use_ffn_bias: false");
    assert_comes_back(LLAMA SWIGLU NO_BIASES ", attention_module: multiquery_attention, "
                                             "extra_attention_params: {num_kv_groups: 2}, "
                                             "rope_theta: 500000.0, layer_norm_epsilon: 1.0e-6");
    assert_comes_back(LLAMA SWIGLU NO_BIASES ", attention_sliding_window_length: 20");
    assert_comes_back(LLAMA SWIGLU NO_BIASES ", pos_scaling_factor: 4.0");
    assert_comes_back(LLAMA SWIGLU NO_BIASES
                      ", pos_scaling_type: llama3, pos_scaling_factor: 8.0, pos_scaling_extra_args:"
                      " {low_freq_factor: 2.0, high_freq_factor: 5.0, "
                      "original_max_position_embeddings: 50}");
}

static void what_gguf_cannot_express__is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *yaml;
        const char *words;
    } k_cases[] = {
        {GPT2 ", nonlinearity: relu", "gelu_new"},
        {GPT2 ", nonlinearity: gelu, attention_type: dot_product", "attention_type"},
        {LLAMA NO_BIASES ", nonlinearity: geglu", "swiglu"},
        {GPT2 ", embedding_layer_norm: true", "embedding_layer_norm"},
    };
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        struct model model;
        cairn_error err = {0};
        crn_hf_family family;
        read_yaml(k_cases[i].yaml, &model);
        tk_assert_status(crn_gguf_family_of(&model.options, &family, &err), CAIRN_EUNSUPPORTED,
                         &err);
        tk_assert_error_has(&err, k_cases[i].words);
        crn_doc_destroy(model.doc);
    }
}

/* ---- Files of others ---- */

/* The least that a Llama's file has. */
static void put_llama(crn_gguf_pairs *pairs)
{
    crn_gguf_put_text(pairs, "general.architecture", "llama");
    crn_gguf_put_u32(pairs, "llama.context_length", 100000);
    crn_gguf_put_u32(pairs, "llama.embedding_length", 256);
    crn_gguf_put_u32(pairs, "llama.block_count", 1);
    crn_gguf_put_u32(pairs, "llama.feed_forward_length", 12);
    crn_gguf_put_u32(pairs, "llama.attention.head_count", 16);
    crn_gguf_put_f32(pairs, "llama.attention.layer_norm_rms_epsilon", 1e-5);
}

static cairn_status read_pairs(crn_gguf_pairs *pairs, const float *stretches, size_t count,
                               struct model *out, cairn_error *err)
{
    const cairn_gpt2_options shape = {.vocab_size = 10};
    crn_str file = make_file(pairs, &shape);
    const cairn_status rc = read_file(&file, stretches, count, out, err);
    crn_gguf_pairs_dispose(pairs);
    crn_str_dispose(&file);
    return rc;
}

static void a_llama_3_of_others__has_the_usual_scaling_or_is_refused(void **state)
{
    (void)state;
    struct model usual;
    struct model model;
    cairn_error err = {0};
    crn_gguf_pairs pairs = {0};
    float stretches[STRETCHES_MAX];
    read_yaml("vocab_size: 10, hidden_size: 256, num_heads: 16, position_embedding_type: rotary, "
              "rope_theta: 500000.0, pos_scaling_type: llama3, pos_scaling_factor: 32.0",
              &usual);
    assert_int_equal(stretches_of(&usual.options, stretches), STRETCHES_MAX);
    put_llama(&pairs);
    crn_gguf_put_f32(&pairs, "llama.rope.freq_base", 500000.0);
    tk_assert_ok(read_pairs(&pairs, stretches, STRETCHES_MAX, &model, &err), &err);
    assert_true(model.options.pos_scaling_factor == 32.0);
    assert_int_equal(model.options.pos_scaling_extra_args.original_max_position_embeddings, 8192);
    tk_assert_ok(crn_gguf_check_stretches(&model.options, stretches, STRETCHES_MAX, "file", &err),
                 &err);
    stretches[4] *= 1.001F;
    tk_assert_status(
        crn_gguf_check_stretches(&model.options, stretches, STRETCHES_MAX, "file", &err),
        CAIRN_EUNSUPPORTED, &err);
    tk_assert_status(
        crn_gguf_check_stretches(&model.options, stretches, STRETCHES_MAX - 1, "file", &err),
        CAIRN_EUNSUPPORTED, &err);
    crn_doc_destroy(usual.doc);
    crn_doc_destroy(model.doc);
}

typedef void (*spoil_fn)(crn_gguf_pairs *pairs);

static void experts(crn_gguf_pairs *pairs)
{
    crn_gguf_put_u32(pairs, "llama.expert_count", 8);
}
static void half_turned(crn_gguf_pairs *pairs)
{
    crn_gguf_put_u32(pairs, "llama.rope.dimension_count", 8);
}
static void wide_heads(crn_gguf_pairs *pairs)
{
    crn_gguf_put_u32(pairs, "llama.attention.key_length", 32);
}
static void yarn(crn_gguf_pairs *pairs)
{
    crn_gguf_put_text(pairs, "llama.rope.scaling.type", "yarn");
}
static void text_for_a_number(crn_gguf_pairs *pairs)
{
    crn_gguf_put_text(pairs, "llama.rope.freq_base", "10000");
}
static void number_for_a_text(crn_gguf_pairs *pairs)
{
    crn_gguf_put_u32(pairs, "llama.rope.scaling.type", 0);
}
static void float_for_a_count(crn_gguf_pairs *pairs)
{
    crn_gguf_put_f32(pairs, "llama.attention.head_count_kv", 2.0);
}
static void wrong_groups(crn_gguf_pairs *pairs)
{
    crn_gguf_put_u32(pairs, "llama.attention.head_count_kv", 0);
}

static void keys_that_are_wrong_or_unknown_here__are_named(void **state)
{
    (void)state;
    static const struct {
        spoil_fn spoil;
        cairn_status status;
        const char *words;
    } k_cases[] = {
        {experts, CAIRN_EUNSUPPORTED, "llama.expert_count is 8"},
        {half_turned, CAIRN_EUNSUPPORTED, "llama.rope.dimension_count is 8"},
        {wide_heads, CAIRN_EUNSUPPORTED, "llama.attention.key_length is 32"},
        {yarn, CAIRN_EUNSUPPORTED, "llama.rope.scaling.type is neither"},
        {text_for_a_number, CAIRN_ECORRUPT, "llama.rope.freq_base is no number"},
        {number_for_a_text, CAIRN_EUNSUPPORTED, "llama.rope.scaling.type is neither"},
        {float_for_a_count, CAIRN_ECORRUPT, "llama.attention.head_count_kv is no integer"},
        {wrong_groups, CAIRN_ECONFIG, "num_kv_groups"},
    };
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        struct model model;
        cairn_error err;
        crn_gguf_pairs pairs = {0};
        put_llama(&pairs);
        k_cases[i].spoil(&pairs);
        tk_assert_status(read_pairs(&pairs, NULL, 0, &model, &err), k_cases[i].status, &err);
        tk_assert_error_has(&err, k_cases[i].words);
        crn_doc_destroy(model.doc);
    }
}

static void a_key_that_is_missing_and_an_unknown_architecture__are_named(void **state)
{
    (void)state;
    struct model model;
    cairn_error err;
    crn_gguf_pairs pairs = {0};
    crn_gguf_put_text(&pairs, "general.architecture", "llama");
    tk_assert_status(read_pairs(&pairs, NULL, 0, &model, &err), CAIRN_ECORRUPT, &err);
    tk_assert_error_has(&err, "no llama.context_length");
    crn_doc_destroy(model.doc);
    crn_gguf_put_text(&pairs, "general.architecture", "mamba");
    tk_assert_status(read_pairs(&pairs, NULL, 0, &model, &err), CAIRN_EUNSUPPORTED, &err);
    tk_assert_error_has(&err, "mamba");
    crn_doc_destroy(model.doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_of_gpt2_and_llama__come_back),
        cmocka_unit_test(what_gguf_cannot_express__is_refused_by_name),
        cmocka_unit_test(a_llama_3_of_others__has_the_usual_scaling_or_is_refused),
        cmocka_unit_test(keys_that_are_wrong_or_unknown_here__are_named),
        cmocka_unit_test(a_key_that_is_missing_and_an_unknown_architecture__are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
