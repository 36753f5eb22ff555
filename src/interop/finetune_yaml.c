#include "interop/finetune_yaml.h"

#include <inttypes.h>
#include <string.h>

#include "base/try.h"

enum { MODEL_INDENT = 6, SAMPLE_LENGTH = 128 };

/* @yaml with each line indented. */
static void append_indented(crn_str *out, const char *yaml)
{
    for (const char *line = yaml; *line != '\0';) {
        const size_t length = strcspn(line, "\n");
        crn_str_printf(out, "%*s%.*s\n", (int)MODEL_INDENT, "", (int)length, line);
        line += line[length] == '\n' ? length + 1 : length;
    }
}

cairn_status crn_finetune_yaml(const crn_hf_model *model, const char *source,
                               const char *checkpoint, const char *model_dir, crn_str *out,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char shown[400];
    crn_str section = {0};
    const int64_t limit = model->options.max_position_embeddings;
    crn_node_to_yaml(model->section, false, &section);
    CRN_TRY_PLAIN(crn_str_check(&section, err));
    crn_str_printf(out,
                   "# Fine-tunes the model of %s.\n"
                   "# The rates and lengths are a start; `cairn help` explains every option.\n"
                   "trainer:\n  init:\n    model_dir: ",
                   crn_escape(source, strlen(source), shown, sizeof shown));
    crn_str_append_json(out, model_dir, strlen(model_dir));
    crn_str_append(out, "\n    model:\n");
    append_indented(out, section.text);
    crn_str_append(out, "    optimizer:\n"
                        "      AdamW: {betas: [0.9, 0.95], eps: 1.0e-8, weight_decay: 0.1}\n"
                        "    schedulers:\n"
                        "    - ConstantLR: {learning_rate: 1.0e-5}\n"
                        "    precision: {max_gradient_norm: 1.0}\n"
                        "    loop: {max_steps: 1000, eval_frequency: 0}\n"
                        "    checkpoint: {steps: 100}\n"
                        "  fit:\n"
                        "    # TextDataProcessor gives the bytes of a text; for ids of the model's "
                        "own tokenizer\n"
                        "    # there are TokenBinDataProcessor and GptHDF5DataProcessor.\n"
                        "    train_dataloader:\n"
                        "      data_processor: TextDataProcessor\n"
                        "      data_dir: data.txt\n");
    crn_str_printf(out,
                   "      max_sequence_length: %" PRId64 "\n"
                   "      batch_size: 8\n"
                   "      shuffle: true\n"
                   "    ckpt_path: ",
                   limit < SAMPLE_LENGTH ? limit : SAMPLE_LENGTH);
    crn_str_append_json(out, checkpoint, strlen(checkpoint));
    crn_str_append(out, "\n");
    CRN_TRY_PLAIN(crn_str_check(out, err));
out:
    crn_str_dispose(&section);
    return rc;
}
