/* The inside of a tape, for tape.c, schedule.c, plan.c and inspect.c. */
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
    int32_t segment;            /* COMPUTED; that of its operation. */
    bool is_wanted;             /* Made in a segment, and its backward cannot do without. */
    bool is_overwritten;        /* By its gradient. */
    bool is_trained;            /* It is, or depends on, a parameter that is trained. */
    bool has_bf16_weight;       /* PARAMETER: products read its copy in bfloat16. */
    bool is_bf16;               /* @data is of crn_bf16, and there is no gradient. */
} crn_var;

/* What a run does at one time; a time is the number of its tick. */
typedef enum crn_phase { CRN_PHASE_FORWARD, CRN_PHASE_AGAIN, CRN_PHASE_BACKWARD } crn_phase;

typedef struct crn_tick {
    crn_phase phase;
    size_t op;
} crn_tick;

/* Times, both inclusive; begin -1: never. */
typedef struct crn_life {
    int64_t begin;
    int64_t end;
} crn_life;

/* Memory that a value or its gradient needs. */
typedef struct crn_buffer {
    uint64_t bytes;
    uint64_t offset;
    crn_life lives[2]; /* The second if it is computed again. */
    float **place;     /* Set once the memory is there. */
} crn_buffer;

struct crn_tape {
    bool is_training;
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
    int32_t segment; /* That is being recorded; 0: none. */
    int32_t segment_count;
    crn_tick *ticks; /* NULL until planned. */
    size_t tick_count;
    crn_buffer *buffers; /* NULL until planned, and once there is memory. */
    size_t buffer_count;
    uint32_t dropout_count;
    int workers;
    int64_t scratch_floats;
    float *scratch;
    void *memory; /* Everything computed, gradients and scratch. */
    uint64_t scratch_at;
    uint64_t memory_bytes;
};

/* schedule.c: lists what a run does. CAIRN_ENOMEM; CAIRN_EBUG if a segment cannot run twice. */
cairn_status crn_tape_schedule(crn_tape *tape, cairn_error *err);
/* plan.c: finds places for all values and gradients so that none overlaps another that lives at the
 * same time. CAIRN_ENOMEM. */
cairn_status crn_tape_place(crn_tape *tape, cairn_error *err);
/* Allocates what was planned. CAIRN_ENOMEM. */
cairn_status crn_tape_allocate(crn_tape *tape, cairn_error *err);

/* inspect.c: after operation @number ran forward, or backward: shows its output to the observer of
 * @run, and looks for numbers that are not finite if @run asks. CAIRN_ENONFINITE. */
cairn_status crn_tape_inspect_forward(const crn_tape *tape, size_t number, const crn_run *run,
                                      cairn_error *err);
cairn_status crn_tape_inspect_backward(const crn_tape *tape, size_t number, const crn_run *run,
                                       cairn_error *err);

#endif
