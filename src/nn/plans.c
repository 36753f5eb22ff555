#include "nn/plans.h"

#include <string.h>

#include "base/try.h"

void crn_plans_dispose(crn_plans *plans)
{
    for (int use = 0; use < CRN_PLAN_USES; use++) {
        for (int i = 0; i < CRN_PLANS_PER_USE; i++)
            crn_tape_destroy(plans->items[use][i].tape);
    }
    memset(plans, 0, sizeof *plans);
}

static void forget(crn_plan *plan)
{
    crn_tape_destroy(plan->tape);
    memset(plan, 0, sizeof *plan);
}

/* The plan of that use and shape, recorded if need be, in the place of the one that was used
 * longest ago. */
static cairn_status find(crn_plans *plans, crn_plan_use use, int64_t batch, int64_t time,
                         crn_plan_record_fn record, const void *model, crn_plan **out,
                         cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_plan *slot = &plans->items[use][0];
    for (int i = 0; i < CRN_PLANS_PER_USE; i++) {
        crn_plan *const plan = &plans->items[use][i];
        if (plan->tape != NULL && plan->batch == batch && plan->time == time) {
            plan->last_used = ++plans->clock;
            *out = plan;
            return CAIRN_OK;
        }
        if (plan->last_used < slot->last_used)
            slot = plan;
    }
    forget(slot); /* First: the old and the new may not fit together. */
    CRN_TRY_PLAIN(crn_tape_new(use == CRN_PLAN_TRAIN, &slot->tape, err));
    slot->use = use;
    slot->batch = batch;
    slot->time = time;
    slot->last_used = ++plans->clock;
    record(model, slot);
    *out = slot;
out:
    return rc;
}

cairn_status crn_plans_get(crn_plans *plans, crn_plan_use use, int64_t batch, int64_t time,
                           crn_plan_record_fn record, const void *model, crn_plan **out,
                           cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(find(plans, use, batch, time, record, model, out, err));
    rc = crn_tape_plan((*out)->tape, err);
    if (rc != CAIRN_OK)
        forget(*out);
out:
    return rc;
}

cairn_status crn_plans_measure(crn_plans *plans, crn_plan_use use, int64_t batch, int64_t time,
                               crn_plan_record_fn record, const void *model, uint64_t *out_bytes,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_plan *plan = NULL;
    CRN_TRY_PLAIN(find(plans, use, batch, time, record, model, &plan, err));
    rc = crn_tape_measure(plan->tape, out_bytes, err);
    if (rc != CAIRN_OK)
        forget(plan);
out:
    return rc;
}
