/* Saving from the trainer's side: hooks, extras, and what follows when a save ends, well or not. */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "train/trainer_priv.h"

enum { FAILURES_MAX = 3, ERROR_SIZE = 1024 };

cairn_status cairn_save_add_extra(cairn_save *save, const char *states, const char *name_template,
                                  cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char *own_states = crn_strdup(states);
    char *own_name = crn_strdup(name_template);
    CRN_NEED(err, own_states, "the names of states");
    CRN_NEED(err, own_name, "a file name");
    CRN_TRY_PLAIN(
        crn_grow(&save->extras, &save->capacity, save->count + 1, sizeof *save->extras, err));
    save->extras[save->count++] =
        (cairn_save_extra){.states = own_states, .name_template = own_name};
    own_states = NULL;
    own_name = NULL;
out:
    crn_free(own_states);
    crn_free(own_name);
    return rc;
}

void crn_save_dispose(cairn_save *save)
{
    for (size_t i = 0; i < save->count; i++) {
        union {
            const char *in;
            void *out;
        } states = {.in = save->extras[i].states}, name = {.in = save->extras[i].name_template};
        crn_free(states.out);
        crn_free(name.out);
    }
    crn_free(save->extras);
    *save = (cairn_save){0};
}

void crn_saving_dispose(crn_saving *saving)
{
    crn_save_dispose(&saving->save);
    crn_metric_list_dispose(&saving->validation);
    crn_free(saving->costs);
    *saving = (crn_saving){0};
}

static int64_t now_ns(const cairn_trainer *trainer)
{
    return trainer->os->monotonic_ns(trainer->os);
}

static bool is_asynchronous(const cairn_trainer *trainer)
{
    return trainer->options.checkpoint.asynchronous;
}

bool crn_trainer_attaches_store(const cairn_trainer *trainer)
{
    const bool has_saves =
        crn_trainer_saves_at_end(trainer) || trainer->options.checkpoint.save_initial_checkpoint;
    return is_asynchronous(trainer) && has_saves;
}

cairn_status crn_trainer_attach_store(cairn_trainer *trainer, cairn_error *err)
{
    if (!crn_trainer_attaches_store(trainer))
        return CAIRN_OK;
    return cairn_store_attach(trainer->store, trainer->tree, err);
}

/* ---- A save has ended ---- */

/* The new path becomes the trainer's newest checkpoint. */
static cairn_status remember(cairn_trainer *trainer, const char *path, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char *const copy = crn_strdup(path);
    CRN_NEED(err, copy, "a path");
    crn_free(trainer->saved_path);
    trainer->saved_path = copy;
    trainer->saved_step = trainer->saving.step;
out:
    return rc;
}

/* The checkpoint is durable: callbacks hear of it, then the notes are written. */
static cairn_status committed(cairn_trainer *trainer, const cairn_save_cost *cost, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_event event = crn_trainer_event(trainer);
    event.step = trainer->saving.step;
    event.path = trainer->saved_path;
    event.cost = cost;
    trainer->saving.failures = 0;
    /* A request that came after the capture is the next save's to answer. */
    if (trainer->saving.requests_seen == trainer->requests_taken)
        cairn_store_save_answered(trainer->store);
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_after_save_checkpoint, &event, err));
    CRN_TRY_PLAIN(crn_trainer_end_notes(trainer, err));
out:
    return rc;
}

bool crn_save_is_tolerable(cairn_status status)
{
    return status == CAIRN_EIO || status == CAIRN_ENOSPACE || status == CAIRN_EUNKNOWN;
}

/*
 * Some of the save is not there. Training goes on, loudly, unless nothing would be left of it: the
 * last save, or the third in a row without a durable checkpoint.
 */
static cairn_status failed(cairn_trainer *trainer, cairn_status status, cairn_error *failure,
                           const cairn_save_result *result, const cairn_save_cost *cost,
                           cairn_error *err)
{
    crn_saving *const saving = &trainer->saving;
    cairn_event event = crn_trainer_event(trainer);
    char text[ERROR_SIZE];
    const bool is_last = saving->why == CRN_SAVE_LAST || saving->why == CRN_SAVE_STOP;
    saving->failed++;
    saving->failures += !result->is_durable;
    event.step = saving->step;
    event.is_last = saving->why == CRN_SAVE_LAST;
    event.failure = failure;
    event.path = result->is_durable ? trainer->saved_path : NULL;
    event.cost = cost;
    (void)crn_trainer_call(trainer, CRN_HOOK_on_save_exception, &event, NULL);
    if (crn_save_is_tolerable(status) && !is_last && saving->failures < FAILURES_MAX) {
        (void)cairn_error_format(failure, text, sizeof text);
        cairn_log_message(trainer->options.log, CAIRN_LOG_ERROR,
                          "The checkpoint of step %" PRIu64 " %s (%u of %d failures in a row that "
                          "end the run). Training goes on; the next save tries again: %s",
                          saving->step,
                          result->is_durable ? "is saved, but not all that belongs to it"
                                             : "is NOT SAVED",
                          saving->failures, FAILURES_MAX, text);
        return CAIRN_OK;
    }
    if (saving->failures >= FAILURES_MAX && !is_last)
        crn_error_note(failure, status, __FILE__, __LINE__, "%u saves in a row failed",
                       saving->failures);
    if (err != NULL)
        *err = *failure;
    return status;
}

/* What a save gave, on the training thread. */
static cairn_status ended(cairn_trainer *trainer, cairn_status status,
                          const cairn_save_result *result, cairn_error *failure, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_save_cost cost = crn_trainer_note_cost(trainer, result);
    trainer->saving.is_pending = false;
    trainer->saving.lacking = status != CAIRN_OK ? trainer->saving.lacking + 1 : 0;
    if (result->is_durable) {
        crn_time_limit_note_save(&trainer->time_limit,
                                 trainer->saving.prepared_ns + (int64_t)(result->seconds * 1e9));
        CRN_TRY_PLAIN(remember(trainer, result->path, err));
        crn_trainer_log_saved(trainer, result, &cost);
        CRN_TRY_PLAIN(committed(trainer, &cost, err));
    }
    if (status != CAIRN_OK)
        CRN_TRY_PLAIN(failed(trainer, status, failure, result, &cost, err));
out:
    trainer->last_save_ns = now_ns(trainer);
    crn_save_dispose(&trainer->saving.save);
    return rc;
}

cairn_status crn_trainer_poll_save(cairn_trainer *trainer, cairn_error *err)
{
    cairn_save_result result;
    cairn_error failure = {0};
    bool is_done = false;
    if (!trainer->saving.is_pending)
        return CAIRN_OK;
    const cairn_status rc = cairn_store_save_poll(trainer->store, &is_done, &result, &failure);
    return is_done ? ended(trainer, rc, &result, &failure, err) : CAIRN_OK;
}

cairn_status crn_trainer_finish_save(cairn_trainer *trainer, bool is_end, cairn_error *err)
{
    cairn_save_result result;
    cairn_error failure = {0};
    if (!trainer->saving.is_pending)
        return CAIRN_OK;
    if (is_end && trainer->saving.why != CRN_SAVE_STOP)
        trainer->saving.why = CRN_SAVE_LAST;
    const cairn_status rc = cairn_store_save_wait(trainer->store, &result, &failure);
    return ended(trainer, rc, &result, &failure, err);
}

void crn_trainer_settle_save(cairn_trainer *trainer)
{
    cairn_save_result result;
    cairn_error failure = {0};
    char text[ERROR_SIZE];
    if (!trainer->saving.is_pending)
        return;
    trainer->saving.is_pending = false;
    const cairn_status rc = cairn_store_save_wait(trainer->store, &result, &failure);
    const cairn_save_cost cost = crn_trainer_note_cost(trainer, &result);
    trainer->saving.failed += rc != CAIRN_OK;
    if (result.is_durable && remember(trainer, result.path, NULL) == CAIRN_OK)
        crn_trainer_log_saved(trainer, &result, &cost);
    if (rc != CAIRN_OK) {
        (void)cairn_error_format(&failure, text, sizeof text);
        cairn_log_message(trainer->options.log, CAIRN_LOG_ERROR, "%s", text);
    }
}

/* ---- A save begins ---- */

/* Starts the save, or makes it where saves are waited for. */
static cairn_status start(cairn_trainer *trainer, cairn_error *err)
{
    crn_saving *const saving = &trainer->saving;
    cairn_save_result result = {0};
    cairn_error failure = {0};
    cairn_save_request request = {
        .struct_size = sizeof request,
        .step = trainer->step,
        .params_json = trainer->options.params_json,
        .environment_json = trainer->options.environment_json,
        .extras = saving->save.extras,
        .extra_count = saving->save.count,
    };
    saving->is_pending = true;
    cairn_status rc = crn_trainer_begin_notes(trainer, &failure);
    if (rc == CAIRN_OK && is_asynchronous(trainer)) {
        rc = cairn_store_save_start(trainer->store, trainer->tree, &request, &failure);
        if (rc == CAIRN_OK)
            return CAIRN_OK;
    } else if (rc == CAIRN_OK) {
        rc = cairn_store_save(trainer->store, trainer->tree, &request, &result, &failure);
    }
    return ended(trainer, rc, &result, &failure, err);
}

/* A save is being written: true if this one is to be left out. */
static bool is_skipped(const cairn_trainer *trainer, crn_save_why why)
{
    const char *const when_busy = trainer->options.checkpoint.when_busy;
    if (why != CRN_SAVE_PERIODIC || when_busy == NULL || strcmp(when_busy, "skip") != 0)
        return false;
    cairn_log_message(trainer->options.log, CAIRN_LOG_WARNING,
                      "Skipping the checkpoint of step %" PRIu64 ": that of step %" PRIu64
                      " is still being written (checkpoint.when_busy)",
                      trainer->step, trainer->saving.step);
    return true;
}

cairn_status crn_trainer_save(cairn_trainer *trainer, crn_save_why why, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_saving *const saving = &trainer->saving;
    cairn_event event = crn_trainer_event(trainer);
    const int64_t begin_ns = now_ns(trainer);
    trainer->last_save_ns = begin_ns;
    if (trainer->saved_path != NULL && trainer->saved_step == trainer->step) {
        cairn_store_save_answered(trainer->store);
        return CAIRN_OK; /* This run has this step already. */
    }
    if (saving->is_pending && saving->step == trainer->step) {
        saving->why = why;
        saving->requests_seen = trainer->requests_taken;
        return CAIRN_OK;
    }
    if (saving->is_pending && is_skipped(trainer, why))
        return CAIRN_OK;
    CRN_TRY_PLAIN(crn_trainer_finish_save(trainer, false, err));
    saving->step = trainer->step;
    saving->why = why;
    saving->requests_seen = trainer->requests_taken;
    event.is_last = why == CRN_SAVE_LAST;
    event.is_initial = why == CRN_SAVE_INITIAL;
    event.save = &saving->save;
    CRN_TRY_PLAIN(crn_trainer_values_to_tree(trainer, err));
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_save_checkpoint, &event, err));
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_postprocess_checkpoint, &event, err));
    cairn_log_message(trainer->options.log, CAIRN_LOG_INFO, "Saving checkpoint at step %" PRIu64,
                      trainer->step);
    saving->prepared_ns = now_ns(trainer) - begin_ns;
    CRN_TRY_PLAIN(start(trainer, err));
out:
    if (!saving->is_pending)
        crn_save_dispose(&saving->save);
    return rc;
}
