#include "data/batch.h"

#include "base/checked.h"
#include "base/mem.h"
#include "base/try.h"

static void release(crn_token_batch *batch)
{
    crn_free(batch->input_ids);
    crn_free(batch->labels);
    crn_free(batch->mask);
    batch->input_ids = NULL;
    batch->labels = NULL;
    batch->mask = NULL;
    batch->capacity = 0;
}

cairn_status crn_token_batch_reserve(crn_token_batch *batch, size_t count, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t tokens = 0;
    if (count <= batch->capacity)
        goto out;
    if (!crn_mul_size(count, (size_t)batch->length, &tokens))
        CRN_FAIL(err, CAIRN_ENOMEM, "a batch of %zu samples is too large", count);
    release(batch);
    batch->input_ids = crn_calloc(tokens, sizeof(int32_t));
    CRN_NEED(err, batch->input_ids, "a batch");
    batch->labels = crn_calloc(tokens, sizeof(int32_t));
    CRN_NEED(err, batch->labels, "a batch");
    if (batch->has_mask) {
        batch->mask = crn_calloc(tokens, sizeof(float));
        CRN_NEED(err, batch->mask, "a batch");
    }
    batch->capacity = count;
out:
    return rc;
}

static cairn_batch_field field(const crn_token_batch *batch, const char *name, cairn_dtype dtype,
                               size_t count, const void *data)
{
    return (cairn_batch_field){.name = name,
                               .dtype = dtype,
                               .rank = 2,
                               .shape = {(int64_t)count, (int64_t)batch->length},
                               .data = data};
}

cairn_batch crn_token_batch_view(const crn_token_batch *batch, size_t count)
{
    return (cairn_batch){
        .struct_size = sizeof(cairn_batch),
        .samples = (int64_t)count,
        .field_count = batch->has_mask ? 3 : 2,
        .field = {field(batch, "input_ids", CAIRN_DTYPE_I32, count, batch->input_ids),
                  field(batch, "labels", CAIRN_DTYPE_I32, count, batch->labels),
                  field(batch, "attention_mask", CAIRN_DTYPE_F32, count, batch->mask)}};
}

void crn_token_batch_dispose(crn_token_batch *batch)
{
    release(batch);
}
