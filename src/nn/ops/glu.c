#include "kernels/kernels.h"
#include "nn/ops/attributes.h"
#include "nn/ops/ops.h"

enum { X, GATE };

crn_gate crn_gate_of(crn_gated kind)
{
    switch (kind) {
    case CRN_GATED_GEGLU:
        return CRN_GATE_GELU;
    case CRN_GATED_REGLU:
        return CRN_GATE_RELU;
    case CRN_GATED_SWIGLU:
        return CRN_GATE_SILU;
    case CRN_GATED_LIGLU:
    default:
        return CRN_GATE_LINEAR;
    }
}

static crn_gate gate_of(const crn_op *op)
{
    crn_gated kind;
    CRN_OP_ATTRIBUTES(op, &kind);
    return crn_gate_of(kind);
}

static int64_t count_of(const crn_tape *tape, const crn_op *op)
{
    return crn_value_rows(tape, op->out) * crn_value_cols(tape, op->out);
}

static cairn_status forward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    (void)run;
    (void)err;
    crn_glu(count_of(tape, op), gate_of(op), crn_op_in(tape, op, X), crn_op_in(tape, op, GATE),
            crn_op_out(tape, op));
    return CAIRN_OK;
}

static cairn_status backward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    (void)run;
    (void)err;
    crn_glu_backward(count_of(tape, op), gate_of(op), crn_op_in(tape, op, X),
                     crn_op_in(tape, op, GATE), crn_op_out_grad(tape, op), op->adds[X],
                     crn_op_in_grad(tape, op, X), op->adds[GATE], crn_op_in_grad(tape, op, GATE));
    return CAIRN_OK;
}

static const crn_op_kind k_glu = {.name = "gated unit",
                                  .forward = forward,
                                  .backward = backward,
                                  .backward_reads = CRN_READS_IN0 | CRN_READS_IN1};

crn_value crn_op_glu(crn_tape *tape, crn_value x, crn_value gate, crn_gated kind)
{
    const int64_t rows = crn_value_rows(tape, x);
    const int64_t cols = crn_value_cols(tape, x);
    if (crn_value_rows(tape, gate) != rows || crn_value_cols(tape, gate) != cols)
        return crn_tape_reject(tape, "gated unit");
    const crn_op_spec spec = {.kind = &k_glu,
                              .in = {x, gate},
                              .in_count = 2,
                              .out_rows = rows,
                              .out_cols = cols,
                              .attributes = &kind,
                              .attributes_size = sizeof kind};
    return crn_tape_record(tape, &spec);
}
