/* The table of an archive (interop/archive_protocol.h) from what a pickle built. */
#ifndef CRN_PICKLE_TABLE_H
#define CRN_PICKLE_TABLE_H

#include "base/str.h"
#include "pickle/machine.h"

typedef struct crn_pickle_table {
    crn_str records;   /* crn_archive_record, one behind another */
    uint32_t *tensors; /* for each tensor of the table, its number in the tree */
    size_t tensor_count;
    size_t tensor_capacity;
    size_t entries;
} crn_pickle_table;

/*
 * Walks the tree. An entry's name is the keys and numbers on the way to it, joined by ".". Bytes,
 * types and empty containers have no entry, but for a dtype, which is a text ("torch.float32").
 * @out: dispose of it in any case.
 * ECORRUPT: too deep or too much, a key that is neither a text nor a whole number, or a name that
 * is empty, too long or holds a NUL.  ENOMEM.
 */
cairn_status crn_pickle_table_make(const crn_pickle_tree *tree, crn_pickle_table *out,
                                   cairn_error *err);
void crn_pickle_table_dispose(crn_pickle_table *table);

#endif
