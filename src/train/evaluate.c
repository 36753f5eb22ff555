/* Validation: the mean loss over tokens of a loader, from its start, without touching the state. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "train/trainer_priv.h"

/* What has been computed of one loader. */
struct sums {
    double loss; /* times weight */
    double weight;
    uint64_t samples;
};

uint64_t crn_trainer_validation_batches(const cairn_trainer *trainer, const cairn_loader *loader)
{
    const cairn_opt_int limit = trainer->options.loop.eval_steps;
    const uint64_t all = cairn_loader_batches_per_epoch(loader);
    return limit.is_set && (uint64_t)limit.value < all ? (uint64_t)limit.value : all;
}

static cairn_event validation_event(cairn_trainer *trainer, size_t loader_count)
{
    cairn_event event = crn_trainer_event(trainer);
    event.is_validation = true;
    event.loop_index = trainer->validation_index;
    event.loader_count = loader_count;
    event.is_last = trainer->train == NULL || trainer->step == trainer->schedule.end_step;
    return event;
}

static cairn_status after_forward(cairn_trainer *trainer, cairn_event *event,
                                  const cairn_loss *loss, cairn_error *err)
{
    event->loss = loss->loss;
    event->tokens = loss->weight;
    return crn_trainer_call(trainer, CRN_HOOK_on_after_forward, event, err);
}

/* One batch into the sums. */
static cairn_status evaluate_batch(cairn_trainer *trainer, cairn_loader *loader, cairn_event *event,
                                   struct sums *sums, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_batch batch = {.struct_size = sizeof batch};
    cairn_loss loss = {0};
    const cairn_pass pass = crn_trainer_validation_pass(trainer);
    CRN_TRY_PLAIN(cairn_loader_next(loader, &batch, err));
    event->batch = &batch;
    event->samples = (uint64_t)batch.samples;
    event->loss = 0.0;
    event->tokens = 0.0;
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_validate_batch_start, event, err));
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_validate_step_start, event, err));
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_before_forward, event, err));
    CRN_TRY_PLAIN(trainer->model.ops->compute(trainer->model.self, &batch, &pass, &loss, err));
    event->computed = &loss;
    CRN_TRY_PLAIN(after_forward(trainer, event, &loss, err));
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_validate_step_end, event, err));
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_validate_batch_end, event, err));
    sums->loss += loss.loss * loss.weight;
    sums->weight += loss.weight;
    sums->samples += event->samples;
out:
    event->batch = NULL;
    event->computed = NULL;
    return rc;
}

static cairn_status evaluate_batches(cairn_trainer *trainer, cairn_loader *loader,
                                     cairn_event *event, struct sums *sums, const char **out_stop,
                                     cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const uint64_t log_steps = trainer->options.log_steps > 0 ? trainer->options.log_steps : 1;
    for (uint64_t i = 0; i < event->batch_count; i++) {
        *out_stop = crn_trainer_await_batch(trainer, loader);
        if (*out_stop != NULL)
            break;
        event->batch_index = i;
        event->is_log_step = (i + 1) % log_steps == 0 || i + 1 == event->batch_count;
        CRN_TRY_PLAIN(evaluate_batch(trainer, loader, event, sums, err));
    }
out:
    return rc;
}

/*
 * Loader number @event->loader_index, whose on_enter_validate has been called, from its start. Its
 * loss becomes a metric. *out_stop: as crn_trainer_validate_round.
 */
static cairn_status evaluate(cairn_trainer *trainer, cairn_loader *loader, cairn_event event,
                             cairn_validate_result *out, const char **out_stop, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct sums sums = {0};
    event.step = trainer->step;
    event.batch_count = crn_trainer_validation_batches(trainer, loader);
    *out_stop = NULL;
    cairn_loader_set_seed(loader, trainer->seed);
    cairn_loader_seek(loader, 0);
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_validate_start, &event, err));
    CRN_TRY_PLAIN(evaluate_batches(trainer, loader, &event, &sums, out_stop, err));
    if (*out_stop != NULL)
        return CAIRN_OK;
    out->loss = sums.weight > 0.0 ? sums.loss / sums.weight : NAN;
    out->tokens = sums.weight;
    out->batches = event.batch_count;
    out->step = trainer->step;
    event.loss = out->loss;
    event.tokens = out->tokens;
    event.samples = sums.samples;
    CRN_TRY_PLAIN(cairn_trainer_add_metric(trainer, "val_loss", out->loss, err));
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_validate_end, &event, err));
out:
    return rc;
}

/* ---- A round: every loader, then what callbacks validate themselves ---- */

struct round {
    cairn_loader **loaders;
    size_t count;
    const char *checkpoint; /* for fn */
    cairn_validated_fn fn;  /* NULL: nobody wants each result */
    void *user;
};

static cairn_status evaluate_all(cairn_trainer *trainer, const struct round *round,
                                 const char **out_stop, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_event event = validation_event(trainer, round->count);
    for (size_t i = 0; i < round->count; i++) {
        cairn_validated validated = {
            .checkpoint = round->checkpoint, .loader = i, .loader_count = round->count};
        event.loader_index = i;
        trainer->validated_loader = i;
        CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_enter_validate, &event, err));
        CRN_TRY_PLAIN(
            evaluate(trainer, round->loaders[i], event, &validated.result, out_stop, err));
        if (*out_stop != NULL)
            goto out;
        if (round->fn != NULL)
            round->fn(round->user, &validated);
    }
    trainer->validated_loader = 0;
    event.loader_index = 0;
    trainer->round_loaders = round->loaders;
    trainer->round_count = round->count;
    trainer->round_stop = NULL;
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_run_validation, &event, err));
    *out_stop = trainer->round_stop;
out:
    trainer->validated_loader = 0;
    return rc;
}

/* The metrics of a round go to the loggers together, and are kept for the notes. */
static cairn_status finish_round(cairn_trainer *trainer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(crn_metric_list_copy(&trainer->validation, &trainer->metrics, err));
    trainer->validation_step = trainer->step;
    CRN_TRY_PLAIN(crn_trainer_log_metrics(trainer, true, err));
    trainer->validation_index++;
out:
    return rc;
}

static cairn_status run_round(cairn_trainer *trainer, const struct round *round,
                              const char **out_stop, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    *out_stop = NULL;
    CRN_TRY(err, evaluate_all(trainer, round, out_stop, err), "validate after step %llu",
            (unsigned long long)trainer->step);
    if (*out_stop == NULL) /* Half a validation is none. */
        CRN_TRY_PLAIN(finish_round(trainer, err));
out:
    if (rc != CAIRN_OK)
        crn_trainer_tell_failure(trainer, CRN_HOOK_on_validate_exception, err);
    return rc;
}

cairn_status crn_trainer_validate_round(cairn_trainer *trainer, const char **out_stop,
                                        cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const struct round round = {.loaders = trainer->val, .count = trainer->val_count};
    cairn_event event = validation_event(trainer, round.count);
    crn_trainer_log_validation(trainer);
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_enter_validate_all, &event, err));
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_before_load_checkpoint, &event, err));
    CRN_TRY_PLAIN(run_round(trainer, &round, out_stop, err));
    if (*out_stop == NULL)
        CRN_TRY_PLAIN(crn_trainer_note_validation(trainer, err));
out:
    return rc;
}

/* ---- Without a fit ---- */

static cairn_status begin(cairn_trainer *trainer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (trainer->is_used)
        CRN_FAIL(err, CAIRN_EINVAL, "a trainer runs once");
    trainer->is_used = true;
    trainer->seed = trainer->options.seed.is_set ? (uint64_t)trainer->options.seed.value : 0;
    CRN_TRY_PLAIN(crn_trainer_plan_tree(trainer, false, err));
    CRN_TRY_PLAIN(crn_trainer_start_clock(trainer, err));
out:
    return rc;
}

static cairn_status canceled(const char *reason, cairn_error *err)
{
    return crn_error_set(err, CAIRN_ECANCELED, 0, __FILE__, __LINE__,
                         "validation was stopped before its end (%s)", reason);
}

/*
 * A fit beside us may delete a checkpoint between our look at the folder and the opening of the
 * file, which then is an old one that nobody misses. What a person has named is missed.
 */
static bool is_gone(const cairn_trainer *trainer)
{
    crn_file_stat info;
    if (trainer->loaded_path == NULL ||
        trainer->os->stat(trainer->os, CRN_OS_CWD, trainer->loaded_path, &info) != ENOENT)
        return false;
    cairn_log_message(trainer->options.log, CAIRN_LOG_INFO,
                      "%s was deleted after it had been found; looking once more",
                      trainer->loaded_path);
    return true;
}

/* The latest is looked for twice. */
static cairn_status load_one(cairn_trainer *trainer, cairn_ckpt ckpt, cairn_error *err)
{
    const cairn_status rc = crn_trainer_start_validation(trainer, ckpt, err);
    if (rc == CAIRN_OK || ckpt.kind != CAIRN_CKPT_OMITTED || !is_gone(trainer))
        return rc;
    *err = (cairn_error){0};
    return crn_trainer_start_validation(trainer, ckpt, err);
}

/* @err is not NULL. */
static cairn_status validate_one(cairn_trainer *trainer, cairn_loader *val, cairn_ckpt ckpt,
                                 cairn_validate_result *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *stop = NULL;
    cairn_event event = validation_event(trainer, 1);
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_enter_validate, &event, err));
    CRN_TRY_PLAIN(load_one(trainer, ckpt, err));
    CRN_TRY_PLAIN(evaluate(trainer, val, event, out, &stop, err));
    if (stop != NULL)
        CRN_TRY_PLAIN(canceled(stop, err));
    CRN_TRY_PLAIN(finish_round(trainer, err));
out:
    return rc;
}

cairn_status cairn_trainer_validate(cairn_trainer *trainer, cairn_loader *val, cairn_ckpt ckpt,
                                    cairn_validate_result *out, cairn_error *err)
{
    cairn_error own = {0};
    cairn_error *const failure = err != NULL ? err : &own;
    cairn_status rc = begin(trainer, failure);
    if (rc != CAIRN_OK)
        return rc;
    rc = validate_one(trainer, val, ckpt, out, failure);
    if (rc != CAIRN_OK)
        crn_trainer_tell_failure(trainer, CRN_HOOK_on_validate_exception, failure);
    return rc;
}

/* *out_gone: nothing was validated, since the file that had been found is gone. @err is not NULL.
 */
static cairn_status validate_ckpt(cairn_trainer *trainer, const struct round *round, bool *out_gone,
                                  cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *stop = crn_trainer_stop_reason(trainer);
    const cairn_ckpt ckpt = {.kind = round->checkpoint != NULL ? CAIRN_CKPT_PATH : CAIRN_CKPT_NULL,
                             .path = round->checkpoint};
    *out_gone = false;
    if (stop == NULL) {
        rc = crn_trainer_start_validation(trainer, ckpt, err);
        *out_gone = rc != CAIRN_OK && is_gone(trainer);
        CRN_TRY_PLAIN(rc);
        CRN_TRY_PLAIN(run_round(trainer, round, &stop, err));
    }
    if (stop != NULL)
        CRN_TRY_PLAIN(canceled(stop, err));
out:
    return rc;
}

static bool has_path(const crn_path_list *list, const char *path)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], path) == 0)
            return true;
    return false;
}

/*
 * The checkpoints of @paths that are not in @done. Those that are gone are passed over if
 * @may_miss; *out_missed: there were such.
 */
static cairn_status validate_paths(cairn_trainer *trainer, struct round *round,
                                   const crn_path_list *paths, const crn_path_list *done,
                                   bool may_miss, bool *out_missed, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    bool gone = false;
    *out_missed = false;
    for (size_t i = 0; i < paths->count; i++) {
        round->checkpoint = paths->items[i];
        if (has_path(done, round->checkpoint))
            continue;
        rc = validate_ckpt(trainer, round, &gone, err);
        if (!gone || !may_miss)
            CRN_TRY_PLAIN(rc);
        if (gone)
            *err = (cairn_error){0};
        *out_missed = *out_missed || gone;
    }
    rc = CAIRN_OK;
out:
    return rc;
}

/* A second look finds what was saved meanwhile, and misses what was named by a person. */
static cairn_status validate_ckpts(cairn_trainer *trainer, struct round *round,
                                   const cairn_ckpts *ckpts, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_path_list paths = {0};
    crn_path_list more = {0};
    bool missed = false;
    cairn_event event = validation_event(trainer, round->count);
    CRN_TRY_PLAIN(crn_trainer_find_ckpts(trainer, ckpts, &paths, err));
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_enter_validate_all, &event, err));
    if (paths.count == 0)
        CRN_TRY_PLAIN(validate_ckpt(trainer, round, &missed, err));
    CRN_TRY_PLAIN(validate_paths(trainer, round, &paths, &more, true, &missed, err));
    if (missed) {
        CRN_TRY_PLAIN(crn_trainer_find_ckpts(trainer, ckpts, &more, err));
        CRN_TRY_PLAIN(validate_paths(trainer, round, &more, &paths, false, &missed, err));
    }
out:
    crn_path_list_dispose(&more);
    crn_path_list_dispose(&paths);
    return rc;
}

cairn_status cairn_trainer_validate_all(cairn_trainer *trainer, cairn_loader **val,
                                        size_t val_count, const cairn_ckpts *ckpts,
                                        cairn_validated_fn fn, void *user, cairn_error *err)
{
    cairn_error own = {0};
    cairn_error *const failure = err != NULL ? err : &own;
    struct round round = {.loaders = val, .count = val_count, .fn = fn, .user = user};
    const cairn_status rc = begin(trainer, failure);
    return rc == CAIRN_OK ? validate_ckpts(trainer, &round, ckpts, failure) : rc;
}
