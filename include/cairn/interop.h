/**
 * @file interop.h  Checkpoints from and to other programs.
 *
 * Today: Hugging Face folders (config.json with safetensors or PyTorch files) and GGUF files (of
 * llama.cpp) of GPT-2, Llama and Mistral models; from them only: checkpoints of the Model Zoo
 * (HDF5) and PyTorch files beside a config.json. What is converted is the model;
 * docs/guide/interop.md has what each side can express.
 */
#ifndef CAIRN_INTEROP_H
#define CAIRN_INTEROP_H

#include "cairn/checkpoint.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cairn_convert_to {
    CAIRN_CONVERT_TO_HF,    /**< A folder with config.json and model.safetensors. */
    CAIRN_CONVERT_TO_CAIRN, /**< A folder with checkpoint_0.mdl and params.yaml. */
    CAIRN_CONVERT_TO_GGUF   /**< A GGUF file. */
} cairn_convert_to;

typedef struct cairn_convert_options {
    size_t struct_size;
    const char *source;      /**< A checkpoint, ours or the Model Zoo's, a GGUF file, a Hugging
                                  Face folder or a PyTorch file, as it is found. */
    const char *destination; /**< The folder or file to make; nothing may be there. */
    cairn_convert_to to;
    const cairn_log *log;  /**< May be NULL. */
    cairn_dtype dtype;     /**< To GGUF, of its matrices: F32, F16 or BF16; 0: F32. */
    const char *tokenizer; /**< To GGUF, as of cairn_tokenizer_open; NULL: it has no vocabulary. */
    /** Of a checkpoint: another one whose adapters (state lora) are merged into the weights; NULL:
     *  its own, if it has any. */
    const char *lora_path;
} cairn_convert_options;

/** What was made, and how it was checked. */
typedef struct cairn_convert_result {
    uint64_t tensors;      /**< Written. */
    uint64_t positions;    /**< At which logits were compared, at least 128. */
    double max_difference; /**< Between the logits of what was read and of what was written: 0, or
                                what rounding to dtype makes of them. */
    double largest_logit;  /**< Largest absolute value of those, for scale. */
} cairn_convert_result;

/**
 * Converts a checkpoint; adapters are merged into the weights, which alone may be to cairn too.
 * What was written is read back and must give the same logits before it appears under its name,
 * durably and all at once; on failure nothing is there.
 *
 * To cairn: the file holds the state "model" alone, so a run that starts from it begins at step 0
 * with a fresh optimizer; params.yaml fine-tunes it.
 *
 * @retval CAIRN_ENOTFOUND       There is no such source.
 * To GGUF with a dtype other than F32: the parameters are rounded first, and what is read back must
 * give the logits of the rounded ones.
 *
 * @retval CAIRN_EUNSUPPORTED    The source is of that kind already or of one this version does not
 *                               know, or the other side cannot express the model or the tokenizer.
 * @retval CAIRN_ECORRUPT        The source is damaged, or made to do harm.
 * @retval CAIRN_EINCOMPATIBLE   Its tensors are not those of its configuration, or the tokenizer
 *                               has more tokens.
 * @retval CAIRN_EDATA           The tokenizer cannot be read.
 * @retval CAIRN_EINVAL          An option does not go with this destination.
 * @retval CAIRN_ECONFIG         A number in its configuration is out of range.
 * @retval CAIRN_EEXISTS         There is something at the destination.
 * @retval CAIRN_EBUG            What was written gives other logits.
 * @retval CAIRN_EIO, CAIRN_ENOSPACE, CAIRN_ENOMEM
 * @retval CAIRN_EUNKNOWN        All is there, but may not survive a power cut.
 * Blocking: until durable.
 */
CAIRN_API cairn_status cairn_checkpoint_convert(const cairn_convert_options *options,
                                                cairn_convert_result *out, cairn_error *err);

/**
 * As cairn_checkpoint_open, for checkpoints of the Model Zoo too (HDF5, format 0.5), which a
 * confined process reads. What there is of our states is there under our names: model, optimizer,
 * schedulers, dataloader, grad_scaler, global_step. Such a checkpoint can be loaded; it has no
 * digests. docs/guide/coming-from-model-zoo.md has what is carried over.
 *
 * @param log  Told what cannot be carried over. May be NULL.
 * @param out  Yours: cairn_checkpoint_close.
 * @retval CAIRN_ENOTFOUND     There is no such file.
 * @retval CAIRN_ECORRUPT      It is damaged, or made to do harm.
 * @retval CAIRN_EUNSUPPORTED  An older format of the Model Zoo, or this build lacks HDF5.
 * @retval CAIRN_EVERSION, CAIRN_EIO, CAIRN_ENOMEM
 */
CAIRN_API cairn_status cairn_checkpoint_import(const char *path, const cairn_log *log,
                                               cairn_checkpoint **out, cairn_error *err);

#ifdef __cplusplus
}
#endif
#endif
