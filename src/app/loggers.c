/*
 * trainer.init.loggers: a list of classes, as the Model Zoo's. Those that every run has are added
 * behind it unless it names them; "- Name: null" leaves one out.
 */
#include <stdio.h>

#include "app/app_config.h"
#include "base/mem.h"

enum { INJECTED_COUNT = 2, WHERE_SIZE = 200 };

static const char k_where[] = "trainer.init.loggers";
static const char *const k_injected[INJECTED_COUNT] = {"ProgressLogger", "TensorBoardLogger"};

/* Takes the options of @choice. */
static void add(crn_app_config *config, crn_choice choice, crn_diag *diag)
{
    if (choice.class == NULL || !crn_choice_list_add(&config->loggers, choice, diag))
        crn_free(choice.options);
}

static void read_logger(crn_app_config *config, crn_node *item, bool is_named[INJECTED_COUNT],
                        crn_diag *diag)
{
    const bool is_bare = item->kind == CRN_NODE_TEXT; /* "- ProgressLogger" asks for it */
    const char *name = NULL;
    crn_node *args = NULL;
    crn_choice choice = {0};
    char where[WHERE_SIZE];
    if (!crn_node_class(config->doc, item, k_where, &name, &args, diag))
        return;
    if (is_bare) /* So that the resolved configuration says the same. */
        args = crn_doc_ensure_map(config->doc, item, name, diag);
    for (size_t i = 0; i < INJECTED_COUNT; i++)
        is_named[i] = is_named[i] || crn_names_equal(name, k_injected[i]);
    (void)snprintf(where, sizeof where, "%s.%s", k_where, name);
    const crn_registry loggers = crn_plugins_registry(&config->plugins, CAIRN_PLUGIN_KIND_LOGGER);
    if (crn_node_is_null(args))
        (void)crn_registry_choose(&loggers, name, item, k_where, &choice, diag);
    else if (crn_registry_read(&loggers, name, config->doc, item, args, where, &choice, diag))
        add(config, choice, diag);
    else
        crn_free(choice.options);
}

void crn_read_loggers(crn_app_config *config, crn_node *init, crn_diag *diag)
{
    crn_node *const list = crn_node_get(init, "loggers");
    bool is_named[INJECTED_COUNT] = {false};
    if (!crn_node_is_null(list) && list->kind != CRN_NODE_LIST) {
        crn_diag_error(diag, list, "%s must be a list, such as '- TensorBoardLogger: {}'", k_where);
        return;
    }
    for (crn_node *item = list != NULL ? list->first : NULL; item != NULL; item = item->next)
        read_logger(config, item, is_named, diag);
    for (size_t i = 0; i < INJECTED_COUNT; i++) {
        crn_choice choice = {0};
        if (!is_named[i] && crn_registry_read(&crn_loggers, k_injected[i], config->doc, init, NULL,
                                              k_where, &choice, diag))
            add(config, choice, diag);
    }
}
