/* The callbacks of a trainer, called hook by hook in order. */
#ifndef CRN_TRAIN_CALLBACK_LIST_H
#define CRN_TRAIN_CALLBACK_LIST_H

#include "cairn/plugin/callback.h"

typedef struct crn_callback_list {
    cairn_callback *items;
    size_t count;
    size_t capacity;
} crn_callback_list;

/* Which hook; the order of CAIRN_HOOK_LIST. */
typedef enum crn_hook {
#define X(hook, when) CRN_HOOK_##hook,
    CAIRN_HOOK_LIST(X)
#undef X
        CRN_HOOK_COUNT
} crn_hook;

/* Takes @callback, also on failure. EVERSION: its table is larger than ours; EINVAL: no name. */
cairn_status crn_callback_list_add(crn_callback_list *list, cairn_callback callback,
                                   cairn_error *err);

/*
 * Calls @hook of every callback that has it, in order; stops at the first failure and adds the
 * callback's name to it. A table smaller than ours (an older plugin) lacks the later hooks.
 */
cairn_status crn_callback_list_call(const crn_callback_list *list, crn_hook hook,
                                    const cairn_event *event, cairn_control *control,
                                    cairn_error *err);

/* Calls @hook of all of them, whatever they return or ask for: to tell of a failure. */
void crn_callback_list_tell(const crn_callback_list *list, crn_hook hook, const cairn_event *event);

/* Destroys all callbacks, last added first. */
void crn_callback_list_dispose(crn_callback_list *list);

#endif
