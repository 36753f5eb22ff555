/* Validation losses in the notes of a checkpoint, however late it or they come. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "train/trainer_priv.h"

static void validation_key(size_t loader, char key[32])
{
    if (loader == 0)
        (void)snprintf(key, 32, "val_loss");
    else
        (void)snprintf(key, 32, "val_loss/%zu", loader);
}

static cairn_status note(cairn_trainer *trainer, uint64_t step, const double *losses,
                         cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (size_t i = 0; i < trainer->val_count; i++) {
        char key[32];
        validation_key(i, key);
        CRN_TRY(err,
                cairn_notes_set_number(trainer->store, trainer->saved_path, key, losses[i], err),
                "note the validation loss of step %" PRIu64, step);
    }
out:
    return rc;
}

/* Losses that wait for the commit: later validations must not replace them. */
static cairn_status keep(cairn_trainer *trainer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_saving *const saving = &trainer->saving;
    if (saving->validation_losses == NULL)
        saving->validation_losses =
            crn_calloc(trainer->val_count, sizeof *saving->validation_losses);
    CRN_NEED(err, saving->validation_losses, "validation losses");
    memcpy(saving->validation_losses, trainer->validation_losses,
           trainer->val_count * sizeof *saving->validation_losses);
    saving->has_validation = true;
out:
    return rc;
}

cairn_status crn_trainer_note_validation(cairn_trainer *trainer, cairn_error *err)
{
    const crn_saving *const saving = &trainer->saving;
    if (!trainer->has_validation_note || trainer->validation_step != trainer->step)
        return CAIRN_OK;
    if (saving->is_pending && saving->step == trainer->step)
        return keep(trainer, err);
    if (trainer->saved_path == NULL || trainer->saved_step != trainer->step)
        return CAIRN_OK;
    return note(trainer, trainer->step, trainer->validation_losses, err);
}

cairn_status crn_trainer_begin_notes(cairn_trainer *trainer, cairn_error *err)
{
    trainer->saving.has_validation = false;
    return crn_trainer_note_validation(trainer, err);
}

cairn_status crn_trainer_end_notes(cairn_trainer *trainer, cairn_error *err)
{
    const crn_saving *const saving = &trainer->saving;
    if (!saving->has_validation)
        return CAIRN_OK;
    return note(trainer, saving->step, saving->validation_losses, err);
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
