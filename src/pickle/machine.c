#include "pickle/machine.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "pickle/machine_priv.h"

enum {
    NODES_MAX = 1 << 22,
    MEMO_MAX = 1 << 22,
    STACK_MAX = 1 << 22,
    MARKS_MAX = 1 << 10, /* containers that are open at once */
    NAME_LENGTH_MAX = 256,
    LONG_BYTES_MAX = 16, /* of whole numbers */
    PROTOCOL_MAX = 5
};

/* ---- The input ---- */

/* The next @size bytes; NULL: they are not there. */
static const uint8_t *take(crn_pickle_machine *m, size_t size)
{
    const uint8_t *const bytes = m->bytes + m->at;
    if (size > m->size - m->at)
        return NULL;
    m->at += size;
    return bytes;
}

/* A little-endian number of @size bytes. */
static cairn_status take_number(crn_pickle_machine *m, unsigned size, uint64_t *out,
                                cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const uint8_t *const bytes = take(m, size);
    uint64_t value = 0;
    if (bytes == NULL)
        CRN_PICKLE_DAMAGED(m, err, "its end");
    for (unsigned i = size; i > 0; i--)
        value = value << 8 | bytes[i - 1];
    *out = value;
out:
    return rc;
}

/* ---- Stack, marks, memo ---- */

cairn_status crn_pickle_push(crn_pickle_machine *m, uint32_t ref, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (m->stack_count == STACK_MAX)
        CRN_FAIL(err, CAIRN_ECORRUPT, "has a data.pkl that piles up too much");
    CRN_TRY_PLAIN(
        crn_grow(&m->stack, &m->stack_capacity, m->stack_count + 1, sizeof *m->stack, err));
    m->stack[m->stack_count++] = ref;
out:
    return rc;
}

cairn_status crn_pickle_push_new(crn_pickle_machine *m, crn_pickle_node node, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_pickle_tree *const tree = m->tree;
    if (tree->count == NODES_MAX)
        CRN_FAIL(err, CAIRN_ECORRUPT, "has a data.pkl of more than %d values", (int)NODES_MAX);
    CRN_TRY_PLAIN(crn_pickle_push(m, (uint32_t)tree->count, err));
    CRN_TRY_PLAIN(
        crn_grow(&tree->nodes, &tree->capacity, tree->count + 1, sizeof *tree->nodes, err));
    tree->nodes[tree->count++] = node;
out:
    return rc;
}

/* Height of the stack below which the innermost open container begins. */
static size_t floor_of(const crn_pickle_machine *m)
{
    return m->mark_count > 0 ? m->marks[m->mark_count - 1] : 0;
}

static cairn_status pop(crn_pickle_machine *m, uint32_t *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (m->stack_count <= floor_of(m))
        CRN_PICKLE_DAMAGED(m, err, "a value is missing");
    *out = m->stack[--m->stack_count];
out:
    return rc;
}

static cairn_status push_mark(crn_pickle_machine *m, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (m->mark_count == MARKS_MAX)
        CRN_FAIL(err, CAIRN_ECORRUPT, "has containers more than %d deep", (int)MARKS_MAX);
    CRN_TRY_PLAIN(crn_grow(&m->marks, &m->mark_capacity, m->mark_count + 1, sizeof *m->marks, err));
    m->marks[m->mark_count++] = m->stack_count;
out:
    return rc;
}

/* Values above the last mark are [*out_first, stack_count); the mark goes, they stay for now. */
static cairn_status pop_mark(crn_pickle_machine *m, size_t *out_first, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (m->mark_count == 0)
        CRN_PICKLE_DAMAGED(m, err, "a mark is missing");
    *out_first = m->marks[--m->mark_count];
out:
    return rc;
}

static cairn_status put(crn_pickle_machine *m, uint64_t index, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (m->stack_count <= floor_of(m))
        CRN_PICKLE_DAMAGED(m, err, "a value is missing");
    if (index >= MEMO_MAX)
        CRN_FAIL(err, CAIRN_ECORRUPT, "has a data.pkl that remembers too much");
    CRN_TRY_PLAIN(crn_grow(&m->memo, &m->memo_capacity, (size_t)index + 1, sizeof *m->memo, err));
    if (m->memo[index] == 0)
        m->memo_count++;
    m->memo[index] = m->stack[m->stack_count - 1] + 1;
out:
    return rc;
}

static cairn_status get(crn_pickle_machine *m, uint64_t index, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (index >= m->memo_capacity || m->memo[index] == 0)
        CRN_PICKLE_DAMAGED(m, err, "it remembers what was not there");
    CRN_TRY_PLAIN(crn_pickle_push(m, m->memo[index] - 1, err));
out:
    return rc;
}

static cairn_status put_or_get(crn_pickle_machine *m, uint8_t code, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const bool is_short = code == 'q' || code == 'h';
    uint64_t index = m->memo_count;
    if (code != 0x94)
        CRN_TRY_PLAIN(take_number(m, is_short ? 1 : 4, &index, err));
    rc = code == 'h' || code == 'j' ? get(m, index, err) : put(m, index, err);
out:
    return rc;
}

/* ---- Numbers and texts ---- */

static cairn_status push_integer(crn_pickle_machine *m, int64_t value, cairn_error *err)
{
    return crn_pickle_push_new(m, (crn_pickle_node){.kind = CRN_PICKLE_INTEGER, .integer = value},
                               err);
}

static cairn_status push_short(crn_pickle_machine *m, uint8_t code, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t value = 0;
    CRN_TRY_PLAIN(take_number(m, code == 'K' ? 1 : code == 'M' ? 2 : 4, &value, err));
    rc = push_integer(m, code == 'J' ? (int32_t)(uint32_t)value : (int64_t)value, err);
out:
    return rc;
}

/* Two's complement, little-endian; what needs more than 64 bits becomes a double. */
static cairn_status push_long(crn_pickle_machine *m, uint8_t code, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t size = 0;
    CRN_TRY_PLAIN(take_number(m, code == 0x8a ? 1 : 4, &size, err));
    const uint8_t *const bytes = size <= LONG_BYTES_MAX ? take(m, (size_t)size) : NULL;
    if (bytes == NULL)
        CRN_PICKLE_DAMAGED(m, err, "too long a number");
    const bool is_negative = size > 0 && bytes[size - 1] >= 0x80;
    if (size <= sizeof(int64_t)) {
        uint64_t value = is_negative ? UINT64_MAX : 0;
        for (uint64_t i = size; i > 0; i--)
            value = value << 8 | bytes[i - 1];
        return push_integer(m, (int64_t)value, err);
    }
    crn_pickle_node node = {.kind = CRN_PICKLE_NUMBER};
    for (uint64_t i = size; i > 0; i--)
        node.number =
            node.number * 256 + (i == size && is_negative ? bytes[i - 1] - 256 : bytes[i - 1]);
    CRN_TRY_PLAIN(crn_pickle_push_new(m, node, err));
out:
    return rc;
}

/* Big-endian. */
static cairn_status push_double(crn_pickle_machine *m, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t bits = 0;
    crn_pickle_node node = {.kind = CRN_PICKLE_NUMBER};
    CRN_TRY_PLAIN(take_number(m, 8, &bits, err));
    bits = __builtin_bswap64(bits);
    memcpy(&node.number, &bits, sizeof node.number);
    CRN_TRY_PLAIN(crn_pickle_push_new(m, node, err));
out:
    return rc;
}

/* @width: bytes of the length before it. */
static cairn_status push_text(crn_pickle_machine *m, crn_pickle_kind kind, unsigned width,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t length = 0;
    CRN_TRY_PLAIN(take_number(m, width, &length, err));
    const uint8_t *const bytes = length <= m->size ? take(m, (size_t)length) : NULL;
    if (bytes == NULL)
        CRN_PICKLE_DAMAGED(m, err, "a text longer than the file");
    const crn_pickle_node node = {.kind = kind, .text = {(const char *)bytes, (size_t)length}};
    CRN_TRY_PLAIN(crn_pickle_push_new(m, node, err));
out:
    return rc;
}

/* ---- Containers ---- */

cairn_status crn_pickle_add_item(crn_pickle_node *node, uint32_t ref, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(crn_grow(&node->items.refs, &node->items.capacity, (size_t)node->count + 1,
                           sizeof *node->items.refs, err));
    node->items.refs[node->count++] = ref;
out:
    return rc;
}

/* A tuple of the values from @first on, which go. */
static cairn_status make_tuple(crn_pickle_machine *m, size_t first, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_pickle_node tuple = {.kind = CRN_PICKLE_TUPLE};
    for (size_t i = first; i < m->stack_count; i++)
        CRN_TRY_PLAIN(crn_pickle_add_item(&tuple, m->stack[i], err));
    m->stack_count = first;
    CRN_TRY_PLAIN(crn_pickle_push_new(m, tuple, err));
    tuple.items.refs = NULL; /* the tree's now */
out:
    crn_free(tuple.items.refs);
    return rc;
}

static cairn_status make_marked_tuple(crn_pickle_machine *m, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t first = 0;
    CRN_TRY_PLAIN(pop_mark(m, &first, err));
    rc = make_tuple(m, first, err);
out:
    return rc;
}

static cairn_status make_short_tuple(crn_pickle_machine *m, size_t count, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (m->stack_count - floor_of(m) < count)
        CRN_PICKLE_DAMAGED(m, err, "a value is missing");
    rc = make_tuple(m, m->stack_count - count, err);
out:
    return rc;
}

/* Adds the values from @first on, which go, to the container of @kind below them. */
static cairn_status add_from(crn_pickle_machine *m, size_t first, crn_pickle_kind kind,
                             cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const size_t count = m->stack_count - first;
    if (first <= floor_of(m))
        CRN_PICKLE_DAMAGED(m, err, "a container is missing");
    crn_pickle_node *const to = &m->tree->nodes[m->stack[first - 1]];
    if (to->kind != kind || (kind == CRN_PICKLE_DICT && count % 2 != 0))
        CRN_PICKLE_DAMAGED(m, err, "a value added to what takes none");
    for (size_t i = first; i < m->stack_count; i++)
        CRN_TRY_PLAIN(crn_pickle_add_item(to, m->stack[i], err));
    m->stack_count = first;
out:
    return rc;
}

static cairn_status add_marked(crn_pickle_machine *m, crn_pickle_kind kind, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t first = 0;
    CRN_TRY_PLAIN(pop_mark(m, &first, err));
    rc = add_from(m, first, kind, err);
out:
    return rc;
}

static cairn_status add_last(crn_pickle_machine *m, size_t count, crn_pickle_kind kind,
                             cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (m->stack_count - floor_of(m) < count)
        CRN_PICKLE_DAMAGED(m, err, "a value is missing");
    rc = add_from(m, m->stack_count - count, kind, err);
out:
    return rc;
}

/* ---- Names ---- */

static cairn_status push_global(crn_pickle_machine *m, const char *module, size_t module_length,
                                const char *name, size_t name_length, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char shown_module[100];
    char shown[100];
    const crn_pickle_global *const global =
        crn_pickle_global_find(module, module_length, name, name_length);
    if (global == NULL)
        CRN_FAIL(err, CAIRN_ECORRUPT, "refers to '%s.%s', which is not a tensor or a container",
                 crn_escape(module, module_length, shown_module, sizeof shown_module),
                 crn_escape(name, name_length, shown, sizeof shown));
    const crn_pickle_node node = {.kind = CRN_PICKLE_GLOBAL, .global = global};
    CRN_TRY_PLAIN(crn_pickle_push_new(m, node, err));
out:
    return rc;
}

/* A text up to the end of the line; NULL: there is no such. */
static const char *take_line(crn_pickle_machine *m, size_t *out_length)
{
    const size_t left = m->size - m->at;
    const char *const line = (const char *)m->bytes + m->at;
    const char *const end = memchr(line, '\n', left < NAME_LENGTH_MAX ? left : NAME_LENGTH_MAX);
    if (end == NULL)
        return NULL;
    *out_length = (size_t)(end - line);
    m->at += *out_length + 1;
    return line;
}

static cairn_status push_named(crn_pickle_machine *m, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t module_length = 0;
    size_t name_length = 0;
    const char *const module = take_line(m, &module_length);
    const char *const name = module != NULL ? take_line(m, &name_length) : NULL;
    if (name == NULL)
        CRN_PICKLE_DAMAGED(m, err, "a name that does not end");
    rc = push_global(m, module, module_length, name, name_length, err);
out:
    return rc;
}

static cairn_status push_named_on_stack(crn_pickle_machine *m, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint32_t name = 0;
    uint32_t module = 0;
    CRN_TRY_PLAIN(pop(m, &name, err));
    CRN_TRY_PLAIN(pop(m, &module, err));
    const crn_pickle_node n = m->tree->nodes[name];
    const crn_pickle_node o = m->tree->nodes[module];
    if (n.kind != CRN_PICKLE_TEXT || o.kind != CRN_PICKLE_TEXT)
        CRN_PICKLE_DAMAGED(m, err, "a name that is no text");
    rc = push_global(m, o.text.bytes, o.text.length, n.text.bytes, n.text.length, err);
out:
    return rc;
}

static cairn_status persistent(crn_pickle_machine *m, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint32_t id = 0;
    CRN_TRY_PLAIN(pop(m, &id, err));
    rc = crn_pickle_persistent(m, id, err);
out:
    return rc;
}

static cairn_status reduce(crn_pickle_machine *m, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint32_t arguments = 0;
    uint32_t callable = 0;
    CRN_TRY_PLAIN(pop(m, &arguments, err));
    CRN_TRY_PLAIN(pop(m, &callable, err));
    rc = crn_pickle_reduce(m, callable, arguments, err);
out:
    return rc;
}

/* Attributes: a state_dict has its modules' versions in one. Nobody asks for them. */
static cairn_status build(crn_pickle_machine *m, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint32_t attributes = 0;
    uint32_t object = 0;
    CRN_TRY_PLAIN(pop(m, &attributes, err));
    CRN_TRY_PLAIN(pop(m, &object, err));
    if (m->tree->nodes[object].kind != CRN_PICKLE_DICT)
        CRN_PICKLE_DAMAGED(m, err, "attributes of what has none");
    rc = crn_pickle_push(m, object, err);
out:
    return rc;
}

/* ---- Running ---- */

static cairn_status drop(crn_pickle_machine *m, bool is_to_mark, cairn_error *err)
{
    uint32_t ref = 0;
    if (!is_to_mark && m->stack_count > floor_of(m))
        return pop(m, &ref, err);
    return pop_mark(m, &m->stack_count, err);
}

static cairn_status duplicate(crn_pickle_machine *m, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint32_t ref = 0;
    CRN_TRY_PLAIN(pop(m, &ref, err));
    CRN_TRY_PLAIN(crn_pickle_push(m, ref, err));
    rc = crn_pickle_push(m, ref, err);
out:
    return rc;
}

/* Which protocol, or where a frame ends: nothing that matters here. */
static cairn_status skip_head(crn_pickle_machine *m, uint8_t code, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t value = 0;
    CRN_TRY_PLAIN(take_number(m, code == 0x80 ? 1 : 8, &value, err));
    if (code == 0x80 && value > PROTOCOL_MAX)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "is written in pickle protocol %u, which is not read",
                 (unsigned)value);
out:
    return rc;
}

/* Instructions that need more than one look; the others fail by their number. */
static cairn_status run_rare(crn_pickle_machine *m, uint8_t code, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    switch (code) {
    case 0x80: /* PROTO */
    case 0x95: /* FRAME */
        return skip_head(m, code, err);
    case '0': /* POP */
    case '1': /* POP_MARK */
        return drop(m, code == '1', err);
    case '2': /* DUP */
        return duplicate(m, err);
    case 'G': /* BINFLOAT */
        return push_double(m, err);
    case 0x8a: /* LONG1 */
    case 0x8b: /* LONG4 */
        return push_long(m, code, err);
    case 'U':  /* SHORT_BINSTRING */
    case 0x8c: /* SHORT_BINUNICODE */
        return push_text(m, CRN_PICKLE_TEXT, 1, err);
    case 0x8d: /* BINUNICODE8 */
        return push_text(m, CRN_PICKLE_TEXT, 8, err);
    case 'C': /* SHORT_BINBYTES */
        return push_text(m, CRN_PICKLE_BYTES, 1, err);
    case 'B': /* BINBYTES */
        return push_text(m, CRN_PICKLE_BYTES, 4, err);
    case 0x8e: /* BINBYTES8 */
        return push_text(m, CRN_PICKLE_BYTES, 8, err);
    case 0x8f: /* EMPTY_SET */
        return crn_pickle_push_new(m, (crn_pickle_node){.kind = CRN_PICKLE_UNORDERED}, err);
    case 0x90: /* ADDITEMS */
        return add_marked(m, CRN_PICKLE_UNORDERED, err);
    case 0x93: /* STACK_GLOBAL */
        return push_named_on_stack(m, err);
    default:
        CRN_FAIL(err, CAIRN_ECORRUPT,
                 "has the pickle instruction 0x%02x at byte %zu of data.pkl, which no tensor and "
                 "no container needs",
                 code, m->at - 1);
    }
out:
    return rc;
}

static cairn_status run_one(crn_pickle_machine *m, uint8_t code, cairn_error *err)
{
    switch (code) {
    case 'N': /* NONE */
        return crn_pickle_push_new(m, (crn_pickle_node){.kind = CRN_PICKLE_NONE}, err);
    case 0x88: /* NEWTRUE */
    case 0x89: /* NEWFALSE */
        return crn_pickle_push_new(
            m, (crn_pickle_node){.kind = CRN_PICKLE_BOOL, .integer = code == 0x88}, err);
    case 'K': /* BININT1 */
    case 'M': /* BININT2 */
    case 'J': /* BININT */
        return push_short(m, code, err);
    case 'X': /* BINUNICODE */
    case 'T': /* BINSTRING */
        return push_text(m, CRN_PICKLE_TEXT, 4, err);
    case ')': /* EMPTY_TUPLE */
        return make_short_tuple(m, 0, err);
    case ']': /* EMPTY_LIST */
        return crn_pickle_push_new(m, (crn_pickle_node){.kind = CRN_PICKLE_LIST}, err);
    case '}': /* EMPTY_DICT */
        return crn_pickle_push_new(m, (crn_pickle_node){.kind = CRN_PICKLE_DICT}, err);
    case '(': /* MARK */
        return push_mark(m, err);
    case 't': /* TUPLE */
        return make_marked_tuple(m, err);
    case 0x85: /* TUPLE1 */
    case 0x86: /* TUPLE2 */
    case 0x87: /* TUPLE3 */
        return make_short_tuple(m, (size_t)code - 0x84, err);
    case 'a': /* APPEND */
        return add_last(m, 1, CRN_PICKLE_LIST, err);
    case 'e': /* APPENDS */
        return add_marked(m, CRN_PICKLE_LIST, err);
    case 's': /* SETITEM */
        return add_last(m, 2, CRN_PICKLE_DICT, err);
    case 'u': /* SETITEMS */
        return add_marked(m, CRN_PICKLE_DICT, err);
    case 'q':  /* BINPUT */
    case 'r':  /* LONG_BINPUT */
    case 'h':  /* BINGET */
    case 'j':  /* LONG_BINGET */
    case 0x94: /* MEMOIZE */
        return put_or_get(m, code, err);
    case 'c': /* GLOBAL */
        return push_named(m, err);
    case 'Q': /* BINPERSID */
        return persistent(m, err);
    case 'R': /* REDUCE */
        return reduce(m, err);
    case 'b': /* BUILD */
        return build(m, err);
    default:
        return run_rare(m, code, err);
    }
}

cairn_status crn_pickle_run(const uint8_t *bytes, size_t size, const crn_zip *zip,
                            const char *folder, size_t folder_length, crn_pickle_tree *out,
                            cairn_error *err)
{
    enum { STOP = '.' };
    cairn_status rc = CAIRN_OK;
    crn_pickle_machine m = {.bytes = bytes,
                            .size = size,
                            .zip = zip,
                            .folder = folder,
                            .folder_length = folder_length,
                            .tree = out};
    *out = (crn_pickle_tree){0};
    for (;;) {
        const uint8_t *const code = take(&m, 1);
        if (code == NULL)
            CRN_PICKLE_DAMAGED(&m, err, "its end");
        if (*code == STOP)
            break;
        CRN_TRY_PLAIN(run_one(&m, *code, err));
    }
    if (m.mark_count > 0 || m.stack_count != 1 || m.at != size)
        CRN_PICKLE_DAMAGED(&m, err, "something is left over");
    out->root = m.stack[0];
out:
    crn_free(m.stack);
    crn_free(m.marks);
    crn_free(m.memo);
    return rc;
}

void crn_pickle_tree_dispose(crn_pickle_tree *tree)
{
    for (size_t i = 0; i < tree->count; i++) {
        const crn_pickle_kind kind = tree->nodes[i].kind;
        if (kind == CRN_PICKLE_LIST || kind == CRN_PICKLE_TUPLE || kind == CRN_PICKLE_DICT ||
            kind == CRN_PICKLE_UNORDERED)
            crn_free(tree->nodes[i].items.refs);
    }
    for (size_t i = 0; i < tree->tensor_count; i++)
        crn_free(tree->tensors[i].shape);
    crn_free(tree->nodes);
    crn_free(tree->tensors);
    *tree = (crn_pickle_tree){0};
}
