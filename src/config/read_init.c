/*
 * Initializers: {name: truncated_normal, mean: 0.0, std: 0.02, a: -0.04, b: 0.04}, or a bare name.
 * Names, arguments and their defaults are those of torch.nn.init.
 */
#include <float.h>
#include <stdio.h>
#include <string.h>

#include "config/config_priv.h"

struct argument {
    const char *name;
    size_t offset;
    double preset;
    double min;
};

#define ARGUMENT(n, preset_, min_)                                                                 \
    {                                                                                              \
        .name = #n, .offset = offsetof(cairn_initializer, n), .preset = (preset_), .min = (min_)   \
    }

enum { ARGUMENTS_MAX = 4, INITIALIZERS = 8 };

struct initializer {
    const char *name;
    cairn_init_kind kind;
    size_t count;
    struct argument arguments[ARGUMENTS_MAX];
};

static const struct initializer k_initializers[INITIALIZERS] = {
    {"constant", CAIRN_INIT_CONSTANT, 1, {ARGUMENT(value, 0.0, -DBL_MAX)}},
    {"zeros", CAIRN_INIT_ZEROS, 0, {{0}}},
    {"ones", CAIRN_INIT_ONES, 0, {{0}}},
    {"normal", CAIRN_INIT_NORMAL, 2, {ARGUMENT(mean, 0.0, -DBL_MAX), ARGUMENT(std, 1.0, 0.0)}},
    {"truncated_normal",
     CAIRN_INIT_TRUNCATED_NORMAL,
     4,
     {ARGUMENT(mean, 0.0, -DBL_MAX), ARGUMENT(std, 1.0, 0.0), ARGUMENT(a, -2.0, -DBL_MAX),
      ARGUMENT(b, 2.0, -DBL_MAX)}},
    {"uniform", CAIRN_INIT_UNIFORM, 2, {ARGUMENT(a, 0.0, -DBL_MAX), ARGUMENT(b, 1.0, -DBL_MAX)}},
    {"xavier_uniform", CAIRN_INIT_XAVIER_UNIFORM, 1, {ARGUMENT(gain, 1.0, 0.0)}},
    {"xavier_normal", CAIRN_INIT_XAVIER_NORMAL, 1, {ARGUMENT(gain, 1.0, 0.0)}},
};

static const struct initializer *find(const crn_node *node, const char *where, crn_diag *diag)
{
    const char *names[INITIALIZERS];
    const char *name = NULL;
    if (!crn_node_to_text(node, where, &name, diag))
        return NULL;
    for (size_t i = 0; i < INITIALIZERS; i++)
        names[i] = k_initializers[i].name;
    const int index = crn_names_find(name, names, INITIALIZERS);
    if (index >= 0)
        return &k_initializers[index];
    crn_diag_unknown(diag, node, "initializer", name, where, names, INITIALIZERS, NULL);
    return NULL;
}

static bool read_arguments(crn_doc *doc, crn_node *map, const char *where,
                           const struct initializer *initializer, cairn_initializer *out,
                           crn_diag *diag)
{
    const char *keys[ARGUMENTS_MAX + 1] = {"name"};
    bool is_clean = true;
    for (size_t i = 0; i < initializer->count; i++)
        keys[i + 1] = initializer->arguments[i].name;
    is_clean = crn_map_check_keys(map, where, keys, initializer->count + 1, diag);
    for (size_t i = 0; i < initializer->count; i++) {
        char path[CRN_WHERE_SIZE];
        const struct argument *const argument = &initializer->arguments[i];
        const crn_node *const node = crn_node_get(map, argument->name);
        double *const value = (double *)(void *)((char *)out + argument->offset);
        *value = argument->preset;
        (void)snprintf(path, sizeof path, "%s.%s", where, argument->name);
        if (node != NULL)
            is_clean =
                crn_node_to_float(node, path, argument->min, DBL_MAX, "", value, diag) && is_clean;
        else
            is_clean =
                crn_doc_put_float(doc, map, argument->name, *value, true, diag) != NULL && is_clean;
    }
    if (is_clean && out->a > out->b) {
        crn_diag_error(diag, map, "%s: a may not be above b", where);
        return false;
    }
    return is_clean;
}

/* A bare name becomes a map, so that all are completed alike. */
static crn_node *as_map(crn_doc *doc, crn_node *node, crn_diag *diag)
{
    if (node->kind == CRN_NODE_MAP)
        return node;
    crn_node *const name = crn_node_new(doc, CRN_NODE_TEXT, node->origin, diag);
    if (name == NULL)
        return NULL;
    name->name = "name";
    name->text = node->text;
    name->line = name->key_line = node->line;
    name->column = name->key_column = node->column;
    crn_node_become(node, CRN_NODE_MAP);
    crn_node_append(node, name);
    return node;
}

bool crn_init_read(crn_doc *doc, crn_node *node, const char *where, cairn_initializer *out,
                   crn_diag *diag)
{
    cairn_initializer result = {0};
    const crn_node *name = node;
    if (node->kind == CRN_NODE_MAP)
        name = crn_node_get(node, "name");
    if (crn_node_is_null(name)) {
        crn_diag_error(diag, node, "%s lacks 'name', which has no default", where);
        return false;
    }
    const struct initializer *const initializer = find(name, where, diag);
    if (initializer == NULL)
        return false;
    crn_node *const map = as_map(doc, node, diag);
    if (map == NULL || !read_arguments(doc, map, where, initializer, &result, diag))
        return false;
    result.kind = initializer->kind;
    *out = result;
    return true;
}

static void append_init_schema(const struct initializer *initializer, crn_str *out)
{
    char digits[CRN_F64_TEXT_SIZE];
    crn_str_printf(out,
                   ",{\"type\":\"object\",\"title\":\"%s\",\"required\":[\"name\"],"
                   "\"additionalProperties\":false,\"properties\":{\"name\":{\"enum\":[\"%s\"]}",
                   initializer->name, initializer->name);
    for (size_t i = 0; i < initializer->count; i++) {
        const struct argument *const argument = &initializer->arguments[i];
        crn_str_printf(out, ",\"%s\":{\"type\":\"number\",\"default\":%s", argument->name,
                       crn_f64_to_decimal(argument->preset, digits));
        if (argument->min > -DBL_MAX)
            crn_str_printf(out, ",\"minimum\":%s", crn_f64_to_decimal(argument->min, digits));
        crn_str_append(out, "}");
    }
    crn_str_append(out, "}}");
}

void crn_init_schema(crn_str *out)
{
    crn_str_append(out, "{\"title\":\"initializer\",\"description\":\"How tensors get their first "
                        "values, as torch.nn.init; a bare name takes the defaults.\","
                        "\"anyOf\":[{\"enum\":[");
    for (size_t i = 0; i < INITIALIZERS; i++)
        crn_str_printf(out, "%s\"%s\"", i > 0 ? "," : "", k_initializers[i].name);
    crn_str_append(out, "]}");
    for (size_t i = 0; i < INITIALIZERS; i++)
        append_init_schema(&k_initializers[i], out);
    crn_str_append(out, "]}");
}
