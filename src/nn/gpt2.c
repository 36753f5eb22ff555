/*
 * The GPT-2 family: GPT-2 (A. Radford et al., "Language Models are Unsupervised Multitask
 * Learners", 2019), GPT-3 and Llama (H. Touvron et al., 2023), which differ in options only, with
 * the Model Zoo's options, parameter names, first values and places of dropout
 * (models/nlp/gpt2/gpt2_model.py, release 2.10).
 */
#include "nn/gpt2.h"

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

static cairn_status compute(void *self, const cairn_batch *batch, const cairn_pass *pass,
                            cairn_loss *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_gpt2 *const m = self;
    crn_tokens tokens = {0};
    crn_plan *plan = NULL;
    crn_run run = {
        .seed = pass->seed, .step = pass->step, .loss_scale = pass->loss_scale, .pass = pass};
    CRN_TRY_PLAIN(crn_tokens_read(batch, m->options.vocab_size, m->options.max_position_embeddings,
                                  &tokens, err));
    CRN_TRY_PLAIN(crn_plans_get(&m->plans, pass->is_training ? CRN_PLAN_TRAIN : CRN_PLAN_EVALUATE,
                                tokens.batch, tokens.time, crn_gpt2_record, m, &plan, err));
    crn_tape_set_input(plan->tape, plan->ids, tokens.ids);
    crn_tape_set_input(plan->tape, plan->labels, tokens.labels);
    crn_tape_set_input(plan->tape, plan->mask, tokens.mask);
    CRN_TRY_PLAIN(crn_tape_run(plan->tape, &run, err));
    out->loss = run.loss;
    out->weight = run.weight;
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

static void destroy(void *self)
{
    crn_gpt2 *const m = self;
    if (m == NULL)
        return;
    crn_plans_dispose(&m->plans);
    crn_rotary_table_dispose(&m->rotary);
    crn_params_dispose(&m->params);
    crn_free(m->blocks);
    crn_gpt2_cache_destroy(m->cache);
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
                                      .destroy = destroy};

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
