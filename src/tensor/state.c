#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "tensor/state_impl.h"

cairn_status cairn_state_tree_new(cairn_state_tree **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_state_tree *const tree = crn_calloc(1, sizeof *tree);
    CRN_NEED(err, tree, "a state tree");
    *out = tree;
out:
    return rc;
}

static void state_destroy(cairn_state *state)
{
    if (state == NULL)
        return;
    for (size_t i = 0; i < state->tensor_count; i++)
        crn_free(state->tensors[i]);
    for (size_t i = 0; i < state->alias_count; i++)
        crn_free(state->aliases[i].name);
    crn_state_dispose_values(state);
    crn_name_index_dispose(&state->names);
    crn_pages_free(state->gradients, state->gradient_bytes);
    crn_free(state->tensors);
    crn_free(state->aliases);
    crn_free(state->name);
    crn_free(state);
}

void cairn_state_tree_destroy(cairn_state_tree *tree)
{
    if (tree == NULL)
        return;
    for (size_t i = 0; i < tree->state_count; i++)
        state_destroy(tree->states[i]);
    crn_fence_destroy(tree->fence);
    crn_pages_free(tree->arena, tree->arena_bytes);
    crn_free(tree->states);
    crn_free(tree);
}

/* "__metadata__" and "__pad__" have a meaning of their own in a file. */
static bool is_state_name(const char *name)
{
    static const char k_allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
    return name[0] != '\0' && name[strspn(name, k_allowed)] == '\0' &&
           strlen(name) < CAIRN_NAME_MAX && strcmp(name, "__metadata__") != 0 &&
           strcmp(name, "__pad__") != 0;
}

cairn_status cairn_state_tree_add(cairn_state_tree *tree, const char *name, cairn_state **out_state,
                                  cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_state *state = NULL;
    char shown[64];
    if (!is_state_name(name))
        CRN_FAIL(err, CAIRN_EINVAL, "'%s' is no name for a state: letters, digits and '_' only",
                 crn_escape(name, strlen(name), shown, sizeof shown));
    if (cairn_state_tree_find(tree, name) != NULL)
        CRN_FAIL(err, CAIRN_EINVAL, "there is a state '%s' already", name);
    if (tree->arena != NULL)
        CRN_FAIL(err, CAIRN_EINVAL, "state '%s' comes too late: the tree is allocated", name);
    CRN_TRY_PLAIN(crn_grow(&tree->states, &tree->state_capacity, tree->state_count + 1,
                           sizeof(cairn_state *), err));
    state = crn_calloc(1, sizeof *state);
    CRN_NEED(err, state, "a state");
    state->name = crn_strdup(name);
    CRN_NEED(err, state->name, "the name of a state");
    state->tree = tree;
    tree->states[tree->state_count++] = state;
    if (out_state != NULL)
        *out_state = state;
    state = NULL;
out:
    state_destroy(state);
    return rc;
}

size_t cairn_state_tree_count(const cairn_state_tree *tree)
{
    return tree->state_count;
}

cairn_state *cairn_state_tree_at(const cairn_state_tree *tree, size_t i)
{
    return tree->states[i];
}

cairn_state *cairn_state_tree_find(const cairn_state_tree *tree, const char *name)
{
    for (size_t i = 0; i < tree->state_count; i++) {
        if (strcmp(tree->states[i]->name, name) == 0)
            return tree->states[i];
    }
    return NULL;
}

/* Adding a tensor keeps the sum of all regions within 64 bits, so the sums here cannot wrap. */
uint64_t cairn_state_tree_bytes(const cairn_state_tree *tree)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < tree->state_count; i++)
        bytes += tree->states[i]->region_bytes;
    return bytes;
}

cairn_status cairn_state_tree_allocate(cairn_state_tree *tree, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t offset = 0;
    uint8_t *arena = NULL;
    char size[32];
    if (tree->arena != NULL)
        CRN_FAIL(err, CAIRN_EINVAL, "the state tree is allocated already");
    tree->arena_bytes = cairn_state_tree_bytes(tree);
    arena = crn_pages_alloc(tree->arena_bytes);
    if (arena == NULL)
        CRN_FAIL(err, CAIRN_ENOMEM, "no memory for a state of %s",
                 crn_format_bytes(tree->arena_bytes, size));
    CRN_TRY_PLAIN(crn_fence_new(arena, tree->arena_bytes, &tree->fence, err));
    tree->arena = arena;
    arena = NULL;
    for (size_t i = 0; i < tree->state_count; i++) {
        cairn_state *const state = tree->states[i];
        for (size_t j = 0; j < state->tensor_count; j++) {
            crn_tensor_box *const box = state->tensors[j];
            box->tensor.offset = offset + box->region_offset;
            box->tensor.data = tree->arena + box->tensor.offset;
        }
        offset += state->region_bytes;
    }
out:
    crn_pages_free(arena, tree->arena_bytes);
    return rc;
}

const void *cairn_state_tree_arena(const cairn_state_tree *tree)
{
    return tree->arena;
}

const char *cairn_state_name(const cairn_state *state)
{
    return state->name;
}

uint64_t cairn_state_region_offset(const cairn_state *state)
{
    uint64_t offset = 0;
    for (size_t i = 0; state->tree->states[i] != state; i++)
        offset += state->tree->states[i]->region_bytes;
    return offset;
}

uint64_t cairn_state_region_bytes(const cairn_state *state)
{
    return state->region_bytes;
}

void cairn_state_tree_set_guard(cairn_state_tree *tree, const cairn_write_guard_ops *ops,
                                void *self)
{
    tree->guard = ops;
    tree->guard_self = self;
}

/* Const only for those outside. */
static crn_tensor_box *box_of(const cairn_tensor *tensor)
{
    union {
        const cairn_tensor *in;
        crn_tensor_box *out;
    } cast = {.in = tensor};
    return cast.out;
}

void *cairn_tensor_write_begin(cairn_state_tree *tree, const cairn_tensor *tensor, uint64_t offset,
                               uint64_t bytes)
{
    const uint64_t begin = tensor->offset + offset;
    atomic_fetch_add_explicit(&box_of(tensor)->writes, 1, memory_order_relaxed);
    if (tree->guard != NULL)
        tree->guard->begin(tree->guard_self, begin, bytes);
    crn_fence_open(tree->fence, begin, bytes);
    return tree->arena + begin;
}

uint64_t cairn_tensor_writes(const cairn_tensor *tensor)
{
    return atomic_load_explicit(&box_of(tensor)->writes, memory_order_relaxed);
}

void cairn_tensor_write_end(cairn_state_tree *tree, const cairn_tensor *tensor, uint64_t offset,
                            uint64_t bytes)
{
    crn_fence_close(tree->fence, tensor->offset + offset, bytes);
    if (tree->guard != NULL)
        tree->guard->end(tree->guard_self, tensor->offset + offset, bytes);
}
