/* A copy in bfloat16, for products to read; gradients go past it, straight to what was copied. */
#include "kernels/kernels.h"
#include "nn/op.h"
#include "nn/ops/ops.h"

enum { X };

static cairn_status forward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    (void)run;
    (void)err;
    crn_to_bf16(crn_value_rows(tape, op->in[X]) * crn_value_cols(tape, op->in[X]),
                crn_op_in(tape, op, X), crn_op_out_bf16(tape, op));
    return CAIRN_OK;
}

static cairn_status backward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    (void)tape;
    (void)op;
    (void)run;
    (void)err;
    return CAIRN_OK;
}

static const crn_op_kind k_bf16 = {.name = "bfloat16", .forward = forward, .backward = backward};

crn_value crn_op_bf16(crn_tape *tape, crn_value x)
{
    const crn_op_spec spec = {.kind = &k_bf16,
                              .in = {x},
                              .in_count = 1,
                              .out_rows = crn_value_rows(tape, x),
                              .out_cols = crn_value_cols(tape, x),
                              .is_bf16 = true};
    crn_value copy = crn_tape_bf16_of(tape, x);
    if (copy == CRN_VALUE_NONE) {
        copy = crn_tape_record(tape, &spec);
        crn_tape_set_bf16_of(tape, x, copy);
    }
    return copy;
}
