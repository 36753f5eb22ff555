/* DurationProfiler: the time that the segment and the run still need (Model Zoo reference, 2.7). */
#include "base/mem.h"
#include "base/try.h"
#include "callbacks/timed.h"

static const char k_name[] = "DurationProfiler";

/* The Model Zoo takes the median of so many. */
enum { STEPS_KEPT = 100, SAVES_KEPT = 10 };

struct durations {
    const crn_os *os;
    uint64_t segment_end;
    int64_t mark; /* when the step that runs began */
    crn_durations steps;
    int64_t save_mark;
    crn_durations saves; /* what each took of the training's time */
    int64_t validation_mark;
    bool is_validating;
    double round_seconds; /* the last round of validations */
};

static int64_t now_ns(const struct durations *durations)
{
    return durations->os->monotonic_ns(durations->os);
}

static cairn_status on_train_start(void *self, const cairn_event *event, cairn_control *control,
                                   cairn_error *err)
{
    struct durations *const durations = self;
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    durations->mark = now_ns(durations);
    durations->segment_end = event->step + event->batch_count;
    durations->is_validating = false;
    return CAIRN_OK;
}

static cairn_status on_train_batch_end(void *self, const cairn_event *event, cairn_control *control,
                                       cairn_error *err)
{
    struct durations *const durations = self;
    cairn_status rc = CAIRN_OK;
    const int64_t now = now_ns(durations);
    (void)control; /* asks for nothing */
    crn_durations_add(&durations->steps, crn_seconds_between(durations->mark, now));
    durations->mark = now;
    if (!event->is_log_step)
        return CAIRN_OK;
    const double step = crn_durations_median(&durations->steps, STEPS_KEPT);
    const double save = crn_durations_median(&durations->saves, SAVES_KEPT);
    const double loop = (double)(durations->segment_end - event->step) * step;
    const double all = (double)(event->end_step - event->step) * step +
                       (double)event->saves_left * save +
                       (double)event->validations_left * durations->round_seconds;
    CRN_TRY_PLAIN(cairn_trainer_add_metric(event->trainer, "loop_time_remaining", loop, err));
    CRN_TRY_PLAIN(cairn_trainer_add_metric(event->trainer, "time_remaining", all, err));
out:
    return rc;
}

static cairn_status on_save_checkpoint(void *self, const cairn_event *event, cairn_control *control,
                                       cairn_error *err)
{
    struct durations *const durations = self;
    (void)event;   /* only the time counts */
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    durations->save_mark = now_ns(durations);
    return CAIRN_OK;
}

static cairn_status on_after_save_checkpoint(void *self, const cairn_event *event,
                                             cairn_control *control, cairn_error *err)
{
    struct durations *const durations = self;
    (void)event;   /* only the time counts */
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    /* A save in the background is heard of after steps: those are not its time. */
    const int64_t from =
        durations->mark > durations->save_mark ? durations->mark : durations->save_mark;
    crn_durations_add(&durations->saves, crn_seconds_between(from, now_ns(durations)));
    durations->mark = now_ns(durations);
    return CAIRN_OK;
}

static cairn_status on_validate_start(void *self, const cairn_event *event, cairn_control *control,
                                      cairn_error *err)
{
    struct durations *const durations = self;
    (void)event;                   /* only the time counts */
    (void)control;                 /* asks for nothing */
    (void)err;                     /* cannot fail */
    if (!durations->is_validating) /* The first loader of the round. */
        durations->validation_mark = now_ns(durations);
    durations->is_validating = true;
    return CAIRN_OK;
}

static cairn_status on_validate_end(void *self, const cairn_event *event, cairn_control *control,
                                    cairn_error *err)
{
    struct durations *const durations = self;
    (void)event;   /* only the time counts */
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    durations->round_seconds = crn_seconds_between(durations->validation_mark, now_ns(durations));
    return CAIRN_OK;
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof(cairn_callback_ops),
    .name = k_name,
    .destroy = crn_free,
    .on_train_start = on_train_start,
    .on_train_batch_end = on_train_batch_end,
    .on_save_checkpoint = on_save_checkpoint,
    .on_after_save_checkpoint = on_after_save_checkpoint,
    .on_validate_start = on_validate_start,
    .on_validate_end = on_validate_end,
};

cairn_status crn_duration_profiler_new_os(const crn_os *os, cairn_callback *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct durations *const durations = crn_calloc(1, sizeof *durations);
    CRN_NEED(err, durations, k_name);
    durations->os = os;
    *out = (cairn_callback){.ops = &k_ops, .self = durations};
out:
    return rc;
}

cairn_status cairn_duration_profiler_new(cairn_callback *out, cairn_error *err)
{
    return crn_duration_profiler_new_os(crn_os_posix(), out, err);
}
