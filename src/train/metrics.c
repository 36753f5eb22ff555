/* What loggers get of a step or a validation: the trainer's own numbers and those of callbacks. */
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "train/trainer_priv.h"

/* Sets the metric in place if it is there, else appends it. Names of earlier steps are kept in
 * their slots, so that a step that logs what the last one did allocates nothing. */
static cairn_status put(crn_metric_list *list, const char *name, double value, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i].name, name) == 0) {
            list->items[i].value = value;
            return CAIRN_OK;
        }
    }
    if (list->count == list->named) {
        CRN_TRY_PLAIN(
            crn_grow(&list->items, &list->capacity, list->count + 1, sizeof *list->items, err));
        CRN_TRY_PLAIN(crn_grow(&list->names, &list->name_capacity, list->count + 1,
                               sizeof *list->names, err));
        list->names[list->named++] = NULL;
    }
    char **const slot = &list->names[list->count];
    if (*slot == NULL || strcmp(*slot, name) != 0) {
        crn_free(*slot);
        *slot = crn_strdup(name);
        CRN_NEED(err, *slot, "the name of a metric");
    }
    list->items[list->count++] = (cairn_metric){.name = *slot, .value = value};
out:
    return rc;
}

void crn_metric_list_dispose(crn_metric_list *list)
{
    for (size_t i = 0; i < list->named; i++)
        crn_free(list->names[i]);
    crn_free(list->names);
    crn_free(list->items);
    *list = (crn_metric_list){0};
}

cairn_status crn_metric_list_copy(crn_metric_list *to, const crn_metric_list *from,
                                  cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    to->count = 0;
    for (size_t i = 0; i < from->count; i++)
        CRN_TRY_PLAIN(put(to, from->items[i].name, from->items[i].value, err));
out:
    return rc;
}

void crn_validation_name(crn_str *out, const char *name, size_t loader)
{
    if (loader == 0)
        crn_str_append(out, name);
    else
        crn_str_printf(out, "%s/%zu", name, loader);
}

cairn_status cairn_trainer_add_metric(cairn_trainer *trainer, const char *name, double value,
                                      cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str numbered = {0};
    if (trainer->validated_loader == 0)
        return put(&trainer->metrics, name, value, err);
    /* The same callback speaks for every loader of a round. */
    crn_validation_name(&numbered, name, trainer->validated_loader);
    CRN_TRY_PLAIN(crn_str_check(&numbered, err));
    CRN_TRY_PLAIN(put(&trainer->metrics, numbered.text, value, err));
out:
    crn_str_dispose(&numbered);
    return rc;
}

static cairn_event take_metrics(cairn_trainer *trainer)
{
    cairn_event event = crn_trainer_event(trainer);
    event.metrics = trainer->metrics.items;
    event.metric_count = trainer->metrics.count;
    trainer->metrics.count = 0;
    return event;
}

const cairn_metric *cairn_trainer_metrics(const cairn_trainer *trainer, size_t *count)
{
    *count = trainer->metrics.count;
    return trainer->metrics.items;
}

cairn_status crn_trainer_log_metrics(cairn_trainer *trainer, bool is_validation, cairn_error *err)
{
    cairn_event event = take_metrics(trainer);
    event.is_validation = is_validation;
    event.is_log_step = is_validation || crn_trainer_is_log_step(trainer, trainer->step);
    if (is_validation)
        event.loop_index = trainer->validation_index;
    return event.metric_count == 0 ? CAIRN_OK
                                   : crn_trainer_call(trainer, CRN_HOOK_on_log, &event, err);
}

cairn_status crn_trainer_replay_metrics(cairn_trainer *trainer, cairn_error *err)
{
    cairn_event event = take_metrics(trainer);
    event.is_validation = true;
    event.is_replayed = true;
    event.loop_index = trainer->validation_index - 1; /* the round before the next */
    return crn_trainer_call(trainer, CRN_HOOK_on_log, &event, err);
}

cairn_status cairn_trainer_log_text(cairn_trainer *trainer, const char *name, const char *text,
                                    cairn_error *err)
{
    cairn_event event = crn_trainer_event(trainer);
    event.log_name = name;
    event.log_text = text;
    return crn_trainer_call(trainer, CRN_HOOK_on_log_text, &event, err);
}

cairn_status cairn_trainer_log_histogram(cairn_trainer *trainer, const char *name,
                                         const float *values, size_t count, cairn_error *err)
{
    cairn_event event = crn_trainer_event(trainer);
    event.log_name = name;
    event.log_values = values;
    event.log_value_count = count;
    return crn_trainer_call(trainer, CRN_HOOK_on_log_histogram, &event, err);
}
