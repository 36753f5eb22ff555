/* Schedulers made of others. */
#include <inttypes.h>

#include "base/checked.h"
#include "base/mem.h"
#include "base/try.h"
#include "optim/scheduler.h"

static void destroy_all(cairn_scheduler **children, size_t count)
{
    for (size_t i = 0; i < count; i++)
        cairn_scheduler_destroy(children[i]);
}

/* A scheduler with @children, which are taken on success only. */
static cairn_status combine(const crn_scheduler_kind *kind, cairn_scheduler **children,
                            size_t count, cairn_scheduler **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_scheduler *scheduler = NULL;
    if (count == 0)
        CRN_FAIL(err, CAIRN_ECONFIG, "%s: schedulers is empty", kind->lr_name);
    for (size_t i = 0; i < count; i++)
        if (children[i] == NULL)
            CRN_FAIL(err, CAIRN_EINVAL, "%s: scheduler %zu is NULL", kind->lr_name, i + 1);
    CRN_TRY_PLAIN(crn_scheduler_new(kind, NULL, children[0]->initial, &scheduler, err));
    scheduler->children = crn_calloc(count, sizeof(cairn_scheduler *));
    CRN_NEED(err, scheduler->children, "a list of schedulers");
    for (size_t i = 0; i < count; i++)
        scheduler->children[i] = children[i];
    scheduler->child_count = count;
    *out = scheduler;
    scheduler = NULL;
out:
    cairn_scheduler_destroy(scheduler);
    return rc;
}

/* ---- One after the other ---- */

static double sequence_value(const cairn_scheduler *sequence, uint64_t t, double factor)
{
    size_t i = 0;
    while (i + 1 < sequence->child_count && t >= sequence->starts[i + 1])
        i++;
    return crn_scheduler_value(sequence->children[i], t - sequence->starts[i], factor);
}

/* Where child @i ends: by its length, by the milestone, or by both if they are equal. */
static cairn_status end_of_child(const cairn_scheduler *child, size_t i, uint64_t start,
                                 const uint64_t *milestones, uint64_t *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t end = 0;
    if (!child->has_length && milestones == NULL)
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "SequentialLR: scheduler %zu (%s) needs total_iters or a milestone, since another "
                 "follows it",
                 i + 1, cairn_scheduler_name(child));
    if (!crn_add_u64(start, child->length, &end))
        CRN_FAIL(err, CAIRN_ECONFIG, "SequentialLR: the sum of total_iters is too large");
    if (milestones != NULL && child->has_length && milestones[i] != end)
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "SequentialLR: milestone %zu is %" PRIu64 ", but the total_iters before it "
                 "add up to %" PRIu64 "; leave milestones out or make them equal",
                 i + 1, milestones[i], end);
    if (milestones != NULL && milestones[i] <= start)
        CRN_FAIL(err, CAIRN_ECONFIG, "SequentialLR: milestone %zu is %" PRIu64 "; they must grow",
                 i + 1, milestones[i]);
    *out = milestones != NULL ? milestones[i] : end;
out:
    return rc;
}

static cairn_status find_starts(cairn_scheduler *sequence, const uint64_t *milestones,
                                cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const size_t last = sequence->child_count - 1;
    const cairn_scheduler *const end = sequence->children[last];
    sequence->starts = crn_calloc(sequence->child_count, sizeof *sequence->starts);
    CRN_NEED(err, sequence->starts, "a list of schedulers");
    for (size_t i = 0; i < last; i++)
        CRN_TRY_PLAIN(end_of_child(sequence->children[i], i, sequence->starts[i], milestones,
                                   &sequence->starts[i + 1], err));
    sequence->has_length = end->has_length;
    if (!crn_add_u64(sequence->starts[last], end->length, &sequence->length))
        CRN_FAIL(err, CAIRN_ECONFIG, "SequentialLR: the sum of total_iters is too large");
out:
    return rc;
}

cairn_status cairn_sequential_lr_new(cairn_scheduler **children, size_t count,
                                     const uint64_t *milestones, size_t milestone_count,
                                     cairn_scheduler **out, cairn_error *err)
{
    static const crn_scheduler_kind k_kind = {"SequentialLR", "SequentialWD", NULL, sequence_value};
    cairn_status rc = CAIRN_OK;
    cairn_scheduler *sequence = NULL;
    if (milestones != NULL && count > 0 && milestone_count != count - 1)
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "SequentialLR: %zu milestones for %zu schedulers; there must be %zu",
                 milestone_count, count, count - 1);
    CRN_TRY_PLAIN(combine(&k_kind, children, count, &sequence, err));
    CRN_TRY_PLAIN(find_starts(sequence, milestones, err));
    *out = sequence;
out:
    if (rc != CAIRN_OK && sequence != NULL)
        cairn_scheduler_destroy(sequence); /* and with it the children */
    else if (rc != CAIRN_OK)
        destroy_all(children, count);
    return rc;
}

/* ---- All at once ---- */

static double chained_value(const cairn_scheduler *chain, uint64_t t, double factor)
{
    double value = crn_scheduler_value(chain->children[0], t, factor);
    for (size_t i = 1; i < chain->child_count; i++)
        value *= crn_scheduler_value(chain->children[i], t, 1.0) / chain->children[i]->initial;
    return value;
}

cairn_status cairn_chained_lr_new(cairn_scheduler **children, size_t count, cairn_scheduler **out,
                                  cairn_error *err)
{
    static const crn_scheduler_kind k_kind = {"ChainedScheduler", "ChainedWD", NULL, chained_value};
    cairn_status rc = CAIRN_OK;
    for (size_t i = 1; i < count; i++)
        if (children[i] != NULL && children[i]->initial == 0.0)
            CRN_FAIL(err, CAIRN_ECONFIG,
                     "ChainedScheduler: scheduler %zu (%s) begins at 0 and cannot be divided by "
                     "that",
                     i + 1, cairn_scheduler_name(children[i]));
    CRN_TRY_PLAIN(combine(&k_kind, children, count, out, err));
out:
    if (rc != CAIRN_OK)
        destroy_all(children, count);
    return rc;
}

/* ---- For each group ---- */

static double scaled_value(const cairn_scheduler *scaled, uint64_t t, double factor)
{
    return crn_scheduler_value(scaled->children[0], t, 1.0) * factor;
}

cairn_status cairn_scale_per_param_lr_new(cairn_scheduler *child, cairn_scheduler **out,
                                          cairn_error *err)
{
    static const crn_scheduler_kind k_kind = {"ScalePerParamLR", "ScalePerParamWD", NULL,
                                              scaled_value};
    const cairn_status rc = combine(&k_kind, &child, 1, out, err);
    if (rc != CAIRN_OK) {
        cairn_scheduler_destroy(child);
        return rc;
    }
    (*out)->has_length = child->has_length;
    (*out)->length = child->length;
    return rc;
}
