/* What a tape looks at while it runs: observers, and the first number that is not finite. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/try.h"
#include "kernels/kernels.h"
#include "nn/tape_impl.h"

enum { NAME_SIZE = 256 };

/* The first parameter that the operation reads; NULL: none. */
static const crn_var *parameter_of(const crn_tape *tape, const crn_op *op)
{
    for (int i = 0; i < CRN_OP_INPUTS_MAX; i++) {
        if (op->in[i] != CRN_VALUE_NONE && tape->vars[op->in[i]].kind == CRN_VAR_PARAMETER)
            return &tape->vars[op->in[i]];
    }
    return NULL;
}

/* Operations of this kind before it. */
static size_t number_in_kind(const crn_tape *tape, size_t number)
{
    size_t count = 0;
    for (size_t i = 0; i < number; i++)
        count += tape->ops[i].kind == tape->ops[number].kind;
    return count;
}

/* What the output of an operation is called: "ln_f" of "ln_f.weight", or "attention.3". Of what is
 * beside the module's own weight the whole name: "ln_f.lora_A". */
static const char *name_of(const crn_tape *tape, size_t number, char buf[NAME_SIZE])
{
    const crn_op *const op = &tape->ops[number];
    const crn_var *const parameter = parameter_of(tape, op);
    if (op->out != CRN_VALUE_NONE && tape->vars[op->out].name != NULL)
        return tape->vars[op->out].name;
    if (parameter == NULL) {
        (void)snprintf(buf, NAME_SIZE, "%s.%zu", op->kind->name, number_in_kind(tape, number));
        return buf;
    }
    (void)snprintf(buf, NAME_SIZE, "%s", parameter->tensor->name);
    char *const dot = strrchr(buf, '.');
    if (dot != NULL && (strcmp(dot, ".weight") == 0 || strcmp(dot, ".bias") == 0))
        *dot = '\0';
    return buf;
}

static const char *text_of(float value)
{
    return isnan(value) ? "nan" : value > 0.0F ? "inf" : "-inf";
}

/* Fails if one of @x, @var's values or gradients, is not finite; @what says whose they are. */
static cairn_status check(const crn_var *var, const float *x, const char *pass,
                          const crn_op_kind *kind, const char *name, const char *what,
                          const char *owner, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const int64_t at = x != NULL ? crn_find_nonfinite(var->rows * var->cols, x) : -1;
    if (at >= 0)
        CRN_FAIL(err, CAIRN_ENONFINITE,
                 "%s of %s '%s': %s%s is the first tensor that is not finite, %s at [%" PRId64
                 "][%" PRId64 "]",
                 pass, kind->name, name, what, owner, text_of(x[at]), at / var->cols,
                 at % var->cols);
out:
    return rc;
}

static cairn_status check_forward(const crn_tape *tape, size_t number, const char *name,
                                  const crn_run *run, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_op *const op = &tape->ops[number];
    /* Computed inputs were some operation's output; parameters nobody has looked at. */
    for (int i = 0; i < CRN_OP_INPUTS_MAX; i++) {
        const crn_var *const var = op->in[i] != CRN_VALUE_NONE ? &tape->vars[op->in[i]] : NULL;
        if (var != NULL && var->kind == CRN_VAR_PARAMETER)
            CRN_TRY_PLAIN(check(var, var->source->data, "forward", op->kind, name, "parameter ",
                                var->tensor->name, err));
    }
    if (op->out != CRN_VALUE_NONE) {
        const crn_var *const out = &tape->vars[op->out];
        CRN_TRY_PLAIN(check(out, out->data, "forward", op->kind, name, "its output", "", err));
    } else if (!isfinite(run->loss)) {
        CRN_FAIL(err, CAIRN_ENONFINITE,
                 "forward of %s '%s': the loss is the first that is not finite (%s)",
                 op->kind->name, name, text_of((float)run->loss));
    }
out:
    return rc;
}

cairn_status crn_tape_inspect_forward(const crn_tape *tape, size_t number, const crn_run *run,
                                      cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_op *const op = &tape->ops[number];
    char buf[NAME_SIZE];
    const cairn_pass *const pass = run->pass;
    if (op->out != CRN_VALUE_NONE && tape->vars[op->out].is_bf16)
        return CAIRN_OK; /* A copy of what has been looked at. */
    if (pass == NULL || (pass->check == CAIRN_CHECK_NONE && pass->observe == NULL))
        return CAIRN_OK;
    const char *const name = name_of(tape, number, buf);
    if (pass->check != CAIRN_CHECK_NONE)
        CRN_TRY_PLAIN(check_forward(tape, number, name, run, err));
    if (pass->observe != NULL && op->out != CRN_VALUE_NONE) {
        const crn_var *const out = &tape->vars[op->out];
        CRN_TRY_PLAIN(
            pass->observe(pass->observer, name, out->data, (size_t)(out->rows * out->cols), err));
    }
out:
    return rc;
}

cairn_status crn_tape_inspect_backward(const crn_tape *tape, size_t number, const crn_run *run,
                                       cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_op *const op = &tape->ops[number];
    char buf[NAME_SIZE];
    if (run->pass == NULL || run->pass->check != CAIRN_CHECK_ALL)
        return CAIRN_OK;
    const char *const name = name_of(tape, number, buf);
    for (int i = 0; i < CRN_OP_INPUTS_MAX; i++) {
        const crn_var *const var = op->in[i] != CRN_VALUE_NONE ? &tape->vars[op->in[i]] : NULL;
        const bool is_parameter = var != NULL && var->kind == CRN_VAR_PARAMETER;
        if (var != NULL)
            CRN_TRY_PLAIN(check(var, is_parameter ? var->tensor->grad : var->grad, "backward",
                                op->kind, name,
                                is_parameter ? "the gradient of " : "the gradient of its input",
                                is_parameter ? var->tensor->name : "", err));
    }
out:
    return rc;
}
