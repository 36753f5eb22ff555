/* The only door to the allocator, so that tests can make any allocation fail. */
#ifndef CRN_BASE_MEM_H
#define CRN_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cairn/error.h"

/* Zeroed memory for @count elements of @size bytes, or NULL (overflow included). Free: crn_free. */
void *crn_calloc(size_t count, size_t size) CAIRN_MUST_USE;

/*
 * Grows an array so that it holds at least @need elements of @size bytes; doubles, zeroes the new
 * part. *@capacity is in elements. On failure nothing changes.
 */
cairn_status crn_grow(void *array_pointer, size_t *capacity, size_t need, size_t size,
                      cairn_error *err) CAIRN_MUST_USE;

/* Zeroed pages, 4096-aligned, huge pages where the kernel gives them. Free: crn_pages_free. */
void *crn_pages_alloc(uint64_t bytes) CAIRN_MUST_USE;
/* Asks the system for the pages now, so that nobody waits for them later. What they hold stays, and
 * others may use them meanwhile. A kernel that cannot do it leaves them as they are. */
void crn_pages_populate(void *pages, uint64_t bytes);
void crn_pages_free(void *pages, uint64_t bytes);
/* Makes whole pages of such memory writable, or read-only so that a write faults. False if the
 * kernel has no more mappings to give. */
bool crn_pages_protect(void *pages, uint64_t bytes, bool is_writable) CAIRN_MUST_USE;

/* A copy of a string, or NULL. */
char *crn_strdup(const char *text) CAIRN_MUST_USE;
/* Accepts NULL. */
void crn_free(void *memory);

/* Record an allocation failure in the usual words. */
#define CRN_NEED(err, pointer, what)                                                               \
    do {                                                                                           \
        if ((pointer) == NULL)                                                                     \
            CRN_FAIL((err), CAIRN_ENOMEM, "no memory for %s", (what));                             \
    } while (0)

/*
 * Tests only: allocation number @n (1 = the next) and, if @sticky, all later ones return NULL.
 * 0 turns it off. One thread sets it; allocations of all threads count, and any of them may be the
 * one that fails.
 */
void crn_mem_fail_at(uint64_t n, int sticky);
/* Allocations made since the program started; a test that nothing allocates in a step uses it. */
uint64_t crn_mem_count(void);

#endif
