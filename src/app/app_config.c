#include "app/app_config.h"

#include <errno.h>
#include <string.h>

#include "app/keys.h"
#include "base/mem.h"
#include "base/try.h"
#include "os/os.h"

static const char *const k_verb_names[] = {"fit", "validate"};

/* ---- The file ---- */

static cairn_status read_file(const char *path, char **out_text, size_t *out_size, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const int e =
        crn_os_read_file(crn_os_posix(), CRN_OS_CWD, path, CRN_DOC_BYTES_MAX, out_text, out_size);
    if (e == EFBIG)
        CRN_FAIL(err, CAIRN_ECONFIG, "the configuration '%s' is larger than %d bytes", path,
                 (int)CRN_DOC_BYTES_MAX);
    if (e != 0)
        rc = crn_error_set(err, CAIRN_ECONFIG, e, __FILE__, __LINE__,
                           "cannot read the configuration '%s'", path);
out:
    return rc;
}

static cairn_status parse_file(const cairn_app_request *request, crn_app_config *config,
                               crn_diag *diag, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char *text = NULL;
    size_t size = 0;
    CRN_TRY_PLAIN(read_file(request->params_path, &text, &size, err));
    if (!crn_doc_parse(text, size, request->params_path, diag, &config->doc))
        goto out;
    if (crn_doc_root(config->doc) == NULL && request->assignment_count == 0)
        crn_diag_error_at(diag, request->params_path, 0, 0,
                          "the file is empty; it needs a 'trainer' section (see the README for a "
                          "whole example)");
    for (size_t i = 0; i < request->assignment_count; i++)
        (void)crn_doc_set(config->doc, request->assignments[i], diag);
out:
    crn_free(text);
    return rc;
}

/* ---- Flags become values of the tree, so that they are in the resolved configuration ---- */

static void add_load_states(crn_doc *doc, crn_node *init, const char *states, crn_diag *diag)
{
    (void)crn_doc_ensure_list(doc, init, "callbacks", diag);
    crn_str assignment = {0};
    crn_str_append(&assignment,
                   "trainer.init.callbacks.LoadCheckpointStates.load_checkpoint_states=");
    crn_str_append_json(&assignment, states, strlen(states));
    if (assignment.text == NULL || assignment.is_failed)
        diag->is_failed = true;
    else
        (void)crn_doc_set(doc, assignment.text, diag);
    crn_str_dispose(&assignment);
}

static void apply_flags(const cairn_app_request *request, crn_app_config *config, crn_node *trainer,
                        crn_node *init, crn_diag *diag)
{
    if (request->model_dir != NULL)
        (void)crn_doc_put_text(config->doc, init, "model_dir", request->model_dir, false, diag);
    if (request->load_checkpoint_states != NULL)
        add_load_states(config->doc, init, request->load_checkpoint_states, diag);
    for (size_t i = 0; request->checkpoint_path != NULL && i < 2; i++) {
        crn_node *const section = crn_node_get(trainer, k_verb_names[i]);
        if (section != NULL)
            (void)crn_doc_put_text(config->doc, section, "ckpt_path", request->checkpoint_path,
                                   false, diag);
    }
}

/* ---- trainer, init and the verb's section ---- */

static void read_trainer(const cairn_app_request *request, crn_verb verb, crn_app_config *config,
                         crn_diag *diag)
{
    crn_node *const root = crn_doc_root(config->doc);
    if (!crn_key_table_check(&crn_root_keys, root, crn_root_keys.name, diag))
        return;
    crn_node *const trainer = crn_node_get(root, "trainer");
    if (trainer == NULL) {
        crn_diag_error(diag, root, "the 'trainer' section is missing");
        return;
    }
    if (trainer->kind == CRN_NODE_LIST) {
        crn_diag_error(diag, trainer, "this version runs one trainer a file, not a list of them");
        return;
    }
    if (!crn_key_table_check(&crn_trainer_keys, trainer, crn_trainer_keys.name, diag))
        return;
    if (crn_node_is_null(crn_node_get(trainer, "init"))) {
        crn_diag_error(diag, trainer, "trainer.init is missing; it needs at least a model");
        return;
    }
    crn_node *const init = crn_doc_ensure_map(config->doc, trainer, "init", diag);
    if (init == NULL)
        return;
    apply_flags(request, config, trainer, init, diag);
    crn_read_init(config, init, diag);
    if (verb == CRN_VERB_FIT && crn_node_is_null(crn_node_get(init, "optimizer")))
        crn_diag_error(diag, init,
                       "trainer.init.optimizer is missing; `cairn fit` needs one, such as AdamW");
    crn_node *section = crn_node_get(trainer, k_verb_names[verb]);
    if (section == NULL && verb == CRN_VERB_VALIDATE)
        section = crn_node_get(trainer, k_verb_names[CRN_VERB_FIT]);
    if (section == NULL)
        crn_diag_error(diag, trainer, "the section trainer.%s is missing; `cairn %s` needs it",
                       k_verb_names[verb], k_verb_names[verb]);
    else
        crn_read_data(config, section, verb, diag);
}

/* ---- What was found ---- */

static void log_problems(const cairn_log *log, const crn_diag *diag)
{
    const bool has_many = diag->error_count > 1;
    for (size_t i = 0; i < diag->count; i++) {
        const crn_problem *const problem = &diag->problems[i];
        const bool is_error = problem->severity == CRN_SEVERITY_ERROR;
        crn_str text = {0};
        if (is_error && !has_many)
            continue; /* It becomes the call's own error. */
        crn_problem_format(problem, &text);
        if (text.text != NULL)
            cairn_log_message(log, is_error ? CAIRN_LOG_ERROR : CAIRN_LOG_INFO, "%s", text.text);
        crn_str_dispose(&text);
    }
}

static cairn_status conclude(const cairn_app_request *request, const crn_diag *diag,
                             cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    log_problems(request->log, diag);
    if (!diag->is_failed && diag->error_count > 1)
        CRN_FAIL(err, CAIRN_ECONFIG, "%s has %zu errors, listed above", request->params_path,
                 diag->error_count);
    CRN_TRY_PLAIN(crn_diag_check(diag, err));
out:
    return rc;
}

cairn_status crn_app_config_read(const cairn_app_request *request, crn_verb verb,
                                 crn_app_config *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_diag diag = {0};
    *out = (crn_app_config){0};
    CRN_TRY_PLAIN(parse_file(request, out, &diag, err));
    if (diag.error_count == 0 && !diag.is_failed)
        read_trainer(request, verb, out, &diag);
    if (request->resume)
        out->checkpoint.resume = true;
    CRN_TRY_PLAIN(conclude(request, &diag, err));
out:
    crn_diag_dispose(&diag);
    return rc;
}

cairn_status crn_app_config_read_model(const char *params_json, const char *file,
                                       crn_app_config *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_diag diag = {0};
    *out = (crn_app_config){0};
    if (crn_doc_parse(params_json, strlen(params_json), file, &diag, &out->doc)) {
        crn_node *const trainer = crn_node_get(crn_doc_root(out->doc), "trainer");
        crn_node *const model = crn_node_get(crn_node_get(trainer, "init"), "model");
        crn_node *const name = crn_node_get(model, "name");
        if (name == NULL)
            crn_diag_error_at(&diag, file, 0, 0, "the parameters in it name no model");
        else
            (void)crn_registry_read(&crn_models, name->text, out->doc, name, model,
                                    "trainer.init.model", &out->model, &diag);
    }
    CRN_TRY(err, crn_diag_check(&diag, err), "the parameters kept in the checkpoint");
out:
    crn_diag_dispose(&diag);
    return rc;
}

static void choices_dispose(crn_choice_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        crn_free(list->items[i].options);
    crn_free(list->items);
}

static void schedulers_dispose(crn_scheduler_spec *specs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        /* Depth is bounded by the document's. */
        schedulers_dispose(specs[i].children, specs[i].child_count);
        crn_free(specs[i].choice.options);
        crn_free(specs[i].milestones);
    }
    crn_free(specs);
}

void crn_app_config_dispose(crn_app_config *config)
{
    crn_free(config->model.options);
    crn_free(config->optimizer.options);
    crn_free(config->train.options);
    schedulers_dispose(config->schedulers, config->scheduler_count);
    choices_dispose(&config->callbacks);
    choices_dispose(&config->loggers);
    choices_dispose(&config->val);
    crn_doc_destroy(config->doc);
    *config = (crn_app_config){0};
}
