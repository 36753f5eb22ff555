#include "tensor/layout.h"

#include "base/checked.h"
#include "cairn/state.h"

bool crn_layout_place(uint64_t bytes, uint64_t *end, uint64_t *out_offset)
{
    const uint64_t unit = bytes >= CAIRN_LARGE_BYTES ? CAIRN_PAGE_BYTES : CAIRN_SMALL_ALIGNMENT;
    uint64_t begin = 0;
    uint64_t new_end = 0;
    if (!crn_round_up_u64(*end, unit, &begin) || !crn_add_u64(begin, bytes, &new_end))
        return false;
    *out_offset = begin;
    *end = new_end;
    return true;
}

bool crn_layout_region_bytes(uint64_t end, uint64_t *out_bytes)
{
    return crn_round_up_u64(end, CAIRN_PAGE_BYTES, out_bytes);
}

bool crn_layout_region(const uint64_t *bytes, size_t count, uint64_t *out_offsets,
                       uint64_t *out_region_bytes)
{
    uint64_t end = 0;
    for (size_t i = 0; i < count; i++) {
        if (!crn_layout_place(bytes[i], &end, &out_offsets[i]))
            return false;
    }
    return crn_layout_region_bytes(end, out_region_bytes);
}

bool crn_layout_pack(const uint64_t *region_bytes, const bool *is_wanted, size_t count,
                     uint64_t *out_offsets, uint64_t *out_bytes)
{
    uint64_t end = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_wanted != NULL && !is_wanted[i])
            continue;
        out_offsets[i] = end;
        if (!crn_add_u64(end, region_bytes[i], &end))
            return false;
    }
    *out_bytes = end;
    return true;
}
