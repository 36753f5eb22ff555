/* The training loop. */
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
    float *const gradients = cairn_state_gradients(trainer->model_state, &count);
    memset(gradients, 0, count * sizeof *gradients);
}

static cairn_status micro_batch(cairn_trainer *trainer, uint64_t index, cairn_event *event,
                                struct step_facts *facts, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const uint64_t parts = (uint64_t)trainer->options.loop.grad_accum_steps;
    cairn_batch batch = {.struct_size = sizeof batch};
    cairn_loss loss = {0};
    const cairn_pass pass = {
        .struct_size = sizeof pass,
        .is_training = true,
        .seed = trainer->seed,
        .step = trainer->step * parts + index,
        .loss_scale = 1.0f / (float)parts,
    };
    CRN_TRY_PLAIN(cairn_loader_next(trainer->train, &batch, err));
    event->batch = &batch;
    if (index == 0)
        CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_train_batch_start, event, err));
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_before_forward, event, err));
    CRN_TRY_PLAIN(trainer->model.ops->compute(trainer->model.self, &batch, &pass, &loss, err));
    event->loss = loss.loss;
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_after_backward, event, err));
    facts->loss += loss.loss / (double)parts;
    facts->tokens += loss.weight;
    facts->samples += (uint64_t)batch.samples;
out:
    event->batch = NULL;
    return rc;
}

static void clip(cairn_trainer *trainer, double norm)
{
    const cairn_trainer_options *const options = &trainer->options;
    if (options->max_gradient_norm > 0.0)
        cairn_clip_gradients(trainer->model_state, norm, options->max_gradient_norm);
    if (options->max_gradient_value > 0.0)
        cairn_clip_gradient_values(trainer->model_state, options->max_gradient_value);
}

static cairn_status update(cairn_trainer *trainer, cairn_event *event, struct step_facts *facts,
                           cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_rates *const rates = &trainer->rates;
    crn_rates_compute(rates, &trainer->optimizer, trainer->scheduler_t);
    facts->learning_rate = crn_rates_count(rates) > 0 ? rates->learning_rates[0] : 0.0;
    facts->gradient_norm = cairn_gradient_norm(trainer->model_state);
    event->loss = facts->loss;
    event->gradient_norm = facts->gradient_norm;
    event->samples = facts->samples;
    event->learning_rates = rates->learning_rates;
    event->weight_decays = rates->weight_decays;
    event->group_names = rates->names;
    event->learning_rate_count = crn_rates_count(rates);
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_before_optimizer_step, event, err));
    clip(trainer, facts->gradient_norm);
    CRN_TRY_PLAIN(trainer->optimizer.ops->step(trainer->optimizer.self, trainer->tree,
                                               rates->learning_rates, rates->weight_decays, err));
    trainer->scheduler_t++;
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_after_optimizer_step, event, err));
out:
    event->learning_rates = NULL;
    event->weight_decays = NULL;
    event->group_names = NULL;
    event->learning_rate_count = 0;
    return rc;
}

static cairn_status log_step(cairn_trainer *trainer, const struct step_facts *facts,
                             cairn_error *err)
{
    const int64_t now = trainer->os->monotonic_ns(trainer->os);
    const double seconds = (double)(now - facts->start_ns) * 1e-9;
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

/* The Model Zoo's: every log_steps from the run's start, and the last (reference, section 2.8). */
static bool is_log_step(const cairn_trainer *trainer, uint64_t step)
{
    const crn_run_schedule *const schedule = &trainer->schedule;
    const uint64_t every = trainer->options.log_steps > 0 ? trainer->options.log_steps : 1;
    return (step - schedule->first_step) % every == 0 || step == schedule->end_step;
}

static cairn_status train_step(cairn_trainer *trainer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct step_facts facts = {.start_ns = trainer->os->monotonic_ns(trainer->os)};
    cairn_event event = crn_trainer_event(trainer);
    event.is_log_step = is_log_step(trainer, trainer->step + 1);
    event.loss_scale = 1.0;
    zero_gradients(trainer);
    for (uint64_t i = 0; i < (uint64_t)trainer->options.loop.grad_accum_steps; i++)
        CRN_TRY_PLAIN(micro_batch(trainer, i, &event, &facts, err));
    CRN_TRY_PLAIN(update(trainer, &event, &facts, err));
    trainer->step++;
    event.step = trainer->step;
    event.is_last = trainer->step == trainer->schedule.end_step;
    event.saves_left = crn_run_schedule_saves_after(&trainer->schedule, trainer->step);
    event.validations_left = crn_run_schedule_validations_after(&trainer->schedule, trainer->step);
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_train_batch_end, &event, err));
    CRN_TRY_PLAIN(log_step(trainer, &facts, err));
out:
    return rc;
}

/* ---- The loop ---- */

static const char *stop_reason(const cairn_trainer *trainer)
{
    const cairn_trainer_options *const options = &trainer->options;
    return options->stop_requested != NULL ? options->stop_requested(options->user) : NULL;
}

/* Why the loop ends before its last step; both NULL while it goes on. */
struct ending {
    const char *signal;  /* asked from outside: saved, to be resumed */
    const char *request; /* a callback's: the run is finished */
};

static cairn_control take_asked(cairn_trainer *trainer)
{
    const cairn_control asked = trainer->asked;
    trainer->asked = (cairn_control){0};
    return asked;
}

/* A stop that was asked for by a hook of the step's save or validation. */
static cairn_status stop_late(cairn_trainer *trainer, struct ending *ending, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (!trainer->asked.stop || ending->request != NULL)
        return CAIRN_OK;
    ending->request = take_asked(trainer).reason;
    if (crn_trainer_saves_at_end(trainer))
        CRN_TRY_PLAIN(crn_trainer_save(trainer, CRN_SAVE_LAST, err));
out:
    return rc;
}

/* Whatever step ends here: saved first, then validated. */
static cairn_status end_of_step(cairn_trainer *trainer, struct ending *ending, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_control asked = take_asked(trainer);
    bool is_stopped = false;
    crn_save_why why = CRN_SAVE_PERIODIC;
    CRN_TRY_PLAIN(crn_trainer_poll_save(trainer, err));
    if (crn_trainer_save_is_due(trainer, &asked, &why))
        CRN_TRY_PLAIN(crn_trainer_save(trainer, why, err));
    if (asked.stop)
        ending->request = asked.reason;
    if (crn_run_schedule_validates_at(&trainer->schedule, trainer->step))
        CRN_TRY_PLAIN(crn_trainer_validate_all_loaders(trainer, &is_stopped, err));
    if (is_stopped)
        ending->signal = stop_reason(trainer);
    else
        CRN_TRY_PLAIN(stop_late(trainer, ending, err));
out:
    return rc;
}

static bool is_ended(const struct ending *ending)
{
    return ending->signal != NULL || ending->request != NULL;
}

static cairn_status train_segment(cairn_trainer *trainer, uint64_t until, struct ending *ending,
                                  cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_event event = crn_trainer_event(trainer);
    event.batch_count = until - trainer->step;
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_train_start, &event, err));
    while (trainer->step < until && !is_ended(ending)) {
        ending->signal = stop_reason(trainer);
        if (ending->signal != NULL)
            break;
        CRN_TRY_PLAIN(train_step(trainer, err));
        crn_trainer_start_succeeded(trainer);
        if (trainer->step == until || trainer->asked.stop) {
            event = crn_trainer_event(trainer);
            CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_train_end, &event, err));
            trainer->loop_index++;
        }
        CRN_TRY_PLAIN(end_of_step(trainer, ending, err));
    }
out:
    return rc;
}

static cairn_status run_loop(cairn_trainer *trainer, cairn_fit_result *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_run_schedule *const schedule = &trainer->schedule;
    struct ending ending = {0};
    trainer->last_save_ns = trainer->os->monotonic_ns(trainer->os);
    if (trainer->options.checkpoint.save_initial_checkpoint &&
        trainer->step == schedule->first_step)
        CRN_TRY_PLAIN(crn_trainer_save(trainer, CRN_SAVE_INITIAL, err));
    while (trainer->step < schedule->end_step && !is_ended(&ending)) {
        const uint64_t until = crn_run_schedule_segment_end(schedule, trainer->step);
        CRN_TRY_PLAIN(train_segment(trainer, until, &ending, err));
    }
    out->outcome = CAIRN_OUTCOME_FINISHED;
    out->reason = ending.request != NULL ? ending.request : schedule->limit;
    if (ending.signal != NULL) {
        CRN_TRY_PLAIN(crn_trainer_save(trainer, CRN_SAVE_STOP, err));
        out->outcome = CAIRN_OUTCOME_STOPPED;
        out->reason = ending.signal;
    }
    CRN_TRY_PLAIN(crn_trainer_finish_save(trainer, true, err));
    crn_trainer_log_saves(trainer);
out:
    return rc;
}

/* A validation that a crash cut off is made up for, so that no result is missing. */
static cairn_status finish_validation(cairn_trainer *trainer, bool *out_stopped, cairn_error *err)
{
    *out_stopped = false;
    if (!trainer->is_resumed || !crn_run_schedule_validates_at(&trainer->schedule, trainer->step) ||
        crn_trainer_validation_is_noted(trainer))
        return CAIRN_OK;
    cairn_log_message(trainer->options.log, CAIRN_LOG_INFO,
                      "the validation of step %" PRIu64 " is missing; running it first",
                      trainer->step);
    return crn_trainer_validate_all_loaders(trainer, out_stopped, err);
}

static cairn_status run_fit(cairn_trainer *trainer, cairn_fit_result *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    bool is_stopped = false;
    cairn_event event;
    event = crn_trainer_event(trainer);
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_fit_start, &event, err));
    /* After the callbacks have agreed, so that a refused start leaves the old run resumable. */
    if (trainer->step < trainer->schedule.end_step && !trainer->is_resumed)
        CRN_TRY(err, cairn_run_write(trainer->store, &trainer->run, err), "write run.json");
    CRN_TRY_PLAIN(finish_validation(trainer, &is_stopped, err));
    if (is_stopped) {
        out->outcome = CAIRN_OUTCOME_STOPPED;
        out->reason = stop_reason(trainer);
    } else if (trainer->step >= trainer->schedule.end_step) {
        cairn_log_message(trainer->options.log, CAIRN_LOG_INFO, "run is complete at step %" PRIu64,
                          trainer->step);
        out->outcome = CAIRN_OUTCOME_COMPLETE;
        out->reason = trainer->schedule.limit;
    } else {
        CRN_TRY_PLAIN(crn_trainer_attach_store(trainer, err));
        CRN_TRY_PLAIN(run_loop(trainer, out, err));
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

static cairn_status prepare_fit(cairn_trainer *trainer, cairn_loader *train, cairn_loader **val,
                                size_t val_count, cairn_ckpt ckpt, cairn_error *err)
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
    trainer->validation_losses = crn_calloc(val_count, sizeof *trainer->validation_losses);
    CRN_NEED(err, trainer->validation_losses, "validation losses");
    CRN_TRY_PLAIN(check_vocabulary(trainer, train, err));
    for (size_t i = 0; i < val_count; i++)
        CRN_TRY_PLAIN(check_vocabulary(trainer, val[i], err));
    /* Contradictory limits are reported before anything is touched on disk. */
    CRN_TRY_PLAIN(crn_trainer_make_schedule(trainer, err));
    CRN_TRY_PLAIN(crn_trainer_plan_tree(trainer, true, err));
    CRN_TRY_PLAIN(check_ckpt(trainer, ckpt, err));
    CRN_TRY_PLAIN(crn_trainer_open_store(trainer, false, err));
    say_data(trainer, "training", train);
    for (size_t i = 0; i < val_count; i++)
        say_data(trainer, "validation", val[i]);
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

cairn_status cairn_trainer_fit(cairn_trainer *trainer, cairn_loader *train, cairn_loader **val,
                               size_t val_count, cairn_ckpt ckpt, cairn_fit_result *out,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    *out = (cairn_fit_result){.reason = ""};
    CRN_TRY_PLAIN(prepare_fit(trainer, train, val, val_count, ckpt, err));
    CRN_TRY_PLAIN(crn_trainer_start(trainer, ckpt, err));
    CRN_TRY_PLAIN(run_fit(trainer, out, err));
out:
    if (rc != CAIRN_OK) {
        cairn_event event = crn_trainer_event(trainer);
        crn_trainer_settle_save(trainer);
        event.failure = err;
        (void)crn_trainer_call(trainer, CRN_HOOK_on_fit_exception, &event, NULL);
    }
    if (is_no_failed_start(rc))
        crn_trainer_start_withdrawn(trainer);
    out->step = trainer->step;
    if (trainer->saved_path != NULL)
        out->checkpoint = crn_strdup(trainer->saved_path);
    return rc;
}
