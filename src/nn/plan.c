/*
 * Memory of a tape. With N operations, operation i runs forward at time i and backward at time
 * 2N - 1 - i. A value lives from its operation to the last one that reads it, its gradient from the
 * backward of the last operation that reads the value to that of its own. Buffers are placed one
 * after the other, largest first, each at the lowest place that is free while it lives.
 */
#include <stdlib.h>

#include "base/checked.h"
#include "base/mem.h"
#include "base/try.h"
#include "nn/tape_impl.h"

enum { ALIGNMENT = 64 };

typedef struct buffer {
    uint64_t bytes;
    uint64_t offset;
    int64_t begin; /* Times, both inclusive. */
    int64_t end;
    float **place; /* Set once the memory is there. */
} buffer;

/* When a variable is made and used, by operation number; -1: never. */
typedef struct span {
    int64_t made;
    int64_t last_read;      /* Last forward use. */
    int64_t first_kept_for; /* First operation whose backward reads it. */
    bool is_overwritten;    /* By its gradient. */
} span;

static void use(span *spans, crn_value value, int64_t op, bool is_kept)
{
    if (value == CRN_VALUE_NONE)
        return;
    spans[value].last_read = op;
    if (is_kept && spans[value].first_kept_for < 0)
        spans[value].first_kept_for = op;
}

static void find_spans(crn_tape *tape, span *spans)
{
    for (size_t i = 0; i < tape->var_count; i++) {
        spans[i].made = -1;
        spans[i].last_read = -1;
        spans[i].first_kept_for = -1;
    }
    for (size_t i = 0; i < tape->op_count; i++) {
        const crn_op *const op = &tape->ops[i];
        const int64_t number = (int64_t)i;
        for (int j = 0; j < CRN_OP_INPUTS_MAX; j++)
            use(spans, op->in[j], number, (op->kind->backward_reads >> j & 1U) != 0);
        if (op->out != CRN_VALUE_NONE) {
            spans[op->out].made = number;
            use(spans, op->out, number, (op->kind->backward_reads & CRN_READS_OUT) != 0);
        }
        for (int j = 0; j < CRN_OP_SAVED_MAX; j++) {
            if (op->saved[j] == CRN_VALUE_NONE)
                continue;
            spans[op->saved[j]].made = number;
            use(spans, op->saved[j], number, true);
        }
        if (op->kind->is_input0_overwritten)
            spans[op->in[0]].is_overwritten = true;
        if (op->scratch_floats > tape->scratch_floats)
            tape->scratch_floats = op->scratch_floats;
    }
}

/* Backward runs from the last operation on: whoever comes first sets a gradient, others add. */
static void find_additions(crn_tape *tape, const span *spans)
{
    for (size_t i = 0; i < tape->op_count; i++) {
        crn_op *const op = &tape->ops[i];
        for (int j = 0; j < CRN_OP_INPUTS_MAX; j++) {
            if (op->in[j] == CRN_VALUE_NONE)
                continue;
            op->adds[j] = tape->vars[op->in[j]].kind == CRN_VAR_PARAMETER ||
                          spans[op->in[j]].last_read > (int64_t)i;
            for (int k = 0; k < j; k++)
                op->adds[j] |= op->in[k] == op->in[j]; /* x + x */
        }
    }
}

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
static cairn_status add_buffers(crn_tape *tape, crn_var *var, const span *when, buffer *buffers,
                                size_t *count, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const int64_t last = 2 * (int64_t)tape->op_count - 1;
    buffer data = {.begin = when->made, .end = when->last_read, .place = &var->data};
    CRN_TRY_PLAIN(bytes_of(var->rows, var->cols, var->is_bf16 ? sizeof(crn_bf16) : sizeof(float),
                           &data.bytes, err));
    if (tape->is_training && when->first_kept_for >= 0)
        data.end = last - when->first_kept_for;
    if (tape->is_training && when->is_overwritten)
        data.end = last - when->made;
    buffers[(*count)++] = data;
    if (tape->is_training && !when->is_overwritten && !var->is_saved && !var->is_bf16 &&
        when->last_read > when->made) {
        buffer grad = {.bytes = data.bytes,
                       .begin = last - when->last_read,
                       .end = last - when->made,
                       .place = &var->grad};
        buffers[(*count)++] = grad;
    }
out:
    return rc;
}

static int by_size(const void *left, const void *right)
{
    const buffer *const a = left;
    const buffer *const b = right;
    if (a->bytes != b->bytes)
        return a->bytes < b->bytes ? 1 : -1;
    return (a->begin > b->begin) - (a->begin < b->begin);
}

/* Buffers [0, i) have their places, and no two that live together share a byte. */
static uint64_t lowest_free(const buffer *buffers, size_t i)
{
    const buffer *const wanted = &buffers[i];
    uint64_t offset = 0;
    bool moved = true;
    while (moved) {
        moved = false;
        for (size_t j = 0; j < i; j++) {
            const buffer *const other = &buffers[j];
            const bool meets = other->begin <= wanted->end && wanted->begin <= other->end;
            if (meets && other->offset < offset + wanted->bytes &&
                offset < other->offset + other->bytes) {
                offset = other->offset + other->bytes;
                moved = true;
            }
        }
    }
    return offset;
}

static uint64_t place_all(buffer *buffers, size_t count)
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

cairn_status crn_tape_place(crn_tape *tape, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t count = 0;
    uint64_t scratch_bytes = 0;
    span *const spans = crn_calloc(tape->var_count, sizeof *spans);
    buffer *const buffers = crn_calloc(2 * tape->var_count, sizeof *buffers);
    CRN_NEED(err, spans, "the plan of a tape");
    CRN_NEED(err, buffers, "the plan of a tape");
    find_spans(tape, spans);
    find_additions(tape, spans);
    for (size_t i = 0; i < tape->var_count; i++) {
        if (tape->vars[i].kind == CRN_VAR_COMPUTED)
            CRN_TRY_PLAIN(add_buffers(tape, &tape->vars[i], &spans[i], buffers, &count, err));
    }
    CRN_TRY_PLAIN(bytes_of(1, tape->scratch_floats, sizeof(float), &scratch_bytes, err));
    const uint64_t values_bytes = place_all(buffers, count);
    tape->memory_bytes = values_bytes + scratch_bytes;
    tape->memory = crn_pages_alloc(tape->memory_bytes);
    if (tape->memory == NULL)
        CRN_FAIL(err, CAIRN_ENOMEM,
                 "no memory for %llu bytes of activations: a smaller batch_size or "
                 "max_sequence_length needs less",
                 (unsigned long long)tape->memory_bytes);
    char *const base = tape->memory;
    for (size_t i = 0; i < count; i++)
        *buffers[i].place = (float *)(void *)(base + buffers[i].offset);
    for (size_t i = 0; i < tape->var_count; i++) {
        if (spans[i].is_overwritten)
            tape->vars[i].grad = tape->vars[i].data;
    }
    tape->scratch = (float *)(void *)(base + values_bytes);
out:
    crn_free(spans);
    crn_free(buffers);
    return rc;
}
