/* cairn config convert_legacy */
#include <stdio.h>

#include "cli/cli.h"

int cli_config_convert_legacy(int argc, char **argv)
{
    const cairn_log log = cli_log(CAIRN_LOG_INFO);
    cairn_legacy_options convert = {.struct_size = sizeof convert, .log = &log};
    const cli_option options[] = {
        {"out", 'o', CLI_TEXT, &convert.out_path, "NEW.yaml",
         "File to make, or a folder; else the YAML is printed."},
        {"model", 0, CLI_TEXT, &convert.model_name, "NAME",
         "Name of a model without: gpt2 (default), gpt3, llama."},
    };
    const cli_command command = {
        .usage = "cairn config convert_legacy OLD.yaml [-o NEW.yaml]",
        .about =
            "Rewrites a Model Zoo file of before the Trainer (train_input, eval_input, model,\n"
            "optimizer, runconfig) as one with a trainer. Comments are lost.",
        .example = "cairn config convert_legacy params_gpt2_small.yaml -o gpt2_small.yaml",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .positional_min = 1,
        .positional_max = 1,
    };
    size_t count = 0;
    char *text = NULL;
    cairn_error err = {0};
    const int code = cli_parse(&command, argc, argv, &convert.params_path, &count);
    if (code >= 0)
        return code;
    if (cairn_app_convert_legacy(&convert, &text, &err) != CAIRN_OK)
        return cli_fail(&err);
    (void)printf(convert.out_path != NULL ? "%s\n" : "%s", text);
    cairn_app_free(text);
    return cli_finish_output(CLI_EXIT_OK);
}
