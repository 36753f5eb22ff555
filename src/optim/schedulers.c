#include <inttypes.h>
#include <math.h>

#include "base/checked.h"
#include "base/mem.h"
#include "base/try.h"
#include "cairn/optim.h"

enum scheduler_kind { KIND_CONSTANT, KIND_LINEAR, KIND_COSINE, KIND_SEQUENTIAL };

/* Formulas: the table of the Model Zoo reference, section 2.4. */
struct cairn_scheduler {
    enum scheduler_kind kind;
    double initial;
    double end;
    bool has_length;
    uint64_t length; /* total_iters; of a sequence: the sum */
    cairn_scheduler **children;
    size_t child_count;
};

static cairn_status check_rate(const char *scheduler, const char *name, double rate,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (!isfinite(rate) || rate < 0.0)
        CRN_FAIL(err, CAIRN_ECONFIG, "%s: %s is %g; it must be a number of at least 0", scheduler,
                 name, rate);
out:
    return rc;
}

static cairn_status check_length(const char *scheduler, int64_t total_iters, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (total_iters < 1)
        CRN_FAIL(err, CAIRN_ECONFIG, "%s: total_iters is %" PRId64 "; it must be at least 1",
                 scheduler, total_iters);
out:
    return rc;
}

static cairn_status scheduler_new(enum scheduler_kind kind, double initial, double end,
                                  cairn_scheduler **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_scheduler *const scheduler = crn_calloc(1, sizeof *scheduler);
    CRN_NEED(err, scheduler, "a scheduler");
    scheduler->kind = kind;
    scheduler->initial = initial;
    scheduler->end = end;
    *out = scheduler;
out:
    return rc;
}

cairn_status cairn_constant_lr_new(const cairn_constant_lr_options *options, cairn_scheduler **out,
                                   cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const double rate = options->learning_rate;
    CRN_TRY_PLAIN(check_rate("ConstantLR", "learning_rate", rate, err));
    if (options->total_iters.is_set)
        CRN_TRY_PLAIN(check_length("ConstantLR", options->total_iters.value, err));
    CRN_TRY_PLAIN(scheduler_new(KIND_CONSTANT, rate, rate, out, err));
    (*out)->has_length = options->total_iters.is_set;
    (*out)->length = options->total_iters.is_set ? (uint64_t)options->total_iters.value : 0;
out:
    return rc;
}

/* A scheduler that goes from one rate to another in total_iters steps. */
static cairn_status decay_new(enum scheduler_kind kind, const char *name, double initial,
                              double end, int64_t total_iters, cairn_scheduler **out,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(check_rate(name, "initial_learning_rate", initial, err));
    CRN_TRY_PLAIN(check_rate(name, "end_learning_rate", end, err));
    CRN_TRY_PLAIN(check_length(name, total_iters, err));
    CRN_TRY_PLAIN(scheduler_new(kind, initial, end, out, err));
    (*out)->has_length = true;
    (*out)->length = (uint64_t)total_iters;
out:
    return rc;
}

/*
 * The Model Zoo's `cycle` multiplies T by ceil((t + 1) / T) in the fraction, and still gives the
 * end value for t >= T. The factor is 1 wherever it is used, so the flag changes nothing here.
 */
cairn_status cairn_linear_lr_new(const cairn_linear_lr_options *options, cairn_scheduler **out,
                                 cairn_error *err)
{
    return decay_new(KIND_LINEAR, "LinearLR", options->initial_learning_rate,
                     options->end_learning_rate, options->total_iters, out, err);
}

cairn_status cairn_cosine_decay_lr_new(const cairn_cosine_decay_lr_options *options,
                                       cairn_scheduler **out, cairn_error *err)
{
    return decay_new(KIND_COSINE, "CosineDecayLR", options->initial_learning_rate,
                     options->end_learning_rate, options->total_iters, out, err);
}

/* Sum of the children's lengths; checks that all but the last have one, and the milestones. */
static cairn_status sequence_length(cairn_scheduler *const *children, size_t count,
                                    const uint64_t *milestones, bool *out_has_length,
                                    uint64_t *out_length, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        const cairn_scheduler *const child = children[i];
        const bool is_last = i + 1 == count;
        if (!child->has_length && !is_last)
            CRN_FAIL(err, CAIRN_ECONFIG,
                     "SequentialLR: scheduler %zu (%s) needs total_iters, since another follows it",
                     i + 1, cairn_scheduler_name(child));
        if (!crn_add_u64(sum, child->length, &sum))
            CRN_FAIL(err, CAIRN_ECONFIG, "SequentialLR: the sum of total_iters is too large");
        if (!is_last && milestones != NULL && milestones[i] != sum)
            CRN_FAIL(err, CAIRN_ECONFIG,
                     "SequentialLR: milestone %zu is %" PRIu64 ", but the total_iters before it "
                     "add up to %" PRIu64 "; leave milestones out or make them equal",
                     i + 1, milestones[i], sum);
    }
    *out_has_length = children[count - 1]->has_length;
    *out_length = sum;
out:
    return rc;
}

cairn_status cairn_sequential_lr_new(cairn_scheduler **children, size_t count,
                                     const uint64_t *milestones, size_t milestone_count,
                                     cairn_scheduler **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_scheduler *sequence = NULL;
    cairn_scheduler **taken = NULL;
    bool has_length = false;
    uint64_t length = 0;
    if (count == 0)
        CRN_FAIL(err, CAIRN_ECONFIG, "SequentialLR: schedulers is empty");
    for (size_t i = 0; i < count; i++)
        if (children[i] == NULL)
            CRN_FAIL(err, CAIRN_EINVAL, "SequentialLR: scheduler %zu is NULL", i + 1);
    if (milestones != NULL && milestone_count != count - 1)
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "SequentialLR: %zu milestones for %zu schedulers; there must be %zu",
                 milestone_count, count, count - 1);
    CRN_TRY_PLAIN(sequence_length(children, count, milestones, &has_length, &length, err));
    taken = crn_calloc(count, sizeof(cairn_scheduler *));
    CRN_NEED(err, taken, "a list of schedulers");
    CRN_TRY_PLAIN(scheduler_new(KIND_SEQUENTIAL, 0.0, 0.0, &sequence, err));
    for (size_t i = 0; i < count; i++)
        taken[i] = children[i];
    sequence->has_length = has_length;
    sequence->length = length;
    sequence->children = taken;
    sequence->child_count = count;
    *out = sequence;
out:
    if (rc != CAIRN_OK) {
        crn_free(taken);
        for (size_t i = 0; i < count; i++)
            cairn_scheduler_destroy(children[i]);
    }
    return rc;
}

static double sequence_value(const cairn_scheduler *sequence, uint64_t t)
{
    size_t i = 0;
    while (i + 1 < sequence->child_count && t >= sequence->children[i]->length) {
        t -= sequence->children[i]->length;
        i++;
    }
    return cairn_scheduler_value(sequence->children[i], t);
}

double cairn_scheduler_value(const cairn_scheduler *scheduler, uint64_t t)
{
    const double initial = scheduler->initial;
    const double end = scheduler->end;
    /* At its end a schedule gives the very value that was asked for, without rounding. */
    if (scheduler->kind != KIND_SEQUENTIAL && scheduler->has_length && t >= scheduler->length)
        return end;
    const double part = scheduler->has_length ? (double)t / (double)scheduler->length : 0.0;
    switch (scheduler->kind) {
    case KIND_CONSTANT:
        return initial;
    case KIND_LINEAR:
        return (1.0 - part) * (initial - end) + end;
    case KIND_COSINE:
        return 0.5 * (1.0 + cos(M_PI * part)) * (initial - end) + end;
    case KIND_SEQUENTIAL:
        return sequence_value(scheduler, t);
    }
    return end;
}

bool cairn_scheduler_total_iters(const cairn_scheduler *scheduler, uint64_t *out)
{
    if (scheduler->has_length)
        *out = scheduler->length;
    return scheduler->has_length;
}

const char *cairn_scheduler_name(const cairn_scheduler *scheduler)
{
    switch (scheduler->kind) {
    case KIND_CONSTANT:
        return "ConstantLR";
    case KIND_LINEAR:
        return "LinearLR";
    case KIND_COSINE:
        return "CosineDecayLR";
    case KIND_SEQUENTIAL:
        return "SequentialLR";
    }
    return "?";
}

void cairn_scheduler_destroy(cairn_scheduler *scheduler)
{
    if (scheduler == NULL)
        return;
    for (size_t i = 0; i < scheduler->child_count; i++)
        cairn_scheduler_destroy(scheduler->children[i]);
    crn_free(scheduler->children);
    crn_free(scheduler);
}
