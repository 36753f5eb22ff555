#include "kernels/kernels.h"
#include "nn/ops/attributes.h"
#include "nn/ops/ops.h"

enum { IDS, WORDS, POSITIONS };

typedef struct attributes {
    int64_t batch;
    int64_t time;
} attributes;

static cairn_status forward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    attributes a;
    CRN_OP_ATTRIBUTES(op, &a);
    (void)run;
    (void)err;
    crn_embedding(a.batch, a.time, crn_value_cols(tape, op->out), crn_op_array(tape, op, IDS),
                  crn_op_in(tape, op, WORDS), crn_op_in(tape, op, POSITIONS), crn_op_out(tape, op));
    return CAIRN_OK;
}

static cairn_status backward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    attributes a;
    CRN_OP_ATTRIBUTES(op, &a);
    (void)run;
    (void)err;
    crn_embedding_backward(a.batch, a.time, crn_value_cols(tape, op->out),
                           crn_op_array(tape, op, IDS), crn_op_out_grad(tape, op),
                           crn_op_in_grad(tape, op, WORDS), crn_op_in_grad(tape, op, POSITIONS));
    return CAIRN_OK;
}

static const crn_op_kind k_embedding = {
    .name = "embedding", .forward = forward, .backward = backward};

crn_value crn_op_embedding(crn_tape *tape, crn_value ids, crn_value words, crn_value positions,
                           int64_t batch, int64_t time)
{
    const attributes a = {.batch = batch, .time = time};
    if (positions != CRN_VALUE_NONE &&
        (crn_value_cols(tape, words) != crn_value_cols(tape, positions) ||
         crn_value_rows(tape, positions) < time))
        return crn_tape_reject(tape, "embedding");
    const crn_op_spec spec = {.kind = &k_embedding,
                              .in = {ids, words, positions},
                              .in_count = 3,
                              .out_rows = batch * time,
                              .out_cols = crn_value_cols(tape, words),
                              .attributes = &a,
                              .attributes_size = sizeof a};
    return crn_tape_record(tape, &spec);
}
