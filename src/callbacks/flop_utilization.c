/* FlopUtilization: how much of the machine's speed the training uses (Model Zoo reference, 2.7). */
#include <stddef.h>

#include "base/mem.h"
#include "base/try.h"
#include "cairn/model.h"
#include "callbacks/timed.h"

static const char k_name[] = "FlopUtilization";

/* Runs shorter than this do not pay for measuring the machine. */
static const double k_seconds_before = 1.0;
enum { PROBES = 6 };

struct flops {
    const crn_os *os;
    double peak;    /* operations a second; 0: not known yet */
    int64_t mark;   /* when the step that runs began */
    double seconds; /* since the last log step */
    double work;    /* operations since then */
    double trained; /* seconds in all */
};

/* Of all matrices once for each token, if the model does not say; a lookup is no product. */
static double work_of_weights(cairn_trainer *trainer, const cairn_batch *batch)
{
    const cairn_state *const model = cairn_trainer_model_state(trainer);
    const cairn_batch_field *const first = batch->field_count > 0 ? &batch->field[0] : NULL;
    const bool is_sequence = first != NULL && first->rank >= 2 && first->dtype == CAIRN_DTYPE_I32;
    const double rows = (double)batch->samples * (is_sequence ? (double)first->shape[1] : 1.0);
    double elements = 0.0;
    for (size_t i = 0; i < cairn_state_tensor_count(model); i++) {
        const cairn_tensor *const tensor = cairn_state_tensor_at(model, i);
        if (tensor->role == CAIRN_ROLE_WEIGHT)
            elements += (double)cairn_tensor_elements(tensor);
    }
    return 6.0 * rows * elements;
}

static double work_of(cairn_trainer *trainer, const cairn_batch *batch)
{
    const cairn_model *const model = cairn_trainer_model(trainer);
    const bool has_flops =
        model->ops->struct_size >= offsetof(cairn_model_ops, flops) + sizeof model->ops->flops &&
        model->ops->flops != NULL;
    return has_flops ? model->ops->flops(model->self, batch, true)
                     : work_of_weights(trainer, batch);
}

/* The best of a few products of matrices that fit the cache; the first one only warms up. */
static cairn_status measure(struct flops *flops, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    float *const work = crn_calloc(CAIRN_PROBE_FLOATS, sizeof *work);
    double least = 0.0;
    CRN_NEED(err, work, "measuring the machine");
    for (int i = 0; i < PROBES; i++) {
        const int64_t begin = flops->os->monotonic_ns(flops->os);
        CRN_TRY_PLAIN(cairn_matrix_probe(work, err));
        const double seconds = crn_seconds_between(begin, flops->os->monotonic_ns(flops->os));
        if (i > 0 && seconds > 0.0 && (least <= 0.0 || seconds < least))
            least = seconds;
    }
    if (least > 0.0)
        flops->peak = CAIRN_PROBE_FLOPS / least;
out:
    crn_free(work);
    return rc;
}

static cairn_status on_train_start(void *self, const cairn_event *event, cairn_control *control,
                                   cairn_error *err)
{
    struct flops *const flops = self;
    (void)event;   /* only the time counts */
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    flops->mark = flops->os->monotonic_ns(flops->os);
    return CAIRN_OK;
}

static cairn_status on_before_forward(void *self, const cairn_event *event, cairn_control *control,
                                      cairn_error *err)
{
    struct flops *const flops = self;
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    if (!event->is_validation)
        flops->work += work_of(event->trainer, event->batch);
    return CAIRN_OK;
}

static cairn_status tell(struct flops *flops, cairn_trainer *trainer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (!(flops->peak > 0.0))
        CRN_TRY_PLAIN(measure(flops, err));
    const double rate = flops->work / flops->seconds;
    flops->work = 0.0;
    flops->seconds = 0.0;
    CRN_TRY_PLAIN(cairn_trainer_add_metric(trainer, "ml_flops", rate, err));
    if (flops->peak > 0.0)
        CRN_TRY_PLAIN(
            cairn_trainer_add_metric(trainer, "flop_utilization", rate / flops->peak, err));
out:
    return rc;
}

static cairn_status on_train_batch_end(void *self, const cairn_event *event, cairn_control *control,
                                       cairn_error *err)
{
    struct flops *const flops = self;
    cairn_status rc = CAIRN_OK;
    const int64_t now = flops->os->monotonic_ns(flops->os);
    const double seconds = crn_seconds_between(flops->mark, now);
    (void)control; /* asks for nothing */
    flops->seconds += seconds;
    flops->trained += seconds;
    const bool is_known = flops->peak > 0.0 || flops->trained >= k_seconds_before;
    if (event->is_log_step && is_known && flops->work > 0.0 && flops->seconds > 0.0)
        CRN_TRY_PLAIN(tell(flops, event->trainer, err));
out:
    flops->mark = flops->os->monotonic_ns(flops->os);
    return rc;
}

static cairn_status on_after_save_checkpoint(void *self, const cairn_event *event,
                                             cairn_control *control, cairn_error *err)
{
    return on_train_start(self, event, control, err); /* A save is no part of the next step. */
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof(cairn_callback_ops),
    .name = k_name,
    .destroy = crn_free,
    .on_train_start = on_train_start,
    .on_before_forward = on_before_forward,
    .on_train_batch_end = on_train_batch_end,
    .on_after_save_checkpoint = on_after_save_checkpoint,
};

cairn_status crn_flop_utilization_new_os(const crn_os *os,
                                         const cairn_flop_utilization_options *options,
                                         cairn_callback *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct flops *flops = NULL;
    if (options->peak_flops.is_set && !(options->peak_flops.value > 0.0))
        CRN_FAIL(err, CAIRN_ECONFIG, "%s: peak_flops is %g; it must be above 0", k_name,
                 options->peak_flops.value);
    flops = crn_calloc(1, sizeof *flops);
    CRN_NEED(err, flops, k_name);
    flops->os = os;
    flops->peak = options->peak_flops.is_set ? options->peak_flops.value : 0.0;
    *out = (cairn_callback){.ops = &k_ops, .self = flops};
out:
    return rc;
}

cairn_status cairn_flop_utilization_new(const cairn_flop_utilization_options *options,
                                        cairn_callback *out, cairn_error *err)
{
    return crn_flop_utilization_new_os(crn_os_posix(), options, out, err);
}
