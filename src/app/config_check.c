/* `cairn config check` and `cairn config show`. */
#include <string.h>

#include "app/app_config.h"
#include "base/mem.h"
#include "base/try.h"

static void append_json(crn_str *out, const char *text)
{
    crn_str_append_json(out, text, strlen(text));
}

static cairn_status find_verb(const char *name, crn_verb *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    *out = CRN_VERB_ANY;
    if (name == NULL)
        return CAIRN_OK;
    for (int verb = CRN_VERB_FIT; verb < CRN_VERB_ANY; verb++) {
        if (strcmp(name, crn_verb_name((crn_verb)verb)) == 0)
            *out = (crn_verb)verb;
    }
    if (*out == CRN_VERB_ANY)
        CRN_FAIL(err, CAIRN_ECONFIG, "the verb '%s' is none of fit, validate, validate_all", name);
out:
    return rc;
}

/* ---- Check ---- */

/* How many values were given, and how many are defaults. */
struct tally {
    size_t given;
    size_t defaults;
};

static void count_values(const crn_node *node, struct tally *tally)
{
    if (node->first == NULL && node->is_default)
        tally->defaults++;
    else if (node->first == NULL)
        tally->given++;
    for (const crn_node *child = node->first; child != NULL; child = child->next)
        count_values(child, tally);
}

static void append_problem_json(const crn_problem *problem, crn_str *out)
{
    crn_str_append(out, "{\"file\":");
    if (problem->file != NULL)
        append_json(out, problem->file);
    else
        crn_str_append(out, "null");
    crn_str_printf(out, ",\"line\":%zu,\"column\":%zu,\"text\":", problem->line, problem->column);
    append_json(out, problem->text != NULL ? problem->text : "");
    crn_str_append(out, "}");
}

static void append_problems_json(const crn_diag *diag, crn_severity severity, crn_str *out)
{
    const char *separator = "";
    for (size_t i = 0; i < diag->count; i++) {
        if (diag->problems[i].severity != severity)
            continue;
        crn_str_append(out, separator);
        append_problem_json(&diag->problems[i], out);
        separator = ",";
    }
}

static void report_json(const char *path, const crn_diag *diag, const struct tally *tally,
                        crn_str *out)
{
    crn_str_append(out, "{\"file\":");
    append_json(out, path);
    crn_str_printf(out, ",\"ok\":%s,\"error_count\":%zu,\"errors\":[",
                   diag->error_count == 0 ? "true" : "false", diag->error_count);
    append_problems_json(diag, CRN_SEVERITY_ERROR, out);
    crn_str_append(out, "],\"notices\":[");
    append_problems_json(diag, CRN_SEVERITY_NOTICE, out);
    crn_str_printf(out, "],\"given\":%zu,\"defaults\":%zu}\n", tally->given, tally->defaults);
}

static void report(const char *path, const crn_diag *diag, const struct tally *tally, crn_str *out)
{
    char clean[400];
    size_t kept = 0;
    for (size_t i = 0; i < diag->count; i++) {
        const bool is_error = diag->problems[i].severity == CRN_SEVERITY_ERROR;
        kept += is_error;
        crn_problem_format(&diag->problems[i], out);
        crn_str_append(out, is_error ? "\n" : " (notice)\n");
    }
    crn_str_append(out, crn_escape(path, strlen(path), clean, sizeof clean));
    if (diag->error_count == 0)
        crn_str_printf(out, ": ok: %zu values given, %zu defaults\n", tally->given,
                       tally->defaults);
    else
        crn_str_printf(out, ": %zu error%s%s\n", diag->error_count,
                       diag->error_count == 1 ? "" : "s",
                       diag->error_count > kept ? ", not all of them listed" : "");
}

cairn_status cairn_app_config_check(const cairn_app_request *request, const char *verb,
                                    bool as_json, bool *out_is_good, char **out_text,
                                    cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_diag diag = {0};
    crn_str text = {0};
    struct tally tally = {0};
    cairn_error unread = {0};
    crn_app_configs configs = {0};
    crn_verb number = CRN_VERB_ANY;
    CRN_TRY_PLAIN(find_verb(verb, &number, err));
    if (crn_app_configs_look(request, number, &configs, &diag, &unread) != CAIRN_OK)
        crn_diag_error_at(&diag, request->params_path, 0, 0, "%s%s%s", unread.frame[0].text,
                          unread.os_errno != 0 ? ": " : "",
                          unread.os_errno != 0 ? strerror(unread.os_errno) : "");
    if (configs.doc != NULL && crn_doc_root(configs.doc) != NULL)
        count_values(crn_doc_root(configs.doc), &tally);
    if (as_json)
        report_json(request->params_path, &diag, &tally, &text);
    else
        report(request->params_path, &diag, &tally, &text);
    *out_is_good = diag.error_count == 0;
    *out_text = diag.is_failed ? NULL : crn_str_take(&text);
    CRN_NEED(err, *out_text, "the report");
out:
    crn_app_configs_dispose(&configs);
    crn_diag_dispose(&diag);
    crn_str_dispose(&text);
    return rc;
}

/* ---- Show ---- */

/* {"path":"trainer.init.seed","value":11,"origin":"file","file":"params.yaml","line":3,"column":5}
 */
static void append_value_json(const crn_node *node, const char *path, crn_str *out)
{
    const bool is_file = !node->is_default && node->line > 0;
    crn_str_append(out, "{\"path\":");
    append_json(out, path);
    crn_str_append(out, ",\"value\":");
    crn_node_to_json(node, out);
    crn_str_append(out, ",\"origin\":");
    if (!is_file) {
        crn_str origin = {0};
        crn_node_append_origin(node, &origin);
        append_json(out, origin.text != NULL ? origin.text : "");
        crn_str_dispose(&origin);
    } else {
        crn_str_append(out, "\"file\",\"file\":");
        append_json(out, node->origin);
        crn_str_printf(out, ",\"line\":%zu,\"column\":%zu", node->line, node->column);
    }
    crn_str_append(out, "}");
}

/* The values below @node, each with its path; depth is bounded by the document's. */
static void append_values_json(const crn_node *node, crn_str *path, const char **separator,
                               crn_str *out)
{
    size_t index = 0;
    if (node->first == NULL) {
        crn_str_append(out, *separator);
        append_value_json(node, path->text != NULL ? path->text : "", out);
        *separator = ",\n";
        return;
    }
    for (const crn_node *child = node->first; child != NULL; child = child->next, index++) {
        const size_t length = path->length;
        crn_path_append(path, child, index);
        append_values_json(child, path, separator, out);
        if (path->text != NULL)
            path->text[length] = '\0';
        path->length = length;
    }
}

static void show_json(const crn_node *root, crn_str *out)
{
    crn_str path = {0};
    const char *separator = "\n";
    crn_str_append(&path, "");
    crn_str_append(out, "[");
    append_values_json(root, &path, &separator, out);
    crn_str_append(out, "\n]\n");
    out->is_failed = out->is_failed || path.is_failed;
    crn_str_dispose(&path);
}

cairn_status cairn_app_config_show(const cairn_app_request *request, const char *verb, bool as_json,
                                   char **out_text, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str text = {0};
    crn_app_configs configs = {0};
    crn_verb number = CRN_VERB_ANY;
    CRN_TRY_PLAIN(find_verb(verb, &number, err));
    CRN_TRY_PLAIN(crn_app_configs_read(request, number, &configs, err));
    if (as_json)
        show_json(crn_doc_root(configs.doc), &text);
    else
        crn_node_to_yaml_origins(crn_doc_root(configs.doc), &text);
    *out_text = crn_str_take(&text);
    CRN_NEED(err, *out_text, "the configuration");
out:
    crn_app_configs_dispose(&configs);
    crn_str_dispose(&text);
    return rc;
}
