/* Tensors and aliases of a state. */
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "tensor/layout.h"
#include "tensor/state_impl.h"

enum { SHOWN_NAME_SIZE = 160 };

/* "model.ln_f.weight" for a message. */
static const char *show(const cairn_state *state, const char *name, char buf[SHOWN_NAME_SIZE])
{
    const size_t prefix = strlen(state->name);
    if (prefix + 2 > SHOWN_NAME_SIZE / 2)
        return crn_escape(name, strlen(name), buf, SHOWN_NAME_SIZE);
    memcpy(buf, state->name, prefix);
    buf[prefix] = '.';
    (void)crn_escape(name, strlen(name), buf + prefix + 1, SHOWN_NAME_SIZE - prefix - 1);
    return buf;
}

/*
 * Bytes of a tensor: false if the shape is not allowed, or elements, bits or bytes do not fit.
 * Axes of zero are left out of the overflow check, so that the order of axes does not matter.
 */
static bool bytes_of(const cairn_tensor_spec *spec, uint64_t *out)
{
    uint64_t product = 1;
    bool is_empty = false;
    uint64_t bits = 0;
    if (spec->rank < 0 || spec->rank > CAIRN_TENSOR_AXES_MAX)
        return false;
    for (int i = 0; i < spec->rank; i++) {
        if (spec->shape[i] < 0)
            return false;
        is_empty = is_empty || spec->shape[i] == 0;
        if (spec->shape[i] > 0 && !crn_mul_u64(product, (uint64_t)spec->shape[i], &product))
            return false;
    }
    if (product > INT64_MAX || !crn_mul_u64(product, cairn_dtype_bits(spec->dtype), &bits))
        return false;
    *out = is_empty ? 0 : bits / 8;
    return is_empty || bits % 8 == 0;
}

/* Why @name cannot be added to @state; NULL if it can. */
static const char *name_problem(const cairn_state *state, const char *name)
{
    if (name[0] == '\0')
        return "it has no name";
    if (strlen(state->name) + 1 + strlen(name) > CAIRN_NAME_MAX)
        return "its name is too long";
    if (crn_name_index_find(&state->names, name) != NULL)
        return "the name is taken";
    return NULL;
}

/* Why @state cannot take another tensor; NULL if it can. */
static const char *state_problem(const cairn_state *state)
{
    if (state->tree->arena != NULL)
        return "the tree is allocated";
    return state->has_gradients ? "the state has its gradients" : NULL;
}

/* Plans the tensor at the end of the region; the arena as a whole stays below 2^63 bytes. */
static bool place(const cairn_state *state, uint64_t bytes, uint64_t *out_offset, uint64_t *out_end,
                  uint64_t *out_region)
{
    const uint64_t others = cairn_state_tree_bytes(state->tree) - state->region_bytes;
    uint64_t total = 0;
    *out_end = state->region_end;
    return crn_layout_place(bytes, out_end, out_offset) &&
           crn_layout_region_bytes(*out_end, out_region) &&
           crn_add_u64(others, *out_region, &total) && total <= INT64_MAX;
}

static crn_tensor_box *box_new(const cairn_tensor_spec *spec, uint64_t bytes)
{
    const size_t name_size = strlen(spec->name) + 1;
    crn_tensor_box *const box = crn_calloc(1, sizeof *box + name_size);
    if (box == NULL)
        return NULL;
    memcpy(box->name, spec->name, name_size);
    box->tensor.name = box->name;
    box->tensor.dtype = spec->dtype;
    box->tensor.role = spec->role;
    box->tensor.learning_rate_factor = spec->learning_rate_factor;
    box->tensor.rank = spec->rank;
    box->tensor.bytes = bytes;
    for (int i = 0; i < spec->rank; i++)
        box->tensor.shape[i] = spec->shape[i];
    return box;
}

cairn_status cairn_state_add_tensor(cairn_state *state, const cairn_tensor_spec *spec,
                                    const cairn_tensor **out_tensor, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char shown[SHOWN_NAME_SIZE];
    uint64_t bytes = 0;
    uint64_t offset = 0;
    uint64_t end = 0;
    uint64_t region = 0;
    const char *problem = name_problem(state, spec->name);
    if (problem == NULL)
        problem = state_problem(state);
    if (problem == NULL && cairn_dtype_bits(spec->dtype) == 0)
        problem = "it has no dtype";
    if (problem == NULL && !bytes_of(spec, &bytes))
        problem = "its shape is not allowed";
    if (problem == NULL && !place(state, bytes, &offset, &end, &region))
        problem = "it is too large";
    if (problem != NULL)
        CRN_FAIL(err, CAIRN_EINVAL, "tensor '%s' cannot be added: %s",
                 show(state, spec->name, shown), problem);
    CRN_TRY_PLAIN(crn_name_index_reserve(&state->names, err));
    CRN_TRY_PLAIN(crn_grow(&state->tensors, &state->tensor_capacity, state->tensor_count + 1,
                           sizeof(crn_tensor_box *), err));
    crn_tensor_box *const box = box_new(spec, bytes);
    CRN_NEED(err, box, "a tensor");
    box->region_offset = offset;
    state->region_end = end;
    state->region_bytes = region;
    state->tensors[state->tensor_count++] = box;
    crn_name_index_put(&state->names, box->name, box);
    if (out_tensor != NULL)
        *out_tensor = &box->tensor;
out:
    return rc;
}

size_t cairn_state_tensor_count(const cairn_state *state)
{
    return state->tensor_count;
}

const cairn_tensor *cairn_state_tensor_at(const cairn_state *state, size_t i)
{
    return &state->tensors[i]->tensor;
}

const cairn_tensor *cairn_state_tensor_find(const cairn_state *state, const char *name)
{
    const crn_tensor_box *const box = crn_name_index_find(&state->names, name);
    return box != NULL ? &box->tensor : NULL;
}

cairn_status cairn_state_add_alias(cairn_state *state, const char *alias, const char *target,
                                   cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char shown[SHOWN_NAME_SIZE];
    char *name = NULL;
    crn_tensor_box *const box = crn_name_index_find(&state->names, target);
    const char *problem = name_problem(state, alias);
    if (problem == NULL && box == NULL)
        problem = "what it names does not exist";
    if (problem != NULL)
        CRN_FAIL(err, CAIRN_EINVAL, "alias '%s' cannot be added: %s", show(state, alias, shown),
                 problem);
    CRN_TRY_PLAIN(crn_name_index_reserve(&state->names, err));
    CRN_TRY_PLAIN(crn_grow(&state->aliases, &state->alias_capacity, state->alias_count + 1,
                           sizeof *state->aliases, err));
    name = crn_strdup(alias);
    CRN_NEED(err, name, "an alias");
    state->aliases[state->alias_count++] = (crn_alias){.name = name, .target = box};
    crn_name_index_put(&state->names, name, box);
out:
    return rc;
}

size_t cairn_state_alias_count(const cairn_state *state)
{
    return state->alias_count;
}

void cairn_state_alias_at(const cairn_state *state, size_t i, const char **out_alias,
                          const char **out_target)
{
    *out_alias = state->aliases[i].name;
    *out_target = state->aliases[i].target->name;
}
