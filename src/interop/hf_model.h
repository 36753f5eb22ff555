/*
 * A language model of ours with its options and parameters, as conversions handle it: from a
 * checkpoint or a Hugging Face folder, and to the latter. GGUF files: gguf_model.h.
 */
#ifndef CRN_INTEROP_HF_MODEL_H
#define CRN_INTEROP_HF_MODEL_H

#include "cairn/model.h"
#include "ckpt/publish.h"
#include "config/config.h"
#include "interop/hf_config.h"

typedef struct crn_hf_model {
    crn_doc *doc;      /* {trainer: {init: {model: ...}}}; owns the options' texts */
    crn_node *section; /* the model's, defaults added */
    cairn_gpt2_options options;
    cairn_model model; /* with rotary positions, for sequences of some length only */
    cairn_state_tree *tree;
} crn_hf_model;

/* All of these: dispose of @out on success and on failure. */

/* The model of checkpoint @path with its parameters, for sequences of at most CRN_HF_POSITIONS if
 * it can be cut. Adapters, of checkpoint @lora_path (NULL: its own, if it has any), are merged into
 * them; @out->doc has the model's section alone then. EUNSUPPORTED: it is of another kind (a
 * plugin's). EINCOMPATIBLE: the file has no parameters of its model. Others: cairn_checkpoint_load.
 */
cairn_status crn_hf_model_load(const char *path, const char *lora_path, const cairn_log *log,
                               crn_hf_model *out, cairn_error *err);
/*
 * The model of a Hugging Face folder, for sequences of at most @positions if it can be cut: what it
 * keeps for each position may be more than its weights. Every parameter must be there in its shape,
 * and every tensor of the files must be one. With @name, the parameters come from that PyTorch file
 * of the folder: the tensors have Hugging Face's names or ours, which are the Model Zoo's, and may
 * stand under a key, such as "model" or "state_dict"; what is beside that key is left alone.
 * ENOTFOUND, ECORRUPT, EUNSUPPORTED, ECONFIG (a number
 * is out of range), EINCOMPATIBLE (a tensor is missing, unexpected or of another shape), EIO,
 * ENOMEM.
 */
cairn_status crn_hf_model_import(const crn_folder *folder, const char *name, int64_t positions,
                                 crn_hf_model *out, cairn_error *err);
void crn_hf_model_dispose(crn_hf_model *model);

/* Writes config.json and model.safetensors, durably, into @folder. EUNSUPPORTED: the family has no
 * word for an option. EIO, ENOSPACE, ENOMEM. */
cairn_status crn_hf_model_export(const crn_hf_model *model, const crn_folder *folder,
                                 uint64_t *out_tensors, cairn_error *err);

/* ---- Comparing ---- */

enum { CRN_HF_POSITIONS = 128 };

/* Logits of CRN_HF_POSITIONS positions, or as many more as fill sequences that the model can take.
 */
typedef struct crn_hf_logits {
    float *values; /* [positions][vocabulary]; crn_free */
    int64_t positions;
    int64_t vocabulary;
} crn_hf_logits;

/* Of token ids that only the size of the vocabulary decides. */
cairn_status crn_hf_logits_make(const crn_hf_model *model, crn_hf_logits *out, cairn_error *err);
void crn_hf_logits_dispose(crn_hf_logits *logits);
/* The largest difference (infinite where just one is finite) and the largest finite value. */
void crn_hf_logits_compare(const crn_hf_logits *a, const crn_hf_logits *b, double *out_difference,
                           double *out_largest);

#endif
