/* Parameter groups of a run, and who sets their learning rate and weight decay. */
#ifndef CRN_TRAIN_RATES_H
#define CRN_TRAIN_RATES_H

#include "cairn/optim.h"

/* Zeroed is empty; release with crn_rates_dispose. */
typedef struct crn_rates {
    cairn_param_filter *filters; /* [filter_count], all of it ours */
    size_t filter_count;
    cairn_scheduler **schedulers; /* ours */
    size_t scheduler_count;
    cairn_param_groups *groups;               /* NULL before crn_rates_plan */
    const cairn_scheduler **learning_rate_by; /* [groups]; NULL: the optimizer's own */
    const cairn_scheduler **weight_decay_by;  /* likewise */
    double *learning_rates;                   /* [groups], of the coming update */
    double *weight_decays;
} crn_rates;

/* Takes @schedulers, also on failure. */
cairn_status crn_rates_take(crn_rates *rates, cairn_scheduler **schedulers, size_t count,
                            cairn_error *err);
/* Makes the groups of @model and finds out who sets what in each. ECONFIG: a filter or a scheduler
 * without a group, two schedulers for one rate of a group, a decay that @optimizer lacks. */
cairn_status crn_rates_plan(crn_rates *rates, const cairn_state *model,
                            const cairn_optimizer *optimizer, cairn_error *err);
/* Fills the two arrays for the update that follows @t completed ones. */
void crn_rates_compute(crn_rates *rates, const cairn_optimizer *optimizer, uint64_t t);
size_t crn_rates_count(const crn_rates *rates);
void crn_rates_dispose(crn_rates *rates);

#endif
