#include "app/legacy.h"

#include <string.h>

#include "app/classes.h"
#include "app/legacy_lr.h"
#include "base/str.h"

enum { PATH_SIZE = 128 };

/* ---- What goes where ---- */

/* Value @key of the old section @from becomes @name in the map @to of trainer.init; with @list in
 * the class @to of that list, or, without @name, its arguments. */
struct move {
    const char *from;
    const char *key;
    const char *list;
    const char *to;
    const char *name;
};

/* In the order of the new file. */
static const struct move k_moves[] = {
    {"runconfig", "model_dir", NULL, "", "model_dir"},
    {"runconfig", "seed", NULL, "", "seed"},
    {"runconfig", "target_device", NULL, "backend", "backend_type"},
    {"runconfig", "compile_dir", NULL, "backend", "compile_dir"},
    {"runconfig", "compile_only", NULL, "backend", "compile_only"},
    {"runconfig", "validate_only", NULL, "backend", "validate_only"},
    {"runconfig", "num_csx", NULL, "backend.cluster_config", "num_csx"},
    {"runconfig", "num_wgt_servers", NULL, "backend.cluster_config", "max_wgt_servers"},
    {"runconfig", "mgmt_address", NULL, "backend.cluster_config", "mgmt_address"},
    {"runconfig", "mgmt_namespace", NULL, "backend.cluster_config", "mgmt_namespace"},
    {"runconfig", "credentials_path", NULL, "backend.cluster_config", "credentials_path"},
    {"runconfig", "mount_dirs", NULL, "backend.cluster_config", "mount_dirs"},
    {"runconfig", "python_paths", NULL, "backend.cluster_config", "python_paths"},
    {"runconfig", "num_workers_per_csx", NULL, "backend.cluster_config", "num_workers_per_csx"},
    {"runconfig", "num_act_servers", NULL, "backend.cluster_config", "max_act_per_csx"},
    {"runconfig", "cbcore_image", NULL, "backend.cluster_config", "cbcore_image"},
    {"runconfig", "job_labels", NULL, "backend.cluster_config", "job_labels"},
    {"runconfig", "job_priority", NULL, "backend.cluster_config", "job_priority"},
    {"runconfig", "job_time_sec", NULL, "backend.cluster_config", "job_time_sec"},
    {"runconfig", "disable_version_check", NULL, "backend.cluster_config", "disable_version_check"},
    {"runconfig", "enable_distributed", NULL, "backend", "enable_distributed"},
    {"runconfig", "main_process_id", NULL, "backend", "main_process_id"},
    {"runconfig", "dist_backend", NULL, "backend", "dist_backend"},
    {"runconfig", "init_method", NULL, "backend", "init_method"},
    {"runconfig", "sync_batchnorm", NULL, "backend", "sync_batchnorm"},
    {"model", "mixed_precision", NULL, "precision", "enabled"},
    {"model", "fp16_type", NULL, "precision", "fp16_type"},
    {"runconfig", "precision_opt_level", NULL, "precision", "precision_opt_level"},
    {"optimizer", "loss_scaling_factor", NULL, "precision", "loss_scaling_factor"},
    {"optimizer", "initial_loss_scale", NULL, "precision", "initial_loss_scale"},
    {"optimizer", "steps_per_increase", NULL, "precision", "steps_per_increase"},
    {"optimizer", "min_loss_scale", NULL, "precision", "min_loss_scale"},
    {"optimizer", "max_loss_scale", NULL, "precision", "max_loss_scale"},
    {"optimizer", "max_gradient_norm", NULL, "precision", "max_gradient_norm"},
    {"optimizer", "max_gradient_value", NULL, "precision", "max_gradient_value"},
    {"optimizer", "log_summaries", NULL, "precision", "log_loss_scale"},
    {"runconfig", "num_steps", NULL, "loop", "num_steps"},
    {"runconfig", "max_steps", NULL, "loop", "max_steps"},
    {"runconfig", "num_epochs", NULL, "loop", "num_epochs"},
    {"runconfig", "steps_per_epoch", NULL, "loop", "steps_per_epoch"},
    {"runconfig", "eval_frequency", NULL, "loop", "eval_frequency"},
    {"runconfig", "eval_steps", NULL, "loop", "eval_steps"},
    {"optimizer", "grad_accum_steps", NULL, "loop", "grad_accum_steps"},
    {"runconfig", "checkpoint_steps", NULL, "checkpoint", "steps"},
    {"runconfig", "disable_strict_checkpoint_loading", NULL, "checkpoint",
     "disable_strict_checkpoint_loading"},
    {"runconfig", "autoload_last_checkpoint", NULL, "checkpoint", "autoload_last_checkpoint"},
    {"runconfig", "save_initial_checkpoint", NULL, "checkpoint", "save_initial_checkpoint"},
    {"runconfig", "log_steps", NULL, "logging", "log_steps"},
    {"runconfig", "logging", NULL, "logging", "log_level"},
    {"runconfig", "wsc_log_level", NULL, "logging", "wsc_log_level"},
    {"runconfig", "enable_act_frequency", NULL, "logging", "enable_act_frequency"},
#define FLAG(key, flag)                                                                            \
    {                                                                                              \
        "runconfig", key, "callbacks", "GlobalFlags", flag                                         \
    }
    FLAG("transfer_processes", "csx.performance.transfer_processes"),
    FLAG("ini", "csx.debug.ini"),
    FLAG("debug_args", "csx.debug.debug_args"),
    FLAG("retrace_every_iteration", "csx.debug.retrace_every_iteration"),
    FLAG("lazy_initialization", "csx.debug.lazy_initialization"),
    FLAG("log_initialization", "csx.debug.log_initialization"),
    FLAG("drop_data", "csx.debug.drop_data"),
    FLAG("fabric_type_blacklist", "csx.debug.fabric_type_blacklist"),
    FLAG("compile_crd_memory_gi", "csx.debug.compile_crd_memory_gi"),
    FLAG("execute_crd_memory_gi", "csx.debug.execute_crd_memory_gi"),
    FLAG("wrk_memory_gi", "csx.debug.wrk_memory_gi"),
    FLAG("act_memory_gi", "csx.debug.act_memory_gi"),
    FLAG("cmd_memory_gi", "csx.debug.cmd_memory_gi"),
    FLAG("wgt_memory_gi", "csx.debug.wgt_memory_gi"),
    FLAG("chf_memory_gi", "csx.debug.chf_memory_gi"),
#undef FLAG
    {"train_input", "micro_batch_size", "callbacks", "ScopedTrainFlags",
     "csx.performance.micro_batch_size"},
    {"eval_input", "micro_batch_size", "callbacks", "ScopedValidateFlags",
     "csx.performance.micro_batch_size"},
    {"runconfig", "debug_args_path", "callbacks", "DebugArgsPath", "debug_args_path"},
    {"model", "lora_params", "callbacks", "Lora", "lora_params"},
    {"runconfig", "log_input_summaries", "callbacks", "LogInputSummaries", NULL},
    {"runconfig", "check_loss_values", "callbacks", "CheckLoss", NULL},
    {"optimizer", "log_summaries", "callbacks", "ComputeNorm", NULL},
    {"runconfig", "load_checkpoint_states", "callbacks", "LoadCheckpointStates",
     "load_checkpoint_states"},
    {"runconfig", "max_checkpoints", "callbacks", "KeepNCheckpoints", "n"},
    {"sparsity", "add_summaries", "callbacks", "LogSparsity", NULL},
    {"model", "compression", "callbacks", "WeightCompression", "compressions"},
    {"model", "selective_grad", "callbacks", "SelectiveGrad", "selective_grads"},
    {"runconfig", "op_profiler_config", "callbacks", "OpProfiler", NULL},
    {"runconfig", "dump_activations", "callbacks", "DumpActivations", NULL},
    {"runconfig", "hf_cache_dir", "callbacks", "HFCacheDir", "cache_dir"},
    {"runconfig", "summary_dir", "loggers", "TensorBoardLogger", "summary_dir"},
    {"runconfig", "legacy_event_dirs", "loggers", "TensorBoardLogger", "legacy_event_dirs"},
    {"wandb", "project", "loggers", "WandbLogger", "project"},
    {"wandb", "group", "loggers", "WandbLogger", "group"},
    {"wandb", "run_id", "loggers", "WandbLogger", "run_id"},
    {"wandb", "run_name", "loggers", "WandbLogger", "run_name"},
    {"wandb", "job_type", "loggers", "WandbLogger", "job_type"},
    {"wandb", "tags", "loggers", "WandbLogger", "tags"},
    {"wandb", "resume", "loggers", "WandbLogger", "resume"},
    {"wandb", "entity", "loggers", "WandbLogger", "entity"},
};
enum { MOVES = sizeof k_moves / sizeof k_moves[0] };

/* Read elsewhere: checkpoint_path becomes ckpt_path of each verb, experimental holds listeners.
 * mode is the verb now. */
static const char *const k_other[] = {"checkpoint_path", "experimental", "mode"};
enum { OTHER = sizeof k_other / sizeof k_other[0] };

static const char *const k_sections[] = {"train_input", "eval_input", "model", "optimizer",
                                         "sparsity",    "runconfig",  "wandb"};
enum { SECTIONS = sizeof k_sections / sizeof k_sections[0] };

static bool is_moved(const char *from, const char *key)
{
    for (size_t i = 0; i < MOVES; i++) {
        if (strcmp(k_moves[i].from, from) == 0 && strcmp(k_moves[i].key, key) == 0)
            return true;
    }
    return false;
}

/* As in the original, which says nothing of them in the new file. */
static bool is_empty(const crn_node *node)
{
    if (node == NULL || node->kind == CRN_NODE_NULL)
        return true;
    return (node->kind == CRN_NODE_MAP || node->kind == CRN_NODE_LIST) && node->first == NULL;
}

/* ---- Moving ---- */

/* The map at the dotted @path below @init, made if need be. */
static crn_node *descend(crn_doc *doc, crn_node *init, const char *path, crn_diag *diag)
{
    crn_node *map = init;
    while (map != NULL && *path != '\0') {
        char name[PATH_SIZE];
        const size_t length = strcspn(path, ".");
        memcpy(name, path, length); /* The paths are those of k_moves. */
        name[length] = '\0';
        map = crn_doc_ensure_map(doc, map, name, diag);
        path += length + (path[length] == '.');
    }
    return map;
}

/* The item {@class: ...} of trainer.init.@list, at its end if it is new. */
static crn_node *item_of(crn_doc *doc, crn_node *init, const struct move *move, crn_diag *diag)
{
    crn_node *const list = crn_doc_ensure_list(doc, init, move->list, diag);
    if (list == NULL)
        return NULL;
    if (list->last != NULL && crn_node_get(list->last, move->to) != NULL)
        return list->last;
    return crn_doc_add_map(doc, list, diag);
}

static void move_to_class(crn_doc *doc, crn_node *init, const struct move *move,
                          const crn_node *value, crn_diag *diag)
{
    crn_node *const item = item_of(doc, init, move, diag);
    if (item == NULL)
        return;
    if (move->name != NULL) {
        crn_node *const args = crn_doc_ensure_map(doc, item, move->to, diag);
        if (args != NULL)
            (void)crn_doc_put_copy(doc, args, move->name, value, diag);
    } else if (value->kind != CRN_NODE_BOOL) {
        (void)crn_doc_put_copy(doc, item, move->to, value, diag);
    } else if (value->b) {
        (void)crn_doc_ensure_map(doc, item, move->to, diag);
    } else {
        (void)crn_doc_put_null(doc, item, move->to, false, diag);
    }
}

/* The rows of one target: @list NULL for the map @to, else all classes of the list. */
static void move_all(crn_doc *doc, const crn_node *old, crn_node *init, const char *list,
                     const char *to, crn_diag *diag)
{
    for (size_t i = 0; i < MOVES; i++) {
        const struct move *const move = &k_moves[i];
        const crn_node *const value = crn_node_get(crn_node_get(old, move->from), move->key);
        const bool is_wanted = list == NULL ? move->list == NULL && strcmp(move->to, to) == 0
                                            : move->list != NULL && strcmp(move->list, list) == 0;
        if (!is_wanted || is_empty(value))
            continue;
        if (list != NULL) {
            move_to_class(doc, init, move, value, diag);
            continue;
        }
        crn_node *const map = descend(doc, init, move->to, diag);
        if (map != NULL)
            (void)crn_doc_put_copy(doc, map, move->name, value, diag);
    }
}

/* What no row takes of @value, a map of the old section @from. */
static void copy_rest(crn_doc *doc, crn_node *map, const crn_node *value, const char *from,
                      crn_diag *diag)
{
    if (value->kind != CRN_NODE_MAP) {
        crn_diag_error(diag, value, "%s must be a map", from);
        return;
    }
    for (const crn_node *child = value->first; child != NULL && map != NULL; child = child->next) {
        if (!is_moved(from, child->name))
            (void)crn_doc_put_copy(doc, map, child->name, child, diag);
    }
}

/* The same under @key of @parent, for a section that may be a list of maps. */
static void put_rest(crn_doc *doc, crn_node *parent, const char *key, const crn_node *value,
                     const char *from, crn_diag *diag)
{
    if (is_empty(value))
        return;
    if (value->kind == CRN_NODE_MAP) {
        copy_rest(doc, crn_doc_ensure_map(doc, parent, key, diag), value, from, diag);
        return;
    }
    if (value->kind != CRN_NODE_LIST) {
        crn_diag_error(diag, value, "%s must be a map", from);
        return;
    }
    crn_node *const list = crn_doc_ensure_list(doc, parent, key, diag);
    for (const crn_node *item = value->first; item != NULL && list != NULL; item = item->next)
        copy_rest(doc, crn_doc_add_map(doc, list, diag), item, from, diag);
}

/* ---- Sections that are more than moved ---- */

static void convert_model(crn_doc *doc, const crn_node *old, crn_node *init, const char *name,
                          crn_diag *diag)
{
    const crn_node *const model = crn_node_get(old, "model");
    const bool has_name =
        crn_node_get(model, "name") != NULL || crn_node_get(model, "model_name") != NULL;
    if (is_empty(model))
        return;
    crn_node *const out = crn_doc_ensure_map(doc, init, "model", diag);
    if (!has_name && out != NULL) {
        (void)crn_doc_put_text(doc, out, "name", name != NULL ? name : "gpt2", false, diag);
        if (name == NULL)
            crn_diag_notice(diag, model,
                            "model has no name, as the old layout left it to the program; it gets "
                            "'name: gpt2' (--model NAME gives another)");
    }
    copy_rest(doc, out, model, "model", diag);
}

/* A number alone is the share of the weights that are zero. */
static void convert_sparsity(crn_doc *doc, const crn_node *old, crn_node *init, crn_diag *diag)
{
    const crn_node *const sparsity = crn_node_get(old, "sparsity");
    const bool has_parts =
        sparsity != NULL && (sparsity->kind == CRN_NODE_MAP || sparsity->kind == CRN_NODE_LIST);
    if (has_parts) {
        put_rest(doc, init, "sparsity", sparsity, "sparsity", diag);
    } else if (!is_empty(sparsity)) {
        crn_node *const map = crn_doc_ensure_map(doc, init, "sparsity", diag);
        if (map != NULL)
            (void)crn_doc_put_copy(doc, map, "sparsity", sparsity, diag);
    }
}

/* {optimizer_type: X, ...} becomes {X: {...}}. */
static void convert_optimizer(crn_doc *doc, const crn_node *old, crn_node *init, crn_diag *diag)
{
    const crn_node *const optimizer = crn_node_get(old, "optimizer");
    const crn_node *const type = crn_node_get(optimizer, "optimizer_type");
    const char *name = NULL;
    if (is_empty(optimizer))
        return;
    if (type == NULL) {
        crn_diag_error(diag, optimizer, "optimizer has no optimizer_type");
        return;
    }
    if (!crn_node_to_text(type, "optimizer.optimizer_type", &name, diag))
        return;
    crn_node *const map = crn_doc_ensure_map(doc, init, "optimizer", diag);
    crn_node *const args = map != NULL ? crn_doc_ensure_map(doc, map, name, diag) : NULL;
    for (const crn_node *child = optimizer->first; child != NULL && args != NULL;
         child = child->next) {
        const bool is_schedule = strcmp(child->name, "learning_rate") == 0 &&
                                 (child->kind == CRN_NODE_LIST || child->kind == CRN_NODE_MAP);
        if (child != type && !is_schedule && !is_empty(child) &&
            !is_moved("optimizer", child->name))
            (void)crn_doc_put_copy(doc, args, child->name, child, diag);
    }
}

/* Each of runconfig.experimental.listeners is a callback of its own; listener_type says which. */
static void convert_listeners(crn_doc *doc, const crn_node *old, crn_node *init, crn_diag *diag)
{
    const crn_node *const runconfig = crn_node_get(old, "runconfig");
    const crn_node *const listeners =
        crn_node_get(crn_node_get(runconfig, "experimental"), "listeners");
    if (is_empty(listeners))
        return;
    crn_node *const list = crn_doc_ensure_list(doc, init, "callbacks", diag);
    for (const crn_node *one = listeners->first; one != NULL && list != NULL; one = one->next) {
        const crn_node *const type = crn_node_get(one, "listener_type");
        if (type == NULL) {
            crn_diag_error(diag, one, "this listener has no listener_type");
            continue;
        }
        crn_node *const item = crn_doc_add_map(doc, list, diag);
        crn_node *const args =
            item != NULL ? crn_doc_ensure_map(doc, item, type->text, diag) : NULL;
        for (const crn_node *child = one->first; child != NULL && args != NULL; child = child->next)
            if (child != type)
                (void)crn_doc_put_copy(doc, args, child->name, child, diag);
    }
}

/* One verb's section, if there is data for it. */
static void convert_verb(crn_doc *doc, const crn_node *old, crn_node *trainer, const char *verb,
                         const char *val, const char *ckpt, crn_diag *diag)
{
    const bool is_fit = strcmp(verb, "fit") == 0;
    const crn_node *const train = crn_node_get(old, "train_input");
    const crn_node *const eval = crn_node_get(old, "eval_input");
    const crn_node *const path = crn_node_get(crn_node_get(old, "runconfig"), "checkpoint_path");
    if (is_empty(is_fit ? train : eval))
        return;
    crn_node *const section = crn_doc_ensure_map(doc, trainer, verb, diag);
    if (section == NULL)
        return;
    if (is_fit)
        put_rest(doc, section, "train_dataloader", train, "train_input", diag);
    put_rest(doc, section, val, eval, "eval_input", diag);
    if (!is_empty(path))
        (void)crn_doc_put_copy(doc, section, ckpt, path, diag);
}

static void convert_init(crn_doc *doc, const crn_node *old, crn_node *init, const char *model_name,
                         crn_diag *diag)
{
    move_all(doc, old, init, NULL, "", diag);
    move_all(doc, old, init, NULL, "backend", diag);
    move_all(doc, old, init, NULL, "backend.cluster_config", diag);
    convert_model(doc, old, init, model_name, diag);
    convert_optimizer(doc, old, init, diag);
    crn_legacy_convert_lr(doc, crn_node_get(old, "optimizer"), init, diag);
    move_all(doc, old, init, NULL, "precision", diag);
    convert_sparsity(doc, old, init, diag);
    move_all(doc, old, init, NULL, "loop", diag);
    move_all(doc, old, init, NULL, "checkpoint", diag);
    move_all(doc, old, init, NULL, "logging", diag);
    move_all(doc, old, init, "callbacks", "", diag);
    convert_listeners(doc, old, init, diag);
    move_all(doc, old, init, "loggers", "", diag);
    if (crn_node_get(crn_node_get(init, "backend"), "backend_type") == NULL)
        (void)crn_doc_put_text(doc, init, "device", "CSX", false, diag);
}

/* ---- The whole ---- */

static void notice_leftovers(const crn_node *old, crn_diag *diag)
{
    static const char k_text[] = "%s%s%s has no place in the layout with a trainer and is left out";
    static const char *const k_strict[] = {"runconfig", "wandb"};
    for (const crn_node *child = old->first; child != NULL; child = child->next) {
        if (crn_names_find(child->name, k_sections, SECTIONS) < 0)
            crn_diag_notice(diag, child, k_text, child->name, "", "");
    }
    for (size_t i = 0; i < sizeof k_strict / sizeof k_strict[0]; i++) {
        const crn_node *const section = crn_node_get(old, k_strict[i]);
        for (const crn_node *child = section != NULL ? section->first : NULL; child != NULL;
             child = child->next)
            if (!is_moved(k_strict[i], child->name) &&
                crn_names_find(child->name, k_other, OTHER) < 0)
                crn_diag_notice(diag, child, k_text, k_strict[i], ".", child->name);
    }
}

/* What is read by name has to be a map. */
static bool are_maps(const crn_node *old, crn_diag *diag)
{
    static const char *const k_maps[] = {"model", "optimizer", "runconfig", "wandb"};
    const size_t before = diag->error_count;
    for (size_t i = 0; i < sizeof k_maps / sizeof k_maps[0]; i++) {
        const crn_node *const section = crn_node_get(old, k_maps[i]);
        if (!crn_node_is_null(section) && section->kind != CRN_NODE_MAP)
            crn_diag_error(diag, section, "%s must be a map", k_maps[i]);
    }
    return diag->error_count == before;
}

bool crn_legacy_is(const crn_node *root)
{
    if (root == NULL || root->kind != CRN_NODE_MAP || crn_node_get(root, "trainer") != NULL)
        return false;
    for (size_t i = 0; i < SECTIONS; i++) {
        if (crn_node_get(root, k_sections[i]) != NULL)
            return true;
    }
    return false;
}

bool crn_legacy_convert(crn_doc *doc, const char *model_name, crn_diag *diag)
{
    crn_node *const root = crn_doc_root(doc);
    const size_t before = diag->error_count;
    if (!are_maps(root, diag))
        return false;
    notice_leftovers(root, diag);
    crn_node *const trainer = crn_doc_ensure_map(doc, root, "trainer", diag);
    crn_node *const init = trainer != NULL ? crn_doc_ensure_map(doc, trainer, "init", diag) : NULL;
    if (init == NULL)
        return false;
    convert_init(doc, root, init, model_name, diag);
    convert_verb(doc, root, trainer, "fit", "val_dataloader", "ckpt_path", diag);
    convert_verb(doc, root, trainer, "validate", "val_dataloader", "ckpt_path", diag);
    convert_verb(doc, root, trainer, "validate_all", "val_dataloaders", "ckpt_paths", diag);
    root->first = root->last = trainer; /* The memory of the others is the doc's. */
    root->count = 1;
    return !diag->is_failed && diag->error_count == before;
}
