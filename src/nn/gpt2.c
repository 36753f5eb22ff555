/*
 * GPT-2: A. Radford et al., "Language Models are Unsupervised Multitask Learners", 2019, with the
 * Model Zoo's options, parameter names, first values and places of dropout
 * (models/nlp/gpt2/gpt2_model.py, release 2.10).
 */
#include "cairn/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "kernels/kernels.h"
#include "nn/ops/ops.h"
#include "nn/params.h"
#include "nn/plans.h"
#include "nn/tokens.h"

enum { GENERATE_STEP = 64 }; /* Growing texts are padded to multiples of it: few plans. */

#define WORDS_NAME "embedding_layer.word_embeddings"

typedef struct block {
    crn_layer norm1;
    crn_layer q;
    crn_layer k;
    crn_layer v;
    crn_layer attention_out;
    crn_layer norm3;
    crn_layer ffn0;
    crn_layer ffn1;
} block;

typedef struct gpt2 {
    cairn_gpt2_options options; /* Its texts are read by cairn_gpt2_new only. */
    bool is_scaled;
    bool is_per_token;
    crn_activation activation;
    double attention_dropout;
    double embedding_dropout;
    cairn_initializer decoder_init;
    cairn_initializer branch_init; /* The last projection of each residual branch. */
    cairn_initializer embedding_init;
    cairn_initializer head_init;
    crn_params params;
    const cairn_tensor *words;
    const cairn_tensor *positions;
    block *blocks;
    crn_layer norm;
    crn_layer head;
    int32_t *padded; /* [max_position_embeddings] */
    crn_plans plans;
} gpt2;

static cairn_status declare_block(gpt2 *m, int64_t number, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_gpt2_options *const o = &m->options;
    const int64_t c = o->hidden_size;
    const bool has_bias = o->use_projection_bias_in_attention;
    crn_params *const p = &m->params;
    block *const b = &m->blocks[number];
    (void)snprintf(p->prefix, sizeof p->prefix, "transformer_decoder.layers.%lld.",
                   (long long)number);
    CRN_TRY_PLAIN(crn_params_add_linear(p, "self_attn.proj_q_dense_layer", c, c, has_bias,
                                        &m->decoder_init, &b->q, err));
    CRN_TRY_PLAIN(crn_params_add_linear(p, "self_attn.proj_k_dense_layer", c, c, has_bias,
                                        &m->decoder_init, &b->k, err));
    CRN_TRY_PLAIN(crn_params_add_linear(p, "self_attn.proj_v_dense_layer", c, c, has_bias,
                                        &m->decoder_init, &b->v, err));
    CRN_TRY_PLAIN(crn_params_add_linear(p, "self_attn.proj_output_dense_layer", c, c,
                                        o->use_ffn_bias_in_attention, &m->branch_init,
                                        &b->attention_out, err));
    CRN_TRY_PLAIN(crn_params_add_norm(p, "norm1", c, &b->norm1, err));
    CRN_TRY_PLAIN(crn_params_add_norm(p, "norm3", c, &b->norm3, err));
    CRN_TRY_PLAIN(crn_params_add_linear(p, "ffn.ffn.0.linear_layer", c, o->filter_size,
                                        o->use_ffn_bias, &m->decoder_init, &b->ffn0, err));
    CRN_TRY_PLAIN(crn_params_add_linear(p, "ffn.ffn.1.linear_layer", o->filter_size, c,
                                        o->use_ffn_bias, &m->branch_init, &b->ffn1, err));
out:
    p->prefix[0] = '\0';
    return rc;
}

static cairn_status declare(void *self, cairn_state *state, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    gpt2 *const m = self;
    const cairn_gpt2_options *const o = &m->options;
    const int64_t c = o->hidden_size;
    crn_params *const p = &m->params;
    p->state = state;
    CRN_TRY_PLAIN(
        crn_params_add_table(p, WORDS_NAME, o->vocab_size, c, &m->embedding_init, &m->words, err));
    CRN_TRY_PLAIN(crn_params_add_table(p, "embedding_layer.position_embeddings.embed",
                                       o->max_position_embeddings, c, &m->embedding_init,
                                       &m->positions, err));
    for (int64_t i = 0; i < o->num_hidden_layers; i++)
        CRN_TRY_PLAIN(declare_block(m, i, err));
    CRN_TRY_PLAIN(crn_params_add_norm(p, "ln_f", c, &m->norm, err));
    /* In the Model Zoo the decoder holds the same module once more. */
    CRN_TRY_PLAIN(
        cairn_state_add_alias(state, "transformer_decoder.norm.weight", "ln_f.weight", err));
    CRN_TRY_PLAIN(cairn_state_add_alias(state, "transformer_decoder.norm.bias", "ln_f.bias", err));
    if (!o->share_embedding_weights) {
        CRN_TRY_PLAIN(crn_params_add_linear(p, "lm_head", c, o->vocab_size, o->use_bias_in_output,
                                            &m->head_init, &m->head, err));
        goto out;
    }
    m->head.weight = m->words;
    CRN_TRY_PLAIN(cairn_state_add_alias(state, "lm_head.weight", WORDS_NAME ".weight", err));
    if (o->use_bias_in_output)
        CRN_TRY_PLAIN(crn_params_add_bias(p, "lm_head", o->vocab_size, &m->head.bias, err));
out:
    return rc;
}

static cairn_status initialize(void *self, cairn_state_tree *tree, uint64_t seed, cairn_error *err)
{
    const gpt2 *const m = self;
    return crn_params_initialize(&m->params, tree, seed, err);
}

static crn_value linear(crn_tape *tape, crn_value x, const crn_layer *layer)
{
    return crn_op_linear(tape, x, crn_tape_parameter(tape, layer->weight),
                         crn_tape_parameter(tape, layer->bias));
}

static crn_value norm(const gpt2 *m, crn_tape *tape, crn_value x, const crn_layer *layer)
{
    return crn_op_layernorm(tape, x, crn_tape_parameter(tape, layer->weight),
                            crn_tape_parameter(tape, layer->bias), m->options.layer_norm_epsilon);
}

static crn_value record_block(const gpt2 *m, const crn_plan *plan, const block *b, crn_value x)
{
    crn_tape *const t = plan->tape;
    const crn_attention_spec attention = {.batch = plan->batch,
                                          .time = plan->time,
                                          .heads = m->options.num_heads,
                                          .is_scaled = m->is_scaled,
                                          .dropout_rate = m->attention_dropout};
    crn_value h = norm(m, t, x, &b->norm1);
    const crn_value q = linear(t, h, &b->q);
    const crn_value k = linear(t, h, &b->k);
    const crn_value v = linear(t, h, &b->v);
    h = crn_op_attention(t, q, k, v, &attention);
    h = linear(t, h, &b->attention_out);
    x = crn_op_add(t, x, crn_op_dropout(t, h, m->options.dropout_rate));
    h = norm(m, t, x, &b->norm3);
    h = linear(t, h, &b->ffn0);
    h = crn_op_activation(t, h, m->activation);
    h = linear(t, h, &b->ffn1);
    return crn_op_add(t, x, crn_op_dropout(t, h, m->options.dropout_rate));
}

static void record(const void *model, crn_plan *plan)
{
    const gpt2 *const m = model;
    crn_tape *const t = plan->tape;
    const crn_loss_spec loss = {.per_token = m->is_per_token,
                                .samples = plan->batch,
                                .factor = m->is_per_token ? 1.0 : m->options.loss_weight};
    plan->ids = crn_tape_input(t);
    crn_value x = crn_op_embedding(t, plan->ids, crn_tape_parameter(t, m->words),
                                   crn_tape_parameter(t, m->positions), plan->batch, plan->time);
    x = crn_op_dropout(t, x, m->embedding_dropout);
    for (int64_t i = 0; i < m->options.num_hidden_layers; i++)
        x = record_block(m, plan, &m->blocks[i], x);
    x = norm(m, t, x, &m->norm);
    plan->hidden = x;
    if (plan->use == CRN_PLAN_GENERATE)
        return;
    plan->labels = crn_tape_input(t);
    plan->mask = crn_tape_input(t);
    x = linear(t, x, &m->head);
    crn_tape_name(t, x, "lm_head"); /* Tied, its weight has another module's name. */
    crn_op_cross_entropy(t, x, plan->labels, plan->mask, &loss);
}

/* A program that was compiled for an older header gives a shorter one. */
static cairn_pass whole_pass(const cairn_pass *given)
{
    cairn_pass pass = {.struct_size = sizeof pass};
    memcpy(&pass, given, given->struct_size < sizeof pass ? given->struct_size : sizeof pass);
    return pass;
}

static cairn_status compute(void *self, const cairn_batch *batch, const cairn_pass *given,
                            cairn_loss *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    gpt2 *const m = self;
    const cairn_pass pass = whole_pass(given);
    crn_tokens tokens = {0};
    crn_plan *plan = NULL;
    crn_run run = {.seed = pass.seed,
                   .step = pass.step,
                   .loss_scale = pass.loss_scale,
                   .pass = &pass,
                   .wants_metrics = pass.wants_metrics && m->options.compute_eval_metrics};
    CRN_TRY_PLAIN(crn_tokens_read(batch, m->options.vocab_size, m->options.max_position_embeddings,
                                  &tokens, err));
    CRN_TRY_PLAIN(crn_plans_get(&m->plans, pass.is_training ? CRN_PLAN_TRAIN : CRN_PLAN_EVALUATE,
                                tokens.batch, tokens.time, record, m, &plan, err));
    crn_tape_set_input(plan->tape, plan->ids, tokens.ids);
    crn_tape_set_input(plan->tape, plan->labels, tokens.labels);
    crn_tape_set_input(plan->tape, plan->mask, tokens.mask);
    CRN_TRY_PLAIN(crn_tape_use_weights(plan->tape, pass.weights, err));
    CRN_TRY_PLAIN(crn_tape_run(plan->tape, &run, err));
    out->loss = run.loss;
    out->weight = run.weight;
    if (run.wants_metrics) {
        out->has_metrics = true;
        out->token_loss = run.token_loss;
        out->correct = run.correct;
    }
out:
    return rc;
}

static cairn_status next_logits(void *self, const int32_t *tokens, int64_t count, float *out_logits,
                                cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    gpt2 *const m = self;
    const int64_t limit = m->options.max_position_embeddings;
    const int64_t c = m->options.hidden_size;
    const int64_t used = count < limit ? count : limit;
    const int64_t rounded = (used + GENERATE_STEP - 1) / GENERATE_STEP * GENERATE_STEP;
    const int64_t time = rounded < limit ? rounded : limit;
    crn_plan *plan = NULL;
    crn_run run = {0};
    if (count < 1)
        CRN_FAIL(err, CAIRN_EINVAL, "a continuation needs at least one token");
    for (int64_t i = 0; i < time; i++) { /* A token does not see later ones: any will do there. */
        m->padded[i] = i < used ? tokens[count - used + i] : 0;
        CRN_TRY_PLAIN(crn_check_token("tokens", i, time, m->padded[i], m->options.vocab_size, err));
    }
    CRN_TRY_PLAIN(crn_plans_get(&m->plans, CRN_PLAN_GENERATE, 1, time, record, m, &plan, err));
    crn_tape_set_input(plan->tape, plan->ids, m->padded);
    CRN_TRY_PLAIN(crn_tape_run(plan->tape, &run, err));
    const crn_matrix hidden = {.data = crn_tape_data(plan->tape, plan->hidden) + (used - 1) * c,
                               .stride = c};
    const crn_matrix weight = {.data = m->head.weight->data, .stride = c, .is_transposed = true};
    CRN_TRY_PLAIN(crn_gemm(1, m->options.vocab_size, c, 1.0F, hidden, weight, 0.0F, out_logits,
                           m->options.vocab_size, err));
    if (m->head.bias != NULL)
        crn_add_bias(1, m->options.vocab_size, m->head.bias->data, out_logits);
out:
    return rc;
}

static int64_t vocab_size(const void *self)
{
    const gpt2 *const m = self;
    return m->options.vocab_size;
}

static int64_t max_sequence_length(const void *self)
{
    const gpt2 *const m = self;
    return m->options.max_position_embeddings;
}

/* Of what must be computed: a query sees half of the keys. The backward takes twice the forward. */
static double flops(const void *self, const cairn_batch *batch, bool is_training)
{
    const gpt2 *const m = self;
    const cairn_gpt2_options *const o = &m->options;
    const cairn_batch_field *const ids = cairn_batch_find(batch, "input_ids");
    if (ids == NULL || ids->rank != 2)
        return 0.0;
    const double tokens = (double)ids->shape[0] * (double)ids->shape[1];
    const double c = (double)o->hidden_size;
    const double keys = ((double)ids->shape[1] + 1.0) / 2.0;
    const double layer = 4.0 * c * c + 2.0 * c * (double)o->filter_size + 2.0 * c * keys;
    const double all = (double)o->num_hidden_layers * layer + c * (double)o->vocab_size;
    return 2.0 * tokens * all * (is_training ? 3.0 : 1.0);
}

static void destroy(void *self)
{
    gpt2 *const m = self;
    if (m == NULL)
        return;
    crn_plans_dispose(&m->plans);
    crn_params_dispose(&m->params);
    crn_free(m->blocks);
    crn_free(m->padded);
    crn_free(m);
}

static const cairn_model_ops k_ops = {.struct_size = sizeof(cairn_model_ops),
                                      .name = "gpt2",
                                      .declare = declare,
                                      .initialize = initialize,
                                      .compute = compute,
                                      .next_logits = next_logits,
                                      .vocab_size = vocab_size,
                                      .max_sequence_length = max_sequence_length,
                                      .destroy = destroy,
                                      .flops = flops,
                                      .takes_weights = true};

/*
 * What is not given: a normal distribution of standard deviation initializer_range, cut at two of
 * them. The last projection of a branch takes the decoder's initializer if that is given, else the
 * default over the root of twice the layers. An untied output layer is not cut.
 */
static void choose_initializers(gpt2 *m)
{
    const cairn_gpt2_options *const o = &m->options;
    const double std = o->initializer_range;
    const cairn_initializer preset = {
        .kind = CAIRN_INIT_TRUNCATED_NORMAL, .std = std, .a = -2.0 * std, .b = 2.0 * std};
    const double deep = 1.0 / sqrt(2.0 * (double)o->num_hidden_layers);
    cairn_initializer branch = preset;
    branch.std *= deep;
    branch.a *= deep;
    branch.b *= deep;
    const bool has_decoder = o->initializer.kind != CAIRN_INIT_DEFAULT;
    m->decoder_init = has_decoder ? o->initializer : preset;
    m->branch_init = has_decoder ? o->initializer : branch;
    if (o->output_layer_initializer.kind != CAIRN_INIT_DEFAULT)
        m->branch_init = o->output_layer_initializer;
    m->embedding_init =
        o->embedding_initializer.kind != CAIRN_INIT_DEFAULT ? o->embedding_initializer : preset;
    m->head_init = preset;
    m->head_init.kind = CAIRN_INIT_NORMAL;
}

static cairn_status check_options(const cairn_gpt2_options *o, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (o->hidden_size % o->num_heads != 0)
        CRN_FAIL(err, CAIRN_ECONFIG, "model.num_heads %lld does not divide model.hidden_size %lld",
                 (long long)o->num_heads, (long long)o->hidden_size);
    if (strcmp(o->loss_scaling, "num_tokens") == 0 && o->loss_weight != 1.0)
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "model.loss_weight %g has no effect with loss_scaling num_tokens: leave it at 1.0 "
                 "or set loss_scaling to batch_size",
                 o->loss_weight);
out:
    return rc;
}

cairn_status cairn_gpt2_new(const cairn_gpt2_options *options, cairn_model *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    gpt2 *m = NULL;
    CRN_TRY_PLAIN(check_options(options, err));
    m = crn_calloc(1, sizeof *m);
    CRN_NEED(err, m, "a model");
    m->options = *options;
    m->is_scaled = strcmp(options->attention_type, "scaled_dot_product") == 0;
    m->is_per_token = strcmp(options->loss_scaling, "num_tokens") == 0;
    m->activation =
        strcmp(options->nonlinearity, "relu") == 0 ? CRN_ACTIVATION_RELU : CRN_ACTIVATION_GELU;
    m->attention_dropout = options->attention_dropout_rate.is_set
                               ? options->attention_dropout_rate.value
                               : options->dropout_rate;
    m->embedding_dropout = options->embedding_dropout_rate.is_set
                               ? options->embedding_dropout_rate.value
                               : options->dropout_rate;
    choose_initializers(m);
    m->blocks = crn_calloc((size_t)options->num_hidden_layers, sizeof *m->blocks);
    m->padded = crn_calloc((size_t)options->max_position_embeddings, sizeof *m->padded);
    CRN_NEED(err, m->blocks, "a model");
    CRN_NEED(err, m->padded, "a model");
    out->ops = &k_ops;
    out->self = m;
    m = NULL;
out:
    destroy(m);
    return rc;
}
