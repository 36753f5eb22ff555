/* Lists of state names, as callbacks are given them. */
#ifndef CRN_CALLBACKS_STATES_H
#define CRN_CALLBACKS_STATES_H

#include "cairn/callbacks.h"

/*
 * Joins the names of @list, each of which may hold several with commas between, as
 * "model,optimizer": spaces are trimmed, repeated names dropped. "all", in any case, anywhere in
 * the list is "all". An empty list is @preset.
 * @who: the callback, for messages. *out_joined is yours (crn_free).
 * CAIRN_ECONFIG: a name is empty or has a character that no state's name has.
 */
cairn_status crn_states_join(const char *who, const cairn_opt_list *list, const char *preset,
                             char **out_joined, cairn_error *err);

/* CAIRN_ECONFIG, naming the states there are, unless each name of @joined is a state of @tree. */
cairn_status crn_states_check(const char *who, const char *joined, const cairn_state_tree *tree,
                              cairn_error *err);

/*
 * CAIRN_ECONFIG unless @name_template names both {checkpoint_states} and {ckpt_name}, no other
 * field, and a file in the same folder.
 */
cairn_status crn_states_check_template(const char *who, const char *name_template,
                                       cairn_error *err);

#endif
