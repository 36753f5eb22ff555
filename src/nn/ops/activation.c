#include "kernels/kernels.h"
#include "nn/ops/attributes.h"
#include "nn/ops/ops.h"

static int64_t count_of(const crn_tape *tape, const crn_op *op)
{
    return crn_value_rows(tape, op->out) * crn_value_cols(tape, op->out);
}

typedef void (*forward_fn)(int64_t count, const float *x, float *y);
typedef void (*backward_fn)(int64_t count, const float *x, const float *dy, bool adds, float *dx);

static const struct {
    forward_fn forward;
    backward_fn backward;
} k_functions[] = {
    [CRN_ACTIVATION_GELU] = {crn_gelu, crn_gelu_backward},
    [CRN_ACTIVATION_RELU] = {crn_relu, crn_relu_backward},
    [CRN_ACTIVATION_SILU] = {crn_silu, crn_silu_backward},
    [CRN_ACTIVATION_GELU_TANH] = {crn_gelu_tanh, crn_gelu_tanh_backward},
    [CRN_ACTIVATION_SQUARED_RELU] = {crn_squared_relu, crn_squared_relu_backward},
};

static cairn_status forward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    crn_activation kind;
    CRN_OP_ATTRIBUTES(op, &kind);
    (void)run;
    (void)err;
    k_functions[kind].forward(count_of(tape, op), crn_op_in(tape, op, 0), crn_op_out(tape, op));
    return CAIRN_OK;
}

static cairn_status backward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    crn_activation kind;
    CRN_OP_ATTRIBUTES(op, &kind);
    (void)run;
    (void)err;
    k_functions[kind].backward(count_of(tape, op), crn_op_in(tape, op, 0),
                               crn_op_out_grad(tape, op), op->adds[0], crn_op_in_grad(tape, op, 0));
    return CAIRN_OK;
}

static const crn_op_kind k_activation = {.name = "activation",
                                         .forward = forward,
                                         .backward = backward,
                                         .backward_reads = CRN_READS_IN0};

crn_value crn_op_activation(crn_tape *tape, crn_value x, crn_activation kind)
{
    const crn_op_spec spec = {.kind = &k_activation,
                              .in = {x},
                              .in_count = 1,
                              .out_rows = crn_value_rows(tape, x),
                              .out_cols = crn_value_cols(tape, x),
                              .attributes = &kind,
                              .attributes_size = sizeof kind};
    return crn_tape_record(tape, &spec);
}
