/* Low-rank adapters of a checkpoint, for those who load its model without a trainer. */
#ifndef CRN_INTEROP_ADAPTERS_H
#define CRN_INTEROP_ADAPTERS_H

#include "cairn/checkpoint.h"
#include "cairn/plugin/model.h"

#define CRN_ADAPTERS_STATE "lora"

/*
 * Which checkpoint the adapters for the model of @ckpt come from: @lora_path if it is not NULL,
 * which is opened as *out_other, for the caller to close; else @ckpt itself. *out_lora NULL: @ckpt
 * has none. Statuses: cairn_checkpoint_open.
 */
cairn_status crn_adapters_choose(cairn_checkpoint *ckpt, const char *lora_path,
                                 cairn_checkpoint **out_other, cairn_checkpoint **out_lora,
                                 cairn_error *err);
/*
 * Gives @model the adapters that @ckpt was trained with, as the parameters in it say, and adds them
 * to @tree, which is not allocated yet, as the state CRN_ADAPTERS_STATE.
 * EINCOMPATIBLE: the file has none, or its parameters say nothing of them. EUNSUPPORTED: the model
 * takes no adapters. Others: cairn_adapter_ops.add.
 */
cairn_status crn_adapters_declare(const cairn_model *model, cairn_state_tree *tree,
                                  const cairn_checkpoint *ckpt, cairn_error *err);
/* Loads the adapters of @ckpt into @tree. Statuses: cairn_checkpoint_load. */
cairn_status crn_adapters_load(cairn_checkpoint *ckpt, cairn_state_tree *tree, const cairn_log *log,
                               cairn_error *err);

#endif
