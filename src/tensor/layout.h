/*
 * Where tensors lie in an arena and so in a file: the alignment rules of [CF-13] to [CF-15] as
 * pure functions. Offsets within a region depend on the tensors of that region alone, so a file
 * with some of the states is whole regions at other offsets.
 */
#ifndef CRN_TENSOR_LAYOUT_H
#define CRN_TENSOR_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Places the next tensor of @bytes behind the first *end bytes of a region: *out_offset is where
 * it begins, *end where it ends. False if that does not fit 64 bits; then nothing changes.
 */
bool crn_layout_place(uint64_t bytes, uint64_t *end, uint64_t *out_offset);

/* Size of a region whose last tensor ends at @end; 0 for one without bytes. False: too large. */
bool crn_layout_region_bytes(uint64_t end, uint64_t *out_bytes);

#endif
