/*
 * The GPT-2 family: GPT-2 (A. Radford et al., "Language Models are Unsupervised Multitask
 * Learners", 2019), GPT-3 and Llama (H. Touvron et al., 2023), which differ in options only, with
 * the Model Zoo's options, parameter names, first values and places of dropout
 * (models/nlp/gpt2/gpt2_model.py, release 2.10).
 */
#include "nn/gpt2.h"

#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "kernels/kernels.h"
#include "nn/rotary.h"
#include "nn/tokens.h"

static cairn_status declare(void *self, cairn_state *state, cairn_error *err)
{
    return crn_gpt2_declare(self, state, err);
}

static cairn_status initialize(void *self, cairn_state_tree *tree, uint64_t seed, cairn_error *err)
{
    const crn_gpt2 *const m = self;
    return crn_params_initialize(&m->params, tree, seed, err);
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
    crn_gpt2 *const m = self;
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
                                tokens.batch, tokens.time, crn_gpt2_record, m, &plan, err));
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
    crn_gpt2 *const m = self;
    if (count < 1)
        CRN_FAIL(err, CAIRN_EINVAL, "a continuation needs at least one token");
    for (int64_t i = 0; i < count; i++)
        CRN_TRY_PLAIN(crn_check_token("tokens", i, count, tokens[i], m->options.vocab_size, err));
    CRN_TRY_PLAIN(crn_gpt2_next_logits(m, tokens, count, out_logits, err));
out:
    return rc;
}

static void parameters_changed(void *self)
{
    const crn_gpt2 *const m = self;
    crn_gpt2_cache_forget(m->cache);
}

static cairn_status use_bf16(void *self, const char **out_note, cairn_error *err)
{
    static const char *const k_notes[] = {
        [CRN_BF16_NATIVE] = NULL,
        [CRN_BF16_EMULATED] =
            "bfloat16 is emulated on this processor: the same rounding, no faster",
        [CRN_BF16_DISTRUSTED] = "this processor's bfloat16 products are WRONG in a trial, so they "
                                "are emulated: the same rounding, no faster"};
    cairn_status rc = CAIRN_OK;
    crn_gpt2 *const m = self;
    CRN_TRY_PLAIN(crn_mixed_new(&m->mixed, err));
    *out_note = k_notes[crn_bf16_gemms_unit(crn_mixed_gemms(m->mixed))];
out:
    return rc;
}

static int64_t vocab_size(const void *self)
{
    const crn_gpt2 *const m = self;
    return m->options.vocab_size;
}

static int64_t max_sequence_length(const void *self)
{
    const crn_gpt2 *const m = self;
    return m->options.max_position_embeddings;
}

/* Keys that a query sees, on average over a sequence of @time tokens. */
static double mean_keys(const cairn_gpt2_options *o, int64_t time)
{
    const cairn_opt_int window = o->attention_sliding_window_length;
    const cairn_opt_int sinks = o->attention_sink_tokens;
    int64_t most = time;
    if (window.is_set && window.value + (sinks.is_set ? sinks.value : 0) < time)
        most = window.value + (sinks.is_set ? sinks.value : 0);
    const double growing = (double)most * ((double)most + 1.0) / 2.0;
    return (growing + (double)(time - most) * (double)most) / (double)time;
}

/* A lookup is no product. */
static double adapter_elements(const crn_gpt2 *m)
{
    double sum = 0.0;
    for (size_t i = 0; i < m->adapters.count; i++) {
        const cairn_tensor *const tensor = m->adapters.items[i].tensor;
        if (tensor != m->words_lora.a && tensor != m->positions_lora.a)
            sum += (double)cairn_tensor_elements(tensor);
    }
    return sum;
}

/* Of what must be computed; the backward takes twice the forward. */
static double flops(const void *self, const cairn_batch *batch, bool is_training)
{
    const crn_gpt2 *const m = self;
    const cairn_gpt2_options *const o = &m->options;
    const cairn_batch_field *const ids = cairn_batch_find(batch, "input_ids");
    if (ids == NULL || ids->rank != 2 || ids->shape[1] < 1)
        return 0.0;
    const double tokens = (double)ids->shape[0] * (double)ids->shape[1];
    const double c = (double)o->hidden_size;
    const double kv = c / (double)o->num_heads * (double)m->kv_heads;
    const double layer = 2.0 * c * c + 2.0 * c * kv +
                         (m->is_gated ? 3.0 : 2.0) * c * (double)o->filter_size +
                         2.0 * c * mean_keys(o, ids->shape[1]);
    const double all = (double)o->num_hidden_layers * layer + c * (double)o->vocab_size;
    /* Of what is frozen the backward computes the half. */
    const bool is_adapted = m->adapters.count > 0;
    const double passes = !is_training ? 1.0 : is_adapted ? 2.0 : 3.0;
    return 2.0 * tokens * (all * passes + adapter_elements(m) * (is_training ? 3.0 : 1.0));
}

static cairn_status memory(void *self, const cairn_batch *batch, bool is_training,
                           uint64_t *out_bytes, cairn_error *err)
{
    crn_gpt2 *const m = self;
    cairn_status rc = CAIRN_OK;
    const cairn_batch_field *ids = NULL;
    CRN_TRY_PLAIN(crn_tokens_find(batch, m->options.max_position_embeddings, &ids, err));
    CRN_TRY_PLAIN(crn_plans_measure(&m->plans, is_training ? CRN_PLAN_TRAIN : CRN_PLAN_EVALUATE,
                                    ids->shape[0], ids->shape[1], crn_gpt2_record, m, out_bytes,
                                    err));
out:
    return rc;
}

static uint64_t copies(const void *self)
{
    const crn_gpt2 *const m = self;
    return crn_mixed_bytes(m->mixed);
}

static void destroy(void *self)
{
    crn_gpt2 *const m = self;
    if (m == NULL)
        return;
    crn_plans_dispose(&m->plans);
    crn_rotary_table_dispose(&m->rotary);
    crn_params_dispose(&m->params);
    crn_params_dispose(&m->adapters);
    crn_free(m->blocks);
    crn_gpt2_cache_destroy(m->cache);
    crn_mixed_destroy(m->mixed);
    crn_free(m);
}

static const cairn_model_ops k_ops = {.struct_size = sizeof(cairn_model_ops),
                                      .name = "gpt2",
                                      .declare = declare,
                                      .initialize = initialize,
                                      .compute = compute,
                                      .next_logits = next_logits,
                                      .parameters_changed = parameters_changed,
                                      .vocab_size = vocab_size,
                                      .max_sequence_length = max_sequence_length,
                                      .destroy = destroy,
                                      .flops = flops,
                                      .takes_weights = true,
                                      .memory = memory,
                                      .adapters = &crn_gpt2_adapter_ops,
                                      .use_bf16 = use_bf16,
                                      .copies = copies};

cairn_status cairn_gpt2_new(const cairn_gpt2_options *options, cairn_model *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_gpt2 *m = crn_calloc(1, sizeof *m);
    CRN_NEED(err, m, "a model");
    CRN_TRY_PLAIN(crn_gpt2_configure(m, options, err));
    m->blocks = crn_calloc((size_t)options->num_hidden_layers, sizeof *m->blocks);
    CRN_NEED(err, m->blocks, "a model");
    out->ops = &k_ops;
    out->self = m;
    m = NULL;
out:
    destroy(m);
    return rc;
}
