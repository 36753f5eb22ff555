#include "nn/tokens.h"

#include "base/try.h"
#include "kernels/kernels.h"

static cairn_status find_field(const cairn_batch *batch, const char *name, cairn_dtype dtype,
                               const cairn_batch_field **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_batch_field *const field = cairn_batch_find(batch, name);
    if (field == NULL)
        CRN_FAIL(err, CAIRN_EDATA, "the batch has no '%s', which a language model needs", name);
    if (field->dtype != dtype || field->rank != 2)
        CRN_FAIL(err, CAIRN_EDATA,
                 "'%s' of the batch is %s with %d axes; a language model needs %s with 2", name,
                 cairn_dtype_name(field->dtype), field->rank, cairn_dtype_name(dtype));
    *out = field;
out:
    return rc;
}

static cairn_status check_same_shape(const cairn_batch_field *a, const cairn_batch_field *b,
                                     cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (a->shape[0] != b->shape[0] || a->shape[1] != b->shape[1])
        CRN_FAIL(err, CAIRN_EDATA, "'%s' of the batch is [%lld][%lld], but '%s' is [%lld][%lld]",
                 a->name, (long long)a->shape[0], (long long)a->shape[1], b->name,
                 (long long)b->shape[0], (long long)b->shape[1]);
out:
    return rc;
}

cairn_status crn_check_token(const char *name, int64_t place, int64_t time, int32_t id,
                             int64_t vocab, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (id < 0 || id >= vocab)
        CRN_FAIL(err, CAIRN_EDATA,
                 "token id %d at %s[%lld][%lld] is outside the vocabulary 0 ... %lld: use the data "
                 "that vocab_size was chosen for, or set model.vocab_size to at least %lld",
                 (int)id, name, (long long)(place / time), (long long)(place % time),
                 (long long)vocab - 1, (long long)id + 1);
out:
    return rc;
}

cairn_status crn_tokens_find(const cairn_batch *batch, int64_t longest,
                             const cairn_batch_field **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_batch_field *ids = NULL;
    CRN_TRY_PLAIN(find_field(batch, "input_ids", CAIRN_DTYPE_I32, &ids, err));
    if (ids->shape[0] < 1 || ids->shape[1] < 1)
        CRN_FAIL(err, CAIRN_EDATA, "the batch is empty: 'input_ids' is [%lld][%lld]",
                 (long long)ids->shape[0], (long long)ids->shape[1]);
    if (ids->shape[1] > longest)
        CRN_FAIL(err, CAIRN_EDATA,
                 "the batch has sequences of %lld tokens, but model.max_position_embeddings is "
                 "%lld: raise it or lower max_sequence_length of the data",
                 (long long)ids->shape[1], (long long)longest);
    *out = ids;
out:
    return rc;
}

cairn_status crn_tokens_read(const cairn_batch *batch, int64_t vocab, int64_t longest,
                             crn_tokens *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_batch_field *ids = NULL;
    const cairn_batch_field *labels = NULL;
    const cairn_batch_field *mask = NULL;
    CRN_TRY_PLAIN(crn_tokens_find(batch, longest, &ids, err));
    CRN_TRY_PLAIN(find_field(batch, "labels", CAIRN_DTYPE_I32, &labels, err));
    CRN_TRY_PLAIN(check_same_shape(labels, ids, err));
    if (cairn_batch_find(batch, "attention_mask") != NULL) {
        CRN_TRY_PLAIN(find_field(batch, "attention_mask", CAIRN_DTYPE_F32, &mask, err));
        CRN_TRY_PLAIN(check_same_shape(mask, ids, err));
    }
    const crn_tokens found = {.batch = ids->shape[0],
                              .time = ids->shape[1],
                              .ids = ids->data,
                              .labels = labels->data,
                              .mask = mask != NULL ? mask->data : NULL};
    const crn_token_labels weights = {.labels = found.labels, .mask = found.mask};
    for (int64_t i = 0; i < found.batch * found.time; i++) {
        CRN_TRY_PLAIN(crn_check_token("input_ids", i, found.time, found.ids[i], vocab, err));
        if (crn_token_weight(&weights, i) != 0.0F)
            CRN_TRY_PLAIN(crn_check_token("labels", i, found.time, found.labels[i], vocab, err));
    }
    *out = found;
out:
    return rc;
}
