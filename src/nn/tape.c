#include "nn/tape.h"

#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "kernels/kernels.h"
#include "nn/tape_impl.h"

cairn_status crn_tape_new(bool is_training, crn_tape **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_tape *const tape = crn_calloc(1, sizeof *tape);
    CRN_NEED(err, tape, "an autograd tape");
    tape->is_training = is_training;
    tape->workers = crn_thread_count();
    *out = tape;
out:
    return rc;
}

void crn_tape_destroy(crn_tape *tape)
{
    if (tape == NULL)
        return;
    crn_pages_free(tape->memory, tape->memory_bytes);
    crn_free(tape->vars);
    crn_free(tape->ops);
    crn_free(tape->ticks);
    crn_free(tape->buffers);
    crn_free(tape);
}

/* A new, zeroed variable; NULL if recording has failed. Invalidates pointers to others. */
static crn_var *add_var(crn_tape *tape, crn_value *out)
{
    *out = CRN_VALUE_NONE;
    if (tape->failed != CAIRN_OK)
        return NULL;
    tape->failed = crn_grow(&tape->vars, &tape->var_capacity, tape->var_count + 1,
                            sizeof *tape->vars, &tape->cause);
    if (tape->failed != CAIRN_OK)
        return NULL;
    *out = (crn_value)tape->var_count++;
    tape->vars[*out].bf16_copy = CRN_VALUE_NONE;
    return &tape->vars[*out];
}

void crn_tape_use_bf16(crn_tape *tape, crn_mixed *mixed)
{
    tape->mixed = mixed;
}

crn_value crn_tape_parameter(crn_tape *tape, const cairn_tensor *tensor)
{
    crn_value value = CRN_VALUE_NONE;
    crn_var *const var = tensor != NULL ? add_var(tape, &value) : NULL;
    if (var != NULL) {
        var->kind = CRN_VAR_PARAMETER;
        var->tensor = tensor;
        var->source = tensor;
        var->is_trained = tape->is_training && !tensor->is_frozen;
        var->rows = tensor->rank > 1 ? tensor->shape[0] : 1;
        var->cols = tensor->shape[tensor->rank - 1];
    }
    return value;
}

crn_value crn_tape_input(crn_tape *tape)
{
    crn_value value = CRN_VALUE_NONE;
    crn_var *const var = add_var(tape, &value);
    if (var != NULL)
        var->kind = CRN_VAR_INPUT;
    return value;
}

void crn_tape_name(crn_tape *tape, crn_value value, const char *name)
{
    if (value != CRN_VALUE_NONE)
        tape->vars[value].name = name;
}

static bool same_shape(const cairn_tensor *a, const cairn_tensor *b)
{
    return a->dtype == b->dtype && a->rank == b->rank &&
           memcmp(a->shape, b->shape, (size_t)a->rank * sizeof a->shape[0]) == 0;
}

/* Where the values of parameter @var are in @weights; NULL: in its own tensor. */
static cairn_status find_source(const crn_var *var, const cairn_state *weights,
                                const cairn_tensor **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    *out = var->tensor;
    if (var->kind != CRN_VAR_PARAMETER || weights == NULL || var->tensor->is_frozen)
        return CAIRN_OK;
    *out = cairn_state_tensor_find(weights, var->tensor->name);
    if (*out == NULL || !same_shape(*out, var->tensor))
        CRN_FAIL(err, CAIRN_EINCOMPATIBLE,
                 "the state '%s' has no tensor of the name and shape of '%s'",
                 cairn_state_name(weights), var->tensor->name);
out:
    return rc;
}

cairn_status crn_tape_use_weights(crn_tape *tape, const cairn_state *weights, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_tensor *source = NULL;
    if (weights == tape->weights)
        return CAIRN_OK;
    if (weights != NULL && tape->is_training)
        CRN_FAIL(err, CAIRN_EINVAL, "training changes the model's own weights only");
    for (size_t i = 0; i < tape->var_count; i++) /* All are there, or nothing changes. */
        CRN_TRY_PLAIN(find_source(&tape->vars[i], weights, &source, err));
    for (size_t i = 0; i < tape->var_count; i++)
        CRN_TRY_PLAIN(find_source(&tape->vars[i], weights, &tape->vars[i].source, err));
    tape->weights = weights;
out:
    return rc;
}

void crn_tape_set_input(crn_tape *tape, crn_value input, const void *data)
{
    tape->vars[input].array = data;
}

static crn_value add_computed(crn_tape *tape, int64_t rows, int64_t cols)
{
    crn_value value = CRN_VALUE_NONE;
    crn_var *const var = rows > 0 ? add_var(tape, &value) : NULL;
    if (var != NULL) {
        var->rows = rows;
        var->cols = cols;
        var->segment = tape->segment;
    }
    return value;
}

static bool depends_on_trained(const crn_tape *tape, const crn_op *op)
{
    for (int i = 0; i < CRN_OP_INPUTS_MAX; i++)
        if (op->in[i] != CRN_VALUE_NONE && tape->vars[op->in[i]].is_trained)
            return true;
    return false;
}

crn_value crn_tape_record(crn_tape *tape, const crn_op_spec *spec)
{
    if (tape->failed == CAIRN_OK)
        tape->failed = crn_grow(&tape->ops, &tape->op_capacity, tape->op_count + 1,
                                sizeof *tape->ops, &tape->cause);
    if (tape->failed != CAIRN_OK)
        return CRN_VALUE_NONE;
    crn_op *const op = &tape->ops[tape->op_count++];
    op->kind = spec->kind;
    for (int i = 0; i < CRN_OP_INPUTS_MAX; i++)
        op->in[i] = i < spec->in_count ? spec->in[i] : CRN_VALUE_NONE;
    op->has_backward = depends_on_trained(tape, op);
    op->segment = tape->segment;
    op->out = add_computed(tape, spec->out_rows, spec->out_cols);
    if (op->out != CRN_VALUE_NONE) {
        tape->vars[op->out].is_trained = op->has_backward;
        tape->vars[op->out].is_bf16 = spec->is_bf16;
    }
    for (int i = 0; i < CRN_OP_SAVED_MAX; i++)
        op->saved[i] = add_computed(tape, spec->saved_floats[i] > 0, spec->saved_floats[i]);
    op->scratch_floats = spec->scratch_floats;
    if (spec->attributes_size > 0)
        memcpy(op->attributes, spec->attributes, spec->attributes_size);
    return op->out;
}

crn_value crn_tape_reject(crn_tape *tape, const char *op_name)
{
    if (tape->failed == CAIRN_OK)
        tape->failed = crn_error_set(&tape->cause, CAIRN_EBUG, 0, __FILE__, __LINE__,
                                     "the shapes given to %s do not fit", op_name);
    return CRN_VALUE_NONE;
}

bool crn_tape_is_training(const crn_tape *tape)
{
    return tape->is_training;
}

crn_mixed *crn_tape_mixed(const crn_tape *tape)
{
    return tape->mixed;
}

const crn_bf16 *crn_tape_bf16_weight(crn_tape *tape, crn_value value)
{
    const crn_bf16 *copy = NULL;
    if (tape->failed == CAIRN_OK)
        tape->failed =
            crn_mixed_copy_of(tape->mixed, tape->vars[value].tensor, &copy, &tape->cause);
    if (tape->failed == CAIRN_OK)
        tape->vars[value].has_bf16_weight = true;
    return copy;
}

crn_value crn_tape_bf16_of(const crn_tape *tape, crn_value value)
{
    return value != CRN_VALUE_NONE ? tape->vars[value].bf16_copy : CRN_VALUE_NONE;
}

void crn_tape_set_bf16_of(crn_tape *tape, crn_value value, crn_value copy)
{
    if (value != CRN_VALUE_NONE)
        tape->vars[value].bf16_copy = copy;
}

uint32_t crn_tape_next_dropout(crn_tape *tape)
{
    return tape->dropout_count++;
}

int crn_tape_workers(const crn_tape *tape)
{
    return tape->workers;
}

int64_t crn_value_rows(const crn_tape *tape, crn_value value)
{
    return value != CRN_VALUE_NONE ? tape->vars[value].rows : 0;
}

int64_t crn_value_cols(const crn_tape *tape, crn_value value)
{
    return value != CRN_VALUE_NONE ? tape->vars[value].cols : 0;
}

void crn_tape_begin_segment(crn_tape *tape)
{
    if (tape->is_training)
        tape->segment = ++tape->segment_count;
}

void crn_tape_end_segment(crn_tape *tape)
{
    tape->segment = 0;
}

cairn_status crn_tape_measure(crn_tape *tape, uint64_t *out_bytes, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (tape->failed != CAIRN_OK) {
        if (err != NULL)
            *err = tape->cause;
        return tape->failed;
    }
    if (tape->ticks == NULL) {
        CRN_TRY_PLAIN(crn_tape_schedule(tape, err));
        CRN_TRY_PLAIN(crn_tape_place(tape, err));
    }
    *out_bytes = tape->memory_bytes;
out:
    return rc;
}

cairn_status crn_tape_plan(crn_tape *tape, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t bytes = 0;
    CRN_TRY_PLAIN(crn_tape_measure(tape, &bytes, err));
    if (tape->memory == NULL)
        CRN_TRY_PLAIN(crn_tape_allocate(tape, err));
out:
    return rc;
}

static cairn_status check_gradients(const crn_tape *tape, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (size_t i = 0; i < tape->var_count; i++) {
        const crn_var *const var = &tape->vars[i];
        if (var->kind == CRN_VAR_PARAMETER && var->is_trained && var->tensor->grad == NULL)
            CRN_FAIL(err, CAIRN_EINVAL,
                     "'%s' has no gradient: allocate them with cairn_state_allocate_gradients "
                     "before training",
                     var->tensor->name);
    }
out:
    return rc;
}

static cairn_status run_tick(crn_tape *tape, const crn_tick *tick, crn_run *run, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_op *const op = &tape->ops[tick->op];
    switch (tick->phase) {
    case CRN_PHASE_FORWARD:
        CRN_TRY(err, op->kind->forward(tape, op, run, err), "%s, forward", op->kind->name);
        CRN_TRY_PLAIN(crn_tape_inspect_forward(tape, tick->op, run, err));
        if (tape->is_training && run->pass != NULL && tick->op + 1 == tape->op_count)
            CRN_TRY_PLAIN(cairn_pass_after_forward(run->pass, run->loss, run->weight, err));
        break;
    case CRN_PHASE_AGAIN: /* The same bits, which nobody needs to see twice. */
        CRN_TRY(err, op->kind->forward(tape, op, run, err), "%s, forward again", op->kind->name);
        break;
    case CRN_PHASE_BACKWARD:
        CRN_TRY(err, op->kind->backward(tape, op, run, err), "%s, backward", op->kind->name);
        CRN_TRY_PLAIN(crn_tape_inspect_backward(tape, tick->op, run, err));
        break;
    }
out:
    return rc;
}

static void refresh_copies(const crn_tape *tape)
{
    for (size_t i = 0; i < tape->var_count; i++) {
        if (tape->vars[i].has_bf16_weight)
            crn_mixed_refresh(tape->mixed, tape->vars[i].tensor, tape->vars[i].source);
    }
}

cairn_status crn_tape_run(crn_tape *tape, crn_run *run, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (tape->is_training)
        CRN_TRY_PLAIN(check_gradients(tape, err));
    refresh_copies(tape);
    for (size_t i = 0; i < tape->tick_count; i++)
        CRN_TRY_PLAIN(run_tick(tape, &tape->ticks[i], run, err));
out:
    return rc;
}

const float *crn_tape_data(const crn_tape *tape, crn_value value)
{
    return tape->vars[value].data;
}

const float *crn_op_in(const crn_tape *tape, const crn_op *op, int i)
{
    if (op->in[i] == CRN_VALUE_NONE)
        return NULL;
    const crn_var *const var = &tape->vars[op->in[i]];
    return var->kind == CRN_VAR_PARAMETER ? (const float *)var->source->data : var->data;
}

const crn_bf16 *crn_op_in_bf16(const crn_tape *tape, const crn_op *op, int i)
{
    return (const crn_bf16 *)(const void *)tape->vars[op->in[i]].data;
}

crn_bf16 *crn_op_out_bf16(const crn_tape *tape, const crn_op *op)
{
    return (crn_bf16 *)(void *)tape->vars[op->out].data;
}

const void *crn_op_array(const crn_tape *tape, const crn_op *op, int i)
{
    return op->in[i] != CRN_VALUE_NONE ? tape->vars[op->in[i]].array : NULL;
}

float *crn_op_out(const crn_tape *tape, const crn_op *op)
{
    return tape->vars[op->out].data;
}

float *crn_op_saved(const crn_tape *tape, const crn_op *op, int i)
{
    return tape->vars[op->saved[i]].data;
}

float *crn_op_scratch(const crn_tape *tape)
{
    return tape->scratch;
}

const float *crn_op_out_grad(const crn_tape *tape, const crn_op *op)
{
    return tape->vars[op->out].grad;
}

float *crn_op_in_grad(const crn_tape *tape, const crn_op *op, int i)
{
    if (op->in[i] == CRN_VALUE_NONE)
        return NULL;
    const crn_var *const var = &tape->vars[op->in[i]];
    return var->kind == CRN_VAR_PARAMETER ? var->tensor->grad : var->grad;
}
