#include "kernels/kernels.h"

#include "nn/ops/attributes.h"
#include "nn/ops/ops.h"

enum { Q, K, V, Q_BF16, K_BF16, V_BF16 };
enum { LSE };

typedef struct attributes {
    crn_attention_shape shape;
    float rate;
    uint32_t number;
} attributes;

static crn_dropout_place place_of(const attributes *a, const crn_run *run)
{
    const crn_dropout_place place = {
        .seed = run->seed, .step = run->step, .number = a->number, .rate = a->rate};
    return place;
}

static cairn_status forward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    attributes a;
    CRN_OP_ATTRIBUTES(op, &a);
    const crn_dropout_place place = place_of(&a, run);
    return crn_attention(&a.shape, &place, crn_op_in(tape, op, Q), crn_op_in(tape, op, K),
                         crn_op_in(tape, op, V), crn_op_out(tape, op), crn_op_saved(tape, op, LSE),
                         crn_tape_workers(tape), crn_op_scratch(tape), err);
}

static crn_attention_gradients gradients_of(const crn_tape *tape, const crn_op *op)
{
    const crn_attention_gradients out = {.dq = crn_op_in_grad(tape, op, Q),
                                         .dk = crn_op_in_grad(tape, op, K),
                                         .dv = crn_op_in_grad(tape, op, V),
                                         .adds_dq = op->adds[Q],
                                         .adds_dk = op->adds[K],
                                         .adds_dv = op->adds[V]};
    return out;
}

static cairn_status backward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    attributes a;
    CRN_OP_ATTRIBUTES(op, &a);
    const crn_dropout_place place = place_of(&a, run);
    const crn_attention_gradients out = gradients_of(tape, op);
    return crn_attention_backward(&a.shape, &place, crn_op_in(tape, op, Q), crn_op_in(tape, op, K),
                                  crn_op_in(tape, op, V), crn_op_out(tape, op),
                                  crn_op_saved(tape, op, LSE), crn_op_out_grad(tape, op), &out,
                                  crn_tape_workers(tape), crn_op_scratch(tape), err);
}

/*
 * In bfloat16 the factors are numbers of that type, kept as such, and the products float32's: they
 * are small, and their results are wanted in float32. So is what the softmax gives.
 */
typedef struct widened {
    float *q;
    float *k;
    float *v;
    float *dy;
    float *rest; /* for the kernel */
} widened;

static int64_t elements(const crn_tape *tape, const crn_op *op, int i)
{
    return crn_value_rows(tape, op->in[i]) * crn_value_cols(tape, op->in[i]);
}

static widened widen(const crn_tape *tape, const crn_op *op)
{
    widened w = {.q = crn_op_scratch(tape)};
    w.k = w.q + elements(tape, op, Q);
    w.v = w.k + elements(tape, op, K);
    w.dy = w.v + elements(tape, op, V);
    w.rest = w.dy + elements(tape, op, Q);
    crn_from_bf16(elements(tape, op, Q), crn_op_in_bf16(tape, op, Q_BF16), w.q);
    crn_from_bf16(elements(tape, op, K), crn_op_in_bf16(tape, op, K_BF16), w.k);
    crn_from_bf16(elements(tape, op, V), crn_op_in_bf16(tape, op, V_BF16), w.v);
    return w;
}

static cairn_status forward_bf16(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    attributes a;
    CRN_OP_ATTRIBUTES(op, &a);
    const crn_dropout_place place = place_of(&a, run);
    const widened w = widen(tape, op);
    return crn_attention(&a.shape, &place, w.q, w.k, w.v, crn_op_out(tape, op),
                         crn_op_saved(tape, op, LSE), crn_tape_workers(tape), w.rest, err);
}

static cairn_status backward_bf16(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    attributes a;
    CRN_OP_ATTRIBUTES(op, &a);
    const crn_dropout_place place = place_of(&a, run);
    const crn_attention_gradients out = gradients_of(tape, op);
    const widened w = widen(tape, op);
    crn_round_to_bf16(elements(tape, op, Q), crn_op_out_grad(tape, op), w.dy);
    return crn_attention_backward(&a.shape, &place, w.q, w.k, w.v, crn_op_out(tape, op),
                                  crn_op_saved(tape, op, LSE), w.dy, &out, crn_tape_workers(tape),
                                  w.rest, err);
}

static const crn_op_kind k_attention = {.name = "attention",
                                        .forward = forward,
                                        .backward = backward,
                                        .backward_reads = CRN_READS_IN0 | CRN_READS_IN1 |
                                                          CRN_READS_IN2 | CRN_READS_OUT};
static const crn_op_kind k_attention_bf16 = {.name = "attention",
                                             .forward = forward_bf16,
                                             .backward = backward_bf16,
                                             .backward_reads = CRN_READS_IN3 | CRN_READS_IN4 |
                                                               CRN_READS_IN5 | CRN_READS_OUT};

crn_value crn_op_attention(crn_tape *tape, crn_value q, crn_value k, crn_value v,
                           const crn_attention_spec *spec)
{
    const int64_t rows = crn_value_rows(tape, q);
    const int64_t cols = crn_value_cols(tape, q);
    const int64_t size = cols / spec->heads;
    const int64_t kv_cols = size * spec->kv_heads;
    if (cols % spec->heads != 0 || spec->heads % spec->kv_heads != 0 ||
        rows != spec->batch * spec->time || crn_value_rows(tape, k) != rows ||
        crn_value_rows(tape, v) != rows || crn_value_cols(tape, k) != kv_cols ||
        crn_value_cols(tape, v) != kv_cols)
        return crn_tape_reject(tape, "attention");
    attributes a = {.shape = {.batch = spec->batch,
                              .time = spec->time,
                              .heads = spec->heads,
                              .kv_heads = spec->kv_heads,
                              .head_size = size,
                              .window = spec->window,
                              .sinks = spec->sinks,
                              .scale = (float)spec->scale,
                              .is_bf16 = crn_tape_mixed(tape) != NULL}};
    if (crn_tape_is_training(tape)) {
        a.rate = (float)spec->dropout_rate;
        a.number = crn_tape_next_dropout(tape);
    }
    crn_op_spec op = {.kind = &k_attention,
                      .in = {q, k, v},
                      .in_count = 3,
                      .out_rows = rows,
                      .out_cols = cols,
                      .saved_floats = {rows * spec->heads},
                      .scratch_floats = crn_attention_scratch(&a.shape, crn_tape_workers(tape)),
                      .attributes = &a,
                      .attributes_size = sizeof a};
    if (a.shape.is_bf16) {
        op.kind = &k_attention_bf16;
        op.in[Q_BF16] = crn_op_bf16(tape, q);
        op.in[K_BF16] = crn_op_bf16(tape, k);
        op.in[V_BF16] = crn_op_bf16(tape, v);
        op.in_count = 6;
        op.scratch_floats += 2 * rows * (cols + kv_cols); /* see widen() */
    }
    return crn_tape_record(tape, &op);
}
