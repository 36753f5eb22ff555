/* SkipSamples: goes on behind samples that spoil the training (Model Zoo reference, 2.7). How many
 * were left out is a state, so that a run that resumes leaves them out once. */
#include <inttypes.h>

#include "base/mem.h"
#include "base/try.h"
#include "callbacks/own_state.h"
#include "callbacks/skipped.h"

static const char k_name[] = "SkipSamples";
static const char k_skipped[] = "skipped";

struct skip {
    uint64_t samples;
    cairn_state *state; /* borrowed from the tree */
};

uint64_t crn_samples_skipped(cairn_trainer *trainer)
{
    const cairn_state *const state = cairn_state_tree_find(cairn_trainer_tree(trainer), k_name);
    uint64_t skipped = 0;
    if (state != NULL && cairn_state_get_u64(state, k_skipped, &skipped, NULL) != CAIRN_OK)
        return 0;
    return skipped;
}

static cairn_status setup(void *self, const cairn_event *event, cairn_control *control,
                          cairn_error *err)
{
    struct skip *const skip = self;
    cairn_status rc = CAIRN_OK;
    (void)control; /* asks for nothing */
    CRN_TRY_PLAIN(crn_own_state(event->trainer, k_name, &skip->state, err));
    CRN_TRY_PLAIN(cairn_state_set_u64(skip->state, k_skipped, 0, err));
out:
    return rc;
}

static cairn_status on_fit_start(void *self, const cairn_event *event, cairn_control *control,
                                 cairn_error *err)
{
    const struct skip *const skip = self;
    cairn_status rc = CAIRN_OK;
    uint64_t skipped = 0;
    (void)control; /* asks for nothing */
    CRN_TRY_PLAIN(cairn_state_get_u64(skip->state, k_skipped, &skipped, err));
    if (skip->samples <= skipped)
        return CAIRN_OK;
    CRN_TRY_PLAIN(cairn_state_set_u64(skip->state, k_skipped, skip->samples, err));
    cairn_trainer_skip_samples(event->trainer, skip->samples - skipped);
    cairn_log_message(cairn_trainer_log(event->trainer), CAIRN_LOG_INFO,
                      "%s: left out %" PRIu64 " samples; the next is number %" PRIu64, k_name,
                      skip->samples - skipped, cairn_trainer_samples_streamed(event->trainer));
out:
    return rc;
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof(cairn_callback_ops),
    .name = k_name,
    .destroy = crn_free,
    .setup = setup,
    .on_fit_start = on_fit_start,
};

cairn_status cairn_skip_samples_new(const cairn_skip_samples_options *options, cairn_callback *out,
                                    cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct skip *skip = NULL;
    if (options->n < 1)
        CRN_FAIL(err, CAIRN_ECONFIG, "%s: n is %" PRId64 "; it must be at least 1", k_name,
                 options->n);
    skip = crn_calloc(1, sizeof *skip);
    CRN_NEED(err, skip, k_name);
    skip->samples = (uint64_t)options->n;
    *out = (cairn_callback){.ops = &k_ops, .self = skip};
out:
    return rc;
}
