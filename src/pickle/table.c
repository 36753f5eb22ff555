#include "pickle/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "interop/archive_protocol.h"

enum {
    DEPTH_MAX = 64,
    VISITS_MAX = 1 << 23 /* Lists in lists in lists share what is inside: a small file, no end. */
};

/* A container whose items are being visited. */
struct level {
    const crn_pickle_node *node;
    uint32_t next;
    size_t name_length; /* of the container's own name */
};

struct walk {
    const crn_pickle_tree *tree;
    crn_pickle_table *table;
    struct level levels[DEPTH_MAX];
    size_t depth;
    char name[CAIRN_NAME_MAX + 1];
    size_t name_length;
    uint64_t visits;
};

/* ---- Names ---- */

static cairn_status add_word(struct walk *walk, const char *word, size_t length, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char shown[100];
    const size_t dot = walk->name_length > 0 ? 1 : 0;
    if (memchr(word, '\0', length) != NULL || length > CAIRN_NAME_MAX - walk->name_length ||
        length + dot > CAIRN_NAME_MAX - walk->name_length)
        CRN_FAIL(err, CAIRN_ECORRUPT, "has a key '%s' that is no name",
                 crn_escape(word, length, shown, sizeof shown));
    if (dot > 0)
        walk->name[walk->name_length++] = '.';
    memcpy(walk->name + walk->name_length, word, length);
    walk->name_length += length;
out:
    return rc;
}

static cairn_status add_number(struct walk *walk, int64_t number, cairn_error *err)
{
    char text[32];
    const int length = snprintf(text, sizeof text, "%" PRId64, number);
    return add_word(walk, text, (size_t)length, err);
}

static cairn_status add_key(struct walk *walk, const crn_pickle_node *key, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (key->kind == CRN_PICKLE_TEXT)
        return add_word(walk, key->text.bytes, key->text.length, err);
    if (key->kind == CRN_PICKLE_INTEGER || key->kind == CRN_PICKLE_BOOL)
        return add_number(walk, key->integer, err);
    CRN_FAIL(err, CAIRN_ECORRUPT, "has a key that is neither a text nor a whole number");
out:
    return rc;
}

/* ---- Records ---- */

static cairn_status add_record(struct walk *walk, crn_archive_record record, const void *shape,
                               const char *text, cairn_error *err)
{
    static const char k_zeros[8] = "";
    cairn_status rc = CAIRN_OK;
    crn_str *const out = &walk->table->records;
    if (walk->name_length == 0)
        CRN_FAIL(err, CAIRN_ECORRUPT, "holds something without a name");
    record.name_bytes = (uint32_t)walk->name_length;
    crn_str_append_bytes(out, &record, sizeof record);
    if (record.rank > 0)
        crn_str_append_bytes(out, shape, (size_t)record.rank * sizeof(uint64_t));
    crn_str_append_bytes(out, walk->name, walk->name_length);
    crn_str_append_bytes(out, k_zeros, 1);
    if (record.kind == CRN_ARCHIVE_TEXT) {
        crn_str_append_bytes(out, text, record.text_bytes);
        crn_str_append_bytes(out, k_zeros, 1);
    }
    crn_str_append_bytes(out, k_zeros, (8 - out->length % 8) % 8);
    CRN_TRY_PLAIN(crn_str_check(out, err));
    if (++walk->table->entries > CRN_ARCHIVE_ENTRIES_MAX || out->length > CRN_ARCHIVE_TABLE_MAX)
        CRN_FAIL(err, CAIRN_ECORRUPT, "holds too many tensors and values");
out:
    return rc;
}

static cairn_status add_text(struct walk *walk, const char *text, size_t length, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (length > CRN_ARCHIVE_TABLE_MAX)
        CRN_FAIL(err, CAIRN_ECORRUPT, "holds too long a text");
    const crn_archive_record record = {.kind = CRN_ARCHIVE_TEXT, .text_bytes = (uint32_t)length};
    rc = add_record(walk, record, NULL, text, err);
out:
    return rc;
}

static cairn_status add_tensor(struct walk *walk, uint32_t number, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_pickle_table *const table = walk->table;
    const crn_pickle_tensor *const tensor = &walk->tree->tensors[number];
    const crn_archive_record record = {
        .kind = CRN_ARCHIVE_TENSOR, .rank = tensor->rank, .bits = tensor->dtype};
    CRN_TRY_PLAIN(crn_grow(&table->tensors, &table->tensor_capacity, table->tensor_count + 1,
                           sizeof *table->tensors, err));
    table->tensors[table->tensor_count++] = number;
    rc = add_record(walk, record, tensor->shape, NULL, err);
out:
    return rc;
}

static cairn_status add_number_value(struct walk *walk, double number, cairn_error *err)
{
    crn_archive_record record = {.kind = CRN_ARCHIVE_NUMBER};
    memcpy(&record.bits, &number, sizeof record.bits);
    return add_record(walk, record, NULL, NULL, err);
}

static cairn_status add_global(struct walk *walk, const crn_pickle_global *global, cairn_error *err)
{
    char text[64];
    if (global->role != CRN_PICKLE_DTYPE)
        return CAIRN_OK; /* a type as a value says nothing about tensors */
    const int length = snprintf(text, sizeof text, "%s.%s", global->module, global->name);
    return add_text(walk, text, (size_t)length, err);
}

/* ---- The walk ---- */

static cairn_status enter(struct walk *walk, const crn_pickle_node *node, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (walk->depth == DEPTH_MAX)
        CRN_FAIL(err, CAIRN_ECORRUPT, "has containers more than %d deep", (int)DEPTH_MAX);
    walk->levels[walk->depth++] = (struct level){.node = node, .name_length = walk->name_length};
out:
    return rc;
}

static cairn_status visit(struct walk *walk, uint32_t ref, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_pickle_node *const node = &walk->tree->nodes[ref];
    if (++walk->visits > VISITS_MAX)
        CRN_FAIL(err, CAIRN_ECORRUPT, "holds containers that share too much");
    switch (node->kind) {
    case CRN_PICKLE_NONE:
        return add_record(walk, (crn_archive_record){.kind = CRN_ARCHIVE_NONE}, NULL, NULL, err);
    case CRN_PICKLE_BOOL:
    case CRN_PICKLE_INTEGER: {
        const uint32_t kind =
            node->kind == CRN_PICKLE_BOOL ? CRN_ARCHIVE_BOOL : CRN_ARCHIVE_INTEGER;
        return add_record(walk, (crn_archive_record){.kind = kind, .bits = (uint64_t)node->integer},
                          NULL, NULL, err);
    }
    case CRN_PICKLE_NUMBER:
        return add_number_value(walk, node->number, err);
    case CRN_PICKLE_TEXT:
        return add_text(walk, node->text.bytes, node->text.length, err);
    case CRN_PICKLE_TENSOR:
        return add_tensor(walk, node->tensor, err);
    case CRN_PICKLE_LIST:
    case CRN_PICKLE_TUPLE:
    case CRN_PICKLE_DICT:
    case CRN_PICKLE_UNORDERED:
        return enter(walk, node, err);
    case CRN_PICKLE_GLOBAL:
        return add_global(walk, node->global, err);
    case CRN_PICKLE_BYTES:
    case CRN_PICKLE_STORED:
        break;
    }
out:
    return rc;
}

/* The next item of the innermost container, or out of it. */
static cairn_status step(struct walk *walk, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct level *const level = &walk->levels[walk->depth - 1];
    const crn_pickle_node *const node = level->node;
    const bool is_dict = node->kind == CRN_PICKLE_DICT;
    walk->name_length = level->name_length;
    if (level->next == node->count) {
        walk->depth--;
        return CAIRN_OK;
    }
    if (is_dict)
        CRN_TRY_PLAIN(add_key(walk, &walk->tree->nodes[node->items.refs[level->next]], err));
    else
        CRN_TRY_PLAIN(add_number(walk, level->next, err));
    const uint32_t ref = node->items.refs[level->next + (is_dict ? 1 : 0)];
    level->next += is_dict ? 2 : 1;
    rc = visit(walk, ref, err);
out:
    return rc;
}

cairn_status crn_pickle_table_make(const crn_pickle_tree *tree, crn_pickle_table *out,
                                   cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct walk walk = {.tree = tree, .table = out};
    *out = (crn_pickle_table){0};
    CRN_TRY_PLAIN(visit(&walk, tree->root, err));
    while (walk.depth > 0)
        CRN_TRY_PLAIN(step(&walk, err));
out:
    return rc;
}

void crn_pickle_table_dispose(crn_pickle_table *table)
{
    crn_str_dispose(&table->records);
    crn_free(table->tensors);
    *table = (crn_pickle_table){0};
}
