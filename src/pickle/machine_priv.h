/* What machine.c (opcodes) and rebuild.c (what is built by name) share. */
#ifndef CRN_PICKLE_MACHINE_PRIV_H
#define CRN_PICKLE_MACHINE_PRIV_H

#include "pickle/machine.h"

typedef struct crn_pickle_machine {
    const uint8_t *bytes;
    size_t size;
    size_t at;
    const crn_zip *zip;
    const char *folder;
    size_t folder_length;
    crn_pickle_tree *tree;
    uint32_t *stack;
    size_t stack_count;
    size_t stack_capacity;
    size_t *marks; /* heights of the stack */
    size_t mark_count;
    size_t mark_capacity;
    uint32_t *memo;    /* number of a node plus 1; 0: none */
    size_t memo_count; /* memoized, for MEMOIZE */
    size_t memo_capacity;
} crn_pickle_machine;

cairn_status crn_pickle_push(crn_pickle_machine *m, uint32_t ref, cairn_error *err);
cairn_status crn_pickle_push_new(crn_pickle_machine *m, crn_pickle_node node, cairn_error *err);
/* Adds to a list, tuple, dict or set. */
cairn_status crn_pickle_add_item(crn_pickle_node *node, uint32_t ref, cairn_error *err);

/* BINPERSID: pops what names a storage, pushes the storage. */
cairn_status crn_pickle_persistent(crn_pickle_machine *m, uint32_t id, cairn_error *err);
/* REDUCE of @callable with the tuple @arguments: pushes what it stands for. */
cairn_status crn_pickle_reduce(crn_pickle_machine *m, uint32_t callable, uint32_t arguments,
                               cairn_error *err);

/* Fails as damaged, with the place. */
#define CRN_PICKLE_DAMAGED(m, err, what)                                                           \
    CRN_FAIL(err, CAIRN_ECORRUPT, "has a damaged data.pkl: %s at byte %zu", what, (m)->at)

#endif
