#include "kernels/kernels.h"
#include "nn/op.h"
#include "nn/ops/ops.h"

enum { X, WEIGHT, BIAS };

static crn_linear_shape shape_of(const crn_tape *tape, const crn_op *op)
{
    const crn_linear_shape found = {.rows = crn_value_rows(tape, op->in[X]),
                                    .in = crn_value_cols(tape, op->in[X]),
                                    .out = crn_value_cols(tape, op->out)};
    return found;
}

static cairn_status forward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    const crn_linear_shape shape = shape_of(tape, op);
    (void)run;
    return crn_linear(&shape, crn_op_in(tape, op, X), crn_op_in(tape, op, WEIGHT),
                      crn_op_in(tape, op, BIAS), crn_op_out(tape, op), err);
}

static cairn_status backward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    const crn_linear_shape shape = shape_of(tape, op);
    (void)run;
    return crn_linear_backward(&shape, crn_op_in(tape, op, X), crn_op_in(tape, op, WEIGHT),
                               crn_op_out_grad(tape, op), op->adds[X], crn_op_in_grad(tape, op, X),
                               crn_op_in_grad(tape, op, WEIGHT), crn_op_in_grad(tape, op, BIAS),
                               crn_op_scratch(tape), err);
}

static const crn_op_kind k_linear = {
    .name = "linear", .forward = forward, .backward = backward, .backward_reads = CRN_READS_IN0};

crn_value crn_op_linear(crn_tape *tape, crn_value x, crn_value weight, crn_value bias)
{
    const int64_t rows = crn_value_rows(tape, x);
    const int64_t cols = crn_value_rows(tape, weight);
    if (crn_value_cols(tape, x) != crn_value_cols(tape, weight) ||
        (bias != CRN_VALUE_NONE && crn_value_cols(tape, bias) != cols))
        return crn_tape_reject(tape, "linear");
    const crn_op_spec spec = {.kind = &k_linear,
                              .in = {x, weight, bias},
                              .in_count = 3,
                              .out_rows = rows,
                              .out_cols = cols,
                              .scratch_floats =
                                  bias != CRN_VALUE_NONE ? crn_sum_rows_scratch(rows, cols) : 0};
    return crn_tape_record(tape, &spec);
}
