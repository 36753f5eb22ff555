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
    else if (strcmp(text, "gguf") == 0)
        *out = CAIRN_CONVERT_TO_GGUF;
    else
        return false;
    return true;
}

static bool dtype_from_text(const char *text, cairn_dtype *out)
{
    if (strcmp(text, "f32") == 0)
        *out = CAIRN_DTYPE_F32;
    else if (strcmp(text, "f16") == 0)
        *out = CAIRN_DTYPE_F16;
    else if (strcmp(text, "bf16") == 0)
        *out = CAIRN_DTYPE_BF16;
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
    const char *dtype = NULL;
    bool is_json = false;
    cairn_convert_options convert = {.struct_size = sizeof convert};
    const cli_option options[] = {
        {"to", 0, CLI_TEXT, &to, "hf|gguf|cairn",
         "A Hugging Face folder, a GGUF file, or ours with params.yaml."},
        {"dtype", 0, CLI_TEXT, &dtype, "f32|f16|bf16", "To gguf: of the matrices (f32)."},
        {"tokenizer", 0, CLI_TEXT, &convert.tokenizer, "FILE",
         "To gguf: a tokenizer.json, its folder, or `bytes` (none)."},
        {"lora_path", 0, CLI_TEXT, &convert.lora_path, "FILE",
         "Of a checkpoint: merge the adapters of this one (its own)."},
        {"json", 0, CLI_FLAG, &is_json, NULL, "Print JSON."},
    };
    const cli_command command = {
        .usage = "cairn checkpoint convert SRC DST --to hf|gguf|cairn [options]",
        .about =
            "Converts the model of a checkpoint to a Hugging Face folder or a GGUF file, or the\n"
            "other way. DST is a new folder, or a new file for gguf. What was written is read\n"
            "back and compared before it is there.",
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
    const cairn_log log = cli_log(CAIRN_LOG_WARNING);
    const int code = cli_parse(&command, argc, argv, paths, &count);
    if (code >= 0)
        return code;
    if (to == NULL || !kind_from_text(to, &convert.to)) {
        (void)fprintf(stderr, "cairn: --to must be hf, gguf or cairn\nusage: %s\n", command.usage);
        return CLI_EXIT_USAGE;
    }
    if (dtype != NULL && !dtype_from_text(dtype, &convert.dtype)) {
        (void)fprintf(stderr, "cairn: --dtype must be f32, f16 or bf16\nusage: %s\n",
                      command.usage);
        return CLI_EXIT_USAGE;
    }
    if (convert.to != CAIRN_CONVERT_TO_GGUF && (dtype != NULL || convert.tokenizer != NULL)) {
        (void)fprintf(stderr, "cairn: --dtype and --tokenizer are for --to gguf\nusage: %s\n",
                      command.usage);
        return CLI_EXIT_USAGE;
    }
    convert.log = &log;
    convert.source = paths[0];
    convert.destination = paths[1];
    if (cairn_checkpoint_convert(&convert, &result, &err) != CAIRN_OK)
        return cli_fail(&err);
    print_result(&convert, &result, is_json);
    return cli_finish_output(CLI_EXIT_OK);
}
