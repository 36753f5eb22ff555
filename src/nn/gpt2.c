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

enum { GENERATE_STEP = 64 }; /* Growing texts are padded to multiples of it: few plans. */

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
    crn_run run = {.seed = pass->seed, .step = pass->step, .loss_scale = pass->loss_scale};
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
    CRN_TRY_PLAIN(
        crn_plans_get(&m->plans, CRN_PLAN_GENERATE, 1, time, crn_gpt2_record, m, &plan, err));
    crn_tape_set_input(plan->tape, plan->ids, m->padded);
    CRN_TRY_PLAIN(crn_tape_run(plan->tape, &run, err));
    const crn_matrix hidden = {.data = crn_tape_data(plan->tape, plan->hidden) + (used - 1) * c,
                               .stride = c};
    const crn_matrix weight = {.data = m->head.weight->data, .stride = c, .is_transposed = true};
    CRN_TRY_PLAIN(crn_gemm(1, m->options.vocab_size, c, 1.0F, hidden, weight, 0.0F, out_logits,
                           m->options.vocab_size, err));
    if (m->head.bias != NULL)
        crn_add_bias(1, m->options.vocab_size, m->head.bias->data, out_logits);
    crn_scale(m->options.vocab_size, (float)m->logits_scale, out_logits, false, out_logits);
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

static void destroy(void *self)
{
    crn_gpt2 *const m = self;
    if (m == NULL)
        return;
    crn_plans_dispose(&m->plans);
    crn_rotary_table_dispose(&m->rotary);
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
                                      .destroy = destroy};

cairn_status cairn_gpt2_new(const cairn_gpt2_options *options, cairn_model *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_gpt2 *m = crn_calloc(1, sizeof *m);
    CRN_NEED(err, m, "a model");
    CRN_TRY_PLAIN(crn_gpt2_configure(m, options, err));
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
