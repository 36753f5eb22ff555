#include "unit/config/config_kit.h"

#include <stdio.h>

static void a_text_without_content__has_no_root(void **state)
{
    (void)state;
    static const char *const k_texts[] = {"", "\n\n", "# nothing\n", "  # a\n# b", "\xef\xbb\xbf"};
    for (size_t i = 0; i < sizeof k_texts / sizeof k_texts[0]; i++) {
        crn_doc *const doc = must_parse(k_texts[i]);
        assert_null(crn_doc_root(doc));
        crn_doc_destroy(doc);
    }
}

static void nodes__carry_line_and_column_of_key_and_value(void **state)
{
    (void)state;
    crn_doc *const doc = must_parse("# c\ntrainer:\n  init: {seed: 1}\n  list:\n  - a\n  -  b\n");
    const crn_node *const trainer = crn_node_get(crn_doc_root(doc), "trainer");
    const crn_node *const seed = crn_node_get(crn_node_get(trainer, "init"), "seed");
    const crn_node *const second = crn_node_item(crn_node_get(trainer, "list"), 1);
    assert_int_equal(trainer->key_line, 2);
    assert_int_equal(trainer->key_column, 1);
    assert_int_equal(seed->key_line, 3);
    assert_int_equal(seed->key_column, 10);
    assert_int_equal(seed->line, 3);
    assert_int_equal(seed->column, 16);
    assert_string_equal(seed->name, "seed");
    assert_string_equal(seed->text, "1");
    assert_string_equal(seed->origin, "p.yaml");
    assert_int_equal(second->line, 6);
    assert_int_equal(second->column, 6);
    assert_null(crn_node_item(crn_node_get(trainer, "list"), 2));
    assert_null(crn_node_get(trainer, "absent"));
    assert_null(crn_node_get(seed, "x"));
    assert_null(crn_node_get(NULL, "x"));
    crn_doc_destroy(doc);
}

static void styles_of_yaml_and_json__give_the_same_tree(void **state)
{
    (void)state;
    const char *const tree = "{\"a\": 1, \"b\": [1.5, \"x\", {\"c\": null}], \"d\": {}}";
    assert_parses("a: 1\nb:\n- 1.5\n- x\n- c:\nd: {}\n", tree);
    assert_parses("---\na: 1\nb: [1.5, 'x', {c: ~}]\nd: {}\n...\n", tree);
    assert_parses(tree, tree);
    assert_parses("{\"a\":1,\"b\":[1.5,\"x\",{\"c\":null}],\"d\":{}}", tree);
    assert_parses("a: |\n  x\n  y\nb: >\n  x\n  y\n",
                  "{\"a\": \"x\\u000ay\\u000a\", \"b\": \"x y\\u000a\"}");
}

static void json__of_difficult_texts_parses_to_the_same_texts(void **state)
{
    (void)state;
    const char *const yaml = "[\"\\u2028\\u0085\\uFEFF\\x01\\t\\\"\\\\ é\\U0001F600\", 1.0e-05, "
                             "'1.0', -7, \"\\uFFFE\"]";
    crn_doc *const doc = must_parse(yaml);
    crn_str json = {0};
    crn_node_to_json(crn_doc_root(doc), &json);
    assert_string_equal(json.text, "[\"\\u2028\\u0085\\ufeff\\u0001\\u0009\\\"\\\\ é\U0001F600\", "
                                   "1.0e-05, \"1.0\", -7, \"\\ufffe\"]");
    assert_parses(json.text, json.text);
    crn_doc *const again = must_parse(json.text);
    assert_string_equal(crn_doc_root(again)->first->text, crn_doc_root(doc)->first->text);
    assert_int_equal(crn_node_item(crn_doc_root(again), 1)->kind, CRN_NODE_FLOAT);
    crn_str_dispose(&json);
    crn_doc_destroy(again);
    crn_doc_destroy(doc);
}

static void aliases__are_copies(void **state)
{
    (void)state;
    crn_diag diag = {0};
    crn_doc *const doc = must_parse("a: &x {k: 1}\nb: *x\nc: [*x]\n&y d: *y\n");
    assert_json(crn_doc_root(doc),
                "{\"a\": {\"k\": 1}, \"b\": {\"k\": 1}, \"c\": [{\"k\": 1}], \"d\": \"d\"}");
    assert_true(crn_doc_set(doc, "b.k=2", &diag));
    assert_json(crn_doc_root(doc),
                "{\"a\": {\"k\": 1}, \"b\": {\"k\": 2}, \"c\": [{\"k\": 1}], \"d\": \"d\"}");
    crn_diag_dispose(&diag);
    crn_doc_destroy(doc);
    assert_parses("[&a 1, *a, &a 2, *a]", "[1, 1, 2, 2]");
}

static void merge_keys__yield_to_explicit_keys_and_to_earlier_maps(void **state)
{
    (void)state;
    assert_parses("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n",
                  "{\"a\": {\"x\": 1, \"y\": 2}, \"b\": {\"y\": 3, \"x\": 1}}");
    assert_parses("- &a {x: 1}\n- &b {x: 2, z: 3}\n- {<<: [*a, *b], w: 4}\n",
                  "[{\"x\": 1}, {\"x\": 2, \"z\": 3}, {\"w\": 4, \"x\": 1, \"z\": 3}]");
    assert_parses("- <<: &a {x: 1}\n- *a\n", "[{\"x\": 1}, {\"x\": 1}]");
    assert_parses("a: {'<<': 1}", "{\"a\": {\"<<\": 1}}");
    assert_refused("a: {<<: 5}",
                   "p.yaml:1:5: '<<' takes a map or a list of maps, not an integer\n");
    assert_refused("a: {<<: [{}, x]}",
                   "p.yaml:1:5: '<<' takes a map or a list of maps, not a text\n");
    assert_refused("a:\n  <<: {}\n  <<: {}\n",
                   "p.yaml:3:3: duplicate key '<<' (first at line 2)\n");
}

static void duplicate_keys__are_all_reported_with_both_lines(void **state)
{
    (void)state;
    assert_refused("a: 1\nb:\n  c: 1\n  c: 2\na: 3\na: 4\n",
                   "p.yaml:4:3: duplicate key 'c' (first at line 3)\n"
                   "p.yaml:5:1: duplicate key 'a' (first at line 1)\n"
                   "p.yaml:6:1: duplicate key 'a' (first at line 5)\n");
}

/* A longer one could be written (after "? "), but not be read back from the JSON it becomes. */
static void keys__of_161_bytes_are_refused(void **state)
{
    (void)state;
    char yaml[200];
    crn_diag diag = {0};
    crn_doc *doc = NULL;
    (void)snprintf(yaml, sizeof yaml, "? %0160d\n: 1\n", 0);
    assert_true(crn_doc_parse(yaml, strlen(yaml), "p.yaml", &diag, &doc));
    crn_doc_destroy(doc);
    (void)snprintf(yaml, sizeof yaml, "? %0161d\n: 1\n", 0);
    assert_refused(yaml, "p.yaml:1:3: a key is longer than 160 bytes\n");
}

static void syntax_errors__name_line_and_column(void **state)
{
    (void)state;
    assert_refused("a:\n\tb: 1\n", "p.yaml:2:1: a tab cannot indent; use spaces\n");
    assert_refused("a:\n  b: 1\n \tc: 2\n", "p.yaml:3:2: a tab cannot indent; use spaces\n");
    assert_refused("a: 1\n---\nb: 2\n",
                   "p.yaml:2:1: a second document begins here; a file holds one\n");
    assert_refused("a: [1, 2\nb: 3", "p.yaml:2:2: did not find expected ',' or ']', while parsing "
                                     "a flow sequence that begins at line 1\n");
    assert_refused("a: !foo 1", "p.yaml:1:4: tag '!foo' is not supported\n");
    assert_refused("a: !foo {}", "p.yaml:1:4: tag '!foo' is not supported\n");
    assert_refused("a: !!python/name:os.system x",
                   "p.yaml:1:4: tag 'tag:yaml.org,2002:python/name:os.system' is not supported\n");
    assert_refused("a: !!int x", "p.yaml:1:4: 'x' does not fit its tag !!int\n");
    assert_refused("a: *b", "p.yaml:1:4: no anchor '&b' before this alias\n");
    assert_refused("a: &b [*b]", "p.yaml:1:8: alias '*b' stands inside its own anchor\n");
    assert_refused("[a]: 1", "p.yaml:1:1: a key must be a text, not a list\n");
    assert_refused("~: 1", "p.yaml:1:1: a key must be a text, not null\n");
    assert_refused("a: \"\\0\"", "p.yaml:1:4: a text may not contain a zero byte\n");
    assert_refused("a: 1\nb: \x01", "p.yaml:2:4: control characters are not allowed (byte 0x01)\n");
    assert_refused("a: 1\nb: \xff", "p.yaml:2:4: invalid leading UTF-8 octet (byte 0xff)\n");
    assert_refused("%TAG ! b\n---\na: 1",
                   "p.yaml:1:1: a line may not begin with '%': YAML directives are not read\n");
}

static void assert_bomb(char *text, const char *expected)
{
    assert_refused(text, expected);
    free(text);
}

static void nesting__is_read_to_level_32_and_refused_beyond(void **state)
{
    (void)state;
    const char *const too_deep = "p.yaml:1:33: nested deeper than 32 levels\n";
    char *const open = repeat("", "[", 32, "");
    char *const good = repeat(open, "]", 32, "");
    assert_parses(good, good);
    free(open);
    free(good);
    assert_bomb(repeat("", "[", 33, ""), too_deep);
    assert_bomb(repeat("", "[", 100000, ""), too_deep);
    assert_bomb(repeat("", "- ", 50000, ""), "p.yaml:1:65: nested deeper than 32 levels\n");
    assert_bomb(repeat("", "{a: ", 25000, ""), "p.yaml:1:129: nested deeper than 32 levels\n");
    assert_bomb(repeat("", "[\n", 50000, ""), "p.yaml:33:1: nested deeper than 32 levels\n");
    /* An alias counts with the depth of what it stands for. */
    const char *const twenty = "- &a [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]\n";
    char *const allowed = repeat(twenty, "- [[[[[[[[[[[*a]]]]]]]]]]]\n", 1, "");
    crn_doc_destroy(must_parse(allowed));
    free(allowed);
    assert_bomb(repeat(twenty, "- [[[[[[[[[[[[*a]]]]]]]]]]]]\n", 1, ""),
                "p.yaml:2:15: nested deeper than 32 levels\n");
}

/* Nine aliases of nine aliases of ..., to 9^20 values. */
static void a_bomb_of_aliases__is_refused_before_anything_is_copied(void **state)
{
    (void)state;
    enum { ALLOCATIONS = 12, LEVELS = 20 }; /* Copies of 100,000 values take more. */
    crn_diag diag = {0};
    crn_doc *doc = NULL;
    crn_str text = {0};
    crn_str_append(&text, "- &a0 [x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < LEVELS; i++) {
        crn_str_printf(&text, "- &a%d [", i);
        for (int j = 0; j < 9; j++)
            crn_str_printf(&text, "%s*a%d", j > 0 ? "," : "", i - 1);
        crn_str_append(&text, "]\n");
    }
    const uint64_t before = crn_mem_count();
    assert_false(crn_doc_parse(text.text, text.length, "p.yaml", &diag, &doc));
    print_message("%d allocations\n", (int)(crn_mem_count() - before));
    assert_true(crn_mem_count() - before < ALLOCATIONS);
    crn_diag_dispose(&diag);
    crn_str_dispose(&text);
}

static void values__are_counted_after_the_expansion_of_aliases(void **state)
{
    (void)state;
    crn_str laughs = {0};
    crn_str_append(&laughs, "- &a0 [x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 12; i++) {
        crn_str_printf(&laughs, "- &a%d [", i);
        for (int j = 0; j < 9; j++)
            crn_str_printf(&laughs, "%s*a%d", j > 0 ? "," : "", i - 1);
        crn_str_append(&laughs, "]\n");
    }
    /* Level k costs 1 + 9 of level k - 1 (level 0: 10); the fifth would bring 66,430 beyond. */
    assert_refused(laughs.text,
                   "p.yaml:6:8: more than 100000 values, those that aliases repeat included\n");
    crn_str_dispose(&laughs);
    /* The list, the anchor's value and 99,998 aliases are just allowed. */
    char *const good = repeat("[&a x", ",*a", 99998, "]");
    crn_doc *const doc = must_parse(good);
    assert_int_equal(crn_doc_root(doc)->count, 99999);
    crn_doc_destroy(doc);
    free(good);
    assert_bomb(repeat("[&a x", ",*a", 99999, "]"),
                "p.yaml:1:300001: more than 100000 values, those that aliases repeat included\n");
    assert_bomb(repeat("a: &a {k: 1}\nb:\n", "- {<<: *a}\n", 40000, ""),
                "p.yaml:14287:4: more than 100000 values, those that aliases repeat included\n");
}

static void size_and_anchors__are_bounded(void **state)
{
    (void)state;
    crn_str anchors = {0};
    assert_bomb(repeat("a: ", "x", CRN_DOC_BYTES_MAX - 2, ""), "p.yaml: larger than 1 MiB\n");
    char *const full = repeat("a: ", "x", CRN_DOC_BYTES_MAX - 3, "");
    crn_doc_destroy(must_parse(full));
    free(full);
    for (int i = 0; i < 257; i++)
        crn_str_printf(&anchors, "- &a%d x\n", i);
    assert_refused(anchors.text, "p.yaml:257:3: more than 256 anchors\n");
    crn_str_dispose(&anchors);
}

static void keys_given_twice__leave_a_tree_to_look_further(void **state)
{
    (void)state;
    static const char k_text[] = "a: 1\nb: {c: 1, c: 2}\na: 3\n";
    crn_diag diag = {0};
    crn_doc *doc = NULL;
    assert_false(crn_doc_parse_further(k_text, sizeof k_text - 1, "p.yaml", &diag, &doc));
    assert_non_null(doc);
    assert_json(crn_doc_root(doc), "{\"a\": 1, \"b\": {\"c\": 1}}");
    assert_errors(&diag, "p.yaml:2:11: duplicate key 'c' (first at line 2)\n"
                         "p.yaml:3:1: duplicate key 'a' (first at line 1)\n");
    crn_doc_destroy(doc);
    /* What is no YAML to its end leaves none. */
    assert_false(crn_doc_parse_further("a: 1\na: [", 9, "p.yaml", &diag, &doc));
    assert_null(doc);
    crn_diag_dispose(&diag);
}

static void problems__are_sorted_by_place_and_those_without_one_come_last(void **state)
{
    (void)state;
    crn_diag diag = {0};
    crn_diag_error(&diag, NULL, "nowhere");
    crn_diag_error_at(&diag, "--set b", 0, 0, "flag");
    crn_diag_error_at(&diag, "p.yaml", 10, 2, "fifth");
    crn_diag_error_at(&diag, "p.yaml", 2, 9, "second");
    crn_diag_error_at(&diag, "--set a", 0, 0, "another flag");
    crn_diag_error_at(&diag, "p.yaml", 2, 9, "third");
    crn_diag_error_at(&diag, "p.yaml", 2, 1, "first");
    crn_diag_error_at(&diag, "p.yaml", 10, 1, "fourth");
    crn_diag_sort(&diag);
    assert_errors(&diag, "p.yaml:2:1: first\n"
                         "p.yaml:2:9: second\n"
                         "p.yaml:2:9: third\n"
                         "p.yaml:10:1: fourth\n"
                         "p.yaml:10:2: fifth\n"
                         "nowhere\n"
                         "--set b: flag\n"
                         "--set a: another flag\n");
}

static void errors_beyond_a_hundred__are_counted(void **state)
{
    (void)state;
    crn_diag diag = {0};
    crn_doc *doc = NULL;
    cairn_error err = {0};
    char *const text = repeat("", "k: 1\n", 150, "");
    assert_false(crn_doc_parse(text, strlen(text), "p.yaml", &diag, &doc));
    assert_int_equal(diag.count, 100);
    assert_int_equal(diag.error_count, 149);
    tk_assert_status(crn_diag_check(&diag, &err), CAIRN_ECONFIG, &err);
    tk_assert_error_has(&err, "p.yaml:2:1: duplicate key 'k' (first at line 1) (and 148 more)");
    crn_diag_dispose(&diag);
    free(text);
}

static void foreign_bytes__are_escaped_in_messages(void **state)
{
    (void)state;
    assert_refused("\"a\\e[31m\": 1\n\"a\\e[31m\": 2\n",
                   "p.yaml:2:1: duplicate key 'a\\x1b[31m' (first at line 1)\n");
}

static void no_memory__is_reported_whichever_allocation_fails(void **state)
{
    (void)state;
    static const char k_text[] = "a: &a {x: 1, y: [2, 3]}\nb: {<<: *a, z: 1}\nb: 2\n";
    bool was_reached = true;
    for (uint64_t n = 1; was_reached; n++) {
        crn_diag diag = {0};
        crn_doc *doc = NULL;
        const uint64_t before = crn_mem_count();
        crn_mem_fail_at(n, 0);
        assert_false(crn_doc_parse(k_text, sizeof k_text - 1, "p.yaml", &diag, &doc));
        was_reached = crn_mem_count() - before >= n;
        crn_mem_fail_at(0, 0);
        assert_null(doc);
        assert_int_equal(crn_diag_check(&diag, NULL), was_reached ? CAIRN_ENOMEM : CAIRN_ECONFIG);
        crn_diag_dispose(&diag);
        assert_true(n < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_without_content__has_no_root),
        cmocka_unit_test(nodes__carry_line_and_column_of_key_and_value),
        cmocka_unit_test(styles_of_yaml_and_json__give_the_same_tree),
        cmocka_unit_test(json__of_difficult_texts_parses_to_the_same_texts),
        cmocka_unit_test(aliases__are_copies),
        cmocka_unit_test(merge_keys__yield_to_explicit_keys_and_to_earlier_maps),
        cmocka_unit_test(duplicate_keys__are_all_reported_with_both_lines),
        cmocka_unit_test(keys__of_161_bytes_are_refused),
        cmocka_unit_test(syntax_errors__name_line_and_column),
        cmocka_unit_test(nesting__is_read_to_level_32_and_refused_beyond),
        cmocka_unit_test(a_bomb_of_aliases__is_refused_before_anything_is_copied),
        cmocka_unit_test(values__are_counted_after_the_expansion_of_aliases),
        cmocka_unit_test(size_and_anchors__are_bounded),
        cmocka_unit_test(keys_given_twice__leave_a_tree_to_look_further),
        cmocka_unit_test(problems__are_sorted_by_place_and_those_without_one_come_last),
        cmocka_unit_test(errors_beyond_a_hundred__are_counted),
        cmocka_unit_test(foreign_bytes__are_escaped_in_messages),
        cmocka_unit_test(no_memory__is_reported_whichever_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
