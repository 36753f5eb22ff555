/* Validation results in the notes of a checkpoint, however late it or they come. */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "train/trainer_priv.h"

/* All in one go, so that a crash leaves all of a round or nothing. */
static cairn_status note(cairn_trainer *trainer, uint64_t step, const crn_metric_list *metrics,
                         cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_note *const notes = crn_calloc(metrics->count, sizeof *notes);
    CRN_NEED(err, notes, "notes");
    for (size_t i = 0; i < metrics->count; i++)
        notes[i] = (cairn_note){.key = metrics->items[i].name, .value = metrics->items[i].value};
    CRN_TRY(
        err,
        cairn_notes_set_numbers(trainer->store, trainer->saved_path, notes, metrics->count, err),
        "note the validation of step %" PRIu64, step);
out:
    crn_free(notes);
    return rc;
}

static bool has_validation(const cairn_trainer *trainer)
{
    return trainer->validation.count > 0 && trainer->validation_step == trainer->step;
}

cairn_status crn_trainer_note_validation(cairn_trainer *trainer, cairn_error *err)
{
    crn_saving *const saving = &trainer->saving;
    if (!has_validation(trainer))
        return CAIRN_OK;
    /* Kept until the commit: a later validation must not replace it. */
    if (saving->is_pending && saving->step == trainer->step)
        return crn_metric_list_copy(&saving->validation, &trainer->validation, err);
    if (trainer->saved_path == NULL || trainer->saved_step != trainer->step)
        return CAIRN_OK;
    return note(trainer, trainer->step, &trainer->validation, err);
}

cairn_status crn_trainer_begin_notes(cairn_trainer *trainer, cairn_error *err)
{
    trainer->saving.validation.count = 0;
    return crn_trainer_note_validation(trainer, err);
}

cairn_status crn_trainer_end_notes(cairn_trainer *trainer, cairn_error *err)
{
    const crn_saving *const saving = &trainer->saving;
    if (saving->validation.count == 0)
        return CAIRN_OK;
    return note(trainer, saving->step, &saving->validation, err);
}

bool crn_trainer_validation_is_noted(const cairn_trainer *trainer)
{
    bool is_noted = trainer->saved_path != NULL && trainer->saved_step == trainer->step;
    for (size_t i = 0; i < trainer->val_count && is_noted; i++) {
        crn_str key = {0};
        double loss = 0.0;
        crn_validation_name(&key, "val_loss", i);
        is_noted = crn_str_check(&key, NULL) == CAIRN_OK &&
                   cairn_notes_get_number(trainer->saved_path, key.text, &loss);
        crn_str_dispose(&key);
    }
    return is_noted;
}

cairn_status crn_trainer_replay_validation(cairn_trainer *trainer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_notes *notes = NULL;
    json_t *facts = NULL;
    const char *key = NULL;
    json_t *fact = NULL;
    CRN_TRY_PLAIN(cairn_notes_read(trainer->saved_path, &notes, err));
    facts = json_loads(cairn_notes_json(notes), 0, NULL);
    CRN_NEED(err, facts, "notes");
    json_object_foreach(facts, key, fact)
    {
        double value = 0.0;
        if (strcmp(key, CRN_STARTS_NOTE) != 0 && cairn_notes_number(notes, key, &value))
            CRN_TRY_PLAIN(cairn_trainer_add_metric(trainer, key, value, err));
    }
    CRN_TRY_PLAIN(crn_trainer_replay_metrics(trainer, err));
out:
    json_decref(facts);
    cairn_notes_destroy(notes);
    return rc;
}
