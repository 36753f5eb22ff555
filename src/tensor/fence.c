#include "tensor/fence.h"

#include <pthread.h>
#include <stdbool.h>

#include "base/mem.h"
#include "base/try.h"
#include "cairn/state.h"

struct crn_fence {
    uint8_t *arena;
    uint64_t bytes;
    pthread_mutex_t lock; /* over all that follows, and the protection */
    uint32_t *open;       /* [pages] ranges that are open there */
    bool is_off;
};

cairn_status crn_fence_new(void *arena, uint64_t bytes, crn_fence **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_fence *fence = NULL;
    *out = NULL;
    if (CRN_GUARD_PAGES == 0 || bytes == 0)
        return CAIRN_OK;
    fence = crn_calloc(1, sizeof *fence);
    CRN_NEED(err, fence, "a fence");
    fence->open = crn_calloc(bytes / CAIRN_PAGE_BYTES, sizeof *fence->open);
    CRN_NEED(err, fence->open, "a fence");
    /* With default attributes it does not fail on Linux. */
    if (pthread_mutex_init(&fence->lock, NULL) != 0)
        CRN_FAIL(err, CAIRN_ENOMEM, "no memory for a lock");
    fence->arena = arena;
    fence->bytes = bytes;
    fence->is_off = !crn_pages_protect(arena, bytes, false);
    *out = fence;
    fence = NULL;
out:
    if (fence != NULL)
        crn_free(fence->open);
    crn_free(fence);
    return rc;
}

void crn_fence_destroy(crn_fence *fence)
{
    if (fence == NULL)
        return;
    (void)pthread_mutex_destroy(&fence->lock);
    crn_free(fence->open);
    crn_free(fence);
}

/* With the lock. A failure leaves the whole arena writable. */
static void protect(crn_fence *fence, uint64_t page, uint64_t end, bool is_writable)
{
    if (fence->is_off || crn_pages_protect(fence->arena + page * CAIRN_PAGE_BYTES,
                                           (end - page) * CAIRN_PAGE_BYTES, is_writable))
        return;
    fence->is_off = crn_pages_protect(fence->arena, fence->bytes, true);
}

void crn_fence_open(crn_fence *fence, uint64_t offset, uint64_t bytes)
{
    if (fence == NULL || bytes == 0)
        return;
    const uint64_t begin = offset / CAIRN_PAGE_BYTES;
    const uint64_t end = (offset + bytes - 1) / CAIRN_PAGE_BYTES + 1;
    (void)pthread_mutex_lock(&fence->lock);
    for (uint64_t i = begin; i < end; i++)
        fence->open[i]++;
    protect(fence, begin, end, true);
    (void)pthread_mutex_unlock(&fence->lock);
}

void crn_fence_close(crn_fence *fence, uint64_t offset, uint64_t bytes)
{
    if (fence == NULL || bytes == 0)
        return;
    const uint64_t end = (offset + bytes - 1) / CAIRN_PAGE_BYTES + 1;
    uint64_t closed = offset / CAIRN_PAGE_BYTES; /* from here on nobody else has the pages open */
    (void)pthread_mutex_lock(&fence->lock);
    for (uint64_t i = closed; i < end; i++) {
        if (--fence->open[i] == 0)
            continue;
        if (i > closed)
            protect(fence, closed, i, false);
        closed = i + 1;
    }
    if (end > closed)
        protect(fence, closed, end, false);
    (void)pthread_mutex_unlock(&fence->lock);
}
