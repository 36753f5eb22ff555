/* LogOptimizerParamGroup: learning rate and weight decay of each parameter group (Model Zoo
 * reference, 2.7). */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "cairn/callbacks.h"

static const char k_name[] = "LogOptimizerParamGroup";

enum { METRIC_SIZE = 64, SHOWN_SIZE = 64 };

struct groups {
    bool has_rates;
    bool has_decays;
};

static cairn_status log_key(const cairn_event *event, const char *key, const double *values,
                            cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (size_t i = 0; values != NULL && i < event->learning_rate_count; i++) {
        char name[METRIC_SIZE];
        (void)snprintf(name, sizeof name, "%s/%zu", key, i);
        CRN_TRY_PLAIN(cairn_trainer_add_metric(event->trainer, name, values[i], err));
    }
out:
    return rc;
}

static cairn_status on_before_optimizer_step(void *self, const cairn_event *event,
                                             cairn_control *control, cairn_error *err)
{
    const struct groups *const groups = self;
    cairn_status rc = CAIRN_OK;
    (void)control; /* asks for nothing */
    if (!event->is_log_step)
        return CAIRN_OK;
    if (groups->has_rates)
        CRN_TRY_PLAIN(log_key(event, "lr", event->learning_rates, err));
    if (groups->has_decays)
        CRN_TRY_PLAIN(log_key(event, "weight_decay", event->weight_decays, err));
out:
    return rc;
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof(cairn_callback_ops),
    .name = k_name,
    .destroy = crn_free,
    .on_before_optimizer_step = on_before_optimizer_step,
};

static cairn_status read_keys(const cairn_opt_list *keys, struct groups *groups, cairn_error *err)
{
    static const char *const k_keys[] = {"lr", "learning_rate", "weight_decay"};
    cairn_status rc = CAIRN_OK;
    groups->has_rates = keys->count == 0;
    for (size_t i = 0; i < keys->count; i++) {
        const char *const key = keys->items[i];
        char shown[SHOWN_SIZE];
        if (strcmp(key, k_keys[0]) == 0 || strcmp(key, k_keys[1]) == 0)
            groups->has_rates = true;
        else if (strcmp(key, k_keys[2]) == 0)
            groups->has_decays = true;
        else
            CRN_FAIL(err, CAIRN_ECONFIG, "%s: unknown key '%s'; the keys are lr and weight_decay",
                     k_name, crn_escape(key, strlen(key), shown, sizeof shown));
    }
out:
    return rc;
}

cairn_status
cairn_log_optimizer_param_group_new(const cairn_log_optimizer_param_group_options *options,
                                    cairn_callback *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct groups *groups = crn_calloc(1, sizeof *groups);
    CRN_NEED(err, groups, k_name);
    CRN_TRY_PLAIN(read_keys(&options->keys, groups, err));
    *out = (cairn_callback){.ops = &k_ops, .self = groups};
    groups = NULL;
out:
    crn_free(groups);
    return rc;
}
