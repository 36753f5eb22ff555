/* yaml_table.txt, which make_yaml_table.py made: documents as PyYAML reads them, and options as
 * pydantic converts them. */
#include "unit/config/config_kit.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { LINE_SIZE = 2000, PATH_SIZE = 1024 };

struct row {
    char line[LINE_SIZE];
    const char *kind;
    char *text;
    const char *result;
    bool is_refused;
};

/* How many rows came out wrong; all are told before a test fails. */
static size_t s_wrong;

#define WRONG(...) (print_error(__VA_ARGS__), s_wrong++)

typedef void (*row_fn)(const struct row *row);

static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        if (*from != '\\') {
            *to++ = *from;
            continue;
        }
        from++;
        *to++ = (char)(*from == 'n' ? '\n' : *from == 't' ? '\t' : *from);
    }
    *to = '\0';
}

/* Calls @each for every row whose kind is (or is not) "yaml"; returns how many. */
static size_t for_each_row(bool is_yaml, row_fn each)
{
    char path[PATH_SIZE];
    struct row row;
    size_t count = 0;
    const char *const source = getenv("CAIRN_SOURCE_DIR");
    (void)snprintf(path, sizeof path, "%s/tests/unit/config/yaml_table.txt",
                   source != NULL ? source : ".");
    FILE *const file = fopen(path, "re");
    if (file == NULL)
        fail_msg("cannot open %s", path);
    while (fgets(row.line, sizeof row.line, file) != NULL) {
        char *rest = NULL;
        row.line[strcspn(row.line, "\n")] = '\0';
        rest = strchr(row.line, '\t');
        assert_non_null(rest);
        *rest = '\0';
        row.kind = row.line;
        row.text = rest + 1;
        rest = strchr(row.text, '\t');
        assert_non_null(rest);
        *rest = '\0';
        row.result = rest + 1;
        row.is_refused = strcmp(row.result, "refused") == 0;
        unescape(row.text);
        if ((strcmp(row.kind, "yaml") == 0) == is_yaml) {
            each(&row);
            count++;
        }
    }
    assert_int_equal(fclose(file), 0);
    return count;
}

/* ---- Documents ---- */

/* The same but for the order of keys: PyYAML has merged ones first. */
static bool is_equal(const crn_node *a, const crn_node *b)
{
    if (a->kind != b->kind || a->count != b->count)
        return false;
    if (a->kind == CRN_NODE_FLOAT)
        return a->f == b->f || (isnan(a->f) && isnan(b->f));
    if (a->kind == CRN_NODE_TEXT)
        return strcmp(a->text, b->text) == 0;
    if (a->kind == CRN_NODE_INT || a->kind == CRN_NODE_BOOL)
        return a->i == b->i && a->b == b->b;
    const crn_node *other = b->first;
    for (const crn_node *child = a->first; child != NULL; child = child->next) {
        const crn_node *const like = a->kind == CRN_NODE_MAP ? crn_node_get(b, child->name) : other;
        if (like == NULL || !is_equal(child, like))
            return false;
        other = other->next;
    }
    return true;
}

static void check_document(const struct row *row)
{
    crn_diag diag = {0};
    crn_doc *doc = NULL;
    const bool is_good = crn_doc_parse(row->text, strlen(row->text), "p.yaml", &diag, &doc);
    if (is_good == row->is_refused)
        WRONG("'%s' was %s\n", row->text, is_good ? "read" : diag.problems[0].text);
    if (is_good && !row->is_refused) {
        crn_doc *const expected = must_parse(row->result);
        const crn_node *const wanted = crn_doc_root(expected);
        const crn_node *const root = crn_doc_root(doc);
        if (root == NULL ? !crn_node_is_null(wanted) : !is_equal(root, wanted)) {
            crn_str json = {0};
            if (root != NULL)
                crn_node_to_json(root, &json);
            WRONG("'%s' is %s, not %s\n", row->text, json.text, row->result);
            crn_str_dispose(&json);
        }
        crn_doc_destroy(expected);
    }
    crn_doc_destroy(doc);
    crn_diag_dispose(&diag);
}

static void documents__are_read_as_pyyaml_reads_them(void **state)
{
    (void)state;
    s_wrong = 0;
    assert_true(for_each_row(true, check_document) > 250);
    assert_int_equal(s_wrong, 0);
}

/* ---- Options ---- */

/* Where we differ on purpose: a bool is no number, and nan is none that an option takes; a number
 * stands for its own text. 1 if it must be taken, 0 if refused, -1: as pydantic does. */
static int ours(const char *kind, const crn_node *node)
{
    const bool is_number = node->kind == CRN_NODE_INT || node->kind == CRN_NODE_FLOAT;
    if (strcmp(kind, "str") == 0)
        return is_number ? 1 : -1;
    return strcmp(kind, "bool") != 0 && node->kind == CRN_NODE_BOOL ? 0 : -1;
}

/* Converts as an option of that kind; *@out is the value as text of the table. */
static bool convert(const char *kind, const crn_node *node, char out[LINE_SIZE], crn_diag *diag)
{
    int64_t i = 0;
    double f = 0.0;
    bool b = false;
    const char *text = "";
    bool is_good = false;
    if (strcmp(kind, "int") == 0) {
        is_good = crn_node_to_int(node, "", INT64_MIN, INT64_MAX, "", &i, diag);
        (void)snprintf(out, LINE_SIZE, "%" PRId64, i);
    } else if (strcmp(kind, "float") == 0) {
        is_good = crn_node_to_float(node, "", -INFINITY, INFINITY, "", &f, diag);
        (void)snprintf(out, LINE_SIZE, "%a", f);
    } else if (strcmp(kind, "bool") == 0) {
        is_good = crn_node_to_bool(node, "", &b, diag);
        (void)snprintf(out, LINE_SIZE, "%s", b ? "true" : "false");
    } else {
        is_good = crn_node_to_text(node, "", &text, diag);
        (void)snprintf(out, LINE_SIZE, "%s", text);
    }
    return is_good;
}

static bool is_expected(const struct row *row, const char *value)
{
    crn_doc *const doc = must_parse(row->result);
    const crn_node *const node = crn_doc_root(doc);
    char hex[64];
    bool is_same = strcmp(node->text, value) == 0;
    if (strcmp(row->kind, "float") == 0) {
        (void)snprintf(hex, sizeof hex, "%a", node->f);
        is_same = strcmp(hex, value) == 0;
    }
    crn_doc_destroy(doc);
    return is_same;
}

static void check_option(const struct row *row)
{
    char yaml[LINE_SIZE + 8];
    char value[LINE_SIZE];
    crn_diag diag = {0};
    (void)snprintf(yaml, sizeof yaml, "k: %s\n", row->text);
    crn_doc *const doc = must_parse(yaml);
    const crn_node *const node = crn_node_get(crn_doc_root(doc), "k");
    const bool is_nan = strcmp(row->kind, "float") == 0 && strcmp(row->result, ".nan") == 0;
    const int rule = ours(row->kind, node);
    const bool is_wanted = rule >= 0 ? rule == 1 : !row->is_refused && !is_nan;
    if (convert(row->kind, node, value, &diag) != is_wanted)
        WRONG("%s from '%s' is %s\n", row->kind, row->text, is_wanted ? "refused" : value);
    else if (is_wanted && rule < 0 && !is_expected(row, value))
        WRONG("%s from '%s' is %s, not %s\n", row->kind, row->text, value, row->result);
    crn_diag_dispose(&diag);
    crn_doc_destroy(doc);
}

static void options__are_converted_as_pydantic_converts_them(void **state)
{
    (void)state;
    s_wrong = 0;
    assert_true(for_each_row(false, check_option) > 800);
    assert_int_equal(s_wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents__are_read_as_pyyaml_reads_them),
        cmocka_unit_test(options__are_converted_as_pydantic_converts_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
