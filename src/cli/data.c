/* cairn data prepare */
#include <stdio.h>

#include "cli/cli.h"

static void print_json(const cairn_prepare_options *o, const cairn_prepare_result *r)
{
    (void)printf("{\"output\":");
    cli_print_json_text(o->output);
    (void)printf(",\"tokens\":%llu", (unsigned long long)r->tokens);
    if (o->val_output != NULL) {
        (void)printf(",\"val_output\":");
        cli_print_json_text(o->val_output);
        (void)printf(",\"val_tokens\":%llu", (unsigned long long)r->val_tokens);
    }
    (void)printf(",\"dtype\":\"uint%u\",\"vocab_size\":%u,\"bytes\":%llu,\"replaced\":%llu",
                 8 * r->token_bytes, r->vocab_size, (unsigned long long)r->bytes,
                 (unsigned long long)r->replaced);
    if (r->has_eos)
        (void)printf(",\"eos_id\":%u", r->eos_id);
    (void)printf("}\n");
}

static void print_file(const char *path, uint64_t tokens, const cairn_prepare_result *r)
{
    (void)printf("%s: %llu tokens of uint%u\n", path, (unsigned long long)tokens,
                 8 * r->token_bytes);
}

static void print_result(const cairn_prepare_options *o, const cairn_prepare_result *r)
{
    print_file(o->output, r->tokens, r);
    if (o->val_output != NULL)
        print_file(o->val_output, r->val_tokens, r);
    (void)printf("%llu bytes of text, %.3f bytes a token; a model needs vocab_size %u or more\n",
                 (unsigned long long)r->bytes,
                 (double)r->bytes / (double)(r->tokens + r->val_tokens), r->vocab_size);
    if (r->replaced > 0)
        (void)printf("%llu ill-formed parts became U+FFFD\n", (unsigned long long)r->replaced);
}

static int data_prepare(int argc, char **argv)
{
    static const char *s_inputs[CLI_FILES_MAX]; /* Too many for the stack. */
    bool is_json = false;
    cairn_prepare_options prepare = {.struct_size = sizeof prepare, .inputs = s_inputs};
    const cli_option options[] = {
        {"output", 'o', CLI_TEXT, &prepare.output, "FILE", "The file of tokens to write."},
        {"tokenizer", 't', CLI_TEXT, &prepare.tokenizer, "FILE",
         "tokenizer.json, a SentencePiece model, or `bytes`."},
        {"dtype", 0, CLI_TEXT, &prepare.dtype, "TYPE",
         "uint16, uint32, or auto: the smaller that will do (auto)."},
        {"format", 0, CLI_TEXT, &prepare.format, "NAME",
         "nanogpt: tokens only; llmc: after llm.c's header (nanogpt)."},
        {"append_eos", 0, CLI_FLAG, &prepare.append_eos, NULL,
         "End each text with the tokenizer's end-of-text token."},
        {"eos_token", 0, CLI_TEXT, &prepare.eos_token, "TEXT",
         "That token, if it has another name."},
        {"val_fraction", 0, CLI_NUMBER, &prepare.val_fraction, "F",
         "Share of the text, at its end, that goes to --val_output (0)."},
        {"val_output", 0, CLI_TEXT, &prepare.val_output, "FILE", "The file for it."},
        {"replace_invalid", 0, CLI_FLAG, &prepare.replace_invalid, NULL,
         "What is no UTF-8 becomes U+FFFD instead of an error."},
        {"overwrite", 0, CLI_FLAG, &prepare.overwrite, NULL, "Replace files that are there."},
        {"json", 0, CLI_FLAG, &is_json, NULL, "Print the result as JSON."},
    };
    const cli_command command = {
        .usage = "cairn data prepare TEXT... --output FILE --tokenizer FILE [options]",
        .about = "Turns text files into a file of tokens, which nanoGPT and llm.c read too.",
        .example = "cairn data prepare book.txt -o train.bin --tokenizer tokenizer.json "
                   "--append_eos",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .positional_min = 1,
        .positional_max = CLI_FILES_MAX,
    };
    cairn_error err = {0};
    cairn_prepare_result result = {0};
    const int code = cli_parse(&command, argc, argv, s_inputs, &prepare.input_count);
    if (code >= 0)
        return code;
    if (prepare.output == NULL || prepare.tokenizer == NULL) {
        (void)fprintf(stderr, "cairn: --%s is missing\nusage: %s\n",
                      prepare.output == NULL ? "output" : "tokenizer", command.usage);
        return CLI_EXIT_USAGE;
    }
    prepare.bar = cli_has_terminal() ? cli_bar : NULL;
    prepare.stop_requested = cairn_app_stop_requested;
    (void)cairn_app_install_signals();
    if (cairn_app_prepare(&prepare, &result, &err) != CAIRN_OK)
        return cli_fail(&err);
    if (is_json)
        print_json(&prepare, &result);
    else
        print_result(&prepare, &result);
    return cli_finish_output(CLI_EXIT_OK);
}

static const cli_entry k_commands[] = {
    {"prepare", data_prepare, "TEXT...", "turn text files into a file of tokens"},
};

int cli_data(int argc, char **argv)
{
    return cli_run_group("data", "cairn data prepare book.txt -o train.bin --tokenizer bytes",
                         k_commands, sizeof k_commands / sizeof k_commands[0], argc, argv);
}
