/* The verbs: read, build, run. */
#include <errno.h>

#include "app/attempt.h"
#include "app/build.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "os/os.h"

enum { ERROR_SIZE = 4096 };

static cairn_log_level level_of(const cairn_logging_options *options)
{
    static const char *const k_names[] = {"DEBUG", "INFO", "WARNING", "ERROR"};
    return (cairn_log_level)crn_names_find(options->log_level, k_names, 4);
}

/* The request's log with the level of the configuration, unless the command line gave one. */
static cairn_log log_of(const cairn_app_request *request, const crn_app_config *config)
{
    cairn_log log = {0};
    if (request->log != NULL)
        log = *request->log;
    if (!request->has_log_level)
        log.level = level_of(&config->logging);
    return log;
}

/* ---- Fit ---- */

/* What one call does with each trainer of the file. */
struct run {
    const cairn_app_request *request;
    crn_app_configs configs;
    crn_run_folder *folder; /* of the trainer that runs; NULL: none */
    int64_t begin_ns;
    int attempt; /* the record that a supervisor reads; -1: there is none */
};

static void say_which(const cairn_log *log, size_t index, size_t count)
{
    if (count > 1)
        cairn_log_message(log, CAIRN_LOG_INFO, "Trainer %zu of %zu", index + 1, count);
}

/* Asked to stop before there was a trainer: nothing was done, so nothing is lost. */
static cairn_status stopped_early(const cairn_app_request *request, cairn_fit_result *out)
{
    const char *const reason = request->stop_requested(request->user);
    out->outcome = CAIRN_OUTCOME_STOPPED;
    out->reason = reason != NULL ? reason : "";
    return CAIRN_OK;
}

static cairn_status fit_one(const struct run *run, size_t index, cairn_fit_result *out,
                            cairn_error *err)
{
    const crn_app_config *const config = &run->configs.items[index];
    crn_built built = {0};
    cairn_log log = crn_run_folder_log(run->folder);
    if (!run->request->has_log_level)
        log.level = level_of(&config->logging);
    const crn_build_context context = {
        .request = run->request,
        .verb = CRN_VERB_FIT,
        .log = &log,
        .folder = run->folder,
        .stage = index,
        .clock_start_ns = run->begin_ns,
    };
    say_which(&log, index, run->configs.count);
    cairn_status rc = crn_build(&context, config, &built, err);
    if (rc == CAIRN_OK && run->attempt >= 0)
        rc = crn_attempt_watch(built.trainer, run->attempt, index, err);
    if (rc == CAIRN_OK)
        rc = cairn_trainer_fit(built.trainer, built.train, built.val, built.val_count, config->ckpt,
                               out, err);
    else if (rc == CAIRN_ECANCELED)
        rc = stopped_early(run->request, out);
    crn_built_dispose(&built);
    return rc;
}

/* The folder that the first trainer's messages from before go to is made before the file is read;
 * each other gets its own. */
static cairn_status fit_logged(struct run *run, size_t index, cairn_fit_result *out,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char text[ERROR_SIZE];
    if (run->folder == NULL)
        CRN_TRY_PLAIN(crn_run_folder_new(crn_os_posix(), run->request->log, &run->folder, err));
    rc = fit_one(run, index, out, err);
    if (rc != CAIRN_OK) {
        (void)cairn_error_format(err, text, sizeof text);
        crn_run_folder_note(run->folder, CAIRN_LOG_ERROR, text);
    }
    crn_run_folder_destroy(run->folder);
    run->folder = NULL;
out:
    return rc;
}

static cairn_status fit_all(struct run *run, cairn_fit_result *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_app_request *const request = run->request;
    const size_t count = run->configs.count;
    for (size_t i = 0; i < count; i++) {
        cairn_fit_result_dispose(out);
        *out = (cairn_fit_result){.reason = ""};
        CRN_TRY_PLAIN(fit_logged(run, i, out, err));
        if (out->outcome == CAIRN_OUTCOME_STOPPED)
            break;
        if (i + 1 < count && request->trainer_done != NULL)
            request->trainer_done(request->user, i, count, out);
    }
out:
    if (rc != CAIRN_OK && count > 1)
        crn_error_note(err, rc, __FILE__, __LINE__, "one of %zu trainers", count);
    return rc;
}

/* What attempts before this one have begun goes on, and the time that they took counts. */
static cairn_status join_attempts(struct run *run, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_attempt_orders orders = {0};
    CRN_TRY_PLAIN(crn_attempt_orders_read(run->attempt, &orders, err));
    run->begin_ns = orders.begin_ns;
    for (size_t i = 0; i < run->configs.count && i < orders.resume_count; i++)
        run->configs.items[i].checkpoint.resume = true;
out:
    return rc;
}

cairn_status cairn_app_fit(const cairn_app_request *request, cairn_fit_result *out,
                           cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = crn_os_posix();
    cairn_error own = {0};
    cairn_error *const failure = err != NULL ? err : &own;
    cairn_app_request logged = *request;
    cairn_log log;
    struct run run = {.request = request, .begin_ns = os->monotonic_ns(os), .attempt = -1};
    *out = (cairn_fit_result){.reason = ""};
    if (request->attempt != NULL)
        CRN_TRY_PLAIN(crn_attempt_open(request->attempt, &run.attempt, failure));
    CRN_TRY_PLAIN(crn_run_folder_new(os, request->log, &run.folder, failure));
    log = crn_run_folder_log(run.folder);
    logged.log = &log;
    CRN_TRY_PLAIN(crn_app_configs_read(&logged, CRN_VERB_FIT, &run.configs, failure));
    if (run.attempt >= 0)
        CRN_TRY_PLAIN(join_attempts(&run, failure));
    CRN_TRY_PLAIN(fit_all(&run, out, failure));
out:
    crn_run_folder_destroy(run.folder);
    crn_app_configs_dispose(&run.configs);
    return rc;
}

/* ---- Dry run ---- */

/* What an earlier trainer of the file is to write is not there yet. */
static cairn_ckpt ckpt_to_try(const crn_app_config *config, size_t index, const cairn_log *log)
{
    const crn_os *const os = crn_os_posix();
    crn_file_stat info;
    if (index == 0 || config->ckpt.kind != CAIRN_CKPT_PATH ||
        os->stat(os, CRN_OS_CWD, config->ckpt.path, &info) != ENOENT)
        return config->ckpt;
    cairn_log_message(log, CAIRN_LOG_WARNING,
                      "there is no checkpoint '%s' yet; an earlier trainer must write it. Tried "
                      "with initial weights",
                      config->ckpt.path);
    return (cairn_ckpt){.kind = CAIRN_CKPT_NULL};
}

static cairn_status try_one(const struct run *run, size_t index, cairn_dry_run_fn fn,
                            cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_app_request *const request = run->request;
    const crn_app_config *const config = &run->configs.items[index];
    crn_built built = {0};
    cairn_dry_run dry_run = {0};
    const cairn_log log = log_of(request, config);
    const crn_build_context context = {.request = request,
                                       .verb = CRN_VERB_FIT,
                                       .log = &log,
                                       .is_dry_run = true,
                                       .stage = index,
                                       .clock_start_ns = run->begin_ns};
    say_which(&log, index, run->configs.count);
    CRN_TRY_PLAIN(crn_build(&context, config, &built, err));
    CRN_TRY_PLAIN(cairn_trainer_dry_run(built.trainer, built.train, built.val, built.val_count,
                                        ckpt_to_try(config, index, &log), &dry_run, err));
    if (fn != NULL)
        fn(request->user, index, run->configs.count, &dry_run);
out:
    crn_built_dispose(&built);
    return rc;
}

cairn_status cairn_app_dry_run(const cairn_app_request *request, cairn_dry_run_fn fn,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = crn_os_posix();
    struct run run = {.request = request, .begin_ns = os->monotonic_ns(os)};
    CRN_TRY_PLAIN(crn_app_configs_read(request, CRN_VERB_FIT, &run.configs, err));
    for (size_t i = 0; i < run.configs.count; i++)
        CRN_TRY_PLAIN(try_one(&run, i, fn, err));
out:
    crn_app_configs_dispose(&run.configs);
    return rc;
}

/* ---- Validation ---- */

/* Builds trainer @index and validates with it; @out: of `validate`. */
static cairn_status validate_one(const struct run *run, crn_verb verb, size_t index,
                                 cairn_validate_result *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_app_request *const request = run->request;
    crn_app_config *const config = &run->configs.items[index];
    crn_built built = {0};
    const cairn_log log = log_of(request, config);
    const crn_build_context context = {.request = request,
                                       .verb = verb,
                                       .log = &log,
                                       .stage = index,
                                       .clock_start_ns = run->begin_ns};
    say_which(&log, index, run->configs.count);
    CRN_TRY_PLAIN(crn_build(&context, config, &built, err));
    if (verb == CRN_VERB_VALIDATE_ALL) {
        CRN_TRY_PLAIN(cairn_trainer_validate_all(built.trainer, built.val, built.val_count,
                                                 &config->ckpts, request->validated, request->user,
                                                 err));
        goto out;
    }
    CRN_TRY_PLAIN(cairn_trainer_validate(built.trainer, built.val[0], config->ckpt, out, err));
    const cairn_validated validated = {
        .checkpoint = cairn_trainer_loaded_path(built.trainer), .loader_count = 1, .result = *out};
    if (request->validated != NULL)
        request->validated(request->user, &validated);
out:
    crn_built_dispose(&built);
    return rc;
}

/* --checkpoint_path for a section that borrows the data of `fit`. */
static void override_ckpt(const cairn_app_request *request, crn_app_config *config)
{
    if (request->checkpoint_path == NULL)
        return;
    config->ckpt = (cairn_ckpt){.kind = CAIRN_CKPT_PATH, .path = request->checkpoint_path};
    config->ckpts =
        (cairn_ckpts){.kind = CAIRN_CKPT_PATH, .paths = &request->checkpoint_path, .count = 1};
}

static cairn_status validate(const cairn_app_request *request, crn_verb verb,
                             cairn_validate_result *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = crn_os_posix();
    struct run run = {.request = request, .begin_ns = os->monotonic_ns(os)};
    CRN_TRY_PLAIN(crn_app_configs_read(request, verb, &run.configs, err));
    for (size_t i = 0; i < run.configs.count; i++)
        override_ckpt(request, &run.configs.items[i]);
    for (size_t i = 0; i < run.configs.count; i++)
        CRN_TRY_PLAIN(validate_one(&run, verb, i, out, err));
out:
    crn_app_configs_dispose(&run.configs);
    return rc;
}

cairn_status cairn_app_validate(const cairn_app_request *request, cairn_validate_result *out,
                                cairn_error *err)
{
    *out = (cairn_validate_result){0};
    return validate(request, CRN_VERB_VALIDATE, out, err);
}

cairn_status cairn_app_validate_all(const cairn_app_request *request, cairn_error *err)
{
    return validate(request, CRN_VERB_VALIDATE_ALL, NULL, err);
}

static void list_sections(crn_str *text)
{
    size_t count = 0;
    const crn_section *const sections = crn_sections(&count);
    crn_str_append(text, "Sections of the configuration; `cairn help SECTION` explains one:\n");
    for (size_t i = 0; i < count; i++)
        crn_str_printf(text, "  %-24s %s\n", sections[i].name, sections[i].help);
}

static cairn_status no_section(const char *section, cairn_error *err)
{
    enum { NAMES_MAX = 128 };
    const char *names[NAMES_MAX];
    size_t count = 0;
    const crn_section *const sections = crn_sections(&count);
    count = count < NAMES_MAX ? count : NAMES_MAX;
    for (size_t i = 0; i < count; i++)
        names[i] = sections[i].name;
    const char *const near = crn_nearest(section, names, count);
    return crn_error_set(err, CAIRN_ECONFIG, 0, __FILE__, __LINE__,
                         "there is no section '%s'; %s%s%s`cairn help` lists them", section,
                         near != NULL ? "did you mean '" : "", near != NULL ? near : "",
                         near != NULL ? "'? " : "");
}

cairn_status cairn_app_help(const char *section, char **out_text, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str text = {0};
    const crn_section *const found = section != NULL ? crn_section_find(section) : NULL;
    if (section != NULL && found == NULL)
        CRN_TRY_PLAIN(no_section(section, err));
    if (found != NULL)
        crn_section_help(found, &text);
    else
        list_sections(&text);
    *out_text = crn_str_take(&text);
    CRN_NEED(err, *out_text, "a help text");
out:
    crn_str_dispose(&text);
    return rc;
}

const char *cairn_app_nearest(const char *wrong, const char *const *names, size_t count)
{
    return crn_nearest(wrong, names, count);
}

void cairn_app_free(char *text)
{
    crn_free(text);
}

int cairn_app_install_signals(void)
{
    return crn_signals_install();
}

void cairn_app_obey_supervisor(void)
{
    crn_signals_obey_parent();
}

const char *cairn_app_stop_requested(void *unused)
{
    (void)unused;
    return crn_signal_stop_requested() ? crn_signal_stop_name() : NULL;
}

bool cairn_app_save_requested(void *unused)
{
    (void)unused;
    return crn_signal_take_save_request();
}
