#include "base/try.h"
#include "kernels/kernels.h"
#include "nn/ops/attributes.h"
#include "nn/ops/ops.h"

enum { BASE, X, WEIGHT };

static crn_matrix matrix(const float *data, int64_t stride, bool is_transposed)
{
    return (crn_matrix){.data = data, .stride = stride, .is_transposed = is_transposed};
}

static cairn_status forward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    const int64_t rows = crn_value_rows(tape, op->out);
    const int64_t out = crn_value_cols(tape, op->out);
    const int64_t in = crn_value_cols(tape, op->in[X]);
    float factor = 0.0F;
    CRN_OP_ATTRIBUTES(op, &factor);
    (void)run;
    crn_copy(rows * out, crn_op_in(tape, op, BASE), false, crn_op_out(tape, op));
    return crn_gemm(rows, out, in, factor, matrix(crn_op_in(tape, op, X), in, false),
                    matrix(crn_op_in(tape, op, WEIGHT), in, true), 1.0F, crn_op_out(tape, op), out,
                    err);
}

static cairn_status backward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const int64_t rows = crn_value_rows(tape, op->out);
    const int64_t out = crn_value_cols(tape, op->out);
    const int64_t in = crn_value_cols(tape, op->in[X]);
    const float *const dy = crn_op_out_grad(tape, op);
    float factor = 0.0F;
    CRN_OP_ATTRIBUTES(op, &factor);
    (void)run;
    CRN_TRY_PLAIN(crn_gemm(out, in, rows, factor, matrix(dy, out, true),
                           matrix(crn_op_in(tape, op, X), in, false), 1.0F,
                           crn_op_in_grad(tape, op, WEIGHT), in, err));
    CRN_TRY_PLAIN(crn_gemm(rows, in, out, factor, matrix(dy, out, false),
                           matrix(crn_op_in(tape, op, WEIGHT), in, false),
                           op->adds[X] ? 1.0F : 0.0F, crn_op_in_grad(tape, op, X), in, err));
    crn_copy(rows * out, dy, op->adds[BASE], crn_op_in_grad(tape, op, BASE));
out:
    return rc;
}

static const crn_op_kind k_add_product = {.name = "add product",
                                          .forward = forward,
                                          .backward = backward,
                                          .backward_reads = CRN_READS_IN1};

crn_value crn_op_add_product(crn_tape *tape, crn_value base, crn_value x, crn_value weight,
                             double factor)
{
    const float attribute = (float)factor;
    if (crn_value_rows(tape, base) != crn_value_rows(tape, x) ||
        crn_value_cols(tape, base) != crn_value_rows(tape, weight) ||
        crn_value_cols(tape, x) != crn_value_cols(tape, weight))
        return crn_tape_reject(tape, "add product");
    const crn_op_spec spec = {.kind = &k_add_product,
                              .in = {base, x, weight},
                              .in_count = 3,
                              .out_rows = crn_value_rows(tape, base),
                              .out_cols = crn_value_cols(tape, base),
                              .attributes = &attribute,
                              .attributes_size = sizeof attribute};
    return crn_tape_record(tape, &spec);
}
