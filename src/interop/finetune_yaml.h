/* The params.yaml that goes along with a converted model. */
#ifndef CRN_INTEROP_FINETUNE_YAML_H
#define CRN_INTEROP_FINETUNE_YAML_H

#include "interop/hf_model.h"

/* A configuration that fine-tunes @model from @checkpoint, in @model_dir; @source is for the
 * comment. ENOMEM. */
cairn_status crn_finetune_yaml(const crn_hf_model *model, const char *source,
                               const char *checkpoint, const char *model_dir, crn_str *out,
                               cairn_error *err);

#endif
