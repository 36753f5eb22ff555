/* cairn config schema */
#include <stdio.h>

#include "cli/cli.h"

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
    {"convert_legacy", cli_config_convert_legacy, "OLD.yaml",
     "rewrite a file of before the Trainer (train_input, runconfig)"},
    {"schema", config_schema, "", "print what a YAML file may hold, for editors"},
};

int cli_config(int argc, char **argv)
{
    return cli_run_group("config", "cairn config schema > params.schema.json", k_commands,
                         sizeof k_commands / sizeof k_commands[0], argc, argv);
}
