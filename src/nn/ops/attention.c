#include "kernels/kernels.h"

#include "nn/ops/attributes.h"
#include "nn/ops/ops.h"

enum { Q, K, V };
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

static cairn_status backward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    attributes a;
    CRN_OP_ATTRIBUTES(op, &a);
    const crn_dropout_place place = place_of(&a, run);
    const crn_attention_gradients out = {.dq = crn_op_in_grad(tape, op, Q),
                                         .dk = crn_op_in_grad(tape, op, K),
                                         .dv = crn_op_in_grad(tape, op, V),
                                         .adds_dq = op->adds[Q],
                                         .adds_dk = op->adds[K],
                                         .adds_dv = op->adds[V]};
    return crn_attention_backward(&a.shape, &place, crn_op_in(tape, op, Q), crn_op_in(tape, op, K),
                                  crn_op_in(tape, op, V), crn_op_out(tape, op),
                                  crn_op_saved(tape, op, LSE), crn_op_out_grad(tape, op), &out,
                                  crn_tape_workers(tape), crn_op_scratch(tape), err);
}

static const crn_op_kind k_attention = {.name = "attention",
                                        .forward = forward,
                                        .backward = backward,
                                        .backward_reads = CRN_READS_IN0 | CRN_READS_IN1 |
                                                          CRN_READS_IN2 | CRN_READS_OUT};

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
                              .scale = (float)spec->scale}};
    if (crn_tape_is_training(tape)) {
        a.rate = (float)spec->dropout_rate;
        a.number = crn_tape_next_dropout(tape);
    }
    const crn_op_spec op = {.kind = &k_attention,
                            .in = {q, k, v},
                            .in_count = 3,
                            .out_rows = rows,
                            .out_cols = cols,
                            .saved_floats = {rows * spec->heads},
                            .scratch_floats =
                                crn_attention_scratch(&a.shape, crn_tape_workers(tape)),
                            .attributes = &a,
                            .attributes_size = sizeof a};
    return crn_tape_record(tape, &op);
}
