/* cairn config check | show | diff | schema */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

/* What a run could be asked for on its command line, and what becomes of the answer. */
struct config_flags {
    cairn_app_request request;
    cli_texts sets;
    const char *verb;
    bool is_json;
};

/* clang-format off */
#define CONFIG_OPTIONS(flags)                                                                      \
    {"verb", 0, CLI_TEXT, &(flags).verb, "VERB",                                                   \
     "As this command reads it; else all that is there."},                                         \
    {"set", 0, CLI_TEXTS, &(flags).sets, "PATH=VALUE",                                             \
     "Set a value of the YAML; may be given often."},                                              \
    {"model_dir", 'o', CLI_TEXT, &(flags).request.model_dir, "DIR", "Folder of the run."},         \
    {"checkpoint_path", 0, CLI_TEXT, &(flags).request.checkpoint_path, "FILE",                     \
     "Load this checkpoint (ckpt_path)."},                                                         \
    {"load_checkpoint_states", 0, CLI_TEXT, &(flags).request.load_checkpoint_states, "LIST",       \
     "Load only these states, such as model."},                                                    \
    {"max_time", 0, CLI_TEXT, &(flags).request.max_time, "TIME", "As loop.max_time."}
/* clang-format on */

static void finish_flags(struct config_flags *flags, const cairn_log *log)
{
    flags->request.struct_size = sizeof flags->request;
    flags->request.assignments = flags->sets.items;
    flags->request.assignment_count = flags->sets.count;
    flags->request.log = log;
}

/* ---- check ---- */

/* All files are checked, whatever is wrong with one. */
static int check_files(struct config_flags *flags, const char *const *paths, size_t count)
{
    int code = CLI_EXIT_OK;
    for (size_t i = 0; i < count; i++) {
        bool is_good = false;
        char *text = NULL;
        cairn_error err = {0};
        flags->request.params_path = paths[i];
        if (cairn_app_config_check(&flags->request, flags->verb, flags->is_json, &is_good, &text,
                                   &err) != CAIRN_OK)
            return cli_fail(&err);
        (void)fputs(text, stdout);
        cairn_app_free(text);
        if (!is_good)
            code = CLI_EXIT_USAGE;
    }
    return cli_finish_output(code);
}

static int config_check(int argc, char **argv)
{
    static const char *s_paths[CLI_FILES_MAX];
    struct config_flags flags = {0};
    const cli_option options[] = {
        CONFIG_OPTIONS(flags),
        {"json", 0, CLI_FLAG, &flags.is_json, NULL, "Print a JSON object for each file."},
    };
    const cli_command command = {
        .usage = "cairn config check PARAMS.yaml... [options]",
        .about = "Tells all that is wrong with a configuration, each with its line and column, "
                 "and exits\nwith 2; or that it is well. Nothing is opened but plugins.",
        .example = "cairn config check params.yaml --set trainer.init.loop.max_steps=20",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .positional_min = 1,
        .positional_max = CLI_FILES_MAX,
    };
    size_t count = 0;
    int code = cli_parse(&command, argc, argv, s_paths, &count);
    if (code < 0) {
        finish_flags(&flags, NULL);
        code = check_files(&flags, s_paths, count);
    }
    free(flags.sets.items);
    return code;
}

/* ---- show ---- */

static int config_show(int argc, char **argv)
{
    struct config_flags flags = {0};
    const cairn_log log = cli_log(CAIRN_LOG_WARNING);
    const cli_option options[] = {
        CONFIG_OPTIONS(flags),
        {"json", 0, CLI_FLAG, &flags.is_json, NULL, "Print a JSON object for each value."},
    };
    const cli_command command = {
        .usage = "cairn config show PARAMS.yaml [options]",
        .about = "Prints the configuration with all defaults, and where each value is from: "
                 "default,\nfile:line, --set or another flag.",
        .example = "cairn config show params.yaml --set trainer.init.loop.max_steps=20",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .positional_min = 1,
        .positional_max = 1,
    };
    size_t count = 0;
    char *text = NULL;
    cairn_error err = {0};
    int code = cli_parse(&command, argc, argv, &flags.request.params_path, &count);
    if (code < 0) {
        finish_flags(&flags, &log);
        flags.request.has_log_level = true;
        if (cairn_app_config_show(&flags.request, flags.verb, flags.is_json, &text, &err) !=
            CAIRN_OK) {
            code = cli_fail(&err);
        } else {
            (void)fputs(text, stdout);
            cairn_app_free(text);
            code = cli_finish_output(CLI_EXIT_OK);
        }
    }
    free(flags.sets.items);
    return code;
}

/* ---- diff ---- */

static int config_diff(int argc, char **argv)
{
    bool is_json = false;
    const cairn_log log = cli_log(CAIRN_LOG_WARNING);
    const cli_option options[] = {
        {"json", 0, CLI_FLAG, &is_json, NULL, "Print the differences as JSON."},
    };
    const cli_command command = {
        .usage = "cairn config diff A B [options]",
        .about = "Prints which values of two configurations are different, defaults included; each "
                 "is a\nYAML file or a checkpoint. Exits with 1 if there are any.",
        .example = "cairn config diff params.yaml run1/checkpoint_200.mdl",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .positional_min = 2,
        .positional_max = 2,
    };
    const char *paths[2] = {NULL, NULL};
    size_t count = 0;
    size_t differences = 0;
    char *text = NULL;
    cairn_error err = {0};
    const int code = cli_parse(&command, argc, argv, paths, &count);
    if (code >= 0)
        return code;
    if (cairn_app_config_diff(paths[0], paths[1], &log, is_json, &differences, &text, &err) !=
        CAIRN_OK)
        return cli_fail(&err);
    (void)fputs(text, stdout);
    cairn_app_free(text);
    return cli_finish_output(differences > 0 ? CLI_EXIT_FAILED : CLI_EXIT_OK);
}

/* ---- schema ---- */

static int config_schema(int argc, char **argv)
{
    const cli_command command = {
        .usage = "cairn config schema",
        .about = "Prints what a YAML file may hold as JSON Schema. An editor with a YAML language\n"
                 "server takes it from a first line\n"
                 "  # yaml-language-server: $schema=params.schema.json",
        .example = "cairn config schema > params.schema.json",
    };
    size_t count = 0;
    char *text = NULL;
    cairn_error err = {0};
    const int code = cli_parse(&command, argc, argv, NULL, &count);
    if (code >= 0)
        return code;
    if (cairn_app_schema(&text, &err) != CAIRN_OK)
        return cli_fail(&err);
    (void)fputs(text, stdout);
    cairn_app_free(text);
    return cli_finish_output(CLI_EXIT_OK);
}

static const cli_entry k_commands[] = {
    {"check", config_check, "PARAMS.yaml...", "tell all that is wrong with a YAML file"},
    {"show", config_show, "PARAMS.yaml", "print it with all defaults and origins"},
    {"diff", config_diff, "A B", "compare two files or checkpoints"},
    {"convert_legacy", cli_config_convert_legacy, "OLD.yaml",
     "rewrite a file of before the Trainer (train_input, runconfig)"},
    {"schema", config_schema, "", "print what a YAML file may hold, for editors"},
};

int cli_config(int argc, char **argv)
{
    return cli_run_group("config", "cairn config check params.yaml", k_commands,
                         sizeof k_commands / sizeof k_commands[0], argc, argv);
}
