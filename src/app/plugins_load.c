/* Shared objects that a configuration names: from a path to their classes. */
#include <errno.h>
#include <string.h>

#include "app/plugins.h"
#include "base/mem.h"
#include "os/os.h"

/* @path as the configuration means it: relative to the folder that its file is in. Empties @out
 * first. */
static void path_from(const char *file, const char *path, crn_str *out)
{
    const char *const slash = strrchr(file, '/');
    if (path[0] != '/' && slash != NULL)
        crn_str_append_bytes(out, file, (size_t)(slash - file) + 1);
    crn_str_append(out, path);
}

/* The absolute path, which the set keeps and the document borrows; NULL after an error. */
static const char *resolve(crn_plugins *plugins, const crn_doc *doc, crn_node *item, crn_diag *diag)
{
    const crn_os *const os = crn_os_posix();
    crn_str path = {0};
    const char *given = NULL;
    char *real = NULL;
    if (!crn_node_to_text(item, "trainer.init.plugins", &given, diag))
        return NULL;
    path_from(crn_doc_file(doc), given, &path);
    if (crn_str_check(&path, NULL) != CAIRN_OK ||
        crn_grow(&plugins->paths, &plugins->path_capacity, plugins->path_count + 1,
                 sizeof *plugins->paths, NULL) != CAIRN_OK) {
        diag->is_failed = true;
        goto out;
    }
    const int e = os->real_path(os, path.text, &real);
    if (e == ENOENT)
        crn_diag_error(diag, item,
                       "there is no plugin '%s'; paths are relative to the folder of the "
                       "configuration",
                       path.text);
    else if (e != 0)
        crn_diag_error(diag, item, "the plugin '%s' cannot be read: %s", path.text, strerror(e));
    else
        plugins->paths[plugins->path_count++] = real;
out:
    crn_str_dispose(&path);
    return real;
}

static void load_one(crn_plugins *plugins, const crn_doc *doc, crn_node *item, crn_diag *diag)
{
    char problem[512];
    void *object = NULL;
    crn_function function = NULL;
    const char *const path = resolve(plugins, doc, item, diag);
    if (path == NULL)
        return;
    item->text = path; /* So that the resolved configuration works from anywhere. */
    if (!crn_object_load(path, &object, problem, sizeof problem)) {
        crn_diag_error(diag, item, "the plugin cannot be loaded: %s", problem);
        return;
    }
    function = crn_object_function(object, CAIRN_PLUGIN_SYMBOL);
    if (function == NULL) {
        crn_diag_error(diag, item,
                       "'%s' is no plugin: it has no function " CAIRN_PLUGIN_SYMBOL
                       " (cairn/plugin/plugin.h)",
                       path);
        return;
    }
    const cairn_plugin *(*get)(void) = (const cairn_plugin *(*)(void))function;
    (void)crn_plugins_add(plugins, get(), path, item, diag);
}

void crn_plugins_load(crn_plugins *plugins, const crn_doc *doc, crn_node *list, crn_diag *diag)
{
    if (crn_node_is_null(list))
        return;
    if (list->kind != CRN_NODE_LIST) {
        load_one(plugins, doc, list, diag);
        return;
    }
    for (crn_node *item = list->first; item != NULL; item = item->next)
        load_one(plugins, doc, item, diag);
}
