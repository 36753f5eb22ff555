/* A callback's own state in the tree. */
#ifndef CRN_CALLBACKS_OWN_STATE_H
#define CRN_CALLBACKS_OWN_STATE_H

#include "cairn/callbacks.h"

/* Adds the state @name; of several callbacks of a kind the second gets "<name>_2" and so on. In
 * setup. *out is borrowed from the tree. */
cairn_status crn_own_state(cairn_trainer *trainer, const char *name, cairn_state **out,
                           cairn_error *err);

#endif
