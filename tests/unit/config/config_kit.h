/* What the tests of config/ share. */
#ifndef CONFIG_KIT_H
#define CONFIG_KIT_H

#include "kit/kit.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "config/config.h"

/* Appends all problems of @severity, each on its line, and how many were not kept. */
static inline void append_problems(const crn_diag *diag, crn_severity severity, crn_str *out)
{
    const size_t found = severity == CRN_SEVERITY_ERROR ? diag->error_count : diag->notice_count;
    size_t kept = 0;
    for (size_t i = 0; i < diag->count; i++) {
        if (diag->problems[i].severity != severity)
            continue;
        crn_problem_format(&diag->problems[i], out);
        crn_str_append(out, "\n");
        kept++;
    }
    if (found > kept)
        crn_str_printf(out, "and %zu more\n", found - kept);
}

/* Parses @text as "p.yaml", which must be good. */
static inline crn_doc *must_parse(const char *text)
{
    crn_diag diag = {0};
    crn_doc *doc = NULL;
    crn_str problems = {0};
    const bool is_good = crn_doc_parse(text, strlen(text), "p.yaml", &diag, &doc);
    append_problems(&diag, CRN_SEVERITY_ERROR, &problems);
    if (!is_good)
        fail_msg("%s", problems.text);
    assert_non_null(doc);
    crn_str_dispose(&problems);
    crn_diag_dispose(&diag);
    return doc;
}

/* The text of all problems of @severity is exactly @expected (lines). Empties @diag. */
static inline void assert_problems(crn_diag *diag, crn_severity severity, const char *expected)
{
    crn_str text = {0};
    append_problems(diag, severity, &text);
    assert_string_equal(text.text != NULL ? text.text : "", expected);
    crn_str_dispose(&text);
    crn_diag_dispose(diag);
}

static inline void assert_errors(crn_diag *diag, const char *expected)
{
    assert_problems(diag, CRN_SEVERITY_ERROR, expected);
}

/* @text is refused with exactly these lines. */
static inline void assert_refused(const char *text, const char *expected)
{
    crn_diag diag = {0};
    crn_doc *doc = (crn_doc *)&diag;
    assert_false(crn_doc_parse(text, strlen(text), "p.yaml", &diag, &doc));
    assert_null(doc);
    assert_errors(&diag, expected);
}

static inline void assert_json(const crn_node *node, const char *expected)
{
    crn_str json = {0};
    crn_node_to_json(node, &json);
    assert_string_equal(json.text, expected);
    crn_str_dispose(&json);
}

/* @text parses to the tree whose JSON is @expected. */
static inline void assert_parses(const char *text, const char *expected)
{
    crn_doc *const doc = must_parse(text);
    assert_json(crn_doc_root(doc), expected);
    crn_doc_destroy(doc);
}

/* @unit, @count times, then @tail; yours: free(). */
static inline char *repeat(const char *head, const char *unit, size_t count, const char *tail)
{
    const size_t head_size = strlen(head);
    const size_t size = strlen(unit);
    char *const text = malloc(head_size + size * count + strlen(tail) + 1);
    assert_non_null(text);
    memcpy(text, head, head_size);
    for (size_t i = 0; i < count; i++)
        memcpy(text + head_size + i * size, unit, size);
    memcpy(text + head_size + size * count, tail, strlen(tail) + 1);
    return text;
}

#endif
