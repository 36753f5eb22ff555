/* KeepNCheckpoints: deletes the oldest checkpoints of the run (Model Zoo reference, 1.5). */
#include <inttypes.h>

#include "base/mem.h"
#include "base/try.h"
#include "cairn/callbacks.h"

static const char k_name[] = "KeepNCheckpoints";

enum { ERROR_SIZE = 1024 };

struct keep {
    cairn_opt_int n; /* null: all */
};

static cairn_status setup(void *self, const cairn_event *event, cairn_control *control,
                          cairn_error *err)
{
    const struct keep *const callback = self;
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    if (callback->n.is_set)
        cairn_trainer_plan_keep(event->trainer, (uint64_t)callback->n.value);
    return CAIRN_OK;
}

static cairn_status on_fit_start(void *self, const cairn_event *event, cairn_control *control,
                                 cairn_error *err)
{
    const struct keep *const callback = self;
    cairn_status rc = CAIRN_OK;
    cairn_catalogue *catalogue = NULL;
    (void)control; /* asks for nothing */
    if (!callback->n.is_set)
        return CAIRN_OK;
    CRN_TRY_PLAIN(cairn_catalogue_read(cairn_trainer_store(event->trainer), &catalogue, err));
    cairn_log_message(
        cairn_trainer_log(event->trainer), CAIRN_LOG_INFO,
        "%s: keeping %" PRId64 "; found %zu of this run", k_name, callback->n.value,
        cairn_catalogue_count_own(catalogue, cairn_trainer_run(event->trainer)->run_id));
out:
    cairn_catalogue_destroy(catalogue);
    return rc;
}

/* The hook comes only when the new checkpoint is durable, so nothing is deleted too early. */
static cairn_status on_after_save_checkpoint(void *self, const cairn_event *event,
                                             cairn_control *control, cairn_error *err)
{
    const struct keep *const callback = self;
    cairn_error failure = {0};
    char text[ERROR_SIZE];
    (void)control; /* asks for nothing */
    if (!callback->n.is_set)
        return CAIRN_OK;
    const cairn_status rc = cairn_store_keep_newest(
        cairn_trainer_store(event->trainer), cairn_trainer_run(event->trainer)->run_id,
        (uint64_t)callback->n.value, event->path, NULL, &failure);
    if (rc == CAIRN_OK)
        return CAIRN_OK;
    if (rc != CAIRN_EIO) {
        if (err != NULL)
            *err = failure;
        return rc;
    }
    /* Too many checkpoints are no reason to lose a run; the next save tries again. */
    (void)cairn_error_format(&failure, text, sizeof text);
    cairn_log_message(cairn_trainer_log(event->trainer), CAIRN_LOG_WARNING,
                      "%s: an old checkpoint stays, since it cannot be deleted: %s", k_name, text);
    return CAIRN_OK;
}

static void destroy(void *self)
{
    crn_free(self);
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof(cairn_callback_ops),
    .name = k_name,
    .destroy = destroy,
    .setup = setup,
    .on_fit_start = on_fit_start,
    .on_after_save_checkpoint = on_after_save_checkpoint,
};

cairn_status cairn_keep_n_checkpoints_new(const cairn_keep_n_checkpoints_options *options,
                                          cairn_callback *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (options->n.is_set && options->n.value < 1)
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "%s: n is %" PRId64 "; it must be at least 1, or null to keep all", k_name,
                 options->n.value);
    struct keep *const callback = crn_calloc(1, sizeof *callback);
    CRN_NEED(err, callback, k_name);
    callback->n = options->n;
    *out = (cairn_callback){.ops = &k_ops, .self = callback};
out:
    return rc;
}
