/* For tests of models that multiply in bfloat16. */
#ifndef CRN_TESTS_BF16_H
#define CRN_TESTS_BF16_H

#include "numeric/tiny_gpt2.h"

/* What the issue allows between bfloat16 and PyTorch's float64. */
static const double k_bf16_limit = 1e-2;

/* The processor's own unit, where it has one, must have passed its trial. */
static inline void tiny_use_bf16(tiny *t)
{
    const char *note = NULL;
    tiny_ok(t, t->model.ops->use_bf16(t->model.self, &note, &t->err));
    assert_true(note == NULL || strstr(note, "WRONG") == NULL);
}

/* A row of what a pass observed last of a size. */
typedef struct seen_row {
    size_t count; /* of the whole value */
    size_t row;
    size_t cols;
    float *out; /* [cols] */
    int times;
} seen_row;

static inline cairn_status see_row(void *user, const char *name, const float *values, size_t count,
                                   cairn_error *err)
{
    seen_row *const seen = user;
    (void)name;
    (void)err;
    if (count == seen->count) {
        memcpy(seen->out, values + seen->row * seen->cols, seen->cols * sizeof *values);
        seen->times++;
    }
    return CAIRN_OK;
}

/* Logits [vocab] after token @row of @batch, which has @rows, without training. */
static inline void tiny_logits(tiny *t, const cairn_batch *batch, size_t rows, size_t row,
                               size_t vocab, float *out)
{
    seen_row seen = {.count = rows * vocab, .row = row, .cols = vocab, .out = out};
    cairn_pass pass = tiny_pass(false, 0);
    pass.observe = see_row;
    pass.observer = &seen;
    (void)tiny_compute(t, batch, &pass);
    assert_true(seen.times > 0);
}

#endif
