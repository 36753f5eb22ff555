/* What the state tree of a trainer holds, and the counters that live in it as values. */
#include "base/mem.h"
#include "base/try.h"
#include "train/trainer_priv.h"

#define VALUE_STEP         "value"
#define VALUE_SAMPLES      "samples_streamed"
#define VALUE_SEED         "seed"
#define VALUE_SHUFFLE_SEED "shuffle_seed"
#define VALUE_LAST_EPOCH   "0.last_epoch"

static cairn_status plan_training(cairn_trainer *trainer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_state_tree *const tree = trainer->tree;
    CRN_TRY_PLAIN(
        crn_rates_plan(&trainer->rates, trainer->trained_state, &trainer->optimizer, err));
    CRN_TRY_PLAIN(cairn_state_tree_add(tree, CRN_STATE_OPTIMIZER, &trainer->optimizer_state, err));
    CRN_TRY(err,
            trainer->optimizer.ops->declare(trainer->optimizer.self, trainer->trained_state,
                                            trainer->rates.groups, trainer->optimizer_state, err),
            "plan the state of %s", trainer->optimizer.ops->name);
    CRN_TRY_PLAIN(cairn_state_tree_add(tree, CRN_STATE_SCHEDULERS, &trainer->scheduler_state, err));
    CRN_TRY_PLAIN(
        cairn_state_tree_add(tree, CRN_STATE_DATALOADER, &trainer->dataloader_state, err));
    CRN_TRY_PLAIN(crn_trainer_declare_scaler(trainer, err));
out:
    return rc;
}

static cairn_status allocate_gradients(cairn_trainer *trainer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(cairn_state_allocate_gradients(trainer->trained_state, err));
    trainer->gradient_squares = crn_calloc(cairn_gradient_square_count(trainer->trained_state),
                                           sizeof *trainer->gradient_squares);
    CRN_NEED(err, trainer->gradient_squares, "the norm of the gradients");
out:
    return rc;
}

cairn_status crn_trainer_plan_tree(cairn_trainer *trainer, bool is_training, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_model_ops *const model = trainer->model.ops;
    cairn_event event = crn_trainer_event(trainer);
    CRN_TRY_PLAIN(cairn_state_tree_new(&trainer->tree, err));
    CRN_TRY_PLAIN(cairn_state_tree_add(trainer->tree, CRN_STATE_MODEL, &trainer->model_state, err));
    CRN_TRY(err, model->declare(trainer->model.self, trainer->model_state, err),
            "plan the parameters of %s", model->name);
    trainer->trained_state = trainer->model_state;
    event.is_validation = !is_training;
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_pre_setup, &event, err));
    if (is_training)
        CRN_TRY_PLAIN(plan_training(trainer, err));
    CRN_TRY_PLAIN(
        cairn_state_tree_add(trainer->tree, CRN_STATE_GLOBAL_STEP, &trainer->step_state, err));
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_setup, &event, err));
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_post_setup, &event, err));
    CRN_TRY_PLAIN(cairn_state_tree_allocate(trainer->tree, err));
    if (is_training)
        CRN_TRY_PLAIN(allocate_gradients(trainer, err));
out:
    return rc;
}

cairn_status cairn_trainer_train_adapters(cairn_trainer *trainer,
                                          const cairn_lora_params_list *groups,
                                          cairn_state **out_state, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_model *const model = &trainer->model;
    const cairn_adapter_ops *const adapters = cairn_model_adapters(model);
    if (adapters == NULL)
        CRN_FAIL(err, CAIRN_ECONFIG, "the model %s takes no adapters", model->ops->name);
    CRN_TRY_PLAIN(cairn_state_tree_add(trainer->tree, CRN_STATE_LORA, out_state, err));
    CRN_TRY_PLAIN(adapters->add(model->self, groups, *out_state, err));
    cairn_state_freeze(trainer->model_state);
    trainer->trained_state = *out_state;
out:
    return rc;
}

/* Their initial values change nothing of what the model computes. */
static cairn_status reset_adapters(cairn_trainer *trainer, cairn_error *err)
{
    const cairn_model *const model = &trainer->model;
    if (trainer->trained_state == trainer->model_state)
        return CAIRN_OK;
    cairn_state_clear_values(trainer->trained_state);
    return cairn_model_adapters(model)->initialize(model->self, trainer->tree, trainer->seed, err);
}

cairn_status crn_trainer_initialize_model(cairn_trainer *trainer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_model *const model = &trainer->model;
    CRN_TRY(err, model->ops->initialize(model->self, trainer->tree, trainer->seed, err),
            "initialize %s", model->ops->name);
out:
    return rc;
}

cairn_status crn_trainer_reset_tree(cairn_trainer *trainer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    trainer->step = 0;
    trainer->scheduler_t = 0;
    CRN_TRY_PLAIN(reset_adapters(trainer, err));
    if (trainer->optimizer_state != NULL) {
        cairn_loader_seek(trainer->train, 0);
        CRN_TRY_PLAIN(trainer->optimizer.ops->reset(trainer->optimizer.self, trainer->tree, err));
        CRN_TRY_PLAIN(cairn_loss_scaler_reset(trainer->scaler, err));
        CRN_TRY_PLAIN(crn_trainer_values_to_tree(trainer, err));
    }
out:
    return rc;
}

cairn_status crn_trainer_values_to_tree(cairn_trainer *trainer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_state *const data = trainer->dataloader_state;
    CRN_TRY_PLAIN(cairn_state_set_u64(trainer->step_state, VALUE_STEP, trainer->step, err));
    CRN_TRY_PLAIN(
        cairn_state_set_u64(trainer->scheduler_state, VALUE_LAST_EPOCH, trainer->scheduler_t, err));
    CRN_TRY_PLAIN(
        cairn_state_set_u64(data, VALUE_SAMPLES, cairn_loader_position(trainer->train), err));
    CRN_TRY_PLAIN(cairn_state_set_u64(data, VALUE_SEED, trainer->seed, err));
    CRN_TRY_PLAIN(
        cairn_state_set_u64(data, VALUE_SHUFFLE_SEED, cairn_loader_seed(trainer->train), err));
out:
    return rc;
}

/* A value that an older or foreign file may lack: the default stays. */
static cairn_status get_optional(const cairn_state *state, const char *key, uint64_t *out,
                                 cairn_error *err)
{
    if (cairn_state_get_text(state, key) == NULL)
        return CAIRN_OK;
    return cairn_state_get_u64(state, key, out, err);
}

cairn_status crn_trainer_values_from_tree(cairn_trainer *trainer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_log *const log = trainer->options.log;
    uint64_t samples = 0;
    uint64_t seed = trainer->seed;
    uint64_t shuffle_seed = cairn_loader_seed(trainer->train);
    CRN_TRY_PLAIN(get_optional(trainer->step_state, VALUE_STEP, &trainer->step, err));
    CRN_TRY_PLAIN(
        get_optional(trainer->scheduler_state, VALUE_LAST_EPOCH, &trainer->scheduler_t, err));
    CRN_TRY_PLAIN(get_optional(trainer->dataloader_state, VALUE_SAMPLES, &samples, err));
    CRN_TRY_PLAIN(get_optional(trainer->dataloader_state, VALUE_SEED, &seed, err));
    CRN_TRY_PLAIN(get_optional(trainer->dataloader_state, VALUE_SHUFFLE_SEED, &shuffle_seed, err));
    if (!trainer->options.seed.is_set) {
        trainer->seed = seed;
        cairn_loader_set_seed(trainer->train, seed);
    } else if (seed != trainer->seed) {
        cairn_log_message(log, CAIRN_LOG_WARNING, "seed: %llu -> %llu (the new one is used)",
                          (unsigned long long)seed, (unsigned long long)trainer->seed);
    }
    if (samples > 0 && shuffle_seed != cairn_loader_seed(trainer->train))
        cairn_log_message(log, CAIRN_LOG_WARNING,
                          "shuffle_seed: %llu -> %llu; samples of the epoch that was interrupted "
                          "may repeat",
                          (unsigned long long)shuffle_seed,
                          (unsigned long long)cairn_loader_seed(trainer->train));
    cairn_loader_seek(trainer->train, samples);
    CRN_TRY_PLAIN(trainer->optimizer.ops->loaded(trainer->optimizer.self, err));
    CRN_TRY_PLAIN(cairn_loss_scaler_loaded(trainer->scaler, err));
out:
    return rc;
}
