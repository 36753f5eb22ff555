/* Other people's floating-point numbers as floats; none is rounded. */
#ifndef CRN_INTEROP_WIDEN_H
#define CRN_INTEROP_WIDEN_H

#include <stdbool.h>
#include <stdint.h>

#include "cairn/tensor.h"

/* F32, F16 and BF16. */
bool crn_can_widen(cairn_dtype dtype);
/* Element @i of little-endian @bytes that lie anywhere. */
float crn_widen(const uint8_t *bytes, cairn_dtype dtype, uint64_t i);

#endif
