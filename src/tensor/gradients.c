#include "base/checked.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "tensor/state_impl.h"

static bool is_trained(const cairn_tensor *tensor)
{
    return tensor->role != CAIRN_ROLE_OTHER && !tensor->is_frozen;
}

/* Room that the gradient of @tensor takes in the block: fp32, rounded up to the alignment. */
static bool room_of(const cairn_tensor *tensor, uint64_t *out_bytes)
{
    uint64_t bytes = 0;
    return crn_mul_u64((uint64_t)cairn_tensor_elements(tensor), sizeof(float), &bytes) &&
           crn_round_up_u64(bytes, CAIRN_SMALL_ALIGNMENT, out_bytes);
}

cairn_status cairn_state_allocate_gradients(cairn_state *state, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t total = 0;
    uint64_t room = 0;
    char size[32];
    if (state->has_gradients)
        CRN_FAIL(err, CAIRN_EINVAL, "state '%s' has its gradients already", state->name);
    for (size_t i = 0; i < state->tensor_count; i++) {
        const cairn_tensor *const tensor = &state->tensors[i]->tensor;
        if (!is_trained(tensor))
            continue;
        if (!room_of(tensor, &room) || !crn_add_u64(total, room, &total))
            CRN_FAIL(err, CAIRN_ENOMEM, "the gradients of state '%s' are too large", state->name);
    }
    if (total > 0) {
        state->gradients = crn_pages_alloc(total);
        if (state->gradients == NULL)
            CRN_FAIL(err, CAIRN_ENOMEM, "no memory for gradients of %s",
                     crn_format_bytes(total, size));
    }
    state->gradient_bytes = total;
    state->has_gradients = true;
    total = 0;
    for (size_t i = 0; i < state->tensor_count && state->gradients != NULL; i++) {
        cairn_tensor *const tensor = &state->tensors[i]->tensor;
        if (!is_trained(tensor) || !room_of(tensor, &room))
            continue;
        tensor->grad = state->gradients + total / sizeof(float);
        total += room;
    }
out:
    return rc;
}

void cairn_state_freeze(cairn_state *state)
{
    for (size_t i = 0; i < state->tensor_count; i++)
        state->tensors[i]->tensor.is_frozen = true;
}

float *cairn_state_gradients(cairn_state *state, size_t *out_floats)
{
    *out_floats = (size_t)(state->gradient_bytes / sizeof(float));
    return state->gradients;
}
