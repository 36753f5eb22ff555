/* Problems found in a configuration, collected. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "config/config_priv.h"

enum { MESSAGE_SIZE = 1200, LISTED_MAX = 12 };

static void diag_add(crn_diag *diag, crn_severity severity, const char *file, size_t line,
                     size_t column, const char *format, va_list args) CAIRN_PRINTF(6, 0);

static void diag_add(crn_diag *diag, crn_severity severity, const char *file, size_t line,
                     size_t column, const char *format, va_list args)
{
    char raw[MESSAGE_SIZE];
    char clean[MESSAGE_SIZE];
    size_t *const found = severity == CRN_SEVERITY_ERROR ? &diag->error_count : &diag->notice_count;
    if ((*found)++ >= CRN_DIAG_ERRORS_MAX)
        return;
    if (crn_grow(&diag->problems, &diag->capacity, diag->count + 1, sizeof *diag->problems, NULL) !=
        CAIRN_OK) {
        diag->is_failed = true;
        return;
    }
    (void)vsnprintf(raw, sizeof raw, format, args);
    crn_problem *const problem = &diag->problems[diag->count];
    problem->severity = severity;
    problem->line = line;
    problem->column = column;
    problem->text = crn_strdup(crn_escape(raw, strlen(raw), clean, sizeof clean));
    problem->file =
        file != NULL ? crn_strdup(crn_escape(file, strlen(file), raw, sizeof raw)) : NULL;
    diag->count++; /* Before the check: crn_diag_dispose then frees what there is. */
    if (problem->text == NULL || (file != NULL && problem->file == NULL))
        diag->is_failed = true;
}

void crn_diag_error(crn_diag *diag, const crn_node *node, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    diag_add(diag, CRN_SEVERITY_ERROR, node != NULL ? node->origin : NULL,
             node != NULL ? node->line : 0, node != NULL ? node->column : 0, format, args);
    va_end(args);
}

void crn_diag_notice(crn_diag *diag, const crn_node *node, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    diag_add(diag, CRN_SEVERITY_NOTICE, node != NULL ? node->origin : NULL,
             node != NULL ? node->line : 0, node != NULL ? node->column : 0, format, args);
    va_end(args);
}

void crn_diag_error_at(crn_diag *diag, const char *file, size_t line, size_t column,
                       const char *format, ...)
{
    va_list args;
    va_start(args, format);
    diag_add(diag, CRN_SEVERITY_ERROR, file, line, column, format, args);
    va_end(args);
}

bool crn_diag_is_full(const crn_diag *diag)
{
    return diag->error_count >= CRN_DIAG_ERRORS_MAX;
}

void crn_diag_unknown_of(crn_diag *diag, const crn_node *node, const char *what, const char *wrong,
                         const char *where, const char *const *names, size_t count, size_t listed,
                         const char *help)
{
    crn_str way_out = {0};
    const bool is_key = node != NULL && node->name != NULL && strcmp(node->name, wrong) == 0;
    if (crn_diag_is_full(diag)) {
        diag->error_count++;
        return;
    }
    const char *const near = crn_nearest(wrong, names, count);
    if (near != NULL) {
        crn_str_printf(&way_out, "did you mean '%s'?", near);
    } else if (help != NULL && listed > LISTED_MAX) {
        crn_str_printf(&way_out, "`cairn help %s` lists them", help);
    } else if (listed == 0) {
        crn_str_append(&way_out, "there are none");
    } else {
        crn_str_append(&way_out, listed == 1 ? "the only one is" : "there are");
        for (size_t i = 0; i < listed; i++)
            crn_str_printf(&way_out, "%s '%s'", i > 0 ? "," : "", names[i]);
    }
    if (way_out.is_failed)
        diag->is_failed = true;
    crn_diag_error_at(diag, node != NULL ? node->origin : NULL,
                      node == NULL ? 0
                      : is_key     ? node->key_line
                                   : node->line,
                      node == NULL ? 0
                      : is_key     ? node->key_column
                                   : node->column,
                      "unknown %s '%.80s'%s%s; %s", what, wrong, where != NULL ? " in " : "",
                      where != NULL ? where : "", way_out.text != NULL ? way_out.text : "");
    crn_str_dispose(&way_out);
}

void crn_diag_unknown(crn_diag *diag, const crn_node *node, const char *what, const char *wrong,
                      const char *where, const char *const *names, size_t count, const char *help)
{
    crn_diag_unknown_of(diag, node, what, wrong, where, names, count, count, help);
}

void crn_problem_format(const crn_problem *problem, crn_str *out)
{
    if (problem->file != NULL) {
        crn_str_append(out, problem->file);
        if (problem->line > 0)
            crn_str_printf(out, ":%zu:%zu", problem->line, problem->column);
        crn_str_append(out, ": ");
    }
    crn_str_append(out, problem->text != NULL ? problem->text : "");
}

/* By place; 0: neither comes before the other. */
static int compare_places(const crn_problem *a, const crn_problem *b)
{
    if (a->line == 0 || b->line == 0)
        return (a->line == 0) - (b->line == 0);
    const int files = strcmp(a->file, b->file);
    if (files != 0)
        return files;
    if (a->line != b->line)
        return a->line < b->line ? -1 : 1;
    return a->column == b->column ? 0 : a->column < b->column ? -1 : 1;
}

void crn_diag_sort(crn_diag *diag)
{
    /* By insertion: it is stable, and there are few. */
    for (size_t i = 1; i < diag->count; i++) {
        const crn_problem problem = diag->problems[i];
        size_t at = i;
        for (; at > 0 && compare_places(&diag->problems[at - 1], &problem) > 0; at--)
            diag->problems[at] = diag->problems[at - 1];
        diag->problems[at] = problem;
    }
}

cairn_status crn_diag_check(const crn_diag *diag, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str text = {0};
    if (diag->is_failed)
        CRN_FAIL(err, CAIRN_ENOMEM, "no memory for the configuration");
    for (size_t i = 0; i < diag->count && text.length == 0; i++) {
        if (diag->problems[i].severity == CRN_SEVERITY_ERROR)
            crn_problem_format(&diag->problems[i], &text);
    }
    CRN_TRY_PLAIN(crn_str_check(&text, err));
    if (diag->error_count == 1)
        CRN_FAIL(err, CAIRN_ECONFIG, "%s", text.text);
    if (diag->error_count > 1)
        CRN_FAIL(err, CAIRN_ECONFIG, "%s (and %zu more)", text.text, diag->error_count - 1);
out:
    crn_str_dispose(&text);
    return rc;
}

void crn_diag_dispose(crn_diag *diag)
{
    for (size_t i = 0; i < diag->count; i++) {
        crn_free(diag->problems[i].file);
        crn_free(diag->problems[i].text);
    }
    crn_free(diag->problems);
    *diag = (crn_diag){0};
}
