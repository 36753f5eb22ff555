#include "train/rates.h"

#include "base/mem.h"
#include "base/try.h"
#include "train/trainer_priv.h"

/* ---- What the user wants ---- */

/* Texts that copy_filter made; const only for who fills a filter. */
static void free_texts(const cairn_param_filter *filter)
{
    union {
        const void *in;
        void *out;
    } cast;
    for (size_t i = 0; i < filter->params.count; i++) {
        cast.in = filter->params.items[i];
        crn_free(cast.out);
    }
    cast.in = filter->params.items;
    crn_free(cast.out);
    cast.in = filter->tag;
    crn_free(cast.out);
    cast.in = filter->place;
    crn_free(cast.out);
}

static void dispose_filters(cairn_param_filter *filters, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free_texts(&filters[i]);
    crn_free(filters);
}

/* On failure @to is half made and can be freed all the same. */
static cairn_status copy_filter(const cairn_param_filter *from, cairn_param_filter *to,
                                cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char **const items = crn_calloc(from->params.count, sizeof *items);
    CRN_NEED(err, items, "a parameter filter");
    *to = (cairn_param_filter){.params = {.items = items},
                               .learning_rate_factor = from->learning_rate_factor};
    for (size_t i = 0; i < from->params.count; i++) {
        items[i] = crn_strdup(from->params.items[i]);
        CRN_NEED(err, items[i], "a parameter filter");
        to->params.count++;
    }
    if (from->tag != NULL) {
        to->tag = crn_strdup(from->tag);
        CRN_NEED(err, to->tag, "a parameter filter");
    }
    if (from->place != NULL) {
        to->place = crn_strdup(from->place);
        CRN_NEED(err, to->place, "a parameter filter");
    }
out:
    return rc;
}

cairn_status cairn_trainer_set_param_filters(cairn_trainer *trainer,
                                             const cairn_param_filter *filters, size_t count,
                                             cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t copied = 0;
    cairn_param_filter *copies = crn_calloc(count, sizeof *copies);
    CRN_NEED(err, copies, "parameter filters");
    while (copied < count) {
        copied++; /* A half-made copy is freed too. */
        CRN_TRY_PLAIN(copy_filter(&filters[copied - 1], &copies[copied - 1], err));
    }
    dispose_filters(trainer->rates.filters, trainer->rates.filter_count);
    trainer->rates.filters = copies;
    trainer->rates.filter_count = count;
    copies = NULL;
out:
    if (copies != NULL)
        dispose_filters(copies, copied);
    return rc;
}

cairn_status crn_rates_take(crn_rates *rates, cairn_scheduler **schedulers, size_t count,
                            cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t taken = 0;
    rates->schedulers = crn_calloc(count, sizeof(cairn_scheduler *));
    CRN_NEED(err, rates->schedulers, "schedulers");
    for (; taken < count; taken++)
        rates->schedulers[taken] = schedulers[taken];
    rates->scheduler_count = count;
out:
    for (size_t i = taken; i < count; i++)
        cairn_scheduler_destroy(schedulers[i]);
    return rc;
}

void crn_rates_dispose(crn_rates *rates)
{
    dispose_filters(rates->filters, rates->filter_count);
    for (size_t i = 0; i < rates->scheduler_count; i++)
        cairn_scheduler_destroy(rates->schedulers[i]);
    crn_free(rates->schedulers);
    cairn_param_groups_destroy(rates->groups);
    crn_free(rates->learning_rate_by);
    crn_free(rates->weight_decay_by);
    crn_free(rates->learning_rates);
    crn_free(rates->weight_decays);
    *rates = (crn_rates){0};
}

/* ---- Groups, and who sets what in each ---- */

size_t crn_rates_count(const crn_rates *rates)
{
    return cairn_param_groups_count(rates->groups);
}

static bool is_meant(const crn_rates *rates, const cairn_scheduler *scheduler, size_t group)
{
    size_t count = 0;
    const char *const *const tags = cairn_scheduler_tags(scheduler, &count);
    /* Whatever a schedule of weight decay says, biases and norms stay without. */
    if (cairn_scheduler_sets(scheduler) == CAIRN_SCHEDULED_WEIGHT_DECAY &&
        !cairn_param_groups_is_decayed(rates->groups, group))
        return false;
    for (size_t i = 0; i < count; i++)
        if (cairn_param_groups_has_tag(rates->groups, group, tags[i]))
            return true;
    return count == 0;
}

static cairn_status assign(crn_rates *rates, const cairn_scheduler *scheduler, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const bool is_decay = cairn_scheduler_sets(scheduler) == CAIRN_SCHEDULED_WEIGHT_DECAY;
    const cairn_scheduler **const by = is_decay ? rates->weight_decay_by : rates->learning_rate_by;
    const char *const what = is_decay ? "weight decay" : "learning rate";
    size_t meant = 0;
    for (size_t i = 0; i < crn_rates_count(rates); i++) {
        if (!is_meant(rates, scheduler, i))
            continue;
        if (by[i] != NULL)
            CRN_FAIL(err, CAIRN_ECONFIG,
                     "%s and %s both set the %s of parameter group %zu; give them "
                     "param_group_tags that share no group, or make one of them",
                     cairn_scheduler_name(by[i]), cairn_scheduler_name(scheduler), what, i);
        by[i] = scheduler;
        meant++;
    }
    if (meant == 0)
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "%s sets the %s of no parameter group; see its "
                 "param_group_tags and optimizer.params",
                 cairn_scheduler_name(scheduler), what);
out:
    return rc;
}

cairn_status crn_rates_plan(crn_rates *rates, const cairn_state *model,
                            const cairn_optimizer *optimizer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(
        cairn_param_groups_new(model, rates->filters, rates->filter_count, &rates->groups, err));
    const size_t count = crn_rates_count(rates);
    rates->learning_rate_by = crn_calloc(count, sizeof(cairn_scheduler *));
    rates->weight_decay_by = crn_calloc(count, sizeof(cairn_scheduler *));
    rates->learning_rates = crn_calloc(count, sizeof *rates->learning_rates);
    rates->weight_decays = crn_calloc(count, sizeof *rates->weight_decays);
    CRN_NEED(err, rates->learning_rate_by, "parameter groups");
    CRN_NEED(err, rates->weight_decay_by, "parameter groups");
    CRN_NEED(err, rates->learning_rates, "parameter groups");
    CRN_NEED(err, rates->weight_decays, "parameter groups");
    for (size_t i = 0; i < rates->scheduler_count; i++) {
        const cairn_scheduler *const scheduler = rates->schedulers[i];
        if (cairn_scheduler_sets(scheduler) == CAIRN_SCHEDULED_WEIGHT_DECAY &&
            optimizer->ops->weight_decay == NULL)
            CRN_FAIL(err, CAIRN_ECONFIG, "%s has no weight decay that %s could set",
                     optimizer->ops->name, cairn_scheduler_name(scheduler));
        CRN_TRY_PLAIN(assign(rates, scheduler, err));
    }
out:
    return rc;
}

void crn_rates_compute(crn_rates *rates, const cairn_optimizer *optimizer, uint64_t t)
{
    const double rate = optimizer->ops->learning_rate(optimizer->self);
    const double decay =
        optimizer->ops->weight_decay != NULL ? optimizer->ops->weight_decay(optimizer->self) : 0.0;
    for (size_t i = 0; i < crn_rates_count(rates); i++) {
        const double factor = cairn_param_groups_factor(rates->groups, i);
        const bool is_decayed = cairn_param_groups_is_decayed(rates->groups, i);
        rates->learning_rates[i] =
            rates->learning_rate_by[i] != NULL
                ? cairn_scheduler_group_value(rates->learning_rate_by[i], t, factor)
                : rate * factor;
        rates->weight_decays[i] =
            rates->weight_decay_by[i] != NULL
                ? cairn_scheduler_group_value(rates->weight_decay_by[i], t, factor)
                : (is_decayed ? decay : 0.0);
    }
}
