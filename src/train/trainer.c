#include "train/trainer_priv.h"

#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "ckpt/ckpt.h"

#define MODEL_DIR_DEFAULT "./model_dir"

cairn_trainer_options cairn_trainer_options_default(void)
{
    return (cairn_trainer_options){
        .struct_size = sizeof(cairn_trainer_options),
        .model_dir = MODEL_DIR_DEFAULT,
        .loop = cairn_loop_options_default(),
        .checkpoint = cairn_checkpoint_options_default(),
        .precision = cairn_precision_options_default(),
    };
}

/* Replaces a borrowed text by a copy; NULL stays NULL. */
static cairn_status own_text(const char **text, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (*text == NULL)
        return CAIRN_OK;
    *text = crn_strdup(*text);
    CRN_NEED(err, *text, "an option");
out:
    return rc;
}

static cairn_status own_options(cairn_trainer *trainer, const cairn_trainer_options *options,
                                cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_trainer_options *const own = &trainer->options;
    const char **const texts[] = {&own->model_dir,
                                  &own->params_json,
                                  &own->environment_json,
                                  &own->checkpoint.checkpoint_root,
                                  &own->checkpoint.checkpoint_name,
                                  &own->checkpoint.when_busy,
                                  &own->loop.max_time};
    if (options->struct_size > sizeof *own)
        CRN_FAIL(err, CAIRN_EVERSION, "the program was compiled for a newer cairn");
    memcpy(own, options, options->struct_size);
    if (own->checkpoint.checkpoint_name == NULL)
        own->checkpoint.checkpoint_name = CAIRN_CHECKPOINT_NAME_DEFAULT;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        rc = rc == CAIRN_OK ? own_text(texts[i], err) : rc;
        if (rc != CAIRN_OK)
            *texts[i] = NULL; /* Borrowed still: destroy must not free it. */
    }
out:
    return rc;
}

cairn_status cairn_trainer_new(const cairn_trainer_options *options, cairn_model model,
                               cairn_optimizer optimizer, cairn_scheduler **schedulers,
                               size_t scheduler_count, cairn_trainer **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_trainer *trainer = crn_calloc(1, sizeof *trainer);
    if (trainer != NULL) {
        trainer->model = model;
        trainer->optimizer = optimizer;
        trainer->os = crn_os_posix();
    } else {
        if (model.ops != NULL)
            model.ops->destroy(model.self);
        if (optimizer.ops != NULL)
            optimizer.ops->destroy(optimizer.self);
    }
    for (size_t i = 0; trainer == NULL && i < scheduler_count; i++)
        cairn_scheduler_destroy(schedulers[i]);
    CRN_NEED(err, trainer, "a trainer");
    CRN_TRY_PLAIN(crn_rates_take(&trainer->rates, schedulers, scheduler_count, err));
    if (model.ops == NULL)
        CRN_FAIL(err, CAIRN_EINVAL, "a trainer needs a model");
    CRN_TRY_PLAIN(own_options(trainer, options, err));
    CRN_TRY_PLAIN(crn_trainer_set_precision(trainer, err));
    CRN_TRY_PLAIN(cairn_checkpoint_name_check(trainer->options.checkpoint.checkpoint_name, err));
    *out = trainer;
    trainer = NULL;
out:
    cairn_trainer_destroy(trainer);
    return rc;
}

static void free_text(const char *text)
{
    union {
        const char *in;
        void *out;
    } cast = {.in = text}; /* own_text made it; const only for the user of the options. */
    crn_free(cast.out);
}

void cairn_trainer_destroy(cairn_trainer *trainer)
{
    if (trainer == NULL)
        return;
    crn_callback_list_dispose(&trainer->loggers);
    crn_callback_list_dispose(&trainer->callbacks);
    crn_metric_list_dispose(&trainer->metrics);
    crn_metric_list_dispose(&trainer->validation);
    if (trainer->model.ops != NULL)
        trainer->model.ops->destroy(trainer->model.self);
    if (trainer->optimizer.ops != NULL)
        trainer->optimizer.ops->destroy(trainer->optimizer.self);
    crn_rates_dispose(&trainer->rates);
    cairn_loss_scaler_destroy(trainer->scaler);
    crn_free(trainer->gradient_squares);
    crn_free(trainer->observers);
    cairn_store_close(trainer->store); /* Before the tree, which a save may be reading. */
    cairn_state_tree_destroy(trainer->tree);
    crn_saving_dispose(&trainer->saving);
    cairn_run_dispose(&trainer->run);
    free_text(trainer->options.model_dir);
    free_text(trainer->options.params_json);
    free_text(trainer->options.environment_json);
    free_text(trainer->options.checkpoint.checkpoint_root);
    free_text(trainer->options.checkpoint.checkpoint_name);
    free_text(trainer->options.checkpoint.when_busy);
    free_text(trainer->options.loop.max_time);
    crn_free(trainer->loaded_path);
    crn_free(trainer->saved_path);
    crn_free(trainer->run_dir);
    for (size_t i = 0; i < trainer->plan_extra_count; i++)
        crn_free(trainer->plan_extras[i].states);
    crn_free(trainer->plan_extras);
    crn_save_dispose(&trainer->due);
    crn_free(trainer);
}

cairn_status cairn_trainer_add_callback(cairn_trainer *trainer, cairn_callback callback,
                                        cairn_error *err)
{
    return crn_callback_list_add(&trainer->callbacks, callback, err);
}

cairn_status cairn_trainer_add_logger(cairn_trainer *trainer, cairn_callback logger,
                                      cairn_error *err)
{
    return crn_callback_list_add(&trainer->loggers, logger, err);
}

void cairn_fit_result_dispose(cairn_fit_result *result)
{
    crn_free(result->checkpoint);
    crn_free(result->own_reason);
    result->checkpoint = NULL;
    result->own_reason = NULL;
}

cairn_event crn_trainer_event(cairn_trainer *trainer)
{
    return (cairn_event){
        .struct_size = sizeof(cairn_event),
        .trainer = trainer,
        .step = trainer->step,
        .first_step = trainer->schedule.first_step,
        .end_step = trainer->schedule.end_step,
        .loop_index = trainer->loop_index,
        .failed_saves = trainer->saving.lacking,
    };
}

static void add_asked(cairn_control *sum, const cairn_control *asked)
{
    sum->save = sum->save || asked->save;
    sum->complete = sum->complete || (asked->stop && asked->complete);
    if (asked->stop && !sum->stop) {
        sum->stop = true;
        sum->reason = asked->reason != NULL ? asked->reason : "callback";
    }
}

cairn_status crn_trainer_call(cairn_trainer *trainer, crn_hook hook, const cairn_event *event,
                              cairn_error *err)
{
    cairn_control asked = {0};
    cairn_status rc = crn_callback_list_call(&trainer->callbacks, hook, event, &asked, err);
    if (rc == CAIRN_OK && !event->is_replayed)
        rc = crn_callback_list_call(&trainer->loggers, hook, event, &asked, err);
    add_asked(&trainer->asked, &asked);
    return rc;
}

void crn_trainer_tell_failure(cairn_trainer *trainer, crn_hook hook, const cairn_error *failure)
{
    cairn_event event = crn_trainer_event(trainer);
    event.failure = failure;
    event.is_validation = hook == CRN_HOOK_on_validate_exception;
    crn_callback_list_tell(&trainer->callbacks, hook, &event);
    crn_callback_list_tell(&trainer->loggers, hook, &event);
}

cairn_control crn_trainer_take_asked(cairn_trainer *trainer)
{
    const cairn_control asked = trainer->asked;
    trainer->asked = (cairn_control){0};
    return asked;
}

cairn_status crn_trainer_set_run_dir(cairn_trainer *trainer, const char *path, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char *const copy = crn_strdup(path);
    CRN_NEED(err, copy, "a path");
    crn_free(trainer->run_dir);
    trainer->run_dir = copy;
out:
    return rc;
}

uint64_t crn_trainer_staging(const cairn_trainer *trainer)
{
    const cairn_opt_int staging = trainer->options.checkpoint.staging_bytes;
    if (!staging.is_set)
        return 0;
    return staging.value == 0 ? CAIRN_STAGING_NONE : (uint64_t)staging.value;
}

cairn_status crn_trainer_open_store(cairn_trainer *trainer, bool is_read_only, cairn_error *err)
{
    const cairn_store_options options = {
        .struct_size = sizeof options,
        .model_dir = trainer->options.model_dir,
        .checkpoint_root = trainer->options.checkpoint.checkpoint_root,
        .checkpoint_name = trainer->options.checkpoint.checkpoint_name,
        .is_read_only = is_read_only,
        .staging_bytes = crn_trainer_staging(trainer),
        .log = trainer->options.log,
    };
    const cairn_status rc = crn_store_open_os(trainer->os, &options, &trainer->store, err);
    if (rc == CAIRN_EIO)
        crn_error_note(
            err, rc, __FILE__, __LINE__,
            "a folder of the run cannot be used; set model_dir (-o), and checkpoint_root "
            "if it is given, to folders that can be written");
    return rc;
}

void cairn_trainer_plan_keep(cairn_trainer *trainer, uint64_t keep)
{
    trainer->plan_keep = keep;
}

void cairn_trainer_plan_keep_every(cairn_trainer *trainer, uint64_t every)
{
    trainer->plan_keep_every = every;
}

void cairn_trainer_plan_extra(cairn_trainer *trainer, uint64_t every, const char *states)
{
    char *const copy = crn_strdup(states);
    /* Without memory the plan is only less exact. */
    if (every == 0 || copy == NULL ||
        crn_grow(&trainer->plan_extras, &trainer->plan_extra_capacity,
                 trainer->plan_extra_count + 1, sizeof *trainer->plan_extras, NULL) != CAIRN_OK) {
        crn_free(copy);
        return;
    }
    trainer->plan_extras[trainer->plan_extra_count++] =
        (crn_plan_extra){.every = every, .states = copy};
}

cairn_state_tree *cairn_trainer_tree(cairn_trainer *trainer)
{
    return trainer->tree;
}

cairn_state *cairn_trainer_model_state(cairn_trainer *trainer)
{
    return trainer->model_state;
}

cairn_state *cairn_trainer_trained_state(cairn_trainer *trainer)
{
    return trainer->trained_state;
}

const cairn_model *cairn_trainer_model(const cairn_trainer *trainer)
{
    return &trainer->model;
}

const char *cairn_trainer_model_dir(const cairn_trainer *trainer)
{
    return trainer->options.model_dir;
}

cairn_store *cairn_trainer_store(cairn_trainer *trainer)
{
    return trainer->store;
}

const cairn_run *cairn_trainer_run(const cairn_trainer *trainer)
{
    return &trainer->run;
}

const cairn_log *cairn_trainer_log(const cairn_trainer *trainer)
{
    return trainer->options.log;
}

const char *cairn_trainer_run_dir(const cairn_trainer *trainer)
{
    return trainer->run_dir;
}

const char *cairn_trainer_loaded_path(const cairn_trainer *trainer)
{
    return trainer->loaded_path;
}
