/*
 * Classes from outside (cairn/plugin/plugin.h), added to the registries of one configuration: those
 * of shared objects that its `plugins` names, and tables that a program hands over itself.
 */
#ifndef CRN_APP_PLUGINS_H
#define CRN_APP_PLUGINS_H

#include "app/classes.h"
#include "cairn/plugin/plugin.h"

/* Zeroed is empty; crn_plugins_dispose. Objects stay loaded for ever; what is freed is ours. */
typedef struct crn_plugins {
    struct crn_plugin_row **rows; /* [count] */
    size_t count;
    size_t capacity;
    struct {
        const crn_class **items; /* [count] borrowed from rows */
        size_t count;
        size_t capacity;
    } added[CAIRN_PLUGIN_KIND_COUNT];
    char **paths; /* [path_count] texts that the document borrows */
    size_t path_count;
    size_t path_capacity;
} crn_plugins;

/* The library's classes of that kind, and those that were added. Borrows from @plugins. */
crn_registry crn_plugins_registry(const crn_plugins *plugins, cairn_plugin_kind kind);

/*
 * Adds the classes of one table. @label names it in messages, @node is where it was asked for
 * (NULL: by a program). False after an error in @diag: another version of the interface, a faulty
 * table, a name that is taken.
 */
bool crn_plugins_add(crn_plugins *plugins, const cairn_plugin *plugin, const char *label,
                     const crn_node *node, crn_diag *diag);
/*
 * Loads what @list (trainer.init.plugins; may be NULL) names: one path or several, relative to the
 * folder of @doc. The list then holds absolute paths. All problems go to @diag.
 */
void crn_plugins_load(crn_plugins *plugins, const crn_doc *doc, crn_node *list, crn_diag *diag);
void crn_plugins_dispose(crn_plugins *plugins);

/* Whether @class came from a plugin. */
bool crn_plugin_owns(const crn_class *class);
/* Reads @args into fresh options for the class's make; *@out_options is yours, also on failure. */
bool crn_plugin_read(const crn_class *class, crn_doc *doc, crn_node *args, const char *where,
                     void **out_options, crn_diag *diag);

#endif
