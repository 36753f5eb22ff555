/* cairn checkpoint convert */
#include <stdio.h>
#include <string.h>

#include "cairn/interop.h"
#include "cli/cli.h"

static bool kind_from_text(const char *text, cairn_convert_to *out)
{
    if (strcmp(text, "hf") == 0)
        *out = CAIRN_CONVERT_TO_HF;
    else if (strcmp(text, "cairn") == 0)
        *out = CAIRN_CONVERT_TO_CAIRN;
    else
        return false;
    return true;
}

static void print_result(const cairn_convert_options *options, const cairn_convert_result *result,
                         bool is_json)
{
    if (is_json) {
        (void)printf("{\"path\":");
        cli_print_json_text(options->destination);
        (void)printf(",\"tensors\":%llu,\"positions\":%llu,\"max_difference\":%.17g,"
                     "\"largest_logit\":%.17g}\n",
                     (unsigned long long)result->tensors, (unsigned long long)result->positions,
                     result->max_difference, result->largest_logit);
        return;
    }
    (void)printf("%s: %llu tensors\n"
                 "read back: logits of %llu positions, max |difference| %g (max |logit| %g)\n",
                 options->destination, (unsigned long long)result->tensors,
                 (unsigned long long)result->positions, result->max_difference,
                 result->largest_logit);
}

int cli_checkpoint_convert(int argc, char **argv)
{
    const char *to = NULL;
    bool is_json = false;
    const cairn_log log = cli_log(CAIRN_LOG_WARNING);
    cairn_convert_options convert = {.struct_size = sizeof convert, .log = &log};
    const cli_option options[] = {
        {"to", 0, CLI_TEXT, &to, "hf|cairn", "A Hugging Face folder, or ours with params.yaml."},
        {"lora_path", 0, CLI_TEXT, &convert.lora_path, "FILE",
         "Merge the adapters of this checkpoint (those of SRC)."},
        {"json", 0, CLI_FLAG, &is_json, NULL, "Print JSON."},
    };
    const cli_command command = {
        .usage = "cairn checkpoint convert SRC DST --to hf|cairn [options]",
        .about = "Converts the model of a checkpoint to a Hugging Face folder, or the other way.\n"
                 "DST is a new folder. What was written is read back and compared before it is "
                 "there.",
        .example = "cairn checkpoint convert run1/checkpoint_200.mdl gpt2-hf --to hf",
        .options = options,
        .option_count = sizeof options / sizeof options[0],
        .positional_min = 2,
        .positional_max = 2,
    };
    const char *paths[2] = {NULL, NULL};
    size_t count = 0;
    cairn_error err = {0};
    cairn_convert_result result;
    const int code = cli_parse(&command, argc, argv, paths, &count);
    if (code >= 0)
        return code;
    if (to == NULL || !kind_from_text(to, &convert.to)) {
        (void)fprintf(stderr, "cairn: --to must be hf or cairn\nusage: %s\n", command.usage);
        return CLI_EXIT_USAGE;
    }
    convert.source = paths[0];
    convert.destination = paths[1];
    if (cairn_checkpoint_convert(&convert, &result, &err) != CAIRN_OK)
        return cli_fail(&err);
    print_result(&convert, &result, is_json);
    return cli_finish_output(CLI_EXIT_OK);
}
