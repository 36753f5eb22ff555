#include "format/sort.h"

#include <string.h>

static void merge(const uint32_t *from, uint32_t *to, size_t middle, size_t end,
                  crn_compare_fn compare, const void *context)
{
    size_t left = 0;
    size_t right = middle;
    for (size_t i = 0; i < end; i++) {
        const int take_left =
            right >= end || (left < middle && compare(context, from[left], from[right]) <= 0);
        to[i] = take_left ? from[left++] : from[right++];
    }
}

void crn_sort(uint32_t *order, uint32_t *scratch, size_t count, crn_compare_fn compare,
              const void *context)
{
    uint32_t *from = order;
    uint32_t *to = scratch;
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t i = 0; i < count; i += 2 * width) {
            const size_t left = count - i;
            merge(from + i, to + i, left < width ? left : width,
                  left < 2 * width ? left : 2 * width, compare, context);
        }
        uint32_t *const swap = from;
        from = to;
        to = swap;
    }
    if (from != order && count > 0)
        memcpy(order, from, count * sizeof *order);
}
