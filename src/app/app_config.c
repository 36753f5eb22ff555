#include "app/app_config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/keys.h"
#include "app/legacy.h"
#include "base/mem.h"
#include "base/try.h"
#include "os/os.h"
#include "train/run_schedule.h"

static const char *const k_verb_names[] = {"fit", "validate", "validate_all", NULL};

const char *crn_verb_name(crn_verb verb)
{
    return k_verb_names[verb];
}

/* ---- The file ---- */

cairn_status crn_app_config_read_file(const char *path, char **out_text, size_t *out_size,
                                      cairn_error *err)
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

void crn_app_config_assign(crn_doc *doc, const char *assignment, crn_diag *diag)
{
    static const char k_prefix[] = "trainer.";
    const crn_node *const list = crn_node_get(crn_doc_root(doc), "trainer");
    const char *const rest = assignment + sizeof k_prefix - 1;
    const bool is_for_all = list != NULL && list->kind == CRN_NODE_LIST &&
                            crn_starts_with(assignment, k_prefix) && (*rest < '0' || *rest > '9');
    for (size_t i = 0; is_for_all && i < list->count; i++) {
        crn_str one = {0};
        crn_str_printf(&one, "trainer.%zu.trainer.%s", i, rest);
        if (crn_str_check(&one, NULL) == CAIRN_OK)
            (void)crn_doc_set(doc, one.text, diag);
        else
            diag->is_failed = true;
        crn_str_dispose(&one);
    }
    if (!is_for_all)
        (void)crn_doc_set(doc, assignment, diag);
}

static cairn_status parse_file(const cairn_app_request *request, crn_doc **out_doc, crn_diag *diag,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char *text = NULL;
    size_t size = 0;
    CRN_TRY_PLAIN(crn_app_config_read_file(request->params_path, &text, &size, err));
    if (!crn_doc_parse_further(text, size, request->params_path, diag, out_doc) && *out_doc == NULL)
        goto out;
    if (crn_doc_root(*out_doc) == NULL && request->assignment_count == 0)
        crn_diag_error_at(diag, request->params_path, 0, 0,
                          "the file is empty; it needs a 'trainer' section (see the README for a "
                          "whole example)");
    for (size_t i = 0; i < request->assignment_count; i++)
        crn_app_config_assign(*out_doc, request->assignments[i], diag);
out:
    crn_free(text);
    return rc;
}

/* ---- Flags become values of the tree, so that they are in the resolved configuration ---- */

/* @path: of the trainer, such as "trainer.0.trainer". */
static void add_load_states(crn_doc *doc, crn_node *init, const char *path, const char *states,
                            crn_diag *diag)
{
    (void)crn_doc_ensure_list(doc, init, "callbacks", diag);
    crn_str assignment = {0};
    crn_str_printf(&assignment,
                   "%s.init.callbacks.LoadCheckpointStates.load_checkpoint_states=", path);
    crn_str_append_json(&assignment, states, strlen(states));
    if (assignment.text == NULL || assignment.is_failed)
        diag->is_failed = true;
    else
        (void)crn_doc_set_by_flag(doc, "--load_checkpoint_states", assignment.text, diag);
    crn_str_dispose(&assignment);
}

static void put_flag(crn_doc *doc, crn_node *map, const char *key, const char *value,
                     const char *flag, crn_diag *diag)
{
    crn_node *const node = crn_doc_put_text(doc, map, key, value, false, diag);
    if (node != NULL)
        node->origin = flag;
}

static void apply_flags(const cairn_app_request *request, crn_app_config *config, crn_node *trainer,
                        crn_node *init, const char *path, crn_diag *diag)
{
    crn_doc *const doc = config->doc;
    if (request->model_dir != NULL)
        put_flag(doc, init, "model_dir", request->model_dir, "--model_dir", diag);
    if (request->load_checkpoint_states != NULL)
        add_load_states(doc, init, path, request->load_checkpoint_states, diag);
    if (request->max_time != NULL) {
        crn_node *const loop = crn_doc_ensure_map(doc, init, "loop", diag);
        if (loop != NULL)
            put_flag(doc, loop, "max_time", request->max_time, "--max_time", diag);
    }
    for (size_t i = 0; request->checkpoint_path != NULL && i <= CRN_VERB_VALIDATE_ALL; i++) {
        crn_node *const section = crn_node_get(trainer, k_verb_names[i]);
        if (section != NULL && section->kind == CRN_NODE_MAP)
            put_flag(doc, section, i == CRN_VERB_VALIDATE_ALL ? "ckpt_paths" : "ckpt_path",
                     request->checkpoint_path, "--checkpoint_path", diag);
    }
}

/* ---- trainer, init and the verb's section ---- */

static void read_verb(crn_app_config *config, crn_node *trainer, crn_verb verb, crn_diag *diag)
{
    crn_node *section = crn_node_get(trainer, k_verb_names[verb]);
    if (section == NULL && verb != CRN_VERB_FIT)
        section = crn_node_get(trainer, k_verb_names[CRN_VERB_FIT]);
    if (section == NULL)
        crn_diag_error(diag, trainer, "the section trainer.%s is missing; `cairn %s` needs it",
                       k_verb_names[verb], k_verb_names[verb]);
    else
        crn_read_data(config, section, verb, diag);
}

/* The verb of a file that is looked at without one: the first that it has a section for. */
static crn_verb first_verb(const crn_node *trainer)
{
    for (int verb = CRN_VERB_FIT; verb <= CRN_VERB_VALIDATE_ALL; verb++) {
        if (!crn_node_is_null(crn_node_get(trainer, k_verb_names[verb])))
            return (crn_verb)verb;
    }
    return CRN_VERB_FIT;
}

/* The sections of other verbs: what they say is checked and completed, and nothing kept. */
static void read_other_verbs(const crn_app_config *config, crn_node *trainer, crn_verb except,
                             crn_diag *diag)
{
    for (int verb = CRN_VERB_FIT; verb <= CRN_VERB_VALIDATE_ALL; verb++) {
        crn_app_config other = {.doc = config->doc, .plugins = config->plugins};
        crn_node *const section = crn_node_get(trainer, k_verb_names[verb]);
        if ((crn_verb)verb == except || crn_node_is_null(section))
            continue;
        crn_read_data(&other, section, (crn_verb)verb, diag);
        other.doc = NULL; /* Both are the first one's. */
        other.plugins = (crn_plugins){0};
        crn_app_config_dispose(&other);
    }
}

/* Where what is wrong with the loop stands. */
static const crn_node *node_of(const crn_app_config *config, const char *option)
{
    crn_node *const init = crn_node_get(crn_node_get(config->root, "trainer"), "init");
    crn_node *const loop = crn_node_get(init, "loop");
    const crn_node *const node = option != NULL ? crn_node_get(loop, option) : NULL;
    if (node != NULL && !node->is_default)
        return node;
    return loop != NULL && !loop->is_default ? loop : init;
}

/* CAIRN_OK, or what is wrong and where. */
static cairn_status check_loop(const crn_app_config *config, uint64_t batches_per_epoch,
                               const crn_node **out_node, cairn_error *err)
{
    crn_run_schedule schedule = {0};
    const cairn_status rc =
        crn_run_schedule_make(&config->loop, config->checkpoint.steps, 0, batches_per_epoch,
                              config->val.count > 0, &schedule, err);
    *out_node = node_of(config, schedule.culprit);
    return rc;
}

cairn_status crn_app_config_check_loop(const crn_app_config *config, uint64_t batches_per_epoch,
                                       cairn_error *err)
{
    const crn_node *node = NULL;
    const cairn_status rc = check_loop(config, batches_per_epoch, &node, err);
    if (rc != CAIRN_OK && node->line > 0)
        crn_error_note(err, rc, __FILE__, __LINE__, "%s:%zu:%zu: trainer.init.loop", node->origin,
                       node->line, node->column);
    else if (rc != CAIRN_OK)
        crn_error_note(err, rc, __FILE__, __LINE__, "%s: trainer.init.loop", node->origin);
    return rc;
}

/* It may be meant, so it is told, not refused: a trial of a few steps, a rate that stays low. */
static void compare_schedule(const crn_scheduler_spec *spec, uint64_t steps, crn_diag *diag)
{
    cairn_scheduler *scheduler = NULL;
    uint64_t length = 0;
    if (crn_make_scheduler(spec, false, &scheduler, NULL) == CAIRN_OK &&
        cairn_scheduler_total_iters(scheduler, &length) && length != steps)
        crn_diag_notice(diag, spec->node,
                        "trainer.init.schedulers: %s is %" PRIu64 " steps long, the training "
                        "%" PRIu64 "%s",
                        spec->name, length, steps,
                        length < steps ? "; its last value holds for the rest" : "");
    cairn_scheduler_destroy(scheduler);
}

static void find_contradictions(const crn_app_config *config, crn_diag *diag)
{
    cairn_error err = {0};
    const crn_node *node = NULL;
    const cairn_loop_options *const loop = &config->loop;
    if (check_loop(config, 0, &node, &err) != CAIRN_OK) {
        crn_diag_error(diag, node, "trainer.init.loop: %s", err.frame[0].text);
        return;
    }
    const uint64_t in_all = loop->max_steps.is_set ? (uint64_t)loop->max_steps.value : UINT64_MAX;
    const uint64_t in_run = loop->num_steps.is_set ? (uint64_t)loop->num_steps.value : UINT64_MAX;
    const uint64_t steps = in_all < in_run ? in_all : in_run;
    if (steps == UINT64_MAX || loop->num_epochs.is_set || diag->error_count > 0)
        return; /* Epochs are as long as the data, which are not known yet. */
    for (size_t i = 0; i < config->schedulers.count; i++)
        compare_schedule(&config->schedulers.items[i], steps, diag);
}

/* @root: a map with the key "trainer"; @path: the way to its value. */
static void read_trainer(const cairn_app_request *request, crn_verb wanted, crn_node *root,
                         const char *path, crn_app_config *config, crn_diag *diag)
{
    crn_node *const trainer = crn_node_get(root, "trainer");
    const crn_verb verb = wanted == CRN_VERB_ANY ? first_verb(trainer) : wanted;
    config->root = root;
    if (!crn_key_table_check(&crn_trainer_keys, trainer, crn_trainer_keys.name, diag) &&
        trainer->kind != CRN_NODE_MAP)
        return;
    if (crn_node_is_null(crn_node_get(trainer, "init"))) {
        crn_diag_error(diag, trainer, "trainer.init is missing; it needs at least a model");
        return;
    }
    crn_node *const init = crn_doc_ensure_map(config->doc, trainer, "init", diag);
    if (init == NULL)
        return;
    apply_flags(request, config, trainer, init, path, diag);
    for (size_t i = 0; i < request->plugin_count; i++)
        (void)crn_plugins_add(&config->plugins, request->plugins[i], "a plugin of this program",
                              NULL, diag);
    crn_read_init(config, init, diag);
    if (verb == CRN_VERB_FIT && crn_node_is_null(crn_node_get(init, "optimizer")))
        crn_diag_error(diag, init,
                       "trainer.init.optimizer is missing; `cairn fit` needs one, such as AdamW");
    read_verb(config, trainer, verb, diag);
    if (wanted == CRN_VERB_ANY)
        read_other_verbs(config, trainer, verb, diag);
    if (verb == CRN_VERB_FIT && config->has_limits)
        find_contradictions(config, diag);
    if (request->resume)
        config->checkpoint.resume = true;
}

/* The process that starts attempts again sees the file as a whole. */
static void check_restarts(const crn_node *list, crn_diag *diag)
{
    size_t count = 0;
    const crn_node *without = NULL;
    for (const crn_node *item = list->first; item != NULL; item = item->next) {
        const crn_node *const init = crn_node_get(crn_node_get(item, "trainer"), "init");
        const bool has = !crn_node_is_null(crn_node_get(init, "autorestart"));
        count += has;
        without = has ? without : item;
    }
    if (count > 0 && without != NULL)
        crn_diag_error(diag, without,
                       "this trainer has no autorestart, but another has; all of a file or none");
}

static void read_several(const cairn_app_request *request, crn_verb verb, crn_node *list,
                         crn_app_configs *out, crn_diag *diag)
{
    for (crn_node *item = list->first; item != NULL; item = item->next) {
        char path[48];
        crn_app_config *const config = &out->items[out->count];
        (void)snprintf(path, sizeof path, "trainer.%zu.trainer", out->count);
        out->count++;
        config->doc = out->doc;
        if (crn_node_is_null(item) || item->kind != CRN_NODE_MAP ||
            crn_node_get(item, "trainer") == NULL)
            crn_diag_error(diag, item, "each trainer of the list must be '- trainer: {...}'");
        else if (crn_key_table_check(&crn_root_keys, item, "the trainer", diag) ||
                 item->kind == CRN_NODE_MAP)
            read_trainer(request, verb, item, path, config, diag);
    }
    check_restarts(list, diag);
}

/* A file of before the Trainer is not what it should be as a whole: one error, not one a key. */
static bool is_refused_as_a_whole(const crn_node *root, const char *path, crn_diag *diag)
{
    const crn_node *const runconfig = crn_node_get(root, "runconfig");
    if (crn_legacy_is(root))
        crn_diag_error(
            diag, root,
            "this file has the Model Zoo's layout of before the Trainer (%s at the top); "
            "convert it with `cairn config convert_legacy %s -o NEW.yaml`",
            root->first->name, path);
    else if (!crn_node_is_null(runconfig))
        crn_diag_error(diag, runconfig,
                       "runconfig beside a trainer is not read here; give its options as flags or "
                       "--set, or put them into trainer.init");
    else
        return false;
    return true;
}

static void read_trainers(const cairn_app_request *request, crn_verb verb, crn_app_configs *out,
                          crn_diag *diag)
{
    crn_node *const root = crn_doc_root(out->doc);
    if (is_refused_as_a_whole(root, request->params_path, diag))
        return;
    if (!crn_key_table_check(&crn_root_keys, root, crn_root_keys.name, diag) &&
        root->kind != CRN_NODE_MAP)
        return;
    crn_node *const trainer = crn_node_get(root, "trainer");
    const bool is_list = trainer != NULL && trainer->kind == CRN_NODE_LIST;
    if (trainer == NULL || (is_list && trainer->count == 0)) {
        crn_diag_error(diag, root, "the 'trainer' section is missing");
        return;
    }
    out->items = crn_calloc(is_list ? trainer->count : 1, sizeof *out->items);
    if (out->items == NULL) {
        diag->is_failed = true;
        return;
    }
    if (is_list) {
        read_several(request, verb, trainer, out, diag);
        return;
    }
    out->count = 1;
    out->items[0].doc = out->doc;
    read_trainer(request, verb, root, "trainer", &out->items[0], diag);
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

cairn_status crn_app_config_conclude(const cairn_log *log, const char *path, const crn_diag *diag,
                                     cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    log_problems(log, diag);
    if (!diag->is_failed && diag->error_count > 1)
        CRN_FAIL(err, CAIRN_ECONFIG, "%s has %zu errors, listed above", path, diag->error_count);
    CRN_TRY_PLAIN(crn_diag_check(diag, err));
out:
    return rc;
}

cairn_status crn_app_configs_look(const cairn_app_request *request, crn_verb verb,
                                  crn_app_configs *out, crn_diag *diag, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    *out = (crn_app_configs){0};
    CRN_TRY_PLAIN(parse_file(request, &out->doc, diag, err));
    if (out->doc != NULL && crn_doc_root(out->doc) != NULL && !diag->is_failed)
        read_trainers(request, verb, out, diag);
    crn_diag_sort(diag);
out:
    return rc;
}

cairn_status crn_app_configs_read(const cairn_app_request *request, crn_verb verb,
                                  crn_app_configs *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_diag diag = {0};
    CRN_TRY_PLAIN(crn_app_configs_look(request, verb, out, &diag, err));
    CRN_TRY_PLAIN(crn_app_config_conclude(request->log, request->params_path, &diag, err));
out:
    crn_diag_dispose(&diag);
    return rc;
}

void crn_app_configs_dispose(crn_app_configs *configs)
{
    for (size_t i = 0; i < configs->count; i++) {
        configs->items[i].doc = NULL; /* All of them have the same. */
        crn_app_config_dispose(&configs->items[i]);
    }
    crn_free(configs->items);
    crn_doc_destroy(configs->doc);
    *configs = (crn_app_configs){0};
}

cairn_status crn_app_config_read_model(const char *params_json, const char *file,
                                       crn_app_config *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_diag diag = {0};
    bool has_plugins = false;
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
        has_plugins = !crn_node_is_null(crn_node_get(crn_node_get(trainer, "init"), "plugins"));
    }
    CRN_TRY(err, crn_diag_check(&diag, err),
            has_plugins ? "the parameters kept in the checkpoint (it was trained with plugins, "
                          "which are not loaded because a file names them)"
                        : "the parameters kept in the checkpoint");
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

void crn_app_config_dispose(crn_app_config *config)
{
    crn_free(config->model.options);
    crn_free(config->optimizer.options);
    crn_free(config->train.options);
    crn_free(config->ckpt_paths);
    crn_param_filters_dispose(&config->param_filters);
    crn_scheduler_specs_dispose(&config->schedulers);
    choices_dispose(&config->callbacks);
    choices_dispose(&config->loggers);
    choices_dispose(&config->val);
    crn_doc_destroy(config->doc);
    crn_plugins_dispose(&config->plugins);
    *config = (crn_app_config){0};
}
