/*
 * model_dir/metrics.jsonl: a line for each step, each validation and each save, appended at once.
 *
 * Nothing is ever rewritten. A process that finds lines of an earlier one, or that continues at a
 * step N > 0, first writes {"event":"resume","step":N}, or {"event":"start","step":0} if training
 * begins at step 0; a reader drops earlier lines with a larger step than such a line's. Lines with
 * another "event" are of saves; they take nothing back. The file is touched at the first line, so
 * that a run that has nothing left to do leaves no trace.
 */
#include <errno.h>
#include <inttypes.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "loggers/loggers.h"
#include "loggers/text.h"

#define METRICS_FILE "metrics.jsonl"

enum { ERROR_SIZE = 1024 };

struct metrics_file {
    const crn_os *os;
    char *path;       /* NULL before the fit starts */
    uint64_t at_step; /* step at which this process started */
    int fd;           /* -1: not open */
    bool is_cut;      /* the last line may lack its end */
    crn_str line;     /* kept, so that a step allocates nothing */
};

static cairn_status append(struct metrics_file *file, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(crn_str_check(&file->line, err));
    const int e = file->os->append(file->os, file->fd, file->line.text, file->line.length);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "write '%s'", file->path);
out:
    file->line.length = 0;
    return rc;
}

/* Whether the file holds anything, and whether its last line has no end. */
static cairn_status look_back(const struct metrics_file *file, bool *out_is_empty, bool *out_is_cut,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = file->os;
    crn_file_stat stat = {0};
    char last = '\n';
    size_t got = 0;
    int fd = -1;
    int e = os->open(os, CRN_OS_CWD, file->path, CRN_OPEN_READ, &fd);
    if (e == ENOENT) {
        *out_is_empty = true;
        *out_is_cut = false;
        goto out;
    }
    if (e == 0)
        e = os->stat_fd(os, fd, &stat);
    if (e == 0 && stat.size > 0)
        e = os->read_at(os, fd, &last, 1, stat.size - 1, &got);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "read '%s'", file->path);
    *out_is_empty = stat.size == 0;
    *out_is_cut = last != '\n';
out:
    if (fd >= 0)
        (void)os->close(os, fd); /* only read from */
    return rc;
}

static cairn_status begin(struct metrics_file *file, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    bool is_empty = true;
    bool is_cut = false;
    CRN_TRY_PLAIN(look_back(file, &is_empty, &is_cut, err));
    const int e = file->os->open(file->os, CRN_OS_CWD, file->path, CRN_OPEN_APPEND, &file->fd);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "open '%s'", file->path);
    if (is_empty && file->at_step == 0)
        goto out;
    crn_str_printf(&file->line, "%s{\"event\":\"%s\",\"step\":%" PRIu64 "}\n", is_cut ? "\n" : "",
                   file->at_step > 0 ? "resume" : "start", file->at_step);
    CRN_TRY_PLAIN(append(file, err));
out:
    return rc;
}

static cairn_status on_fit_start(void *self, const cairn_event *event, cairn_control *control,
                                 cairn_error *err)
{
    struct metrics_file *const file = self;
    cairn_status rc = CAIRN_OK;
    crn_str path = {0};
    (void)control; /* asks for nothing */
    crn_str_printf(&path, "%s/%s", cairn_store_model_dir(cairn_trainer_store(event->trainer)),
                   METRICS_FILE);
    CRN_TRY_PLAIN(crn_str_check(&path, err));
    crn_free(file->path);
    file->path = crn_str_take(&path);
    file->at_step = event->step;
out:
    crn_str_dispose(&path);
    return rc;
}

/* Opens the file if need be; ends a line that a full disk has cut. */
static cairn_status prepare(struct metrics_file *file, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (file->fd < 0)
        CRN_TRY_PLAIN(begin(file, err));
    if (file->is_cut)
        crn_str_append(&file->line, "\n");
    file->is_cut = false;
out:
    return rc;
}

static cairn_status on_log(void *self, const cairn_event *event, cairn_control *control,
                           cairn_error *err)
{
    struct metrics_file *const file = self;
    cairn_status rc = CAIRN_OK;
    (void)control; /* asks for nothing */
    if (file->path == NULL)
        return CAIRN_OK; /* A validation of its own writes into no run's metrics. */
    CRN_TRY_PLAIN(prepare(file, err));
    crn_metrics_line(event->step, event->metrics, event->metric_count, &file->line);
    CRN_TRY_PLAIN(append(file, err));
out:
    return rc;
}

static cairn_status on_after_save_checkpoint(void *self, const cairn_event *event,
                                             cairn_control *control, cairn_error *err)
{
    struct metrics_file *const file = self;
    cairn_status rc = CAIRN_OK;
    (void)control; /* asks for nothing */
    CRN_TRY_PLAIN(prepare(file, err));
    crn_saved_line(event->step, event->path, event->cost, &file->line);
    CRN_TRY_PLAIN(append(file, err));
out:
    return rc;
}

/* The disk may be full, so what cannot be written here is left out: the log says it too. */
static cairn_status on_save_exception(void *self, const cairn_event *event, cairn_control *control,
                                      cairn_error *err)
{
    struct metrics_file *const file = self;
    char text[ERROR_SIZE];
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    (void)cairn_error_format(event->failure, text, sizeof text);
    if (prepare(file, NULL) != CAIRN_OK)
        return CAIRN_OK;
    crn_save_failed_line(event->step, event->path, text, event->cost, &file->line);
    file->is_cut = append(file, NULL) != CAIRN_OK;
    return CAIRN_OK;
}

static void destroy(void *self)
{
    struct metrics_file *const file = self;
    if (file == NULL)
        return;
    if (file->fd >= 0)
        (void)file->os->close(file->os, file->fd); /* every line was written already */
    crn_str_dispose(&file->line);
    crn_free(file->path);
    crn_free(file);
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof(cairn_callback_ops),
    .name = "MetricsFile",
    .destroy = destroy,
    .on_fit_start = on_fit_start,
    .on_after_save_checkpoint = on_after_save_checkpoint,
    .on_save_exception = on_save_exception,
    .on_log = on_log,
};

cairn_status crn_metrics_file_new_os(const crn_os *os, cairn_callback *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct metrics_file *const file = crn_calloc(1, sizeof *file);
    CRN_NEED(err, file, "the metrics file");
    file->os = os;
    file->fd = -1;
    *out = (cairn_callback){.ops = &k_ops, .self = file};
out:
    return rc;
}

cairn_status cairn_metrics_file_new(cairn_callback *out, cairn_error *err)
{
    return crn_metrics_file_new_os(crn_os_posix(), out, err);
}
