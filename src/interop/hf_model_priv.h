/* What hf_model.c and hf_import.c share. */
#ifndef CRN_INTEROP_HF_MODEL_PRIV_H
#define CRN_INTEROP_HF_MODEL_PRIV_H

#include "interop/hf_model.h"

/* The model that a config.json describes: its parameters are declared, not allocated. Statuses as
 * crn_hf_model_import. */
cairn_status crn_hf_model_declare(const char *json, size_t size, const char *file,
                                  crn_hf_model *out, cairn_error *err);

#endif
