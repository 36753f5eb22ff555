/* cairn generate, cairn help */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"

static void write_bytes(void *user, const char *bytes, size_t size)
{
    (void)user;
    (void)fwrite(bytes, 1, size, stdout);
    (void)fflush(stdout);
}

int cli_generate(int argc, char **argv)
{
    cairn_generate_options generate = {.struct_size = sizeof generate,
                                       .prompt = "",
                                       .max_tokens = 200,
                                       .temperature = 0.8,
                                       .top_p = 1.0,
                                       .repetition_penalty = 1.0};
    uint64_t threads = 0;
    cli_texts stops = {0};
    const cli_option options[] = {
        {"checkpoint_path", 0, CLI_TEXT, &generate.checkpoint_path, "FILE",
         "The checkpoint; one with the model alone will do."},
        {"lora_path", 0, CLI_TEXT, &generate.lora_path, "FILE",
         "Adapters of Lora from this checkpoint (those of the first)."},
        {"tokenizer", 0, CLI_TEXT, &generate.tokenizer, "FILE",
         "The model's tokenizer.json, its folder, or `bytes` (bytes)."},
        {"prompt", 'p', CLI_TEXT, &generate.prompt, "TEXT", "What the text begins with."},
        {"max_tokens", 'n', CLI_COUNT, &generate.max_tokens, "N", "Tokens to write (200)."},
        {"temperature", 't', CLI_NUMBER, &generate.temperature, "T",
         "0 takes the likeliest token each time (0.8)."},
        {"top_k", 'k', CLI_COUNT, &generate.top_k, "K",
         "Only the K likeliest tokens; 0 is all (0)."},
        {"top_p", 0, CLI_NUMBER, &generate.top_p, "P",
         "The likeliest tokens that together have probability P (1)."},
        {"repetition_penalty", 0, CLI_NUMBER, &generate.repetition_penalty, "R",
         "Above 1: tokens of the text become less likely (1)."},
        {"stop", 0, CLI_TEXTS, &stops, "TEXT", "End before this text; may be given often."},
        {"seed", 's', CLI_COUNT, &generate.seed, "N", "The same seed gives the same text (0)."},
        {"threads", 0, CLI_COUNT, &threads, "N", "Threads; 0 is one a processor."},
    };
    const cli_command command = {
        .usage = "cairn generate --checkpoint_path FILE [--prompt TEXT] [options]",
        .about = "Continues a prompt with the model of a checkpoint.",
        .example = "cairn generate --checkpoint_path run1/checkpoint_200.mdl --prompt 'It is '",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
    };
    size_t count = 0;
    cairn_error err = {0};
    int code = cli_parse(&command, argc, argv, NULL, &count);
    if (code >= 0)
        goto out;
    if (generate.checkpoint_path == NULL) {
        (void)fprintf(stderr, "cairn: --checkpoint_path is missing\nusage: %s\n", command.usage);
        code = CLI_EXIT_USAGE;
        goto out;
    }
    const cairn_log log = cli_log(CAIRN_LOG_WARNING);
    generate.stops = stops.items;
    generate.stop_count = stops.count;
    generate.threads = threads < 4096 ? (int)threads : 0;
    generate.log = &log;
    generate.write = write_bytes;
    generate.stop_requested = cairn_app_stop_requested;
    (void)cairn_app_install_signals();
    if (cairn_app_generate(&generate, &err) != CAIRN_OK) {
        code = cli_fail(&err);
        goto out;
    }
    (void)putchar('\n');
    code = cli_finish_output(CLI_EXIT_OK);
out:
    free(stops.items);
    return code;
}

int cli_help(int argc, char **argv)
{
    const cli_command command = {
        .usage = "cairn help [SECTION]",
        .about = "Explains the options of a section of the YAML file; without a name lists them.",
        .example = "cairn help checkpoint",
        .positional_max = 1,
    };
    const char *section = NULL;
    size_t count = 0;
    char *text = NULL;
    cairn_error err = {0};
    const int code = cli_parse(&command, argc, argv, &section, &count);
    if (code >= 0)
        return code;
    if (cairn_app_help(section, &text, &err) != CAIRN_OK)
        return cli_fail(&err);
    (void)fputs(text, stdout);
    cairn_app_free(text);
    return cli_finish_output(CLI_EXIT_OK);
}
