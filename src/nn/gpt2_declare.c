/* The parameters of the GPT-2 family and what the options mean for them (gpt2_model.py, 2.10). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "nn/gpt2.h"
#include "nn/rotary.h"

#define WORDS_NAME "embedding_layer.word_embeddings"

/* ---- First values ---- */

/* muP scales the width of normal distributions only (common/utils/model/mup_utils.py). */
static cairn_status narrow(const char *name, cairn_initializer *init, double factor,
                           cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (init->kind != CAIRN_INIT_NORMAL && init->kind != CAIRN_INIT_TRUNCATED_NORMAL)
        CRN_FAIL(err, CAIRN_ECONFIG, "muP needs normal or truncated_normal for model.%s", name);
    if (init->kind == CAIRN_INIT_TRUNCATED_NORMAL && init->a == 0.0 && init->b == 0.0) {
        init->a = init->mean - 2.0 * init->std;
        init->b = init->mean + 2.0 * init->std;
    }
    init->std *= factor;
    init->a *= factor;
    init->b *= factor;
out:
    return rc;
}

/*
 * What is not given: a normal distribution of standard deviation initializer_range, cut at two of
 * them. The last projection of a branch takes the decoder's initializer if that is given, else the
 * default over the root of twice the layers. An untied output layer is not cut.
 */
static cairn_status choose_initializers(crn_gpt2 *m, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_gpt2_options *const o = &m->options;
    const double std = o->initializer_range;
    const cairn_initializer preset = {
        .kind = CAIRN_INIT_TRUNCATED_NORMAL, .std = std, .a = -2.0 * std, .b = 2.0 * std};
    const bool has_decoder = o->initializer.kind != CAIRN_INIT_DEFAULT;
    const bool has_output = o->output_layer_initializer.kind != CAIRN_INIT_DEFAULT;
    const double deep = 1.0 / sqrt(2.0 * (double)o->num_hidden_layers);
    m->decoder_init = has_decoder ? o->initializer : preset;
    m->attention_out_init = has_output ? o->output_layer_initializer : preset;
    m->ffn_out_init = m->attention_out_init;
    m->embedding_init =
        o->embedding_initializer.kind != CAIRN_INIT_DEFAULT ? o->embedding_initializer : preset;
    m->head_init = preset;
    m->head_init.kind = CAIRN_INIT_NORMAL;
    if (o->mup_base_hidden_size.is_set) {
        const double wide = sqrt(o->mup_base_hidden_size.value / (double)o->hidden_size);
        const double wide_ffn = sqrt(o->mup_base_filter_size.value / (double)o->filter_size);
        m->ffn_out_init = preset;
        CRN_TRY_PLAIN(narrow("initializer", &m->decoder_init, wide, err));
        CRN_TRY_PLAIN(narrow("output_layer_initializer", &m->attention_out_init, wide * deep, err));
        CRN_TRY_PLAIN(narrow("initializer_range", &m->ffn_out_init, wide_ffn * deep, err));
    } else if (!has_output) {
        if (!has_decoder)
            CRN_TRY_PLAIN(narrow("initializer_range", &m->attention_out_init, deep, err));
        else
            m->attention_out_init = o->initializer;
        m->ffn_out_init = m->attention_out_init;
    }
out:
    return rc;
}

/* ---- Sizes and scales ---- */

static cairn_status check_mup(const cairn_gpt2_options *o, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (o->mup_base_hidden_size.is_set != o->mup_base_filter_size.is_set)
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "muP needs both model.mup_base_hidden_size and model.mup_base_filter_size");
    if (o->mup_base_hidden_size.is_set && o->output_logits_scale.is_set &&
        o->output_logits_scale.value != 0.0)
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "model.output_logits_scale is the older form of what model.mup_base_hidden_size "
                 "does; give one of them");
out:
    return rc;
}

static cairn_status check_positions(const crn_gpt2 *m, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_gpt2_options *const o = &m->options;
    const cairn_pos_scaling_options *const scaling = &o->pos_scaling_extra_args;
    const int64_t head = o->hidden_size / o->num_heads;
    const int64_t turned = o->rotary_dim.is_set ? o->rotary_dim.value : head;
    if (m->is_rotary && (turned > head || turned % 2 != 0))
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "model.rotary_dim %lld must be even and at most the head size, hidden_size / "
                 "num_heads = %lld",
                 (long long)turned, (long long)head);
    if (m->is_rotary && scaling->high_freq_factor <= scaling->low_freq_factor)
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "model.pos_scaling_extra_args: high_freq_factor must be above low_freq_factor");
    if (o->attention_sink_tokens.is_set && o->attention_sink_tokens.value > 0 &&
        !o->attention_sliding_window_length.is_set)
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "model.attention_sink_tokens needs model.attention_sliding_window_length");
out:
    return rc;
}

static cairn_status check_options(const crn_gpt2 *m, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_gpt2_options *const o = &m->options;
    if (o->hidden_size % o->num_heads != 0)
        CRN_FAIL(err, CAIRN_ECONFIG, "model.num_heads %lld does not divide model.hidden_size %lld",
                 (long long)o->num_heads, (long long)o->hidden_size);
    if (o->num_heads % m->kv_heads != 0)
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "model.extra_attention_params.num_kv_groups %lld does not divide model.num_heads "
                 "%lld",
                 (long long)m->kv_heads, (long long)o->num_heads);
    if (m->is_per_token && o->loss_weight != 1.0)
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "model.loss_weight %g has no effect with loss_scaling num_tokens: leave it at 1.0 "
                 "or set loss_scaling to batch_size",
                 o->loss_weight);
    CRN_TRY_PLAIN(check_mup(o, err));
    CRN_TRY_PLAIN(check_positions(m, err));
out:
    return rc;
}

static void choose_nonlinearity(crn_gpt2 *m)
{
    static const struct {
        const char *name;
        crn_activation activation;
        crn_gated gated;
        bool is_gated;
    } k_kinds[] = {
        {"gelu", CRN_ACTIVATION_GELU, CRN_GATED_LIGLU, false},
        {"gelu_new", CRN_ACTIVATION_GELU_TANH, CRN_GATED_LIGLU, false},
        {"relu", CRN_ACTIVATION_RELU, CRN_GATED_LIGLU, false},
        {"silu", CRN_ACTIVATION_SILU, CRN_GATED_LIGLU, false},
        {"squared_relu", CRN_ACTIVATION_SQUARED_RELU, CRN_GATED_LIGLU, false},
        {"swiglu", CRN_ACTIVATION_SILU, CRN_GATED_SWIGLU, true},
        {"geglu", CRN_ACTIVATION_GELU, CRN_GATED_GEGLU, true},
        {"reglu", CRN_ACTIVATION_RELU, CRN_GATED_REGLU, true},
        {"liglu", CRN_ACTIVATION_GELU, CRN_GATED_LIGLU, true},
    };
    for (size_t i = 0; i < sizeof k_kinds / sizeof k_kinds[0]; i++) {
        if (strcmp(m->options.nonlinearity, k_kinds[i].name) == 0) {
            m->activation = k_kinds[i].activation;
            m->gated = k_kinds[i].gated;
            m->is_gated = k_kinds[i].is_gated;
        }
    }
}

/* Scores are divided by the root of the head size, or by the size for muP. */
static double attention_scale(const cairn_gpt2_options *o)
{
    const int64_t head = o->hidden_size / o->num_heads; /* check_options: without a rest */
    const double size = (double)head;
    if (strcmp(o->attention_type, "scaled_dot_product") != 0)
        return o->attention_logits_alpha;
    return o->attention_logits_alpha / (o->scale_qk_dot_by_d ? size : sqrt(size));
}

static double logits_scale(const cairn_gpt2_options *o)
{
    const cairn_opt_float older = o->output_logits_scale;
    if (!o->mup_base_hidden_size.is_set)
        return older.is_set && older.value != 0.0 ? older.value : 1.0;
    /* As in the original, 0 stands for its default. */
    const bool has_alpha = o->output_logits_alpha.is_set && o->output_logits_alpha.value != 0.0;
    const double alpha = has_alpha ? o->output_logits_alpha.value : 1.0;
    const double wide = (double)o->hidden_size / o->mup_base_hidden_size.value;
    return alpha / (o->scale_output_logits_by_d ? wide : sqrt(wide));
}

cairn_status crn_gpt2_configure(crn_gpt2 *m, const cairn_gpt2_options *options, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_gpt2_options *const o = &m->options;
    m->options = *options;
    m->is_per_token = strcmp(o->loss_scaling, "num_tokens") == 0;
    m->is_rms = strcmp(o->norm_type, "rmsnorm") == 0;
    m->is_rotary = strcmp(o->position_embedding_type, "rotary") == 0;
    m->kv_heads = strcmp(o->attention_module, "multiquery_attention") == 0
                      ? o->extra_attention_params.num_kv_groups
                      : o->num_heads;
    CRN_TRY_PLAIN(check_options(m, err));
    choose_nonlinearity(m);
    m->attention_dropout =
        o->attention_dropout_rate.is_set ? o->attention_dropout_rate.value : o->dropout_rate;
    m->embedding_dropout =
        o->embedding_dropout_rate.is_set ? o->embedding_dropout_rate.value : o->dropout_rate;
    m->attention_scale = attention_scale(o);
    m->logits_scale = logits_scale(o);
    CRN_TRY_PLAIN(choose_initializers(m, err));
    if (m->is_rotary)
        CRN_TRY_PLAIN(crn_rotary_table_make(o, o->max_position_embeddings,
                                            o->rotary_dim.is_set ? o->rotary_dim.value
                                                                 : o->hidden_size / o->num_heads,
                                            &m->rotary, err));
out:
    return rc;
}

/* ---- Parameters ---- */

/* What muP multiplies the learning rate of a decoder's matrices with, by the width that it goes by;
 * 0: nothing. The groups decoder_attention, decoder_input_ffn and decoder_output_ffn of the Model
 * Zoo (gpt2_model.py 2.10). */
static double mup_factor(cairn_opt_float base, int64_t size)
{
    return base.is_set ? base.value / (double)size : 0.0;
}

static cairn_status declare_attention(crn_gpt2 *m, crn_gpt2_block *b, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_gpt2_options *const o = &m->options;
    const int64_t c = o->hidden_size;
    const int64_t kv = c / o->num_heads * m->kv_heads;
    const bool has_bias = o->use_projection_bias_in_attention;
    crn_params *const p = &m->params;
    CRN_TRY_PLAIN(crn_params_add_linear(p, "self_attn.proj_q_dense_layer", c, c, has_bias,
                                        &m->decoder_init, &b->q, err));
    CRN_TRY_PLAIN(crn_params_add_linear(p, "self_attn.proj_k_dense_layer", c, kv, has_bias,
                                        &m->decoder_init, &b->k, err));
    CRN_TRY_PLAIN(crn_params_add_linear(p, "self_attn.proj_v_dense_layer", c, kv, has_bias,
                                        &m->decoder_init, &b->v, err));
    CRN_TRY_PLAIN(crn_params_add_linear(p, "self_attn.proj_output_dense_layer", c, c,
                                        o->use_ffn_bias_in_attention, &m->attention_out_init,
                                        &b->attention_out, err));
out:
    return rc;
}

static cairn_status declare_block(crn_gpt2 *m, int64_t number, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_gpt2_options *const o = &m->options;
    const int64_t c = o->hidden_size;
    crn_params *const p = &m->params;
    crn_gpt2_block *const b = &m->blocks[number];
    p->learning_rate_factor = mup_factor(o->mup_base_hidden_size, c);
    (void)snprintf(p->prefix, sizeof p->prefix, "transformer_decoder.layers.%lld.",
                   (long long)number);
    CRN_TRY_PLAIN(declare_attention(m, b, err));
    CRN_TRY_PLAIN(crn_params_add_norm(p, "norm1", c, !m->is_rms, &b->norm1, err));
    CRN_TRY_PLAIN(crn_params_add_norm(p, "norm3", c, !m->is_rms, &b->norm3, err));
    CRN_TRY_PLAIN(crn_params_add_linear(p, "ffn.ffn.0.linear_layer", c, o->filter_size,
                                        o->use_ffn_bias, &m->decoder_init, &b->ffn0, err));
    if (m->is_gated)
        CRN_TRY_PLAIN(crn_params_add_linear(p, "ffn.ffn.0.linear_layer_for_glu", c, o->filter_size,
                                            o->use_ffn_bias, &m->decoder_init, &b->gate, err));
    p->learning_rate_factor = mup_factor(o->mup_base_filter_size, o->filter_size);
    CRN_TRY_PLAIN(crn_params_add_linear(p, "ffn.ffn.1.linear_layer", o->filter_size, c,
                                        o->use_ffn_bias, &m->ffn_out_init, &b->ffn1, err));
out:
    p->prefix[0] = '\0';
    p->learning_rate_factor = 0.0;
    return rc;
}

static cairn_status declare_head(crn_gpt2 *m, cairn_state *state, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_gpt2_options *const o = &m->options;
    crn_params *const p = &m->params;
    if (!o->share_embedding_weights)
        return crn_params_add_linear(p, "lm_head", o->hidden_size, o->vocab_size,
                                     o->use_bias_in_output, &m->head_init, &m->head, err);
    m->head.weight = m->words;
    CRN_TRY_PLAIN(cairn_state_add_alias(state, "lm_head.weight", WORDS_NAME ".weight", err));
    if (o->use_bias_in_output)
        CRN_TRY_PLAIN(crn_params_add_bias(p, "lm_head", o->vocab_size, &m->head.bias, err));
out:
    return rc;
}

cairn_status crn_gpt2_declare(crn_gpt2 *m, cairn_state *state, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_gpt2_options *const o = &m->options;
    const int64_t c = o->hidden_size;
    crn_params *const p = &m->params;
    p->state = state;
    CRN_TRY_PLAIN(
        crn_params_add_table(p, WORDS_NAME, o->vocab_size, c, &m->embedding_init, &m->words, err));
    if (!m->is_rotary)
        CRN_TRY_PLAIN(crn_params_add_table(p, "embedding_layer.position_embeddings.embed",
                                           o->max_position_embeddings, c, &m->embedding_init,
                                           &m->positions, err));
    if (o->embedding_layer_norm)
        CRN_TRY_PLAIN(
            crn_params_add_norm(p, "embedding_ln_f", c, !m->is_rms, &m->embedding_norm, err));
    for (int64_t i = 0; i < o->num_hidden_layers; i++)
        CRN_TRY_PLAIN(declare_block(m, i, err));
    CRN_TRY_PLAIN(crn_params_add_norm(p, "ln_f", c, !m->is_rms, &m->norm, err));
    /* In the Model Zoo the decoder holds the same module once more. */
    CRN_TRY_PLAIN(
        cairn_state_add_alias(state, "transformer_decoder.norm.weight", "ln_f.weight", err));
    if (!m->is_rms)
        CRN_TRY_PLAIN(
            cairn_state_add_alias(state, "transformer_decoder.norm.bias", "ln_f.bias", err));
    CRN_TRY_PLAIN(declare_head(m, state, err));
out:
    return rc;
}
