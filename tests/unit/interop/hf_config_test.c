#include "interop/hf_config.h"

#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "kit/kit.h"

#define GPT2                                                                                       \
    "\"model_type\": \"gpt2\", \"vocab_size\": 10, \"n_positions\": 8, \"n_embd\": 6, "            \
    "\"n_layer\": 1, \"n_head\": 2"
#define LLAMA                                                                                      \
    "\"model_type\": \"llama\", \"vocab_size\": 10, \"max_position_embeddings\": 8, "              \
    "\"hidden_size\": 8, \"num_attention_heads\": 4, \"num_hidden_layers\": 1, "                   \
    "\"intermediate_size\": 12"

/* What a config.json means: the texts of @out live as long as *@out_doc. */
static cairn_status read(const char *json, crn_doc **out_doc, cairn_gpt2_options *out,
                         cairn_error *err)
{
    crn_diag diag = {0};
    assert_true(crn_doc_parse("{model: {}}", 11, "test", &diag, out_doc));
    crn_node *const model = crn_node_get(crn_doc_root(*out_doc), "model");
    cairn_status rc = crn_hf_config_read(json, strlen(json), "config.json", *out_doc, model, err);
    if (rc == CAIRN_OK) {
        (void)crn_section_read(crn_section_find("gpt2"), "model", *out_doc, model, out, &diag);
        rc = crn_diag_check(&diag, err);
    }
    crn_diag_dispose(&diag);
    return rc;
}

static void assert_refused(const char *json, cairn_status status, const char *part)
{
    cairn_error err = {0};
    crn_doc *doc = NULL;
    cairn_gpt2_options options;
    tk_assert_status(read(json, &doc, &options, &err), status, &err);
    tk_assert_error_has(&err, part);
    crn_doc_destroy(doc);
}

static void a_gpt2_takes_the_defaults_of_transformers(void **state)
{
    (void)state;
    cairn_error err = {0};
    crn_doc *doc = NULL;
    cairn_gpt2_options o;
    tk_assert_ok(read("{" GPT2 "}", &doc, &o, &err), &err);
    assert_int_equal(o.filter_size, 24);
    assert_string_equal(o.nonlinearity, "gelu_new");
    assert_true(o.share_embedding_weights);
    assert_true(o.dropout_rate == 0.1 && o.attention_dropout_rate.value == 0.1);
    assert_string_equal(o.attention_type, "scaled_dot_product");
    crn_doc_destroy(doc);
}

static void both_ways_to_write_scaled_positions_mean_the_same(void **state)
{
    (void)state;
    static const char *const k_ways[] = {
        "{" LLAMA ", \"num_key_value_heads\": 2, \"rope_theta\": 5e5, \"rope_scaling\": {\"type\": "
        "\"llama3\", \"factor\": 8, \"low_freq_factor\": 1, \"high_freq_factor\": 4.0, "
        "\"original_max_position_embeddings\": 4}}",
        "{" LLAMA ", \"num_key_value_heads\": 2, \"rope_parameters\": {\"rope_type\": \"llama3\", "
        "\"rope_theta\": 500000, \"factor\": 8.0, \"low_freq_factor\": 1, \"high_freq_factor\": 4, "
        "\"original_max_position_embeddings\": 4}}"};
    for (size_t i = 0; i < 2; i++) {
        cairn_error err = {0};
        crn_doc *doc = NULL;
        cairn_gpt2_options o;
        tk_assert_ok(read(k_ways[i], &doc, &o, &err), &err);
        assert_string_equal(o.pos_scaling_type, "llama3");
        assert_true(o.rope_theta == 5e5 && o.pos_scaling_factor == 8.0);
        assert_true(o.pos_scaling_extra_args.high_freq_factor == 4.0);
        assert_int_equal(o.pos_scaling_extra_args.original_max_position_embeddings, 4);
        assert_int_equal(o.extra_attention_params.num_kv_groups, 2);
        assert_false(o.share_embedding_weights);
        crn_doc_destroy(doc);
    }
}

static void what_no_model_here_has_is_refused_by_name(void **state)
{
    (void)state;
    assert_refused("{\"model_type\": \"bert\"}", CAIRN_EUNSUPPORTED, "bert");
    assert_refused("{" GPT2 ", \"add_cross_attention\": true}", CAIRN_EUNSUPPORTED,
                   "add_cross_attention");
    assert_refused("{" GPT2 ", \"activation_function\": \"mish\"}", CAIRN_EUNSUPPORTED, "mish");
    assert_refused("{" LLAMA ", \"head_dim\": 4}", CAIRN_EUNSUPPORTED, "head_dim");
    assert_refused("{" LLAMA ", \"rope_scaling\": {\"type\": \"yarn\", \"factor\": 2}}",
                   CAIRN_EUNSUPPORTED, "yarn");
}

static void damaged_configurations_are_refused(void **state)
{
    (void)state;
    assert_refused("", CAIRN_ECORRUPT, "no JSON object");
    assert_refused("[1]", CAIRN_ECORRUPT, "no JSON object");
    assert_refused("{" GPT2 ", \"n_head\": 3}", CAIRN_ECORRUPT, "duplicate");
    assert_refused("{\"model_type\": \"gpt2\", \"vocab_size\": 10}", CAIRN_ECORRUPT, "n_positions");
    assert_refused("{" GPT2 ", \"n_inner\": \"24\"}", CAIRN_ECORRUPT, "n_inner");
    assert_refused("{" GPT2 ", \"n_inner\": -1}", CAIRN_ECONFIG, "filter_size");
    assert_refused("{" LLAMA ", \"rope_scaling\": {\"type\": \"linear\"}}", CAIRN_ECORRUPT,
                   "factor");
}

/* A configuration that was read, written and read again is the same. */
static void assert_comes_back(const char *json)
{
    cairn_error err = {0};
    crn_doc *first = NULL;
    crn_doc *second = NULL;
    cairn_gpt2_options a;
    cairn_gpt2_options b;
    crn_str written = {0};
    crn_str again = {0};
    tk_assert_ok(read(json, &first, &a, &err), &err);
    tk_assert_ok(crn_hf_config_write(&a, &written, &err), &err);
    tk_assert_ok(read(written.text, &second, &b, &err), &err);
    tk_assert_ok(crn_hf_config_write(&b, &again, &err), &err);
    assert_string_equal(written.text, again.text);
    assert_true(a.layer_norm_epsilon == b.layer_norm_epsilon && a.rope_theta == b.rope_theta);
    assert_string_equal(a.nonlinearity, b.nonlinearity);
    assert_int_equal(a.filter_size, b.filter_size);
    assert_int_equal(a.attention_sliding_window_length.is_set,
                     b.attention_sliding_window_length.is_set);
    crn_str_dispose(&written);
    crn_str_dispose(&again);
    crn_doc_destroy(first);
    crn_doc_destroy(second);
}

static void what_is_written_reads_as_the_same(void **state)
{
    (void)state;
    assert_comes_back("{" GPT2 ", \"n_inner\": 10, \"activation_function\": \"relu2\"}");
    assert_comes_back("{" LLAMA ", \"hidden_act\": \"gelu\", \"attention_bias\": true, "
                      "\"rms_norm_eps\": 1e-6, \"rope_scaling\": {\"rope_type\": \"linear\", "
                      "\"factor\": 3}}");
    assert_comes_back("{\"sliding_window\": 5, " LLAMA "}");
}

static void a_mistral_has_a_window(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        bool is_set;
        int64_t length;
    } k_cases[] = {{"{%s}", true, 4096},
                   {"{\"sliding_window\": null, %s}", false, 0},
                   {"{\"sliding_window\": 5, %s}", true, 5}};
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        cairn_error err = {0};
        crn_doc *doc = NULL;
        cairn_gpt2_options o;
        crn_str json = {0};
        const char *const rest = strstr(k_cases[i].json, "%s");
        crn_str_append_bytes(&json, k_cases[i].json, (size_t)(rest - k_cases[i].json));
        crn_str_append(&json, "\"model_type\": \"mistral\"" /* in place of Llama's */);
        crn_str_append(&json, strchr(LLAMA, ','));
        crn_str_append(&json, "}");
        tk_assert_ok(read(json.text, &doc, &o, &err), &err);
        assert_int_equal(o.attention_sliding_window_length.is_set, k_cases[i].is_set);
        if (k_cases[i].is_set)
            assert_int_equal(o.attention_sliding_window_length.value, k_cases[i].length);
        crn_str_dispose(&json);
        crn_doc_destroy(doc);
    }
}

static void a_model_without_a_word_there_is_refused(void **state)
{
    (void)state;
    cairn_error err = {0};
    crn_hf_family family;
    cairn_gpt2_options o = cairn_gpt2_options_default();
    tk_assert_ok(crn_hf_family_of(&o, &family, &err), &err);
    assert_int_equal(family, CRN_HF_GPT2);
    o.embedding_layer_norm = true;
    tk_assert_status(crn_hf_family_of(&o, &family, &err), CAIRN_EUNSUPPORTED, &err);
    tk_assert_error_has(&err, "embedding_layer_norm");
    o = cairn_gpt2_options_default();
    o.nonlinearity = "swiglu";
    err = (cairn_error){0};
    tk_assert_status(crn_hf_family_of(&o, &family, &err), CAIRN_EUNSUPPORTED, &err);
    tk_assert_error_has(&err, "gated");
    o.position_embedding_type = "rotary";
    err = (cairn_error){0};
    tk_assert_status(crn_hf_family_of(&o, &family, &err), CAIRN_EUNSUPPORTED, &err);
    tk_assert_error_has(&err, "layernorm");
    o.norm_type = "rmsnorm";
    o.use_ffn_bias_in_attention = false;
    err = (cairn_error){0};
    tk_assert_status(crn_hf_family_of(&o, &family, &err), CAIRN_EUNSUPPORTED, &err);
    tk_assert_error_has(&err, "biases");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gpt2_takes_the_defaults_of_transformers),
        cmocka_unit_test(both_ways_to_write_scaled_positions_mean_the_same),
        cmocka_unit_test(what_no_model_here_has_is_refused_by_name),
        cmocka_unit_test(damaged_configurations_are_refused),
        cmocka_unit_test(what_is_written_reads_as_the_same),
        cmocka_unit_test(a_mistral_has_a_window),
        cmocka_unit_test(a_model_without_a_word_there_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
