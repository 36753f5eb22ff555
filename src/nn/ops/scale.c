#include "kernels/kernels.h"
#include "nn/ops/attributes.h"
#include "nn/ops/ops.h"

static int64_t count_of(const crn_tape *tape, const crn_op *op)
{
    return crn_value_rows(tape, op->out) * crn_value_cols(tape, op->out);
}

static cairn_status forward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    float factor = 0.0F;
    CRN_OP_ATTRIBUTES(op, &factor);
    (void)run;
    (void)err;
    crn_scale(count_of(tape, op), factor, crn_op_in(tape, op, 0), false, crn_op_out(tape, op));
    return CAIRN_OK;
}

static cairn_status backward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    float factor = 0.0F;
    CRN_OP_ATTRIBUTES(op, &factor);
    (void)run;
    (void)err;
    crn_scale(count_of(tape, op), factor, crn_op_out_grad(tape, op), op->adds[0],
              crn_op_in_grad(tape, op, 0));
    return CAIRN_OK;
}

static const crn_op_kind k_scale = {.name = "scale", .forward = forward, .backward = backward};

crn_value crn_op_scale(crn_tape *tape, crn_value x, double factor)
{
    const float attribute = (float)factor;
    if (factor == 1.0)
        return x;
    const crn_op_spec spec = {.kind = &k_scale,
                              .in = {x},
                              .in_count = 1,
                              .out_rows = crn_value_rows(tape, x),
                              .out_cols = crn_value_cols(tape, x),
                              .attributes = &attribute,
                              .attributes_size = sizeof attribute};
    return crn_tape_record(tape, &spec);
}
