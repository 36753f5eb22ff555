#include "kernels/kernels.h"
#include "nn/ops/attributes.h"
#include "nn/ops/ops.h"

enum { LOGITS, LABELS, MASK };
enum { LSE };

static crn_token_labels labels_of(const crn_tape *tape, const crn_op *op)
{
    const crn_token_labels labels = {.labels = crn_op_array(tape, op, LABELS),
                                     .mask = crn_op_array(tape, op, MASK)};
    return labels;
}

double crn_loss_factor(const crn_loss_spec *spec, double weight)
{
    const double divisor = spec->per_token ? weight : (double)spec->samples;
    return divisor != 0.0 ? spec->factor / divisor : 0.0;
}

static double factor_of(const crn_op *op, double weight)
{
    crn_loss_spec spec;
    CRN_OP_ATTRIBUTES(op, &spec);
    return crn_loss_factor(&spec, weight);
}

static cairn_status forward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    const int64_t rows = crn_value_rows(tape, op->in[LOGITS]);
    const crn_token_labels labels = labels_of(tape, op);
    (void)err;
    const double sum =
        crn_cross_entropy(rows, crn_value_cols(tape, op->in[LOGITS]), crn_op_in(tape, op, LOGITS),
                          &labels, crn_op_saved(tape, op, LSE), crn_op_scratch(tape));
    run->weight = 0.0;
    for (int64_t r = 0; r < rows; r++)
        run->weight += (double)crn_token_weight(&labels, r);
    run->loss = sum * factor_of(op, run->weight);
    if (run->wants_metrics) {
        run->token_loss = sum;
        run->correct =
            crn_count_correct(rows, crn_value_cols(tape, op->in[LOGITS]),
                              crn_op_in(tape, op, LOGITS), &labels, crn_op_scratch(tape));
    }
    return CAIRN_OK;
}

static cairn_status backward(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err)
{
    const crn_token_labels labels = labels_of(tape, op);
    (void)err;
    crn_cross_entropy_backward(
        crn_value_rows(tape, op->in[LOGITS]), crn_value_cols(tape, op->in[LOGITS]), &labels,
        crn_op_saved(tape, op, LSE), (float)(factor_of(op, run->weight) * (double)run->loss_scale),
        crn_op_in_grad(tape, op, LOGITS));
    return CAIRN_OK;
}

static const crn_op_kind k_cross_entropy = {.name = "cross entropy",
                                            .forward = forward,
                                            .backward = backward,
                                            .is_input0_overwritten = true};

void crn_op_cross_entropy(crn_tape *tape, crn_value logits, crn_value labels, crn_value mask,
                          const crn_loss_spec *spec)
{
    const int64_t rows = crn_value_rows(tape, logits);
    const crn_op_spec op = {.kind = &k_cross_entropy,
                            .in = {logits, labels, mask},
                            .in_count = 3,
                            .saved_floats = {rows},
                            .scratch_floats = rows,
                            .attributes = spec,
                            .attributes_size = sizeof *spec};
    (void)crn_tape_record(tape, &op);
}
