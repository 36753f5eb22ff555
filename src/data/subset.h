/* `data_subset`: shares of a data set, such as "0.0-0.5" or "0.1-0.3,0.7-1.0". */
#ifndef CRN_DATA_SUBSET_H
#define CRN_DATA_SUBSET_H

#include <stddef.h>
#include <stdint.h>

#include "cairn/error.h"

enum { CRN_SUBSET_MAX = 64 };

typedef struct crn_subset {
    size_t count;
    uint64_t begin[CRN_SUBSET_MAX]; /* first sample of the range, in the whole */
    uint64_t first[CRN_SUBSET_MAX]; /* its number in the subset */
    uint64_t samples;
} crn_subset;

/*
 * The range a-b of @samples samples holds those from floor(samples * a) to below
 * floor(samples * b), computed in doubles (Model Zoo, h5_map_dataset/readers.py). @text NULL: all.
 * CAIRN_ECONFIG: no list of rising ranges within 0 to 1. Thread safe.
 */
cairn_status crn_subset_read(const char *text, uint64_t samples, crn_subset *out, cairn_error *err);
/* Where in the whole sample @index of the subset is. */
uint64_t crn_subset_at(const crn_subset *subset, uint64_t index);

#endif
