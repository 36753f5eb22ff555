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
