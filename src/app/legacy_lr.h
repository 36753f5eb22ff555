/* The learning rates of the layout before the Trainer (legacy.h). */
#ifndef CRN_APP_LEGACY_LR_H
#define CRN_APP_LEGACY_LR_H

#include "config/config.h"

/*
 * Makes trainer.init.schedulers from learning_rate of the old @optimizer (may be NULL): a number is
 * a ConstantLR; {scheduler: Linear, ...} is {LinearLR: {...}}; of a list the parts follow each
 * other, or are multiplied if one of them has main_scheduler chained. With adjust_learning_rate
 * the whole is scaled for each group (ScalePerParamLR).
 */
void crn_legacy_convert_lr(crn_doc *doc, const crn_node *optimizer, crn_node *init, crn_diag *diag);

#endif
