/*
 * Elements between our parameters and the tensors of others. An export has targets: which of ours
 * fill which of theirs; GPT-2's query, key and value are one tensor there.
 */
#ifndef CRN_INTEROP_TARGETS_H
#define CRN_INTEROP_TARGETS_H

#include "interop/hf_names.h"

enum { CRN_TARGET_PARTS_MAX = 3 };

/* A tensor to write: its parts fill it. */
typedef struct crn_target {
    crn_hf_piece piece[CRN_TARGET_PARTS_MAX];
    const cairn_tensor *part[CRN_TARGET_PARTS_MAX];
    int part_count;
} crn_target;

/* In the order of their first parts. Zeroed is empty. */
typedef struct crn_targets {
    crn_target *items;
    size_t count;
    size_t capacity;
} crn_targets;

/* Adds @ours, which is @piece of a tensor of theirs. EBUG: a tensor has too many parts. ENOMEM. */
cairn_status crn_targets_add(crn_targets *targets, const crn_hf_piece *piece,
                             const cairn_tensor *ours, cairn_error *err);
void crn_targets_dispose(crn_targets *targets);

/* Number of elements. */
uint64_t crn_target_elements(const crn_target *target);
/* All of them, in its order. */
void crn_target_fill(const crn_target *target, float *values);

/* The other way: fills @ours of @tree from the elements of their tensor. */
void crn_piece_take(const crn_hf_piece *piece, const float *values, cairn_state_tree *tree,
                    const cairn_tensor *ours);

#endif
