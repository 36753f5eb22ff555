/* Several data sets in one epoch, each with its share. */
#ifndef CRN_DATA_MIXTURE_H
#define CRN_DATA_MIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cairn/error.h"

typedef struct crn_mixture {
    size_t count;
    bool is_interleaved;
    uint64_t *samples; /* [count] of each set */
    uint64_t *begin;   /* [count + 1] places of an epoch of each set; the sum */
} crn_mixture;

/*
 * An epoch is so long that every set with more than 5 % of the weight is seen whole; a smaller one
 * is repeated (Model Zoo, h5_map_dataset/readers.py: Mixture). @weights are above 0, @samples at
 * least 1. @is_interleaved: the sets are spread evenly over the epoch, each in its own order, where
 * the original draws places at random; else they stand one behind the other, to be shuffled.
 * On failure too, crn_mixture_dispose.
 */
cairn_status crn_mixture_make(const uint64_t *samples, const double *weights, size_t count,
                              bool is_interleaved, crn_mixture *out, cairn_error *err);
/* What stands at @place < begin[count]: a set, and a sample of it. */
void crn_mixture_at(const crn_mixture *mixture, uint64_t place, size_t *out_set,
                    uint64_t *out_sample);
void crn_mixture_dispose(crn_mixture *mixture);

#endif
