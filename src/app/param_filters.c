/* optimizer.params: tags; optimizer.adjust_learning_rate: factors. */
#include <string.h>

#include "app/schedules.h"
#include "base/mem.h"

enum { PLACE_FILE_SIZE = 512 };

/* The names that the Model Zoo has for groups of parameters, beside globs. */
static const struct {
    const char *name;
    const char *globs[2];
    size_t count;
} k_known[] = {
    {"embedding", {"*embedding*weight"}, 1},
    {"decoder_attention", {"*decoder*attn*dense*weight"}, 1},
    {"decoder_input_ffn", {"*decoder*ffn.ffn.[!1]*weight"}, 1},
    {"decoder_output_ffn", {"*decoder*ffn.ffn.[1]*weight"}, 1},
    {"decoder_kernel", {"*decoder*dense*weight", "*decoder*linear*weight"}, 2}, /* until 2.2 */
};

/* "params.yaml:7:3": of the key if that is the glob, else of the value. NULL: no memory. The
 * caller's. */
static char *place_of(const crn_node *node, bool is_key)
{
    crn_str place = {0};
    char file[PLACE_FILE_SIZE];
    const char *const origin = node->origin != NULL ? node->origin : "the configuration";
    crn_str_append(&place, crn_escape(origin, strlen(origin), file, sizeof file));
    if (is_key && node->key_line > 0)
        crn_str_printf(&place, ":%zu:%zu", node->key_line, node->key_column);
    else if (node->line > 0)
        crn_str_printf(&place, ":%zu:%zu", node->line, node->column);
    return crn_str_take(&place);
}

/* @node: where its globs are written. */
static cairn_param_filter *add(crn_param_filters *filters, const crn_node *node, bool is_key,
                               size_t globs, crn_diag *diag)
{
    if (crn_grow(&filters->items, &filters->capacity, filters->count + 1, sizeof *filters->items,
                 NULL) != CAIRN_OK) {
        diag->is_failed = true;
        return NULL;
    }
    const char **const items = crn_calloc(globs, sizeof *items);
    char *const place = place_of(node, is_key);
    if (items == NULL || place == NULL) {
        diag->is_failed = true;
        crn_free(items);
        crn_free(place);
        return NULL;
    }
    cairn_param_filter *const filter = &filters->items[filters->count++];
    *filter = (cairn_param_filter){.params = {.items = items}, .place = place};
    return filter;
}

/* The array of a filter, which add() made; const only for others. */
static const char **globs_of(const cairn_param_filter *filter)
{
    union {
        const char *const *in;
        const char **out;
    } cast = {.in = filter->params.items};
    return cast.out;
}

static void free_place(const cairn_param_filter *filter)
{
    union {
        const char *in;
        char *out;
    } cast = {.in = filter->place};
    crn_free(cast.out);
}

static void read_globs(const crn_node *node, const char *where, cairn_param_filter *filter,
                       crn_diag *diag)
{
    const bool is_list = node->kind == CRN_NODE_LIST;
    for (const crn_node *item = is_list ? node->first : node; item != NULL;
         item = is_list ? item->next : NULL) {
        if (crn_node_to_text(item, where, &globs_of(filter)[filter->params.count], diag))
            filter->params.count++;
    }
}

static void read_tag(const crn_node *node, const char *where, crn_param_filters *filters,
                     crn_diag *diag)
{
    static const char *const k_keys[] = {"params", "tag"};
    char inner[CRN_PLACE_SIZE];
    if (node->kind != CRN_NODE_MAP) {
        crn_diag_error(diag, node, "%s must be a list of maps such as {params: \"*bias\", tag: b}",
                       where);
        return;
    }
    if (!crn_map_check_keys(node, where, k_keys, 2, diag))
        return;
    const crn_node *const params = crn_node_get(node, "params");
    const crn_node *const tag = crn_node_get(node, "tag");
    if (crn_node_is_null(params) || crn_node_is_null(tag) ||
        (params->kind == CRN_NODE_LIST && params->count == 0)) {
        crn_diag_error(diag, node, "%s needs both: params, a glob or a list of globs, and tag",
                       where);
        return;
    }
    cairn_param_filter *const filter =
        add(filters, params, false, params->kind == CRN_NODE_LIST ? params->count : 1, diag);
    if (filter == NULL)
        return;
    crn_where_join(inner, where, "params");
    read_globs(params, inner, filter, diag);
    crn_where_join(inner, where, "tag");
    (void)crn_node_to_text(tag, inner, &filter->tag, diag);
}

static void read_factor(const crn_node *node, const char *where, crn_param_filters *filters,
                        crn_diag *diag)
{
    char inner[CRN_PLACE_SIZE];
    double factor = 0.0;
    size_t known = 0;
    crn_where_join(inner, where, node->name);
    if (!crn_node_to_float(node, inner, 1e-12, 1e12, "", &factor, diag))
        return;
    while (known < sizeof k_known / sizeof k_known[0] &&
           !crn_names_equal(node->name, k_known[known].name))
        known++;
    const bool is_known = known < sizeof k_known / sizeof k_known[0];
    cairn_param_filter *const filter =
        add(filters, node, true, is_known ? k_known[known].count : 1, diag);
    if (filter == NULL)
        return;
    filter->learning_rate_factor = factor;
    filter->params.count = is_known ? k_known[known].count : 1;
    for (size_t i = 0; i < filter->params.count; i++)
        globs_of(filter)[i] = is_known ? k_known[known].globs[i] : node->name;
    filters->has_factors = true;
}

void crn_read_param_filters(const crn_node *args, const char *where, crn_param_filters *out,
                            crn_diag *diag)
{
    const crn_node *const params = crn_node_get(args, "params");
    const crn_node *const factors = crn_node_get(args, "adjust_learning_rate");
    char inner[CRN_PLACE_SIZE];
    crn_where_join(inner, where, "params");
    if (!crn_node_is_null(params)) {
        const bool is_list = params->kind == CRN_NODE_LIST;
        for (const crn_node *item = is_list ? params->first : params; item != NULL;
             item = is_list ? item->next : NULL)
            read_tag(item, inner, out, diag);
    }
    crn_where_join(inner, where, "adjust_learning_rate");
    if (crn_node_is_null(factors))
        return;
    if (factors->kind != CRN_NODE_MAP) {
        crn_diag_error(diag, factors, "%s must be a map such as {decoder_kernel: 0.25}", inner);
        return;
    }
    for (const crn_node *item = factors->first; item != NULL; item = item->next)
        read_factor(item, inner, out, diag);
}

void crn_param_filters_dispose(crn_param_filters *filters)
{
    for (size_t i = 0; i < filters->count; i++) {
        crn_free(globs_of(&filters->items[i]));
        free_place(&filters->items[i]);
    }
    crn_free(filters->items);
    *filters = (crn_param_filters){0};
}
