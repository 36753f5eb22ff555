/* The flags of GlobalFlags, ScopedTrainFlags and ScopedValidateFlags that act here. */
#include "base/mem.h"
#include "base/try.h"
#include "cairn/callbacks.h"

static const char k_name[] = "CheckFlags";

static cairn_status setup(void *self, const cairn_event *event, cairn_control *control,
                          cairn_error *err)
{
    const cairn_check_flags_options *const options = self;
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    if (options->in_training)
        cairn_trainer_set_check(event->trainer, false, CAIRN_CHECK_ALL);
    if (options->in_validation)
        cairn_trainer_set_check(event->trainer, true, CAIRN_CHECK_VALUES);
    return CAIRN_OK;
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof(cairn_callback_ops),
    .name = k_name,
    .destroy = crn_free,
    .setup = setup,
};

cairn_status cairn_check_flags_new(const cairn_check_flags_options *options, cairn_callback *out,
                                   cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_check_flags_options *const own = crn_calloc(1, sizeof *own);
    CRN_NEED(err, own, k_name);
    *own = *options;
    *out = (cairn_callback){.ops = &k_ops, .self = own};
out:
    return rc;
}
