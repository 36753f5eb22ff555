/* A batch of token sequences: the arrays behind a cairn_batch. */
#ifndef CRN_DATA_BATCH_H
#define CRN_DATA_BATCH_H

#include "cairn/plugin/data.h"

typedef struct crn_token_batch {
    uint64_t length;   /* tokens of a sample, T */
    uint64_t capacity; /* samples that the arrays hold */
    bool has_mask;
    int32_t *input_ids; /* [capacity][T] */
    int32_t *labels;    /* [capacity][T] */
    float *mask;        /* [capacity][T]; NULL without has_mask */
} crn_token_batch;

/* Makes room for @count samples; what the arrays held is lost. CAIRN_ENOMEM. */
cairn_status crn_token_batch_reserve(crn_token_batch *batch, size_t count, cairn_error *err);
/* The first @count samples; borrows the arrays. */
cairn_batch crn_token_batch_view(const crn_token_batch *batch, size_t count);
void crn_token_batch_dispose(crn_token_batch *batch);

#endif
