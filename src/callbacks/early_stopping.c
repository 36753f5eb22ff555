/*
 * EarlyStopping: ends the run when a metric no longer improves. What it has seen is a state. A
 * validation comes after the save of its step, so a run that resumes from that checkpoint hears of
 * it once more (cairn_event.is_replayed) and comes to the same verdict.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "callbacks/own_state.h"

static const char k_name[] = "EarlyStopping";
static const char k_best[] = "best";
static const char k_best_step[] = "best_step";
static const char k_misses[] = "misses";
static const char k_seen[] = "seen";

struct stopping {
    char *monitor;
    uint64_t patience;
    double min_delta;
    bool is_max;
    cairn_state *state; /* borrowed from the tree */
};

/* What the state holds. */
struct facts {
    double best;
    uint64_t best_step;
    uint64_t misses; /* metrics in a row that were not better */
    uint64_t seen;   /* metrics */
};

static cairn_status put(cairn_state *state, const struct facts *facts, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(cairn_state_set_f64(state, k_best, facts->best, err));
    CRN_TRY_PLAIN(cairn_state_set_u64(state, k_best_step, facts->best_step, err));
    CRN_TRY_PLAIN(cairn_state_set_u64(state, k_misses, facts->misses, err));
    CRN_TRY_PLAIN(cairn_state_set_u64(state, k_seen, facts->seen, err));
out:
    return rc;
}

static cairn_status get(const cairn_state *state, struct facts *facts, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(cairn_state_get_f64(state, k_best, &facts->best, err));
    CRN_TRY_PLAIN(cairn_state_get_u64(state, k_best_step, &facts->best_step, err));
    CRN_TRY_PLAIN(cairn_state_get_u64(state, k_misses, &facts->misses, err));
    CRN_TRY_PLAIN(cairn_state_get_u64(state, k_seen, &facts->seen, err));
out:
    return rc;
}

static cairn_status setup(void *self, const cairn_event *event, cairn_control *control,
                          cairn_error *err)
{
    struct stopping *const stopping = self;
    cairn_status rc = CAIRN_OK;
    const struct facts facts = {0};
    (void)control; /* asks for nothing */
    CRN_TRY_PLAIN(crn_own_state(event->trainer, k_name, &stopping->state, err));
    CRN_TRY_PLAIN(put(stopping->state, &facts, err));
out:
    return rc;
}

/* A run that begins gets all its patience, also one that trains on where another was stopped. */
static cairn_status on_fit_start(void *self, const cairn_event *event, cairn_control *control,
                                 cairn_error *err)
{
    const struct stopping *const stopping = self;
    (void)control; /* asks for nothing */
    return event->step == event->first_step ? cairn_state_set_u64(stopping->state, k_misses, 0, err)
                                            : CAIRN_OK;
}

/* A value that is no number is never better, and any number is better than none. */
static bool is_better(const struct stopping *stopping, const struct facts *facts, double value)
{
    if (facts->seen == 0 || isnan(facts->best))
        return !isnan(value);
    return stopping->is_max ? value > facts->best + stopping->min_delta
                            : value < facts->best - stopping->min_delta;
}

static void stop(const struct stopping *stopping, const cairn_event *event,
                 const struct facts *facts, cairn_control *control)
{
    cairn_log_message(cairn_trainer_log(event->trainer), CAIRN_LOG_INFO,
                      "%s: '%s' was not better %" PRIu64
                      " times in a row; the best was %g at step %" PRIu64,
                      k_name, stopping->monitor, facts->misses, facts->best, facts->best_step);
    control->stop = true;
    control->complete = true;
    control->reason = "early_stop";
}

static cairn_status hear(struct stopping *stopping, const cairn_event *event, double value,
                         cairn_control *control, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct facts facts = {0};
    CRN_TRY_PLAIN(get(stopping->state, &facts, err));
    if (is_better(stopping, &facts, value)) {
        facts.best = value;
        facts.best_step = event->step;
        facts.misses = 0;
    } else {
        facts.misses++;
        if (facts.seen == 0)
            facts.best = value; /* NaN; the first number will be better. */
    }
    facts.seen++;
    CRN_TRY_PLAIN(put(stopping->state, &facts, err));
    if (facts.misses >= stopping->patience)
        stop(stopping, event, &facts, control);
out:
    return rc;
}

static cairn_status on_log(void *self, const cairn_event *event, cairn_control *control,
                           cairn_error *err)
{
    struct stopping *const stopping = self;
    for (size_t i = 0; i < event->metric_count; i++) {
        if (strcmp(event->metrics[i].name, stopping->monitor) == 0)
            return hear(stopping, event, event->metrics[i].value, control, err);
    }
    return CAIRN_OK;
}

/* A slip in the name must not go unnoticed for ever. */
static cairn_status on_fit_end(void *self, const cairn_event *event, cairn_control *control,
                               cairn_error *err)
{
    const struct stopping *const stopping = self;
    cairn_status rc = CAIRN_OK;
    struct facts facts = {0};
    (void)control; /* asks for nothing */
    CRN_TRY_PLAIN(get(stopping->state, &facts, err));
    if (facts.seen == 0)
        cairn_log_message(cairn_trainer_log(event->trainer), CAIRN_LOG_WARNING,
                          "%s: no metric '%s' was ever logged, so it had nothing to judge by; "
                          "metrics.jsonl has the names",
                          k_name, stopping->monitor);
out:
    return rc;
}

static void destroy(void *self)
{
    struct stopping *const stopping = self;
    if (stopping != NULL)
        crn_free(stopping->monitor);
    crn_free(stopping);
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof(cairn_callback_ops),
    .name = k_name,
    .destroy = destroy,
    .setup = setup,
    .on_fit_start = on_fit_start,
    .on_log = on_log,
    .on_fit_end = on_fit_end,
};

static cairn_status check_options(const cairn_early_stopping_options *options, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (options->monitor == NULL || options->monitor[0] == '\0')
        CRN_FAIL(err, CAIRN_ECONFIG, "%s: monitor is empty; it must name a metric", k_name);
    if (options->patience < 1)
        CRN_FAIL(err, CAIRN_ECONFIG, "%s: patience is %" PRId64 "; it must be at least 1", k_name,
                 options->patience);
    if (!(options->min_delta >= 0.0))
        CRN_FAIL(err, CAIRN_ECONFIG, "%s: min_delta is %g; it must be at least 0", k_name,
                 options->min_delta);
    if (options->mode != NULL && strcmp(options->mode, "min") != 0 &&
        strcmp(options->mode, "max") != 0)
        CRN_FAIL(err, CAIRN_ECONFIG, "%s: mode is '%s'; it must be min or max", k_name,
                 options->mode);
out:
    return rc;
}

cairn_status cairn_early_stopping_new(const cairn_early_stopping_options *options,
                                      cairn_callback *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct stopping *stopping = NULL;
    CRN_TRY_PLAIN(check_options(options, err));
    stopping = crn_calloc(1, sizeof *stopping);
    CRN_NEED(err, stopping, k_name);
    stopping->monitor = crn_strdup(options->monitor);
    CRN_NEED(err, stopping->monitor, k_name);
    stopping->patience = (uint64_t)options->patience;
    stopping->min_delta = options->min_delta;
    stopping->is_max = options->mode != NULL && strcmp(options->mode, "max") == 0;
    *out = (cairn_callback){.ops = &k_ops, .self = stopping};
    stopping = NULL;
out:
    destroy(stopping);
    return rc;
}
