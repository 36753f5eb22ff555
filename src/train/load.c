/* One checkpoint into the tree: hooks, what is asked for, the receipt. */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "train/trainer_priv.h"

enum { NAMES_SHOWN = 10 };

bool crn_list_has(const char *list, const char *name)
{
    const size_t length = strlen(name);
    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, length) == 0 && (at[length] == ',' || at[length] == '\0'))
            return true;
    }
    return false;
}

/* The names of @wanted that @have has too (NULL: all). */
static char *intersect(const char *have, const char *wanted)
{
    crn_str both = {0};
    for (const char *at = wanted; at != NULL && *at != '\0';) {
        const size_t length = strcspn(at, ",");
        char name[CAIRN_NAME_MAX];
        if (length > 0 && length < sizeof name) {
            memcpy(name, at, length);
            name[length] = '\0';
            if (have == NULL || crn_list_has(have, name))
                crn_str_printf(&both, "%s%s", both.length > 0 ? "," : "", name);
        }
        at += length + (at[length] == ',');
    }
    return crn_str_take(&both);
}

cairn_status cairn_load_select(cairn_load *load, const char *states, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (load->is_fixed) {
        cairn_log_message(
            load->trainer->options.log, CAIRN_LOG_INFO,
            "--resume decides what is loaded; LoadCheckpointStates (%s) is not acted on", states);
        return CAIRN_OK;
    }
    char *const both = intersect(load->states, states);
    CRN_NEED(err, both, "the names of states");
    crn_free(load->states);
    load->states = both;
out:
    return rc;
}

static void log_names(const cairn_log *log, const char *state, const char *what,
                      const char *const *names, size_t count)
{
    crn_str text = {0};
    for (size_t i = 0; i < count && i < NAMES_SHOWN; i++)
        crn_str_printf(&text, "%s%s", i > 0 ? ", " : "", names[i]);
    if (count > NAMES_SHOWN)
        crn_str_printf(&text, " and %zu more", count - NAMES_SHOWN);
    if (count > 0 && text.text != NULL)
        cairn_log_message(log, CAIRN_LOG_WARNING, "%s: %zu %s: %s", state, count, what, text.text);
    crn_str_dispose(&text);
}

static void log_receipt(const cairn_log *log, const cairn_load_report *report)
{
    char bytes[32];
    for (size_t i = 0; i < report->state_count; i++) {
        const cairn_load_state *const state = &report->states[i];
        if (!state->is_loaded || state->tensors_in_file + state->tensors_in_tree == 0)
            continue;
        cairn_log_message(
            log, CAIRN_LOG_INFO,
            "  %s: %zu tensors loaded / %zu in file / %zu in %s, %s, %zu missing, %zu "
            "unexpected",
            state->name, state->tensors_loaded, state->tensors_in_file, state->tensors_in_tree,
            strcmp(state->name, CRN_STATE_MODEL) == 0 ? "model" : "state",
            crn_format_bytes(state->bytes_loaded, bytes), state->missing_count,
            state->unexpected_count);
        log_names(log, state->name, "missing in the checkpoint, kept at their start value",
                  state->missing, state->missing_count);
        log_names(log, state->name, "in the checkpoint but unexpected, not loaded",
                  state->unexpected, state->unexpected_count);
    }
    if (!report->is_verified)
        cairn_log_message(log, CAIRN_LOG_WARNING,
                          "the checkpoint has no digests: damage would go unnoticed");
}

/* Without them the weights are another model than the one that was trained. */
static void warn_about_adapters(const cairn_trainer *trainer, const cairn_checkpoint *ckpt)
{
    if (cairn_checkpoint_has_state(ckpt, CRN_STATE_LORA) &&
        cairn_state_tree_find(trainer->tree, CRN_STATE_LORA) == NULL)
        cairn_log_message(trainer->options.log, CAIRN_LOG_WARNING,
                          "the checkpoint has adapters (state lora) that are left out: the "
                          "configuration has no callback Lora");
}

static cairn_status note_states(const cairn_load_report *report, crn_load_outcome *out,
                                cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (size_t i = 0; i < report->state_count; i++) {
        const cairn_load_state *const state = &report->states[i];
        crn_str *const list = state->is_loaded ? &out->loaded : &out->fresh;
        crn_str_printf(list, "%s%s", list->length > 0 ? ", " : "", state->name);
        if (state->is_loaded && strcmp(state->name, CRN_STATE_GLOBAL_STEP) == 0)
            out->step_loaded = true;
    }
    CRN_TRY_PLAIN(crn_str_check(&out->loaded, err));
    CRN_TRY_PLAIN(crn_str_check(&out->fresh, err));
out:
    return rc;
}

/* Files of other programs must be named; what has the name of a checkpoint of this store is none.
 */
static cairn_status open_checkpoint(const cairn_trainer *trainer, const crn_load_plan *plan,
                                    cairn_checkpoint **out, cairn_error *err)
{
    const cairn_trainer_options *const options = &trainer->options;
    return plan->is_plain_allowed && options->open_checkpoint != NULL
               ? options->open_checkpoint(plan->path, options->log, out, err)
               : cairn_checkpoint_open(plan->path, out, err);
}

/* A plain file with the name of a checkpoint of this store lost its metadata: damage. */
static cairn_status check_metadata(const crn_load_plan *plan, const cairn_checkpoint *ckpt,
                                   cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (!cairn_checkpoint_get_info(ckpt)->has_metadata && !plan->is_plain_allowed)
        CRN_FAIL(err, CAIRN_ECORRUPT,
                 "'%s' has a checkpoint's name but no metadata and digests of cairn; to load it "
                 "all the same, move it out of the model_dir and name it as ckpt_path",
                 plan->path);
out:
    return rc;
}

static cairn_status prepare(cairn_trainer *trainer, const crn_load_plan *plan, cairn_load *load,
                            cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_event event = crn_trainer_event(trainer);
    event.path = plan->path;
    event.is_validation = trainer->optimizer_state == NULL;
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_before_load_checkpoint, &event, err));
    cairn_log_message(trainer->options.log, CAIRN_LOG_INFO, "Loading weights from checkpoint %s",
                      plan->path);
    load->trainer = trainer;
    load->is_fixed = plan->is_fixed;
    if (plan->states != NULL) {
        load->states = crn_strdup(plan->states);
        CRN_NEED(err, load->states, "the names of states");
    }
    event.load = load;
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_preprocess_checkpoint, &event, err));
out:
    return rc;
}

/* Without its model state a checkpoint is of no use, unless it was left out on purpose. */
static const char *required_state(const char *states)
{
    return states == NULL || crn_list_has(states, CRN_STATE_MODEL) ? CRN_STATE_MODEL : NULL;
}

/* A strict load of the model gives every tensor of it a value, or fails; any other does not. */
static bool covers_model(const cairn_trainer *trainer, const char *states)
{
    return !trainer->options.checkpoint.disable_strict_checkpoint_loading &&
           required_state(states) != NULL;
}

static cairn_status finish(cairn_trainer *trainer, const crn_load_plan *plan,
                           const cairn_checkpoint *ckpt, const cairn_load_report *report,
                           crn_load_outcome *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_log *const log = trainer->options.log;
    cairn_event event;
    log_receipt(log, report);
    warn_about_adapters(trainer, ckpt);
    CRN_TRY_PLAIN(note_states(report, out, err));
    if (trainer->optimizer_state != NULL) {
        CRN_TRY_PLAIN(crn_trainer_values_from_tree(trainer, err));
        if (out->step_loaded && cairn_checkpoint_get_info(ckpt)->has_metadata) {
            crn_log_params_diff(log, cairn_checkpoint_params(ckpt), trainer->options.params_json);
            crn_log_environment_diff(log, cairn_checkpoint_environment(ckpt),
                                     trainer->options.environment_json);
        }
    } else if (out->step_loaded) {
        CRN_TRY_PLAIN(cairn_state_get_u64(trainer->step_state, "value", &trainer->step, err));
    }
    memcpy(out->run_id, cairn_checkpoint_get_info(ckpt)->run_id, sizeof out->run_id);
    event = crn_trainer_event(trainer);
    event.path = plan->path;
    event.is_validation = trainer->optimizer_state == NULL;
    CRN_TRY_PLAIN(crn_trainer_call(trainer, CRN_HOOK_on_load_checkpoint, &event, err));
out:
    return rc;
}

/* For a validation all that its tree has, whatever LoadCheckpointStates says: the model, and
 * states of callbacks that files may lack. */
static cairn_status select_for_validation(const cairn_trainer *trainer,
                                          const cairn_checkpoint *ckpt, cairn_load *load,
                                          cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str names = {0};
    crn_str_append(&names, CRN_STATE_MODEL);
    for (size_t i = 0; i < cairn_state_tree_count(trainer->tree); i++) {
        const char *const name = cairn_state_name(cairn_state_tree_at(trainer->tree, i));
        if (strcmp(name, CRN_STATE_MODEL) != 0 && cairn_checkpoint_has_state(ckpt, name))
            crn_str_printf(&names, ",%s", name);
    }
    CRN_TRY_PLAIN(crn_str_check(&names, err));
    crn_free(load->states);
    load->states = crn_str_take(&names);
    CRN_NEED(err, load->states, "the names of states");
out:
    crn_str_dispose(&names);
    return rc;
}

cairn_status crn_trainer_load(cairn_trainer *trainer, const crn_load_plan *plan,
                              crn_load_outcome *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_checkpoint *ckpt = NULL;
    cairn_load_report *report = NULL;
    cairn_load load = {0};
    CRN_TRY_PLAIN(prepare(trainer, plan, &load, err));
    CRN_TRY_PLAIN(open_checkpoint(trainer, plan, &ckpt, err));
    CRN_TRY_PLAIN(check_metadata(plan, ckpt, err));
    if (trainer->optimizer_state == NULL)
        CRN_TRY_PLAIN(select_for_validation(trainer, ckpt, &load, err));
    const cairn_load_options options = {
        .struct_size = sizeof options,
        .states = load.states,
        .is_tolerant = trainer->options.checkpoint.disable_strict_checkpoint_loading,
        .required_state = required_state(load.states),
        .allow_newer_version = !trainer->options.checkpoint.strict_version,
        .log = trainer->options.log,
    };
    if (!covers_model(trainer, load.states))
        CRN_TRY_PLAIN(crn_trainer_initialize_model(trainer, err));
    CRN_TRY_PLAIN(cairn_checkpoint_load(ckpt, trainer->tree, &options, &report, err));
    CRN_TRY_PLAIN(finish(trainer, plan, ckpt, report, out, err));
    out->states = load.states;
    load.states = NULL;
out:
    crn_free(load.states);
    cairn_load_report_destroy(report);
    cairn_checkpoint_close(ckpt);
    return rc;
}

void crn_load_outcome_dispose(crn_load_outcome *outcome)
{
    crn_free(outcome->states);
    crn_str_dispose(&outcome->loaded);
    crn_str_dispose(&outcome->fresh);
    *outcome = (crn_load_outcome){0};
}
