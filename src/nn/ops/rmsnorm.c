#include "kernels/kernels.h"
#include "nn/ops/attributes.h"
#include "nn/ops/ops.h"

enum { X, GAMMA };
enum { RSTD };

typedef struct attributes {
    float eps;
} attributes;

static cairn_status forward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    attributes a;
    CRN_OP_ATTRIBUTES(op, &a);
    (void)run;
    (void)err;
    crn_rmsnorm(crn_value_rows(tape, op->out), crn_value_cols(tape, op->out), a.eps,
                crn_op_in(tape, op, X), crn_op_in(tape, op, GAMMA), crn_op_out(tape, op),
                crn_op_saved(tape, op, RSTD));
    return CAIRN_OK;
}

static cairn_status backward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    (void)run;
    (void)err;
    crn_rmsnorm_backward(crn_value_rows(tape, op->out), crn_value_cols(tape, op->out),
                         crn_op_in(tape, op, X), crn_op_in(tape, op, GAMMA),
                         crn_op_saved(tape, op, RSTD), crn_op_out_grad(tape, op), op->adds[X],
                         crn_op_in_grad(tape, op, X), crn_op_in_grad(tape, op, GAMMA),
                         crn_op_scratch(tape));
    return CAIRN_OK;
}

static const crn_op_kind k_rmsnorm = {
    .name = "rms norm", .forward = forward, .backward = backward, .backward_reads = CRN_READS_IN0};

crn_value crn_op_rmsnorm(crn_tape *tape, crn_value x, crn_value gamma, double eps)
{
    const int64_t rows = crn_value_rows(tape, x);
    const int64_t cols = crn_value_cols(tape, x);
    const attributes a = {.eps = (float)eps};
    if (crn_value_cols(tape, gamma) != cols)
        return crn_tape_reject(tape, "rms norm");
    const crn_op_spec spec = {.kind = &k_rmsnorm,
                              .in = {x, gamma},
                              .in_count = 2,
                              .out_rows = rows,
                              .out_cols = cols,
                              .saved_floats = {rows},
                              .scratch_floats = crn_rmsnorm_scratch(rows, cols),
                              .attributes = &a,
                              .attributes_size = sizeof a};
    return crn_tape_record(tape, &spec);
}
