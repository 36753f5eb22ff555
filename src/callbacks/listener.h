/* What NormTensorListener and SummaryTensorListener share: which tensors they listen to, and when
 * they hear of each. */
#ifndef CRN_CALLBACKS_LISTENER_H
#define CRN_CALLBACKS_LISTENER_H

#include "cairn/callbacks.h"

/* Gets the values of a tensor that matches; @name is "<listener_name>/<tensor>". */
typedef cairn_status (*crn_heard_fn)(void *user, cairn_trainer *trainer, const char *name,
                                     const float *values, size_t count, cairn_error *err);

typedef struct crn_listener {
    const char *who; /* static, for messages */
    char *prefix;
    char **patterns; /* [count] */
    size_t count;
    crn_heard_fn heard;
    void *user;
    cairn_trainer *trainer; /* borrowed from setup on */
    bool has_matched;       /* something, since the run began */
    bool is_warned;
} crn_listener;

/* Copies the texts. CAIRN_ECONFIG: there is no pattern; CAIRN_ENOMEM. Dispose of @out. */
cairn_status crn_listener_init(crn_listener *out, const char *who, const char *name,
                               const cairn_opt_list *patterns, crn_heard_fn heard, void *user,
                               cairn_error *err);
void crn_listener_dispose(crn_listener *listener);
/* In setup: hears of what operations give. */
cairn_status crn_listener_begin(crn_listener *listener, cairn_trainer *trainer, cairn_error *err);
/* In on_before_optimizer_step of a log step: hears of parameters and gradients. */
cairn_status crn_listener_parameters(crn_listener *listener, cairn_error *err);

#endif
