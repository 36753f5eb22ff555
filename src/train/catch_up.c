/*
 * A process may be killed behind the commit of a checkpoint and before all that belongs to it is
 * done: its alternatives, and the deletion of old ones. A start that goes on from that checkpoint,
 * be it the last of a complete run, does that first. What deletes does it in on_fit_start.
 */
#include <inttypes.h>

#include "base/try.h"
#include "train/trainer_priv.h"

enum { ERROR_SIZE = 1024 };

cairn_status crn_trainer_begin_fit(cairn_trainer *trainer, cairn_error *err)
{
    cairn_event event = crn_trainer_event(trainer);
    if (trainer->saved_path != NULL) { /* Of this run, and loaded with all its states. */
        event.path = trainer->saved_path;
        event.save = &trainer->due;
    }
    return crn_trainer_call(trainer, CRN_HOOK_on_fit_start, &event, err);
}

/* As after a save of which not all is there: the next one tries again, if there is a next. */
static cairn_status failed(cairn_trainer *trainer, bool has_steps_left, cairn_status status,
                           const cairn_error *failure, cairn_error *err)
{
    const cairn_save_cost cost = {.struct_size = sizeof cost};
    char text[ERROR_SIZE];
    trainer->saving.failed++;
    trainer->saving.lacking++;
    cairn_event event = crn_trainer_event(trainer);
    event.path = trainer->saved_path;
    event.failure = failure;
    event.cost = &cost;
    (void)crn_trainer_call(trainer, CRN_HOOK_on_save_exception, &event, NULL);
    if (!crn_save_is_tolerable(status) || !has_steps_left) {
        if (err != NULL)
            *err = *failure;
        return status;
    }
    (void)cairn_error_format(failure, text, sizeof text);
    cairn_log_message(trainer->options.log, CAIRN_LOG_ERROR,
                      "What belongs to the checkpoint of step %" PRIu64
                      " is NOT SAVED. Training goes on; the next save tries again: %s",
                      trainer->step, text);
    return CAIRN_OK;
}

cairn_status crn_trainer_catch_up(cairn_trainer *trainer, bool has_steps_left, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_error failure = {0};
    cairn_save_result result = {0};
    const cairn_save_request request = {.struct_size = sizeof request,
                                        .extras = trainer->due.extras,
                                        .extra_count = trainer->due.count};
    if (trainer->due.count == 0)
        return CAIRN_OK;
    rc = cairn_store_save_missing(trainer->store, trainer->tree, trainer->saved_path, &request,
                                  &result, &failure);
    if (result.bytes > 0)
        cairn_log_message(trainer->options.log, CAIRN_LOG_INFO,
                          "The process that saved step %" PRIu64
                          " ended before it had written all that belongs to it; done now",
                          trainer->step);
    crn_trainer_log_extras(trainer, &trainer->due, &result);
    crn_save_dispose(&trainer->due);
    return rc != CAIRN_OK ? failed(trainer, has_steps_left, rc, &failure, err) : CAIRN_OK;
}
