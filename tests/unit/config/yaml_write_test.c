/* A configuration written as YAML: what it looks like, and that it reads back the same. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "config/config.h"
#include "kit/kit.h"

static char *write_yaml(const char *yaml, bool with_defaults)
{
    crn_diag diag = {0};
    crn_doc *doc = NULL;
    crn_str out = {0};
    if (!crn_doc_parse(yaml, strlen(yaml), "test.yaml", &diag, &doc))
        fail_msg("%s: %s", yaml, diag.problems[0].text);
    crn_node_to_yaml(crn_doc_root(doc), with_defaults, &out);
    crn_doc_destroy(doc);
    crn_diag_dispose(&diag);
    char *const text = crn_str_take(&out);
    assert_non_null(text);
    return text;
}

static char *json_of(const char *yaml)
{
    crn_diag diag = {0};
    crn_doc *doc = NULL;
    crn_str out = {0};
    if (!crn_doc_parse(yaml, strlen(yaml), "test.yaml", &diag, &doc))
        fail_msg("%s: %s", yaml, diag.problems[0].text);
    crn_node_to_json(crn_doc_root(doc), &out);
    crn_doc_destroy(doc);
    crn_diag_dispose(&diag);
    char *const text = crn_str_take(&out);
    assert_non_null(text);
    return text;
}

static void blocks(void **state)
{
    (void)state;
    char *const text = write_yaml("{trainer: {init: {seed: 1, betas: [0.9, 0.95], s: [{A: {n: 3}}, "
                                  "{B: null}, [1, [2]], {}, []], e: {}}}}",
                                  true);
    assert_string_equal(text, "trainer:\n"
                              "  init:\n"
                              "    seed: 1\n"
                              "    betas:\n"
                              "      - 0.9\n"
                              "      - 0.95\n"
                              "    s:\n"
                              "      - A:\n"
                              "          n: 3\n"
                              "      - B: null\n"
                              "      -\n"
                              "        - 1\n"
                              "        -\n"
                              "          - 2\n"
                              "      - {}\n"
                              "      - []\n"
                              "    e: {}\n");
    crn_free(text);
}

/* Texts that look like something else, keys that need quotes, numbers of every kind. */
static void what_is_written__reads_back_the_same(void **state)
{
    (void)state;
    static const char *const k_documents[] = {
        "{a: 'yes', b: '1', c: '1.0', d: 'null', e: '', f: \"two\\nlines\", g: '# no', h: 'a: b'}",
        "{'no': 1, 'a b': 2, '1': 3, '': 4, 'x:y': 5, 'Null': 6, 'n': 7, '3a': 8, '-': 9}",
        "{\"q\\\"\": 8}",
        "{a: 1, b: 1.0, c: 1.0e-5, d: -3, e: .inf, f: true, g: ~, h: 0.1, i: 123456789012}",
        "[1, two, {three: [4]}]",
        "just a text",
        "[]",
        "{a: [[], {}, [{}], [[1, {b: 2, c: [3]}]]]}",
    };
    for (size_t i = 0; i < sizeof k_documents / sizeof k_documents[0]; i++) {
        char *const yaml = write_yaml(k_documents[i], true);
        char *const again = json_of(yaml);
        char *const first = json_of(k_documents[i]);
        assert_string_equal(again, first);
        crn_free(first);
        crn_free(again);
        crn_free(yaml);
    }
}

static void without_defaults__only_what_was_given(void **state)
{
    static const char k_yaml[] = "{init: {loop: {max_steps: 5, eval_frequency: 0}, callbacks: []}}";
    cairn_loop_options loop;
    cairn_checkpoint_options checkpoint;
    crn_diag diag = {0};
    crn_doc *doc = NULL;
    crn_str given = {0};
    crn_str all = {0};
    (void)state;
    assert_true(crn_doc_parse(k_yaml, sizeof k_yaml - 1, "test.yaml", &diag, &doc));
    crn_node *const init = crn_node_get(crn_doc_root(doc), "init");
    assert_true(crn_section_read(crn_section_find("loop"), NULL, doc, crn_node_get(init, "loop"),
                                 &loop, &diag));
    assert_true(crn_section_read(crn_section_find("checkpoint"), NULL, doc,
                                 crn_doc_ensure_map(doc, init, "checkpoint", &diag), &checkpoint,
                                 &diag));
    crn_node_to_yaml(crn_doc_root(doc), false, &given);
    assert_string_equal(given.text, "init:\n"
                                    "  loop:\n"
                                    "    max_steps: 5\n"
                                    "    eval_frequency: 0\n"
                                    "  callbacks: []\n");
    crn_node_to_yaml(crn_doc_root(doc), true, &all);
    assert_non_null(strstr(all.text, "    grad_accum_steps: 1\n"));
    assert_non_null(strstr(all.text, "    checkpoint_name: \"checkpoint_{step}.mdl\"\n"));
    crn_str_dispose(&given);
    crn_str_dispose(&all);
    crn_doc_destroy(doc);
    crn_diag_dispose(&diag);
}

/* @text has the line @value with @origin behind it, in column 44. */
static void assert_shown(const char *text, const char *value, const char *origin)
{
    char line[100];
    (void)snprintf(line, sizeof line, "\n%-44s# %s\n", value, origin);
    if (strstr(text, line) == NULL)
        fail_msg("no line '%s' in\n%s", line, text);
}

static void with_origins__each_value_says_where_it_is_from(void **state)
{
    static const char k_yaml[] = "init:\n  loop: {max_steps: 5}\n  list:\n  - a: 1\n  - []\n"
                                 "  a_name_that_reaches_beyond_the_column_of_origins: x\n";
    cairn_loop_options loop;
    crn_diag diag = {0};
    crn_doc *doc = NULL;
    crn_str text = {0};
    (void)state;
    assert_true(crn_doc_parse(k_yaml, sizeof k_yaml - 1, "test.yaml", &diag, &doc));
    assert_true(crn_doc_set(doc, "init.seed=3", &diag));
    crn_node *const init = crn_node_get(crn_doc_root(doc), "init");
    assert_true(crn_section_read(crn_section_find("loop"), NULL, doc, crn_node_get(init, "loop"),
                                 &loop, &diag));
    crn_node_to_yaml_origins(crn_doc_root(doc), &text);
    assert_shown(text.text, "    max_steps: 5", "test.yaml:2");
    assert_shown(text.text, "    grad_accum_steps: 1", "default");
    assert_shown(text.text, "    - a: 1", "test.yaml:4");
    assert_shown(text.text, "    - []", "test.yaml:5");
    assert_shown(text.text, "  seed: 3", "--set");
    assert_non_null(strstr(text.text, "\n  a_name_that_reaches_beyond_the_column_of_origins: \"x\""
                                      "  # test.yaml:6\n"));
    assert_memory_equal(text.text, "init:\n  loop:\n", 14);
    crn_str_dispose(&text);
    crn_doc_destroy(doc);
    crn_diag_dispose(&diag);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks),
        cmocka_unit_test(what_is_written__reads_back_the_same),
        cmocka_unit_test(without_defaults__only_what_was_given),
        cmocka_unit_test(with_origins__each_value_says_where_it_is_from),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
