/*
 * Memory protection around the arena, for development builds (CMake option CAIRN_GUARD_PAGES): it
 * is read-only but for the pages of ranges that somebody has asked for through the write guard, so
 * that a write past the guard faults where it happens. Elsewhere there is no fence, and nothing of
 * this costs anything. docs/design/0006-guard-pages.md
 *
 * Thread safety: ranges may be opened and closed by several threads, overlapping too.
 */
#ifndef CRN_TENSOR_FENCE_H
#define CRN_TENSOR_FENCE_H

#include <stdint.h>

#include "cairn/error.h"

typedef struct crn_fence crn_fence;

/*
 * Closes @arena, pages from crn_pages_alloc that outlive the fence.
 * @out  Yours: crn_fence_destroy. NULL where the build has no fences.
 */
cairn_status crn_fence_new(void *arena, uint64_t bytes, crn_fence **out, cairn_error *err);
/* The arena stays as it is. Accepts NULL. */
void crn_fence_destroy(crn_fence *fence);

/* Makes a range writable, with the rest of its pages; a range may be opened several times. A kernel
 * that has no more mappings to give ends the fence for good: it is an aid, never a failure. Accept
 * NULL. */
void crn_fence_open(crn_fence *fence, uint64_t offset, uint64_t bytes);
void crn_fence_close(crn_fence *fence, uint64_t offset, uint64_t bytes);

#endif
