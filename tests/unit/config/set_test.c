#include "unit/config/config_kit.h"

#include <stdio.h>

static const char k_yaml[] = "trainer:\n"
                             "  init:\n"
                             "    optimizer: {AdamW: {lr: 1.0}}\n"
                             "    callbacks:\n"
                             "    - CheckLoss\n"
                             "    - KeepNCheckpoints: {n: 2}\n"
                             "    - SaveCheckpointState:\n";

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
        cmocka_unit_test(an_absent_class__is_appended),
        cmocka_unit_test(class_names_in_maps__have_no_case),
        cmocka_unit_test(what_was_set__tells_its_origin),
        cmocka_unit_test(bad_assignments__are_refused_with_a_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
