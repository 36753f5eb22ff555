/* NaNChecker: every pass looks at what its operations give, so that a failure names the first that
 * is not finite (Model Zoo reference, 2.7). */
#include <inttypes.h>

#include "base/mem.h"
#include "base/try.h"
#include "cairn/callbacks.h"

static const char k_name[] = "NaNChecker";

struct checker {
    uint64_t most_steps; /* 0: no limit */
    uint64_t steps;
};

static cairn_status setup(void *self, const cairn_event *event, cairn_control *control,
                          cairn_error *err)
{
    (void)self;    /* has no part in this */
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    cairn_trainer_set_check(event->trainer, false, CAIRN_CHECK_ALL);
    cairn_trainer_set_check(event->trainer, true, CAIRN_CHECK_VALUES);
    return CAIRN_OK;
}

static cairn_status on_train_batch_end(void *self, const cairn_event *event, cairn_control *control,
                                       cairn_error *err)
{
    struct checker *const checker = self;
    (void)err; /* cannot fail */
    checker->steps++;
    if (checker->most_steps == 0 || checker->steps < checker->most_steps)
        return CAIRN_OK;
    cairn_log_message(cairn_trainer_log(event->trainer), CAIRN_LOG_INFO,
                      "%s: everything was finite in %" PRIu64 " steps", k_name, checker->steps);
    control->stop = true;
    control->reason = "nan_checker";
    return CAIRN_OK;
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof(cairn_callback_ops),
    .name = k_name,
    .destroy = crn_free,
    .setup = setup,
    .on_train_batch_end = on_train_batch_end,
};

cairn_status cairn_nan_checker_new(const cairn_nan_checker_options *options, cairn_callback *out,
                                   cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct checker *checker = NULL;
    if (options->num_steps.is_set && options->num_steps.value < 1)
        CRN_FAIL(err, CAIRN_ECONFIG, "%s: num_steps is %" PRId64 "; it must be at least 1, or null",
                 k_name, options->num_steps.value);
    checker = crn_calloc(1, sizeof *checker);
    CRN_NEED(err, checker, k_name);
    checker->most_steps = options->num_steps.is_set ? (uint64_t)options->num_steps.value : 0;
    *out = (cairn_callback){.ops = &k_ops, .self = checker};
out:
    return rc;
}
