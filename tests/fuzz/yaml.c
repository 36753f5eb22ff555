/* YAML, and after a NUL an assignment as of --set. */
#include <string.h>

#include "config/config.h"
#include "fuzz/fuzz.h"

static size_t count_nodes(const crn_node *node, size_t depth)
{
    size_t count = 1;
    size_t children = 0;
    CHECK(node->text != NULL);
    CHECK(depth <= CRN_DOC_DEPTH_MAX);
    for (const crn_node *item = node->first; item != NULL; item = item->next) {
        CHECK((node->kind == CRN_NODE_MAP) == (item->name != NULL));
        CHECK(node->kind != CRN_NODE_MAP || crn_node_get(node, item->name) == item);
        count += count_nodes(item, depth + 1);
        children++;
    }
    CHECK(children == node->count);
    CHECK(children == 0 || node->kind == CRN_NODE_LIST || node->kind == CRN_NODE_MAP);
    return count;
}

/* Conversions take any node and leave a value or an error. */
static void convert(const crn_node *node, crn_diag *diag)
{
    bool b = false;
    int64_t i = 0;
    double f = 0.0;
    const char *text = "";
    (void)crn_node_to_bool(node, "x", &b, diag);
    if (crn_node_to_int(node, "x", -10, 10, "", &i, diag))
        CHECK(i >= -10 && i <= 10);
    if (crn_node_to_float(node, "x", 0.0, 1.0, "", &f, diag))
        CHECK(f >= 0.0 && f <= 1.0);
    if (crn_node_to_text(node, "x", &text, diag))
        CHECK(text != NULL);
    for (const crn_node *item = node->first; item != NULL; item = item->next)
        convert(item, diag);
}

static void append_json(const crn_doc *doc, crn_str *out)
{
    crn_str_append(out, "");
    if (crn_doc_root(doc) != NULL)
        crn_node_to_json(crn_doc_root(doc), out);
    CHECK(!out->is_failed);
}

/* The JSON of a document is a document with the same JSON. */
static void check_json(const crn_doc *doc)
{
    crn_diag diag = {0};
    crn_doc *again = NULL;
    crn_str first = {0};
    crn_str second = {0};
    append_json(doc, &first);
    /* It may be larger than a document may be: escapes, and copies made for aliases. */
    if (first.length < CRN_DOC_BYTES_MAX) {
        CHECK(crn_doc_parse(first.text, first.length, "json", &diag, &again));
        append_json(again, &second);
        CHECK(strcmp(first.text, second.text) == 0);
    }
    crn_str_dispose(&first);
    crn_str_dispose(&second);
    crn_doc_destroy(again);
    crn_diag_dispose(&diag);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    crn_diag diag = {0};
    crn_doc *doc = NULL;
    crn_str text = {0};
    const uint8_t *const nul = size > 0 ? memchr(data, 0, size) : NULL;
    const size_t length = nul != NULL ? (size_t)(nul - data) : size;
    uint8_t *const yaml = fuzz_copy(data, length, false);
    uint8_t *const assignment =
        nul != NULL ? fuzz_copy(nul + 1, size - length - 1, true) : fuzz_copy(data, 0, true);
    if (crn_doc_parse(yaml, length, "file", &diag, &doc)) {
        CHECK(diag.error_count == 0);
        if (crn_doc_root(doc) != NULL)
            CHECK(count_nodes(crn_doc_root(doc), 1) <= CRN_DOC_NODES_MAX);
        check_json(doc);
        if (nul != NULL && crn_doc_set(doc, (const char *)assignment, &diag))
            check_json(doc);
        if (crn_doc_root(doc) != NULL)
            convert(crn_doc_root(doc), &diag);
    } else {
        CHECK(doc == NULL && diag.error_count > 0);
    }
    for (size_t i = 0; i < diag.count; i++)
        crn_problem_format(&diag.problems[i], &text);
    crn_str_dispose(&text);
    crn_diag_dispose(&diag);
    crn_doc_destroy(doc);
    free(yaml);
    free(assignment);
    return 0;
}
