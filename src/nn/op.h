/*
 * What an operation of the tape is made of; for the files in ops/ and the tape itself.
 *
 * An operation's file has a function that records it, a forward and a backward. The forward reads
 * its inputs and writes its output and what it saves; the backward reads the output's gradient and
 * gives each input its part of it.
 */
#ifndef CRN_NN_OP_H
#define CRN_NN_OP_H

#include <stddef.h>

#include "nn/tape.h"

enum { CRN_OP_INPUTS_MAX = 6, CRN_OP_SAVED_MAX = 2, CRN_OP_ATTRIBUTES_SIZE = 80 };

typedef struct crn_op crn_op;

typedef cairn_status (*crn_op_fn)(crn_tape *tape, const crn_op *op, crn_run *run, cairn_error *err);

/* Values that a backward reads stay in memory until then. */
enum {
    CRN_READS_IN0 = 1 << 0,
    CRN_READS_IN1 = 1 << 1,
    CRN_READS_IN2 = 1 << 2,
    CRN_READS_IN3 = 1 << 3,
    CRN_READS_IN4 = 1 << 4,
    CRN_READS_IN5 = 1 << 5,
    CRN_READS_OUT = 1 << 6
};

typedef struct crn_op_kind {
    const char *name;
    crn_op_fn forward;
    crn_op_fn backward;
    unsigned backward_reads;    /* CRN_READS_... */
    bool is_input0_overwritten; /* The backward turns input 0 into its gradient, in place. */
} crn_op_kind;

struct crn_op {
    const crn_op_kind *kind;
    crn_value in[CRN_OP_INPUTS_MAX];
    crn_value out;                     /* CRN_VALUE_NONE: a loss. */
    crn_value saved[CRN_OP_SAVED_MAX]; /* Written forward, read backward. */
    int64_t scratch_floats;
    bool has_backward; /* A parameter that is trained stands before it. */
    /* Backward: an operation further on has put its part of this input's gradient there already. */
    bool adds[CRN_OP_INPUTS_MAX];
    int32_t segment;  /* 0: none. */
    bool is_repeated; /* Runs forward once more before the backward of its segment. */
    _Alignas(16) unsigned char attributes[CRN_OP_ATTRIBUTES_SIZE];
};

/* What a new operation needs; copied. */
typedef struct crn_op_spec {
    const crn_op_kind *kind;
    crn_value in[CRN_OP_INPUTS_MAX];
    int in_count;
    int64_t out_rows; /* 0: no output. */
    int64_t out_cols;
    bool is_bf16; /* The output, which then has no gradient: only products read it. */
    int64_t saved_floats[CRN_OP_SAVED_MAX]; /* 0: none. */
    int64_t scratch_floats;
    const void *attributes;
    size_t attributes_size;
} crn_op_spec;

/* Adds an operation; its output, or CRN_VALUE_NONE if it has none or recording has failed. */
crn_value crn_tape_record(crn_tape *tape, const crn_op_spec *spec);
/* Recording meets a shape that cannot be; crn_tape_plan will say so. Returns CRN_VALUE_NONE. */
crn_value crn_tape_reject(crn_tape *tape, const char *op_name);

bool crn_tape_is_training(const crn_tape *tape);
/* What products in bfloat16 need; NULL: they are in float32. */
crn_mixed *crn_tape_mixed(const crn_tape *tape);
/* The copy of parameter @value that products read; NULL if recording has failed. */
const crn_bf16 *crn_tape_bf16_weight(crn_tape *tape, crn_value value);
/* The bfloat16 copy of a computed value that has been recorded, so that there is one;
 * CRN_VALUE_NONE: none. */
crn_value crn_tape_bf16_of(const crn_tape *tape, crn_value value);
void crn_tape_set_bf16_of(crn_tape *tape, crn_value value, crn_value copy);
/* The next dropout's number. */
uint32_t crn_tape_next_dropout(crn_tape *tape);
/* Threads that scratch was planned for. */
int crn_tape_workers(const crn_tape *tape);
int64_t crn_value_rows(const crn_tape *tape, crn_value value);
int64_t crn_value_cols(const crn_tape *tape, crn_value value);

/* While running. Inputs that are CRN_VALUE_NONE are NULL. */
const float *crn_op_in(const crn_tape *tape, const crn_op *op, int i);
const void *crn_op_array(const crn_tape *tape, const crn_op *op, int i);
float *crn_op_out(const crn_tape *tape, const crn_op *op);
/* Of values recorded with is_bf16. */
const crn_bf16 *crn_op_in_bf16(const crn_tape *tape, const crn_op *op, int i);
crn_bf16 *crn_op_out_bf16(const crn_tape *tape, const crn_op *op);
float *crn_op_saved(const crn_tape *tape, const crn_op *op, int i);
float *crn_op_scratch(const crn_tape *tape);
const float *crn_op_out_grad(const crn_tape *tape, const crn_op *op);
/* Where input @i's gradient goes: added if op->adds[i], else set. */
float *crn_op_in_grad(const crn_tape *tape, const crn_op *op, int i);

#endif
