#include "unit/config/config_kit.h"

#include <stdio.h>

static const char k_yaml[] = "trainer:\n"
                             "  init:\n"
                             "    optimizer: {AdamW: {lr: 1.0}}\n"
                             "    callbacks:\n"
                             "    - CheckLoss\n"
                             "    - KeepNCheckpoints: {n: 2}\n"
                             "    - SaveCheckpointState:\n"
                             "  list: [{n: 1}, {n: 2}]\n";

/* The part of the tree at trainer.init, after @assignment, is @expected. */
static void assert_set(const char *yaml, const char *assignment, const char *expected)
{
    crn_diag diag = {0};
    crn_doc *const doc = must_parse(yaml);
    if (!crn_doc_set(doc, assignment, &diag))
        assert_errors(&diag, "");
    assert_json(crn_doc_root(doc), expected);
    crn_diag_dispose(&diag);
    crn_doc_destroy(doc);
}

static void assert_set_refused(const char *assignment, const char *expected)
{
    crn_diag diag = {0};
    crn_doc *const doc = must_parse(k_yaml);
    assert_false(crn_doc_set(doc, assignment, &diag));
    assert_errors(&diag, expected);
    crn_doc_destroy(doc);
}

static void names__of_161_bytes_are_refused(void **state)
{
    (void)state;
    char assignment[200];
    crn_diag diag = {0};
    crn_doc *const doc = must_parse("a: 1");
    (void)snprintf(assignment, sizeof assignment, "a%0160d=1", 0);
    assert_false(crn_doc_set(doc, assignment, &diag));
    assert_int_equal(diag.error_count, 1);
    assert_non_null(strstr(diag.problems[0].text, "a name in the path is longer than 160 bytes"));
    crn_diag_dispose(&diag);
    (void)snprintf(assignment, sizeof assignment, "a%0159d=1", 0);
    assert_true(crn_doc_set(doc, assignment, &diag));
    crn_diag_dispose(&diag);
    crn_doc_destroy(doc);
}

static void a_value__is_yaml_with_its_own_type(void **state)
{
    (void)state;
    assert_set("a: 1", "a=20", "{\"a\": 20}");
    assert_set("a: 1", "a=1.0", "{\"a\": 1.0}");
    assert_set("a: 1", "a=", "{\"a\": null}");
    assert_set("a: 1", "a=x=y", "{\"a\": \"x=y\"}");
    assert_set("a: {b: 1}", "a=[model, optimizer]", "{\"a\": [\"model\", \"optimizer\"]}");
    assert_set("a: 1", "a={b: {c: 'yes'}}", "{\"a\": {\"b\": {\"c\": \"yes\"}}}");
}

static void missing_maps__are_made(void **state)
{
    (void)state;
    assert_set("", "trainer.init.loop.max_steps=20",
               "{\"trainer\": {\"init\": {\"loop\": {\"max_steps\": 20}}}}");
    assert_set("trainer:\n", "trainer.init.seed=1", "{\"trainer\": {\"init\": {\"seed\": 1}}}");
    assert_set("a: 1\n", "b.c=2", "{\"a\": 1, \"b\": {\"c\": 2}}");
}

static void list_elements__are_named_by_index_or_class(void **state)
{
    (void)state;
    const char *const list = "callbacks:\n- CheckLoss\n- KeepNCheckpoints: {n: 2}\n- S:\n";
    assert_set(list, "callbacks.KeepNCheckpoints.n=3",
               "{\"callbacks\": [\"CheckLoss\", {\"KeepNCheckpoints\": {\"n\": 3}}, "
               "{\"S\": null}]}");
    assert_set(list, "callbacks.keepncheckpoints.n=3",
               "{\"callbacks\": [\"CheckLoss\", {\"KeepNCheckpoints\": {\"n\": 3}}, "
               "{\"S\": null}]}");
    assert_set(list, "callbacks.1.KeepNCheckpoints.n=null",
               "{\"callbacks\": [\"CheckLoss\", {\"KeepNCheckpoints\": {\"n\": null}}, "
               "{\"S\": null}]}");
    assert_set(list, "callbacks.S.k=5",
               "{\"callbacks\": [\"CheckLoss\", {\"KeepNCheckpoints\": {\"n\": 2}}, "
               "{\"S\": {\"k\": 5}}]}");
    assert_set(list, "callbacks.checkloss.x=1",
               "{\"callbacks\": [{\"CheckLoss\": {\"x\": 1}}, {\"KeepNCheckpoints\": {\"n\": 2}}, "
               "{\"S\": null}]}");
    assert_set(list, "callbacks.0=New",
               "{\"callbacks\": [\"New\", {\"KeepNCheckpoints\": {\"n\": 2}}, {\"S\": null}]}");
}

static void the_index_behind_the_last__makes_an_element(void **state)
{
    (void)state;
    assert_set("betas: [1]", "betas.1=2", "{\"betas\": [1, 2]}");
    assert_set("", "betas.0=2", "{\"betas\": [2]}");
    assert_set("callbacks: [A]", "callbacks.1=B", "{\"callbacks\": [\"A\", \"B\"]}");
    assert_set("callbacks: [A]", "callbacks.1.B.n=1",
               "{\"callbacks\": [\"A\", {\"B\": {\"n\": 1}}]}");
}

static void a_bare_class__gets_options(void **state)
{
    (void)state;
    assert_set("optimizer: AdamW", "optimizer.adamw.lr=1.0",
               "{\"optimizer\": {\"AdamW\": {\"lr\": 1.0}}}");
}

static void names_in_quotes__may_have_points(void **state)
{
    (void)state;
    assert_set("a:", "a.\"csx.x\".b=1", "{\"a\": {\"csx.x\": {\"b\": 1}}}");
    assert_set("a:", "a.'b=c'=d", "{\"a\": {\"b=c\": \"d\"}}");
    assert_set("a: {\"b.c\": 1}", "\"a\".'b.c'=2", "{\"a\": {\"b.c\": 2}}");
}

static void paths__name_what_set_finds(void **state)
{
    (void)state;
    static const char k_tree[] = "{\"a\": {\"b.c\": [1, {\"d=\": 2}]}}";
    crn_diag diag = {0};
    crn_str path = {0};
    crn_doc *const doc = must_parse(k_tree);
    const crn_node *node = crn_doc_root(doc);
    crn_path_append(&path, node = crn_node_get(node, "a"), 0);
    crn_path_append(&path, node = crn_node_get(node, "b.c"), 0);
    crn_path_append(&path, node = crn_node_item(node, 1), 1);
    crn_path_append(&path, node = crn_node_get(node, "d="), 0);
    assert_string_equal(path.text, "a.\"b.c\".1.\"d=\"");
    crn_str_append(&path, "=3");
    assert_true(crn_doc_set(doc, path.text, &diag));
    assert_int_equal(node->i, 3);
    crn_str_dispose(&path);
    crn_diag_dispose(&diag);
    crn_doc_destroy(doc);
}

static void a_flag__is_named_as_the_origin(void **state)
{
    (void)state;
    crn_diag diag = {0};
    crn_doc *const doc = must_parse("a: 1");
    assert_true(crn_doc_set_by_flag(doc, "--model_dir", "b=x", &diag));
    assert_string_equal(crn_node_get(crn_doc_root(doc), "b")->origin, "--model_dir");
    assert_false(crn_doc_set_by_flag(doc, "--model_dir", "b.c=[", &diag));
    assert_int_equal(diag.error_count, 1);
    assert_string_equal(diag.problems[0].file, "--model_dir");
    crn_diag_dispose(&diag);
    crn_doc_destroy(doc);
}

static void an_absent_class__is_appended(void **state)
{
    (void)state;
    assert_set("callbacks: [A]", "callbacks.B.n=1",
               "{\"callbacks\": [\"A\", {\"B\": {\"n\": 1}}]}");
    assert_set("", "callbacks.B.n=1", "{\"callbacks\": [{\"B\": {\"n\": 1}}]}");
    assert_set("optimizer:", "optimizer.AdamW.lr=1.0",
               "{\"optimizer\": {\"AdamW\": {\"lr\": 1.0}}}");
}

static void class_names_in_maps__have_no_case(void **state)
{
    (void)state;
    assert_set("optimizer: {AdamW: {lr: 1.0}}", "optimizer.adamw.lr=2.0",
               "{\"optimizer\": {\"AdamW\": {\"lr\": 2.0}}}");
}

static void what_was_set__tells_its_origin(void **state)
{
    (void)state;
    crn_diag diag = {0};
    int64_t value = 0;
    crn_doc *const doc = must_parse("a:\n  b: 1\n  c: 2\n");
    assert_true(crn_doc_set(doc, "a.b=-5", &diag));
    const crn_node *const a = crn_node_get(crn_doc_root(doc), "a");
    const crn_node *const b = crn_node_get(a, "b");
    assert_string_equal(b->origin, "--set a.b");
    assert_int_equal(b->line, 0);
    assert_string_equal(crn_node_get(a, "c")->origin, "p.yaml");
    assert_false(crn_node_to_int(b, "a.b", 1, 9, "steps", &value, &diag));
    assert_errors(&diag, "--set a.b: a.b is -5; it must be from 1 to 9 (steps)\n");
    crn_doc_destroy(doc);
}

static void bad_assignments__are_refused_with_a_reason(void **state)
{
    (void)state;
    assert_set_refused("trainer.init.seed", "--set: 'trainer.init.seed' is not PATH=VALUE\n");
    assert_set_refused("a.\xff=1", "--set: 'a.\\xff' is not UTF-8 text\n");
    assert_set_refused("=1", "--set: '=1' is not PATH=VALUE\n");
    assert_set_refused("a..b=1", "--set a..b: a name is missing in the path\n");
    assert_set_refused(".a=1", "--set .a: a name is missing in the path\n");
    assert_set_refused("a.=1", "--set a.: a name is missing in the path\n");
    assert_set_refused("trainer.init.callbacks.9=1",
                       "--set trainer.init.callbacks.9: no element 9; the list has 3\n");
    assert_set_refused("trainer.init.optimizer.AdamW.lr.x=1",
                       "--set trainer.init.optimizer.AdamW.lr.x: 'x' is inside a float, which has "
                       "no parts\n");
    assert_set_refused("'a=1", "--set: ''a=1' is not PATH=VALUE\n");
    assert_set_refused("a.'b'c=1", "--set a.'b'c: a name is missing in the path\n");
    assert_set_refused("trainer.list.n=1",
                       "--set trainer.list.n: 'n' is inside a list of 2, which has no names; name "
                       "an element by its index, from 0\n");
    assert_set_refused("a=[1", "--set a: did not find expected ',' or ']'\n");
    assert_set_refused("a={b: 1, b: 2}", "--set a: duplicate key 'b'\n");
    assert_set_refused("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q=1",
                       "--set a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q: nested deeper than 32 levels\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names__of_161_bytes_are_refused),
        cmocka_unit_test(a_value__is_yaml_with_its_own_type),
        cmocka_unit_test(missing_maps__are_made),
        cmocka_unit_test(list_elements__are_named_by_index_or_class),
        cmocka_unit_test(the_index_behind_the_last__makes_an_element),
        cmocka_unit_test(a_bare_class__gets_options),
        cmocka_unit_test(names_in_quotes__may_have_points),
        cmocka_unit_test(paths__name_what_set_finds),
        cmocka_unit_test(a_flag__is_named_as_the_origin),
        cmocka_unit_test(an_absent_class__is_appended),
        cmocka_unit_test(class_names_in_maps__have_no_case),
        cmocka_unit_test(what_was_set__tells_its_origin),
        cmocka_unit_test(bad_assignments__are_refused_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
