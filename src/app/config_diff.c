/* `cairn config diff`: the resolved values of two configurations, path by path. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "app/app_config.h"
#include "base/mem.h"
#include "base/try.h"
#include "cairn/checkpoint.h"
#include "os/os.h"

/* One of the two. */
struct side {
    const char *path;
    crn_app_configs configs; /* of a YAML file */
    crn_doc *doc;            /* of a checkpoint's parameters */
    const crn_node *root;    /* NULL: nothing in it */
};

struct diff {
    crn_str *out;
    bool as_json;
    size_t count;
    crn_str path;
};

/* ---- Reading ---- */

/* A checkpoint begins with the length of its header in 8 bytes, of which the upper are zeros, and a
 * configuration is text. *@out is false too for what is shorter. */
static cairn_status is_checkpoint(const char *path, bool *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = crn_os_posix();
    unsigned char head[8] = {0};
    size_t got = 0;
    int fd = -1;
    int e = os->open(os, CRN_OS_CWD, path, CRN_OPEN_READ, &fd);
    if (e == 0)
        e = os->read_at(os, fd, head, sizeof head, 0, &got);
    if (fd >= 0)
        (void)os->close(os, fd);
    if (e != 0)
        rc = crn_error_set(err, CAIRN_ECONFIG, e, __FILE__, __LINE__, "cannot read '%s'", path);
    *out = got == sizeof head && head[7] == 0;
    return rc;
}

/* What a checkpoint keeps was resolved when it was saved; plugins that it names are not loaded. */
static cairn_status read_checkpoint(struct side *side, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_diag diag = {0};
    cairn_checkpoint *ckpt = NULL;
    CRN_TRY_PLAIN(cairn_checkpoint_open(side->path, &ckpt, err));
    const char *const params = cairn_checkpoint_params(ckpt);
    if (params == NULL)
        CRN_FAIL(err, CAIRN_ENOTFOUND, "the checkpoint '%s' keeps no parameters", side->path);
    (void)crn_doc_parse(params, strlen(params), side->path, &diag, &side->doc);
    CRN_TRY(err, crn_diag_check(&diag, err), "the parameters kept in the checkpoint");
    side->root = crn_doc_root(side->doc);
out:
    crn_diag_dispose(&diag);
    cairn_checkpoint_close(ckpt);
    return rc;
}

static cairn_status read_side(const char *path, const cairn_log *log, struct side *side,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    bool is_saved = false;
    const cairn_app_request request = {
        .struct_size = sizeof request, .params_path = path, .log = log};
    side->path = path;
    CRN_TRY_PLAIN(is_checkpoint(path, &is_saved, err));
    if (is_saved)
        return read_checkpoint(side, err);
    CRN_TRY_PLAIN(crn_app_configs_read(&request, CRN_VERB_ANY, &side->configs, err));
    side->root = crn_doc_root(side->configs.doc);
out:
    return rc;
}

static void side_dispose(struct side *side)
{
    crn_app_configs_dispose(&side->configs);
    crn_doc_destroy(side->doc);
}

/* ---- Values ---- */

/* Options for which 1 and 1.0 mean different things, by the tables. */
static bool has_two_kinds(const char *name)
{
    size_t count = 0;
    const crn_section *const sections = crn_sections(&count);
    for (size_t i = 0; i < count && name != NULL; i++) {
        for (size_t j = 0; j < sections[i].count; j++) {
            const crn_row *const row = &sections[i].rows[j];
            if ((row->kind == CRN_ROW_NUMBER || row->kind == CRN_ROW_NUMBER_NULL) &&
                strcmp(row->name, name) == 0)
                return true;
        }
    }
    return false;
}

static bool is_number(const crn_node *node)
{
    return node->kind == CRN_NODE_INT || node->kind == CRN_NODE_FLOAT;
}

/* @text is what an option would make of it beside @other: "1e-4" beside 0.0001. */
static bool means_same(const crn_node *text, const crn_node *other)
{
    crn_diag unused = {0};
    double number = 0.0;
    bool word = false;
    bool is_same = false;
    if (is_number(other))
        is_same = crn_node_to_float(text, "", -INFINITY, INFINITY, "", &number, &unused) &&
                  number == other->f;
    else if (other->kind == CRN_NODE_BOOL)
        is_same = crn_node_to_bool(text, "", &word, &unused) && word == other->b;
    crn_diag_dispose(&unused);
    return is_same;
}

static bool is_same_value(const crn_node *a, const crn_node *b)
{
    if (is_number(a) && is_number(b)) {
        const bool are_ints = a->kind == CRN_NODE_INT && b->kind == CRN_NODE_INT;
        const bool is_kind_free = a->kind == b->kind || !has_two_kinds(a->name);
        return are_ints && !a->is_big && !b->is_big ? a->i == b->i : a->f == b->f && is_kind_free;
    }
    if (a->kind != b->kind)
        return means_same(a, b) || means_same(b, a);
    if (a->kind == CRN_NODE_TEXT)
        return strcmp(a->text, b->text) == 0;
    return a->kind == CRN_NODE_NULL || a->b == b->b;
}

/* ---- Comparing ---- */

static void append_value(const struct diff *d, const crn_node *node)
{
    if (node == NULL)
        crn_str_append(d->out, d->as_json ? "null" : "(absent)");
    else
        crn_node_to_json(node, d->out);
}

static void tell(struct diff *d, const crn_node *a, const crn_node *b)
{
    const char *const path = d->path.text != NULL ? d->path.text : "";
    if (d->as_json) {
        crn_str_append(d->out, d->count > 0 ? ",\n{\"path\":" : "\n{\"path\":");
        crn_str_append_json(d->out, path, d->path.length);
        crn_str_printf(d->out, ",\"in_a\":%s,\"in_b\":%s,\"a\":", a != NULL ? "true" : "false",
                       b != NULL ? "true" : "false");
        append_value(d, a);
        crn_str_append(d->out, ",\"b\":");
        append_value(d, b);
        crn_str_append(d->out, "}");
    } else {
        crn_str_printf(d->out, "%s: ", path);
        append_value(d, a);
        crn_str_append(d->out, " -> ");
        append_value(d, b);
        crn_str_append(d->out, "\n");
    }
    d->count++;
}

static void compare(struct diff *d, const crn_node *a, const crn_node *b);

static void leave(struct diff *d, size_t length)
{
    if (d->path.text != NULL)
        d->path.text[length] = '\0';
    d->path.length = length;
}

/* Compares what stands under one key or index of both. */
static void compare_parts(struct diff *d, const crn_node *a, const crn_node *b, size_t index)
{
    const size_t length = d->path.length;
    crn_path_append(&d->path, a != NULL ? a : b, index);
    compare(d, a, b);
    leave(d, length);
}

/* @node is in one of them only. */
static void tell_given(struct diff *d, const crn_node *node, bool is_in_a)
{
    size_t index = 0;
    if (node->is_default)
        return;
    if (node->first == NULL)
        tell(d, is_in_a ? node : NULL, is_in_a ? NULL : node);
    for (const crn_node *child = node->first; child != NULL; child = child->next)
        compare_parts(d, is_in_a ? child : NULL, is_in_a ? NULL : child, index++);
}

/* Class names have no case. */
static const crn_node *find_key(const crn_node *map, const char *name)
{
    for (const crn_node *node = map->first; node != NULL; node = node->next) {
        if (crn_names_equal(node->name, name))
            return node;
    }
    return NULL;
}

static void compare_maps(struct diff *d, const crn_node *a, const crn_node *b)
{
    for (const crn_node *node = a->first; node != NULL; node = node->next)
        compare_parts(d, node, find_key(b, node->name), 0);
    for (const crn_node *node = b->first; node != NULL; node = node->next) {
        if (find_key(a, node->name) == NULL)
            compare_parts(d, NULL, node, 0);
    }
}

static void compare_lists(struct diff *d, const crn_node *a, const crn_node *b)
{
    const crn_node *in_a = a->first;
    const crn_node *in_b = b->first;
    for (size_t i = 0; in_a != NULL || in_b != NULL; i++) {
        compare_parts(d, in_a, in_b, i);
        in_a = in_a != NULL ? in_a->next : NULL;
        in_b = in_b != NULL ? in_b->next : NULL;
    }
}

/* The class of an element of a list of classes; NULL: it is none. */
static const crn_node *class_of(const crn_node *item)
{
    return item->kind == CRN_NODE_MAP && item->count == 1 ? item->first : NULL;
}

/* How many before @item in its list have its class. */
static size_t rank_of(const crn_node *list, const crn_node *item)
{
    size_t rank = 0;
    for (const crn_node *other = list->first; other != item; other = other->next)
        rank +=
            class_of(other) != NULL && crn_names_equal(class_of(other)->name, class_of(item)->name);
    return rank;
}

/* The element of @list with the class and rank of @item; NULL if there is none. */
static const crn_node *find_class(const crn_node *list, const crn_node *item, size_t rank)
{
    for (const crn_node *other = list->first; other != NULL; other = other->next) {
        if (class_of(other) != NULL &&
            crn_names_equal(class_of(other)->name, class_of(item)->name) && rank-- == 0)
            return other;
    }
    return NULL;
}

/* Compares the element @item of @list with its like in @others. */
static void compare_item(struct diff *d, const crn_node *list, const crn_node *item, size_t index,
                         const crn_node *others, bool is_in_a)
{
    const size_t length = d->path.length;
    const size_t rank = rank_of(list, item);
    const crn_node *const like = find_class(others, item, rank);
    const crn_node *const class = class_of(item);
    if (like != NULL && !is_in_a)
        return;   /* compared already */
    if (rank > 0) /* --set finds the first of a class by its name, others by index. */
        crn_path_append(&d->path, item, index);
    compare_parts(d, is_in_a ? class : NULL,
                  is_in_a && like == NULL ? NULL
                  : is_in_a               ? class_of(like)
                                          : class,
                  0);
    leave(d, length);
}

static bool is_class_list(const crn_node *list)
{
    for (const crn_node *item = list->first; item != NULL; item = item->next) {
        if (class_of(item) == NULL)
            return false;
    }
    return crn_is_class_list(list->name);
}

static void compare_class_lists(struct diff *d, const crn_node *a, const crn_node *b)
{
    size_t index = 0;
    for (const crn_node *item = a->first; item != NULL; item = item->next)
        compare_item(d, a, item, index++, b, true);
    index = 0;
    for (const crn_node *item = b->first; item != NULL; item = item->next)
        compare_item(d, b, item, index++, a, false);
}

/* Depth is bounded by the documents'. */
static void compare(struct diff *d, const crn_node *a, const crn_node *b)
{
    static const crn_node k_empty = {.kind = CRN_NODE_LIST, .text = ""};
    const crn_node *const only = a == NULL ? b : b == NULL ? a : NULL;
    if (only != NULL && only->kind == CRN_NODE_LIST && only->first != NULL && is_class_list(only))
        compare_class_lists(d, a != NULL ? a : &k_empty, b != NULL ? b : &k_empty);
    else if (a == NULL || b == NULL)
        tell_given(d, a != NULL ? a : b, a != NULL);
    else if (a->kind == CRN_NODE_MAP && b->kind == CRN_NODE_MAP)
        compare_maps(d, a, b);
    else if (a->kind == CRN_NODE_LIST && b->kind == CRN_NODE_LIST && is_class_list(a) &&
             is_class_list(b))
        compare_class_lists(d, a, b);
    else if (a->kind == CRN_NODE_LIST && b->kind == CRN_NODE_LIST)
        compare_lists(d, a, b);
    else if (!is_same_value(a, b))
        tell(d, a, b);
}

static void compare_sides(struct diff *d, const struct side *a, const struct side *b)
{
    if (d->as_json) {
        crn_str_append(d->out, "{\"a\":");
        crn_str_append_json(d->out, a->path, strlen(a->path));
        crn_str_append(d->out, ",\"b\":");
        crn_str_append_json(d->out, b->path, strlen(b->path));
        crn_str_append(d->out, ",\"differences\":[");
    }
    if (a->root != NULL && b->root != NULL)
        compare(d, a->root, b->root);
    if (d->as_json)
        crn_str_append(d->out, "]}\n");
    d->out->is_failed = d->out->is_failed || d->path.is_failed;
}

cairn_status cairn_app_config_diff(const char *a, const char *b, const cairn_log *log, bool as_json,
                                   size_t *out_count, char **out_text, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str text = {0};
    struct side sides[2] = {{0}, {0}};
    struct diff diff = {.out = &text, .as_json = as_json};
    CRN_TRY_PLAIN(read_side(a, log, &sides[0], err));
    CRN_TRY_PLAIN(read_side(b, log, &sides[1], err));
    compare_sides(&diff, &sides[0], &sides[1]);
    *out_count = diff.count;
    *out_text = crn_str_take(&text);
    CRN_NEED(err, *out_text, "the differences");
out:
    crn_str_dispose(&diff.path);
    crn_str_dispose(&text);
    side_dispose(&sides[0]);
    side_dispose(&sides[1]);
    return rc;
}
