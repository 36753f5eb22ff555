/* A first look at a configuration, for the process that will only supervise. */
#include <string.h>

#include "app/app_config.h"
#include "base/mem.h"
#include "os/os.h"

/* @init is trainer.init of one trainer; its restarts, 0 for none or an error. Raises *backoff to
 * its own. */
static uint64_t restarts_of(crn_doc *doc, crn_node *init, double *backoff, crn_diag *diag)
{
    cairn_autorestart_options options;
    crn_node *const node = crn_node_get(init, "autorestart");
    if (crn_node_is_null(node) ||
        !crn_section_read(crn_section_find("autorestart"), NULL, doc, node, &options, diag))
        return 0;
    *backoff = options.backoff > *backoff ? options.backoff : *backoff;
    return (uint64_t)options.max_num_restarts;
}

static crn_doc *parse(const cairn_app_request *request, const crn_peek *peek, crn_diag *diag)
{
    crn_doc *doc = NULL;
    if (!crn_doc_parse(peek->text, peek->size, request->params_path, diag, &doc))
        return NULL;
    for (size_t i = 0; i < request->assignment_count; i++)
        crn_app_config_assign(doc, request->assignments[i], diag);
    return doc;
}

/* The least of all trainers of a list, and the longest wait: all have it or none. */
static uint64_t restarts_of_all(crn_doc *doc, crn_node *trainer, double *backoff, crn_diag *diag)
{
    uint64_t least = UINT64_MAX;
    if (trainer == NULL || trainer->kind != CRN_NODE_LIST)
        return restarts_of(doc, crn_node_get(trainer, "init"), backoff, diag);
    for (crn_node *item = trainer->first; item != NULL; item = item->next) {
        crn_node *const init = crn_node_get(crn_node_get(item, "trainer"), "init");
        const uint64_t restarts = restarts_of(doc, init, backoff, diag);
        least = restarts < least ? restarts : least;
    }
    return trainer->count > 0 ? least : 0;
}

static const char *model_dir_of(const cairn_app_request *request, const crn_node *trainer)
{
    if (trainer != NULL && trainer->kind == CRN_NODE_LIST)
        trainer = crn_node_get(trainer->first, "trainer");
    const crn_node *const node = crn_node_get(crn_node_get(trainer, "init"), "model_dir");
    if (request->model_dir != NULL)
        return request->model_dir;
    return !crn_node_is_null(node) && node->text[0] != '\0' ? node->text : "./model_dir";
}

void crn_app_config_peek(const cairn_app_request *request, crn_peek *out)
{
    crn_diag diag = {0};
    crn_doc *doc = NULL;
    *out = (crn_peek){0};
    if (crn_os_read_file(crn_os_posix(), CRN_OS_CWD, request->params_path, CRN_DOC_BYTES_MAX,
                         &out->text, &out->size) == 0)
        doc = parse(request, out, &diag);
    if (doc != NULL) {
        crn_node *const trainer = crn_node_get(crn_doc_root(doc), "trainer");
        out->model_dir = crn_strdup(model_dir_of(request, trainer));
        if (out->model_dir != NULL)
            out->max_num_restarts = restarts_of_all(doc, trainer, &out->backoff, &diag);
    }
    crn_doc_destroy(doc);
    crn_diag_dispose(&diag);
}

void crn_peek_dispose(crn_peek *peek)
{
    crn_free(peek->model_dir);
    crn_free(peek->text);
    *peek = (crn_peek){0};
}
