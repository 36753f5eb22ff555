/* The operations of a pass through the GPT-2 family, in the Model Zoo's order. */
#include "nn/gpt2.h"

/* Fewer logits at once make the products of the output layer slow; more only take memory. */
#define LOGITS_BYTES_MAX ((int64_t)128 * 1024 * 1024)

enum { ROWS_TILE = 16 };

static crn_value linear(crn_tape *tape, crn_value x, const crn_layer *layer)
{
    const crn_lora *const lora = &layer->lora;
    const crn_value y = crn_op_linear(tape, x, crn_tape_parameter(tape, layer->weight),
                                      crn_tape_parameter(tape, layer->bias));
    if (lora->a == NULL)
        return y;
    const crn_value h = crn_op_linear(tape, crn_op_dropout(tape, x, lora->dropout_rate),
                                      crn_tape_parameter(tape, lora->a), CRN_VALUE_NONE);
    return crn_op_add_product(tape, y, h, crn_tape_parameter(tape, lora->b), lora->scale);
}

/* @x with what the adapter adds to the rows of a table; no ids: those of the positions. */
static crn_value adapt_lookup(const crn_plan *plan, crn_value x, crn_value ids,
                              const crn_lora *lora)
{
    crn_tape *const t = plan->tape;
    if (lora->a == NULL)
        return x;
    const crn_value h =
        crn_op_columns(t, ids, crn_tape_parameter(t, lora->a), plan->batch, plan->time);
    return crn_op_add_product(t, x, h, crn_tape_parameter(t, lora->b), lora->scale);
}

static crn_value norm(const crn_gpt2 *m, crn_tape *tape, crn_value x, const crn_layer *layer)
{
    const crn_value weight = crn_tape_parameter(tape, layer->weight);
    if (m->is_rms)
        return crn_op_rmsnorm(tape, x, weight, m->options.layer_norm_epsilon);
    return crn_op_layernorm(tape, x, weight, crn_tape_parameter(tape, layer->bias),
                            m->options.layer_norm_epsilon);
}

static crn_value rotated(const crn_gpt2 *m, const crn_plan *plan, crn_value x, int64_t heads)
{
    return m->is_rotary ? crn_op_rotary(plan->tape, x, &m->rotary, plan->time, heads) : x;
}

static int64_t or_zero(cairn_opt_int option)
{
    return option.is_set ? option.value : 0;
}

static crn_value record_attention(const crn_gpt2 *m, const crn_plan *plan, const crn_gpt2_block *b,
                                  crn_value h)
{
    crn_tape *const t = plan->tape;
    const cairn_gpt2_options *const o = &m->options;
    const crn_attention_spec attention = {.batch = plan->batch,
                                          .time = plan->time,
                                          .heads = o->num_heads,
                                          .kv_heads = m->kv_heads,
                                          .window = or_zero(o->attention_sliding_window_length),
                                          .sinks = or_zero(o->attention_sink_tokens),
                                          .scale = m->attention_scale,
                                          .dropout_rate = m->attention_dropout};
    const crn_value q = rotated(m, plan, linear(t, h, &b->q), o->num_heads);
    const crn_value k = rotated(m, plan, linear(t, h, &b->k), m->kv_heads);
    const crn_value v = linear(t, h, &b->v);
    return linear(t, crn_op_attention(t, q, k, v, &attention), &b->attention_out);
}

static crn_value record_ffn(const crn_gpt2 *m, crn_tape *t, const crn_gpt2_block *b, crn_value h)
{
    const crn_value x = linear(t, h, &b->ffn0);
    const crn_value y = m->is_gated ? crn_op_glu(t, x, linear(t, h, &b->gate), m->gated)
                                    : crn_op_activation(t, x, m->activation);
    return linear(t, y, &b->ffn1);
}

static crn_value record_block(const crn_gpt2 *m, const crn_plan *plan, const crn_gpt2_block *b,
                              crn_value x)
{
    crn_tape *const t = plan->tape;
    const double rate = m->options.dropout_rate;
    crn_value h = record_attention(m, plan, b, norm(m, t, x, &b->norm1));
    x = crn_op_add(t, x, crn_op_dropout(t, h, rate));
    h = record_ffn(m, t, b, norm(m, t, x, &b->norm3));
    return crn_op_add(t, x, crn_op_dropout(t, h, rate));
}

static crn_value record_layer(const crn_gpt2 *m, const crn_plan *plan, const crn_gpt2_block *b,
                              crn_value x)
{
    if (!m->options.gradient_checkpointing)
        return record_block(m, plan, b, x);
    crn_tape_begin_segment(plan->tape);
    x = record_block(m, plan, b, x);
    crn_tape_end_segment(plan->tape);
    return x;
}

static crn_value record_embedding(const crn_gpt2 *m, const crn_plan *plan)
{
    crn_tape *const t = plan->tape;
    crn_value x = crn_op_embedding(t, plan->ids, crn_tape_parameter(t, m->words),
                                   crn_tape_parameter(t, m->positions), plan->batch, plan->time);
    x = adapt_lookup(plan, x, plan->ids, &m->words_lora);
    x = adapt_lookup(plan, x, CRN_VALUE_NONE, &m->positions_lora);
    if (m->embedding_norm.weight != NULL)
        x = norm(m, t, x, &m->embedding_norm);
    x = crn_op_scale(t, x, m->options.embeddings_scale);
    return crn_op_dropout(t, x, m->embedding_dropout);
}

/* Rows whose logits are in memory at once: as equal shares as can be, in whole tiles. */
static int64_t chunk_rows(int64_t rows, int64_t vocab)
{
    const int64_t most = LOGITS_BYTES_MAX / ((int64_t)sizeof(float) * vocab) + 1;
    const int64_t chunks = (rows + most - 1) / most;
    const int64_t share = (rows + chunks - 1) / chunks;
    return (share + ROWS_TILE - 1) / ROWS_TILE * ROWS_TILE;
}

static void record_head(const crn_gpt2 *m, const crn_plan *plan, crn_value x,
                        const crn_loss_spec *loss)
{
    crn_tape *const t = plan->tape;
    const int64_t rows = plan->batch * plan->time;
    const crn_head_loss_spec spec = {.loss = *loss,
                                     .logits_scale = m->logits_scale,
                                     .chunk_rows = chunk_rows(rows, m->options.vocab_size)};
    /* An adapter of the output layer needs its input and all logits. */
    if (spec.chunk_rows < rows && m->head.lora.a == NULL) {
        crn_op_head_loss(t, x, crn_tape_parameter(t, m->head.weight),
                         crn_tape_parameter(t, m->head.bias), plan->labels, plan->mask, &spec);
        return;
    }
    x = linear(t, x, &m->head);
    crn_tape_name(t, x, "lm_head"); /* Tied, its weight has another module's name. */
    crn_op_cross_entropy(t, crn_op_scale(t, x, m->logits_scale), plan->labels, plan->mask, loss);
}

void crn_gpt2_record(const void *model, crn_plan *plan)
{
    const crn_gpt2 *const m = model;
    crn_tape *const t = plan->tape;
    const crn_loss_spec loss = {.per_token = m->is_per_token,
                                .samples = plan->batch,
                                .factor = m->is_per_token ? 1.0 : m->options.loss_weight};
    crn_tape_use_bf16(t, m->mixed);
    plan->ids = crn_tape_input(t);
    crn_value x = record_embedding(m, plan);
    for (int64_t i = 0; i < m->options.num_hidden_layers; i++)
        x = record_layer(m, plan, &m->blocks[i], x);
    x = norm(m, t, x, &m->norm);
    plan->labels = crn_tape_input(t);
    plan->mask = crn_tape_input(t);
    record_head(m, plan, x, &loss);
}
