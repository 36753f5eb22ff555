#include "kernels/kernels.h"
#include "nn/op.h"
#include "nn/ops/ops.h"

static int64_t count_of(const crn_tape *tape, const crn_op *op)
{
    return crn_value_rows(tape, op->out) * crn_value_cols(tape, op->out);
}

static cairn_status gelu_forward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    (void)run;
    (void)err;
    crn_gelu(count_of(tape, op), crn_op_in(tape, op, 0), crn_op_out(tape, op));
    return CAIRN_OK;
}

static cairn_status gelu_backward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    (void)run;
    (void)err;
    crn_gelu_backward(count_of(tape, op), crn_op_in(tape, op, 0), crn_op_out_grad(tape, op),
                      op->adds[0], crn_op_in_grad(tape, op, 0));
    return CAIRN_OK;
}

static cairn_status relu_forward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    (void)run;
    (void)err;
    crn_relu(count_of(tape, op), crn_op_in(tape, op, 0), crn_op_out(tape, op));
    return CAIRN_OK;
}

static cairn_status relu_backward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    (void)run;
    (void)err;
    crn_relu_backward(count_of(tape, op), crn_op_in(tape, op, 0), crn_op_out_grad(tape, op),
                      op->adds[0], crn_op_in_grad(tape, op, 0));
    return CAIRN_OK;
}

static const crn_op_kind k_gelu = {.name = "gelu",
                                   .forward = gelu_forward,
                                   .backward = gelu_backward,
                                   .backward_reads = CRN_READS_IN0};
static const crn_op_kind k_relu = {.name = "relu",
                                   .forward = relu_forward,
                                   .backward = relu_backward,
                                   .backward_reads = CRN_READS_IN0};

crn_value crn_op_activation(crn_tape *tape, crn_value x, crn_activation kind)
{
    const crn_op_spec spec = {.kind = kind == CRN_ACTIVATION_GELU ? &k_gelu : &k_relu,
                              .in = {x},
                              .in_count = 1,
                              .out_rows = crn_value_rows(tape, x),
                              .out_cols = crn_value_cols(tape, x)};
    return crn_tape_record(tape, &spec);
}
