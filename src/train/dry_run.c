/* A fit up to its first step, and a little of what follows, without a trace on disk. */
#include <inttypes.h>
#include <math.h>

#include "base/try.h"
#include "ckpt/ckpt.h"
#include "ckpt/probe.h"
#include "train/trainer_priv.h"

/* The first of anything plans and warms up; the second is like all others. */
enum { TRIALS = 2 };

static double seconds_since(const cairn_trainer *trainer, int64_t begin_ns)
{
    return (double)(trainer->os->monotonic_ns(trainer->os) - begin_ns) * 1e-9;
}

static cairn_status check_stop(cairn_trainer *trainer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const reason = crn_trainer_stop_reason(trainer);
    if (reason != NULL)
        CRN_FAIL(err, CAIRN_ECANCELED, "the dry run was stopped before its end (%s)", reason);
out:
    return rc;
}

static uint64_t count_parameters(const cairn_state *model)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < cairn_state_tensor_count(model); i++) {
        const cairn_tensor *const tensor = cairn_state_tensor_at(model, i);
        if (tensor->role != CAIRN_ROLE_OTHER)
            sum += (uint64_t)cairn_tensor_elements(tensor);
    }
    return sum;
}

/* ---- Training ---- */

/* Forward and backward of the next batch. */
static cairn_status try_batch(cairn_trainer *trainer, uint64_t index, cairn_loss *loss,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_batch batch = {.struct_size = sizeof batch};
    const cairn_pass pass = crn_trainer_training_pass(trainer, index, false);
    CRN_TRY_PLAIN(check_stop(trainer, err));
    CRN_TRY_PLAIN(cairn_loader_next(trainer->train, &batch, err));
    CRN_TRY_PLAIN(trainer->model.ops->compute(trainer->model.self, &batch, &pass, loss, err));
    if (!isfinite(loss->loss))
        CRN_FAIL(err, CAIRN_ENONFINITE, "the loss of training batch %" PRIu64 " is %g", index + 1,
                 loss->loss);
out:
    return rc;
}

static cairn_status try_update(cairn_trainer *trainer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_rates *const rates = &trainer->rates;
    bool is_skipped = false;
    crn_rates_compute(rates, &trainer->optimizer, trainer->scheduler_t);
    const double norm = crn_trainer_finish_gradients(trainer, &is_skipped);
    if (is_skipped) /* A loss scale that is found out by and by. */
        return CAIRN_OK;
    if (!isfinite(norm))
        CRN_FAIL(err, CAIRN_ENONFINITE, "the norm of the first gradients is %g", norm);
    crn_trainer_clip(trainer, norm);
    CRN_TRY_PLAIN(trainer->optimizer.ops->step(trainer->optimizer.self, trainer->tree,
                                               rates->learning_rates, rates->weight_decays, err));
out:
    return rc;
}

static cairn_status try_training(cairn_trainer *trainer, cairn_dry_run *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const double parts = (double)trainer->options.loop.grad_accum_steps;
    for (uint64_t i = 0; i < TRIALS; i++) {
        cairn_loss loss = {0};
        int64_t begin_ns = trainer->os->monotonic_ns(trainer->os);
        CRN_TRY(err, try_batch(trainer, i, &loss, err), "try a training batch");
        out->step_seconds = seconds_since(trainer, begin_ns) * parts;
        if (i == 0) {
            out->loss = loss.loss;
            out->tokens_a_step = loss.weight * parts;
        }
        begin_ns = trainer->os->monotonic_ns(trainer->os);
        CRN_TRY(err, try_update(trainer, err), "try an update");
        out->step_seconds += seconds_since(trainer, begin_ns);
    }
out:
    return rc;
}

/* ---- Validation ---- */

static cairn_status try_loader(cairn_trainer *trainer, cairn_loader *loader, double *out_loss,
                               double *out_seconds, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_batch batch = {.struct_size = sizeof batch};
    const cairn_pass pass = crn_trainer_validation_pass(trainer);
    cairn_loader_set_seed(loader, trainer->seed);
    for (int i = 0; i < TRIALS; i++) {
        cairn_loss loss = {0};
        CRN_TRY_PLAIN(check_stop(trainer, err));
        cairn_loader_seek(loader, 0);
        const int64_t begin_ns = trainer->os->monotonic_ns(trainer->os);
        CRN_TRY_PLAIN(cairn_loader_next(loader, &batch, err));
        CRN_TRY_PLAIN(trainer->model.ops->compute(trainer->model.self, &batch, &pass, &loss, err));
        *out_seconds = seconds_since(trainer, begin_ns);
        *out_loss = loss.loss;
    }
out:
    return rc;
}

static cairn_status try_validation(cairn_trainer *trainer, cairn_dry_run *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (size_t i = 0; i < trainer->val_count; i++) {
        double loss = 0.0;
        double seconds = 0.0;
        CRN_TRY(err, try_loader(trainer, trainer->val[i], &loss, &seconds, err),
                "try a validation batch");
        out->val_loss = i == 0 ? loss : out->val_loss;
        out->validation_seconds +=
            seconds * (double)crn_trainer_validation_batches(trainer, trainer->val[i]);
    }
out:
    return rc;
}

/* ---- The whole ---- */

static void tell_plan(cairn_trainer *trainer, cairn_dry_run *out)
{
    const crn_run_schedule *const schedule = &trainer->schedule;
    out->step = trainer->step;
    out->end_step = schedule->end_step;
    out->limit = schedule->limit;
    out->is_complete = trainer->is_superseded || trainer->step >= schedule->end_step;
    out->checkpoint = trainer->loaded_path;
    out->saves = trainer->plan.saves;
    out->save_bytes = trainer->plan.full_bytes;
    out->disk_bytes = trainer->plan.most_bytes;
    out->has_disk_room = crn_trainer_free_bytes(trainer, &out->disk_room);
    out->validations = crn_run_schedule_validations_after(schedule, trainer->step);
    out->parameters = count_parameters(trainer->model_state);
    if (trainer->trained_state != trainer->model_state)
        out->parameters += count_parameters(trainer->trained_state);
}

static cairn_status try_run(cairn_trainer *trainer, cairn_ckpt ckpt, cairn_dry_run *out,
                            cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_event event;
    CRN_TRY_PLAIN(crn_trainer_open_store(trainer, true, err));
    CRN_TRY_PLAIN(crn_store_check_free(trainer->store, err));
    crn_trainer_say_data(trainer);
    CRN_TRY_PLAIN(crn_trainer_enter_fit(trainer, err));
    CRN_TRY_PLAIN(check_stop(trainer, err));
    CRN_TRY_PLAIN(crn_trainer_start(trainer, ckpt, err));
    tell_plan(trainer, out);
    if (out->is_complete)
        return CAIRN_OK;
    /* Without a path: what a kill has left undone is not made up for. */
    event = crn_trainer_event(trainer);
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_fit_start, &event, err));
    CRN_TRY_PLAIN(try_training(trainer, out, err));
    CRN_TRY_PLAIN(try_validation(trainer, out, err));
    out->memory_bytes = crn_memory_peak();
    out->seconds = (double)(out->end_step - out->step) * out->step_seconds +
                   (double)out->validations * out->validation_seconds;
out:
    return rc;
}

cairn_status cairn_trainer_dry_run(cairn_trainer *trainer, cairn_loader *train, cairn_loader **val,
                                   size_t val_count, cairn_ckpt ckpt, cairn_dry_run *out,
                                   cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const root = trainer->options.checkpoint.checkpoint_root;
    crn_probe model_probe = {0};
    crn_probe root_probe = {0};
    *out = (cairn_dry_run){.limit = "", .val_loss = NAN};
    trainer->is_dry_run = true;
    CRN_TRY_PLAIN(crn_trainer_prepare_fit(trainer, train, val, val_count, ckpt, err));
    out->memory = trainer->memory;
    CRN_TRY_PLAIN(crn_probe_begin(&model_probe, trainer->os, trainer->options.model_dir, err));
    if (root != NULL)
        CRN_TRY_PLAIN(crn_probe_begin(&root_probe, trainer->os, root, err));
    CRN_TRY_PLAIN(try_run(trainer, ckpt, out, err));
out:
    crn_probe_end(&root_probe);
    crn_probe_end(&model_probe);
    return rc;
}
