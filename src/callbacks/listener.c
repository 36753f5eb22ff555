#include "callbacks/listener.h"

#include <fnmatch.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/try.h"

enum { FULL_NAME_SIZE = 512 };

void crn_listener_dispose(crn_listener *listener)
{
    for (size_t i = 0; i < listener->count; i++)
        crn_free(listener->patterns[i]);
    crn_free(listener->patterns);
    crn_free(listener->prefix);
    *listener = (crn_listener){0};
}

cairn_status crn_listener_init(crn_listener *out, const char *who, const char *name,
                               const cairn_opt_list *patterns, crn_heard_fn heard, void *user,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    *out = (crn_listener){.who = who, .heard = heard, .user = user};
    if (patterns->count == 0)
        CRN_FAIL(err, CAIRN_ECONFIG, "%s: tensor_names is empty; '*' stands for all tensors", who);
    out->prefix = crn_strdup(name);
    out->patterns = crn_calloc(patterns->count, sizeof *out->patterns);
    CRN_NEED(err, out->prefix, who);
    CRN_NEED(err, out->patterns, who);
    for (size_t i = 0; i < patterns->count; i++) {
        out->patterns[i] = crn_strdup(patterns->items[i]);
        CRN_NEED(err, out->patterns[i], who);
        out->count++;
    }
out:
    return rc;
}

static cairn_status offer(crn_listener *listener, const char *name, const char *suffix,
                          const float *values, size_t count, cairn_error *err)
{
    char full[FULL_NAME_SIZE];
    const int prefix = snprintf(full, sizeof full, "%s/", listener->prefix);
    if (prefix < 0 || (size_t)prefix >= sizeof full)
        return CAIRN_OK;
    (void)snprintf(full + prefix, sizeof full - (size_t)prefix, "%s%s", name, suffix);
    for (size_t i = 0; i < listener->count; i++) {
        if (fnmatch(listener->patterns[i], full + prefix, 0) != 0)
            continue;
        listener->has_matched = true;
        return listener->heard(listener->user, listener->trainer, full, values, count, err);
    }
    return CAIRN_OK;
}

static cairn_status observe(void *user, const char *name, const float *values, size_t count,
                            cairn_error *err)
{
    return offer(user, name, "", values, count, err);
}

cairn_status crn_listener_begin(crn_listener *listener, cairn_trainer *trainer, cairn_error *err)
{
    listener->trainer = trainer;
    return cairn_trainer_observe(trainer, observe, listener, err);
}

static cairn_status offer_all(crn_listener *listener, const cairn_state *state, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (size_t i = 0; i < cairn_state_tensor_count(state); i++) {
        const cairn_tensor *const tensor = cairn_state_tensor_at(state, i);
        const size_t count = (size_t)cairn_tensor_elements(tensor);
        if (tensor->dtype != CAIRN_DTYPE_F32)
            continue;
        CRN_TRY_PLAIN(offer(listener, tensor->name, "", tensor->data, count, err));
        if (tensor->grad != NULL)
            CRN_TRY_PLAIN(offer(listener, tensor->name, ".grad", tensor->grad, count, err));
    }
out:
    return rc;
}

cairn_status crn_listener_parameters(crn_listener *listener, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_state *const model = cairn_trainer_model_state(listener->trainer);
    const cairn_state *const trained = cairn_trainer_trained_state(listener->trainer);
    CRN_TRY_PLAIN(offer_all(listener, model, err));
    if (trained != model)
        CRN_TRY_PLAIN(offer_all(listener, trained, err));
    if (!listener->has_matched && !listener->is_warned) {
        listener->is_warned = true;
        cairn_log_message(cairn_trainer_log(listener->trainer), CAIRN_LOG_WARNING,
                          "%s '%s': no tensor fits its tensor_names; `cairn checkpoint info` lists "
                          "the parameters",
                          listener->who, listener->prefix);
    }
out:
    return rc;
}
