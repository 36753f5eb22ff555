#include <string.h>

#include "config/config.h"

enum { INDENT = 2 };

/* Whether anything of it was given. An empty map or list that was given counts. */
static bool is_given(const crn_node *node)
{
    if (node->is_default)
        return false;
    if (node->first == NULL)
        return true;
    for (const crn_node *child = node->first; child != NULL; child = child->next) {
        if (is_given(child))
            return true;
    }
    return node->kind == CRN_NODE_LIST;
}

static bool is_block(const crn_node *node)
{
    return (node->kind == CRN_NODE_LIST || node->kind == CRN_NODE_MAP) && node->first != NULL;
}

/* Names of options need no quotes; others may mean something to YAML. */
static void append_key(const char *name, crn_str *out)
{
    static const char k_plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    static const char k_digits[] = "0123456789";
    static const char *const k_words[] = {"null", "true", "false", "yes", "no", "on", "off"};
    const size_t length = strlen(name);
    const bool is_plain = length > 0 && strspn(name, k_plain) == length &&
                          strchr(k_digits, name[0]) == NULL &&
                          crn_names_find(name, k_words, sizeof k_words / sizeof k_words[0]) < 0;
    if (is_plain)
        crn_str_append(out, name);
    else
        crn_str_append_json(out, name, length);
    crn_str_append(out, ":");
}

static void append_block(const crn_node *node, bool with_defaults, int depth, bool is_indented,
                         crn_str *out);

/* The value behind "key:" or "-". */
static void append_value(const crn_node *node, bool with_defaults, int depth, crn_str *out)
{
    if (is_block(node)) {
        crn_str_append(out, "\n");
        append_block(node, with_defaults, depth, false, out);
        return;
    }
    crn_str_append(out, " ");
    crn_node_to_json(node, out); /* A scalar, [] or {}: JSON is YAML. */
    crn_str_append(out, "\n");
}

/* @is_indented: the first line's indentation is there already ("- " of a list). Depth is bounded by
 * the document's. */
static void append_block(const crn_node *node, bool with_defaults, int depth, bool is_indented,
                         crn_str *out)
{
    const bool is_map = node->kind == CRN_NODE_MAP;
    for (const crn_node *child = node->first; child != NULL; child = child->next) {
        if (!with_defaults && !is_given(child))
            continue;
        if (!is_indented)
            crn_str_printf(out, "%*s", depth * INDENT, "");
        is_indented = false;
        if (is_map) {
            append_key(child->name, out);
            append_value(child, with_defaults, depth + 1, out);
        } else if (child->kind == CRN_NODE_MAP && child->first != NULL) {
            crn_str_append(out, "- ");
            append_block(child, with_defaults, depth + 1, true, out);
        } else {
            crn_str_append(out, "-");
            append_value(child, with_defaults, depth + 1, out);
        }
    }
}

void crn_node_to_yaml(const crn_node *node, bool with_defaults, crn_str *out)
{
    if (is_block(node))
        append_block(node, with_defaults, 0, false, out);
    else
        append_value(node, with_defaults, 0, out);
}
