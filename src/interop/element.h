/* Elements of other programs' tensors: little-endian F32, F16 and BF16, to floats and back. */
#ifndef CRN_INTEROP_ELEMENT_H
#define CRN_INTEROP_ELEMENT_H

#include <stdint.h>

#include "cairn/tensor.h"

/* Element @i of @bytes, which lie anywhere, exactly. @dtype: F32, F16 or BF16. */
float crn_element_get(const uint8_t *bytes, cairn_dtype dtype, uint64_t i);

/* Writes @value there, rounded to nearest, ties to even (IEEE 754); above the largest number of the
 * dtype it becomes infinite. */
void crn_element_put(uint8_t *bytes, cairn_dtype dtype, uint64_t i, float value);

#endif
