/* What all schedulers share. */
#include "optim/scheduler.h"

#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "config/config.h"

cairn_status crn_scheduler_new(const crn_scheduler_kind *kind, const void *options, double initial,
                               cairn_scheduler **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_scheduler *scheduler = crn_calloc(1, sizeof *scheduler);
    CRN_NEED(err, scheduler, "a scheduler");
    scheduler->kind = kind;
    scheduler->initial = initial;
    if (options != NULL) {
        const crn_section *const section = crn_section_find(kind->section);
        CRN_TRY_PLAIN(crn_section_check(section, kind->lr_name, options, err));
        scheduler->options = crn_calloc(1, section->struct_size);
        CRN_NEED(err, scheduler->options, "a scheduler");
        memcpy(scheduler->options, options, section->struct_size);
    }
    *out = scheduler;
    scheduler = NULL;
out:
    cairn_scheduler_destroy(scheduler);
    return rc;
}

static void dispose_tags(cairn_scheduler *scheduler)
{
    for (size_t i = 0; i < scheduler->tag_count; i++)
        crn_free(scheduler->tags[i]);
    crn_free(scheduler->tags);
    scheduler->tags = NULL;
    scheduler->tag_count = 0;
}

void cairn_scheduler_destroy(cairn_scheduler *scheduler)
{
    if (scheduler == NULL)
        return;
    for (size_t i = 0; i < scheduler->child_count; i++)
        cairn_scheduler_destroy(scheduler->children[i]);
    dispose_tags(scheduler);
    crn_free(scheduler->children);
    crn_free(scheduler->starts);
    crn_free(scheduler->milestones);
    crn_free(scheduler->values);
    crn_free(scheduler->options);
    crn_free(scheduler);
}

cairn_status cairn_scheduler_aim(cairn_scheduler *scheduler, cairn_scheduled what,
                                 const char *const *tags, size_t count, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    dispose_tags(scheduler);
    scheduler->sets = what;
    scheduler->tags = crn_calloc(count, sizeof *scheduler->tags);
    CRN_NEED(err, scheduler->tags, "the tags of a scheduler");
    for (; scheduler->tag_count < count; scheduler->tag_count++) {
        if (tags[scheduler->tag_count] == NULL)
            continue;
        scheduler->tags[scheduler->tag_count] = crn_strdup(tags[scheduler->tag_count]);
        CRN_NEED(err, scheduler->tags[scheduler->tag_count], "the tags of a scheduler");
    }
out:
    return rc;
}

cairn_scheduled cairn_scheduler_sets(const cairn_scheduler *scheduler)
{
    return scheduler->sets;
}

const char *const *cairn_scheduler_tags(const cairn_scheduler *scheduler, size_t *out_count)
{
    *out_count = scheduler->tag_count;
    return (const char *const *)scheduler->tags;
}

double crn_scheduler_value(const cairn_scheduler *scheduler, uint64_t t, double factor)
{
    return scheduler->kind->value(scheduler, t, factor);
}

double cairn_scheduler_value(const cairn_scheduler *scheduler, uint64_t t)
{
    return crn_scheduler_value(scheduler, t, 1.0);
}

double cairn_scheduler_group_value(const cairn_scheduler *scheduler, uint64_t t, double factor)
{
    return crn_scheduler_value(scheduler, t, factor);
}

bool cairn_scheduler_total_iters(const cairn_scheduler *scheduler, uint64_t *out)
{
    if (scheduler->has_length)
        *out = scheduler->length;
    return scheduler->has_length;
}

const char *cairn_scheduler_name(const cairn_scheduler *scheduler)
{
    return scheduler->sets == CAIRN_SCHEDULED_WEIGHT_DECAY ? scheduler->kind->wd_name
                                                           : scheduler->kind->lr_name;
}
