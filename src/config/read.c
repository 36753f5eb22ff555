/* A map of the YAML -> the struct of its section, by the rows of the section's table. */
#include <stdio.h>
#include <string.h>

#include "config/config_priv.h"

enum { CHOICES_MAX = 16, CHOICES_SIZE = 256 };

/* Splits "a|b|c"; returns how many there are. */
static size_t split_choices(const char *choices, char copy[CHOICES_SIZE],
                            const char *names[CHOICES_MAX])
{
    size_t count = 0;
    char *rest = NULL;
    (void)snprintf(copy, CHOICES_SIZE, "%s", choices);
    for (char *name = strtok_r(copy, "|", &rest); name != NULL && count < CHOICES_MAX;
         name = strtok_r(NULL, "|", &rest))
        names[count++] = name;
    return count;
}

static bool read_choice(const crn_row *row, const char *where, const crn_node *node,
                        const char **out, crn_diag *diag)
{
    char copy[CHOICES_SIZE];
    const char *names[CHOICES_MAX] = {NULL};
    const char *text = NULL;
    if (!crn_node_to_text(node, where, &text, diag))
        return false;
    const size_t count = split_choices(row->choices, copy, names);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = text;
            return true;
        }
    }
    crn_diag_unknown(diag, node, "value", text, where, names, count, NULL);
    return false;
}

static bool read_list(crn_doc *doc, const char *where, const crn_node *node, cairn_opt_list *out,
                      crn_diag *diag)
{
    const bool is_list = node->kind == CRN_NODE_LIST;
    const size_t count = is_list ? node->count : 1;
    const char **const items = crn_doc_alloc(doc, (count + 1) * sizeof *items, diag);
    size_t used = 0;
    if (items == NULL)
        return false;
    for (const crn_node *item = is_list ? node->first : node; used < count; item = item->next) {
        if (!crn_node_to_text(item, where, &items[used++], diag))
            return false;
    }
    out->items = items;
    out->count = count;
    return true;
}

/* False: @node is no list, which is reported. */
static bool is_number_list(const crn_node *node, const char *where, crn_diag *diag)
{
    if (node->kind == CRN_NODE_LIST)
        return true;
    crn_diag_error(diag, node, "%s must be a list of numbers, not %s", where,
                   crn_node_kind_phrase(node->kind));
    return false;
}

static bool read_ints(const crn_row *row, crn_doc *doc, const char *where, const crn_node *node,
                      cairn_opt_ints *out, crn_diag *diag)
{
    size_t used = 0;
    if (!is_number_list(node, where, diag))
        return false;
    int64_t *const items = crn_doc_alloc(doc, (node->count + 1) * sizeof *items, diag);
    for (const crn_node *item = node->first; items != NULL && item != NULL; item = item->next) {
        if (!crn_node_to_int(item, where, row->i_min, row->i_max, row->unit, &items[used++], diag))
            return false;
    }
    *out = (cairn_opt_ints){.items = items, .count = used};
    return items != NULL;
}

static bool read_floats(const crn_row *row, crn_doc *doc, const char *where, const crn_node *node,
                        cairn_opt_floats *out, crn_diag *diag)
{
    size_t used = 0;
    if (!is_number_list(node, where, diag))
        return false;
    double *const items = crn_doc_alloc(doc, (node->count + 1) * sizeof *items, diag);
    for (const crn_node *item = node->first; items != NULL && item != NULL; item = item->next) {
        if (!crn_node_to_float(item, where, row->f_min, row->f_max, row->unit, &items[used++],
                               diag))
            return false;
    }
    *out = (cairn_opt_floats){.items = items, .count = used};
    return items != NULL;
}

static bool read_pair(const crn_row *row, const char *where, const crn_node *node,
                      cairn_opt_pair *out, crn_diag *diag)
{
    cairn_opt_pair pair = {0};
    if (node->kind != CRN_NODE_LIST || node->count != 2) {
        crn_diag_error(diag, node, "%s must be a list of two numbers", where);
        return false;
    }
    if (!crn_node_to_float(node->first, where, row->f_min, row->f_max, "", &pair.first, diag) ||
        !crn_node_to_float(node->last, where, row->f_min, row->f_max, "", &pair.second, diag))
        return false;
    *out = pair;
    return true;
}

/* 1 stays an integer and 1.0 a float; a text is what it looks like. */
static bool read_number(const crn_row *row, const char *where, const crn_node *node,
                        cairn_opt_number *out, crn_diag *diag)
{
    cairn_opt_number number = {.kind = CAIRN_NUMBER_FLOAT};
    bool is_big = node->is_big;
    number.i = node->i;
    if (!crn_node_to_float(node, where, row->f_min, row->f_max, row->unit, &number.f, diag))
        return false;
    const bool is_int = node->kind == CRN_NODE_INT ||
                        (node->kind == CRN_NODE_TEXT && strchr(node->text, '.') == NULL &&
                         crn_scalar_lax_int(node->text, &number.i, &is_big));
    if (is_int && !is_big) {
        number.kind = CAIRN_NUMBER_INT;
        number.f = 0.0;
    } else {
        number.i = 0;
    }
    *out = number;
    return true;
}

static bool read_nesteds(const crn_row *row, crn_doc *doc, const char *where, crn_node *node,
                         void *field, crn_diag *diag)
{
    const crn_section *const section = crn_section_find(row->text);
    char path[CRN_WHERE_SIZE];
    crn_items list = {0};
    const bool is_one = node->kind == CRN_NODE_MAP; /* stands for a list of it alone */
    if (node->kind != CRN_NODE_LIST && !is_one) {
        crn_diag_error(diag, node, "%s must be a map or a list of maps, not %s", where,
                       crn_node_kind_phrase(node->kind));
        return false;
    }
    char *const items = crn_doc_alloc(doc, (node->count + 1) * section->struct_size, diag);
    crn_node *item = is_one ? node : node->first;
    for (; items != NULL && item != NULL; item = is_one ? NULL : item->next) {
        (void)snprintf(path, sizeof path, "%.200s[%zu]", where, list.count);
        if (!crn_section_read(section, is_one ? where : path, doc, item,
                              items + list.count * section->struct_size, diag))
            return false;
        list.count++;
    }
    list.items = items;
    memcpy(field, &list, sizeof list);
    return items != NULL;
}

static bool takes_null(const crn_row *row)
{
    return row->kind == CRN_ROW_INT_NULL || row->kind == CRN_ROW_FLOAT_NULL ||
           row->kind == CRN_ROW_NUMBER_NULL || row->kind == CRN_ROW_NUMBER ||
           row->kind == CRN_ROW_LIST || row->kind == CRN_ROW_INTS || row->kind == CRN_ROW_FLOATS ||
           row->kind == CRN_ROW_INIT || row->kind == CRN_ROW_NESTED ||
           row->kind == CRN_ROW_NESTEDS || row->kind == CRN_ROW_BOOL_NULL ||
           (row->kind == CRN_ROW_TEXT && row->text == NULL);
}

static bool read_value(const crn_row *row, crn_doc *doc, const char *where, crn_node *node,
                       void *field, crn_diag *diag)
{
    cairn_opt_int *const opt_int = field;
    cairn_opt_float *const opt_float = field;
    cairn_opt_bool *const opt_bool = field;
    switch (row->kind) {
    case CRN_ROW_INT:
        return crn_node_to_int(node, where, row->i_min, row->i_max, row->unit, field, diag);
    case CRN_ROW_INT_NULL:
        opt_int->is_set =
            crn_node_to_int(node, where, row->i_min, row->i_max, row->unit, &opt_int->value, diag);
        return opt_int->is_set;
    case CRN_ROW_FLOAT:
        return crn_node_to_float(node, where, row->f_min, row->f_max, row->unit, field, diag);
    case CRN_ROW_FLOAT_NULL:
        opt_float->is_set = crn_node_to_float(node, where, row->f_min, row->f_max, row->unit,
                                              &opt_float->value, diag);
        return opt_float->is_set;
    case CRN_ROW_NUMBER:
    case CRN_ROW_NUMBER_NULL:
        return read_number(row, where, node, field, diag);
    case CRN_ROW_BOOL:
        return crn_node_to_bool(node, where, field, diag);
    case CRN_ROW_BOOL_NULL:
        opt_bool->is_set = crn_node_to_bool(node, where, &opt_bool->value, diag);
        return opt_bool->is_set;
    case CRN_ROW_TEXT:
        return crn_node_to_text(node, where, field, diag);
    case CRN_ROW_CHOICE:
        return read_choice(row, where, node, field, diag);
    case CRN_ROW_INTS:
        return read_ints(row, doc, where, node, field, diag);
    case CRN_ROW_FLOATS:
        return read_floats(row, doc, where, node, field, diag);
    case CRN_ROW_LIST:
        return read_list(doc, where, node, field, diag);
    case CRN_ROW_PAIR:
        return read_pair(row, where, node, field, diag);
    case CRN_ROW_INIT:
        return crn_init_read(doc, node, where, field, diag);
    case CRN_ROW_NESTED:
        return crn_section_read(crn_section_find(row->text), where, doc, node, field, diag);
    case CRN_ROW_NESTEDS:
        return read_nesteds(row, doc, where, node, field, diag);
    case CRN_ROW_REQUIRED:
    case CRN_ROW_ALIAS:
    case CRN_ROW_NO_EFFECT:
    case CRN_ROW_LACKING:
    case CRN_ROW_SECTION:
        break;
    }
    return true;
}

static bool read_option(const crn_section *section, const crn_row *row, crn_doc *doc,
                        const char *where, crn_node *node, void *out, crn_diag *diag)
{
    char path[CRN_WHERE_SIZE];
    void *const field = (char *)out + row->offset;
    (void)snprintf(path, sizeof path, "%s.%s", where, row->name);
    if (node->kind != CRN_NODE_NULL)
        return read_value(row, doc, path, node, field, diag);
    if (crn_section_requires(section, row->name))
        return true; /* complete() reports it with those that are not there. */
    if (takes_null(row)) {
        /* The other kinds have null as their default already. */
        if (row->kind == CRN_ROW_NUMBER)
            *(cairn_opt_number *)field = (cairn_opt_number){.kind = CAIRN_NUMBER_NULL};
        return true;
    }
    crn_diag_error(diag, node, "%s may not be null; leave it out for its default", path);
    return false;
}

/* A Model Zoo key whose feature we lack is harmless when it asks for nothing. */
static bool asks_for_nothing(const crn_node *node)
{
    switch (node->kind) {
    case CRN_NODE_NULL:
        return true;
    case CRN_NODE_BOOL:
        return !node->b;
    case CRN_NODE_INT:
    case CRN_NODE_FLOAT:
        return node->f == 0.0;
    case CRN_NODE_TEXT:
        return crn_names_equal(node->text, "none") || crn_names_equal(node->text, "default");
    case CRN_NODE_LIST:
    case CRN_NODE_MAP:
        return node->first == NULL;
    }
    return false;
}

static const crn_row *find_key(const crn_section *section, const char *name)
{
    for (size_t i = 0; i < section->count; i++) {
        if (section->rows[i].kind != CRN_ROW_REQUIRED && strcmp(section->rows[i].name, name) == 0)
            return &section->rows[i];
    }
    return NULL;
}

/* Names of the rows that @want accepts, appended to @names. */
static size_t list_names(const crn_section *section, bool is_usable, size_t count,
                         const char *names[CRN_ROWS_MAX])
{
    for (size_t i = 0; i < section->count && count < CRN_ROWS_MAX; i++) {
        const crn_row *const row = &section->rows[i];
        const bool can_use = crn_row_is_option(row) || row->kind == CRN_ROW_SECTION;
        if (row->kind != CRN_ROW_REQUIRED && can_use == is_usable)
            names[count++] = row->name;
    }
    return count;
}

static void report_unknown(const crn_section *section, const char *where, const crn_node *node,
                           crn_diag *diag)
{
    const char *names[CRN_ROWS_MAX];
    const size_t listed = list_names(section, true, 0, names);
    const size_t count = list_names(section, false, listed, names);
    crn_diag_unknown_of(diag, node, "key", node->name, where, names, count, listed, section->name);
}

static bool read_alias(const crn_section *section, crn_doc *doc, const char *where, crn_node *map,
                       crn_node *node, const crn_row *alias, void *out, crn_diag *diag)
{
    const crn_row *const row = crn_section_option(section, alias->help);
    if (crn_node_get(map, row->name) != NULL) {
        crn_diag_error_at(diag, node->origin, node->key_line, node->key_column,
                          "%s has both '%s' and '%s', which are one option", where, row->name,
                          alias->name);
        return false;
    }
    node->name = row->name;
    return read_option(section, row, doc, where, node, out, diag);
}

static bool read_key(const crn_section *section, crn_doc *doc, const char *where, crn_node *map,
                     crn_node *node, void *out, crn_diag *diag)
{
    const crn_row *const row = find_key(section, node->name);
    if (row == NULL) {
        report_unknown(section, where, node, diag);
        return false;
    }
    if (crn_row_is_option(row))
        return read_option(section, row, doc, where, node, out, diag);
    if (row->kind == CRN_ROW_ALIAS)
        return read_alias(section, doc, where, map, node, row, out, diag);
    if (row->kind == CRN_ROW_NO_EFFECT) {
        crn_diag_notice(diag, node, "%s.%s has no effect: %s", where, row->name, row->help);
    } else if (row->kind == CRN_ROW_LACKING && !asks_for_nothing(node)) {
        crn_diag_error(diag, node, "%s.%s: this version lacks %s", where, row->name, row->help);
        return false;
    }
    return true;
}

/* Adds a pair or a list, which have no put function of their own. */
static crn_node *complete_list(crn_doc *doc, crn_node *map, const crn_row *row, crn_diag *diag)
{
    crn_node *const list = crn_doc_put_null(doc, map, row->name, true, diag);
    if (list == NULL)
        return NULL;
    crn_node_become(list, CRN_NODE_LIST);
    for (int i = 0; i < 2 && row->kind == CRN_ROW_PAIR; i++) {
        char digits[CRN_F64_TEXT_SIZE];
        const double value = i == 0 ? row->f : row->f2;
        crn_node *const item = crn_node_new(doc, CRN_NODE_FLOAT, "default", diag);
        if (item == NULL)
            return NULL;
        (void)crn_f64_to_decimal(value, digits);
        item->f = value;
        item->is_default = true;
        item->text = crn_doc_text(doc, digits, strlen(digits), diag);
        if (item->text == NULL)
            return NULL;
        crn_node_append(list, item);
    }
    return list;
}

static crn_node *complete_option(crn_doc *doc, crn_node *map, const crn_row *row, crn_diag *diag)
{
    switch (row->kind) {
    case CRN_ROW_INT:
        return crn_doc_put_int(doc, map, row->name, row->i, true, diag);
    case CRN_ROW_FLOAT:
    case CRN_ROW_NUMBER:
        return crn_doc_put_float(doc, map, row->name, row->f, true, diag);
    case CRN_ROW_BOOL:
        return crn_doc_put_bool(doc, map, row->name, row->b, true, diag);
    case CRN_ROW_TEXT:
    case CRN_ROW_CHOICE:
        if (row->text != NULL)
            return crn_doc_put_text(doc, map, row->name, row->text, true, diag);
        break;
    case CRN_ROW_LIST:
    case CRN_ROW_INTS:
    case CRN_ROW_FLOATS:
    case CRN_ROW_PAIR:
        return complete_list(doc, map, row, diag);
    case CRN_ROW_INT_NULL:
    case CRN_ROW_FLOAT_NULL:
    case CRN_ROW_NUMBER_NULL:
    case CRN_ROW_BOOL_NULL:
    case CRN_ROW_INIT:
    case CRN_ROW_NESTED:
    case CRN_ROW_NESTEDS:
    case CRN_ROW_REQUIRED:
    case CRN_ROW_ALIAS:
    case CRN_ROW_NO_EFFECT:
    case CRN_ROW_LACKING:
    case CRN_ROW_SECTION:
        break;
    }
    return crn_doc_put_null(doc, map, row->name, true, diag);
}

/* Reports what is missing and adds the defaults of the rest. @map may be NULL. */
static bool complete(const crn_section *section, crn_doc *doc, const char *where, crn_node *map,
                     crn_diag *diag)
{
    bool is_clean = true;
    for (size_t i = 0; i < section->count; i++) {
        const crn_row *const row = &section->rows[i];
        const crn_node *const given = crn_node_get(map, row->name);
        if (!crn_row_is_option(row))
            continue;
        if (crn_section_requires(section, row->name)) {
            if (crn_node_is_null(given)) {
                crn_diag_error(diag, given != NULL ? given : map,
                               "%s lacks '%s', which has no default", where, row->name);
                is_clean = false;
            }
        } else if (map != NULL && given == NULL) {
            is_clean = complete_option(doc, map, row, diag) != NULL && is_clean;
        }
    }
    return is_clean;
}

bool crn_section_read(const crn_section *section, const char *where, crn_doc *doc, crn_node *node,
                      void *out, crn_diag *diag)
{
    bool is_clean = true;
    const char *const place = where != NULL ? where : section->title;
    crn_section_defaults(section, out);
    if (node != NULL && node->kind == CRN_NODE_NULL)
        crn_node_become(node, CRN_NODE_MAP);
    if (node != NULL && node->kind != CRN_NODE_MAP) {
        crn_diag_error(diag, node, "%s must be a map, not %s", place,
                       crn_node_kind_phrase(node->kind));
        return false;
    }
    for (crn_node *child = node != NULL ? node->first : NULL; child != NULL; child = child->next)
        is_clean = read_key(section, doc, place, node, child, out, diag) && is_clean;
    return complete(section, doc, place, node, diag) && is_clean && !diag->is_failed;
}
