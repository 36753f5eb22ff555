/* SavePerformanceData: how fast this process trained, in performance.json (Model Zoo reference,
 * 2.7). */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "callbacks/timed.h"

static const char k_name[] = "SavePerformanceData";
#define FILE_NAME "performance.json"

struct performance {
    const crn_os *os;
    int64_t fit_start;
    int64_t mark; /* when the step that runs began */
    uint64_t first_step;
    uint64_t steps;
    uint64_t samples;
    double tokens;
    double seconds; /* in steps */
    crn_durations durations;
};

static int64_t now_ns(const struct performance *performance)
{
    return performance->os->monotonic_ns(performance->os);
}

static cairn_status on_fit_start(void *self, const cairn_event *event, cairn_control *control,
                                 cairn_error *err)
{
    struct performance *const performance = self;
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    performance->fit_start = now_ns(performance);
    performance->first_step = event->step;
    return CAIRN_OK;
}

static cairn_status on_train_start(void *self, const cairn_event *event, cairn_control *control,
                                   cairn_error *err)
{
    struct performance *const performance = self;
    (void)event;   /* only the time counts */
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    performance->mark = now_ns(performance);
    return CAIRN_OK;
}

static cairn_status on_after_backward(void *self, const cairn_event *event, cairn_control *control,
                                      cairn_error *err)
{
    struct performance *const performance = self;
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    performance->tokens += event->computed != NULL ? event->computed->weight : 0.0;
    return CAIRN_OK;
}

static cairn_status on_train_batch_end(void *self, const cairn_event *event, cairn_control *control,
                                       cairn_error *err)
{
    struct performance *const performance = self;
    const int64_t now = now_ns(performance);
    const double seconds = crn_seconds_between(performance->mark, now);
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    performance->mark = now;
    performance->steps++;
    performance->samples += event->samples;
    performance->seconds += seconds;
    crn_durations_add(&performance->durations, seconds);
    return CAIRN_OK;
}

static cairn_status on_after_save_checkpoint(void *self, const cairn_event *event,
                                             cairn_control *control, cairn_error *err)
{
    return on_train_start(self, event, control, err); /* A save is no part of the next step. */
}

static double a_second(const struct performance *performance, double count)
{
    return performance->seconds > 0.0 ? count / performance->seconds : 0.0;
}

static void append_json(const struct performance *performance, crn_str *out)
{
    crn_str_printf(out,
                   "{\"first_step\": %" PRIu64 ", \"steps\": %" PRIu64 ", \"samples\": %" PRIu64
                   ", \"tokens\": %.17g,\n",
                   performance->first_step, performance->steps, performance->samples,
                   performance->tokens);
    crn_str_printf(out,
                   " \"fit_seconds\": %.6f, \"train_seconds\": %.6f, "
                   "\"median_step_seconds\": %.9f,\n",
                   crn_seconds_between(performance->fit_start, now_ns(performance)),
                   performance->seconds,
                   crn_durations_median(&performance->durations, CRN_DURATIONS_MAX));
    crn_str_printf(out,
                   " \"samples_per_sec\": %.6g, \"steps_per_sec\": %.6g, "
                   "\"tokens_per_sec\": %.6g}\n",
                   a_second(performance, (double)performance->samples),
                   a_second(performance, (double)performance->steps),
                   a_second(performance, performance->tokens));
}

/* For people, so it need not survive a power cut; but it is never seen half written. */
static int replace(const crn_os *os, const char *path, const char *part, const crn_str *text)
{
    int fd = -1;
    int e = os->unlink(os, CRN_OS_CWD, part);
    if (e == 0 || e == ENOENT)
        e = os->open(os, CRN_OS_CWD, part, CRN_OPEN_CREATE_NEW, &fd);
    if (e != 0)
        return e;
    e = os->write_at(os, fd, text->text, text->length, 0);
    const int closed = os->close(os, fd);
    e = e != 0 ? e : closed;
    return e != 0 ? e : os->rename_over(os, CRN_OS_CWD, part, path);
}

static cairn_status on_fit_end(void *self, const cairn_event *event, cairn_control *control,
                               cairn_error *err)
{
    const struct performance *const performance = self;
    cairn_status rc = CAIRN_OK;
    const char *const run_dir = cairn_trainer_run_dir(event->trainer);
    const char *const folder = run_dir != NULL ? run_dir : cairn_trainer_model_dir(event->trainer);
    crn_str path = {0};
    crn_str part = {0};
    crn_str text = {0};
    (void)control; /* asks for nothing */
    if (performance->steps == 0)
        return CAIRN_OK;
    crn_str_printf(&path, "%s/" FILE_NAME, folder);
    crn_str_printf(&part, "%s/." FILE_NAME ".new", folder);
    append_json(performance, &text);
    CRN_TRY_PLAIN(crn_str_check(&path, err));
    CRN_TRY_PLAIN(crn_str_check(&part, err));
    CRN_TRY_PLAIN(crn_str_check(&text, err));
    const int e = replace(performance->os, path.text, part.text, &text);
    if (e != 0) /* No reason to fail a run whose work is done. */
        cairn_log_message(cairn_trainer_log(event->trainer), CAIRN_LOG_WARNING,
                          "%s: cannot write '%s': %s", k_name, path.text, strerror(e));
out:
    crn_str_dispose(&path);
    crn_str_dispose(&part);
    crn_str_dispose(&text);
    return rc;
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof(cairn_callback_ops),
    .name = k_name,
    .destroy = crn_free,
    .on_fit_start = on_fit_start,
    .on_train_start = on_train_start,
    .on_after_backward = on_after_backward,
    .on_train_batch_end = on_train_batch_end,
    .on_after_save_checkpoint = on_after_save_checkpoint,
    .on_fit_end = on_fit_end,
};

cairn_status crn_save_performance_data_new_os(const crn_os *os, cairn_callback *out,
                                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct performance *const performance = crn_calloc(1, sizeof *performance);
    CRN_NEED(err, performance, k_name);
    performance->os = os;
    *out = (cairn_callback){.ops = &k_ops, .self = performance};
out:
    return rc;
}

cairn_status cairn_save_performance_data_new(cairn_callback *out, cairn_error *err)
{
    return crn_save_performance_data_new_os(crn_os_posix(), out, err);
}
