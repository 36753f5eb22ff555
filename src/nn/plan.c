/*
 * Memory of a tape. The ticks of its schedule are the time. A value lives from the tick that writes
 * it to the last one that reads it, its gradient from the backward of the last operation that reads
 * the value to that of its own. What is computed again has two lives in one place, and others may
 * use the place in between. Buffers are placed one after the other, largest first, each at the
 * lowest place that is free while it lives.
 */
#include <stdlib.h>

#include "base/checked.h"
#include "base/mem.h"
#include "base/try.h"
#include "nn/tape_impl.h"

enum { ALIGNMENT = 64, LIVES = 2 };

/* The lives of a variable. */
typedef struct span {
    crn_life lives[LIVES];
    crn_life grad;
    bool is_overwritten; /* By its gradient. */
} span;

/* ---- Lives ---- */

static void extend(crn_life *life, int64_t time)
{
    if (life->begin < 0)
        life->begin = time;
    life->end = time;
}

static void use(span *spans, crn_value value, int64_t time)
{
    if (value != CRN_VALUE_NONE)
        extend(&spans[value].lives[spans[value].lives[1].begin >= 0], time);
}

static void run_forward(span *spans, const crn_op *op, int64_t time)
{
    for (int j = 0; j < CRN_OP_INPUTS_MAX; j++)
        use(spans, op->in[j], time);
    use(spans, op->out, time);
    for (int j = 0; j < CRN_OP_SAVED_MAX; j++)
        use(spans, op->saved[j], time);
}

static void begin_again(span *spans, crn_value value, int64_t time)
{
    if (value != CRN_VALUE_NONE)
        extend(&spans[value].lives[1], time);
}

static void run_again(span *spans, const crn_op *op, int64_t time)
{
    begin_again(spans, op->out, time);
    for (int j = 0; j < CRN_OP_SAVED_MAX; j++)
        begin_again(spans, op->saved[j], time);
    run_forward(spans, op, time);
}

/* Whoever comes first sets a gradient, others add. */
static void run_backward(const crn_tape *tape, span *spans, crn_op *op, int64_t time)
{
    for (int j = 0; j < CRN_OP_INPUTS_MAX; j++) {
        if (op->in[j] == CRN_VALUE_NONE)
            continue;
        span *const in = &spans[op->in[j]];
        if ((op->kind->backward_reads >> j & 1U) != 0)
            use(spans, op->in[j], time);
        if (tape->vars[op->in[j]].is_bf16)
            continue; /* The gradient is that of what was copied. */
        op->adds[j] = tape->vars[op->in[j]].kind == CRN_VAR_PARAMETER || in->grad.begin >= 0;
        extend(&in->grad, time);
    }
    if (op->kind->is_input0_overwritten)
        spans[op->in[0]].is_overwritten = true;
    if ((op->kind->backward_reads & CRN_READS_OUT) != 0)
        use(spans, op->out, time);
    for (int j = 0; j < CRN_OP_SAVED_MAX; j++)
        use(spans, op->saved[j], time);
    if (op->out != CRN_VALUE_NONE && spans[op->out].grad.begin >= 0)
        extend(&spans[op->out].grad, time);
}

static void find_spans(crn_tape *tape, span *spans)
{
    static const crn_life k_never = {.begin = -1, .end = -1};
    for (size_t i = 0; i < tape->var_count; i++)
        spans[i] = (span){.lives = {k_never, k_never}, .grad = k_never};
    for (size_t i = 0; i < tape->tick_count; i++) {
        crn_op *const op = &tape->ops[tape->ticks[i].op];
        switch (tape->ticks[i].phase) {
        case CRN_PHASE_FORWARD:
            run_forward(spans, op, (int64_t)i);
            break;
        case CRN_PHASE_AGAIN:
            run_again(spans, op, (int64_t)i);
            break;
        case CRN_PHASE_BACKWARD:
            run_backward(tape, spans, op, (int64_t)i);
            break;
        }
    }
}

/* ---- Buffers ---- */

static cairn_status bytes_of(int64_t rows, int64_t cols, size_t size, uint64_t *out,
                             cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t count = 0;
    if (!crn_mul_u64((uint64_t)rows, (uint64_t)cols, &count) || !crn_mul_u64(count, size, out) ||
        !crn_round_up_u64(*out, ALIGNMENT, out))
        CRN_FAIL(err, CAIRN_ENOMEM, "a value of %lld x %lld numbers is too large", (long long)rows,
                 (long long)cols);
out:
    return rc;
}

/* Buffers of one computed variable. */
static cairn_status add_buffers(crn_tape *tape, crn_var *var, const span *when, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_buffer data = {.lives = {when->lives[0], when->lives[1]}, .place = &var->data};
    CRN_TRY_PLAIN(bytes_of(var->rows, var->cols, var->is_bf16 ? sizeof(crn_bf16) : sizeof(float),
                           &data.bytes, err));
    if (when->is_overwritten)
        data.lives[0].end = when->grad.end;
    tape->buffers[tape->buffer_count++] = data;
    if (!when->is_overwritten && when->grad.begin >= 0)
        tape->buffers[tape->buffer_count++] =
            (crn_buffer){.bytes = data.bytes,
                         .lives = {when->grad, {.begin = -1, .end = -1}},
                         .place = &var->grad};
out:
    return rc;
}

static int by_size(const void *left, const void *right)
{
    const crn_buffer *const a = left;
    const crn_buffer *const b = right;
    if (a->bytes != b->bytes)
        return a->bytes < b->bytes ? 1 : -1;
    return (a->lives[0].begin > b->lives[0].begin) - (a->lives[0].begin < b->lives[0].begin);
}

static bool live_together(const crn_buffer *a, const crn_buffer *b)
{
    for (int i = 0; i < LIVES && a->lives[i].begin >= 0; i++) {
        for (int j = 0; j < LIVES && b->lives[j].begin >= 0; j++) {
            if (a->lives[i].begin <= b->lives[j].end && b->lives[j].begin <= a->lives[i].end)
                return true;
        }
    }
    return false;
}

/* Buffers [0, i) have their places, and no two that live together share a byte. */
static uint64_t lowest_free(const crn_buffer *buffers, size_t i)
{
    const crn_buffer *const wanted = &buffers[i];
    uint64_t offset = 0;
    bool moved = true;
    while (moved) {
        moved = false;
        for (size_t j = 0; j < i; j++) {
            const crn_buffer *const other = &buffers[j];
            if (other->offset < offset + wanted->bytes && offset < other->offset + other->bytes &&
                live_together(other, wanted)) {
                offset = other->offset + other->bytes;
                moved = true;
            }
        }
    }
    return offset;
}

static uint64_t place_all(crn_buffer *buffers, size_t count)
{
    uint64_t total = 0;
    qsort(buffers, count, sizeof *buffers, by_size);
    for (size_t i = 0; i < count; i++) {
        buffers[i].offset = lowest_free(buffers, i);
        if (buffers[i].offset + buffers[i].bytes > total)
            total = buffers[i].offset + buffers[i].bytes;
    }
    return total;
}

/* One at a time: all operations share it. */
static int64_t most_scratch(const crn_tape *tape)
{
    int64_t most = 0;
    for (size_t i = 0; i < tape->op_count; i++) {
        if (tape->ops[i].scratch_floats > most)
            most = tape->ops[i].scratch_floats;
    }
    return most;
}

cairn_status crn_tape_place(crn_tape *tape, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t scratch_bytes = 0;
    span *const spans = crn_calloc(tape->var_count, sizeof *spans);
    tape->buffers = crn_calloc(2 * tape->var_count, sizeof *tape->buffers);
    CRN_NEED(err, spans, "the plan of a tape");
    CRN_NEED(err, tape->buffers, "the plan of a tape");
    find_spans(tape, spans);
    for (size_t i = 0; i < tape->var_count; i++) {
        crn_var *const var = &tape->vars[i];
        if (var->kind == CRN_VAR_COMPUTED)
            CRN_TRY_PLAIN(add_buffers(tape, var, &spans[i], err));
        var->is_overwritten = spans[i].is_overwritten;
    }
    CRN_TRY_PLAIN(bytes_of(1, most_scratch(tape), sizeof(float), &scratch_bytes, err));
    tape->scratch_at = place_all(tape->buffers, tape->buffer_count);
    tape->memory_bytes = tape->scratch_at + scratch_bytes;
out:
    crn_free(spans);
    return rc;
}

cairn_status crn_tape_allocate(crn_tape *tape, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    tape->memory = crn_pages_alloc(tape->memory_bytes);
    if (tape->memory == NULL)
        CRN_FAIL(err, CAIRN_ENOMEM,
                 "no memory for %llu bytes of activations: a smaller batch_size or "
                 "max_sequence_length, or gradient_checkpointing, needs less",
                 (unsigned long long)tape->memory_bytes);
    char *const base = tape->memory;
    for (size_t i = 0; i < tape->buffer_count; i++)
        *tape->buffers[i].place = (float *)(void *)(base + tape->buffers[i].offset);
    for (size_t i = 0; i < tape->var_count; i++) {
        if (tape->vars[i].is_overwritten)
            tape->vars[i].grad = tape->vars[i].data;
    }
    tape->scratch = (float *)(void *)(base + tape->scratch_at);
    crn_free(tape->buffers);
    tape->buffers = NULL;
out:
    return rc;
}
