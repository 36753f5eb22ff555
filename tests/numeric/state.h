/* Random values for the tensors of a state. */
#ifndef CRN_TESTS_NUMERIC_STATE_H
#define CRN_TESTS_NUMERIC_STATE_H

#include <string.h>

#include "cairn/state.h"
#include "numeric/numeric.h"

/* Those of num_random(1), tensor after tensor. */
static inline void num_randomize(num_pool *pool, cairn_state_tree *tree, const cairn_state *state)
{
    for (size_t i = 0; i < cairn_state_tensor_count(state); i++) {
        const cairn_tensor *const tensor = cairn_state_tensor_at(state, i);
        const num_array values = num_random(pool, cairn_tensor_elements(tensor), 1.0);
        memcpy(cairn_tensor_write_begin(tree, tensor, 0, tensor->bytes), values.f, tensor->bytes);
        cairn_tensor_write_end(tree, tensor, 0, tensor->bytes);
    }
}

#endif
