/* Validation: the mean loss over tokens of a loader, from its start, without touching the state. */
#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/try.h"
#include "train/trainer_priv.h"

static bool is_stop_requested(const cairn_trainer *trainer)
{
    const cairn_trainer_options *const options = &trainer->options;
    return options->stop_requested != NULL && options->stop_requested(options->user) != NULL;
}

static cairn_event validation_event(cairn_trainer *trainer, uint64_t batches)
{
    cairn_event event = crn_trainer_event(trainer);
    event.is_validation = true;
    event.loop_index = trainer->validation_index;
    event.batch_count = batches;
    return event;
}

/* One batch into the sums. */
static cairn_status evaluate_batch(cairn_trainer *trainer, cairn_loader *loader, cairn_event *event,
                                   double *loss_sum, double *weight_sum, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_batch batch = {.struct_size = sizeof batch};
    cairn_loss loss = {0};
    const cairn_pass pass = {.struct_size = sizeof pass, .seed = trainer->seed, .loss_scale = 1.0f};
    CRN_TRY_PLAIN(cairn_loader_next(loader, &batch, err));
    event->batch = &batch;
    event->samples = (uint64_t)batch.samples;
    CRN_TRY_PLAIN(trainer->model.ops->compute(trainer->model.self, &batch, &pass, &loss, err));
    *loss_sum += loss.loss * loss.weight;
    *weight_sum += loss.weight;
    event->loss = loss.loss;
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_validate_batch_end, event, err));
out:
    event->batch = NULL;
    return rc;
}

cairn_status crn_trainer_evaluate(cairn_trainer *trainer, cairn_loader *loader, uint64_t steps,
                                  cairn_validate_result *out, bool *out_stopped, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const uint64_t all = cairn_loader_batches_per_epoch(loader);
    const uint64_t batches = steps > 0 && steps < all ? steps : all;
    double loss_sum = 0.0;
    double weight_sum = 0.0;
    cairn_event event = validation_event(trainer, batches);
    *out_stopped = false;
    cairn_loader_set_seed(loader, trainer->seed);
    cairn_loader_seek(loader, 0);
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_validate_start, &event, err));
    for (uint64_t i = 0; i < batches; i++) {
        if (is_stop_requested(trainer)) {
            *out_stopped = true;
            return CAIRN_OK;
        }
        event.batch_index = i;
        CRN_TRY_PLAIN(evaluate_batch(trainer, loader, &event, &loss_sum, &weight_sum, err));
    }
    out->loss = weight_sum > 0.0 ? loss_sum / weight_sum : NAN;
    out->tokens = weight_sum;
    out->batches = batches;
    out->step = trainer->step;
    event.loss = out->loss;
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_validate_end, &event, err));
    trainer->validation_index++;
out:
    return rc;
}

cairn_status crn_trainer_validate_all_loaders(cairn_trainer *trainer, bool *out_stopped,
                                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_opt_int limit = trainer->options.loop.eval_steps;
    *out_stopped = false;
    for (size_t i = 0; i < trainer->val_count; i++) {
        cairn_validate_result result = {0};
        CRN_TRY(err,
                crn_trainer_evaluate(trainer, trainer->val[i],
                                     limit.is_set ? (uint64_t)limit.value : 0, &result, out_stopped,
                                     err),
                "validate after step %llu", (unsigned long long)trainer->step);
        if (*out_stopped)
            return CAIRN_OK;
        trainer->validation_losses[i] = result.loss;
    }
    for (size_t i = 0; i < trainer->val_count; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, i == 0 ? "val_loss" : "val_loss/%zu", i);
        CRN_TRY_PLAIN(cairn_trainer_add_metric(trainer, name, trainer->validation_losses[i], err));
    }
    CRN_TRY_PLAIN(crn_trainer_log_metrics(trainer, true, err));
    trainer->has_validation_note = true;
    trainer->validation_step = trainer->step;
    CRN_TRY_PLAIN(crn_trainer_note_validation(trainer, err));
out:
    return rc;
}

cairn_status cairn_trainer_validate(cairn_trainer *trainer, cairn_loader *val, cairn_ckpt ckpt,
                                    cairn_validate_result *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    bool is_stopped = false;
    if (trainer->is_used)
        CRN_FAIL(err, CAIRN_EINVAL, "a trainer runs once");
    trainer->is_used = true;
    trainer->seed = trainer->options.seed.is_set ? (uint64_t)trainer->options.seed.value : 0;
    CRN_TRY_PLAIN(crn_trainer_plan_tree(trainer, false, err));
    CRN_TRY_PLAIN(crn_trainer_start_validation(trainer, ckpt, err));
    const cairn_opt_int limit = trainer->options.loop.eval_steps;
    CRN_TRY_PLAIN(crn_trainer_evaluate(trainer, val, limit.is_set ? (uint64_t)limit.value : 0, out,
                                       &is_stopped, err));
    if (is_stopped)
        CRN_FAIL(err, CAIRN_ECANCELED, "validation was stopped before its end");
out:
    return rc;
}
