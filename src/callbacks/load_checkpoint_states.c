/* LoadCheckpointStates: load some states only (Model Zoo reference, section 1.3). */
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "callbacks/states.h"

static const char k_name[] = "LoadCheckpointStates";

struct load_states {
    char *states; /* "model,optimizer" or "all" */
};

static cairn_status preprocess_checkpoint(void *self, const cairn_event *event,
                                          cairn_control *control, cairn_error *err)
{
    const struct load_states *const callback = self;
    cairn_status rc = CAIRN_OK;
    (void)control; /* asks for nothing */
    if (strcmp(callback->states, "all") == 0 || event->is_validation)
        return CAIRN_OK;
    CRN_TRY_PLAIN(
        crn_states_check(k_name, callback->states, cairn_trainer_tree(event->trainer), err));
    CRN_TRY_PLAIN(cairn_load_select(event->load, callback->states, err));
out:
    return rc;
}

/* A name that is wrong must not wait for the day when there is something to load. */
static cairn_status post_setup(void *self, const cairn_event *event, cairn_control *control,
                               cairn_error *err)
{
    const struct load_states *const callback = self;
    (void)control; /* asks for nothing */
    if (event->is_validation)
        return CAIRN_OK; /* Its tree has the model only, and all of that is loaded. */
    return crn_states_check(k_name, callback->states, cairn_trainer_tree(event->trainer), err);
}

static void destroy(void *self)
{
    struct load_states *const callback = self;
    if (callback == NULL)
        return;
    crn_free(callback->states);
    crn_free(callback);
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof(cairn_callback_ops),
    .name = k_name,
    .destroy = destroy,
    .post_setup = post_setup,
    .preprocess_checkpoint = preprocess_checkpoint,
};

cairn_status cairn_load_checkpoint_states_new(const cairn_load_checkpoint_states_options *options,
                                              cairn_callback *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct load_states *callback = crn_calloc(1, sizeof *callback);
    CRN_NEED(err, callback, k_name);
    CRN_TRY_PLAIN(
        crn_states_join(k_name, &options->load_checkpoint_states, "all", &callback->states, err));
    *out = (cairn_callback){.ops = &k_ops, .self = callback};
    callback = NULL;
out:
    destroy(callback);
    return rc;
}
