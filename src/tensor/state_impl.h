/* What the files of tensor/ know of a state tree; nobody else includes this. */
#ifndef CRN_TENSOR_STATE_IMPL_H
#define CRN_TENSOR_STATE_IMPL_H

#include <stdatomic.h>

#include "cairn/state.h"
#include "tensor/fence.h"
#include "tensor/name_index.h"

/* A tensor is an allocation of its own, so that its address never changes. */
typedef struct crn_tensor_box {
    cairn_tensor tensor;    /* first: the public pointer is the box */
    uint64_t region_offset; /* from the start of the state's region */
    _Atomic uint64_t writes;
    char name[];
} crn_tensor_box;

typedef struct crn_alias {
    char *name;
    const crn_tensor_box *target;
} crn_alias;

typedef struct crn_value {
    char *key;
    char *text;
    size_t text_capacity; /* reused, so that setting a counter in every step allocates nothing */
} crn_value;

struct cairn_state {
    cairn_state_tree *tree;
    char *name;
    crn_tensor_box **tensors;
    size_t tensor_count;
    size_t tensor_capacity;
    crn_name_index names; /* of tensors and aliases */
    crn_alias *aliases;
    size_t alias_count;
    size_t alias_capacity;
    crn_value **values;
    size_t value_count;
    size_t value_capacity;
    crn_name_index value_names; /* from keys to values: a file may claim very many */
    uint64_t region_end;        /* where the last tensor ends within the region */
    uint64_t region_bytes;
    float *gradients;
    uint64_t gradient_bytes;
    bool has_gradients;
};

struct cairn_state_tree {
    cairn_state **states;
    size_t state_count;
    size_t state_capacity;
    uint8_t *arena; /* NULL before it is allocated */
    uint64_t arena_bytes;
    const cairn_write_guard_ops *guard; /* NULL: writing is always allowed */
    void *guard_self;
    crn_fence *fence; /* of the arena; NULL: none */
};

/* Frees what values.c keeps in @state. */
void crn_state_dispose_values(cairn_state *state);

#endif
