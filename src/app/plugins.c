#include "app/plugins.h"

#include <string.h>

#include "base/mem.h"
#include "base/try.h"

enum { OPTIONS_ALIGNMENT = 16, TABLE_ROWS_MAX = 100 };

/* A class of a plugin as a row of a registry. */
struct crn_plugin_row {
    crn_class class;
    cairn_plugin_class source;
    crn_row *rows;
    crn_section section;
    size_t own_offset; /* of the plugin's options behind our head */
};

/* ---- What stands before a plugin's own options, and the rows that read it ---- */

struct plain_head {
    const struct crn_plugin_row *row; /* the first field of every head */
};

struct model_head {
    const struct crn_plugin_row *row;
    const char *name;
};

#include "cairn/options/rows_struct.h"
struct data_head {
    const struct crn_plugin_row *row;
    const char *data_processor;
#include "cairn/options/dataloader.def"
};
#include "cairn/options/rows_end.h"

#include "config/rows_table.h"

#define CRN_OPT_STRUCT struct model_head
static const crn_row k_model_rows[] = {CRN_OPT_TEXT(name, NULL, "Name of the model.")
                                           CRN_OPT_ALIAS(name, model_name)};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT struct plain_head
static const crn_row k_optimizer_rows[] = {
    CRN_OPT_SECTION(params, "A list of {params: globs, tag: text}; see AdamW.")
        CRN_OPT_SECTION(adjust_learning_rate, "A map of glob to a factor; see AdamW.")};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT struct data_head
static const crn_row k_data_rows[] = {
    CRN_OPT_TEXT(data_processor, NULL, "Name of the data processor.")
#include "cairn/options/dataloader.def"
};
#undef CRN_OPT_STRUCT

#include "cairn/options/rows_end.h"
#undef CRN_OPT_FIELD

/* What each kind is: the classes of the library and the head of its options. */
static const struct {
    const crn_registry *registry;
    size_t head_size;
    const crn_row *rows;
    size_t count;
} k_kinds[CAIRN_PLUGIN_KIND_COUNT] = {
    [CAIRN_PLUGIN_KIND_CALLBACK] = {&crn_callbacks, sizeof(struct plain_head), NULL, 0},
    [CAIRN_PLUGIN_KIND_LOGGER] = {&crn_loggers, sizeof(struct plain_head), NULL, 0},
    [CAIRN_PLUGIN_KIND_MODEL] = {&crn_models, sizeof(struct model_head), k_model_rows,
                                 sizeof k_model_rows / sizeof k_model_rows[0]},
    [CAIRN_PLUGIN_KIND_DATA] = {&crn_processors, sizeof(struct data_head), k_data_rows,
                                sizeof k_data_rows / sizeof k_data_rows[0]},
    [CAIRN_PLUGIN_KIND_OPTIMIZER] = {&crn_optimizers, sizeof(struct plain_head), k_optimizer_rows,
                                     sizeof k_optimizer_rows / sizeof k_optimizer_rows[0]},
};

crn_registry crn_plugins_registry(const crn_plugins *plugins, cairn_plugin_kind kind)
{
    crn_registry registry = *k_kinds[kind].registry;
    registry.added = plugins->added[kind].items;
    registry.added_count = plugins->added[kind].count;
    return registry;
}

/* ---- Making an object ---- */

/* The tables are read without a look at their size later, so it has to be ours. @is_whole: what is
 * not optional is there. */
static cairn_status check_table(const struct crn_plugin_row *row, size_t size, size_t ours,
                                bool is_whole, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (size == ours && !is_whole)
        CRN_FAIL(err, CAIRN_ECONFIG, "%s lacks a function or its name in its table",
                 row->class.name);
    if (size != ours)
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "%s was compiled for another cairn (its table has %zu bytes, ours %zu); build the "
                 "plugin again",
                 row->class.name, size, ours);
out:
    return rc;
}

static cairn_status make_model(const struct crn_plugin_row *row, const void *options,
                               cairn_model *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_model made = {0};
    CRN_TRY_PLAIN(row->source.make_model(options, &made, err));
    const cairn_model_ops *const ops = made.ops;
    const size_t size = ops != NULL ? ops->struct_size : 0;
    const bool is_whole = size == sizeof *ops && ops->name != NULL && ops->declare != NULL &&
                          ops->initialize != NULL && ops->compute != NULL && ops->destroy != NULL;
    CRN_TRY_PLAIN(check_table(row, size, sizeof *ops, is_whole, err));
    *out = made;
out:
    return rc;
}

static cairn_status make_optimizer(const struct crn_plugin_row *row, const void *options,
                                   cairn_optimizer *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_optimizer made = {0};
    CRN_TRY_PLAIN(row->source.make_optimizer(options, &made, err));
    const cairn_optimizer_ops *const ops = made.ops;
    const size_t size = ops != NULL ? ops->struct_size : 0;
    const bool is_whole = size == sizeof *ops && ops->name != NULL && ops->declare != NULL &&
                          ops->reset != NULL && ops->loaded != NULL && ops->step != NULL &&
                          ops->learning_rate != NULL && ops->destroy != NULL;
    CRN_TRY_PLAIN(check_table(row, size, sizeof *ops, is_whole, err));
    *out = made;
out:
    return rc;
}

static cairn_status make_loader(const struct crn_plugin_row *row, const struct data_head *head,
                                const void *options, cairn_loader **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_data made = {0};
    const cairn_loader_options loader = {
        .struct_size = sizeof loader,
        .batch_size = (uint64_t)head->batch_size,
        .shuffle = head->shuffle,
        .shuffle_seed = head->shuffle_seed,
        .drop_last = head->drop_last,
        .prefetch_factor = head->prefetch_factor,
    };
    CRN_TRY_PLAIN(row->source.make_data(options, &made, err));
    const cairn_data_ops *const ops = made.ops;
    const size_t size = ops != NULL ? ops->struct_size : 0;
    const bool is_whole = size == sizeof *ops && ops->name != NULL && ops->sample_count != NULL &&
                          ops->read != NULL && ops->destroy != NULL;
    CRN_TRY_PLAIN(check_table(row, size, sizeof *ops, is_whole, err));
    CRN_TRY_PLAIN(cairn_loader_new(made, &loader, out, err));
out:
    return rc;
}

/* crn_class.make of every class of a plugin: its options know whose they are. */
static cairn_status make_from_plugin(const void *options, void *out, cairn_error *err)
{
    const struct plain_head *const head = options;
    const struct crn_plugin_row *const row = head->row;
    const void *const own =
        row->source.options_size > 0 ? (const char *)options + row->own_offset : NULL;
    cairn_status rc = CAIRN_EBUG;
    switch (row->source.kind) {
    case CAIRN_PLUGIN_KIND_CALLBACK:
    case CAIRN_PLUGIN_KIND_LOGGER:
        rc = row->source.make_callback(own, out, err);
        break;
    case CAIRN_PLUGIN_KIND_MODEL:
        rc = make_model(row, own, out, err);
        break;
    case CAIRN_PLUGIN_KIND_DATA:
        rc = make_loader(row, options, own, out, err);
        break;
    case CAIRN_PLUGIN_KIND_OPTIMIZER:
        rc = make_optimizer(row, own, out, err);
        break;
    case CAIRN_PLUGIN_KIND_COUNT:
        break;
    }
    if (rc != CAIRN_OK)
        crn_error_note(err, rc, __FILE__, __LINE__, "plugin class %s", row->class.name);
    return rc;
}

bool crn_plugin_owns(const crn_class *class)
{
    return class->make == make_from_plugin;
}

bool crn_plugin_read(const crn_class *class, crn_doc *doc, crn_node *args, const char *where,
                     void **out_options, crn_diag *diag)
{
    /* Of a plugin, so it is the first field of its row. */
    const struct crn_plugin_row *const row = (const struct crn_plugin_row *)(const void *)class;
    struct plain_head *const head = crn_calloc(1, row->section.struct_size);
    *out_options = head;
    if (head == NULL) {
        diag->is_failed = true;
        return false;
    }
    const bool is_clean = crn_section_read(&row->section, where, doc, args, head, diag);
    head->row = row;
    return is_clean;
}

/* ---- From the plugin's rows to ours ---- */

static size_t field_size(cairn_option_kind kind)
{
    static const size_t k_sizes[] = {
        [CAIRN_OPTION_KIND_INT] = sizeof(int64_t),
        [CAIRN_OPTION_KIND_INT_NULL] = sizeof(cairn_opt_int),
        [CAIRN_OPTION_KIND_FLOAT] = sizeof(double),
        [CAIRN_OPTION_KIND_FLOAT_NULL] = sizeof(cairn_opt_float),
        [CAIRN_OPTION_KIND_BOOL] = sizeof(bool),
        [CAIRN_OPTION_KIND_TEXT] = sizeof(const char *),
        [CAIRN_OPTION_KIND_CHOICE] = sizeof(const char *),
        [CAIRN_OPTION_KIND_LIST] = sizeof(cairn_opt_list),
        [CAIRN_OPTION_KIND_PAIR] = sizeof(cairn_opt_pair),
        [CAIRN_OPTION_KIND_INIT] = sizeof(cairn_initializer),
    };
    return (size_t)kind < sizeof k_sizes / sizeof k_sizes[0] ? k_sizes[kind] : 0;
}

/* What is wrong with an option before its values are looked at; NULL: nothing. */
static const char *fault_of_option(const cairn_option *option, size_t options_size)
{
    const bool has_field = field_size(option->kind) > 0;
    if (option->name == NULL || option->name[0] == '\0' || option->help == NULL)
        return "it lacks a name or a help";
    if (!has_field && option->kind != CAIRN_OPTION_KIND_REQUIRED &&
        option->kind != CAIRN_OPTION_KIND_ALIAS)
        return "its kind is unknown";
    if (has_field && (option->size != field_size(option->kind) || option->offset > options_size ||
                      options_size - option->offset < option->size))
        return "its field has not the type of its kind";
    if (option->kind == CAIRN_OPTION_KIND_CHOICE && option->choices == NULL)
        return "it lacks choices";
    return NULL;
}

static crn_row row_of(const cairn_option *option, size_t own_offset)
{
    static const crn_row_kind k_kinds_of_rows[] = {
        [CAIRN_OPTION_KIND_INT] = CRN_ROW_INT,
        [CAIRN_OPTION_KIND_INT_NULL] = CRN_ROW_INT_NULL,
        [CAIRN_OPTION_KIND_FLOAT] = CRN_ROW_FLOAT,
        [CAIRN_OPTION_KIND_FLOAT_NULL] = CRN_ROW_FLOAT_NULL,
        [CAIRN_OPTION_KIND_BOOL] = CRN_ROW_BOOL,
        [CAIRN_OPTION_KIND_TEXT] = CRN_ROW_TEXT,
        [CAIRN_OPTION_KIND_CHOICE] = CRN_ROW_CHOICE,
        [CAIRN_OPTION_KIND_LIST] = CRN_ROW_LIST,
        [CAIRN_OPTION_KIND_PAIR] = CRN_ROW_PAIR,
        [CAIRN_OPTION_KIND_INIT] = CRN_ROW_INIT,
        [CAIRN_OPTION_KIND_REQUIRED] = CRN_ROW_REQUIRED,
        [CAIRN_OPTION_KIND_ALIAS] = CRN_ROW_ALIAS,
    };
    return (crn_row){
        .kind = k_kinds_of_rows[option->kind],
        .name = option->name,
        .offset = own_offset + option->offset,
        .unit = option->unit != NULL ? option->unit : "",
        .help = option->help,
        .choices = option->choices,
        .text = option->text,
        .b = option->integer != 0,
        .i = option->integer,
        .i_min = option->integer_min,
        .i_max = option->integer_max,
        .f = option->number,
        .f2 = option->number2,
        .f_min = option->number_min,
        .f_max = option->number_max,
    };
}

/* ---- Adding a class ---- */

/* Where a table is added and what a complaint about it begins with. */
struct asker {
    const char *label;
    const crn_node *node;
    crn_diag *diag;
};

static void plugin_row_destroy(struct crn_plugin_row *row)
{
    if (row != NULL)
        crn_free(row->rows);
    crn_free(row);
}

static bool has_make(const cairn_plugin_class *class)
{
    const bool has[CAIRN_PLUGIN_KIND_COUNT] = {
        [CAIRN_PLUGIN_KIND_CALLBACK] = class->make_callback != NULL,
        [CAIRN_PLUGIN_KIND_LOGGER] = class->make_callback != NULL,
        [CAIRN_PLUGIN_KIND_MODEL] = class->make_model != NULL,
        [CAIRN_PLUGIN_KIND_DATA] = class->make_data != NULL,
        [CAIRN_PLUGIN_KIND_OPTIMIZER] = class->make_optimizer != NULL,
    };
    return has[class->kind];
}

/* Whether the class is one that can be used; says what is wrong. */
static bool check_class(const cairn_plugin_class *class, const struct asker *asker)
{
    if ((unsigned)class->kind >= CAIRN_PLUGIN_KIND_COUNT)
        crn_diag_error(asker->diag, asker->node, "%s: a class of a kind that this version lacks",
                       asker->label);
    else if (class->name == NULL || class->name[0] == '\0' || class->help == NULL)
        crn_diag_error(asker->diag, asker->node, "%s: a class lacks a name or a help",
                       asker->label);
    else if (!has_make(class))
        crn_diag_error(asker->diag, asker->node, "%s: the class %s has no function that makes it",
                       asker->label, class->name);
    else if (class->option_count > TABLE_ROWS_MAX ||
             (class->option_count > 0 && (class->options == NULL || class->options_size == 0)))
        crn_diag_error(asker->diag, asker->node, "%s: the option table of %s is in disorder",
                       asker->label, class->name);
    else
        return true;
    return false;
}

/* A class may stand in for one of the Model Zoo that this version knows and lacks, no other. */
static bool check_name(const crn_plugins *plugins, const cairn_plugin_class *class,
                       const struct asker *asker)
{
    const crn_registry registry = crn_plugins_registry(plugins, class->kind);
    const crn_class *const other = crn_registry_find(&registry, class->name);
    if (other == NULL || (other->make == NULL && !other->is_harmless))
        return true;
    crn_diag_error(asker->diag, asker->node,
                   crn_plugin_owns(other)
                       ? "%s: another plugin has a %s %s already"
                       : "%s: the library has a %s %s itself; the plugin's needs "
                         "another name",
                   asker->label, registry.what, other->name);
    return false;
}

/* Puts our rows behind the plugin's, so that a name that is used twice is said to be ours. */
static bool convert_rows(struct crn_plugin_row *row, const struct asker *asker)
{
    const cairn_plugin_class *const source = &row->source;
    size_t count = 0;
    for (; count < source->option_count; count++) {
        const cairn_option *const option = &source->options[count];
        const char *const fault = fault_of_option(option, source->options_size);
        if (fault != NULL) {
            crn_diag_error(asker->diag, asker->node, "%s: option %zu of %s (%s): %s", asker->label,
                           count + 1, source->name, option->name != NULL ? option->name : "?",
                           fault);
            return false;
        }
        row->rows[count] = row_of(option, row->own_offset);
    }
    if (k_kinds[source->kind].count > 0)
        memcpy(&row->rows[count], k_kinds[source->kind].rows,
               k_kinds[source->kind].count * sizeof *row->rows);
    return true;
}

static bool lint(const struct crn_plugin_row *row, const struct asker *asker)
{
    cairn_error fault = {0};
    char text[512];
    crn_section section = row->section;
    section.name = row->class.name;
    if (section.count == 0 || crn_section_lint(&section, &fault) == CAIRN_OK)
        return true;
    (void)cairn_error_format(&fault, text, sizeof text);
    crn_diag_error(asker->diag, asker->node, "%s: %s", asker->label, text);
    return false;
}

static struct crn_plugin_row *plugin_row_new(const cairn_plugin_class *source,
                                             const struct asker *asker)
{
    const size_t head_size = k_kinds[source->kind].head_size;
    struct crn_plugin_row *const row = crn_calloc(1, sizeof *row);
    const size_t count = source->option_count + k_kinds[source->kind].count;
    if (row != NULL)
        row->rows = crn_calloc(count, sizeof *row->rows);
    if (row == NULL || row->rows == NULL) {
        asker->diag->is_failed = true;
        plugin_row_destroy(row);
        return NULL;
    }
    row->source = *source;
    row->class = (crn_class){.name = source->name, .make = make_from_plugin};
    row->own_offset = (head_size + OPTIONS_ALIGNMENT - 1) / OPTIONS_ALIGNMENT * OPTIONS_ALIGNMENT;
    row->section = (crn_section){
        .title = source->name,
        .help = source->help,
        .rows = row->rows,
        .count = count,
        .struct_size = row->own_offset + source->options_size,
    };
    if (convert_rows(row, asker) && lint(row, asker))
        return row;
    plugin_row_destroy(row);
    return NULL;
}

static bool add_class(crn_plugins *plugins, const cairn_plugin_class *source,
                      const struct asker *asker)
{
    if (!check_class(source, asker) || !check_name(plugins, source, asker))
        return false;
    struct crn_plugin_row *const row = plugin_row_new(source, asker);
    if (row == NULL)
        return false;
    const cairn_plugin_kind kind = source->kind;
    if (crn_grow(&plugins->rows, &plugins->capacity, plugins->count + 1, sizeof *plugins->rows,
                 NULL) != CAIRN_OK ||
        crn_grow(&plugins->added[kind].items, &plugins->added[kind].capacity,
                 plugins->added[kind].count + 1, sizeof *plugins->added[kind].items,
                 NULL) != CAIRN_OK) {
        asker->diag->is_failed = true;
        plugin_row_destroy(row);
        return false;
    }
    plugins->rows[plugins->count++] = row;
    plugins->added[kind].items[plugins->added[kind].count++] = &row->class;
    return true;
}

/* ---- Adding a table ---- */

static bool check_version(const cairn_plugin *plugin, const struct asker *asker)
{
    if (plugin == NULL) {
        crn_diag_error(asker->diag, asker->node, "%s: " CAIRN_PLUGIN_SYMBOL " returned nothing",
                       asker->label);
        return false;
    }
    /* The sizes come first in every version, so they may be read whatever the rest means. */
    if (plugin->struct_size != sizeof(cairn_plugin) || plugin->abi != CAIRN_PLUGIN_ABI ||
        plugin->class_size != sizeof(cairn_plugin_class) ||
        plugin->option_size != sizeof(cairn_option)) {
        crn_diag_error(asker->diag, asker->node,
                       "%s was compiled for another cairn: version %u of the plugin interface with "
                       "tables of %zu, %zu and %zu bytes, here version %d with %zu, %zu and %zu; "
                       "build it again with the headers of this one",
                       asker->label, (unsigned)plugin->abi, plugin->struct_size, plugin->class_size,
                       plugin->option_size, (int)CAIRN_PLUGIN_ABI, sizeof(cairn_plugin),
                       sizeof(cairn_plugin_class), sizeof(cairn_option));
        return false;
    }
    if (plugin->name == NULL || plugin->classes == NULL || plugin->class_count == 0) {
        crn_diag_error(asker->diag, asker->node, "%s has no name or no classes", asker->label);
        return false;
    }
    return true;
}

bool crn_plugins_add(crn_plugins *plugins, const cairn_plugin *plugin, const char *label,
                     const crn_node *node, crn_diag *diag)
{
    const struct asker asker = {.label = label, .node = node, .diag = diag};
    bool is_clean = true;
    if (!check_version(plugin, &asker))
        return false;
    for (size_t i = 0; i < plugin->class_count; i++)
        is_clean = add_class(plugins, &plugin->classes[i], &asker) && is_clean;
    return is_clean;
}

void crn_plugins_dispose(crn_plugins *plugins)
{
    for (size_t i = 0; i < plugins->count; i++)
        plugin_row_destroy(plugins->rows[i]);
    crn_free(plugins->rows);
    for (size_t i = 0; i < CAIRN_PLUGIN_KIND_COUNT; i++)
        crn_free(plugins->added[i].items);
    for (size_t i = 0; i < plugins->path_count; i++)
        crn_free(plugins->paths[i]);
    crn_free(plugins->paths);
    *plugins = (crn_plugins){0};
}
