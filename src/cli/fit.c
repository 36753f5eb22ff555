/* cairn fit, cairn validate, cairn validate_all */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/cli.h"

/* What both verbs take. */
struct run_flags {
    cairn_app_request request;
    cli_texts sets;
    const char *logging;
    const char *target_device;
    uint64_t threads;
    bool disable_version_check;
    bool is_json;
    bool is_dry_run;
};

#define CLUSTER  "it concerns Cerebras clusters"
#define SET(key) "give --set trainer.init." key "=VALUE"
#define DRY_RUN  "`cairn fit PARAMS.yaml --dry_run` tries everything without training"
/* clang-format off */
#define RUN_OPTIONS(flags)                                                                         \
    {"model_dir", 'o', CLI_TEXT, &(flags).request.model_dir, "DIR",                                \
     "Folder of the run: checkpoints, metrics, run.json."},                                        \
    {"checkpoint_path", 0, CLI_TEXT, &(flags).request.checkpoint_path, "FILE",                     \
     "Load this checkpoint (ckpt_path)."},                                                         \
    {"set", 0, CLI_TEXTS, &(flags).sets, "PATH=VALUE",                                             \
     "Set a value of the YAML; may be given often."},                                              \
    {"threads", 0, CLI_COUNT, &(flags).threads, "N", "Threads; 0 is one a processor."},            \
    {"logging", 0, CLI_TEXT, &(flags).logging, "LEVEL", "DEBUG, INFO, WARNING or ERROR."},         \
    {"target_device", 0, CLI_TEXT, &(flags).target_device, "CPU", "This version has CPU."},        \
    {"disable_version_check", 0, CLI_FLAG, &(flags).disable_version_check, NULL,                   \
     "Accept a checkpoint of a newer format."},                                                    \
    {"num_csx", 0, CLI_NO_EFFECT, NULL, NULL, CLUSTER},                                            \
    {"job_labels", 0, CLI_NO_EFFECT, NULL, NULL, CLUSTER},                                         \
    {"job_priority", 0, CLI_NO_EFFECT, NULL, NULL, CLUSTER},                                       \
    {"mount_dirs", 0, CLI_NO_EFFECT, NULL, NULL, CLUSTER},                                         \
    {"python_paths", 0, CLI_NO_EFFECT, NULL, NULL, CLUSTER},                                       \
    {"credentials_path", 0, CLI_NO_EFFECT, NULL, NULL, CLUSTER},                                   \
    {"mgmt_address", 0, CLI_NO_EFFECT, NULL, NULL, CLUSTER},                                       \
    {"mgmt_namespace", 0, CLI_NO_EFFECT, NULL, NULL, CLUSTER},                                     \
    {"debug_args", 0, CLI_NO_EFFECT, NULL, NULL, CLUSTER},                                         \
    {"debug_args_path", 0, CLI_NO_EFFECT, NULL, NULL, CLUSTER},                                    \
    {"ini", 0, CLI_NO_EFFECT, NULL, NULL, CLUSTER},                                                \
    {"compile_only", 0, CLI_REFUSED, NULL, NULL, "nothing is compiled here; " DRY_RUN},            \
    {"max_steps", 0, CLI_REFUSED, NULL, NULL, SET("loop.max_steps")},                              \
    {"num_steps", 0, CLI_REFUSED, NULL, NULL, SET("loop.num_steps")},                              \
    {"num_epochs", 0, CLI_REFUSED, NULL, NULL, SET("loop.num_epochs")},                            \
    {"eval_steps", 0, CLI_REFUSED, NULL, NULL, SET("loop.eval_steps")},                            \
    {"eval_frequency", 0, CLI_REFUSED, NULL, NULL, SET("loop.eval_frequency")},                    \
    {"checkpoint_steps", 0, CLI_REFUSED, NULL, NULL, SET("checkpoint.steps")},                     \
    {"seed", 0, CLI_REFUSED, NULL, NULL, SET("seed")},                                             \
    {"disable_strict_checkpoint_loading", 0, CLI_REFUSED, NULL, NULL,                              \
     "give --set trainer.init.checkpoint.disable_strict_checkpoint_loading=true"},                 \
    {"params", 0, CLI_REFUSED, NULL, NULL, "give the file by itself: cairn fit PARAMS.yaml"},      \
    {"mode", 'm', CLI_REFUSED, NULL, NULL, "the mode is a command: fit, validate or validate_all"}
/* clang-format on */

/* Flags to request; -1 or an exit code. */
static int finish_flags(struct run_flags *flags, const char *params_path)
{
    enum { THREADS_MAX = 4096 };
    static cairn_log s_log; /* Lives as long as the program; the request borrows it. */
    s_log = cli_log(CAIRN_LOG_INFO);
    cairn_app_request *const request = &flags->request;
    if (request->checkpoint_path != NULL && request->checkpoint_path[0] == '\0') {
        (void)fputs("cairn: --checkpoint_path is empty; leave it out to take the newest\n", stderr);
        return CLI_EXIT_USAGE;
    }
    if (flags->logging != NULL && !cli_level_from_text(flags->logging, &s_log.level)) {
        (void)fprintf(stderr, "cairn: --logging: '%s' is none of DEBUG, INFO, WARNING, ERROR\n",
                      flags->logging);
        return CLI_EXIT_USAGE;
    }
    if (flags->target_device != NULL && strcasecmp(flags->target_device, "CPU") != 0) {
        (void)fprintf(stderr,
                      "cairn: --target_device: this version computes on the CPU, not on '%s'; "
                      "leave the flag out\n",
                      flags->target_device);
        return CLI_EXIT_USAGE;
    }
    if (flags->threads > THREADS_MAX) {
        (void)fprintf(stderr, "cairn: --threads is at most %d\n", (int)THREADS_MAX);
        return CLI_EXIT_USAGE;
    }
    if (flags->disable_version_check) {
        static const char *const k_off = "trainer.init.checkpoint.strict_version=false";
        const char **const grown =
            realloc(flags->sets.items, (flags->sets.count + 1) * sizeof *grown);
        if (grown == NULL)
            return cairn_exit_code(CAIRN_ENOMEM);
        flags->sets.items = grown;
        flags->sets.items[flags->sets.count++] = k_off;
    }
    request->struct_size = sizeof *request;
    request->params_path = params_path;
    request->assignments = flags->sets.items;
    request->assignment_count = flags->sets.count;
    request->threads = (int)flags->threads;
    request->log = &s_log;
    request->has_log_level = flags->logging != NULL;
    request->bar = cli_has_terminal() ? cli_bar : NULL;
    request->stop_requested = cairn_app_stop_requested;
    request->save_requested = cairn_app_save_requested;
    if (request->attempt != NULL)
        cairn_app_obey_supervisor();
    (void)cairn_app_install_signals();
    return -1;
}

/* A line of `fit` that scripts read; @of_several: which trainer of the file it is about. NULL: no
 * memory. */
static char *make_line(const char *result, const cairn_fit_result *facts, const char *reason,
                       const char *of_several)
{
    char *line = NULL;
    const int size =
        asprintf(&line, "result=%s step=%llu checkpoint=%s reason=%s%s", result,
                 (unsigned long long)facts->step,
                 facts->checkpoint != NULL ? facts->checkpoint : "none", reason, of_several);
    return size >= 0 ? line : NULL;
}

static const char *outcome_text(cairn_outcome outcome)
{
    static const char *const k_outcomes[] = {"finished", "complete", "stopped"};
    return k_outcomes[outcome];
}

/* One of several trainers has ended, and others follow. */
static void print_trainer(void *user, size_t index, size_t count, const cairn_fit_result *result)
{
    const cairn_app_request *const request = user;
    char which[64];
    if (request->attempt != NULL && !cairn_app_attempt_tells(request->attempt, index))
        return;
    (void)snprintf(which, sizeof which, " trainer=%zu/%zu", index + 1, count);
    char *const line = make_line(outcome_text(result->outcome), result, result->reason, which);
    (void)puts(line != NULL ? line : "");
    (void)fflush(stdout); /* The next may run for days; an error shows at the end. */
    free(line);
}

/* The last line of `fit`. An attempt of autorestart hands it to its supervisor, so that only that
 * of the last one is printed. */
static int print_result(const char *attempt, cairn_status status, const cairn_fit_result *result,
                        const cairn_error *err)
{
    const bool is_ok = status == CAIRN_OK;
    int code = CLI_EXIT_OK;
    if (!is_ok)
        code = cli_fail(err);
    else if (result->outcome == CAIRN_OUTCOME_STOPPED)
        code = CLI_EXIT_STOPPED;
    char *const line = make_line(is_ok ? outcome_text(result->outcome) : "failed", result,
                                 is_ok ? result->reason : cairn_status_name(status), "");
    if (line == NULL)
        return cairn_exit_code(CAIRN_ENOMEM);
    if (attempt != NULL)
        cairn_app_attempt_result(attempt, line);
    else
        (void)puts(line);
    free(line);
    return cli_finish_output(code);
}

/* Runs the fit in this process, or as a child that is started again when it crashes. */
static int run_fit(cairn_app_request *request, int argc, char **argv)
{
    cairn_error err = {0};
    cairn_fit_result result = {0};
    cairn_supervised supervised = {0};
    int code = 0;
    request->trainer_done = print_trainer;
    request->user = request;
    if (cairn_app_supervise(request, argc, argv, &supervised, &err) != CAIRN_OK) {
        code = cli_fail(&err);
    } else if (supervised.is_supervised) {
        (void)puts(supervised.line);
        code = cli_finish_output(supervised.exit_code);
    } else {
        const cairn_status status = cairn_app_fit(request, &result, &err);
        code = print_result(request->attempt, status, &result, &err);
        cairn_fit_result_dispose(&result);
    }
    cairn_supervised_dispose(&supervised);
    return code;
}

int cli_fit(int argc, char **argv)
{
    struct run_flags flags = {0};
    const cli_option options[] = {
        {"resume", 0, CLI_FLAG, &flags.request.resume, NULL,
         "Go on with the run, if it was interrupted; else start it."},
        {"dry_run", 0, CLI_FLAG, &flags.is_dry_run, NULL,
         "Try all that can fail, print the plan, leave nothing."},
        {"validate_only", 0, CLI_FLAG, &flags.is_dry_run, NULL, "The same (its name in cszoo)."},
        {"json", 0, CLI_FLAG, &flags.is_json, NULL, "Print what --dry_run finds as JSON."},
        {"load_checkpoint_states", 0, CLI_TEXT, &flags.request.load_checkpoint_states, "LIST",
         "Load only these states, such as model."},
        {"attempt", 0, CLI_TEXT, &flags.request.attempt, NULL, NULL}, /* autorestart's own */
        {"max_time", 0, CLI_TEXT, &flags.request.max_time, "TIME",
         "Stop, saved, before this is over: 1h30m, 90m, 5400, 1:30:00."},
        RUN_OPTIONS(flags),
    };
    const cli_command command = {
        .usage = "cairn fit PARAMS.yaml [options]",
        .about = "Trains the model that PARAMS.yaml describes. For job scripts: with --resume the "
                 "same\ncommand starts the run, goes on with it, and does nothing once it is "
                 "complete.",
        .example = "cairn fit configs/demo.yaml -o run1 --set trainer.init.loop.max_steps=20",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .positional_min = 1,
        .positional_max = 1,
    };
    const char *path = NULL;
    size_t count = 0;
    int code = cli_parse(&command, argc, argv, &path, &count);
    if (code < 0)
        code = finish_flags(&flags, path);
    if (code < 0 && flags.is_json && !flags.is_dry_run) {
        (void)fputs("cairn: --json goes with --dry_run\n", stderr);
        code = CLI_EXIT_USAGE;
    }
    if (code == CLI_EXIT_USAGE && flags.is_dry_run && flags.is_json)
        cli_print_failed_json("usage", code, NULL);
    else if (code == CLI_EXIT_USAGE)
        (void)printf("result=failed step=0 checkpoint=none reason=usage\n");
    if (code < 0)
        code = flags.is_dry_run ? cli_dry_run(&flags.request, flags.is_json)
                                : run_fit(&flags.request, argc, argv);
    free(flags.sets.items);
    return code;
}

/* ---- Validation ---- */

/* From the step on; in JSON the object is open already. */
static void print_numbers(const struct run_flags *flags, const cairn_validate_result *result)
{
    (void)printf(flags->is_json ? "\"step\":%llu,\"val_loss\":%.17g,\"tokens\":%.0f,"
                                  "\"batches\":%llu}\n"
                                : "step=%llu val_loss=%.17g tokens=%.0f batches=%llu\n",
                 (unsigned long long)result->step, result->loss, result->tokens,
                 (unsigned long long)result->batches);
    (void)fflush(stdout); /* A reader may follow; an error shows at the end. */
}

static void print_validation(void *user, const cairn_validated *validated)
{
    const struct run_flags *const flags = user;
    (void)fputs(flags->is_json ? "{" : "", stdout);
    print_numbers(flags, &validated->result);
}

/* The same with checkpoint and loader in front. */
static void print_one_of_all(void *user, const cairn_validated *validated)
{
    const struct run_flags *const flags = user;
    if (flags->is_json) {
        (void)fputs("{\"checkpoint\":", stdout);
        if (validated->checkpoint != NULL)
            cli_print_json_text(validated->checkpoint);
        else
            (void)fputs("null", stdout);
        (void)printf(",\"loader\":%zu,", validated->loader);
    } else {
        (void)printf("checkpoint=%s loader=%zu ",
                     validated->checkpoint != NULL ? validated->checkpoint : "none",
                     validated->loader);
    }
    print_numbers(flags, &validated->result);
}

static cairn_status validate(const cairn_app_request *request, cairn_error *err)
{
    cairn_validate_result last = {0};
    return cairn_app_validate(request, &last, err);
}

/* Both verbs: results are printed as they come. */
static int run_validation(const cli_command *command, struct run_flags *flags,
                          cairn_validated_fn print,
                          cairn_status (*verb)(const cairn_app_request *request, cairn_error *err),
                          int argc, char **argv)
{
    const char *path = NULL;
    size_t count = 0;
    cairn_error err = {0};
    int code = cli_parse(command, argc, argv, &path, &count);
    if (code < 0)
        code = finish_flags(flags, path);
    if (code < 0) {
        flags->request.validated = print;
        flags->request.user = flags;
        code = verb(&flags->request, &err) == CAIRN_OK ? CLI_EXIT_OK : cli_fail(&err);
        code = cli_finish_output(code);
    }
    free(flags->sets.items);
    return code;
}

int cli_validate(int argc, char **argv)
{
    struct run_flags flags = {0};
    const cli_option options[] = {
        {"json", 0, CLI_FLAG, &flags.is_json, NULL, "Print the result as JSON."},
        {"load_checkpoint_states", 0, CLI_NO_EFFECT, NULL, NULL, "validation loads the model only"},
        {"validate_only", 0, CLI_REFUSED, NULL, NULL, DRY_RUN},
        RUN_OPTIONS(flags),
    };
    const cli_command command = {
        .usage = "cairn validate PARAMS.yaml [options]",
        .about = "Computes the validation loss with the `validate` section of PARAMS.yaml, or the\n"
                 "validation data of `fit`. Writes nothing; works beside a running fit.",
        .example = "cairn validate configs/demo.yaml --checkpoint_path run1/checkpoint_200.mdl",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .positional_min = 1,
        .positional_max = 1,
    };
    return run_validation(&command, &flags, print_validation, validate, argc, argv);
}

int cli_validate_all(int argc, char **argv)
{
    struct run_flags flags = {0};
    const cli_option options[] = {
        {"json", 0, CLI_FLAG, &flags.is_json, NULL, "Print each result as a JSON object."},
        {"load_checkpoint_states", 0, CLI_NO_EFFECT, NULL, NULL, "validation loads the model only"},
        {"validate_only", 0, CLI_REFUSED, NULL, NULL, DRY_RUN},
        RUN_OPTIONS(flags),
    };
    const cli_command command = {
        .usage = "cairn validate_all PARAMS.yaml [options]",
        .about =
            "Computes the validation loss of every checkpoint with every loader of the\n"
            "`validate_all` section: one line each. Without ckpt_paths all full checkpoints of\n"
            "the model_dir. Writes nothing; works beside a running fit.",
        .example = "cairn validate_all configs/demo.yaml --checkpoint_path 'run1/checkpoint_*.mdl'",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .positional_min = 1,
        .positional_max = 1,
    };
    return run_validation(&command, &flags, print_one_of_all, cairn_app_validate_all, argc, argv);
}
