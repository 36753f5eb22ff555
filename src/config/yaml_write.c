#include <string.h>

#include "config/config.h"

enum { INDENT = 2, ORIGIN_COLUMN = 44 };

struct writer {
    crn_str *out;
    bool with_defaults;
    bool with_origins;
    size_t line_start;
};

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

void crn_node_append_origin(const crn_node *node, crn_str *out)
{
    char clean[400];
    const bool is_flag = node->line == 0 && crn_starts_with(node->origin, "--");
    const char *const origin = node->is_default ? "default" : node->origin;
    const size_t length = is_flag ? strcspn(origin, " ") : strlen(origin); /* not the path */
    crn_str_append(out, crn_escape(origin, length, clean, sizeof clean));
    if (node->line > 0)
        crn_str_printf(out, ":%zu", node->line);
}

static void end_line(struct writer *w, const crn_node *node)
{
    const size_t length = w->out->length - w->line_start;
    if (w->with_origins && node != NULL) {
        const int gap = length + 2 < ORIGIN_COLUMN ? (int)(ORIGIN_COLUMN - length) : 2;
        crn_str_printf(w->out, "%*s# ", gap, "");
        crn_node_append_origin(node, w->out);
    }
    crn_str_append(w->out, "\n");
    w->line_start = w->out->length;
}

static void append_block(struct writer *w, const crn_node *node, int depth, bool is_indented);

/* The value behind "key:" or "-". */
static void append_value(struct writer *w, const crn_node *node, int depth)
{
    if (is_block(node)) {
        end_line(w, NULL);
        append_block(w, node, depth, false);
        return;
    }
    crn_str_append(w->out, " ");
    crn_node_to_json(node, w->out); /* A scalar, [] or {}: JSON is YAML. */
    end_line(w, node);
}

/* @is_indented: the first line's indentation is there already ("- " of a list). Depth is bounded by
 * the document's. */
static void append_block(struct writer *w, const crn_node *node, int depth, bool is_indented)
{
    const bool is_map = node->kind == CRN_NODE_MAP;
    for (const crn_node *child = node->first; child != NULL; child = child->next) {
        if (!w->with_defaults && !is_given(child))
            continue;
        if (!is_indented)
            crn_str_printf(w->out, "%*s", depth * INDENT, "");
        is_indented = false;
        if (is_map) {
            append_key(child->name, w->out);
            append_value(w, child, depth + 1);
        } else if (child->kind == CRN_NODE_MAP && child->first != NULL) {
            crn_str_append(w->out, "- ");
            append_block(w, child, depth + 1, true);
        } else {
            crn_str_append(w->out, "-");
            append_value(w, child, depth + 1);
        }
    }
}

static void write_document(struct writer *w, const crn_node *node)
{
    w->line_start = w->out->length;
    if (is_block(node))
        append_block(w, node, 0, false);
    else
        append_value(w, node, 0);
}

void crn_node_to_yaml(const crn_node *node, bool with_defaults, crn_str *out)
{
    struct writer w = {.out = out, .with_defaults = with_defaults};
    write_document(&w, node);
}

void crn_node_to_yaml_origins(const crn_node *node, crn_str *out)
{
    struct writer w = {.out = out, .with_defaults = true, .with_origins = true};
    write_document(&w, node);
}
