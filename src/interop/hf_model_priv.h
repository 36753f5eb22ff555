/* What hf_model.c shares with those who read models: hf_import.c, gguf_import.c. */
#ifndef CRN_INTEROP_HF_MODEL_PRIV_H
#define CRN_INTEROP_HF_MODEL_PRIV_H

#include "interop/hf_model.h"

/* A model without options: its section is an empty map, to be filled. @file is for messages. */
cairn_status crn_hf_model_begin(const char *file, crn_hf_model *out, cairn_error *err);
/* Reads the section and makes the model, for sequences of at most @positions if it can be cut: its
 * parameters are declared, not allocated. ECONFIG: a number is out of range. ENOMEM. */
cairn_status crn_hf_model_declare(crn_hf_model *model, const char *file, int64_t positions,
                                  cairn_error *err);

#endif
