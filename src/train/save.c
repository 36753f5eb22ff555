/* Saving from the trainer's side: hooks, extras, and the notes that follow a validation. */
#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/try.h"
#include "train/trainer_priv.h"

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

static void save_dispose(cairn_save *save)
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
}

static void validation_key(size_t loader, char key[32])
{
    if (loader == 0)
        (void)snprintf(key, 32, "val_loss");
    else
        (void)snprintf(key, 32, "val_loss/%zu", loader);
}

cairn_status crn_trainer_note_validation(cairn_trainer *trainer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (!trainer->has_validation_note || trainer->saved_path == NULL ||
        trainer->saved_step != trainer->step || trainer->validation_step != trainer->step)
        return CAIRN_OK;
    for (size_t i = 0; i < trainer->val_count; i++) {
        char key[32];
        validation_key(i, key);
        CRN_TRY(err,
                cairn_notes_set_number(trainer->store, trainer->saved_path, key,
                                       trainer->validation_losses[i], err),
                "note the validation loss of step %" PRIu64, trainer->step);
    }
out:
    return rc;
}

bool crn_trainer_validation_is_noted(const cairn_trainer *trainer)
{
    if (trainer->saved_path == NULL || trainer->saved_step != trainer->step)
        return false;
    for (size_t i = 0; i < trainer->val_count; i++) {
        char key[32];
        double loss = 0.0;
        validation_key(i, key);
        if (!cairn_notes_get_number(trainer->saved_path, key, &loss))
            return false;
    }
    return true;
}

/* The new path becomes the trainer's newest checkpoint. */
static cairn_status remember(cairn_trainer *trainer, const char *path, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char *const copy = crn_strdup(path);
    CRN_NEED(err, copy, "a path");
    crn_free(trainer->saved_path);
    trainer->saved_path = copy;
    trainer->saved_step = trainer->step;
out:
    return rc;
}

static cairn_status write_files(cairn_trainer *trainer, cairn_save *save, cairn_event *event,
                                cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_save_result result = {0};
    cairn_save_request request = {
        .struct_size = sizeof request,
        .step = trainer->step,
        .params_json = trainer->options.params_json,
        .environment_json = trainer->options.environment_json,
        .extras = save->extras,
        .extra_count = save->count,
    };
    char bytes[32];
    cairn_error failure = {0};
    rc = cairn_store_save(trainer->store, trainer->tree, &request, &result, &failure);
    if (rc != CAIRN_OK) {
        event->failure = &failure;
        (void)crn_trainer_call(trainer, CRN_HOOK_on_save_exception, event, NULL, NULL);
        event->failure = NULL;
        if (err != NULL)
            *err = failure;
        goto out;
    }
    CRN_TRY_PLAIN(remember(trainer, result.path, err));
    cairn_log_message(trainer->options.log, CAIRN_LOG_INFO, "Saved checkpoint %s (%s in %.3f s)",
                      result.path, crn_format_bytes(result.bytes, bytes), result.seconds);
    for (size_t i = 0; i < save->count; i++)
        cairn_log_message(trainer->options.log, CAIRN_LOG_INFO, "Saved checkpoint %s (%s only)",
                          save->extras[i].path, save->extras[i].states);
out:
    return rc;
}

cairn_status crn_trainer_save(cairn_trainer *trainer, bool is_last, bool is_initial,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_save save = {0};
    cairn_event event = crn_trainer_event(trainer);
    if (trainer->saved_path != NULL && trainer->saved_step == trainer->step)
        return CAIRN_OK; /* This run has this step already. */
    event.is_last = is_last;
    event.is_initial = is_initial;
    event.save = &save;
    CRN_TRY_PLAIN(crn_trainer_values_to_tree(trainer, err));
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_save_checkpoint, &event, NULL, err));
    cairn_log_message(trainer->options.log, CAIRN_LOG_INFO, "Saving checkpoint at step %" PRIu64,
                      trainer->step);
    CRN_TRY(err, write_files(trainer, &save, &event, err), "save step %" PRIu64, trainer->step);
    event.save = NULL;
    event.path = trainer->saved_path;
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_after_save_checkpoint, &event, NULL, err));
    CRN_TRY_PLAIN(crn_trainer_note_validation(trainer, err));
out:
    save_dispose(&save);
    return rc;
}
