/* The memory of a document and the ways to add to its tree. */
#include <stdalign.h>
#include <string.h>

#include "base/mem.h"
#include "config/config_priv.h"

/* Each chunk is twice as large as the one before, from first to most. */
enum { CHUNK_FIRST = 16 * 1024, CHUNK_MOST = 1024 * 1024 };

struct crn_chunk {
    struct crn_chunk *next;
    size_t used;
    size_t size;
    alignas(max_align_t) unsigned char data[];
};

void *crn_doc_alloc(crn_doc *doc, size_t size, crn_diag *diag)
{
    const size_t unit = alignof(max_align_t);
    const size_t need = (size + unit - 1) / unit * unit;
    struct crn_chunk *chunk = doc->chunks;
    if (chunk == NULL || chunk->size - chunk->used < need) {
        size_t chunk_size = chunk == NULL ? CHUNK_FIRST : 2 * chunk->size;
        chunk_size = chunk_size > CHUNK_MOST ? CHUNK_MOST : chunk_size;
        chunk_size = need > chunk_size ? need : chunk_size;
        chunk = crn_calloc(1, sizeof *chunk + chunk_size);
        if (chunk == NULL) {
            diag->is_failed = true;
            return NULL;
        }
        chunk->size = chunk_size;
        chunk->next = doc->chunks;
        doc->chunks = chunk;
    }
    void *const memory = chunk->data + chunk->used;
    chunk->used += need;
    return memory;
}

const char *crn_doc_text(crn_doc *doc, const char *text, size_t length, crn_diag *diag)
{
    char *const copy = crn_doc_alloc(doc, length + 1, diag);
    if (copy != NULL)
        memcpy(copy, text, length);
    return copy;
}

crn_doc *crn_doc_new(const char *file, crn_diag *diag)
{
    crn_doc *const doc = crn_calloc(1, sizeof *doc);
    if (doc == NULL) {
        diag->is_failed = true;
        return NULL;
    }
    doc->file = crn_doc_text(doc, file, strlen(file), diag);
    if (doc->file == NULL) {
        crn_doc_destroy(doc);
        return NULL;
    }
    return doc;
}

void crn_doc_destroy(crn_doc *doc)
{
    if (doc == NULL)
        return;
    while (doc->chunks != NULL) {
        struct crn_chunk *const next = doc->chunks->next;
        crn_free(doc->chunks);
        doc->chunks = next;
    }
    crn_free(doc);
}

crn_node *crn_doc_root(const crn_doc *doc)
{
    return doc->root;
}

const char *crn_doc_file(const crn_doc *doc)
{
    return doc->file;
}

crn_node *crn_node_new(crn_doc *doc, crn_node_kind kind, const char *origin, crn_diag *diag)
{
    crn_node *const node = crn_doc_alloc(doc, sizeof *node, diag);
    if (node != NULL) {
        node->kind = kind;
        node->origin = origin;
        node->text = "";
    }
    return node;
}

void crn_node_append(crn_node *parent, crn_node *node)
{
    node->next = NULL;
    if (parent->last != NULL)
        parent->last->next = node;
    else
        parent->first = node;
    parent->last = node;
    parent->count++;
}

void crn_node_become(crn_node *node, crn_node_kind kind)
{
    node->kind = kind;
    node->text = "";
}

static crn_node *ensure(crn_doc *doc, crn_node *parent, const char *key, crn_node_kind kind,
                        crn_diag *diag)
{
    if (parent == NULL) {
        if (doc->root == NULL)
            doc->root = crn_node_new(doc, CRN_NODE_MAP, "default", diag);
        parent = doc->root;
    }
    if (parent == NULL)
        return NULL;
    if (parent->kind == CRN_NODE_NULL)
        crn_node_become(parent, CRN_NODE_MAP);
    if (parent->kind != CRN_NODE_MAP) {
        crn_diag_error(diag, parent, "'%s' belongs into a map, but here is %s", key,
                       crn_node_kind_phrase(parent->kind));
        return NULL;
    }
    crn_node *node = crn_node_get(parent, key);
    if (node == NULL)
        node = crn_doc_put_null(doc, parent, key, true, diag);
    if (node == NULL)
        return NULL;
    if (node->kind == CRN_NODE_NULL)
        crn_node_become(node, kind);
    if (node->kind != kind) {
        crn_diag_error(diag, node, "%s must be %s, not %s", key, crn_node_kind_phrase(kind),
                       crn_node_kind_phrase(node->kind));
        return NULL;
    }
    return node;
}

crn_node *crn_doc_ensure_map(crn_doc *doc, crn_node *parent, const char *key, crn_diag *diag)
{
    return ensure(doc, parent, key, CRN_NODE_MAP, diag);
}

crn_node *crn_doc_ensure_list(crn_doc *doc, crn_node *parent, const char *key, crn_diag *diag)
{
    return ensure(doc, parent, key, CRN_NODE_LIST, diag);
}

/* The node under @key, emptied; made and appended if absent. */
static crn_node *put(crn_doc *doc, crn_node *map, const char *key, crn_node_kind kind,
                     bool is_default, crn_diag *diag)
{
    crn_node *node = crn_node_get(map, key);
    const char *const origin = is_default ? "default" : "cairn";
    if (node == NULL) {
        node = crn_node_new(doc, kind, origin, diag);
        const char *const name = crn_doc_text(doc, key, strlen(key), diag);
        if (node == NULL || name == NULL)
            return NULL;
        node->name = name;
        crn_node_append(map, node);
    }
    node->kind = kind;
    node->origin = origin;
    node->is_default = is_default;
    node->is_big = false;
    node->text = "";
    node->line = node->column = node->count = 0;
    node->first = node->last = NULL;
    return node;
}

crn_node *crn_doc_put_null(crn_doc *doc, crn_node *map, const char *key, bool is_default,
                           crn_diag *diag)
{
    return put(doc, map, key, CRN_NODE_NULL, is_default, diag);
}

crn_node *crn_doc_put_bool(crn_doc *doc, crn_node *map, const char *key, bool value,
                           bool is_default, crn_diag *diag)
{
    crn_node *const node = put(doc, map, key, CRN_NODE_BOOL, is_default, diag);
    if (node != NULL) {
        node->b = value;
        node->text = value ? "true" : "false";
    }
    return node;
}

crn_node *crn_doc_put_int(crn_doc *doc, crn_node *map, const char *key, int64_t value,
                          bool is_default, crn_diag *diag)
{
    crn_str text = {0};
    crn_node *node = put(doc, map, key, CRN_NODE_INT, is_default, diag);
    crn_str_printf(&text, "%lld", (long long)value);
    if (text.is_failed)
        diag->is_failed = true;
    if (node != NULL && !text.is_failed) {
        node->i = value;
        node->f = (double)value;
        node->text = crn_doc_text(doc, text.text, text.length, diag);
        if (node->text == NULL)
            node->text = "";
    }
    crn_str_dispose(&text);
    return diag->is_failed ? NULL : node;
}

crn_node *crn_doc_put_float(crn_doc *doc, crn_node *map, const char *key, double value,
                            bool is_default, crn_diag *diag)
{
    char digits[CRN_F64_TEXT_SIZE];
    crn_node *const node = put(doc, map, key, CRN_NODE_FLOAT, is_default, diag);
    (void)crn_f64_to_decimal(value, digits);
    const char *const text = crn_doc_text(doc, digits, strlen(digits), diag);
    if (node == NULL || text == NULL)
        return NULL;
    node->f = value;
    node->text = text;
    return node;
}

crn_node *crn_doc_put_text(crn_doc *doc, crn_node *map, const char *key, const char *value,
                           bool is_default, crn_diag *diag)
{
    const char *const text = crn_doc_text(doc, value, strlen(value), diag);
    crn_node *const node = put(doc, map, key, CRN_NODE_TEXT, is_default, diag);
    if (node == NULL || text == NULL)
        return NULL;
    node->text = text;
    return node;
}

/* The children of @from become copies in the empty @to. The depth is bounded by the document's. */
static bool copy_children(crn_doc *doc, crn_node *to, const crn_node *from, crn_diag *diag)
{
    for (const crn_node *child = from->first; child != NULL; child = child->next) {
        crn_node *const copy = crn_node_new(doc, child->kind, child->origin, diag);
        if (copy == NULL)
            return false;
        *copy = *child;
        copy->first = copy->last = copy->next = NULL;
        copy->count = 0;
        if (!copy_children(doc, copy, child, diag))
            return false;
        crn_node_append(to, copy);
    }
    return true;
}

crn_node *crn_doc_put_copy(crn_doc *doc, crn_node *map, const char *key, const crn_node *value,
                           crn_diag *diag)
{
    crn_node *const node = put(doc, map, key, value->kind, false, diag);
    if (node == NULL)
        return NULL;
    const char *const name = node->name;
    crn_node *const next = node->next;
    *node = *value;
    node->name = name;
    node->next = next;
    node->first = node->last = NULL;
    node->count = 0;
    return copy_children(doc, node, value, diag) ? node : NULL;
}

crn_node *crn_doc_add_map(crn_doc *doc, crn_node *list, crn_diag *diag)
{
    crn_node *const map = crn_node_new(doc, CRN_NODE_MAP, "cairn", diag);
    if (map != NULL)
        crn_node_append(list, map);
    return map;
}
