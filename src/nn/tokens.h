/* The batch of a language model: its arrays, checked. */
#ifndef CRN_NN_TOKENS_H
#define CRN_NN_TOKENS_H

#include "cairn/plugin/model.h"

/* Borrowed from the batch. */
typedef struct crn_tokens {
    int64_t batch;
    int64_t time;
    const int32_t *ids;    /* [batch][time] */
    const int32_t *labels; /* [batch][time]; a negative one does not count. */
    const float *mask;     /* [batch][time]; NULL: ones. */
} crn_tokens;

/* CAIRN_EDATA: a field is missing or has another type or shape, sequences have more than @longest
 * tokens, or an id, or a label that counts, is not below @vocab. */
cairn_status crn_tokens_read(const cairn_batch *batch, int64_t vocab, int64_t longest,
                             crn_tokens *out, cairn_error *err);
/* The field of the tokens, whose data may be NULL here. CAIRN_EDATA: it is missing, has another
 * type or no shape that can be, or sequences of more than @longest tokens. */
cairn_status crn_tokens_find(const cairn_batch *batch, int64_t longest,
                             const cairn_batch_field **out, cairn_error *err);
/* CAIRN_EDATA unless 0 <= @id < @vocab; it stands at @place of the array @name, rows of @time. */
cairn_status crn_check_token(const char *name, int64_t place, int64_t time, int32_t id,
                             int64_t vocab, cairn_error *err);

#endif
