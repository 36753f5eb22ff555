/* The inside of a tape, for tape.c and plan.c. */
#ifndef CRN_NN_TAPE_IMPL_H
#define CRN_NN_TAPE_IMPL_H

#include "nn/op.h"

typedef enum crn_var_kind { CRN_VAR_COMPUTED, CRN_VAR_PARAMETER, CRN_VAR_INPUT } crn_var_kind;

typedef struct crn_var {
    crn_var_kind kind;
    int64_t rows;
    int64_t cols;
    const char *name;           /* COMPUTED; static; NULL: none given. */
    const cairn_tensor *tensor; /* PARAMETER; borrowed. */
    const cairn_tensor *source; /* PARAMETER: where its values are read; borrowed. */
    const void *array;          /* INPUT; borrowed. */
    float *data;                /* COMPUTED; in the tape's memory. */
    crn_value bf16_copy;        /* COMPUTED; CRN_VALUE_NONE: nobody needs one. */
    float *grad;                /* COMPUTED, in training; NULL if nothing depends on it. */
    bool is_saved;              /* Of its operation alone: no gradient. */
    bool is_bf16;               /* @data is of crn_bf16: no gradient either. */
} crn_var;

struct crn_tape {
    bool is_training;
    bool is_planned;
    cairn_status failed; /* The first failure while recording, with its cause. */
    cairn_error cause;
    crn_mixed *mixed;           /* NULL: products are in float32; borrowed. */
    const cairn_state *weights; /* Where parameters are read; NULL: their own tensors. */
    crn_var *vars;
    size_t var_count;
    size_t var_capacity;
    crn_op *ops;
    size_t op_count;
    size_t op_capacity;
    uint32_t dropout_count;
    int workers;
    int64_t scratch_floats;
    float *scratch;
    void *memory; /* Everything computed, gradients and scratch. */
    uint64_t memory_bytes;
};

/* Finds places for all values and gradients so that none overlaps another that lives at the same
 * time, and allocates. CAIRN_ENOMEM. */
cairn_status crn_tape_place(crn_tape *tape, cairn_error *err);

/* inspect.c: after operation @number ran forward, or backward: shows its output to the observer of
 * @run, and looks for numbers that are not finite if @run asks. CAIRN_ENONFINITE. */
cairn_status crn_tape_inspect_forward(const crn_tape *tape, size_t number, const crn_run *run,
                                      cairn_error *err);
cairn_status crn_tape_inspect_backward(const crn_tape *tape, size_t number, const crn_run *run,
                                       cairn_error *err);

#endif
