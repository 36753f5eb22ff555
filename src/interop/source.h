/* What stands at a path, and the model in it. */
#ifndef CRN_INTEROP_SOURCE_H
#define CRN_INTEROP_SOURCE_H

#include "interop/hf_model.h"

typedef enum crn_source_kind {
    CRN_SOURCE_CHECKPOINT, /* a file that is none of the others */
    CRN_SOURCE_HF,         /* a folder */
    CRN_SOURCE_GGUF,
    CRN_SOURCE_PICKLE, /* PyTorch's, beside a config.json */
    CRN_SOURCE_ZOO     /* a checkpoint of the Model Zoo, HDF5: cairn_checkpoint_import opens it */
} crn_source_kind;

/* Looks at @path. ENOTFOUND, EIO. */
cairn_status crn_source_find(const crn_os *os, const char *path, crn_source_kind *out,
                             cairn_error *err);

/* The model of a source of others that is no checkpoint; see crn_hf_model_import. */
cairn_status crn_source_import(const crn_os *os, const char *path, crn_source_kind kind,
                               int64_t positions, crn_hf_model *out, cairn_error *err);

#endif
