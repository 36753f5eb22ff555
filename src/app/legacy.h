/*
 * The layout of the Model Zoo before its Trainer: train_input, eval_input, model, optimizer,
 * sparsity and runconfig at the top of the file.
 */
#ifndef CRN_APP_LEGACY_H
#define CRN_APP_LEGACY_H

#include "config/config.h"

/* Whether the file has no trainer, but a section of that layout. */
bool crn_legacy_is(const crn_node *root);

/*
 * Turns the tree into one with the single key `trainer`, by the table in the Model Zoo's
 * trainer/utils.py (TRAINER_PARAMS_TO_LEGACY). Values that are null or empty are left out. What has
 * no place in the new layout is left out with a notice. The old layout leaves the model's name to
 * the program: @model_name is taken for a model without, or if that is NULL, gpt2, with a notice.
 * False after an error in @diag; the tree is then of no use.
 */
bool crn_legacy_convert(crn_doc *doc, const char *model_name, crn_diag *diag);

#endif
