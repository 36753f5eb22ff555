/* KeepNCheckpoints: deletes the oldest checkpoints of the run (Model Zoo reference, 1.5), but for
 * those that its other rules keep. */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "cairn/callbacks.h"

static const char k_name[] = "KeepNCheckpoints";

enum { ERROR_SIZE = 1024 };

struct keep {
    cairn_retention rules; /* newest 0: all stay */
    char *metric;
};

/* What the plan can count on to stay. How many the minutes keep nobody knows beforehand. */
static cairn_status setup(void *self, const cairn_event *event, cairn_control *control,
                          cairn_error *err)
{
    const struct keep *const callback = self;
    const cairn_retention *const rules = &callback->rules;
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    if (rules->newest == 0 || rules->minutes > 0.0)
        return CAIRN_OK;
    cairn_trainer_plan_keep(event->trainer, rules->best < UINT64_MAX - rules->newest
                                                ? rules->newest + rules->best
                                                : UINT64_MAX);
    cairn_trainer_plan_keep_every(event->trainer, rules->every);
    return CAIRN_OK;
}

/* Deletes what no rule keeps. @path stays: it was saved or loaded just now. */
static cairn_status prune(const struct keep *callback, cairn_trainer *trainer, const char *path,
                          uint64_t *out_deleted, cairn_error *err)
{
    cairn_error failure = {0};
    char text[ERROR_SIZE];
    cairn_retention rules = callback->rules;
    rules.protected_path = path;
    const cairn_status rc =
        cairn_store_prune(cairn_trainer_store(trainer), cairn_trainer_run(trainer)->run_id, &rules,
                          out_deleted, &failure);
    if (rc == CAIRN_OK)
        return CAIRN_OK;
    if (rc == CAIRN_ENOMEM || rc == CAIRN_EINVAL) {
        if (err != NULL)
            *err = failure;
        return rc;
    }
    /* Too many checkpoints are no reason to lose a run; the next save tries again. */
    (void)cairn_error_format(&failure, text, sizeof text);
    cairn_log_message(cairn_trainer_log(trainer), CAIRN_LOG_WARNING,
                      "%s: an old checkpoint stays, since it cannot be deleted: %s", k_name, text);
    return CAIRN_OK;
}

/* A kill may have come between the commit of the newest and the deletion of the oldest. */
static cairn_status on_fit_start(void *self, const cairn_event *event, cairn_control *control,
                                 cairn_error *err)
{
    const struct keep *const callback = self;
    cairn_status rc = CAIRN_OK;
    cairn_catalogue *catalogue = NULL;
    uint64_t deleted = 0;
    (void)control; /* asks for nothing */
    if (callback->rules.newest == 0)
        return CAIRN_OK;
    CRN_TRY_PLAIN(cairn_catalogue_read(cairn_trainer_store(event->trainer), &catalogue, err));
    cairn_log_message(
        cairn_trainer_log(event->trainer), CAIRN_LOG_INFO,
        "%s: keeping %" PRIu64 "; found %zu of this run", k_name, callback->rules.newest,
        cairn_catalogue_count_own(catalogue, cairn_trainer_run(event->trainer)->run_id));
    if (event->path != NULL)
        CRN_TRY_PLAIN(prune(callback, event->trainer, event->path, &deleted, err));
    if (deleted > 0)
        cairn_log_message(cairn_trainer_log(event->trainer), CAIRN_LOG_INFO,
                          "%s: deleted %" PRIu64 " that no rule keeps", k_name, deleted);
out:
    cairn_catalogue_destroy(catalogue);
    return rc;
}

/* The hook comes only when the new checkpoint is durable, so nothing is deleted too early. */
static cairn_status on_after_save_checkpoint(void *self, const cairn_event *event,
                                             cairn_control *control, cairn_error *err)
{
    const struct keep *const callback = self;
    (void)control; /* asks for nothing */
    if (callback->rules.newest == 0)
        return CAIRN_OK;
    return prune(callback, event->trainer, event->path, NULL, err);
}

static void destroy(void *self)
{
    struct keep *const callback = self;
    if (callback != NULL)
        crn_free(callback->metric);
    crn_free(callback);
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof(cairn_callback_ops),
    .name = k_name,
    .destroy = destroy,
    .setup = setup,
    .on_fit_start = on_fit_start,
    .on_after_save_checkpoint = on_after_save_checkpoint,
};

/* The reader of YAML checks ranges; a program in C may pass anything. */
static cairn_status check_options(const cairn_keep_n_checkpoints_options *options, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const struct {
        const char *name;
        cairn_opt_int value;
    } counts[] = {{"n", options->n}, {"every", options->every}, {"best", options->best}};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        if (counts[i].value.is_set && counts[i].value.value < 1)
            CRN_FAIL(err, CAIRN_ECONFIG, "%s: %s is %" PRId64 "; it must be at least 1, or null%s",
                     k_name, counts[i].name, counts[i].value.value, i == 0 ? " to keep all" : "");
    if (options->minutes.is_set && !(options->minutes.value >= 0.0))
        CRN_FAIL(err, CAIRN_ECONFIG, "%s: minutes is %g; it must not be negative", k_name,
                 options->minutes.value);
    if (options->mode != NULL && strcmp(options->mode, "min") != 0 &&
        strcmp(options->mode, "max") != 0)
        CRN_FAIL(err, CAIRN_ECONFIG, "%s: mode is '%s'; it must be min or max", k_name,
                 options->mode);
    /* Else `best: 3` alone would be taken to keep three, and keeps all. */
    if (!options->n.is_set &&
        (options->every.is_set || options->best.is_set || options->minutes.is_set))
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "%s: n is null, which keeps all; every, best and minutes say what stays besides "
                 "the n newest, so give n too",
                 k_name);
out:
    return rc;
}

static uint64_t count_of(cairn_opt_int option)
{
    return option.is_set ? (uint64_t)option.value : 0;
}

cairn_status cairn_keep_n_checkpoints_new(const cairn_keep_n_checkpoints_options *options,
                                          cairn_callback *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct keep *callback = NULL;
    CRN_TRY_PLAIN(check_options(options, err));
    callback = crn_calloc(1, sizeof *callback);
    CRN_NEED(err, callback, k_name);
    if (options->metric != NULL) {
        callback->metric = crn_strdup(options->metric);
        CRN_NEED(err, callback->metric, k_name);
    }
    callback->rules = (cairn_retention){
        .struct_size = sizeof callback->rules,
        .newest = count_of(options->n),
        .every = count_of(options->every),
        .best = count_of(options->best),
        .metric = callback->metric,
        .is_max = options->mode != NULL && strcmp(options->mode, "max") == 0,
        .minutes = options->minutes.is_set ? options->minutes.value : 0.0,
    };
    *out = (cairn_callback){.ops = &k_ops, .self = callback};
    callback = NULL;
out:
    destroy(callback);
    return rc;
}
