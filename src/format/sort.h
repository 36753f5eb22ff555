#ifndef CRN_FORMAT_SORT_H
#define CRN_FORMAT_SORT_H

#include <stddef.h>
#include <stdint.h>

/* Below, at or above 0, as element number @a sorts before, with or after number @b. */
typedef int (*crn_compare_fn)(const void *context, uint32_t a, uint32_t b);

/*
 * Sorts @order, numbers of elements, by merging: stable, O(n log n) compares whatever the input,
 * which the C library's qsort does not promise. @scratch has @count places too.
 */
void crn_sort(uint32_t *order, uint32_t *scratch, size_t count, crn_compare_fn compare,
              const void *context);

#endif
