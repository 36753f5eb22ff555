#include "kernels/kernels.h"
#include "nn/ops/attributes.h"
#include "nn/ops/ops.h"

enum { IDS, TABLE };

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
    crn_columns(a.batch, a.time, crn_value_cols(tape, op->out), crn_value_cols(tape, op->in[TABLE]),
                crn_op_array(tape, op, IDS), crn_op_in(tape, op, TABLE), crn_op_out(tape, op));
    return CAIRN_OK;
}

static cairn_status backward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    attributes a;
    CRN_OP_ATTRIBUTES(op, &a);
    (void)run;
    (void)err;
    crn_columns_backward(a.batch, a.time, crn_value_cols(tape, op->out),
                         crn_value_cols(tape, op->in[TABLE]), crn_op_array(tape, op, IDS),
                         crn_op_out_grad(tape, op), crn_op_in_grad(tape, op, TABLE));
    return CAIRN_OK;
}

static const crn_op_kind k_columns = {.name = "columns", .forward = forward, .backward = backward};

crn_value crn_op_columns(crn_tape *tape, crn_value ids, crn_value table, int64_t batch,
                         int64_t time)
{
    const attributes a = {.batch = batch, .time = time};
    if (ids == CRN_VALUE_NONE && crn_value_cols(tape, table) < time)
        return crn_tape_reject(tape, "columns");
    const crn_op_spec spec = {.kind = &k_columns,
                              .in = {ids, table},
                              .in_count = 2,
                              .out_rows = batch * time,
                              .out_cols = crn_value_rows(tape, table),
                              .attributes = &a,
                              .attributes_size = sizeof a};
    return crn_tape_record(tape, &spec);
}
