#include "base/try.h"
#include "kernels/kernels.h"
#include "nn/op.h"
#include "nn/ops/ops.h"

enum { X, WEIGHT, BIAS };

/* The shapes of one linear layer. */
typedef struct sizes {
    int64_t rows;
    int64_t in;
    int64_t out;
} sizes;

static sizes sizes_of(const crn_tape *tape, const crn_op *op)
{
    const sizes found = {.rows = crn_value_rows(tape, op->in[X]),
                         .in = crn_value_cols(tape, op->in[X]),
                         .out = crn_value_cols(tape, op->out)};
    return found;
}

static crn_matrix matrix(const float *data, int64_t stride, bool is_transposed)
{
    const crn_matrix made = {.data = data, .stride = stride, .is_transposed = is_transposed};
    return made;
}

static cairn_status forward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const sizes n = sizes_of(tape, op);
    const float *const bias = crn_op_in(tape, op, BIAS);
    float *const y = crn_op_out(tape, op);
    (void)run;
    CRN_TRY_PLAIN(crn_gemm(n.rows, n.out, n.in, 1.0F, matrix(crn_op_in(tape, op, X), n.in, false),
                           matrix(crn_op_in(tape, op, WEIGHT), n.in, true), 0.0F, y, n.out, err));
    if (bias != NULL)
        crn_add_bias(n.rows, n.out, bias, y);
out:
    return rc;
}

/* dx = dy W; dW += dy^T x; dbias += the column sums of dy. */
static cairn_status backward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const sizes n = sizes_of(tape, op);
    const float *const dy = crn_op_out_grad(tape, op);
    float *const dbias = crn_op_in_grad(tape, op, BIAS);
    (void)run;
    CRN_TRY_PLAIN(crn_gemm(n.out, n.in, n.rows, 1.0F, matrix(dy, n.out, true),
                           matrix(crn_op_in(tape, op, X), n.in, false), 1.0F,
                           crn_op_in_grad(tape, op, WEIGHT), n.in, err));
    if (dbias != NULL)
        crn_sum_rows(n.rows, n.out, dy, crn_op_scratch(tape), dbias);
    CRN_TRY_PLAIN(crn_gemm(n.rows, n.in, n.out, 1.0F, matrix(dy, n.out, false),
                           matrix(crn_op_in(tape, op, WEIGHT), n.in, false),
                           op->adds[X] ? 1.0F : 0.0F, crn_op_in_grad(tape, op, X), n.in, err));
out:
    return rc;
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
