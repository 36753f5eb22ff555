#include "base/mem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/checked.h"
#include "base/try.h"

/* Of Linux 5.14; headers may be older than the kernel. */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum {
    FIRST_CAPACITY = 8,
    POPULATE_BYTES = 2 * 1024 * 1024 /* at once: others map memory in between */
};

/* Mutable statics with a reason: fault injection must reach every allocation of the process. */
static _Atomic uint64_t s_count;
static _Atomic uint64_t s_fail_at;
static _Atomic bool s_fail_sticky;

void crn_mem_fail_at(uint64_t n, int sticky)
{
    atomic_store(&s_fail_at, 0); /* The old plan ends before the new one holds. */
    atomic_store(&s_fail_sticky, sticky != 0);
    atomic_store(&s_fail_at, n == 0 ? 0 : atomic_load(&s_count) + n);
}

uint64_t crn_mem_count(void)
{
    return atomic_load(&s_count);
}

static bool must_fail(void)
{
    const uint64_t number = atomic_fetch_add(&s_count, 1) + 1;
    const uint64_t fail_at = atomic_load(&s_fail_at);
    if (fail_at == 0)
        return false;
    return atomic_load(&s_fail_sticky) ? number >= fail_at : number == fail_at;
}

void *crn_calloc(size_t count, size_t size)
{
    size_t bytes = 0;
    /* calloc checks too, but sanitizers take an overflow there for a bug and stop. */
    if (must_fail() || !crn_mul_size(count, size, &bytes))
        return NULL;
    return calloc(bytes > 0 ? bytes : 1, 1);
}

cairn_status crn_grow(void *array_pointer, size_t *capacity, size_t need, size_t size,
                      cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    void *array = NULL;
    size_t wanted = *capacity > 0 ? *capacity : FIRST_CAPACITY;
    size_t bytes = 0;
    if (need <= *capacity)
        return CAIRN_OK;
    while (wanted < need) {
        if (!crn_mul_size(wanted, 2, &wanted))
            CRN_FAIL(err, CAIRN_ENOMEM, "an array of %zu elements is too large", need);
    }
    if (!crn_mul_size(wanted, size, &bytes) || must_fail())
        CRN_FAIL(err, CAIRN_ENOMEM, "no memory for %zu elements of %zu bytes", wanted, size);
    /* The caller's pointer has its own type: copied, not looked at through a void **. */
    memcpy(&array, array_pointer, sizeof array);
    void *const grown = realloc(array, bytes);
    CRN_NEED(err, grown, "a larger array");
    memset((char *)grown + *capacity * size, 0, bytes - *capacity * size);
    memcpy(array_pointer, &grown, sizeof grown);
    *capacity = wanted;
out:
    return rc;
}

void *crn_pages_alloc(uint64_t bytes)
{
    if (must_fail())
        return NULL;
    void *const pages = mmap(NULL, bytes > 0 ? bytes : 1, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return NULL;
    (void)madvise(pages, bytes, MADV_HUGEPAGE); /* Advice: a kernel without it is only slower. */
    return pages;
}

void crn_pages_populate(void *pages, uint64_t bytes)
{
    for (uint64_t at = 0; at < bytes; at += POPULATE_BYTES) {
        const uint64_t left = bytes - at;
        const size_t size = left < POPULATE_BYTES ? (size_t)left : (size_t)POPULATE_BYTES;
        if (madvise((char *)pages + at, size, MADV_POPULATE_WRITE) != 0)
            return;
    }
}

void crn_pages_free(void *pages, uint64_t bytes)
{
    if (pages != NULL)
        (void)munmap(pages, bytes > 0 ? bytes : 1);
}

bool crn_pages_protect(void *pages, uint64_t bytes, bool is_writable)
{
    return mprotect(pages, bytes, is_writable ? PROT_READ | PROT_WRITE : PROT_READ) == 0;
}

char *crn_strdup(const char *text)
{
    const size_t size = strlen(text) + 1;
    char *const copy = crn_calloc(size, 1);
    if (copy != NULL)
        memcpy(copy, text, size);
    return copy;
}

void crn_free(void *memory)
{
    free(memory);
}
