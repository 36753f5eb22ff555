#include "interop/targets.h"

#include <string.h>

#include "base/mem.h"
#include "base/try.h"

enum { NEAR = 8 }; /* parameters between two parts of one tensor, at most */

cairn_status crn_targets_add(crn_targets *targets, const crn_hf_piece *piece,
                             const cairn_tensor *ours, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_target *to = NULL;
    const size_t first = targets->count < NEAR ? 0 : targets->count - NEAR;
    for (size_t i = first; i < targets->count && to == NULL; i++) {
        if (strcmp(targets->items[i].piece[0].name, piece->name) == 0)
            to = &targets->items[i];
    }
    if (to == NULL) {
        CRN_TRY_PLAIN(crn_grow(&targets->items, &targets->capacity, targets->count + 1,
                               sizeof *targets->items, err));
        to = &targets->items[targets->count++];
    }
    if (to->part_count == CRN_TARGET_PARTS_MAX)
        CRN_FAIL(err, CAIRN_EBUG, "too many parts of '%s'", piece->name);
    to->piece[to->part_count] = *piece;
    to->part[to->part_count++] = ours;
out:
    return rc;
}

void crn_targets_dispose(crn_targets *targets)
{
    crn_free(targets->items);
    *targets = (crn_targets){0};
}

uint64_t crn_target_elements(const crn_target *target)
{
    return (uint64_t)(target->piece[0].all * target->piece[0].cols);
}

void crn_target_fill(const crn_target *target, float *values)
{
    for (int p = 0; p < target->part_count; p++) {
        const crn_hf_piece *const piece = &target->piece[p];
        const float *const from = target->part[p]->data;
        for (int64_t row = 0; row < piece->rows; row++) {
            for (int64_t col = 0; col < piece->cols; col++)
                values[crn_hf_index(piece, row, col)] = from[row * piece->cols + col];
        }
    }
}

void crn_piece_take(const crn_hf_piece *piece, const float *values, cairn_state_tree *tree,
                    const cairn_tensor *ours)
{
    const uint64_t row_bytes = (uint64_t)piece->cols * sizeof(float);
    for (int64_t row = 0; row < piece->rows; row++) {
        float *const to =
            cairn_tensor_write_begin(tree, ours, (uint64_t)row * row_bytes, row_bytes);
        for (int64_t col = 0; col < piece->cols; col++)
            to[col] = values[crn_hf_index(piece, row, col)];
        cairn_tensor_write_end(tree, ours, (uint64_t)row * row_bytes, row_bytes);
    }
}
