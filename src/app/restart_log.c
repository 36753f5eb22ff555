#include "app/restart_log.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/try.h"
#include "ckpt/publish.h"

enum { TIME_SIZE = 40, FOLDERS_MAX = 1000 };

static const int64_t k_second_ns = 1000000000;

/* UTC, "2026-01-31T12:00:00". */
static const char *time_text(int64_t ns, char buf[TIME_SIZE])
{
    const time_t seconds = (time_t)(ns / k_second_ns);
    struct tm parts;
    if (gmtime_r(&seconds, &parts) == NULL ||
        strftime(buf, TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &parts) == 0)
        buf[0] = '\0';
    return buf;
}

/* UTC, "20260131_120000". */
static const char *stamp_text(int64_t ns, char buf[TIME_SIZE])
{
    const time_t seconds = (time_t)(ns / k_second_ns);
    struct tm parts;
    if (gmtime_r(&seconds, &parts) == NULL ||
        strftime(buf, TIME_SIZE, "%Y%m%d_%H%M%S", &parts) == 0)
        buf[0] = '\0';
    return buf;
}

void crn_restart_log_say(crn_restart_log *log, cairn_log_level level, const char *text)
{
    const crn_os *const os = crn_os_posix();
    char stamp[TIME_SIZE];
    cairn_log_message(log->log, level, "%s", text);
    crn_str_printf(&log->lines, "%sZ %s:   %s\n", time_text(os->realtime_ns(os), stamp),
                   cairn_log_level_name(level), text);
}

/* ---- summary.json ---- */

static void append_key(crn_str *out, const char *key)
{
    crn_str_printf(out, ",\n      \"%s\": ", key);
}

static void append_time(crn_str *out, const char *key, int64_t ns)
{
    char seconds[TIME_SIZE];
    append_key(out, key);
    crn_str_printf(out, "\"%s.%03dZ\"", time_text(ns, seconds), (int)(ns % k_second_ns / 1000000));
}

static void append_step(crn_str *out, const char *key, bool is_known, uint64_t step)
{
    append_key(out, key);
    if (is_known)
        crn_str_printf(out, "%" PRIu64, step);
    else
        crn_str_append(out, "null");
}

static void append_bool(crn_str *out, const char *key, bool value)
{
    append_key(out, key);
    crn_str_append(out, value ? "true" : "false");
}

void crn_restart_log_add(crn_restart_log *log, const crn_restart_attempt *attempt)
{
    crn_str *const out = &log->attempts;
    char name[32];
    crn_str_printf(out, "%s\n    {\n      \"attempt\": %" PRIu64, log->count > 0 ? "," : "",
                   log->count + 1);
    log->count++;
    append_bool(out, "resume", attempt->is_resume);
    append_time(out, "started", attempt->started_ns);
    append_time(out, "ended", attempt->ended_ns);
    append_step(out, "exit_code", !attempt->end.is_signal, (uint64_t)attempt->end.number);
    append_key(out, "signal");
    if (attempt->end.is_signal)
        crn_str_printf(out, "\"%s\"", crn_signal_name(attempt->end.number, name));
    else
        crn_str_append(out, "null");
    append_step(out, "first_step", attempt->has_steps, attempt->first_step);
    append_step(out, "last_step", attempt->has_steps, attempt->last_step);
    append_key(out, "checkpoint");
    if (attempt->checkpoint != NULL)
        crn_str_append_json(out, attempt->checkpoint, strlen(attempt->checkpoint));
    else
        crn_str_append(out, "null");
    append_step(out, "checkpoint_step", attempt->checkpoint != NULL, attempt->checkpoint_step);
    append_bool(out, "new_checkpoint", attempt->has_progress);
    append_step(out, "failures_without_progress", true, attempt->without_progress);
    append_key(out, "outcome");
    crn_str_printf(out, "\"%s\"\n    }", crn_restart_verdict_text(attempt->verdict));
}

/* ---- The folder ---- */

/* A folder of its own, also for two that start in one second. */
static cairn_status make_folder(crn_restart_log *log, const char *model_dir, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = crn_os_posix();
    char stamp[TIME_SIZE];
    crn_str path = {0};
    int e = 0;
    (void)stamp_text(os->realtime_ns(os), stamp);
    for (int i = 0; i < FOLDERS_MAX; i++) {
        crn_file_stat info;
        crn_str_dispose(&path);
        crn_str_printf(&path, "%s/%s", model_dir, stamp);
        if (i > 0)
            crn_str_printf(&path, "_%d", i);
        crn_str_append(&path, "_restartable");
        CRN_TRY_PLAIN(crn_str_check(&path, err));
        if (os->stat(os, CRN_OS_CWD, path.text, &info) == ENOENT)
            break;
    }
    e = os->make_dirs(os, path.text);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "make the folder '%s'", path.text);
    log->folder = crn_str_take(&path);
    CRN_NEED(err, log->folder, "a path");
out:
    crn_str_dispose(&path);
    return rc;
}

cairn_status crn_restart_log_write(crn_restart_log *log, const char *model_dir, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = crn_os_posix();
    const bool is_first = log->folder == NULL;
    crn_folder folder = {.os = os, .fd = -1};
    crn_str text = {0};
    if (is_first)
        CRN_TRY_PLAIN(make_folder(log, model_dir, err));
    folder.path = log->folder;
    const int e = os->open(os, CRN_OS_CWD, log->folder, CRN_OPEN_DIRECTORY, &folder.fd);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "open the folder '%s'", log->folder);
    crn_str_printf(&text,
                   "{\n  \"cairn\": \"%s\",\n  \"max_num_restarts\": %" PRIu64
                   ",\n  \"attempts\": [%s\n  ]\n}\n",
                   CAIRN_VERSION, log->max_num_restarts,
                   log->attempts.text != NULL ? log->attempts.text : "");
    CRN_TRY_PLAIN(crn_str_check(&log->attempts, err));
    CRN_TRY_PLAIN(crn_str_check(&log->lines, err));
    CRN_TRY_PLAIN(crn_str_check(&text, err));
    if (is_first && log->params != NULL)
        CRN_TRY_PLAIN(crn_publish_text(&folder, "params.yaml", log->params, log->params_size, err));
    CRN_TRY_PLAIN(crn_publish_text(&folder, "run.log", log->lines.text, log->lines.length, err));
    CRN_TRY_PLAIN(crn_publish_text(&folder, "summary.json", text.text, text.length, err));
out:
    if (folder.fd >= 0)
        (void)os->close(os, folder.fd);
    crn_str_dispose(&text);
    return rc;
}

void crn_restart_log_dispose(crn_restart_log *log)
{
    crn_free(log->folder);
    crn_free(log->params);
    crn_str_dispose(&log->attempts);
    crn_str_dispose(&log->lines);
    *log = (crn_restart_log){0};
}
