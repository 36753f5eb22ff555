/* A fit from its preparation to its end, and its steps. The loop around these is in loop.c. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "train/trainer_priv.h"

/* What one step gave. */
struct step_facts {
    double loss; /* mean over the micro-batches */
    double gradient_norm;
    double learning_rate;
    double tokens;
    uint64_t samples;
    int64_t start_ns;
};

/* A token id that the model lacks would be noticed in the middle of the training only. */
static cairn_status check_vocabulary(const cairn_trainer *trainer, const cairn_loader *loader,
                                     cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_model_ops *const model = trainer->model.ops;
    const cairn_data *const data = cairn_loader_data(loader);
    if (model->vocab_size != NULL && data->ops->max_token_id != NULL) {
        const int64_t size = model->vocab_size(trainer->model.self);
        const int64_t most = data->ops->max_token_id(data->self);
        if (most >= size)
            CRN_FAIL(err, CAIRN_EDATA,
                     "%s has token ids up to %" PRId64 ", but vocab_size is %" PRId64
                     "; set model.vocab_size to at least %" PRId64,
                     data->ops->name, most, size, most + 1);
    }
    if (model->max_sequence_length != NULL && data->ops->sequence_length != NULL) {
        const int64_t most = model->max_sequence_length(trainer->model.self);
        const int64_t length = data->ops->sequence_length(data->self);
        if (most > 0 && length > most)
            CRN_FAIL(err, CAIRN_EDATA,
                     "max_sequence_length is %" PRId64 ", but max_position_embeddings is %" PRId64
                     "; make one of them fit the other",
                     length, most);
    }
out:
    return rc;
}

/* ---- One step ---- */

static void zero_gradients(cairn_trainer *trainer)
{
    size_t count = 0;
    float *const gradients = cairn_state_gradients(trainer->trained_state, &count);
    memset(gradients, 0, count * sizeof *gradients);
}

/* A pass that hooks may look into. */
struct watched_pass {
    cairn_trainer *trainer;
    cairn_event *event;
    bool is_told; /* the loss, to the hooks */
};

/* For cairn_pass.after_forward: a hook that fails here saves the backward pass. */
static cairn_status after_forward(void *user, double loss, double weight, cairn_error *err)
{
    struct watched_pass *const watched = user;
    cairn_event *const event = watched->event;
    cairn_status rc = CAIRN_OK;
    watched->is_told = true;
    event->loss = loss;
    event->tokens = weight;
    CRN_TRY_PLAIN(crn_trainer_call(watched->trainer, CRN_HOOK_on_after_forward, event, err));
    CRN_TRY_PLAIN(crn_trainer_call(watched->trainer, CRN_HOOK_on_before_backward, event, err));
out:
    return rc;
}

/* Forward and backward of event->batch. */
static cairn_status compute(cairn_trainer *trainer, uint64_t index, cairn_event *event,
                            struct step_facts *facts, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const uint64_t parts = (uint64_t)trainer->options.loop.grad_accum_steps;
    cairn_loss loss = {0};
    struct watched_pass watched = {.trainer = trainer, .event = event};
    cairn_pass pass = crn_trainer_training_pass(trainer, index, event->is_log_step);
    pass.after_forward = after_forward;
    pass.user = &watched;
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_before_forward, event, err));
    CRN_TRY_PLAIN(
        trainer->model.ops->compute(trainer->model.self, event->batch, &pass, &loss, err));
    if (!watched.is_told) /* The model cannot tell forward from backward. */
        CRN_TRY_PLAIN(after_forward(&watched, loss.loss, loss.weight, err));
    event->computed = &loss;
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_after_backward, event, err));
    facts->loss += loss.loss / (double)parts;
    facts->tokens += loss.weight;
    facts->samples += (uint64_t)event->batch->samples;
out:
    event->computed = NULL;
    return rc;
}

/* @batch: it stays while hooks see it. */
static cairn_status micro_batch(cairn_trainer *trainer, uint64_t index, cairn_batch *batch,
                                cairn_event *event, struct step_facts *facts, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    *batch = (cairn_batch){.struct_size = sizeof *batch};
    CRN_TRY_PLAIN(cairn_loader_next(trainer->train, batch, err));
    event->batch = batch;
    event->samples = (uint64_t)batch->samples;
    event->loss = 0.0;
    event->tokens = 0.0;
    if (index == 0)
        CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_train_batch_start, event, err));
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_train_step_start, event, err));
    CRN_TRY_PLAIN(compute(trainer, index, event, facts, err));
out:
    return rc;
}

/* All micro-batches of a step; the last one's on_train_step_end comes after the update. */
static cairn_status accumulate(cairn_trainer *trainer, cairn_batch *batch, cairn_event *event,
                               struct step_facts *facts, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const uint64_t parts = (uint64_t)trainer->options.loop.grad_accum_steps;
    for (uint64_t i = 0; i < parts; i++) {
        CRN_TRY_PLAIN(micro_batch(trainer, i, batch, event, facts, err));
        if (i + 1 < parts)
            CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_train_step_end, event, err));
    }
    event->loss = facts->loss;
    event->samples = facts->samples;
    event->tokens = facts->tokens;
out:
    return rc;
}

/* The gradients have done their work; the schedulers count the step, unless it was skipped. */
static cairn_status after_update(cairn_trainer *trainer, cairn_event *event, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_before_optimizer_zero_grad, event, err));
    zero_gradients(trainer);
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_after_optimizer_zero_grad, event, err));
    if (!event->is_skipped) {
        CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_before_scheduler_step, event, err));
        trainer->scheduler_t++;
        CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_after_scheduler_step, event, err));
    }
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_train_step_end, event, err));
out:
    return rc;
}

static cairn_status update(cairn_trainer *trainer, cairn_event *event, struct step_facts *facts,
                           cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_rates *const rates = &trainer->rates;
    crn_rates_compute(rates, &trainer->optimizer, trainer->scheduler_t);
    facts->learning_rate = crn_rates_count(rates) > 0 ? rates->learning_rates[0] : 0.0;
    facts->gradient_norm = crn_trainer_finish_gradients(trainer, &event->is_skipped);
    event->loss_scale = 1.0;
    event->gradient_norm = facts->gradient_norm;
    event->learning_rates = rates->learning_rates;
    event->weight_decays = rates->weight_decays;
    event->learning_rate_count = crn_rates_count(rates);
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_before_optimizer_step, event, err));
    if (!event->is_skipped) {
        crn_trainer_clip(trainer, facts->gradient_norm);
        CRN_TRY_PLAIN(trainer->optimizer.ops->step(trainer->optimizer.self, trainer->tree,
                                                   rates->learning_rates, rates->weight_decays,
                                                   err));
        CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_after_optimizer_step, event, err));
    }
    CRN_TRY_PLAIN(after_update(trainer, event, err));
    CRN_TRY_PLAIN(crn_trainer_scaler_step(trainer, event->is_skipped, err));
out:
    event->learning_rates = NULL;
    event->weight_decays = NULL;
    event->learning_rate_count = 0;
    return rc;
}

static cairn_status log_step(cairn_trainer *trainer, const struct step_facts *facts,
                             cairn_error *err)
{
    const int64_t now = trainer->os->monotonic_ns(trainer->os);
    const double seconds = (double)(now - facts->start_ns) * 1e-9;
    crn_trainer_plan_step(trainer, seconds);
    const cairn_metric metrics[] = {
        {"loss", facts->loss},
        {"lr", facts->learning_rate},
        {"grad_norm", facts->gradient_norm},
        {"samples", (double)facts->samples},
        {"tokens_per_s", seconds > 0.0 ? facts->tokens / seconds : 0.0},
    };
    cairn_status rc = CAIRN_OK;
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++)
        CRN_TRY_PLAIN(cairn_trainer_add_metric(trainer, metrics[i].name, metrics[i].value, err));
    CRN_TRY_PLAIN(crn_trainer_log_metrics(trainer, false, err));
out:
    return rc;
}

bool crn_trainer_is_log_step(const cairn_trainer *trainer, uint64_t step)
{
    const crn_run_schedule *const schedule = &trainer->schedule;
    const uint64_t every = trainer->options.log_steps > 0 ? trainer->options.log_steps : 1;
    return (step - schedule->first_step) % every == 0 || step == schedule->end_step;
}

static cairn_event step_event(cairn_trainer *trainer)
{
    cairn_event event = crn_trainer_event(trainer);
    event.batch_index = trainer->step - trainer->segment_first;
    event.batch_count = trainer->segment_end - trainer->segment_first;
    event.is_log_step = crn_trainer_is_log_step(trainer, trainer->step + 1);
    event.loss_scale = cairn_loss_scaler_scale(trainer->scaler);
    return event;
}

cairn_status crn_trainer_step(cairn_trainer *trainer, int64_t start_ns, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct step_facts facts = {.start_ns = start_ns};
    cairn_event event = step_event(trainer);
    cairn_batch batch;
    CRN_TRY_PLAIN(accumulate(trainer, &batch, &event, &facts, err));
    CRN_TRY_PLAIN(update(trainer, &event, &facts, err));
    trainer->step++;
    event.batch = NULL;
    event.step = trainer->step;
    event.is_last = trainer->step == trainer->schedule.end_step;
    event.saves_left = crn_run_schedule_saves_after(&trainer->schedule, trainer->step);
    event.validations_left = crn_run_schedule_validations_after(&trainer->schedule, trainer->step);
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_train_batch_end, &event, err));
    CRN_TRY_PLAIN(log_step(trainer, &facts, err));
out:
    return rc;
}

/* ---- The fit ---- */

/*
 * A validation that a crash cut off is made up for, so that no result is missing. One that was
 * finished is handed to the callbacks, whose states in the checkpoint are from before it.
 */
static cairn_status finish_validation(cairn_trainer *trainer, const char **out_stop,
                                      cairn_error *err)
{
    *out_stop = NULL;
    if (!trainer->is_resumed || !crn_run_schedule_validates_at(&trainer->schedule, trainer->step))
        return CAIRN_OK;
    if (crn_trainer_validation_is_noted(trainer))
        return trainer->step < trainer->schedule.end_step
                   ? crn_trainer_replay_validation(trainer, err)
                   : CAIRN_OK;
    cairn_log_message(trainer->options.log, CAIRN_LOG_INFO,
                      "the validation of step %" PRIu64 " is missing; running it first",
                      trainer->step);
    trainer->validation_index--; /* The count took it for done. */
    return crn_trainer_validate_round(trainer, out_stop, err);
}

static void be_complete(cairn_trainer *trainer, const char *reason, cairn_fit_result *out)
{
    cairn_log_message(trainer->options.log, CAIRN_LOG_INFO, "run is complete at step %" PRIu64,
                      trainer->step);
    out->outcome = CAIRN_OUTCOME_COMPLETE;
    out->reason = reason;
}

bool crn_trainer_is_ended_for_good(const cairn_trainer *trainer)
{
    return trainer->is_resumed && trainer->run.complete_reason != NULL &&
           trainer->run.complete_step == trainer->step;
}

static cairn_status be_ended_for_good(cairn_trainer *trainer, cairn_fit_result *out,
                                      cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    out->own_reason = crn_strdup(trainer->run.complete_reason);
    CRN_NEED(err, out->own_reason, "a reason");
    be_complete(trainer, out->own_reason, out);
    cairn_log_message(trainer->options.log, CAIRN_LOG_INFO,
                      "%s ended it; to train on from there, start without --resume",
                      out->own_reason);
out:
    return rc;
}

/* run.json says which run this is from now on, and no more that it has ended. */
static cairn_status write_run(cairn_trainer *trainer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (!trainer->is_resumed) {
        CRN_TRY(err, cairn_run_write(trainer->store, &trainer->run, err), "write run.json");
    } else if (trainer->run.complete_reason != NULL) {
        crn_free(trainer->run.complete_reason);
        trainer->run.complete_reason = NULL;
        CRN_TRY(err, cairn_run_update(trainer->store, &trainer->run, err), "write run.json");
    }
out:
    return rc;
}

static cairn_status run_fit(cairn_trainer *trainer, cairn_fit_result *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *stop = NULL;
    cairn_event event;
    CRN_TRY_PLAIN(crn_trainer_begin_fit(trainer, err));
    const bool is_over = trainer->step >= trainer->schedule.end_step;
    const bool is_for_good = crn_trainer_is_ended_for_good(trainer);
    /* After the callbacks have agreed, so that a refused start leaves the old run resumable. */
    if (!is_over)
        CRN_TRY_PLAIN(write_run(trainer, err));
    CRN_TRY_PLAIN(crn_trainer_catch_up(trainer, !is_over && !is_for_good, err));
    if (!is_for_good)
        CRN_TRY_PLAIN(finish_validation(trainer, &stop, err));
    if (is_for_good) {
        CRN_TRY_PLAIN(be_ended_for_good(trainer, out, err));
    } else if (stop != NULL) {
        out->outcome = CAIRN_OUTCOME_STOPPED;
        out->reason = stop;
    } else if (is_over) {
        be_complete(trainer, trainer->schedule.limit, out);
    } else {
        CRN_TRY_PLAIN(crn_trainer_attach_store(trainer, err));
        CRN_TRY_PLAIN(crn_trainer_loop(trainer, out, err));
    }
    if (out->outcome == CAIRN_OUTCOME_FINISHED && !crn_trainer_saves_at_end(trainer))
        cairn_log_message(trainer->options.log, CAIRN_LOG_WARNING,
                          "the end was not saved: checkpoint.steps is null or 0");
    event = crn_trainer_event(trainer);
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_fit_end, &event, err));
out:
    return rc;
}

/* A checkpoint that is not there is said before a folder is made. */
static cairn_status check_ckpt(const cairn_trainer *trainer, cairn_ckpt ckpt, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_file_stat info;
    if (ckpt.kind == CAIRN_CKPT_PATH && !trainer->options.checkpoint.resume &&
        trainer->os->stat(trainer->os, CRN_OS_CWD, ckpt.path, &info) == ENOENT)
        CRN_FAIL(err, CAIRN_ENOTFOUND, "there is no checkpoint '%s'", ckpt.path);
out:
    return rc;
}

static void say_data(const cairn_trainer *trainer, const char *what, const cairn_loader *loader)
{
    const cairn_data *const data = cairn_loader_data(loader);
    const char *const text =
        data->ops->describe != NULL ? data->ops->describe(data->self) : data->ops->name;
    cairn_log_message(trainer->options.log, CAIRN_LOG_INFO,
                      "%s data: %s; %" PRIu64 " samples, %" PRIu64 " batches an epoch", what, text,
                      cairn_loader_samples_per_epoch(loader),
                      cairn_loader_batches_per_epoch(loader));
}

void crn_trainer_say_data(const cairn_trainer *trainer)
{
    say_data(trainer, "training", trainer->train);
    for (size_t i = 0; i < trainer->val_count; i++)
        say_data(trainer, "validation", trainer->val[i]);
}

cairn_status crn_trainer_prepare_fit(cairn_trainer *trainer, cairn_loader *train,
                                     cairn_loader **val, size_t val_count, cairn_ckpt ckpt,
                                     cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (trainer->is_used)
        CRN_FAIL(err, CAIRN_EINVAL, "a trainer runs once");
    if (trainer->optimizer.ops == NULL)
        CRN_FAIL(err, CAIRN_ECONFIG, "fit needs an optimizer");
    trainer->is_used = true;
    trainer->train = train;
    trainer->val = val;
    trainer->val_count = val_count;
    CRN_TRY_PLAIN(check_vocabulary(trainer, train, err));
    for (size_t i = 0; i < val_count; i++)
        CRN_TRY_PLAIN(check_vocabulary(trainer, val[i], err));
    /* Contradictory limits are reported before anything is touched on disk. */
    CRN_TRY_PLAIN(crn_trainer_make_schedule(trainer, err));
    CRN_TRY_PLAIN(crn_trainer_plan_tree(trainer, true, err));
    CRN_TRY_PLAIN(crn_trainer_plan_memory(trainer, err));
    CRN_TRY_PLAIN(crn_trainer_start_clock(trainer, err));
    CRN_TRY_PLAIN(check_ckpt(trainer, ckpt, err));
out:
    return rc;
}

/*
 * Whether a run that ended so before its first step says nothing against the checkpoint, or has
 * said it: what is left is what a person would not connect with the file, such as a lack of memory.
 */
static bool is_no_failed_start(cairn_status status)
{
    static const cairn_status k_others[] = {CAIRN_OK,        CAIRN_EINVAL,      CAIRN_ECONFIG,
                                            CAIRN_ENOTFOUND, CAIRN_ECORRUPT,    CAIRN_EINCOMPATIBLE,
                                            CAIRN_EVERSION,  CAIRN_EDATA,       CAIRN_ENOSPACE,
                                            CAIRN_ECANCELED, CAIRN_EUNSUPPORTED};
    for (size_t i = 0; i < sizeof k_others / sizeof k_others[0]; i++) {
        if (k_others[i] == status)
            return true;
    }
    return false;
}

cairn_status crn_trainer_enter_fit(cairn_trainer *trainer, cairn_error *err)
{
    cairn_event event = crn_trainer_event(trainer);
    trainer->is_entered = true;
    return crn_trainer_call(trainer, CRN_HOOK_on_enter_fit, &event, err);
}

/* Start and loop; what there is to stop for before anything is loaded loses nothing. */
static cairn_status start_and_run(cairn_trainer *trainer, cairn_ckpt ckpt, cairn_fit_result *out,
                                  cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const stop = crn_trainer_stop_reason(trainer);
    if (stop != NULL) {
        cairn_log_message(trainer->options.log, CAIRN_LOG_WARNING, "%s: stopped before the start",
                          stop);
        out->outcome = CAIRN_OUTCOME_STOPPED;
        out->reason = stop;
        return CAIRN_OK;
    }
    CRN_TRY_PLAIN(crn_trainer_start(trainer, ckpt, err));
    if (trainer->is_superseded)
        be_complete(trainer, "next_trainer", out);
    else
        CRN_TRY_PLAIN(run_fit(trainer, out, err));
out:
    return rc;
}

cairn_status cairn_trainer_fit(cairn_trainer *trainer, cairn_loader *train, cairn_loader **val,
                               size_t val_count, cairn_ckpt ckpt, cairn_fit_result *out,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_error own = {0}; /* Callbacks are told of a failure whether the caller wants it or not. */
    cairn_error *const failure = err != NULL ? err : &own;
    *out = (cairn_fit_result){.reason = ""};
    CRN_TRY_PLAIN(crn_trainer_prepare_fit(trainer, train, val, val_count, ckpt, failure));
    CRN_TRY_PLAIN(crn_trainer_open_store(trainer, false, failure));
    crn_trainer_say_data(trainer);
    CRN_TRY_PLAIN(crn_trainer_enter_fit(trainer, failure));
    CRN_TRY_PLAIN(start_and_run(trainer, ckpt, out, failure));
out:
    if (rc != CAIRN_OK) {
        crn_trainer_settle_save(trainer);
        crn_trainer_log_saves(trainer);
    }
    if (rc != CAIRN_OK && trainer->is_entered)
        crn_trainer_tell_failure(trainer, CRN_HOOK_on_fit_exception, failure);
    if (is_no_failed_start(rc))
        crn_trainer_start_withdrawn(trainer);
    out->step = trainer->step;
    if (trainer->saved_path != NULL)
        out->checkpoint = crn_strdup(trainer->saved_path);
    return rc;
}
