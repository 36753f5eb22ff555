#include "kernels/kernels.h"
#include "nn/ops/attributes.h"
#include "nn/ops/ops.h"

typedef struct attributes {
    const crn_rotary_table *table;
    int64_t time;
    int64_t heads;
} attributes;

static crn_rotary_shape shape_of(const crn_tape *tape, const crn_op *op, const attributes *a)
{
    const crn_rotary_shape shape = {.rows = crn_value_rows(tape, op->out),
                                    .time = a->time,
                                    .heads = a->heads,
                                    .head_size = crn_value_cols(tape, op->out) / a->heads,
                                    .size = a->table->size};
    return shape;
}

static cairn_status forward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    attributes a;
    CRN_OP_ATTRIBUTES(op, &a);
    const crn_rotary_shape shape = shape_of(tape, op, &a);
    (void)run;
    (void)err;
    crn_rotary(&shape, a.table->cosines, a.table->sines, false, crn_op_in(tape, op, 0), false,
               crn_op_out(tape, op));
    return CAIRN_OK;
}

static cairn_status backward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    attributes a;
    CRN_OP_ATTRIBUTES(op, &a);
    const crn_rotary_shape shape = shape_of(tape, op, &a);
    (void)run;
    (void)err;
    crn_rotary(&shape, a.table->cosines, a.table->sines, true, crn_op_out_grad(tape, op),
               op->adds[0], crn_op_in_grad(tape, op, 0));
    return CAIRN_OK;
}

static const crn_op_kind k_rotary = {.name = "rotary", .forward = forward, .backward = backward};

crn_value crn_op_rotary(crn_tape *tape, crn_value x, const crn_rotary_table *table, int64_t time,
                        int64_t heads)
{
    const int64_t cols = crn_value_cols(tape, x);
    const attributes a = {.table = table, .time = time, .heads = heads};
    if (cols % heads != 0 || table->size > cols / heads || time > table->positions)
        return crn_tape_reject(tape, "rotary");
    const crn_op_spec spec = {.kind = &k_rotary,
                              .in = {x},
                              .in_count = 1,
                              .out_rows = crn_value_rows(tape, x),
                              .out_cols = cols,
                              .attributes = &a,
                              .attributes_size = sizeof a};
    return crn_tape_record(tape, &spec);
}
