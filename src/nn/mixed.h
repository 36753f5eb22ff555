/*
 * What a model needs to multiply in bfloat16 and train in float32: the products, and copies of the
 * matrices that they read. The copies are no part of a checkpoint; they are rounded again once the
 * matrices have changed, not for each product.
 *
 * Thread safety: as the model's.
 */
#ifndef CRN_NN_MIXED_H
#define CRN_NN_MIXED_H

#include "cairn/state.h"
#include "kernels/kernels.h"

typedef struct crn_mixed crn_mixed;

/* Yours. CAIRN_ENOMEM, CAIRN_EDEVICE. */
cairn_status crn_mixed_new(crn_mixed **out, cairn_error *err);
/* Accepts NULL. */
void crn_mixed_destroy(crn_mixed *mixed);
crn_bf16_gemms *crn_mixed_gemms(const crn_mixed *mixed);
/* The copy of @tensor, which is borrowed; filled by crn_mixed_refresh. Borrowed. CAIRN_ENOMEM. */
cairn_status crn_mixed_copy_of(crn_mixed *mixed, const cairn_tensor *tensor, const crn_bf16 **out,
                               cairn_error *err);
/* Before a run: makes the copy of @tensor one of the values of @source, which may be another of its
 * shape, unless it is that already. */
void crn_mixed_refresh(crn_mixed *mixed, const cairn_tensor *tensor, const cairn_tensor *source);
/* Bytes of all copies; 0 for NULL. */
uint64_t crn_mixed_bytes(const crn_mixed *mixed);

#endif
