/* "--set trainer.init.loop.max_steps=20": one assignment from the command line. */
#include <string.h>

#include "config/config_priv.h"

enum { PATH_SIZE = 512 };

/* Keys that hold lists of classes; what --set makes under them is a list. */
static const char *const k_lists[] = {"callbacks", "loggers", "schedulers"};

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
        crn_node *const item = crn_node_item(list, index);
        if (item == NULL)
            crn_diag_error_at(diag, origin, 0, 0, "no element %s; the list has %zu", segment,
                              list->count);
        return item;
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
    if (node->kind == CRN_NODE_NULL) {
        const bool is_list =
            node->name != NULL &&
            crn_names_find(node->name, k_lists, sizeof k_lists / sizeof k_lists[0]) >= 0;
        crn_node_become(node, is_list ? CRN_NODE_LIST : CRN_NODE_MAP);
    }
    if (node->kind == CRN_NODE_MAP)
        return step_into_map(doc, node, segment, origin, diag);
    if (node->kind == CRN_NODE_LIST)
        return step_into_list(doc, node, segment, origin, diag);
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

bool crn_doc_set(crn_doc *doc, const char *assignment, crn_diag *diag)
{
    char path[PATH_SIZE];
    crn_str origin_text = {0};
    crn_node *value = NULL;
    size_t depth = 0;
    const char *const equals = strchr(assignment, '=');
    if (equals == NULL || equals == assignment || (size_t)(equals - assignment) >= sizeof path) {
        crn_diag_error_at(diag, "--set", 0, 0, "'%.80s' is not PATH=VALUE", assignment);
        return false;
    }
    memcpy(path, assignment, (size_t)(equals - assignment));
    path[equals - assignment] = '\0';
    if (!crn_text_is_utf8(path)) {
        crn_diag_error_at(diag, "--set", 0, 0, "'%.80s' is not UTF-8 text", path);
        return false;
    }
    crn_str_printf(&origin_text, "--set %s", path);
    const char *const origin = origin_text.is_failed
                                   ? NULL
                                   : crn_doc_text(doc, origin_text.text, origin_text.length, diag);
    crn_str_dispose(&origin_text);
    if (doc->root == NULL)
        doc->root = crn_node_new(doc, CRN_NODE_NULL, "--set", diag);
    if (origin == NULL || doc->root == NULL) {
        diag->is_failed = true;
        return false;
    }
    if (!crn_parse_into(doc, equals + 1, strlen(equals + 1), origin, false, diag, &value))
        return false;
    for (const char *at = path; at != NULL; depth++) {
        const char *const dot = strchr(at, '.');
        if (*at == '.' || *at == '\0') {
            crn_diag_error_at(diag, origin, 0, 0, "a name is missing in the path");
            return false;
        }
        if (strcspn(at, ".") > CRN_DOC_KEY_BYTES_MAX) {
            crn_diag_error_at(diag, origin, 0, 0, "a name in the path is longer than %d bytes",
                              CRN_DOC_KEY_BYTES_MAX);
            return false;
        }
        at = dot != NULL ? dot + 1 : NULL;
    }
    /* An element of a list named by class is two levels. */
    if (2 * depth + (value != NULL ? crn_node_height(value) : 0) > CRN_DOC_DEPTH_MAX) {
        crn_diag_error_at(diag, origin, 0, 0, "nested deeper than %d levels",
                          (int)CRN_DOC_DEPTH_MAX);
        return false;
    }
    crn_node *node = doc->root;
    for (char *rest = NULL, *name = strtok_r(path, ".", &rest); name != NULL && node != NULL;
         name = strtok_r(NULL, ".", &rest))
        node = step(doc, node, name, origin, diag);
    if (node != NULL)
        replace(node, value, origin);
    return node != NULL;
}
