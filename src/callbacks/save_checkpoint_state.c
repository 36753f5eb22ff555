/* SaveCheckpointState: now and then a file with some states only (Model Zoo reference, 1.4). */
#include <inttypes.h>

#include "base/mem.h"
#include "base/try.h"
#include "callbacks/own_state.h"
#include "callbacks/states.h"

static const char k_name[] = "SaveCheckpointState";
static const char k_count[] = "count";

struct save_state {
    uint64_t every; /* full saves */
    char *states;   /* "model,optimizer" or "all" */
    char *name_template;
    cairn_state *state;    /* borrowed from the tree: full saves since the last alternative one */
    uint64_t count_before; /* the save that was prepared last */
};

static cairn_status setup(void *self, const cairn_event *event, cairn_control *control,
                          cairn_error *err)
{
    struct save_state *const callback = self;
    cairn_status rc = CAIRN_OK;
    (void)control; /* asks for nothing */
    CRN_TRY_PLAIN(crn_own_state(event->trainer, k_name, &callback->state, err));
    CRN_TRY_PLAIN(cairn_state_set_u64(callback->state, k_count, 0, err));
    cairn_trainer_plan_extra(event->trainer, callback->every, callback->states);
out:
    return rc;
}

static cairn_status post_setup(void *self, const cairn_event *event, cairn_control *control,
                               cairn_error *err)
{
    const struct save_state *const callback = self;
    (void)control; /* asks for nothing */
    if (event->is_validation)
        return CAIRN_OK; /* Its tree has the model only, and nothing is saved. */
    return crn_states_check(k_name, callback->states, cairn_trainer_tree(event->trainer), err);
}

/*
 * The count is part of the very checkpoint that is being prepared, so it is brought up to date
 * here, before the capture: a run that resumes from this file goes on counting after it.
 */
static cairn_status on_save_checkpoint(void *self, const cairn_event *event, cairn_control *control,
                                       cairn_error *err)
{
    struct save_state *const callback = self;
    cairn_status rc = CAIRN_OK;
    uint64_t count = 0;
    (void)control; /* asks for nothing */
    CRN_TRY_PLAIN(cairn_state_get_u64(callback->state, k_count, &count, err));
    callback->count_before = count;
    const bool is_due = count + 1 >= callback->every || event->is_last;
    CRN_TRY_PLAIN(cairn_state_set_u64(callback->state, k_count, is_due ? 0 : count + 1, err));
    if (is_due)
        CRN_TRY_PLAIN(
            cairn_save_add_extra(event->save, callback->states, callback->name_template, err));
out:
    return rc;
}

/*
 * The count of a checkpoint is 0 if an alternative was due with it. A kill may have come between
 * the two; whether the alternative is there, the trainer finds out.
 */
static cairn_status on_fit_start(void *self, const cairn_event *event, cairn_control *control,
                                 cairn_error *err)
{
    struct save_state *const callback = self;
    cairn_status rc = CAIRN_OK;
    uint64_t count = 0;
    (void)control; /* asks for nothing */
    if (event->save == NULL)
        return CAIRN_OK;
    CRN_TRY_PLAIN(cairn_state_get_u64(callback->state, k_count, &count, err));
    callback->count_before = count > 0 ? count : callback->every - 1;
    if (count == 0)
        CRN_TRY_PLAIN(
            cairn_save_add_extra(event->save, callback->states, callback->name_template, err));
out:
    return rc;
}

/* A save that failed does not count, and an alternative that is missing is due again. */
static cairn_status on_save_exception(void *self, const cairn_event *event, cairn_control *control,
                                      cairn_error *err)
{
    const struct save_state *const callback = self;
    (void)event;   /* saves end in the order in which they are prepared */
    (void)control; /* asks for nothing */
    return cairn_state_set_u64(callback->state, k_count, callback->count_before, err);
}

static void destroy(void *self)
{
    struct save_state *const callback = self;
    if (callback == NULL)
        return;
    crn_free(callback->states);
    crn_free(callback->name_template);
    crn_free(callback);
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof(cairn_callback_ops),
    .name = k_name,
    .destroy = destroy,
    .setup = setup,
    .post_setup = post_setup,
    .on_fit_start = on_fit_start,
    .on_save_checkpoint = on_save_checkpoint,
    .on_save_exception = on_save_exception,
};

cairn_status cairn_save_checkpoint_state_new(const cairn_save_checkpoint_state_options *options,
                                             cairn_callback *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct save_state *callback = NULL;
    if (options->k < 1)
        CRN_FAIL(err, CAIRN_ECONFIG, "%s: k is %" PRId64 "; it must be at least 1", k_name,
                 options->k);
    CRN_TRY_PLAIN(crn_states_check_template(k_name, options->checkpoint_name, err));
    callback = crn_calloc(1, sizeof *callback);
    CRN_NEED(err, callback, k_name);
    callback->every = (uint64_t)options->k;
    CRN_TRY_PLAIN(
        crn_states_join(k_name, &options->checkpoint_states, "model", &callback->states, err));
    callback->name_template = crn_strdup(options->checkpoint_name);
    CRN_NEED(err, callback->name_template, k_name);
    *out = (cairn_callback){.ops = &k_ops, .self = callback};
    callback = NULL;
out:
    destroy(callback);
    return rc;
}
