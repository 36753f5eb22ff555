/*
 * A static autograd tape. A model records its operations once for one shape of batch; the tape
 * then plans the memory of all values and gradients in one block, and every run computes the
 * recorded operations in order, in training backwards too. A run allocates nothing.
 *
 *     crn_tape_new(is_training, &tape, err);
 *     ids = crn_tape_input(tape);
 *     x = crn_op_linear(tape, x, crn_tape_parameter(tape, weight), bias);      (ops/ops.h)
 *     crn_tape_plan(tape, err);                                  here failures while recording
 *     crn_tape_set_input(tape, ids, batch_ids);                  before each run
 *     crn_tape_run(tape, &run, err);
 *
 * Values are rows of floats, [rows][cols]. Parameters are tensors of a state tree: read where they
 * are, their gradients added to tensor->grad. Gradients of other values live where their memory is
 * free; the planner shares one place among values that are never needed at the same time.
 *
 * Thread safety: a tape belongs to one thread.
 */
#ifndef CRN_NN_TAPE_H
#define CRN_NN_TAPE_H

#include <stdbool.h>
#include <stdint.h>

#include "cairn/plugin/model.h"
#include "nn/mixed.h"

typedef struct crn_tape crn_tape;

/* A value of a tape, by number. */
typedef int32_t crn_value;
enum { CRN_VALUE_NONE = -1 };

/* What a run is told and what it finds. */
typedef struct crn_run {
    uint64_t seed; /* Dropout: a function of (seed, step, number of the dropout, element). */
    uint64_t step;
    float loss_scale; /* Gradients are those of loss_scale * loss. */
    double loss;      /* Set by the operation that computes it. */
    double weight;
    const cairn_pass *pass; /* What else was asked: to be told of the loss before the gradients are
                               computed, checks, an observer; NULL: nothing. */
    bool wants_metrics;     /* Set the two below; they are as in cairn_loss. */
    double token_loss;
    double correct;
} crn_run;

/* An empty tape. Without @is_training it plans no gradients and records no dropout. Yours.
 * CAIRN_ENOMEM. */
cairn_status crn_tape_new(bool is_training, crn_tape **out, cairn_error *err);
/* Accepts NULL. */
void crn_tape_destroy(crn_tape *tape);

/* Before recording: matrix products read bfloat16 copies of their factors, for which @mixed has
 * what they need; borrowed while the tape lives. */
void crn_tape_use_bf16(crn_tape *tape, crn_mixed *mixed);
/* A parameter, borrowed. Its data must be there when the tape runs. NULL (an absent
 * bias) gives CRN_VALUE_NONE. */
crn_value crn_tape_parameter(crn_tape *tape, const cairn_tensor *tensor);
/* Names what an operation gives, for messages and observers; without a name it is that of the
 * module whose parameter the operation reads, or its kind and number. @name is static. */
void crn_tape_name(crn_tape *tape, crn_value value, const char *name);
/* From the next run on parameters are read from the tensors of the same names in @weights; NULL:
 * from their own. Not in training. CAIRN_EINCOMPATIBLE: one is missing or has another shape. */
cairn_status crn_tape_use_weights(crn_tape *tape, const cairn_state *weights, cairn_error *err);
/* An array that comes with each run, such as token ids; no gradient. */
crn_value crn_tape_input(crn_tape *tape);
/* @data is borrowed until the next run is over. */
void crn_tape_set_input(crn_tape *tape, crn_value input, const void *data);

/*
 * Operations recorded between the two are a segment: in training its values are not kept for its
 * backward, but computed again just before, to the same bits, from what the segment reads. A loss,
 * and what it reads, cannot be in a segment.
 */
void crn_tape_begin_segment(crn_tape *tape);
void crn_tape_end_segment(crn_tape *tape);

/* After recording: plans, and says what that will allocate. CAIRN_ENOMEM, also for what failed in
 * recording; CAIRN_EBUG if shapes or a segment did not fit: then the tape is good for nothing. */
cairn_status crn_tape_measure(crn_tape *tape, uint64_t *out_bytes, cairn_error *err);
/* As crn_tape_measure, and allocates. Nothing the second time. */
cairn_status crn_tape_plan(crn_tape *tape, cairn_error *err);
/* Forward and, in training, backward. @run is read and its results are set.
 * CAIRN_EINVAL: training, but a parameter has no gradient. CAIRN_ENONFINITE: pass->check found a
 * number that is not finite. CAIRN_EDEVICE, and what pass->observe returns. */
cairn_status crn_tape_run(crn_tape *tape, crn_run *run, cairn_error *err);

/* Floats [rows][cols] of @value; valid from a run to the next if the tape has no training and the
 * value is the last one recorded. */
const float *crn_tape_data(const crn_tape *tape, crn_value value);

#endif
