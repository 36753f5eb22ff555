/* A language model of ours from and to a GGUF file. */
#ifndef CRN_INTEROP_GGUF_MODEL_H
#define CRN_INTEROP_GGUF_MODEL_H

#include "interop/hf_model.h"

/*
 * The model of the GGUF file @path. Every parameter must be there in its shape, and every tensor of
 * the file must be one. @positions and @out: as crn_hf_model_import.
 * ENOTFOUND, ECORRUPT, EUNSUPPORTED, ECONFIG (a number is out of range), EINCOMPATIBLE (a tensor is
 * missing, unexpected or of another shape), EIO, ENOMEM.
 */
cairn_status crn_gguf_import(const crn_os *os, const char *path, int64_t positions,
                             crn_hf_model *out, cairn_error *err);

typedef struct crn_gguf_export_options {
    cairn_dtype dtype;     /* of matrices: F32, F16 or BF16; what is added to them stays F32 */
    const char *tokenizer; /* as of cairn_tokenizer_open; NULL: the file has no vocabulary */
} crn_gguf_export_options;

/* Whether crn_gguf_export can write @model. What the file says, but llama.cpp does not heed, is
 * told to @log, which may be NULL. EUNSUPPORTED: the message names the option. */
cairn_status crn_gguf_check(const crn_hf_model *model, const cairn_log *log, cairn_error *err);

/* Rounds the parameters to what a file with matrices of @dtype holds. EUNSUPPORTED: one is too
 * large for F16. */
cairn_status crn_gguf_round(crn_hf_model *model, cairn_dtype dtype, cairn_error *err);

/* Writes the file @name, durably, into @folder; what it cannot hold is rounded. EUNSUPPORTED: as
 * crn_gguf_check, or the tokenizer cannot be expressed.  EINCOMPATIBLE: it has more tokens than the
 * model.  EDATA: it cannot be read.  EIO, ENOSPACE, ENOMEM. */
cairn_status crn_gguf_export(const crn_hf_model *model, const crn_gguf_export_options *options,
                             const crn_folder *folder, const char *name, uint64_t *out_tensors,
                             cairn_error *err);

#endif
