/* The output layer and its loss together, some rows at a time. */
#include "base/try.h"
#include "kernels/kernels.h"
#include "nn/ops/attributes.h"
#include "nn/ops/ops.h"

enum { X, WEIGHT, BIAS, LABELS, MASK, X_BF16 };
enum { DX };

typedef struct attributes {
    crn_head_loss_spec spec;
    const crn_bf16 *weight; /* NULL: products are in float32 */
} attributes;

/* One run over the rows. */
typedef struct pass {
    crn_head_loss_spec spec;
    crn_bf16_gemms *gemms; /* NULL: products are in float32, like the next two */
    const crn_bf16 *x_bf16;
    const crn_bf16 *weight_bf16;
    int64_t rows;
    int64_t in;
    int64_t vocab;
    const float *x;
    const float *weight;
    const float *bias; /* NULL: none */
    crn_token_labels labels;
    float *logits; /* [chunk_rows][vocab], scratch like the next three */
    float *lse;    /* [chunk_rows] */
    float *row;    /* [chunk_rows] */
    float *rest;   /* for the backward of the linear layer */
    float *dx;     /* NULL without training, like the next two */
    float *dweight;
    float *dbias; /* NULL: none */
} pass;

static int64_t scratch_floats(const crn_tape *tape, int64_t chunk_rows, int64_t vocab,
                              bool has_bias)
{
    const crn_linear_shape chunk = {.rows = chunk_rows, .out = vocab};
    int64_t rest = has_bias ? crn_sum_rows_scratch(chunk_rows, vocab) : 0;
    if (crn_tape_mixed(tape) != NULL)
        rest = crn_linear_bf16_scratch(&chunk, has_bias);
    return chunk_rows * (vocab + 2) + (crn_tape_is_training(tape) ? rest : 0);
}

static pass make_pass(crn_tape *tape, const crn_op *op)
{
    pass p = {
        .rows = crn_value_rows(tape, op->in[X]),
        .in = crn_value_cols(tape, op->in[X]),
        .vocab = crn_value_rows(tape, op->in[WEIGHT]),
        .x = crn_op_in(tape, op, X),
        .weight = crn_op_in(tape, op, WEIGHT),
        .bias = crn_op_in(tape, op, BIAS),
        .labels = {.labels = crn_op_array(tape, op, LABELS), .mask = crn_op_array(tape, op, MASK)},
        .logits = crn_op_scratch(tape)};
    attributes a;
    CRN_OP_ATTRIBUTES(op, &a);
    p.spec = a.spec;
    if (a.weight != NULL) {
        p.gemms = crn_mixed_gemms(crn_tape_mixed(tape));
        p.x_bf16 = crn_op_in_bf16(tape, op, X_BF16);
        p.weight_bf16 = a.weight;
    }
    p.lse = p.logits + p.spec.chunk_rows * p.vocab;
    p.row = p.lse + p.spec.chunk_rows;
    p.rest = p.row + p.spec.chunk_rows;
    if (crn_tape_is_training(tape)) {
        p.dx = crn_op_saved(tape, op, DX);
        p.dweight = crn_op_in_grad(tape, op, WEIGHT);
        p.dbias = crn_op_in_grad(tape, op, BIAS);
    }
    return p;
}

/* Logits of rows [first, first + rows), before they are scaled. */
static cairn_status multiply(const pass *p, int64_t first, const crn_linear_shape *shape,
                             cairn_error *err)
{
    const int64_t at = first * p->in;
    return p->gemms == NULL ? crn_linear(shape, p->x + at, p->weight, p->bias, p->logits, err)
                            : crn_linear_bf16(p->gemms, shape, p->x_bf16 + at, p->weight_bf16,
                                              p->bias, p->logits, err);
}

/* Their gradients to those of x, weight and bias. */
static cairn_status multiply_backward(const pass *p, int64_t first, const crn_linear_shape *shape,
                                      cairn_error *err)
{
    const int64_t at = first * p->in;
    return p->gemms == NULL ? crn_linear_backward(shape, p->x + at, p->weight, p->logits, false,
                                                  p->dx + at, p->dweight, p->dbias, p->rest, err)
                            : crn_linear_bf16_backward(p->gemms, shape, p->x_bf16 + at,
                                                       p->weight_bf16, p->logits, false, p->dx + at,
                                                       p->dweight, p->dbias, p->rest, err);
}

/* Adds to the sums of @run; @factor: what the sum of the token losses is multiplied by. */
static cairn_status run_chunk(const pass *p, int64_t first, int64_t rows, double factor,
                              crn_run *run, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_token_labels labels = {.labels = p->labels.labels + first,
                                     .mask =
                                         p->labels.mask != NULL ? p->labels.mask + first : NULL};
    const crn_linear_shape shape = {.rows = rows, .in = p->in, .out = p->vocab};
    CRN_TRY_PLAIN(multiply(p, first, &shape, err));
    if (p->spec.logits_scale != 1.0)
        crn_scale(rows * p->vocab, (float)p->spec.logits_scale, p->logits, false, p->logits);
    run->token_loss += crn_cross_entropy(rows, p->vocab, p->logits, &labels, p->lse, p->row);
    if (run->wants_metrics)
        run->correct += crn_count_correct(rows, p->vocab, p->logits, &labels, p->row);
    if (p->dx != NULL) {
        crn_cross_entropy_backward(rows, p->vocab, &labels, p->lse,
                                   (float)(factor * p->spec.logits_scale * (double)run->loss_scale),
                                   p->logits);
        CRN_TRY_PLAIN(multiply_backward(p, first, &shape, err));
    }
out:
    return rc;
}

/* In training it computes the gradients too: they need the same logits. */
static cairn_status forward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const pass p = make_pass(tape, op);
    run->weight = 0.0;
    run->token_loss = 0.0;
    run->correct = 0.0;
    for (int64_t r = 0; r < p.rows; r++)
        run->weight += (double)crn_token_weight(&p.labels, r);
    const double factor = crn_loss_factor(&p.spec.loss, run->weight);
    for (int64_t first = 0; first < p.rows; first += p.spec.chunk_rows) {
        const int64_t left = p.rows - first;
        CRN_TRY_PLAIN(run_chunk(&p, first, left < p.spec.chunk_rows ? left : p.spec.chunk_rows,
                                factor, run, err));
    }
    run->loss = run->token_loss * factor;
out:
    return rc;
}

static cairn_status backward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    (void)run;
    (void)err;
    crn_copy(crn_value_rows(tape, op->in[X]) * crn_value_cols(tape, op->in[X]),
             crn_op_saved(tape, op, DX), op->adds[X], crn_op_in_grad(tape, op, X));
    return CAIRN_OK;
}

static const crn_op_kind k_head_loss = {
    .name = "head and loss", .forward = forward, .backward = backward};

void crn_op_head_loss(crn_tape *tape, crn_value x, crn_value weight, crn_value bias,
                      crn_value labels, crn_value mask, const crn_head_loss_spec *spec)
{
    const int64_t rows = crn_value_rows(tape, x);
    const int64_t in = crn_value_cols(tape, x);
    const int64_t vocab = crn_value_rows(tape, weight);
    if (in != crn_value_cols(tape, weight) ||
        (bias != CRN_VALUE_NONE && crn_value_cols(tape, bias) != vocab)) {
        (void)crn_tape_reject(tape, "the output layer");
        return;
    }
    attributes a = {.spec = *spec};
    crn_op_spec op = {.kind = &k_head_loss,
                      .in = {x, weight, bias, labels, mask},
                      .in_count = 5,
                      .saved_floats = {crn_tape_is_training(tape) ? rows * in : 0},
                      .scratch_floats =
                          scratch_floats(tape, spec->chunk_rows, vocab, bias != CRN_VALUE_NONE),
                      .attributes = &a,
                      .attributes_size = sizeof a};
    if (crn_tape_mixed(tape) != NULL) {
        a.weight = crn_tape_bf16_weight(tape, weight);
        op.in[X_BF16] = crn_op_bf16(tape, x);
        op.in_count = 6;
    }
    (void)crn_tape_record(tape, &op);
}
