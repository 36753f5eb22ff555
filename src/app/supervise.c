/*
 * `autorestart`: a parent that starts each attempt of a fit as a child and decides, by how the
 * child ended, whether there is another one. It computes nothing, loads no plugin, starts no thread
 * and holds no lock.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/app_config.h"
#include "app/attempt.h"
#include "app/restart_log.h"
#include "base/mem.h"
#include "base/try.h"

enum { EXIT_CRASHED = 1, FLAG_SIZE = 32 };

/* The newest checkpoint of the run that an attempt was at. Zeroed is none. */
struct newest {
    char run_id[CAIRN_RUN_ID_SIZE];
    uint64_t save_counter;
    uint64_t step;
    char *path; /* NULL: none */
};

/* The run under supervision. */
struct supervisor {
    const cairn_app_request *request;
    int argc;
    char *const *argv;
    char *model_dir;
    int fd; /* the record of the attempt; -1: none */
    crn_attempt *attempt;
    crn_restarts restarts;
    crn_restart_log log;
    struct newest newest;
    crn_attempt_orders orders;
};

/* ---- One attempt ---- */

/* The command line again, with what tells the child that it is an attempt. */
static cairn_status run_child(const struct supervisor *s, crn_child_end *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char name[] = "cairn";
    char flag[FLAG_SIZE];
    size_t count = 0;
    char **const words = crn_calloc((size_t)s->argc + 3, sizeof *words);
    CRN_NEED(err, words, "a command line");
    (void)snprintf(flag, sizeof flag, "--attempt=%d", s->fd);
    words[count++] = name;
    words[count++] = s->argv[0];
    words[count++] = flag;
    for (int i = 1; i < s->argc; i++)
        words[count++] = s->argv[i];
    const int e = crn_child_run(words, out);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "start an attempt");
out:
    crn_free(words);
    return rc;
}

static cairn_status run_attempt(struct supervisor *s, crn_restart_attempt *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = crn_os_posix();
    const crn_attempt *const attempt = s->attempt;
    out->is_resume = s->orders.resume_count > 0 || s->request->resume;
    CRN_TRY_PLAIN(crn_attempt_clear(s->fd, &s->orders, err));
    out->started_ns = os->realtime_ns(os);
    CRN_TRY_PLAIN(run_child(s, &out->end, err));
    out->ended_ns = os->realtime_ns(os);
    CRN_TRY_PLAIN(crn_attempt_read(s->fd, s->attempt, err));
    if (attempt->started_count > s->orders.resume_count)
        s->orders.resume_count = attempt->started_count;
    s->orders.told_count = attempt->orders.told_count;
    out->has_result = attempt->line[0] != '\0';
    out->has_steps = attempt->has_steps != 0;
    out->first_step = attempt->first_step;
    out->last_step = attempt->last_step;
out:
    return rc;
}

/* ---- What it has saved: the directory is the truth ---- */

static cairn_status read_newest(const crn_attempt *attempt, struct newest *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_store *store = NULL;
    cairn_catalogue *catalogue = NULL;
    cairn_run run = {0};
    const cairn_store_options options = {
        .struct_size = sizeof options,
        .model_dir = attempt->model_dir,
        .checkpoint_root = attempt->checkpoint_root,
        .is_read_only = true,
    };
    *out = (struct newest){0};
    CRN_TRY_PLAIN(cairn_store_open(&options, &store, err));
    CRN_TRY_PLAIN(cairn_run_read(store, &run, err));
    CRN_TRY_PLAIN(cairn_catalogue_read(store, &catalogue, err));
    memcpy(out->run_id, run.run_id, sizeof out->run_id);
    for (size_t i = 0; i < cairn_catalogue_count(catalogue); i++) {
        const cairn_checkpoint_info *const info = cairn_catalogue_at(catalogue, i);
        if (!info->is_readable || !info->is_full || !info->has_metadata ||
            strcmp(info->run_id, run.run_id) != 0 || info->save_counter <= out->save_counter)
            continue;
        crn_free(out->path);
        out->path = crn_strdup(info->path);
        CRN_NEED(err, out->path, "a path");
        out->save_counter = info->save_counter;
        out->step = info->step;
    }
out:
    cairn_catalogue_destroy(catalogue);
    cairn_run_dispose(&run);
    cairn_store_close(store);
    return rc;
}

/* Looks at what is there now; true if it is more than after the attempt before. What cannot be read
 * is no progress. */
static bool look(struct supervisor *s)
{
    struct newest now = {0};
    if (s->attempt->model_dir[0] == '\0' || read_newest(s->attempt, &now, NULL) != CAIRN_OK) {
        crn_free(now.path);
        return false;
    }
    const bool is_more = now.path != NULL && (strcmp(now.run_id, s->newest.run_id) != 0 ||
                                              now.save_counter > s->newest.save_counter);
    crn_free(s->newest.path);
    s->newest = now;
    return is_more;
}

/* ---- What is said ---- */

static void describe_end(const crn_restart_attempt *attempt, crn_str *out)
{
    char name[32];
    if (attempt->end.is_signal)
        crn_str_printf(out, "was killed by %s", crn_signal_name(attempt->end.number, name));
    else
        crn_str_printf(out, "ended with exit code %d", attempt->end.number);
    if (attempt->has_steps)
        crn_str_printf(out, " at step %" PRIu64, attempt->last_step);
}

static void say(struct supervisor *s, const crn_restart_attempt *attempt, const char *why)
{
    crn_str text = {0};
    cairn_log_level level = CAIRN_LOG_ERROR;
    crn_str_printf(&text, "autorestart: attempt %" PRIu64 " ", s->log.count);
    describe_end(attempt, &text);
    if (attempt->checkpoint != NULL)
        crn_str_printf(&text, "; the newest checkpoint is %s (step %" PRIu64 ")",
                       attempt->checkpoint, attempt->checkpoint_step);
    else if (attempt->verdict != CRN_RESTART_DONE)
        crn_str_append(&text, "; the run has no checkpoint yet");
    switch (attempt->verdict) {
    case CRN_RESTART_DONE:
        level = CAIRN_LOG_INFO;
        break;
    case CRN_RESTART_AGAIN:
        level = CAIRN_LOG_WARNING;
        crn_str_append(&text, "; starting again");
        if (crn_restarts_wait(&s->restarts) > 0.0)
            crn_str_printf(&text, " in %g s", crn_restarts_wait(&s->restarts));
        crn_str_printf(&text, " (%" PRIu64 " of %" PRIu64 " restarts without progress)",
                       s->restarts.without_progress, s->restarts.max);
        break;
    case CRN_RESTART_FINAL:
        crn_str_printf(&text, "; not started again: %s", why);
        break;
    case CRN_RESTART_GIVEN_UP:
        crn_str_printf(&text,
                       "; given up: %" PRIu64 " failures without a new checkpoint in between "
                       "(max_num_restarts is %" PRIu64 ")",
                       s->restarts.without_progress, s->restarts.max);
        break;
    }
    if (text.text != NULL)
        crn_restart_log_say(&s->log, level, text.text);
    crn_str_dispose(&text);
}

/* The summary is a help, not a condition: without it the run goes on. An attempt that was refused
 * before it touched anything leaves nothing. */
static void write_log(struct supervisor *s, const crn_restart_attempt *attempt)
{
    cairn_error failure = {0};
    char text[512];
    const char *const model_dir =
        s->attempt->model_dir[0] != '\0' ? s->attempt->model_dir : s->model_dir;
    if (s->log.count == 1 && !attempt->has_steps && attempt->verdict != CRN_RESTART_AGAIN)
        return;
    if (crn_restart_log_write(&s->log, model_dir, &failure) == CAIRN_OK)
        return;
    (void)cairn_error_format(&failure, text, sizeof text);
    cairn_log_message(s->log.log, CAIRN_LOG_WARNING,
                      "autorestart: the summary cannot be written: %s", text);
}

/* ---- The whole ---- */

/* The result for standard output: the child's own words, or what can be said of one that crashed.
 */
static cairn_status conclude(const struct supervisor *s, const crn_restart_attempt *last,
                             cairn_supervised *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str line = {0};
    char name[32];
    if (last->has_result)
        crn_str_append(&line, s->attempt->line);
    else
        crn_str_printf(&line, "result=failed step=%" PRIu64 " checkpoint=%s reason=%s",
                       last->last_step, last->checkpoint != NULL ? last->checkpoint : "none",
                       last->end.is_signal ? crn_signal_name(last->end.number, name) : "exit");
    out->exit_code = last->end.is_signal ? EXIT_CRASHED : last->end.number;
    if (!last->has_result && out->exit_code == 0) /* Something else called exit. */
        out->exit_code = EXIT_CRASHED;
    out->line = crn_str_take(&line);
    CRN_NEED(err, out->line, "the result");
out:
    crn_str_dispose(&line);
    return rc;
}

static cairn_status supervise(struct supervisor *s, cairn_supervised *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_restart_attempt attempt;
    const char *why = "";
    do {
        attempt = (crn_restart_attempt){0};
        CRN_TRY_PLAIN(run_attempt(s, &attempt, err));
        attempt.has_progress = look(s);
        attempt.checkpoint = s->newest.path;
        attempt.checkpoint_step = s->newest.step;
        attempt.verdict = crn_restarts_decide(&s->restarts, &attempt.end, attempt.has_result,
                                              attempt.has_progress, &why);
        attempt.without_progress = s->restarts.without_progress;
        crn_restart_log_add(&s->log, &attempt);
        say(s, &attempt, why);
        write_log(s, &attempt);
        if (attempt.verdict == CRN_RESTART_AGAIN)
            crn_child_pause((int64_t)(crn_restarts_wait(&s->restarts) * 1e9));
    } while (attempt.verdict == CRN_RESTART_AGAIN);
    CRN_TRY_PLAIN(conclude(s, &attempt, out, err));
out:
    return rc;
}

cairn_status cairn_app_supervise(const cairn_app_request *request, int argc, char *const *argv,
                                 cairn_supervised *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = crn_os_posix();
    crn_peek peek = {0};
    struct supervisor s = {.request = request, .argc = argc, .argv = argv, .fd = -1};
    *out = (cairn_supervised){0};
    if (request->attempt != NULL)
        return CAIRN_OK;
    crn_app_config_peek(request, &peek);
    if (peek.max_num_restarts == 0)
        goto out;
    out->is_supervised = true;
    s.model_dir = peek.model_dir;
    s.restarts.max = peek.max_num_restarts;
    s.restarts.backoff = peek.backoff;
    s.log = (crn_restart_log){.log = request->log,
                              .max_num_restarts = peek.max_num_restarts,
                              .params = peek.text,
                              .params_size = peek.size};
    peek.text = NULL; /* Moved. */
    s.orders.begin_ns = os->monotonic_ns(os);
    s.attempt = crn_calloc(1, sizeof *s.attempt);
    CRN_NEED(err, s.attempt, "the record of an attempt");
    const int e = crn_child_memory(sizeof *s.attempt, &s.fd);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "make memory for an attempt");
    CRN_TRY_PLAIN(supervise(&s, out, err));
out:
    if (s.fd >= 0)
        (void)os->close(os, s.fd);
    crn_free(s.attempt);
    crn_free(s.newest.path);
    crn_restart_log_dispose(&s.log);
    crn_peek_dispose(&peek);
    return rc;
}

void cairn_supervised_dispose(cairn_supervised *supervised)
{
    crn_free(supervised->line);
    supervised->line = NULL;
}
