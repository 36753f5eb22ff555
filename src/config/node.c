/* Reading the tree: access, conversions, classes, closed maps. */
#include "config/config_priv.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

const char *crn_node_kind_phrase(crn_node_kind kind)
{
    switch (kind) {
    case CRN_NODE_NULL:
        return "null";
    case CRN_NODE_BOOL:
        return "a bool";
    case CRN_NODE_INT:
        return "an integer";
    case CRN_NODE_FLOAT:
        return "a float";
    case CRN_NODE_TEXT:
        return "a text";
    case CRN_NODE_LIST:
        return "a list";
    case CRN_NODE_MAP:
        return "a map";
    }
    return "?";
}

crn_node *crn_node_get(const crn_node *map, const char *key)
{
    if (map == NULL || map->kind != CRN_NODE_MAP)
        return NULL;
    for (crn_node *node = map->first; node != NULL; node = node->next) {
        if (strcmp(node->name, key) == 0)
            return node;
    }
    return NULL;
}

crn_node *crn_node_item(const crn_node *list, size_t index)
{
    if (list == NULL || list->kind != CRN_NODE_LIST)
        return NULL;
    crn_node *node = list->first;
    while (node != NULL && index-- > 0)
        node = node->next;
    return node;
}

bool crn_node_is_null(const crn_node *node)
{
    return node == NULL || node->kind == CRN_NODE_NULL;
}

size_t crn_node_height(const crn_node *node)
{
    size_t highest = 0;
    if (node->kind != CRN_NODE_LIST && node->kind != CRN_NODE_MAP)
        return 0;
    for (const crn_node *child = node->first; child != NULL; child = child->next) {
        const size_t height = crn_node_height(child);
        highest = height > highest ? height : highest;
    }
    return highest + 1;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool crn_names_equal(const char *a, const char *b)
{
    while (*a != '\0' && lower(*a) == lower(*b)) {
        a++;
        b++;
    }
    return lower(*a) == lower(*b);
}

int crn_names_find(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (crn_names_equal(name, names[i]))
            return (int)i;
    }
    return -1;
}

/* "'abc'" of a text, "a list": what stands there, for messages. */
static const char *shown(const crn_node *node, char buf[100])
{
    switch (node->kind) {
    case CRN_NODE_TEXT:
        (void)snprintf(buf, 100, "'%.80s'", node->text);
        return buf;
    case CRN_NODE_BOOL:
        (void)snprintf(buf, 100, "the bool '%.80s'", node->text);
        return buf;
    case CRN_NODE_INT:
    case CRN_NODE_FLOAT:
        (void)snprintf(buf, 100, "%.80s", node->text);
        return buf;
    case CRN_NODE_NULL:
        return "null";
    case CRN_NODE_LIST:
        return "a list";
    case CRN_NODE_MAP:
        return "a map";
    }
    return "?";
}

bool crn_node_to_bool(const crn_node *node, const char *where, bool *out, crn_diag *diag)
{
    static const char *const k_true[] = {"true", "yes", "on", "1", "t", "y"};
    static const char *const k_false[] = {"false", "no", "off", "0", "f", "n"};
    char buf[100];
    const bool is_number = (node->kind == CRN_NODE_INT || node->kind == CRN_NODE_FLOAT) &&
                           (node->f == 0.0 || node->f == 1.0);
    if (node->kind == CRN_NODE_BOOL) {
        *out = node->b;
    } else if (is_number) {
        *out = node->f != 0.0;
    } else if (node->kind == CRN_NODE_TEXT && crn_names_find(node->text, k_true, 6) >= 0) {
        *out = true;
    } else if (node->kind == CRN_NODE_TEXT && crn_names_find(node->text, k_false, 6) >= 0) {
        *out = false;
    } else {
        crn_diag_error(diag, node, "%s must be true or false, not %s", where, shown(node, buf));
        return false;
    }
    return true;
}

const char *crn_range_of_int(int64_t min, int64_t max, const char *unit, char buf[128])
{
    const char *const open = unit[0] != '\0' ? " (" : "";
    const char *const close = unit[0] != '\0' ? ")" : "";
    if (max == INT64_MAX && min == INT64_MIN)
        (void)snprintf(buf, 128, "of 64 bits%s%s%s", open, unit, close);
    else if (max == INT64_MAX)
        (void)snprintf(buf, 128, "at least %" PRId64 "%s%s%s", min, open, unit, close);
    else
        (void)snprintf(buf, 128, "from %" PRId64 " to %" PRId64 "%s%s%s", min, max, open, unit,
                       close);
    return buf;
}

const char *crn_range_of_float(double min, double max, const char *unit, char buf[128])
{
    char low[CRN_F64_TEXT_SIZE];
    char high[CRN_F64_TEXT_SIZE];
    const char *const open = unit[0] != '\0' ? " (" : "";
    const char *const close = unit[0] != '\0' ? ")" : "";
    (void)crn_f64_to_decimal(min, low);
    (void)crn_f64_to_decimal(max, high);
    if (max >= (double)INT64_MAX)
        (void)snprintf(buf, 128, "at least %s%s%s%s", low, open, unit, close);
    else
        (void)snprintf(buf, 128, "from %s to %s%s%s%s", low, high, open, unit, close);
    return buf;
}

bool crn_node_to_int(const crn_node *node, const char *where, int64_t min, int64_t max,
                     const char *unit, int64_t *out, crn_diag *diag)
{
    char buf[100];
    char range[128];
    int64_t value = node->i;
    bool is_big = node->is_big;
    bool is_int = node->kind == CRN_NODE_INT;
    if (node->kind == CRN_NODE_TEXT) {
        is_int = crn_scalar_lax_int(node->text, &value, &is_big);
    } else if (node->kind == CRN_NODE_FLOAT && node->f == floor(node->f)) {
        is_int = isfinite(node->f);
        is_big = node->f < -0x1p63 || node->f >= 0x1p63;
        value = is_big || !is_int ? 0 : (int64_t)node->f;
    }
    if (!is_int) {
        crn_diag_error(diag, node, "%s must be an integer, not %s", where, shown(node, buf));
        return false;
    }
    if (is_big || value < min || value > max) {
        crn_diag_error(diag, node, "%s is %.80s; it must be %s", where, node->text,
                       crn_range_of_int(min, max, unit, range));
        return false;
    }
    *out = value;
    return true;
}

bool crn_node_to_float(const crn_node *node, const char *where, double min, double max,
                       const char *unit, double *out, crn_diag *diag)
{
    char buf[100];
    char range[128];
    double value = node->f;
    bool is_number = node->kind == CRN_NODE_INT || node->kind == CRN_NODE_FLOAT;
    if (node->kind == CRN_NODE_TEXT)
        is_number = crn_scalar_lax_float(node->text, &value);
    if (!is_number) {
        crn_diag_error(diag, node, "%s must be a number, not %s", where, shown(node, buf));
        return false;
    }
    if (!(value >= min && value <= max)) {
        crn_diag_error(diag, node, "%s is %.80s; it must be %s", where, node->text,
                       crn_range_of_float(min, max, unit, range));
        return false;
    }
    *out = value;
    return true;
}

bool crn_node_to_text(const crn_node *node, const char *where, const char **out, crn_diag *diag)
{
    char buf[100];
    switch (node->kind) {
    case CRN_NODE_TEXT:
    case CRN_NODE_INT:
    case CRN_NODE_FLOAT:
        *out = node->text;
        return true;
    case CRN_NODE_BOOL:
        crn_diag_error(diag, node,
                       "%s must be a text, but YAML reads %.80s as a bool; quote it: "
                       "'%.80s'",
                       where, node->text, node->text);
        return false;
    case CRN_NODE_NULL:
    case CRN_NODE_LIST:
    case CRN_NODE_MAP:
        break;
    }
    crn_diag_error(diag, node, "%s must be a text, not %s", where, shown(node, buf));
    return false;
}

bool crn_node_class(crn_doc *doc, crn_node *node, const char *where, const char **name,
                    crn_node **args, crn_diag *diag)
{
    if (node->kind == CRN_NODE_TEXT && node->text[0] != '\0') {
        crn_node *const nothing = crn_node_new(doc, CRN_NODE_NULL, node->origin, diag);
        if (nothing == NULL)
            return false;
        nothing->line = nothing->key_line = node->line;
        nothing->column = nothing->key_column = node->column;
        nothing->name = node->text;
        crn_node_become(node, CRN_NODE_MAP);
        crn_node_append(node, nothing);
    }
    if (node->kind != CRN_NODE_MAP || node->count == 0) {
        crn_diag_error(diag, node, "%s must be one class, written 'Name: {...}', not %s", where,
                       node->kind == CRN_NODE_MAP ? "an empty map"
                                                  : crn_node_kind_phrase(node->kind));
        return false;
    }
    if (node->count > 1) {
        const crn_node *const second = node->first->next;
        crn_diag_error_at(diag, second->origin, second->key_line, second->key_column,
                          "%s must be one class, but has the keys '%.80s' and '%.80s'; indent the "
                          "options of a class further than its name",
                          where, node->first->name, second->name);
        return false;
    }
    *name = node->first->name;
    *args = node->first;
    return true;
}

bool crn_map_check_keys(const crn_node *map, const char *where, const char *const *names,
                        size_t count, crn_diag *diag)
{
    bool is_clean = true;
    if (crn_node_is_null(map))
        return true;
    if (map->kind != CRN_NODE_MAP) {
        crn_diag_error(diag, map, "%s must be a map, not %s", where,
                       crn_node_kind_phrase(map->kind));
        return false;
    }
    for (const crn_node *node = map->first; node != NULL; node = node->next) {
        bool is_known = false;
        for (size_t i = 0; i < count && !is_known; i++)
            is_known = strcmp(node->name, names[i]) == 0;
        if (!is_known)
            crn_diag_unknown(diag, node, "key", node->name, where, names, count, NULL);
        is_clean = is_clean && is_known;
    }
    return is_clean;
}
