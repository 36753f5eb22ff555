/* cairn generate, cairn help */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static void write_bytes(void *user, const char *bytes, size_t size)
{
    (void)user;
    (void)fwrite(bytes, 1, size, stdout);
    (void)fflush(stdout);
}

enum { PROMPT_BYTES_MAX = 1 << 20 };

/* A whole file as a text, or standard input for "-"; yours (free). NULL: it was said why. */
static char *read_prompt(const char *path)
{
    const bool is_input = strcmp(path, "-") == 0;
    FILE *const file = is_input ? stdin : fopen(path, "rb");
    const char *const shown = is_input ? "standard input" : path;
    if (file == NULL) {
        (void)fprintf(stderr, "cairn: the prompt '%s': %s\n", path, strerror(errno));
        return NULL;
    }
    char *const text = calloc(1, PROMPT_BYTES_MAX + 2);
    const size_t size = text != NULL ? fread(text, 1, PROMPT_BYTES_MAX + 1, file) : 0;
    const bool is_good = text != NULL && ferror(file) == 0 && size <= PROMPT_BYTES_MAX &&
                         memchr(text, '\0', size) == NULL;
    if (text == NULL || ferror(file) != 0)
        (void)fprintf(stderr, "cairn: the prompt '%s' cannot be read\n", shown);
    else if (!is_good)
        (void)fprintf(stderr, "cairn: the prompt '%s' is larger than %d bytes, or no text\n", shown,
                      PROMPT_BYTES_MAX);
    if (!is_input)
        (void)fclose(file);
    if (is_good)
        return text;
    free(text);
    return NULL;
}

/* With the prompts of the command line, and the file's. */
static int generate(const cairn_generate_options *given, const cli_texts *prompts,
                    const char *prompt_file)
{
    cairn_error err = {0};
    cairn_generate_options options = *given;
    int code = CLI_EXIT_USAGE;
    const cairn_log log = cli_log(CAIRN_LOG_WARNING);
    char *from_file = NULL;
    const char **const all = calloc(prompts->count + 1, sizeof *all);
    if (all == NULL) {
        (void)fputs("cairn: no memory for the prompts\n", stderr);
        return CLI_EXIT_FAILED;
    }
    for (size_t i = 0; i < prompts->count; i++)
        all[options.prompt_count++] = prompts->items[i];
    if (prompt_file != NULL) {
        from_file = read_prompt(prompt_file);
        if (from_file == NULL)
            goto out;
        all[options.prompt_count++] = from_file;
    }
    options.prompts = all;
    options.log = &log;
    options.write = write_bytes;
    options.stop_requested = cairn_app_stop_requested;
    (void)cairn_app_install_signals();
    code = cairn_app_generate(&options, &err) == CAIRN_OK ? cli_finish_output(CLI_EXIT_OK)
                                                          : cli_fail(&err);
out:
    free(from_file);
    free(all);
    return code;
}

int cli_generate(int argc, char **argv)
{
    cairn_generate_options options = {.struct_size = sizeof options,
                                      .max_tokens = 200,
                                      .temperature = 0.8,
                                      .top_p = 1.0,
                                      .repetition_penalty = 1.0};
    uint64_t threads = 0;
    const char *prompt_file = NULL;
    cli_texts prompts = {0};
    cli_texts stops = {0};
    const cli_option rows[] = {
        {"checkpoint_path", 0, CLI_TEXT, &options.checkpoint_path, "PATH",
         "A checkpoint, Hugging Face folder, GGUF or PyTorch file."},
        {"lora_path", 0, CLI_TEXT, &options.lora_path, "FILE",
         "Of a checkpoint: the adapters of this one (its own)."},
        {"add_bos", 0, CLI_FLAG, &options.adds_first, NULL,
         "Begin each prompt with the token that begins texts."},
        {"tokenizer", 0, CLI_TEXT, &options.tokenizer, "FILE",
         "tokenizer.json, SentencePiece model or `bytes` (its own)."},
        {"prompt", 'p', CLI_TEXTS, &prompts, "TEXT",
         "What the text begins with; given often, each is continued."},
        {"prompt_file", 'f', CLI_TEXT, &prompt_file, "FILE",
         "A file that a text begins with; - is standard input."},
        {"max_tokens", 'n', CLI_COUNT, &options.max_tokens, "N", "Tokens to write (200)."},
        {"temperature", 't', CLI_NUMBER, &options.temperature, "T",
         "0 takes the likeliest token each time (0.8)."},
        {"top_k", 'k', CLI_COUNT, &options.top_k, "K",
         "Only the K likeliest tokens; 0 is all (0)."},
        {"top_p", 0, CLI_NUMBER, &options.top_p, "P",
         "The likeliest tokens that together have probability P (1)."},
        {"repetition_penalty", 0, CLI_NUMBER, &options.repetition_penalty, "R",
         "Above 1: tokens of the text become less likely (1)."},
        {"stop", 0, CLI_TEXTS, &stops, "TEXT", "End before this text; may be given often."},
        {"seed", 's', CLI_COUNT, &options.seed, "N", "The same seed gives the same text (0)."},
        {"threads", 0, CLI_COUNT, &threads, "N", "Threads; 0 is one a processor."},
        {"json", 0, CLI_FLAG, &options.as_json, NULL,
         "Print a JSON object a line for each prompt."},
    };
    const cli_command command = {
        .usage = "cairn generate --checkpoint_path PATH [--prompt TEXT] [options]",
        .about =
            "Continues prompts with the model of a checkpoint, a Hugging Face folder or a GGUF "
            "file.",
        .example = "cairn generate --checkpoint_path run1/checkpoint_200.mdl --prompt 'It is '",
        .options = rows,
        .option_count = sizeof rows / sizeof rows[0],
    };
    size_t count = 0;
    int code = cli_parse(&command, argc, argv, NULL, &count);
    if (code >= 0)
        goto out;
    if (options.checkpoint_path == NULL) {
        (void)fprintf(stderr, "cairn: --checkpoint_path is missing\nusage: %s\n", command.usage);
        code = CLI_EXIT_USAGE;
        goto out;
    }
    options.stops = stops.items;
    options.stop_count = stops.count;
    options.threads = threads < 4096 ? (int)threads : 0;
    code = generate(&options, &prompts, prompt_file);
out:
    free(prompts.items);
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
