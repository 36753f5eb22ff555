/*
 * A hash table from names to pointers, so that finding one of 10,000 tensors by name is quick.
 * Borrows both; names stay where they are. Nothing is ever removed.
 */
#ifndef CRN_TENSOR_NAME_INDEX_H
#define CRN_TENSOR_NAME_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "cairn/error.h"

typedef struct crn_name_slot {
    uint64_t hash;
    const char *name; /* NULL: free */
    void *item;
} crn_name_slot;

/* Zeroed is empty. */
typedef struct crn_name_index {
    crn_name_slot *slots;
    size_t slot_count; /* 0 or a power of two */
    size_t used;
} crn_name_index;

/* The item of @name; NULL if there is none. */
void *crn_name_index_find(const crn_name_index *index, const char *name);
/* Makes room for one more, so that the next put cannot fail. @retval CAIRN_ENOMEM */
cairn_status crn_name_index_reserve(crn_name_index *index, cairn_error *err) CAIRN_MUST_USE;
/* Enters a name that is not there yet; room was reserved. */
void crn_name_index_put(crn_name_index *index, const char *name, void *item);
void crn_name_index_dispose(crn_name_index *index);

#endif
