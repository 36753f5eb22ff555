/*
 * What a run of a tape does, in order: every operation forward, then in training backwards. The
 * operations of a segment run forward once more just before its backward, so that their values need
 * not be kept from one to the other (T. Chen et al., "Training Deep Nets with Sublinear Memory
 * Cost", 2016). Those that no backward of the segment needs do not, and
 * operations before which no parameter is trained have no backward.
 */
#include "base/mem.h"
#include "base/try.h"
#include "nn/tape_impl.h"

/* A second run would add to gradients, or write where a gradient is. */
static cairn_status check_segments(const crn_tape *tape, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (size_t i = 0; i < tape->op_count; i++) {
        const crn_op *const op = &tape->ops[i];
        const bool is_loss = op->segment != 0 && op->out == CRN_VALUE_NONE;
        if (is_loss || (op->kind->is_input0_overwritten && tape->vars[op->in[0]].segment != 0))
            CRN_FAIL(err, CAIRN_EBUG, "%s, or what it reads, cannot be computed again",
                     op->kind->name);
    }
out:
    return rc;
}

static void want(crn_tape *tape, crn_value value, int32_t segment)
{
    if (value != CRN_VALUE_NONE && segment != 0 && tape->vars[value].segment == segment)
        tape->vars[value].is_wanted = true;
}

static bool has_saved(const crn_op *op)
{
    for (int i = 0; i < CRN_OP_SAVED_MAX; i++) {
        if (op->saved[i] != CRN_VALUE_NONE)
            return true;
    }
    return false;
}

/* From what backwards read to what that is made of. */
static void find_repeated(crn_tape *tape)
{
    for (size_t i = 0; i < tape->op_count; i++) {
        const crn_op *const op = &tape->ops[i];
        if (!op->has_backward)
            continue;
        for (int j = 0; j < CRN_OP_INPUTS_MAX; j++) {
            if ((op->kind->backward_reads >> j & 1U) != 0)
                want(tape, op->in[j], op->segment);
        }
        if ((op->kind->backward_reads & CRN_READS_OUT) != 0)
            want(tape, op->out, op->segment);
    }
    for (size_t i = tape->op_count; i > 0; i--) {
        crn_op *const op = &tape->ops[i - 1];
        op->is_repeated = op->segment != 0 &&
                          ((op->has_backward && has_saved(op)) || tape->vars[op->out].is_wanted);
        for (int j = 0; op->is_repeated && j < CRN_OP_INPUTS_MAX; j++)
            want(tape, op->in[j], op->segment);
    }
}

static void add(crn_tape *tape, crn_phase phase, size_t op)
{
    tape->ticks[tape->tick_count++] = (crn_tick){.phase = phase, .op = op};
}

/* Backwards, a segment at a time; an operation outside of them is on its own. */
static void add_backward(crn_tape *tape)
{
    size_t first = 0;
    for (size_t end = tape->op_count; end > 0; end = first) {
        const int32_t segment = tape->ops[end - 1].segment;
        first = end - 1;
        while (segment != 0 && first > 0 && tape->ops[first - 1].segment == segment)
            first--;
        for (size_t i = first; i < end; i++) {
            if (tape->ops[i].is_repeated)
                add(tape, CRN_PHASE_AGAIN, i);
        }
        for (size_t i = end; i > first; i--) {
            if (tape->ops[i - 1].has_backward)
                add(tape, CRN_PHASE_BACKWARD, i - 1);
        }
    }
}

cairn_status crn_tape_schedule(crn_tape *tape, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    enum { PHASES = 3 };
    CRN_TRY_PLAIN(check_segments(tape, err));
    tape->ticks = crn_calloc(PHASES * tape->op_count, sizeof *tape->ticks);
    CRN_NEED(err, tape->ticks, "the plan of a tape");
    find_repeated(tape);
    for (size_t i = 0; i < tape->op_count; i++)
        add(tape, CRN_PHASE_FORWARD, i);
    if (tape->is_training)
        add_backward(tape);
out:
    return rc;
}
