#include "kernels/kernels.h"
#include "nn/ops/attributes.h"
#include "nn/ops/ops.h"

typedef struct attributes {
    float rate;
    uint32_t number;
} attributes;

static crn_dropout_place place_of(const crn_op *op, const crn_run *run)
{
    attributes a;
    CRN_OP_ATTRIBUTES(op, &a);
    const crn_dropout_place place = {
        .seed = run->seed, .step = run->step, .number = a.number, .rate = a.rate};
    return place;
}

static int64_t count_of(const crn_tape *tape, const crn_op *op)
{
    return crn_value_rows(tape, op->out) * crn_value_cols(tape, op->out);
}

static cairn_status forward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    const crn_dropout_place place = place_of(op, run);
    (void)err;
    crn_dropout(&place, count_of(tape, op), crn_op_in(tape, op, 0), false, crn_op_out(tape, op));
    return CAIRN_OK;
}

/* The same factors again: they are a function of the place. */
static cairn_status backward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    const crn_dropout_place place = place_of(op, run);
    (void)err;
    crn_dropout(&place, count_of(tape, op), crn_op_out_grad(tape, op), op->adds[0],
                crn_op_in_grad(tape, op, 0));
    return CAIRN_OK;
}

static const crn_op_kind k_dropout = {.name = "dropout", .forward = forward, .backward = backward};

crn_value crn_op_dropout(crn_tape *tape, crn_value x, double rate)
{
    if (!crn_tape_is_training(tape))
        return x;
    /* A rate of 0 takes a number too, so that changing one rate leaves the others' draws alone. */
    const attributes a = {.rate = (float)rate, .number = crn_tape_next_dropout(tape)};
    if (rate == 0.0)
        return x;
    const crn_op_spec spec = {.kind = &k_dropout,
                              .in = {x},
                              .in_count = 1,
                              .out_rows = crn_value_rows(tape, x),
                              .out_cols = crn_value_cols(tape, x),
                              .attributes = &a,
                              .attributes_size = sizeof a};
    return crn_tape_record(tape, &spec);
}
