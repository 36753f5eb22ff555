/*
 * YAML events of libyaml -> tree. Bounds are held in the event loop: libyaml 0.2.5 scans deep
 * nesting in quadratic time, so we stop at the first level too many, and an alias is charged for
 * every node that it stands for, which are copied when all of the text is read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/mem.h"
#include "config/config_priv.h"

/* The name of a merge key; told from a quoted "<<" by its address. */
static const char k_merge[] = "<<";

struct anchor {
    const char *name;
    crn_node *node;
    bool is_open; /* Its collection has not ended yet. */
};

struct frame {
    crn_node *node;
    crn_node *key; /* In a map: the key whose value comes next. */
};

struct parser {
    yaml_parser_t yaml;
    const char *bytes;
    size_t size;
    crn_doc *doc;
    crn_diag *diag;
    const char *origin;
    bool has_lines;
    crn_node *root;
    struct frame frames[CRN_DOC_DEPTH_MAX];
    size_t depth;
    struct anchor anchors[CRN_DOC_ANCHORS_MAX];
    size_t anchor_count;
    size_t document_count;
    bool is_full; /* The limit on values is reached: stop. */
};

#define FAIL_AT(p, mark, ...)                                                                      \
    (crn_diag_error_at((p)->diag, (p)->origin, (p)->has_lines ? (mark).line + 1 : 0,               \
                       (mark).column + 1, __VA_ARGS__),                                            \
     false)

/* Charges @count nodes. */
static bool charge(struct parser *p, yaml_mark_t mark, size_t count)
{
    p->is_full = count > CRN_DOC_NODES_MAX - p->doc->node_count;
    if (p->is_full)
        return FAIL_AT(p, mark, "more than %d values, those that aliases repeat included",
                       (int)CRN_DOC_NODES_MAX);
    p->doc->node_count += count;
    return true;
}

static crn_node *new_node(struct parser *p, crn_node_kind kind, yaml_mark_t mark)
{
    if (!charge(p, mark, 1))
        return NULL;
    crn_node *const node = crn_node_new(p->doc, kind, p->origin, p->diag);
    if (node != NULL && p->has_lines) {
        node->line = mark.line + 1;
        node->column = mark.column + 1;
    }
    return node;
}

/* What is in @node, itself not included. Keys are nodes too. */
static size_t count_below(const crn_node *node)
{
    size_t count = 0;
    for (const crn_node *child = node->first; child != NULL; child = child->next)
        count += count_below(child) + (node->kind == CRN_NODE_MAP ? 2 : 1);
    return count;
}

static crn_node *copy_node(struct parser *p, const crn_node *node)
{
    crn_node *const copy = crn_node_new(p->doc, node->kind, node->origin, p->diag);
    if (copy == NULL)
        return NULL;
    *copy = *node;
    copy->first = copy->last = copy->next = NULL;
    copy->count = 0;
    copy->is_shared = false;
    for (const crn_node *child = node->first; child != NULL; child = child->next) {
        crn_node *const child_copy = copy_node(p, child);
        if (child_copy == NULL)
            return NULL;
        crn_node_append(copy, child_copy);
    }
    return copy;
}

/*
 * As copy_node, but the children stay those of @node until all of the text is read: what is refused
 * for too many values is never copied, which would take longer than to count them.
 */
static crn_node *share_node(struct parser *p, const crn_node *node)
{
    crn_node *const copy = crn_node_new(p->doc, node->kind, node->origin, p->diag);
    if (copy != NULL) {
        *copy = *node;
        copy->is_shared = node->first != NULL;
        copy->next = NULL;
    }
    return copy;
}

/* Gives every node below @node children of its own. False: no memory. */
static bool unshare(struct parser *p, crn_node *node)
{
    if (node->is_shared) {
        const crn_node *const copy = copy_node(p, node);
        if (copy == NULL)
            return false;
        node->first = copy->first;
        node->last = copy->last;
        node->is_shared = false;
        return true;
    }
    for (crn_node *child = node->first; child != NULL; child = child->next) {
        if (!unshare(p, child))
            return false;
    }
    return true;
}

/* Puts a value, or a key, where the open collection wants it. */
static bool place(struct parser *p, crn_node *node, bool is_merge_key, yaml_mark_t mark)
{
    if (p->depth == 0) {
        p->root = node;
        return true;
    }
    struct frame *const frame = &p->frames[p->depth - 1];
    if (frame->node->kind == CRN_NODE_LIST) {
        crn_node_append(frame->node, node);
        return true;
    }
    if (frame->key == NULL) {
        if (node->kind == CRN_NODE_LIST || node->kind == CRN_NODE_MAP ||
            node->kind == CRN_NODE_NULL)
            return FAIL_AT(p, mark, "a key must be a text, not %s",
                           crn_node_kind_phrase(node->kind));
        if (strlen(node->text) > CRN_DOC_KEY_BYTES_MAX)
            return FAIL_AT(p, mark, "a key is longer than %d bytes", CRN_DOC_KEY_BYTES_MAX);
        frame->key = node;
        frame->key->name = is_merge_key ? k_merge : node->text;
        return true;
    }
    node->name = frame->key->name;
    node->key_line = frame->key->line;
    node->key_column = frame->key->column;
    frame->key = NULL;
    crn_node_append(frame->node, node);
    return true;
}

static bool add_anchor(struct parser *p, const yaml_char_t *name, crn_node *node, bool is_open,
                       yaml_mark_t mark)
{
    if (name == NULL)
        return true;
    if (p->anchor_count == CRN_DOC_ANCHORS_MAX)
        return FAIL_AT(p, mark, "more than %d anchors", (int)CRN_DOC_ANCHORS_MAX);
    const char *const text = (const char *)name;
    struct anchor *const anchor = &p->anchors[p->anchor_count];
    anchor->name = crn_doc_text(p->doc, text, strlen(text), p->diag);
    anchor->node = node;
    anchor->is_open = is_open;
    if (anchor->name == NULL)
        return false;
    p->anchor_count++;
    return true;
}

static bool on_alias(struct parser *p, const yaml_event_t *event)
{
    const char *const name = (const char *)event->data.alias.anchor;
    const struct anchor *found = NULL;
    /* From the newest: YAML allows an anchor to be set again. */
    for (size_t i = p->anchor_count; i > 0 && found == NULL; i--) {
        if (strcmp(p->anchors[i - 1].name, name) == 0)
            found = &p->anchors[i - 1];
    }
    if (found == NULL)
        return FAIL_AT(p, event->start_mark, "no anchor '&%.80s' before this alias", name);
    if (found->is_open)
        return FAIL_AT(p, event->start_mark, "alias '*%.80s' stands inside its own anchor", name);
    if (p->depth + crn_node_height(found->node) > CRN_DOC_DEPTH_MAX)
        return FAIL_AT(p, event->start_mark, "nested deeper than %d levels",
                       (int)CRN_DOC_DEPTH_MAX);
    if (!charge(p, event->start_mark, count_below(found->node) + 1))
        return false;
    crn_node *const copy = share_node(p, found->node);
    if (copy == NULL)
        return false;
    copy->name = NULL;
    return place(p, copy, false, event->start_mark);
}

/* Applies a tag written in the text to a scalar. */
static bool apply_tag(struct parser *p, crn_node *node, const char *tag, yaml_mark_t mark)
{
    static const char k_core[] = "tag:yaml.org,2002:";
    const char *const kind = crn_starts_with(tag, k_core) ? tag + sizeof k_core - 1
                             : tag[0] == '!'              ? tag
                                                          : "";
    bool is_good = true;
    crn_scalar_resolve(node);
    if (strcmp(kind, "str") == 0 || strcmp(kind, "!") == 0) {
        node->kind = CRN_NODE_TEXT;
    } else if (strcmp(kind, "int") == 0) {
        is_good = node->kind == CRN_NODE_INT;
    } else if (strcmp(kind, "float") == 0) {
        if (node->kind == CRN_NODE_TEXT)
            is_good = crn_scalar_lax_float(node->text, &node->f);
        else
            is_good = node->kind == CRN_NODE_INT || node->kind == CRN_NODE_FLOAT;
        node->kind = CRN_NODE_FLOAT;
    } else if (strcmp(kind, "bool") == 0) {
        is_good = node->kind == CRN_NODE_BOOL;
    } else if (strcmp(kind, "null") == 0) {
        is_good = node->kind == CRN_NODE_NULL;
    } else {
        return FAIL_AT(p, mark, "tag '%.80s' is not supported", tag);
    }
    if (!is_good)
        return FAIL_AT(p, mark, "'%.80s' does not fit its tag !!%s", node->text, kind);
    return true;
}

static bool on_scalar(struct parser *p, const yaml_event_t *event)
{
    const yaml_mark_t mark = event->start_mark;
    const char *const text = (const char *)event->data.scalar.value;
    const size_t length = event->data.scalar.length;
    const char *const tag = (const char *)event->data.scalar.tag;
    const bool is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    bool is_merge_key = false;
    if (memchr(text, '\0', length) != NULL)
        return FAIL_AT(p, mark, "a text may not contain a zero byte");
    crn_node *const node = new_node(p, CRN_NODE_TEXT, mark);
    if (node == NULL)
        return false;
    node->text = crn_doc_text(p->doc, text, length, p->diag);
    if (node->text == NULL)
        return false;
    if (tag != NULL) {
        if (!apply_tag(p, node, tag, mark))
            return false;
    } else if (is_plain) {
        crn_scalar_resolve(node);
        is_merge_key = strcmp(node->text, k_merge) == 0;
    }
    return add_anchor(p, event->data.scalar.anchor, node, false, mark) &&
           place(p, node, is_merge_key, mark);
}

static bool on_start(struct parser *p, const yaml_event_t *event, crn_node_kind kind)
{
    const yaml_mark_t mark = event->start_mark;
    const bool is_map = kind == CRN_NODE_MAP;
    const char *const tag =
        (const char *)(is_map ? event->data.mapping_start.tag : event->data.sequence_start.tag);
    const yaml_char_t *const anchor =
        is_map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
    if (p->depth == CRN_DOC_DEPTH_MAX)
        return FAIL_AT(p, mark, "nested deeper than %d levels", (int)CRN_DOC_DEPTH_MAX);
    if (tag != NULL && strcmp(tag, "!") != 0 &&
        strcmp(tag, is_map ? YAML_MAP_TAG : YAML_SEQ_TAG) != 0)
        return FAIL_AT(p, mark, "tag '%.80s' is not supported", tag);
    crn_node *const node = new_node(p, kind, mark);
    if (node == NULL || !place(p, node, false, mark) || !add_anchor(p, anchor, node, true, mark))
        return false;
    p->frames[p->depth++] = (struct frame){.node = node};
    return true;
}

/* An entry of a map with its rank: what is written beats what is merged, earlier beats later. */
struct entry {
    crn_node *node;
    size_t rank;
    bool is_merged;
    bool is_beaten;
};

static int compare_entries(const void *a, const void *b)
{
    const struct entry *const x = a;
    const struct entry *const y = b;
    const int order = strcmp(x->node->name, y->node->name);
    return order != 0 ? order : x->rank < y->rank ? -1 : x->rank > y->rank;
}

static int compare_ranks(const void *a, const void *b)
{
    const struct entry *const x = a;
    const struct entry *const y = b;
    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

/* Appends copies of the entries of @from, a map. */
static bool merge_map(struct parser *p, crn_node *map, const crn_node *from, yaml_mark_t mark)
{
    if (from->kind != CRN_NODE_MAP)
        return FAIL_AT(p, mark, "'<<' takes a map or a list of maps, not %s",
                       crn_node_kind_phrase(from->kind));
    if (!charge(p, mark, count_below(from)))
        return false;
    for (const crn_node *child = from->first; child != NULL; child = child->next) {
        crn_node *const copy = share_node(p, child);
        if (copy == NULL)
            return false;
        crn_node_append(map, copy);
    }
    return true;
}

/* @line is where the key stood first. */
static void report_duplicate(struct parser *p, const crn_node *node, size_t line)
{
    char first[40] = "";
    if (p->has_lines)
        (void)snprintf(first, sizeof first, " (first at line %zu)", line);
    crn_diag_error_at(p->diag, node->origin, node->key_line, node->key_column,
                      "duplicate key '%.80s'%s", node->name, first);
}

/* Takes the merge keys out of @map and appends what they bring; *@given is what was written. */
static bool apply_merges(struct parser *p, crn_node *map, size_t *given)
{
    crn_node *child = map->first;
    const crn_node *merge = NULL;
    map->first = map->last = NULL;
    map->count = 0;
    for (crn_node *next = NULL; child != NULL; child = next) {
        next = child->next;
        if (child->name != k_merge) {
            crn_node_append(map, child);
        } else if (merge != NULL) {
            report_duplicate(p, child, merge->key_line);
            return false;
        } else {
            merge = child;
        }
    }
    *given = map->count;
    if (merge == NULL)
        return true;
    const yaml_mark_t mark = {.line = merge->key_line - 1, .column = merge->key_column - 1};
    if (merge->kind != CRN_NODE_LIST)
        return merge_map(p, map, merge, mark);
    for (const crn_node *item = merge->first; item != NULL; item = item->next) {
        if (!merge_map(p, map, item, mark))
            return false;
    }
    return true;
}

/* Finds keys given twice and drops merged entries that are beaten, in O(n log n). */
static bool finish_map(struct parser *p, crn_node *map)
{
    size_t given = 0;
    size_t count = 0;
    bool is_clean = apply_merges(p, map, &given);
    if (!is_clean || map->count < 2)
        return is_clean;
    struct entry *const entries = crn_calloc(map->count, sizeof *entries);
    if (entries == NULL) {
        p->diag->is_failed = true;
        return false;
    }
    for (crn_node *child = map->first; child != NULL; child = child->next, count++) {
        entries[count].node = child;
        entries[count].rank = count;
        entries[count].is_merged = count >= given;
    }
    qsort(entries, count, sizeof *entries, compare_entries);
    for (size_t i = 1; i < count; i++) {
        const crn_node *const node = entries[i].node;
        const crn_node *const before = entries[i - 1].node;
        entries[i].is_beaten = strcmp(before->name, node->name) == 0;
        if (!entries[i].is_beaten || entries[i].is_merged)
            continue;
        is_clean = false;
        report_duplicate(p, node, before->key_line);
    }
    qsort(entries, count, sizeof *entries, compare_ranks);
    map->first = map->last = NULL;
    map->count = 0;
    for (size_t i = 0; i < count; i++) {
        if (!entries[i].is_beaten)
            crn_node_append(map, entries[i].node);
    }
    crn_free(entries);
    return is_clean;
}

static bool on_end(struct parser *p)
{
    crn_node *const node = p->frames[--p->depth].node;
    for (size_t i = 0; i < p->anchor_count; i++) {
        if (p->anchors[i].node == node)
            p->anchors[i].is_open = false;
    }
    /* A key given twice does not stop us: there may be more to report. */
    if (node->kind == CRN_NODE_MAP)
        (void)finish_map(p, node);
    return !p->diag->is_failed && !p->is_full;
}

static bool on_event(struct parser *p, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (++p->document_count > 1)
            return FAIL_AT(p, event->start_mark, "a second document begins here; a file holds one");
        return true;
    case YAML_ALIAS_EVENT:
        return on_alias(p, event);
    case YAML_SCALAR_EVENT:
        return on_scalar(p, event);
    case YAML_SEQUENCE_START_EVENT:
        return on_start(p, event, CRN_NODE_LIST);
    case YAML_MAPPING_START_EVENT:
        return on_start(p, event, CRN_NODE_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_end(p);
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return true;
    }
    return true;
}

/* Is there a tab in the indentation of line number @line (from 0)? *@column is where, from 0. */
static bool has_tab_indent(const struct parser *p, size_t line, size_t *column)
{
    const char *at = p->bytes;
    const char *const end = p->bytes + p->size;
    for (; line > 0 && at < end; line--) {
        const char *const newline = memchr(at, '\n', (size_t)(end - at));
        at = newline != NULL ? newline + 1 : end;
    }
    for (*column = 0; at < end && (*at == ' ' || *at == '\t'); at++, (*column)++) {
        if (*at == '\t')
            return true;
    }
    return false;
}

static bool report_syntax(struct parser *p)
{
    yaml_mark_t mark = p->yaml.problem_mark;
    const char *const problem = p->yaml.problem != NULL ? p->yaml.problem : "not YAML";
    if (p->yaml.error == YAML_MEMORY_ERROR) {
        p->diag->is_failed = true;
        return false;
    }
    if (p->yaml.error == YAML_READER_ERROR) {
        mark = (yaml_mark_t){0};
        for (size_t i = 0; i < p->yaml.problem_offset && i < p->size; i++) {
            mark.column = p->bytes[i] == '\n' ? 0 : mark.column + 1;
            mark.line += p->bytes[i] == '\n';
        }
        return FAIL_AT(p, mark, "%s (byte 0x%02x)", problem, (unsigned)p->yaml.problem_value);
    }
    if (has_tab_indent(p, mark.line, &mark.column))
        return FAIL_AT(p, mark, "a tab cannot indent; use spaces");
    mark = p->yaml.problem_mark;
    if (p->yaml.context == NULL || !p->has_lines)
        return FAIL_AT(p, mark, "%s", problem);
    return FAIL_AT(p, mark, "%s, %s that begins at line %zu", problem, p->yaml.context,
                   p->yaml.context_mark.line + 1);
}

/*
 * libyaml compares each %TAG directive with all before it while it is still in one call, so a
 * megabyte of them would take minutes; nobody needs directives here.
 */
static bool check_directives(struct parser *p)
{
    const char *at = p->bytes;
    const char *const end = p->bytes + p->size;
    for (size_t line = 0; at != NULL && at < end; line++) {
        if (*at == '%')
            return FAIL_AT(p, ((yaml_mark_t){.line = line}),
                           "a line may not begin with '%%': YAML directives are not read");
        at = memchr(at, '\n', (size_t)(end - at));
        at = at != NULL ? at + 1 : NULL;
    }
    return true;
}

static bool run_events(struct parser *p)
{
    bool is_going = true;
    bool is_good = true;
    while (is_going && is_good) {
        yaml_event_t event;
        if (yaml_parser_parse(&p->yaml, &event) == 0)
            return report_syntax(p);
        is_going = event.type != YAML_STREAM_END_EVENT;
        is_good = on_event(p, &event);
        yaml_event_delete(&event);
    }
    return is_good;
}

bool crn_parse_into(crn_doc *doc, const void *bytes, size_t size, const char *origin,
                    bool has_lines, crn_diag *diag, crn_node **root)
{
    const size_t errors_before = diag->error_count;
    *root = NULL;
    if (size > CRN_DOC_BYTES_MAX) {
        crn_diag_error_at(diag, origin, 0, 0, "larger than 1 MiB");
        return false;
    }
    struct parser *const p = crn_calloc(1, sizeof *p);
    if (p == NULL || yaml_parser_initialize(&p->yaml) == 0) {
        diag->is_failed = true;
        crn_free(p);
        return false;
    }
    p->bytes = size > 0 ? bytes : "";
    p->size = size;
    p->doc = doc;
    p->diag = diag;
    p->origin = origin;
    p->has_lines = has_lines;
    yaml_parser_set_encoding(&p->yaml, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&p->yaml, (const unsigned char *)p->bytes, size);
    const bool is_whole = check_directives(p) && run_events(p) && !diag->is_failed &&
                          (p->root == NULL || unshare(p, p->root));
    const bool is_good = is_whole && diag->error_count == errors_before;
    if (is_whole)
        *root = p->root;
    yaml_parser_delete(&p->yaml);
    crn_free(p);
    return is_good;
}

bool crn_doc_parse_further(const void *bytes, size_t size, const char *file, crn_diag *diag,
                           crn_doc **out)
{
    crn_doc *const doc = crn_doc_new(file, diag);
    *out = NULL;
    if (doc == NULL)
        return false;
    const bool is_good = crn_parse_into(doc, bytes, size, doc->file, true, diag, &doc->root);
    if (is_good || doc->root != NULL)
        *out = doc;
    else
        crn_doc_destroy(doc);
    return is_good;
}

bool crn_doc_parse(const void *bytes, size_t size, const char *file, crn_diag *diag, crn_doc **out)
{
    const bool is_good = crn_doc_parse_further(bytes, size, file, diag, out);
    if (!is_good) {
        crn_doc_destroy(*out);
        *out = NULL;
    }
    return is_good;
}
