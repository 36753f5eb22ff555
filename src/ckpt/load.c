#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "ckpt/load_priv.h"

static cairn_status check_version(const crn_load *load, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_checkpoint *const ckpt = load->ckpt;
    if (ckpt->major <= CAIRN_FORMAT_MAJOR)
        return CAIRN_OK;
    if (!load->options->allow_newer_version)
        CRN_FAIL(err, CAIRN_EVERSION,
                 "'%s' was written in format %s, which is newer than this program's %d.%d (set "
                 "strict_version: false to try)",
                 ckpt->path, ckpt->format_version, CAIRN_FORMAT_MAJOR, CAIRN_FORMAT_MINOR);
    cairn_log_message(load->options->log, CAIRN_LOG_WARNING,
                      "'%s' was written in format %s, which is newer than this program's %d.%d",
                      ckpt->path, ckpt->format_version, CAIRN_FORMAT_MAJOR, CAIRN_FORMAT_MINOR);
out:
    return rc;
}

static cairn_status check_required(const crn_load *load, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const required = load->options->required_state;
    for (size_t i = 0; required != NULL && i < load->report->state_count; i++) {
        const cairn_load_state *const state = &load->report->states[i];
        if (strcmp(state->name, required) == 0 && state->tensors_loaded == 0)
            CRN_FAIL(err, CAIRN_EINCOMPATIBLE,
                     "nothing in '%s' matches the %zu tensors of '%s': it is not its checkpoint",
                     load->ckpt->path, state->tensors_in_tree, required);
    }
out:
    return rc;
}

static cairn_status check_matches(const crn_load *load, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (load->mismatch_count > 1)
        CRN_FAIL(err, CAIRN_EINCOMPATIBLE, "'%s' does not fit: %s, and %zu more differ",
                 load->ckpt->path, load->mismatch.text, load->mismatch_count - 1);
    if (load->mismatch_count == 1)
        CRN_FAIL(err, CAIRN_EINCOMPATIBLE, "'%s' does not fit: %s", load->ckpt->path,
                 load->mismatch.text);
    CRN_TRY_PLAIN(check_required(load, err));
    if (!load->options->is_tolerant)
        CRN_TRY_PLAIN(crn_load_report_check_strict(load->report, load->ckpt->path, err));
out:
    return rc;
}

static cairn_status load_values(const crn_load *load, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_state_texts *const values = &load->ckpt->values;
    for (size_t i = 0; i < values->count; i++) {
        const crn_state_text *const value = &values->items[i];
        for (size_t j = 0; j < load->report->state_count; j++) {
            if (!load->is_wanted[j] || strcmp(load->report->states[j].name, value->state) != 0)
                continue;
            CRN_TRY_PLAIN(cairn_state_set_text(cairn_state_tree_at(load->tree, j), value->key,
                                               value->text, err));
        }
    }
out:
    return rc;
}

static cairn_status run_load(crn_load *load, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (cairn_state_tree_bytes(load->tree) > 0 && cairn_state_tree_arena(load->tree) == NULL)
        CRN_FAIL(err, CAIRN_EINVAL, "the state tree is not allocated");
    CRN_TRY_PLAIN(check_version(load, err));
    CRN_TRY_PLAIN(crn_load_choose_states(load, err));
    CRN_TRY_PLAIN(crn_load_match(load, err));
    CRN_TRY_PLAIN(check_matches(load, err));
    CRN_TRY_PLAIN(crn_load_read(load, err));
    CRN_TRY_PLAIN(load_values(load, err));
out:
    return rc;
}

cairn_status cairn_checkpoint_load(cairn_checkpoint *ckpt, cairn_state_tree *tree,
                                   const cairn_load_options *options,
                                   cairn_load_report **out_report, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_load_options given;
    crn_load load = {.ckpt = ckpt, .tree = tree, .options = &given};
    const int64_t start = ckpt->os->monotonic_ns(ckpt->os);
    if (out_report != NULL)
        *out_report = NULL;
    CRN_TRY_PLAIN(crn_options_copy(&given, sizeof given, options, err));
    CRN_TRY_PLAIN(crn_load_report_new(tree, &load.report, err));
    rc = run_load(&load, err);
    load.report->is_verified = rc == CAIRN_OK && ckpt->info.has_metadata;
    load.report->seconds = (double)(ckpt->os->monotonic_ns(ckpt->os) - start) / 1e9;
    if (out_report != NULL && (rc == CAIRN_OK || rc == CAIRN_EINCOMPATIBLE)) {
        *out_report = load.report;
        load.report = NULL;
    }
out:
    cairn_load_report_destroy(load.report);
    crn_free(load.is_wanted);
    crn_free(load.matches);
    crn_free(load.by_tensor);
    crn_free(load.twins);
    crn_str_dispose(&load.mismatch);
    return rc;
}
