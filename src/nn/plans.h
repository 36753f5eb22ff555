/*
 * The tapes of a model, by use and shape of batch. Each use has two places, for the usual batch and
 * a last smaller one; within a use the least recently used plan makes room for a new one, so that
 * neither validation nor generation costs the training's plan.
 */
#ifndef CRN_NN_PLANS_H
#define CRN_NN_PLANS_H

#include "nn/tape.h"

typedef enum crn_plan_use { CRN_PLAN_TRAIN, CRN_PLAN_EVALUATE } crn_plan_use;

enum { CRN_PLAN_USES = 2, CRN_PLANS_PER_USE = 2 };

typedef struct crn_plan {
    crn_tape *tape; /* NULL: free. */
    crn_plan_use use;
    int64_t batch;
    int64_t time;
    uint64_t last_used;
    crn_value ids;
    crn_value labels;
    crn_value mask;
} crn_plan;

/* Zeroed is empty. */
typedef struct crn_plans {
    crn_plan items[CRN_PLAN_USES][CRN_PLANS_PER_USE];
    uint64_t clock;
} crn_plans;

/* Records the operations for plan->batch and plan->time on plan->tape and sets the values. */
typedef void (*crn_plan_record_fn)(const void *model, crn_plan *plan);

/* The plan of that use and shape, made if need be; borrowed until the next call. CAIRN_ENOMEM. */
cairn_status crn_plans_get(crn_plans *plans, crn_plan_use use, int64_t batch, int64_t time,
                           crn_plan_record_fn record, const void *model, crn_plan **out,
                           cairn_error *err);
/* The bytes that crn_plans_get of the same would have allocated; it need not plan any more. */
cairn_status crn_plans_measure(crn_plans *plans, crn_plan_use use, int64_t batch, int64_t time,
                               crn_plan_record_fn record, const void *model, uint64_t *out_bytes,
                               cairn_error *err);
void crn_plans_dispose(crn_plans *plans);

#endif
