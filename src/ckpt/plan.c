#include "ckpt/plan.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"

static bool is_included(const cairn_state *state, const crn_name_list *names)
{
    const char *const name = cairn_state_name(state);
    return names == NULL || crn_starts_with(name, "__") || crn_name_list_has(names, name);
}

static cairn_status check_names(const cairn_state_tree *tree, const crn_name_list *names,
                                cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str known = {0};
    for (size_t i = 0; i < cairn_state_tree_count(tree); i++)
        crn_str_printf(&known, "%s%s", i > 0 ? ", " : "",
                       cairn_state_name(cairn_state_tree_at(tree, i)));
    CRN_TRY_PLAIN(crn_str_check(&known, err));
    for (size_t i = 0; names != NULL && i < names->count; i++) {
        if (cairn_state_tree_find(tree, names->items[i]) == NULL)
            CRN_FAIL(err, CAIRN_EINVAL, "there is no state '%s' to save; there are: %s",
                     names->items[i], known.length > 0 ? known.text : "none");
    }
    if (names != NULL && names->count == 0)
        CRN_FAIL(err, CAIRN_EINVAL, "no state to save is named");
out:
    crn_str_dispose(&known);
    return rc;
}

/* Room for everything, so that nothing moves while pointers into it are handed out. */
static cairn_status allocate(crn_plan *plan, const cairn_state_tree *tree,
                             const crn_name_list *names, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const size_t all = cairn_state_tree_count(tree);
    size_t tensors = 0;
    size_t chunks = 0;
    size_t axes = 0;
    plan->states = crn_calloc(all, sizeof *plan->states);
    CRN_NEED(err, plan->states, "the plan of a checkpoint");
    for (size_t i = 0; i < all; i++) {
        const cairn_state *const state = cairn_state_tree_at(tree, i);
        if (!is_included(state, names))
            continue;
        plan->states[plan->state_count++] = state;
        tensors += cairn_state_tensor_count(state);
        for (size_t j = 0; j < cairn_state_tensor_count(state); j++) {
            const cairn_tensor *const tensor = cairn_state_tensor_at(state, j);
            chunks += crn_chunk_count(tensor->bytes);
            axes += (size_t)tensor->rank;
        }
    }
    const size_t pads = tensors + plan->state_count; /* before each tensor, after each region */
    plan->entries = crn_calloc(tensors + pads, sizeof *plan->entries);
    plan->tensors = crn_calloc(tensors, sizeof *plan->tensors);
    plan->chunks = crn_calloc(chunks, sizeof *plan->chunks);
    plan->pieces = crn_calloc(chunks + pads, sizeof *plan->pieces);
    plan->shapes = crn_calloc(axes, sizeof *plan->shapes);
    if (plan->entries == NULL || plan->tensors == NULL || plan->chunks == NULL ||
        plan->pieces == NULL || plan->shapes == NULL)
        CRN_FAIL(err, CAIRN_ENOMEM, "no memory for the plan of a checkpoint");
out:
    return rc;
}

/* Adds an entry named @prefix@name over the next @bytes of the data section. */
static cairn_status add_entry(crn_plan *plan, crn_file_entry entry, crn_str *name, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(crn_str_check(name, err));
    entry.name_length = name->length;
    entry.name = crn_str_take(name);
    CRN_NEED(err, entry.name, "a tensor's name");
    entry.begin = plan->data_bytes;
    plan->entries[plan->entry_count++] = entry;
    plan->data_bytes += entry.bytes;
out:
    crn_str_dispose(name);
    return rc;
}

/* A gap of @bytes in the arena at @arena_offset becomes a tensor of zeros. */
static cairn_status add_pad(crn_plan *plan, uint64_t arena_offset, uint64_t bytes, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str name = {0};
    if (bytes == 0)
        return CAIRN_OK;
    plan->pieces[plan->piece_count++] =
        (crn_piece){.arena_offset = arena_offset, .data_offset = plan->data_bytes, .bytes = bytes};
    crn_str_printf(&name, "__pad__.%zu", plan->pad_count++);
    crn_file_entry *const entry = &plan->entries[plan->entry_count];
    CRN_TRY_PLAIN(add_entry(
        plan, (crn_file_entry){.dtype = CAIRN_DTYPE_U8, .rank = 1, .bytes = bytes, .is_pad = true},
        &name, err));
    entry->shape = &entry->bytes; /* Bytes of U8: the shape is the size. */
out:
    return rc;
}

static void add_pieces(crn_plan *plan, const cairn_tensor *tensor, crn_plan_tensor *planned)
{
    planned->chunks = plan->chunks + plan->chunk_count;
    planned->chunk_count = crn_chunk_count(tensor->bytes);
    for (uint64_t i = 0; i < planned->chunk_count; i++) {
        const uint64_t at = i * CRN_FORMAT_CHUNK_BYTES;
        const uint64_t left = tensor->bytes - at;
        plan->pieces[plan->piece_count++] = (crn_piece){
            .arena_offset = tensor->offset + at,
            .data_offset = plan->data_bytes + at,
            .bytes = left < CRN_FORMAT_CHUNK_BYTES ? left : CRN_FORMAT_CHUNK_BYTES,
            .digest = &plan->chunks[plan->chunk_count++],
        };
    }
}

static cairn_status add_tensor(crn_plan *plan, const cairn_state *state, const cairn_tensor *tensor,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str name = {0};
    uint64_t *const shape = plan->shapes + plan->shape_count;
    crn_plan_tensor *const planned = &plan->tensors[plan->tensor_count++];
    for (int i = 0; i < tensor->rank; i++)
        shape[i] = (uint64_t)tensor->shape[i];
    plan->shape_count += (size_t)tensor->rank;
    planned->entry = plan->entry_count;
    add_pieces(plan, tensor, planned);
    crn_str_printf(&name, "%s.%s", cairn_state_name(state), tensor->name);
    CRN_TRY_PLAIN(add_entry(plan,
                            (crn_file_entry){.dtype = tensor->dtype,
                                             .rank = (uint32_t)tensor->rank,
                                             .shape = shape,
                                             .bytes = tensor->bytes},
                            &name, err));
out:
    return rc;
}

static cairn_status add_region(crn_plan *plan, const cairn_state *state, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t at = cairn_state_region_offset(state);
    const uint64_t end = at + cairn_state_region_bytes(state);
    for (size_t i = 0; i < cairn_state_tensor_count(state); i++) {
        const cairn_tensor *const tensor = cairn_state_tensor_at(state, i);
        if (tensor->offset < at || tensor->bytes > end - tensor->offset)
            CRN_FAIL(err, CAIRN_EBUG, "tensor '%s' is not in its place", tensor->name);
        CRN_TRY_PLAIN(add_pad(plan, at, tensor->offset - at, err));
        CRN_TRY_PLAIN(add_tensor(plan, state, tensor, err));
        at = tensor->offset + tensor->bytes;
    }
    CRN_TRY_PLAIN(add_pad(plan, at, end - at, err));
out:
    return rc;
}

cairn_status crn_plan_make(crn_plan *out, const cairn_state_tree *tree, const crn_name_list *names,
                           cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    *out = (crn_plan){0};
    CRN_TRY_PLAIN(check_names(tree, names, err));
    if (cairn_state_tree_bytes(tree) > 0 && cairn_state_tree_arena(tree) == NULL)
        CRN_FAIL(err, CAIRN_EINVAL, "the state tree is not allocated");
    CRN_TRY_PLAIN(allocate(out, tree, names, err));
    for (size_t i = 0; i < out->state_count; i++)
        CRN_TRY_PLAIN(add_region(out, out->states[i], err));
    CRN_TRY_PLAIN(crn_plan_capture_values(out, err));
out:
    return rc;
}

cairn_status crn_gap_check(const uint8_t *bytes, uint64_t size, uint64_t at, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (size > 0 && (bytes[0] != 0 || memcmp(bytes, bytes + 1, (size_t)size - 1) != 0))
        CRN_FAIL(err, CAIRN_EBUG, "something wrote into the gap at byte %" PRIu64 " of the arena",
                 at);
out:
    return rc;
}

cairn_status crn_piece_digest(const crn_piece *piece, const uint8_t *bytes, cairn_error *err)
{
    if (piece->digest == NULL)
        return crn_gap_check(bytes, piece->bytes, piece->arena_offset, err);
    *piece->digest = crn_hash(bytes, (size_t)piece->bytes);
    return CAIRN_OK;
}

void crn_plan_dispose(crn_plan *plan)
{
    for (size_t i = 0; i < plan->entry_count; i++)
        crn_free((char *)(uintptr_t)plan->entries[i].name); /* Made by add_entry. */
    crn_free(plan->states);
    crn_free(plan->entries);
    crn_free(plan->tensors);
    crn_free(plan->chunks);
    crn_free(plan->pieces);
    crn_free(plan->shapes);
    crn_str_dispose(&plan->values);
    *plan = (crn_plan){0};
}
