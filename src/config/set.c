/* "--set trainer.init.loop.max_steps=20": one assignment from the command line. */
#include <string.h>

#include "config/config_priv.h"

enum { PATH_SIZE = 512 };

static const char k_set[] = "--set";

/* Keys that hold lists of classes; what --set makes under them is a list. */
static const char *const k_lists[] = {"callbacks", "loggers", "schedulers"};

bool crn_is_class_list(const char *name)
{
    return name != NULL && crn_names_find(name, k_lists, sizeof k_lists / sizeof k_lists[0]) >= 0;
}

/* A path, cut into its names. */
struct path {
    char text[PATH_SIZE];
    const char *names[CRN_DOC_DEPTH_MAX];
    size_t count;
};

static crn_node *append_null(crn_doc *doc, crn_node *parent, const char *name, const char *origin,
                             crn_diag *diag)
{
    crn_node *const node = crn_node_new(doc, CRN_NODE_NULL, origin, diag);
    const char *const copy = name != NULL ? crn_doc_text(doc, name, strlen(name), diag) : NULL;
    if (node == NULL || (name != NULL && copy == NULL))
        return NULL;
    node->name = copy;
    crn_node_append(parent, node);
    return node;
}

static crn_node *step_into_map(crn_doc *doc, crn_node *map, const char *segment, const char *origin,
                               crn_diag *diag)
{
    crn_node *const exact = crn_node_get(map, segment);
    if (exact != NULL)
        return exact;
    for (crn_node *node = map->first; node != NULL; node = node->next) {
        if (crn_names_equal(node->name, segment)) /* Class names have no case. */
            return node;
    }
    return append_null(doc, map, segment, origin, diag);
}

/* By index, or by class. */
static crn_node *step_into_list(crn_doc *doc, crn_node *list, const char *segment,
                                const char *origin, crn_diag *diag)
{
    uint64_t index = 0;
    if (crn_u64_from_text(segment, &index)) {
        if (index == list->count)
            return append_null(doc, list, NULL, origin, diag);
        crn_node *const item = crn_node_item(list, index);
        if (item == NULL)
            crn_diag_error_at(diag, origin, 0, 0, "no element %s; the list has %zu", segment,
                              list->count);
        return item;
    }
    if (!crn_is_class_list(list->name)) {
        crn_diag_error_at(diag, origin, 0, 0,
                          "'%s' is inside a list of %zu, which has no names; name an element by "
                          "its index, from 0",
                          segment, list->count);
        return NULL;
    }
    for (crn_node *item = list->first; item != NULL; item = item->next) {
        const char *name = NULL;
        crn_node *args = NULL;
        const bool is_bare = item->kind == CRN_NODE_TEXT && crn_names_equal(item->text, segment);
        const bool is_map = item->kind == CRN_NODE_MAP && item->count == 1 &&
                            crn_names_equal(item->first->name, segment);
        if (is_bare || is_map)
            return crn_node_class(doc, item, segment, &name, &args, diag) ? args : NULL;
    }
    crn_node *const item = append_null(doc, list, NULL, origin, diag);
    if (item == NULL)
        return NULL;
    crn_node_become(item, CRN_NODE_MAP);
    return append_null(doc, item, segment, origin, diag);
}

/* The node of @segment in @node, made if it is not there. */
static crn_node *step(crn_doc *doc, crn_node *node, const char *segment, const char *origin,
                      crn_diag *diag)
{
    uint64_t index = 0;
    if (node->kind == CRN_NODE_NULL) {
        const bool is_list = crn_is_class_list(node->name) || crn_u64_from_text(segment, &index);
        crn_node_become(node, is_list ? CRN_NODE_LIST : CRN_NODE_MAP);
    }
    if (node->kind == CRN_NODE_MAP)
        return step_into_map(doc, node, segment, origin, diag);
    if (node->kind == CRN_NODE_LIST)
        return step_into_list(doc, node, segment, origin, diag);
    if (node->kind == CRN_NODE_TEXT && crn_names_equal(node->text, segment)) {
        const char *name = NULL; /* A class without options, written as its bare name. */
        crn_node *args = NULL;
        return crn_node_class(doc, node, segment, &name, &args, diag) ? args : NULL;
    }
    crn_diag_error_at(diag, origin, 0, 0, "'%s' is inside %s, which has no parts", segment,
                      crn_node_kind_phrase(node->kind));
    return NULL;
}

/* The value takes the place of @node's, which keeps its key and its neighbours. */
static void replace(crn_node *node, const crn_node *value, const char *origin)
{
    crn_node result = {.kind = CRN_NODE_NULL, .text = ""};
    if (value != NULL)
        result = *value;
    result.origin = origin;
    result.name = node->name;
    result.next = node->next;
    *node = result;
}

/* The "=" behind the path, not one in quotes; NULL if there is none. */
static const char *find_equals(const char *text)
{
    char quote = '\0';
    for (; *text != '\0'; text++) {
        if (quote != '\0')
            quote = *text == quote ? '\0' : quote;
        else if (*text == '"' || *text == '\'')
            quote = *text;
        else if (*text == '=')
            return text;
    }
    return NULL;
}

/* Ends the name at @at, in quotes or not, and moves to the next; *@out_next is NULL after the last.
 * NULL: it is no name. */
static const char *cut_name(char *at, char **out_next)
{
    const bool is_quoted = *at == '"' || *at == '\'';
    char *const end = is_quoted ? strchr(at + 1, *at) : at + strcspn(at, ".");
    if (end == NULL)
        return NULL;
    char *const after = end + (is_quoted ? 1 : 0);
    const char *const name = at + (is_quoted ? 1 : 0);
    if (end == name || (*after != '.' && *after != '\0'))
        return NULL;
    *out_next = *after == '.' ? after + 1 : NULL;
    *end = '\0';
    return name;
}

static bool split_path(struct path *path, const char *origin, crn_diag *diag)
{
    for (char *at = path->text, *next = NULL; at != NULL; at = next) {
        const char *const name = cut_name(at, &next);
        if (name == NULL) {
            crn_diag_error_at(diag, origin, 0, 0, "a name is missing in the path");
            return false;
        }
        if (strlen(name) > CRN_DOC_KEY_BYTES_MAX) {
            crn_diag_error_at(diag, origin, 0, 0, "a name in the path is longer than %d bytes",
                              CRN_DOC_KEY_BYTES_MAX);
            return false;
        }
        if (path->count < CRN_DOC_DEPTH_MAX)
            path->names[path->count] = name;
        path->count++;
    }
    return true;
}

static bool assign(crn_doc *doc, struct path *path, const char *value_text, const char *origin,
                   crn_diag *diag)
{
    crn_node *value = NULL;
    if (doc->root == NULL)
        doc->root = crn_node_new(doc, CRN_NODE_NULL, k_set, diag);
    if (doc->root == NULL ||
        !crn_parse_into(doc, value_text, strlen(value_text), origin, false, diag, &value) ||
        !split_path(path, origin, diag))
        return false;
    /* An element of a list named by class is two levels. */
    if (2 * path->count + (value != NULL ? crn_node_height(value) : 0) > CRN_DOC_DEPTH_MAX) {
        crn_diag_error_at(diag, origin, 0, 0, "nested deeper than %d levels",
                          (int)CRN_DOC_DEPTH_MAX);
        return false;
    }
    crn_node *node = doc->root;
    for (size_t i = 0; i < path->count && node != NULL; i++)
        node = step(doc, node, path->names[i], origin, diag);
    if (node != NULL)
        replace(node, value, origin);
    return node != NULL;
}

bool crn_doc_set_by_flag(crn_doc *doc, const char *flag, const char *assignment, crn_diag *diag)
{
    struct path path = {.count = 0};
    crn_str text = {0};
    const char *const equals = find_equals(assignment);
    if (equals == NULL || equals == assignment || (size_t)(equals - assignment) >= PATH_SIZE) {
        crn_diag_error_at(diag, flag, 0, 0, "'%.80s' is not PATH=VALUE", assignment);
        return false;
    }
    memcpy(path.text, assignment, (size_t)(equals - assignment));
    if (!crn_text_is_utf8(path.text)) {
        crn_diag_error_at(diag, flag, 0, 0, "'%.80s' is not UTF-8 text", path.text);
        return false;
    }
    crn_str_printf(&text, "%s %s", flag, path.text);
    const char *const origin = strcmp(flag, k_set) != 0 ? flag
                               : text.is_failed         ? NULL
                                                : crn_doc_text(doc, text.text, text.length, diag);
    crn_str_dispose(&text);
    if (origin == NULL) {
        diag->is_failed = true;
        return false;
    }
    return assign(doc, &path, equals + 1, origin, diag);
}

bool crn_doc_set(crn_doc *doc, const char *assignment, crn_diag *diag)
{
    return crn_doc_set_by_flag(doc, k_set, assignment, diag);
}

void crn_path_append(crn_str *path, const crn_node *child, size_t index)
{
    if (path->length > 0)
        crn_str_append(path, ".");
    if (child->name == NULL)
        crn_str_printf(path, "%zu", index);
    else if (strpbrk(child->name, ".=\"'") != NULL)
        crn_str_printf(path, "\"%s\"", child->name);
    else
        crn_str_append(path, child->name);
}
