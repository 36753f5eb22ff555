#include "ckpt/load_report.h"

#include <string.h>

#include "base/mem.h"
#include "base/try.h"

enum { NAMES_SHOWN = 10, NAMES_BYTES = 300 /* of a line of an error, which has 400 */ };

typedef struct report_box {
    cairn_load_report public; /* first: callers hold its address */
    cairn_load_state *states;
    crn_report_lists *lists;
} report_box;

cairn_status crn_load_report_new(const cairn_state_tree *tree, cairn_load_report **out,
                                 cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const size_t count = cairn_state_tree_count(tree);
    report_box *box = crn_calloc(1, sizeof *box);
    CRN_NEED(err, box, "a load report");
    box->states = crn_calloc(count, sizeof *box->states);
    CRN_NEED(err, box->states, "a load report");
    box->lists = crn_calloc(count, sizeof *box->lists);
    CRN_NEED(err, box->lists, "a load report");
    box->public.states = box->states;
    for (size_t i = 0; i < count; i++) {
        const cairn_state *const state = cairn_state_tree_at(tree, i);
        box->lists[i].name = crn_strdup(cairn_state_name(state));
        box->public.state_count = i + 1;
        CRN_NEED(err, box->lists[i].name, "a load report");
        box->states[i].name = box->lists[i].name;
        box->states[i].tensors_in_tree = cairn_state_tensor_count(state);
    }
    *out = &box->public;
    box = NULL;
out:
    cairn_load_report_destroy(box != NULL ? &box->public : NULL);
    return rc;
}

void cairn_load_report_destroy(cairn_load_report *report)
{
    report_box *const box = (report_box *)report;
    if (box == NULL)
        return;
    for (size_t i = 0; i < box->public.state_count; i++) {
        crn_free(box->lists[i].name);
        crn_name_list_dispose(&box->lists[i].missing);
        crn_name_list_dispose(&box->lists[i].unexpected);
    }
    crn_free(box->states);
    crn_free(box->lists);
    crn_free(box);
}

cairn_load_state *crn_load_report_state(cairn_load_report *report, size_t i)
{
    return &((report_box *)report)->states[i];
}

/* The lists may have moved: what callers see is set again. */
static void show_lists(report_box *box, size_t i)
{
    cairn_load_state *const state = &box->states[i];
    const crn_report_lists *const lists = &box->lists[i];
    state->missing = (const char *const *)lists->missing.items;
    state->missing_count = lists->missing.count;
    state->unexpected = (const char *const *)lists->unexpected.items;
    state->unexpected_count = lists->unexpected.count;
}

cairn_status crn_load_report_missing(cairn_load_report *report, size_t i, const char *name,
                                     cairn_error *err)
{
    report_box *const box = (report_box *)report;
    const cairn_status rc = crn_name_list_add(&box->lists[i].missing, name, err);
    show_lists(box, i);
    return rc;
}

cairn_status crn_load_report_unexpected(cairn_load_report *report, size_t i, const char *name,
                                        cairn_error *err)
{
    report_box *const box = (report_box *)report;
    const cairn_status rc = crn_name_list_add(&box->lists[i].unexpected, name, err);
    show_lists(box, i);
    return rc;
}

/* "a, b, c and 12 more": the first ten, or fewer if they are long. */
static void append_names(crn_str *out, const char *const *names, size_t count)
{
    const size_t begin = out->length;
    size_t shown = 0;
    char text[160];
    for (; shown < count && shown < NAMES_SHOWN && out->length - begin < NAMES_BYTES / 2; shown++)
        crn_str_printf(out, "%s%s", shown > 0 ? ", " : "",
                       crn_escape(names[shown], strlen(names[shown]), text, sizeof text));
    if (shown < count)
        crn_str_printf(out, " and %zu more", count - shown);
}

/* One frame of the error for each state and side. */
static cairn_status add_lines(const cairn_load_report *report, bool is_missing, size_t *out_total,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str line = {0};
    for (size_t i = 0; i < report->state_count; i++) {
        const cairn_load_state *const state = &report->states[i];
        const size_t count = is_missing ? state->missing_count : state->unexpected_count;
        if (count == 0)
            continue;
        line.length = 0;
        crn_str_printf(&line,
                       is_missing ? "%zu of '%s' not in the file: "
                                  : "%zu of '%s' only in "
                                    "the file: ",
                       count, state->name);
        append_names(&line, is_missing ? state->missing : state->unexpected, count);
        CRN_TRY_PLAIN(crn_str_check(&line, err));
        if (*out_total == 0)
            (void)crn_error_set(err, CAIRN_EINCOMPATIBLE, 0, __FILE__, __LINE__, "%s", line.text);
        else
            crn_error_note(err, CAIRN_EINCOMPATIBLE, __FILE__, __LINE__, "%s", line.text);
        *out_total += count;
    }
out:
    crn_str_dispose(&line);
    return rc;
}

/* The weights fit, and only what trains them does not: what fine-tuning meets. */
static bool fits_model(const cairn_load_report *report)
{
    bool has_model = false;
    for (size_t i = 0; i < report->state_count; i++) {
        const cairn_load_state *const state = &report->states[i];
        if (strcmp(state->name, "model") != 0)
            continue;
        has_model = true;
        if (state->missing_count > 0 || state->unexpected_count > 0)
            return false;
    }
    return has_model;
}

cairn_status crn_load_report_check_strict(const cairn_load_report *report, const char *path,
                                          cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t total = 0;
    CRN_TRY_PLAIN(add_lines(report, false, &total, err));
    CRN_TRY_PLAIN(add_lines(report, true, &total, err));
    if (total == 0)
        return CAIRN_OK;
    crn_error_note(err, CAIRN_EINCOMPATIBLE, __FILE__, __LINE__,
                   "checkpoint '%s' does not fit, tensor by tensor (set %s)", path,
                   fits_model(report) ? "load_checkpoint_states: model in LoadCheckpointStates to "
                                        "load the weights alone"
                                      : "disable_strict_checkpoint_loading: true to load what "
                                        "does");
    rc = CAIRN_EINCOMPATIBLE;
out:
    return rc;
}
