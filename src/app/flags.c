/* GlobalFlags, ScopedTrainFlags and ScopedValidateFlags (Model Zoo reference, 2.7). */
#include <string.h>

#include "app/classes.h"
#include "base/mem.h"

static const char *const k_callbacks[] = {"GlobalFlags", "ScopedTrainFlags", "ScopedValidateFlags"};
enum { GLOBAL, TRAIN, VALIDATE, CALLBACKS };

static const char k_check[] = "cairn.check_finite";

bool crn_is_flags(const char *name)
{
    return crn_names_find(name, k_callbacks, CALLBACKS) >= 0;
}

static bool read_flag(const crn_node *flag, int callback, const char *where,
                      cairn_check_flags_options *out, crn_diag *diag)
{
    static const char *const k_flags[] = {k_check};
    bool value = false;
    if (crn_starts_with(flag->name, "csx.")) {
        crn_diag_notice(diag, flag, "%s: %s has no effect: it concerns Cerebras systems", where,
                        flag->name);
        return true;
    }
    if (strcmp(flag->name, k_check) != 0) {
        crn_diag_unknown(diag, flag, "flag", flag->name, where, k_flags, 1, NULL);
        return false;
    }
    if (!crn_node_to_bool(flag, where, &value, diag))
        return false;
    out->in_training = value && callback != VALIDATE;
    out->in_validation = value && callback != TRAIN;
    return true;
}

bool crn_read_flags(const char *name, const crn_node *args, const char *where, void **out,
                    crn_diag *diag)
{
    cairn_check_flags_options *const options = crn_calloc(1, sizeof *options);
    bool is_good = options != NULL;
    *out = options;
    if (options == NULL) {
        diag->is_failed = true;
        return false;
    }
    if (crn_node_is_null(args))
        return true;
    if (args->kind != CRN_NODE_MAP) {
        crn_diag_error(diag, args, "%s must be a map of flags, such as {%s: true}", where, k_check);
        return false;
    }
    for (const crn_node *flag = args->first; flag != NULL; flag = flag->next)
        is_good =
            read_flag(flag, crn_names_find(name, k_callbacks, CALLBACKS), where, options, diag) &&
            is_good;
    return is_good;
}
