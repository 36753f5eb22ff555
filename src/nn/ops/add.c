#include "kernels/kernels.h"
#include "nn/op.h"
#include "nn/ops/ops.h"

static int64_t count_of(const crn_tape *tape, const crn_op *op)
{
    return crn_value_rows(tape, op->out) * crn_value_cols(tape, op->out);
}

static cairn_status forward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    (void)run;
    (void)err;
    crn_add(count_of(tape, op), crn_op_in(tape, op, 0), crn_op_in(tape, op, 1),
            crn_op_out(tape, op));
    return CAIRN_OK;
}

static cairn_status backward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    (void)run;
    (void)err;
    for (int i = 0; i < 2; i++)
        crn_copy(count_of(tape, op), crn_op_out_grad(tape, op), op->adds[i],
                 crn_op_in_grad(tape, op, i));
    return CAIRN_OK;
}

static const crn_op_kind k_add = {.name = "add", .forward = forward, .backward = backward};

crn_value crn_op_add(crn_tape *tape, crn_value a, crn_value b)
{
    if (crn_value_rows(tape, a) != crn_value_rows(tape, b) ||
        crn_value_cols(tape, a) != crn_value_cols(tape, b))
        return crn_tape_reject(tape, "add");
    const crn_op_spec spec = {.kind = &k_add,
                              .in = {a, b},
                              .in_count = 2,
                              .out_rows = crn_value_rows(tape, a),
                              .out_cols = crn_value_cols(tape, a)};
    return crn_tape_record(tape, &spec);
}
