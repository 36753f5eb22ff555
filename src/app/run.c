/* The verbs: read, build, run. */
#include "app/attempt.h"
#include "app/build.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "os/os.h"

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

cairn_status cairn_app_fit(const cairn_app_request *request, cairn_fit_result *out,
                           cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_app_config config = {0};
    crn_built built = {0};
    int attempt = -1;
    *out = (cairn_fit_result){.reason = ""};
    if (request->attempt != NULL)
        CRN_TRY_PLAIN(crn_attempt_open(request->attempt, &attempt, err));
    CRN_TRY_PLAIN(crn_app_config_read(request, CRN_VERB_FIT, &config, err));
    const cairn_log log = log_of(request, &config);
    CRN_TRY_PLAIN(crn_build(request, CRN_VERB_FIT, &config, &log, &built, err));
    if (attempt >= 0)
        CRN_TRY_PLAIN(crn_attempt_watch(built.trainer, attempt, err));
    CRN_TRY_PLAIN(cairn_trainer_fit(built.trainer, built.train, built.val, built.val_count,
                                    config.ckpt, out, err));
out:
    crn_built_dispose(&built);
    crn_app_config_dispose(&config);
    return rc;
}

cairn_status cairn_app_validate(const cairn_app_request *request, cairn_validate_result *out,
                                cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_app_config config = {0};
    crn_built built = {0};
    *out = (cairn_validate_result){0};
    CRN_TRY_PLAIN(crn_app_config_read(request, CRN_VERB_VALIDATE, &config, err));
    const cairn_log log = log_of(request, &config);
    if (request->checkpoint_path != NULL) {
        config.ckpt.kind = CAIRN_CKPT_PATH;
        config.ckpt.path = request->checkpoint_path;
    }
    if (config.val.count > 1)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "validate takes one val_dataloader; several are for validate_all");
    CRN_TRY_PLAIN(crn_build(request, CRN_VERB_VALIDATE, &config, &log, &built, err));
    CRN_TRY_PLAIN(cairn_trainer_validate(built.trainer, built.val[0], config.ckpt, out, err));
out:
    crn_built_dispose(&built);
    crn_app_config_dispose(&config);
    return rc;
}

static void list_sections(crn_str *text)
{
    size_t count = 0;
    const crn_section *const sections = crn_sections(&count);
    crn_str_append(text, "Sections of the configuration; `cairn help SECTION` explains one:\n");
    for (size_t i = 0; i < count; i++)
        crn_str_printf(text, "  %-24s %s\n", sections[i].name, sections[i].help);
}

cairn_status cairn_app_help(const char *section, char **out_text, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str text = {0};
    const crn_section *const found = section != NULL ? crn_section_find(section) : NULL;
    if (section != NULL && found == NULL)
        CRN_FAIL(err, CAIRN_ECONFIG, "there is no section '%s'; `cairn help` lists them", section);
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
