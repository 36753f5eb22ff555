#include "kernels/kernels.h"
#include "nn/ops/attributes.h"
#include "nn/ops/ops.h"

enum { X, WEIGHT, BIAS, X_BF16 };

/* Of a product in bfloat16. */
typedef struct attributes {
    const crn_bf16 *weight;
} attributes;

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

static cairn_status forward_bf16(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    const crn_linear_shape shape = shape_of(tape, op);
    attributes a;
    CRN_OP_ATTRIBUTES(op, &a);
    (void)run;
    return crn_linear_bf16(crn_mixed_gemms(crn_tape_mixed(tape)), &shape,
                           crn_op_in_bf16(tape, op, X_BF16), a.weight, crn_op_in(tape, op, BIAS),
                           crn_op_out(tape, op), err);
}

static cairn_status backward_bf16(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    const crn_linear_shape shape = shape_of(tape, op);
    attributes a;
    CRN_OP_ATTRIBUTES(op, &a);
    (void)run;
    return crn_linear_bf16_backward(crn_mixed_gemms(crn_tape_mixed(tape)), &shape,
                                    crn_op_in_bf16(tape, op, X_BF16), a.weight,
                                    crn_op_out_grad(tape, op), op->adds[X],
                                    crn_op_in_grad(tape, op, X), crn_op_in_grad(tape, op, WEIGHT),
                                    crn_op_in_grad(tape, op, BIAS), crn_op_scratch(tape), err);
}

static const crn_op_kind k_linear = {
    .name = "linear", .forward = forward, .backward = backward, .backward_reads = CRN_READS_IN0};
static const crn_op_kind k_linear_bf16 = {.name = "linear",
                                          .forward = forward_bf16,
                                          .backward = backward_bf16,
                                          .backward_reads = CRN_READS_IN3};

crn_value crn_op_linear(crn_tape *tape, crn_value x, crn_value weight, crn_value bias)
{
    const crn_linear_shape shape = {.rows = crn_value_rows(tape, x),
                                    .in = crn_value_cols(tape, x),
                                    .out = crn_value_rows(tape, weight)};
    const bool has_bias = bias != CRN_VALUE_NONE;
    if (shape.in != crn_value_cols(tape, weight) ||
        (has_bias && crn_value_cols(tape, bias) != shape.out))
        return crn_tape_reject(tape, "linear");
    crn_op_spec spec = {.kind = &k_linear,
                        .in = {x, weight, bias},
                        .in_count = 3,
                        .out_rows = shape.rows,
                        .out_cols = shape.out,
                        .scratch_floats =
                            has_bias ? crn_sum_rows_scratch(shape.rows, shape.out) : 0};
    if (crn_tape_mixed(tape) == NULL)
        return crn_tape_record(tape, &spec);
    const attributes a = {.weight = crn_tape_bf16_weight(tape, weight)};
    spec.kind = &k_linear_bf16;
    spec.in[X_BF16] = crn_op_bf16(tape, x);
    spec.in_count = 4;
    spec.scratch_floats =
        crn_tape_is_training(tape) ? crn_linear_bf16_scratch(&shape, has_bias) : 0;
    spec.attributes = &a;
    spec.attributes_size = sizeof a;
    return crn_tape_record(tape, &spec);
}
