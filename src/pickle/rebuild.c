/* What is built by name: storages, tensors, and a few containers. */
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "pickle/machine_priv.h"

enum { KEY_MAX = 64, TENSORS_MAX = 1 << 20 };

static const crn_pickle_node *node_at(const crn_pickle_machine *m, uint32_t ref)
{
    return &m->tree->nodes[ref];
}

/* Item @i of a tuple of arguments if it is of @kind; NULL if not. */
static const crn_pickle_node *item(const crn_pickle_machine *m, const crn_pickle_node *tuple,
                                   uint32_t i, crn_pickle_kind kind)
{
    const crn_pickle_node *const node = i < tuple->count ? node_at(m, tuple->items.refs[i]) : NULL;
    return node != NULL && node->kind == kind ? node : NULL;
}

/* ---- Storages ---- */

/* The entry of the zip file that holds the storage @key; NULL: there is none. */
static cairn_status find_entry(const crn_pickle_machine *m, const crn_pickle_node *key,
                               const crn_zip_entry **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str name = {0};
    crn_str_append_bytes(&name, m->folder, m->folder_length);
    crn_str_append(&name, "data/");
    crn_str_append_bytes(&name, key->text.bytes, key->text.length);
    CRN_TRY_PLAIN(crn_str_check(&name, err));
    *out = crn_zip_find(m->zip, name.text, name.length);
out:
    crn_str_dispose(&name);
    return rc;
}

/* ("storage", type, key, location, number of elements) */
cairn_status crn_pickle_persistent(crn_pickle_machine *m, uint32_t id, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char shown[KEY_MAX * 4 + 1];
    const crn_zip_entry *entry = NULL;
    const crn_pickle_node *const tuple = node_at(m, id);
    if (tuple->kind != CRN_PICKLE_TUPLE || tuple->count != 5)
        CRN_PICKLE_DAMAGED(m, err, "what should name a storage does not");
    const crn_pickle_node *const word = item(m, tuple, 0, CRN_PICKLE_TEXT);
    const crn_pickle_node *const type = item(m, tuple, 1, CRN_PICKLE_GLOBAL);
    const crn_pickle_node *const key = item(m, tuple, 2, CRN_PICKLE_TEXT);
    const crn_pickle_node *const count = item(m, tuple, 4, CRN_PICKLE_INTEGER);
    if (word == NULL || word->text.length != 7 || memcmp(word->text.bytes, "storage", 7) != 0 ||
        type == NULL || type->global->role != CRN_PICKLE_STORAGE || key == NULL ||
        key->text.length > KEY_MAX || count == NULL || count->integer < 0)
        CRN_PICKLE_DAMAGED(m, err, "what should name a storage does not");
    CRN_TRY_PLAIN(find_entry(m, key, &entry, err));
    (void)crn_escape(key->text.bytes, key->text.length, shown, sizeof shown);
    if (entry == NULL)
        CRN_FAIL(err, CAIRN_ECORRUPT, "has no entry for its storage '%s'", shown);
    const cairn_dtype dtype = type->global->dtype;
    const uint64_t width = dtype != 0 ? cairn_dtype_bits(dtype) / 8 : 1;
    uint64_t bytes = 0;
    if (!crn_mul_u64((uint64_t)count->integer, width, &bytes) || bytes > entry->bytes)
        CRN_FAIL(err, CAIRN_ECORRUPT, "has fewer bytes of its storage '%s' than it says", shown);
    const crn_pickle_node storage = {
        .kind = CRN_PICKLE_STORED,
        .storage = {.dtype = dtype, .begin = entry->begin, .bytes = bytes}};
    CRN_TRY_PLAIN(crn_pickle_push_new(m, storage, err));
out:
    return rc;
}

/* ---- Tensors ---- */

/* Whole numbers from 0 of a tuple, into @out of @tuple's count. */
static bool read_numbers(const crn_pickle_machine *m, const crn_pickle_node *tuple, uint64_t *out)
{
    for (uint32_t i = 0; i < tuple->count; i++) {
        const crn_pickle_node *const number = item(m, tuple, i, CRN_PICKLE_INTEGER);
        if (number == NULL || number->integer < 0)
            return false;
        out[i] = (uint64_t)number->integer;
    }
    return true;
}

/* Sets bytes, span and is_dense. False: an element would lie outside the @room elements, or there
 * are more of them than of the storage's. */
static bool measure(crn_pickle_tensor *tensor, uint64_t offset, uint64_t room, uint64_t width)
{
    uint64_t elements = 1;
    uint64_t last = offset;
    bool is_empty = false;
    for (uint32_t i = 0; i < tensor->rank; i++)
        is_empty = is_empty || tensor->shape[i] == 0;
    tensor->is_dense = true;
    if (is_empty)
        return true;
    for (uint32_t i = tensor->rank; i > 0; i--) {
        const uint64_t size = tensor->shape[i - 1];
        const uint64_t stride = tensor->strides[i - 1];
        uint64_t reach = 0;
        if (size > 1 && stride != elements)
            tensor->is_dense = false;
        if (!crn_mul_u64(elements, size, &elements) || !crn_mul_u64(size - 1, stride, &reach) ||
            !crn_add_u64(last, reach, &last))
            return false;
    }
    if (last >= room || elements > room)
        return false;
    tensor->bytes = elements * width;
    tensor->span = (last - offset + 1) * width;
    return true;
}

static cairn_status add_tensor(crn_pickle_machine *m, const crn_pickle_node *arguments,
                               const crn_pickle_storage *storage, cairn_dtype dtype,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_pickle_tree *const tree = m->tree;
    const crn_pickle_node *const offset = item(m, arguments, 1, CRN_PICKLE_INTEGER);
    const crn_pickle_node *const shape = item(m, arguments, 2, CRN_PICKLE_TUPLE);
    const crn_pickle_node *const strides = item(m, arguments, 3, CRN_PICKLE_TUPLE);
    if (offset == NULL || offset->integer < 0 || shape == NULL || strides == NULL ||
        shape->count != strides->count)
        CRN_PICKLE_DAMAGED(m, err, "a tensor without a shape");
    if (shape->count > CAIRN_RANK_MAX)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "has a tensor of %u axes", shape->count);
    if (tree->tensor_count == TENSORS_MAX)
        CRN_FAIL(err, CAIRN_ECORRUPT, "has more than %d tensors", (int)TENSORS_MAX);
    CRN_TRY_PLAIN(crn_grow(&tree->tensors, &tree->tensor_capacity, tree->tensor_count + 1,
                           sizeof *tree->tensors, err));
    const uint64_t width = cairn_dtype_bits(dtype) / 8;
    crn_pickle_tensor *const tensor = &tree->tensors[tree->tensor_count++];
    *tensor = (crn_pickle_tensor){.dtype = dtype, .rank = shape->count};
    tensor->shape = crn_calloc(2 * (size_t)shape->count + 1, sizeof *tensor->shape);
    CRN_NEED(err, tensor->shape, "a shape");
    tensor->strides = tensor->shape + shape->count;
    if (!read_numbers(m, shape, tensor->shape) || !read_numbers(m, strides, tensor->strides))
        CRN_PICKLE_DAMAGED(m, err, "a shape that is not made of whole numbers");
    if (!measure(tensor, (uint64_t)offset->integer, storage->bytes / width, width))
        CRN_FAIL(err, CAIRN_ECORRUPT, "has a tensor that lies outside its storage");
    tensor->begin = tensor->bytes > 0 ? storage->begin + (uint64_t)offset->integer * width : 0;
    const crn_pickle_node node = {.kind = CRN_PICKLE_TENSOR,
                                  .tensor = (uint32_t)(tree->tensor_count - 1)};
    CRN_TRY_PLAIN(crn_pickle_push_new(m, node, err));
out:
    return rc;
}

/* v2: (storage, offset, shape, strides, needs gradient, hooks[, marks]), of the storage's dtype;
 * v3: (storage, offset, shape, strides, needs gradient, hooks, dtype[, marks]). Marks say that the
 * numbers are to be negated or conjugated. */
static cairn_status rebuild_tensor(crn_pickle_machine *m, bool is_v3,
                                   const crn_pickle_node *arguments, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const uint32_t fixed = is_v3 ? 7 : 6;
    const crn_pickle_node *const stored = item(m, arguments, 0, CRN_PICKLE_STORED);
    const crn_pickle_node *const type = is_v3 ? item(m, arguments, 6, CRN_PICKLE_GLOBAL) : NULL;
    if (stored == NULL || arguments->count < fixed || arguments->count > fixed + 1 ||
        (is_v3 && type == NULL))
        CRN_PICKLE_DAMAGED(m, err, "a tensor that is none");
    const cairn_dtype dtype = is_v3 ? type->global->dtype : stored->storage.dtype;
    if (dtype == 0 || (is_v3 && type->global->role != CRN_PICKLE_DTYPE))
        CRN_PICKLE_DAMAGED(m, err, "a tensor without a type");
    if (arguments->count > fixed) {
        const crn_pickle_node *const marks = node_at(m, arguments->items.refs[fixed]);
        if (marks->kind != CRN_PICKLE_NONE && (marks->kind != CRN_PICKLE_DICT || marks->count > 0))
            CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                     "has a tensor that is marked as conjugate or negative, which is not read");
    }
    const crn_pickle_storage storage = stored->storage; /* Nodes move when one is added. */
    CRN_TRY_PLAIN(add_tensor(m, arguments, &storage, dtype, err));
out:
    return rc;
}

/* ---- Containers ---- */

static cairn_status build_set(crn_pickle_machine *m, const crn_pickle_node *arguments,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_pickle_node set = {.kind = CRN_PICKLE_UNORDERED};
    const crn_pickle_node *items = item(m, arguments, 0, CRN_PICKLE_LIST);
    if (items == NULL)
        items = item(m, arguments, 0, CRN_PICKLE_TUPLE);
    if (items == NULL || arguments->count != 1)
        CRN_PICKLE_DAMAGED(m, err, "a set of what is no list");
    for (uint32_t i = 0; i < items->count; i++)
        CRN_TRY_PLAIN(crn_pickle_add_item(&set, items->items.refs[i], err));
    CRN_TRY_PLAIN(crn_pickle_push_new(m, set, err));
    set = (crn_pickle_node){0};
out:
    if (set.kind == CRN_PICKLE_UNORDERED)
        crn_free(set.items.refs);
    return rc;
}

/* The same thing again under another name: a tuple, or a tensor. */
static cairn_status push_first(crn_pickle_machine *m, const crn_pickle_node *arguments,
                               crn_pickle_kind kind, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (item(m, arguments, 0, kind) == NULL)
        CRN_PICKLE_DAMAGED(m, err, "a value of another type");
    CRN_TRY_PLAIN(crn_pickle_push(m, arguments->items.refs[0], err));
out:
    return rc;
}

/* Bytes and devices: the first argument is a text. */
static cairn_status build_from_text(crn_pickle_machine *m, const crn_pickle_node *arguments,
                                    crn_pickle_kind kind, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_pickle_node *const text = item(m, arguments, 0, CRN_PICKLE_TEXT);
    if (text == NULL)
        CRN_PICKLE_DAMAGED(m, err, "a value of another type");
    const crn_pickle_node node = {.kind = kind, .text = {text->text.bytes, text->text.length}};
    CRN_TRY_PLAIN(crn_pickle_push_new(m, node, err));
out:
    return rc;
}

cairn_status crn_pickle_reduce(crn_pickle_machine *m, uint32_t callable, uint32_t arguments,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_pickle_node *const named = node_at(m, callable);
    /* A copy: nodes move when one is added; what it points to does not. */
    const crn_pickle_node tuple = *node_at(m, arguments);
    if (named->kind != CRN_PICKLE_GLOBAL || tuple.kind != CRN_PICKLE_TUPLE)
        CRN_PICKLE_DAMAGED(m, err, "a call of what has no name");
    switch (named->global->role) {
    case CRN_PICKLE_ORDERED_DICT:
        if (tuple.count > 0)
            CRN_PICKLE_DAMAGED(m, err, "a dictionary made of something");
        return crn_pickle_push_new(m, (crn_pickle_node){.kind = CRN_PICKLE_DICT}, err);
    case CRN_PICKLE_SET:
        return build_set(m, &tuple, err);
    case CRN_PICKLE_SIZE:
        return push_first(m, &tuple, CRN_PICKLE_TUPLE, err);
    case CRN_PICKLE_PARAMETER:
        return push_first(m, &tuple, CRN_PICKLE_TENSOR, err);
    case CRN_PICKLE_DEVICE:
        return build_from_text(m, &tuple, CRN_PICKLE_TEXT, err);
    case CRN_PICKLE_ENCODE:
        return build_from_text(m, &tuple, CRN_PICKLE_BYTES, err);
    case CRN_PICKLE_REBUILD_V2:
        return rebuild_tensor(m, false, &tuple, err);
    case CRN_PICKLE_REBUILD_V3:
        return rebuild_tensor(m, true, &tuple, err);
    case CRN_PICKLE_DTYPE:
    case CRN_PICKLE_STORAGE:
        CRN_FAIL(err, CAIRN_ECORRUPT, "calls '%s.%s', which is a type", named->global->module,
                 named->global->name);
    }
out:
    return rc;
}
