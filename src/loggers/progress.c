/* The Model Zoo's progress lines (reference, section 2.8), and a bar for a terminal. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/pace.h"
#include "base/try.h"
#include "loggers/loggers.h"
#include "loggers/text.h"

static const int64_t k_bar_interval_ns = 100000000; /* A faster bar only flickers. */

struct progress {
    const crn_os *os;
    cairn_progress_options options;
    crn_str text; /* kept, so that a step allocates nothing */

    int64_t fit_start;
    int64_t segment_start;
    int64_t mark; /* when the step that runs began */
    uint64_t segment_end;
    double segments_seconds; /* of segments that are over */
    crn_rate train_rate;
    crn_durations steps;

    int64_t save_start;
    bool is_saving; /* training waits; what is written beside it costs no time of its own */
    crn_durations saves;
    uint64_t saves_left; /* after the last step */
    uint64_t validations_left;

    int64_t eval_start;
    int64_t eval_mark;
    crn_rate eval_rate;
    crn_durations eval_batches;
    double round_seconds;      /* loaders validated since the last step */
    double last_round_seconds; /* all loaders of the validation before */

    bool is_bar_shown;
    int64_t bar_at;
};

static int64_t now_ns(const struct progress *progress)
{
    return progress->os->monotonic_ns(progress->os);
}

static double over_all(const crn_rate *rate, double seconds)
{
    return seconds > 0.0 ? (double)rate->amount / seconds : 0.0;
}

/* Training goes on: what it waited for the save is known, and is no part of the next step. */
static void end_save(struct progress *progress)
{
    const int64_t now = now_ns(progress);
    if (!progress->is_saving)
        return;
    crn_durations_add(&progress->saves, crn_seconds_between(progress->save_start, now));
    progress->is_saving = false;
    progress->mark = now;
}

static void erase_bar(struct progress *progress)
{
    if (progress->is_bar_shown)
        progress->options.bar(progress->options.user, "");
    progress->is_bar_shown = false;
}

/* Logging must not end a run: a line for which there is no memory is left out. */
static void log_line(struct progress *progress, const cairn_event *event,
                     const crn_progress_facts *facts)
{
    progress->text.length = 0;
    progress->text.is_failed = false;
    crn_progress_line(facts, &progress->text);
    erase_bar(progress);
    if (!progress->text.is_failed)
        cairn_log_message(cairn_trainer_log(event->trainer),
                          facts->failed_saves > 0 ? CAIRN_LOG_WARNING : CAIRN_LOG_INFO, "%s",
                          progress->text.text);
}

static void log_text(struct progress *progress, const cairn_event *event, const char *text)
{
    erase_bar(progress);
    cairn_log_message(cairn_trainer_log(event->trainer), CAIRN_LOG_INFO, "%s", text);
}

static void show_bar(struct progress *progress, const crn_progress_facts *facts, uint64_t done,
                     uint64_t total)
{
    const int64_t now = now_ns(progress);
    if (progress->options.bar == NULL ||
        (progress->is_bar_shown && now - progress->bar_at < k_bar_interval_ns))
        return;
    progress->text.length = 0;
    progress->text.is_failed = false;
    crn_progress_bar(facts, done, total, &progress->text);
    if (progress->text.is_failed)
        return;
    progress->options.bar(progress->options.user, progress->text.text);
    progress->is_bar_shown = true;
    progress->bar_at = now;
}

/* ---- Training ---- */

static cairn_status on_fit_start(void *self, const cairn_event *event, cairn_control *control,
                                 cairn_error *err)
{
    struct progress *const progress = self;
    (void)event;   /* only the time counts */
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    progress->fit_start = now_ns(progress);
    return CAIRN_OK;
}

static cairn_status on_train_start(void *self, const cairn_event *event, cairn_control *control,
                                   cairn_error *err)
{
    struct progress *const progress = self;
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    progress->segment_start = now_ns(progress);
    progress->mark = progress->segment_start;
    progress->segment_end = event->step + event->batch_count;
    if (progress->round_seconds > 0.0)
        progress->last_round_seconds = progress->round_seconds;
    progress->round_seconds = 0.0;
    return CAIRN_OK;
}

static cairn_status on_train_batch_start(void *self, const cairn_event *event,
                                         cairn_control *control, cairn_error *err)
{
    (void)event;   /* only the time counts */
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    end_save(self);
    return CAIRN_OK;
}

static crn_progress_facts train_facts(const struct progress *progress, const cairn_event *event,
                                      int64_t now)
{
    const double step_seconds = crn_durations_median(&progress->steps, CRN_DURATIONS_MAX);
    const double save_seconds = crn_durations_median(&progress->saves, CRN_DURATIONS_MAX);
    const double train_seconds =
        progress->segments_seconds + crn_seconds_between(progress->segment_start, now);
    const bool lacks_save = event->saves_left > 0 && progress->saves.count == 0;
    const bool lacks_validation =
        event->validations_left > 0 && progress->last_round_seconds <= 0.0;
    return (crn_progress_facts){
        .device = progress->options.device,
        .failed_saves = event->failed_saves,
        .step = event->step,
        .loss = event->loss,
        .has_rate = progress->train_rate.is_known,
        .rate = progress->train_rate.smoothed,
        .global_rate = over_all(&progress->train_rate, train_seconds),
        .has_times = true,
        .loop_left = (double)(progress->segment_end - event->step) * step_seconds,
        .has_total = true,
        .total_left = (double)(event->end_step - event->step) * step_seconds +
                      (double)event->saves_left * save_seconds +
                      (double)event->validations_left * progress->last_round_seconds,
        .total_is_minimum = lacks_save || lacks_validation,
    };
}

static cairn_status on_train_batch_end(void *self, const cairn_event *event, cairn_control *control,
                                       cairn_error *err)
{
    struct progress *const progress = self;
    const int64_t now = now_ns(progress);
    const double seconds = crn_seconds_between(progress->mark, now);
    const uint64_t done = event->step - event->first_step;
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    crn_durations_add(&progress->steps, seconds);
    crn_rate_add(&progress->train_rate, event->samples, seconds);
    progress->mark = now;
    progress->saves_left = event->saves_left;
    progress->validations_left = event->validations_left;
    const crn_progress_facts facts = train_facts(progress, event, now);
    if (event->is_log_step)
        log_line(progress, event, &facts);
    if (!event->is_last)
        show_bar(progress, &facts, done, event->end_step - event->first_step);
    return CAIRN_OK;
}

static cairn_status on_train_end(void *self, const cairn_event *event, cairn_control *control,
                                 cairn_error *err)
{
    struct progress *const progress = self;
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    progress->segments_seconds += crn_seconds_between(progress->segment_start, now_ns(progress));
    progress->segment_start = now_ns(progress);
    if (event->is_last || event->step == progress->segment_end) /* else it was cut off */
        log_text(progress, event, "Training completed successfully!");
    return CAIRN_OK;
}

/* ---- Saving ---- */

static cairn_status on_save_checkpoint(void *self, const cairn_event *event, cairn_control *control,
                                       cairn_error *err)
{
    struct progress *const progress = self;
    (void)event;   /* only the time counts */
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    erase_bar(progress);
    progress->save_start = now_ns(progress);
    progress->is_saving = true;
    return CAIRN_OK;
}

/* One that is waited for ends here; else training has gone on before. */
static cairn_status on_after_save_checkpoint(void *self, const cairn_event *event,
                                             cairn_control *control, cairn_error *err)
{
    (void)event;   /* only the time counts */
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    end_save(self);
    return CAIRN_OK;
}

/* ---- Validation ---- */

static cairn_status on_validate_start(void *self, const cairn_event *event, cairn_control *control,
                                      cairn_error *err)
{
    struct progress *const progress = self;
    (void)event;   /* only the time counts */
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    end_save(progress);
    progress->eval_start = now_ns(progress);
    progress->eval_mark = progress->eval_start;
    progress->eval_rate = (crn_rate){0};
    progress->eval_batches.count = 0;
    return CAIRN_OK;
}

/* The rest of this validation, of the round it is in, and of the training after it. */
static crn_progress_facts eval_facts(const struct progress *progress, const cairn_event *event,
                                     int64_t now)
{
    const uint64_t batch = event->batch_index + 1;
    const double elapsed = crn_seconds_between(progress->eval_start, now);
    const double left = (double)(event->batch_count - batch) *
                        crn_durations_median(&progress->eval_batches, CRN_DURATIONS_MAX);
    const uint64_t steps_left = event->end_step > event->step ? event->end_step - event->step : 0;
    const bool has_others = event->loader_index + 1 < event->loader_count;
    const double so_far = progress->round_seconds + elapsed + left;
    const bool knows_round = progress->last_round_seconds > 0.0 || !has_others;
    const double round = progress->last_round_seconds > 0.0 ? progress->last_round_seconds : so_far;
    return (crn_progress_facts){
        .device = progress->options.device,
        .failed_saves = event->failed_saves,
        .is_validation = true,
        .step = event->step,
        .batch = batch,
        .loss = event->loss,
        .has_rate = progress->eval_rate.is_known,
        .rate = progress->eval_rate.smoothed,
        .global_rate = over_all(&progress->eval_rate, elapsed),
        .has_times = true,
        .loop_left = left,
        .has_total = true,
        .total_left =
            left + (has_others && round > so_far ? round - so_far : 0.0) +
            (double)steps_left * crn_durations_median(&progress->steps, CRN_DURATIONS_MAX) +
            (double)progress->saves_left *
                crn_durations_median(&progress->saves, CRN_DURATIONS_MAX) +
            (double)progress->validations_left * round,
        .total_is_minimum = !knows_round || (steps_left > 0 && progress->steps.count == 0) ||
                            (progress->saves_left > 0 && progress->saves.count == 0),
    };
}

static cairn_status on_validate_batch_end(void *self, const cairn_event *event,
                                          cairn_control *control, cairn_error *err)
{
    struct progress *const progress = self;
    const int64_t now = now_ns(progress);
    const double seconds = crn_seconds_between(progress->eval_mark, now);
    const uint64_t batch = event->batch_index + 1;
    const bool is_last = batch == event->batch_count;
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    crn_durations_add(&progress->eval_batches, seconds);
    crn_rate_add(&progress->eval_rate, event->samples, seconds);
    progress->eval_mark = now;
    const crn_progress_facts facts = eval_facts(progress, event, now);
    if (batch % progress->options.log_steps == 0 || is_last)
        log_line(progress, event, &facts);
    if (!is_last)
        show_bar(progress, &facts, batch, event->batch_count);
    return CAIRN_OK;
}

/* What callbacks have measured in the validation that ends. */
static void log_eval_metrics(struct progress *progress, const cairn_event *event)
{
    size_t count = 0;
    const cairn_metric *const metrics = cairn_trainer_metrics(event->trainer, &count);
    bool is_first = true;
    for (size_t i = 0; i < count; i++) {
        size_t length = 0;
        char value[CRN_LOSS_TEXT_SIZE];
        if (crn_metric_loader(metrics[i].name, &length) != event->loader_index ||
            crn_metric_is_loss(metrics[i].name, length))
            continue; /* Another loader's, or the loss, which has a line of its own. */
        if (is_first)
            log_text(progress, event, "Evaluation metrics:");
        is_first = false;
        cairn_log_message(cairn_trainer_log(event->trainer), CAIRN_LOG_INFO, "  - %.*s = %s",
                          (int)length, metrics[i].name, crn_loss_text(metrics[i].value, value));
    }
}

static cairn_status on_validate_end(void *self, const cairn_event *event, cairn_control *control,
                                    cairn_error *err)
{
    struct progress *const progress = self;
    char loss[CRN_LOSS_TEXT_SIZE];
    char text[CRN_LOSS_TEXT_SIZE + 32];
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    progress->round_seconds += crn_seconds_between(progress->eval_start, now_ns(progress));
    (void)snprintf(text, sizeof text, "Avg Eval Loss: %s", crn_loss_text(event->loss, loss));
    log_text(progress, event, text);
    log_eval_metrics(progress, event);
    log_text(progress, event, "Evaluation completed successfully!");
    return CAIRN_OK;
}

/* ---- The end ---- */

static cairn_status on_fit_end(void *self, const cairn_event *event, cairn_control *control,
                               cairn_error *err)
{
    struct progress *const progress = self;
    char text[96];
    char seconds[40];
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    erase_bar(progress);
    if (progress->train_rate.amount == 0)
        return CAIRN_OK;
    (void)snprintf(
        text, sizeof text, "Processed %" PRIu64 " training sample(s) in %s seconds.",
        progress->train_rate.amount,
        crn_rate_text(crn_seconds_between(progress->fit_start, now_ns(progress)), seconds));
    log_text(progress, event, text);
    return CAIRN_OK;
}

static cairn_status on_fit_exception(void *self, const cairn_event *event, cairn_control *control,
                                     cairn_error *err)
{
    (void)event;   /* the caller reports the failure */
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    erase_bar(self);
    return CAIRN_OK;
}

static void destroy(void *self)
{
    struct progress *const progress = self;
    if (progress == NULL)
        return;
    crn_str_dispose(&progress->text);
    crn_free(progress);
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof(cairn_callback_ops),
    .name = "ProgressLogger",
    .destroy = destroy,
    .on_fit_start = on_fit_start,
    .on_train_start = on_train_start,
    .on_train_batch_start = on_train_batch_start,
    .on_train_batch_end = on_train_batch_end,
    .on_train_end = on_train_end,
    .on_validate_start = on_validate_start,
    .on_validate_batch_end = on_validate_batch_end,
    .on_validate_end = on_validate_end,
    .on_save_checkpoint = on_save_checkpoint,
    .on_after_save_checkpoint = on_after_save_checkpoint,
    .on_fit_exception = on_fit_exception,
    .on_fit_end = on_fit_end,
};

cairn_status crn_progress_logger_new_os(const crn_os *os, const cairn_progress_options *options,
                                        cairn_callback *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (options->struct_size > sizeof *options)
        CRN_FAIL(err, CAIRN_EVERSION, "the program was compiled for a newer cairn");
    if (options->log_steps == 0)
        CRN_FAIL(err, CAIRN_ECONFIG, "log_steps is 0; it must be at least 1");
    struct progress *const progress = crn_calloc(1, sizeof *progress);
    CRN_NEED(err, progress, "the progress logger");
    progress->os = os;
    memcpy(&progress->options, options, options->struct_size);
    if (progress->options.device == NULL)
        progress->options.device = "CPU";
    *out = (cairn_callback){.ops = &k_ops, .self = progress};
out:
    return rc;
}

cairn_status cairn_progress_logger_new(const cairn_progress_options *options, cairn_callback *out,
                                       cairn_error *err)
{
    return crn_progress_logger_new_os(crn_os_posix(), options, out, err);
}
