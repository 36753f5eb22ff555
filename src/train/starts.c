/*
 * A checkpoint that ends every process that loads it would be loaded for ever by a job that starts
 * again and again. The starts that finish no step are counted in its notes, before it is loaded,
 * and taken back with the first finished step. Nothing else is done: a person decides.
 */
#include <inttypes.h>
#include <string.h>

#include "train/trainer_priv.h"

enum { STARTS_BEFORE_WARNING = 3 };

/* The newest full checkpoint of the run of @path that is older; NULL if there is none. */
static const cairn_checkpoint_info *next_older(const cairn_catalogue *catalogue, const char *path)
{
    const cairn_checkpoint_info *loaded = NULL;
    const cairn_checkpoint_info *older = NULL;
    const char *const slash = strrchr(path, '/');
    const char *const file = slash != NULL ? slash + 1 : path;
    for (size_t i = 0; i < cairn_catalogue_count(catalogue) && loaded == NULL; i++) {
        const cairn_checkpoint_info *const info = cairn_catalogue_at(catalogue, i);
        if (strcmp(info->file, file) == 0) /* The path may be written in another way. */
            loaded = info;
    }
    for (size_t i = 0; loaded != NULL && i < cairn_catalogue_count(catalogue); i++) {
        const cairn_checkpoint_info *const info = cairn_catalogue_at(catalogue, i);
        if (info->is_readable && info->is_full && info->name_matches &&
            strcmp(info->run_id, loaded->run_id) == 0 &&
            info->save_counter < loaded->save_counter &&
            (older == NULL || info->save_counter > older->save_counter))
            older = info;
    }
    return older;
}

static void warn(const cairn_trainer *trainer, const cairn_catalogue *catalogue)
{
    const cairn_log *const log = trainer->options.log;
    const cairn_checkpoint_info *const older = next_older(catalogue, trainer->loaded_path);
    cairn_log_message(log, CAIRN_LOG_ERROR,
                      "THE LAST %.0f STARTS from %s ended before they had finished a step. The "
                      "checkpoint itself may be the cause; it is loaded all the same.",
                      trainer->starts_before, trainer->loaded_path);
    if (older != NULL)
        cairn_log_message(log, CAIRN_LOG_ERROR,
                          "The next older one is %s (step %" PRIu64
                          "). To go on from it, name it as ckpt_path, without --resume.",
                          older->path, older->step);
    else
        cairn_log_message(log, CAIRN_LOG_ERROR, "There is no older one of its run.");
}

/* The count is a help, not a condition: without it the run goes on. */
static void set_starts(cairn_trainer *trainer, double starts)
{
    cairn_error failure = {0};
    char text[512];
    const cairn_status rc =
        starts > 0.0
            ? cairn_notes_set_number(trainer->store, trainer->loaded_path, CRN_STARTS_NOTE, starts,
                                     &failure)
            : cairn_notes_remove(trainer->store, trainer->loaded_path, CRN_STARTS_NOTE, &failure);
    if (rc == CAIRN_OK)
        return;
    (void)cairn_error_format(&failure, text, sizeof text);
    cairn_log_message(trainer->options.log, CAIRN_LOG_WARNING,
                      "the starts from a checkpoint cannot be counted: %s", text);
}

void crn_trainer_start_begins(cairn_trainer *trainer, const cairn_catalogue *catalogue)
{
    double starts = 0.0;
    trainer->is_start_noted = true;
    if (!cairn_notes_get_number(trainer->loaded_path, CRN_STARTS_NOTE, &starts) || !(starts >= 1.0))
        starts = 0.0;
    trainer->starts_before = starts;
    if (starts >= STARTS_BEFORE_WARNING)
        warn(trainer, catalogue);
    set_starts(trainer, starts + 1.0);
}

void crn_trainer_start_succeeded(cairn_trainer *trainer)
{
    if (trainer->is_start_noted)
        set_starts(trainer, 0.0);
    trainer->is_start_noted = false;
}

void crn_trainer_start_withdrawn(cairn_trainer *trainer)
{
    if (trainer->is_start_noted)
        set_starts(trainer, trainer->starts_before);
    trainer->is_start_noted = false;
}
