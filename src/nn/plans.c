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

cairn_status crn_plans_get(crn_plans *plans, crn_plan_use use, int64_t batch, int64_t time,
                           crn_plan_record_fn record, const void *model, crn_plan **out,
                           cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_plan made = {.use = use, .batch = batch, .time = time};
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
    crn_tape_destroy(slot->tape); /* First: the old and the new may not fit together. */
    memset(slot, 0, sizeof *slot);
    CRN_TRY_PLAIN(crn_tape_new(use == CRN_PLAN_TRAIN, &made.tape, err));
    record(model, &made);
    CRN_TRY_PLAIN(crn_tape_plan(made.tape, err));
    made.last_used = ++plans->clock;
    *slot = made;
    *out = slot;
    made.tape = NULL;
out:
    crn_tape_destroy(made.tape);
    return rc;
}
