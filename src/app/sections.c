/* Reads trainer.init and the verb's section into a crn_app_config. */
#include <string.h>

#include "app/app_config.h"
#include "app/keys.h"
#include "base/mem.h"

bool crn_choice_list_add(crn_choice_list *list, crn_choice choice, crn_diag *diag)
{
    if (crn_grow(&list->items, &list->capacity, list->count + 1, sizeof *list->items, NULL) !=
        CAIRN_OK) {
        diag->is_failed = true;
        return false;
    }
    list->items[list->count++] = choice;
    return true;
}

static void read_section(crn_app_config *config, crn_node *parent, const char *key, void *out,
                         crn_diag *diag)
{
    char where[CRN_PLACE_SIZE];
    crn_node *const node = crn_doc_ensure_map(config->doc, parent, key, diag);
    const crn_section *const section = crn_section_find(key);
    crn_where_join(where, "trainer.init", key);
    if (node != NULL)
        (void)crn_section_read(section, where, config->doc, node, out, diag);
    else
        crn_section_defaults(section, out);
}

/* ---- Model, optimizer, clipping ---- */

/* As the Model Zoo's is_mup (common/utils/model/mup_utils.py 2.10): a model that sets factors of
 * learning rates. */
static bool is_mup(const crn_node *model)
{
    static const char k_keys[] = "mup_base_";
    for (const crn_node *item = model->first; item != NULL; item = item->next)
        if (strncmp(item->name, k_keys, strlen(k_keys)) == 0 && !crn_node_is_null(item))
            return true;
    return false;
}

/* Options that are good each and cannot be together. A plugin's model is made once only. */
static void check_model(const crn_app_config *config, const crn_node *node, crn_diag *diag)
{
    cairn_error err = {0};
    cairn_model model = {0};
    if (config->model.class == NULL || crn_plugin_owns(config->model.class))
        return;
    const cairn_status status = config->model.class->make(config->model.options, &model, &err);
    if (status == CAIRN_OK)
        model.ops->destroy(model.self);
    else if (status == CAIRN_ENOMEM)
        diag->is_failed = true;
    else
        crn_diag_error(diag, node, "trainer.init.model: %s", err.frame[0].text);
}

static void read_model(crn_app_config *config, crn_node *init, crn_diag *diag)
{
    crn_node *const model = crn_node_get(init, "model");
    const crn_node *name = crn_node_get(model, "name");
    if (name == NULL)
        name = crn_node_get(model, "model_name");
    if (model == NULL || model->kind != CRN_NODE_MAP || name == NULL) {
        crn_diag_error(diag, model != NULL ? model : init,
                       "trainer.init.model needs a name, such as gpt2");
        return;
    }
    const crn_registry models = crn_plugins_registry(&config->plugins, CAIRN_PLUGIN_KIND_MODEL);
    if (crn_registry_read(&models, name->text, config->doc, model, model, "trainer.init.model",
                          &config->model, diag))
        check_model(config, model, diag);
    config->param_filters.has_factors = is_mup(model);
}

/* One that cannot be made is reported at its place in the file. */
static void check_optimizer(const crn_app_config *config, const crn_node *node, crn_diag *diag)
{
    cairn_error err = {0};
    cairn_optimizer optimizer = {0};
    if (config->optimizer.class == NULL)
        return;
    const cairn_status status =
        config->optimizer.class->make(config->optimizer.options, &optimizer, &err);
    if (status == CAIRN_OK)
        optimizer.ops->destroy(optimizer.self);
    else if (status == CAIRN_ENOMEM)
        diag->is_failed = true;
    else
        crn_diag_error(diag, node, "trainer.init.optimizer: %s", err.frame[0].text);
}

static void read_optimizer(crn_app_config *config, crn_node *init, crn_diag *diag)
{
    crn_node *const node = crn_node_get(init, "optimizer");
    const char *name = NULL;
    crn_node *args = NULL;
    char where[CRN_PLACE_SIZE];
    if (crn_node_is_null(node) ||
        !crn_node_class(config->doc, node, "trainer.init.optimizer", &name, &args, diag))
        return;
    const crn_registry optimizers =
        crn_plugins_registry(&config->plugins, CAIRN_PLUGIN_KIND_OPTIMIZER);
    crn_where_join(where, "trainer.init.optimizer", name);
    if (!crn_registry_read(&optimizers, name, config->doc, node, args, where, &config->optimizer,
                           diag))
        return;
    crn_read_param_filters(args, where, &config->param_filters, diag);
    check_optimizer(config, node, diag);
}

static void check_clipping(const crn_app_config *config, const crn_node *init, crn_diag *diag)
{
    const cairn_precision_options *const precision = &config->precision;
    const crn_node *const node = crn_node_get(init, "precision");
    if (precision->max_gradient_norm.is_set && precision->max_gradient_value.is_set)
        crn_diag_error(diag, crn_node_get(node, "max_gradient_value"),
                       "trainer.init.precision: gradients are clipped by max_gradient_norm or "
                       "max_gradient_value, not by both");
}

/* ---- Callbacks ---- */

/* What the Model Zoo adds to every run. Its ModelZooParamsMetadata and DumpAvailableTensorNames are
 * known, but there is nothing for them to do. */
static const char *const k_injected[] = {
    "CheckLoss",        "LogOptimizerParamGroup", "ComputeNorm",
    "ModelEvalMetrics", "RateProfiler",           "DurationProfiler",
    "FlopUtilization",  "SavePerformanceData",    "SamplesStreamedInfo"};
static const char *const k_needless[] = {"ModelZooParamsMetadata", "DumpAvailableTensorNames"};
enum {
    INJECTED = sizeof k_injected / sizeof k_injected[0],
    NEEDLESS = sizeof k_needless / sizeof k_needless[0]
};

/* Likewise. */
static void check_callback(const crn_choice *choice, const crn_node *node, crn_diag *diag)
{
    cairn_error err = {0};
    cairn_callback callback = {0};
    if (choice->class == NULL || crn_plugin_owns(choice->class))
        return;
    const cairn_status status = choice->class->make(choice->options, &callback, &err);
    if (status == CAIRN_ENOMEM)
        diag->is_failed = true;
    else if (status != CAIRN_OK)
        crn_diag_error(diag, node, "trainer.init.callbacks: %s", err.frame[0].text);
    else if (callback.ops->destroy != NULL)
        callback.ops->destroy(callback.self);
}

/* Adds the callback, unless it is one that is left out. */
static void add_callback(crn_app_config *config, crn_choice choice, crn_diag *diag)
{
    if (choice.class == NULL || !crn_choice_list_add(&config->callbacks, choice, diag))
        crn_free(choice.options);
}

static void read_callback(crn_app_config *config, crn_node *item, bool is_listed[INJECTED],
                          crn_diag *diag)
{
    static const char k_where[] = "trainer.init.callbacks";
    const char *name = NULL;
    crn_node *args = NULL;
    crn_choice choice = {0};
    char where[CRN_PLACE_SIZE];
    const bool is_bare = item->kind == CRN_NODE_TEXT; /* "- Name" asks for it with its defaults */
    if (!crn_node_class(config->doc, item, k_where, &name, &args, diag))
        return;
    const int injected = crn_names_find(name, k_injected, INJECTED);
    if (injected >= 0)
        is_listed[injected] = true;
    if ((injected >= 0 || crn_names_find(name, k_needless, NEEDLESS) >= 0) && !is_bare &&
        crn_node_is_null(args))
        return;  /* "- Name: null" removes what would be injected. */
    if (is_bare) /* So that the resolved configuration does not say that. */
        args = crn_doc_ensure_map(config->doc, item, name, diag);
    crn_where_join(where, k_where, name);
    const crn_registry callbacks =
        crn_plugins_registry(&config->plugins, CAIRN_PLUGIN_KIND_CALLBACK);
    if (!crn_is_flags(name)) {
        if (crn_registry_read(&callbacks, name, config->doc, item, args, where, &choice, diag))
            check_callback(&choice, item, diag);
    } else if (crn_registry_choose(&callbacks, name, item, where, &choice, diag)) {
        (void)crn_read_flags(name, args, where, &choice.options, diag);
    }
    add_callback(config, choice, diag);
}

static void read_callbacks(crn_app_config *config, crn_node *init, crn_diag *diag)
{
    crn_node *const list = crn_node_get(init, "callbacks");
    bool is_listed[INJECTED] = {false};
    if (!crn_node_is_null(list) && list->kind != CRN_NODE_LIST) {
        crn_diag_error(diag, list,
                       "trainer.init.callbacks must be a list, such as "
                       "'- KeepNCheckpoints: {n: 3}'");
        return;
    }
    for (crn_node *item = list != NULL ? list->first : NULL; item != NULL; item = item->next)
        read_callback(config, item, is_listed, diag);
    for (size_t i = 0; i < INJECTED; i++) {
        crn_choice choice = {0};
        if (!is_listed[i] &&
            crn_registry_default(&crn_callbacks, k_injected[i], init, &choice, diag))
            add_callback(config, choice, diag);
    }
}

/* ---- init ---- */

static void read_scalars(crn_app_config *config, crn_node *init, crn_diag *diag)
{
    const crn_node *const seed = crn_node_get(init, "seed");
    const crn_node *const dir = crn_node_get(init, "model_dir");
    config->model_dir = "./model_dir";
    if (!crn_node_is_null(dir))
        (void)crn_node_to_text(dir, "trainer.init.model_dir", &config->model_dir, diag);
    if (!crn_node_is_null(seed) &&
        crn_node_to_int(seed, "trainer.init.seed", 0, INT64_MAX, "", &config->seed.value, diag))
        config->seed.is_set = true;
}

static void notice_device(const crn_node *node, crn_diag *diag)
{
    if (crn_node_is_null(node) || node->is_default)
        return;
    if (node->kind == CRN_NODE_TEXT && crn_names_equal(node->text, "CPU"))
        return;
    crn_diag_notice(diag, node, "%s: this version computes on the CPU", node->name);
}

/* Nothing of it acts: there is one device. */
static void read_backend(crn_app_config *config, crn_node *init, crn_diag *diag)
{
    cairn_backend_options options;
    const crn_node *const backend = crn_node_get(init, "backend");
    if (crn_node_is_null(backend))
        return;
    read_section(config, init, "backend", &options, diag);
    notice_device(crn_node_get(backend, "backend_type"), diag);
}

/* Of a loss scale that never changes. */
static void notice_limits(const cairn_precision_options *o, const crn_node *node, crn_diag *diag)
{
    const struct {
        const char *key;
        bool is_set;
    } limits[] = {{"initial_loss_scale", o->initial_loss_scale.is_set},
                  {"min_loss_scale", o->min_loss_scale.is_set},
                  {"max_loss_scale", o->max_loss_scale.is_set}};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        if (limits[i].is_set)
            crn_diag_notice(diag, crn_node_get(node, limits[i].key),
                            "precision.%s has no effect without a dynamic loss scale",
                            limits[i].key);
    }
}

static void notice_precision(const crn_app_config *config, const crn_node *node, crn_diag *diag)
{
    const cairn_precision_options *const o = &config->precision;
    const char *const factor = o->loss_scaling_factor;
    double number = 1.0;
    const bool is_bf16 = strcmp(o->fp16_type, "bfloat16") == 0;
    if (o->enabled && !is_bf16)
        crn_diag_notice(diag, crn_node_get(node, "enabled"),
                        "precision: this version computes in float32, not in %s", o->fp16_type);
    if (is_bf16 && factor != NULL && !(crn_f64_from_text(factor, &number) && number == 1.0))
        crn_diag_notice(diag, crn_node_get(node, "loss_scaling_factor"),
                        "precision.loss_scaling_factor has no effect with fp16_type bfloat16, "
                        "which has the range of float32");
    if (is_bf16 || factor == NULL || strcmp(factor, "dynamic") != 0)
        notice_limits(o, node, diag);
}

static void refuse_lacking(const crn_node *init, crn_diag *diag)
{
    for (size_t i = 0; i < crn_init_keys.count; i++) {
        const crn_key *const key = &crn_init_keys.keys[i];
        const crn_node *const node = crn_node_get(init, key->name);
        if (key->kind == CRN_KEY_LACKING && !crn_node_is_null(node))
            crn_diag_error_at(diag, node->origin, node->key_line, node->key_column,
                              "trainer.init.%s: this version lacks %s", key->name, key->help);
    }
}

/* A time limit alone, which a flag may have put there, says nothing of when training is done. */
static bool is_loop_given(const crn_node *loop)
{
    if (crn_node_is_null(loop) || loop->kind != CRN_NODE_MAP)
        return !crn_node_is_null(loop);
    return !(loop->count == 1 && crn_node_get(loop, "max_time") != NULL);
}

void crn_read_init(crn_app_config *config, crn_node *init, crn_diag *diag)
{
    (void)crn_key_table_check(&crn_init_keys, init, "trainer.init", diag);
    const bool has_loop = is_loop_given(crn_node_get(init, "loop"));
    read_scalars(config, init, diag);
    crn_plugins_load(&config->plugins, config->doc, crn_node_get(init, "plugins"), diag);
    notice_device(crn_node_get(init, "device"), diag);
    read_backend(config, init, diag);
    refuse_lacking(init, diag);
    if (!crn_node_is_null(crn_node_get(init, "autorestart")))
        read_section(config, init, "autorestart", &config->autorestart, diag);
    read_model(config, init, diag);
    read_optimizer(config, init, diag);
    crn_read_schedulers(config->doc, crn_node_get(init, "schedulers"), &config->param_filters,
                        &config->schedulers, diag);
    read_section(config, init, "precision", &config->precision, diag);
    check_clipping(config, init, diag);
    const size_t errors_before = diag->error_count;
    read_section(config, init, "loop", &config->loop, diag);
    read_section(config, init, "checkpoint", &config->checkpoint, diag);
    config->has_limits = diag->error_count == errors_before;
    read_section(config, init, "logging", &config->logging, diag);
    if (!has_loop)
        config->loop.num_epochs = cairn_int(1); /* As TrainingLoop(num_epochs=1) in the original. */
    notice_precision(config, crn_node_get(init, "precision"), diag);
    read_callbacks(config, init, diag);
    crn_read_loggers(config, init, diag);
}

/* ---- fit and validate ---- */

static void read_loader(crn_app_config *config, crn_node *node, const char *where, crn_choice *out,
                        crn_diag *diag)
{
    if (node->kind != CRN_NODE_MAP) {
        crn_diag_error(diag, node, "%s must be a map with the options of a data processor", where);
        return;
    }
    const crn_node *const name = crn_node_get(node, "data_processor");
    const crn_registry processors = crn_plugins_registry(&config->plugins, CAIRN_PLUGIN_KIND_DATA);
    (void)crn_registry_read(&processors, name != NULL ? name->text : "TextDataProcessor",
                            config->doc, node, node, where, out, diag);
}

static void read_val(crn_app_config *config, crn_node *node, const char *where, crn_diag *diag)
{
    crn_node *item = node;
    if (crn_node_is_null(node))
        return;
    if (node->kind == CRN_NODE_LIST)
        item = node->first;
    for (; item != NULL; item = node->kind == CRN_NODE_LIST ? item->next : NULL) {
        crn_choice choice = {0};
        read_loader(config, item, where, &choice, diag);
        if (choice.class == NULL || !crn_choice_list_add(&config->val, choice, diag))
            crn_free(choice.options);
    }
}

static void read_ckpt(crn_app_config *config, const crn_node *section, const char *where,
                      crn_diag *diag)
{
    const crn_node *const node = crn_node_get(section, "ckpt_path");
    if (node == NULL)
        return;
    config->ckpt.kind = CAIRN_CKPT_NULL;
    if (crn_node_is_null(node) || !crn_node_to_text(node, where, &config->ckpt.path, diag))
        return;
    if (config->ckpt.path[0] != '\0') /* Empty is null, as in the original. */
        config->ckpt.kind = CAIRN_CKPT_PATH;
}

/* ckpt_paths of validate_all: absent, null, one pattern or several. */
static void read_ckpt_paths(crn_app_config *config, const crn_node *section, crn_diag *diag)
{
    static const char k_where[] = "trainer.validate_all.ckpt_paths";
    const crn_node *const node = crn_node_get(section, "ckpt_paths");
    const char *text = NULL;
    if (node == NULL)
        return;
    config->ckpts.kind = CAIRN_CKPT_NULL;
    if (crn_node_is_null(node))
        return;
    const bool is_list = node->kind == CRN_NODE_LIST;
    config->ckpt_paths = crn_calloc(is_list ? node->count : 1, sizeof *config->ckpt_paths);
    if (config->ckpt_paths == NULL) {
        diag->is_failed = true;
        return;
    }
    for (const crn_node *item = is_list ? node->first : node; item != NULL;
         item = is_list ? item->next : NULL) {
        if (crn_node_to_text(item, k_where, &text, diag) && text[0] != '\0')
            config->ckpt_paths[config->ckpts.count++] = text;
    }
    config->ckpts.paths = config->ckpt_paths;
    if (config->ckpts.count > 0) /* Empty is null, as in the original. */
        config->ckpts.kind = CAIRN_CKPT_PATH;
}

/* The keys that the section of each verb may have. */
static bool check_keys(const crn_node *section, const char *place, crn_diag *diag)
{
    const crn_key_table *const table = strcmp(section->name, "validate_all") == 0
                                           ? &crn_validate_all_keys
                                       : strcmp(section->name, "fit") == 0 ? &crn_fit_keys
                                                                           : &crn_validate_keys;
    return crn_key_table_check(table, section, place, diag);
}

void crn_read_data(crn_app_config *config, crn_node *section, crn_verb verb, crn_diag *diag)
{
    const bool is_fit = strcmp(section->name, "fit") == 0;
    const char *const val =
        strcmp(section->name, "validate_all") == 0 ? "val_dataloaders" : "val_dataloader";
    char place[CRN_PLACE_SIZE];
    char where[CRN_PLACE_SIZE];
    crn_where_join(place, "trainer", section->name);
    if (!check_keys(section, place, diag) && section->kind != CRN_NODE_MAP)
        return;
    crn_node *const train = crn_node_get(section, "train_dataloader");
    crn_where_join(where, place, "train_dataloader");
    if (verb == CRN_VERB_FIT && crn_node_is_null(train))
        crn_diag_error(diag, section, "%s is missing", where);
    else if (verb == CRN_VERB_FIT)
        read_loader(config, train, where, &config->train, diag);
    crn_where_join(where, place, val);
    read_val(config, crn_node_get(section, val), where, diag);
    const crn_node *const loaders = crn_node_get(section, val);
    if (verb != CRN_VERB_FIT &&
        (crn_node_is_null(loaders) || (loaders->kind == CRN_NODE_LIST && loaders->count == 0)))
        crn_diag_error(diag, section, "%s is missing", where);
    if (verb == CRN_VERB_VALIDATE && config->val.count > 1)
        crn_diag_error(diag, loaders,
                       "%s: validate takes one val_dataloader; several are for validate_all",
                       where);
    crn_where_join(where, place, "ckpt_path");
    config->ckpt = cairn_ckpt_omitted();
    /* A validation that borrows the data of `fit` takes the newest checkpoint, not what the fit
     * started from. */
    if (verb == CRN_VERB_FIT || !is_fit)
        read_ckpt(config, section, where, diag);
    if (verb == CRN_VERB_VALIDATE_ALL && !is_fit)
        read_ckpt_paths(config, section, diag);
}
