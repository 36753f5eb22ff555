#include "app/build.h"

#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "cairn/interop.h"

/* Model, optimizer and scheduler on their way into a trainer. */
struct parts {
    cairn_model model;
    cairn_optimizer optimizer;
    cairn_scheduler **schedulers;
    size_t scheduler_count;
};

static void parts_dispose(struct parts *parts)
{
    if (parts->model.ops != NULL)
        parts->model.ops->destroy(parts->model.self);
    if (parts->optimizer.ops != NULL)
        parts->optimizer.ops->destroy(parts->optimizer.self);
    for (size_t i = 0; i < parts->scheduler_count; i++)
        cairn_scheduler_destroy(parts->schedulers[i]);
    crn_free(parts->schedulers);
}

/* ---- Model, optimizer, schedulers ---- */

static cairn_status make_parts(crn_verb verb, const crn_app_config *config, struct parts *parts,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY(err, config->model.class->make(config->model.options, &parts->model, err),
            "trainer.init.model");
    if (verb != CRN_VERB_FIT)
        return CAIRN_OK;
    if (config->optimizer.class != NULL)
        CRN_TRY(err,
                config->optimizer.class->make(config->optimizer.options, &parts->optimizer, err),
                "trainer.init.optimizer");
    parts->schedulers = crn_calloc(config->schedulers.count, sizeof *parts->schedulers);
    CRN_NEED(err, parts->schedulers, "schedulers");
    for (; parts->scheduler_count < config->schedulers.count; parts->scheduler_count++)
        CRN_TRY(err,
                crn_make_scheduler(&config->schedulers.items[parts->scheduler_count],
                                   config->param_filters.has_factors,
                                   &parts->schedulers[parts->scheduler_count], err),
                "trainer.init.schedulers");
out:
    return rc;
}

/* ---- Data ---- */

/* Reading data may take long; nothing is lost yet. */
static cairn_status check_stop(const cairn_app_request *request, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const reason =
        request->stop_requested != NULL ? request->stop_requested(request->user) : NULL;
    if (reason != NULL)
        CRN_FAIL(err, CAIRN_ECANCELED, "%s", reason);
out:
    return rc;
}

static cairn_status make_data(const crn_build_context *context, const crn_app_config *config,
                              crn_built *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (context->verb == CRN_VERB_FIT)
        CRN_TRY(err, config->train.class->make(config->train.options, &out->train, err),
                "train_dataloader");
    CRN_TRY_PLAIN(check_stop(context->request, err));
    out->val = crn_calloc(config->val.count, sizeof(cairn_loader *));
    CRN_NEED(err, out->val, "validation loaders");
    for (; out->val_count < config->val.count; out->val_count++) {
        const crn_choice *const choice = &config->val.items[out->val_count];
        CRN_TRY_PLAIN(check_stop(context->request, err));
        CRN_TRY(err, choice->class->make(choice->options, &out->val[out->val_count], err),
                "val_dataloader");
    }
out:
    return rc;
}

/* ---- Callbacks and loggers, in that order ---- */

static cairn_status add_callbacks(const crn_build_context *context, const crn_app_config *config,
                                  cairn_trainer *trainer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (context->folder != NULL)
        CRN_TRY_PLAIN(
            cairn_trainer_add_callback(trainer, crn_run_folder_callback(context->folder), err));
    for (size_t i = 0; i < config->callbacks.count; i++) {
        const crn_choice *const choice = &config->callbacks.items[i];
        cairn_callback callback = {0};
        CRN_TRY(err, choice->class->make(choice->options, &callback, err), "callback %s",
                choice->class->name);
        CRN_TRY_PLAIN(cairn_trainer_add_callback(trainer, callback, err));
    }
out:
    return rc;
}

static cairn_status add_loggers(const cairn_app_request *request, crn_verb verb,
                                const crn_app_config *config, cairn_trainer *trainer,
                                cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_callback callback = {0};
    const cairn_progress_options progress = {
        .struct_size = sizeof progress,
        .device = "CPU",
        .log_steps = (uint64_t)config->logging.log_steps,
        .bar = request->bar,
        .user = request->user,
    };
    for (size_t i = 0; i < config->loggers.count; i++) {
        const crn_choice *const choice = &config->loggers.items[i];
        const bool is_progress = strcmp(choice->class->name, "ProgressLogger") == 0;
        if (verb != CRN_VERB_FIT && !is_progress)
            continue; /* A validation of its own writes no files. */
        CRN_TRY(err, choice->class->make(is_progress ? &progress : choice->options, &callback, err),
                "logger %s", choice->class->name);
        CRN_TRY_PLAIN(cairn_trainer_add_logger(trainer, callback, err));
    }
    if (verb == CRN_VERB_FIT) {
        CRN_TRY_PLAIN(cairn_metrics_file_new(&callback, err));
        CRN_TRY_PLAIN(cairn_trainer_add_logger(trainer, callback, err));
    }
out:
    return rc;
}

/* ---- The whole ---- */

static cairn_status make_texts(const crn_app_config *config, crn_built *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str params = {0};
    crn_node_to_json(config->root, &params);
    out->params_json = crn_str_take(&params);
    crn_node_to_yaml(config->root, true, &params);
    out->resolved_yaml = crn_str_take(&params);
    crn_node_to_yaml(config->root, false, &params);
    out->given_yaml = crn_str_take(&params);
    out->environment_json = crn_environment_json();
    CRN_NEED(err, out->params_json, "the resolved parameters");
    CRN_NEED(err, out->environment_json, "the environment");
    CRN_NEED(err, out->resolved_yaml, "the resolved parameters");
    CRN_NEED(err, out->given_yaml, "the parameters");
out:
    return rc;
}

static cairn_trainer_options trainer_options(const crn_build_context *context,
                                             const crn_app_config *config, const crn_built *built)
{
    const cairn_app_request *const request = context->request;
    cairn_trainer_options options = cairn_trainer_options_default();
    options.model_dir = config->model_dir;
    options.seed = config->seed;
    options.loop = config->loop;
    options.checkpoint = config->checkpoint;
    options.precision = config->precision;
    options.params_json = built->params_json;
    options.environment_json = built->environment_json;
    options.log = context->log;
    options.log_steps = (uint64_t)config->logging.log_steps;
    options.stop_requested = request->stop_requested;
    options.save_requested = request->save_requested;
    options.user = request->user;
    options.stage = context->stage;
    options.open_checkpoint = cairn_checkpoint_import;
    options.clock_start_ns = context->clock_start_ns;
    return options;
}

cairn_status crn_build(const crn_build_context *context, const crn_app_config *config,
                       crn_built *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct parts parts = {0};
    *out = (crn_built){0};
    crn_environment_set_threads(context->request->threads);
    CRN_TRY_PLAIN(make_texts(config, out, err));
    CRN_TRY_PLAIN(make_parts(context->verb, config, &parts, err));
    CRN_TRY_PLAIN(make_data(context, config, out, err));
    if (out->train != NULL)
        CRN_TRY_PLAIN(
            crn_app_config_check_loop(config, cairn_loader_batches_per_epoch(out->train), err));
    if (context->folder != NULL)
        crn_run_folder_set_params(context->folder, out->resolved_yaml, out->given_yaml);
    const cairn_trainer_options options = trainer_options(context, config, out);
    const size_t count = parts.scheduler_count;
    const struct parts taken = parts;
    parts = (struct parts){.schedulers = taken.schedulers}; /* The trainer takes the rest. */
    CRN_TRY_PLAIN(cairn_trainer_new(&options, taken.model, taken.optimizer, taken.schedulers, count,
                                    &out->trainer, err));
    CRN_TRY_PLAIN(cairn_trainer_set_param_filters(out->trainer, config->param_filters.items,
                                                  config->param_filters.count, err));
    CRN_TRY_PLAIN(add_callbacks(context, config, out->trainer, err));
    if (!context->is_dry_run)
        CRN_TRY_PLAIN(add_loggers(context->request, context->verb, config, out->trainer, err));
out:
    parts_dispose(&parts);
    return rc;
}

void crn_built_dispose(crn_built *built)
{
    cairn_trainer_destroy(built->trainer);
    cairn_loader_destroy(built->train);
    for (size_t i = 0; i < built->val_count; i++)
        cairn_loader_destroy(built->val[i]);
    crn_free(built->val);
    crn_free(built->params_json);
    crn_free(built->environment_json);
    crn_free(built->resolved_yaml);
    crn_free(built->given_yaml);
    *built = (crn_built){0};
}
