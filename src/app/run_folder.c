#include "app/run_folder.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "train/trainer_priv.h"

enum { PENDING_MAX = 1 << 20, NAME_SIZE = 32, NS_A_SECOND = 1000000000, NS_A_MS = 1000000 };

struct crn_run_folder {
    const crn_os *os;
    cairn_log sink;
    crn_str pending; /* lines from before the folder; then the line that is written */
    char *path;      /* NULL: not made yet */
    int fd;          /* of run.log; -1: not open */
    bool is_given_up;
    const char *resolved;
    const char *given;
};

/* ---- Lines ---- */

/* "2026-01-31 12:00:00,123 INFO:   text", local time, as on standard error. */
static void append_line(crn_run_folder *folder, cairn_log_level level, const char *text)
{
    const int64_t now_ns = folder->os->realtime_ns(folder->os);
    const time_t seconds = (time_t)(now_ns / NS_A_SECOND);
    struct tm parts;
    char stamp[NAME_SIZE] = "";
    if (localtime_r(&seconds, &parts) != NULL)
        (void)strftime(stamp, sizeof stamp, "%Y-%m-%d %H:%M:%S", &parts);
    crn_str_printf(&folder->pending, "%s,%03d %s:   %s\n", stamp,
                   (int)(now_ns % NS_A_SECOND / NS_A_MS), cairn_log_level_name(level), text);
}

static void give_up(crn_run_folder *folder, const char *what, int e)
{
    if (!folder->is_given_up)
        cairn_log_message(&folder->sink, CAIRN_LOG_WARNING,
                          "%s cannot be written (%s); the run goes on without its log", what,
                          strerror(e));
    folder->is_given_up = true;
    if (folder->fd >= 0)
        (void)folder->os->close(folder->os, folder->fd); /* what it holds is written */
    folder->fd = -1;
}

static void flush(crn_run_folder *folder)
{
    crn_str *const text = &folder->pending;
    if (folder->fd >= 0 && text->length > 0) {
        const int e = folder->os->append(folder->os, folder->fd, text->text, text->length);
        if (e != 0)
            give_up(folder, "run.log", e);
    }
    text->length = 0;
    text->is_failed = false; /* A line for which there is no memory is left out. */
}

void crn_run_folder_note(crn_run_folder *folder, cairn_log_level level, const char *text)
{
    if (folder->is_given_up || (folder->fd < 0 && folder->pending.length > PENDING_MAX))
        return;
    append_line(folder, level, text);
    if (folder->fd >= 0)
        flush(folder);
}

static void write_both(void *user, cairn_log_level level, const char *message)
{
    crn_run_folder *const folder = user;
    if (folder->sink.write != NULL)
        folder->sink.write(folder->sink.user, level, message);
    crn_run_folder_note(folder, level, message);
}

/* ---- The folder ---- */

/* A name that is free in cairn_logs: only the holder of model_dir makes any. */
static int make_folder(crn_run_folder *folder, const char *model_dir, crn_str *name)
{
    const crn_os *const os = folder->os;
    const time_t seconds = (time_t)(os->realtime_ns(os) / NS_A_SECOND);
    crn_file_stat info;
    struct tm parts;
    char stamp[NAME_SIZE] = "";
    if (localtime_r(&seconds, &parts) != NULL)
        (void)strftime(stamp, sizeof stamp, "%Y%m%d_%H%M%S", &parts);
    for (unsigned i = 0;; i++) {
        crn_str path = {0};
        name->length = 0;
        crn_str_append(name, stamp);
        if (i > 0)
            crn_str_printf(name, "_%u", i);
        crn_str_printf(&path, "%s/" CRN_LOGS_FOLDER "/%s", model_dir, name->text);
        if (name->is_failed || path.is_failed) {
            crn_str_dispose(&path);
            return ENOMEM;
        }
        int e = os->stat(os, CRN_OS_CWD, path.text, &info);
        if (e == 0) {
            crn_str_dispose(&path);
            continue;
        }
        e = e == ENOENT ? os->make_dirs(os, path.text) : e;
        folder->path = crn_str_take(&path);
        return folder->path == NULL ? ENOMEM : e;
    }
}

static int write_file(const crn_os *os, int dir, const char *name, const char *text)
{
    int fd = -1;
    if (text == NULL)
        return 0;
    int e = os->open(os, dir, name, CRN_OPEN_CREATE_NEW, &fd);
    if (e != 0)
        return e;
    e = os->write_at(os, fd, text, strlen(text), 0);
    const int closed = os->close(os, fd);
    return e != 0 ? e : closed;
}

/* Replaces the link at once, so that there always is one. */
static int replace_link(const crn_os *os, int dir, const char *target, const char *name)
{
    static const char k_new[] = ".new_link";
    int e = os->symlink(os, target, dir, k_new);
    if (e == EEXIST) { /* left by a process that died here */
        (void)os->unlink(os, dir, k_new);
        e = os->symlink(os, target, dir, k_new);
    }
    return e != 0 ? e : os->rename_over(os, dir, k_new, name);
}

static int fill_folder(crn_run_folder *folder)
{
    const crn_os *const os = folder->os;
    int dir = -1;
    int e = os->open(os, CRN_OS_CWD, folder->path, CRN_OPEN_DIRECTORY, &dir);
    if (e != 0)
        return e;
    e = os->open(os, dir, "run.log", CRN_OPEN_APPEND, &folder->fd);
    e = e != 0 ? e : write_file(os, dir, "trainer_params.yaml", folder->resolved);
    e = e != 0 ? e : write_file(os, dir, "user_params.yaml", folder->given);
    (void)os->close(os, dir); /* only names were made in it */
    return e;
}

static int make_links(crn_run_folder *folder, const char *model_dir, const char *name)
{
    const crn_os *const os = folder->os;
    crn_str target = {0};
    int logs = -1;
    int dir = -1;
    crn_str_printf(&target, CRN_LOGS_FOLDER "/%s/run.log", name);
    int e =
        target.is_failed ? ENOMEM : os->open(os, CRN_OS_CWD, model_dir, CRN_OPEN_DIRECTORY, &dir);
    if (e == 0)
        e = os->open(os, dir, CRN_LOGS_FOLDER, CRN_OPEN_DIRECTORY, &logs);
    e = e != 0 ? e : replace_link(os, logs, name, "latest");
    e = e != 0 ? e : replace_link(os, dir, target.text, "latest_run.log");
    if (logs >= 0)
        (void)os->close(os, logs); /* as above */
    if (dir >= 0)
        (void)os->close(os, dir);
    crn_str_dispose(&target);
    return e;
}

static cairn_status on_fit_start(void *self, const cairn_event *event, cairn_control *control,
                                 cairn_error *err)
{
    crn_run_folder *const folder = self;
    const char *const model_dir = cairn_store_model_dir(cairn_trainer_store(event->trainer));
    crn_str name = {0};
    (void)control; /* asks for nothing */
    if (event->step >= event->end_step)
        return CAIRN_OK; /* Nothing is left to do: no trace. */
    int e = make_folder(folder, model_dir, &name);
    e = e != 0 ? e : fill_folder(folder);
    e = e != 0 ? e : make_links(folder, model_dir, name.text);
    if (e != 0)
        give_up(folder, folder->path != NULL ? folder->path : CRN_LOGS_FOLDER, e);
    flush(folder);
    crn_str_dispose(&name);
    return folder->path != NULL ? crn_trainer_set_run_dir(event->trainer, folder->path, err)
                                : CAIRN_OK;
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof(cairn_callback_ops),
    .name = "RunFolder",
    .on_fit_start = on_fit_start,
};

cairn_callback crn_run_folder_callback(crn_run_folder *folder)
{
    return (cairn_callback){.ops = &k_ops, .self = folder};
}

cairn_log crn_run_folder_log(crn_run_folder *folder)
{
    return (cairn_log){.level = folder->sink.level, .write = write_both, .user = folder};
}

void crn_run_folder_set_params(crn_run_folder *folder, const char *resolved, const char *given)
{
    folder->resolved = resolved;
    folder->given = given;
}

cairn_status crn_run_folder_new(const crn_os *os, const cairn_log *sink, crn_run_folder **out,
                                cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_run_folder *const folder = crn_calloc(1, sizeof *folder);
    CRN_NEED(err, folder, "the folder of the run");
    folder->os = os;
    folder->fd = -1;
    if (sink != NULL)
        folder->sink = *sink;
    *out = folder;
out:
    return rc;
}

void crn_run_folder_destroy(crn_run_folder *folder)
{
    if (folder == NULL)
        return;
    if (folder->fd >= 0)
        (void)folder->os->close(folder->os, folder->fd); /* every line was written already */
    crn_str_dispose(&folder->pending);
    crn_free(folder->path);
    crn_free(folder);
}
