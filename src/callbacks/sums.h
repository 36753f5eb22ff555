/* Sums over tensors whose bits do not depend on the number of threads. */
#ifndef CRN_CALLBACKS_SUMS_H
#define CRN_CALLBACKS_SUMS_H

#include <stddef.h>

/* Sum of x[i]^2 in double, in partial sums that are cut by place. */
double crn_sum_of_squares(const float *x, size_t count);

#endif
