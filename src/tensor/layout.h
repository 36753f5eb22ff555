/*
 * Where tensors lie in an arena and so in a file: the alignment rules of [CF-13] to [CF-15] as
 * pure functions. Offsets within a region depend on the tensors of that region alone, so a file
 * with some of the states is whole regions at other offsets.
 */
#ifndef CRN_TENSOR_LAYOUT_H
#define CRN_TENSOR_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Places the next tensor of @bytes behind the first *end bytes of a region: *out_offset is where
 * it begins, *end where it ends. False if that does not fit 64 bits; then nothing changes.
 */
bool crn_layout_place(uint64_t bytes, uint64_t *end, uint64_t *out_offset);

/* Size of a region whose last tensor ends at @end; 0 for one without bytes. False: too large. */
bool crn_layout_region_bytes(uint64_t end, uint64_t *out_bytes);

/*
 * Plans a whole region: inner offsets of @count tensors of @bytes[i], in order, and the region's
 * size. False if it does not fit 64 bits.
 */
bool crn_layout_region(const uint64_t *bytes, size_t count, uint64_t *out_offsets,
                       uint64_t *out_region_bytes);

/*
 * Plans a data section of the regions for which @is_wanted[i] holds, in order: their offsets in it
 * and its size. Offsets of the others are left alone. @is_wanted NULL: all. False if the sum does
 * not fit 64 bits.
 */
bool crn_layout_pack(const uint64_t *region_bytes, const bool *is_wanted, size_t count,
                     uint64_t *out_offsets, uint64_t *out_bytes);

#endif
