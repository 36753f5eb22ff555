/* What is done with the table of a plugin; tests/e2e/test_plugins.py has whole shared objects. */
#include "unit/config/config_kit.h"

#include "app/plugins.h"
#include "base/mem.h"

struct options {
    int64_t number;
    cairn_opt_int maybe;
    double ratio;
    cairn_opt_float maybe_ratio;
    bool flag;
    const char *text;
    const char *choice;
    cairn_opt_list list;
    cairn_opt_pair pair;
    cairn_initializer init;
};

static const cairn_option k_options[] = {
    CAIRN_OPTION_INT(struct options, number, 3, 1, 9, "steps", "A number."),
    CAIRN_OPTION_INT_NULL(struct options, maybe, 0, 9, "", "A number or none."),
    CAIRN_OPTION_FLOAT(struct options, ratio, 0.5, 0.0, 1.0, "", "A ratio."),
    CAIRN_OPTION_FLOAT_NULL(struct options, maybe_ratio, 0.0, 1.0, "", "A ratio or none."),
    CAIRN_OPTION_BOOL(struct options, flag, true, "A flag."),
    CAIRN_OPTION_TEXT(struct options, text, "word", "A text."),
    CAIRN_OPTION_CHOICE(struct options, choice, "b", "a|b", "A choice."),
    CAIRN_OPTION_LIST(struct options, list, "A list."),
    CAIRN_OPTION_PAIR(struct options, pair, 0.25, 0.75, 0.0, 1.0, "A pair."),
    CAIRN_OPTION_INIT(struct options, init, "An initializer."),
    CAIRN_OPTION_ALIAS(number, num),
};

/* What the maker saw; of one test at a time. */
static struct options s_seen;

static cairn_status make_callback(const void *options, cairn_callback *out, cairn_error *err)
{
    (void)err;
    if (options != NULL)
        s_seen = *(const struct options *)options;
    out->self = &s_seen;
    return CAIRN_OK;
}

static const cairn_optimizer_ops k_optimizer_ops = {.struct_size = sizeof k_optimizer_ops,
                                                    .name = "Hollow"};
static const cairn_model_ops k_old_model_ops = {.struct_size = sizeof k_old_model_ops - 8,
                                                .name = "Old"};

static cairn_status make_optimizer(const void *options, cairn_optimizer *out, cairn_error *err)
{
    assert_null(options); /* It has none. */
    (void)err;
    out->ops = &k_optimizer_ops;
    return CAIRN_OK;
}

static cairn_status make_old_model(const void *options, cairn_model *out, cairn_error *err)
{
    (void)options;
    (void)err;
    out->ops = &k_old_model_ops;
    return CAIRN_OK;
}

static const cairn_plugin_class k_classes[] = {
    CAIRN_CLASS_CALLBACK("All", "Has every kind of option.", k_options, struct options,
                         make_callback),
    CAIRN_CLASS_CALLBACK_PLAIN("DumpActivations", "Stands in for one that is known and lacking.",
                               make_callback),
    {CAIRN_PLUGIN_KIND_OPTIMIZER, "Hollow", "Has no functions.", NULL, 0, 0, NULL, NULL, NULL,
     make_optimizer},
    {CAIRN_PLUGIN_KIND_MODEL, "Old", "Compiled long ago.", NULL, 0, 0, NULL, make_old_model, NULL,
     NULL},
};
static const cairn_plugin k_plugin = {CAIRN_PLUGIN_HEAD, "test", k_classes, 4};

struct fixture {
    crn_plugins plugins;
    crn_diag diag;
    crn_doc *doc;
    crn_choice choice;
};

static int setup(void **state)
{
    struct fixture *const f = crn_calloc(1, sizeof *f);
    assert_non_null(f);
    assert_true(crn_plugins_add(&f->plugins, &k_plugin, "the test", NULL, &f->diag));
    memset(&s_seen, 0, sizeof s_seen);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *const f = *state;
    crn_free(f->choice.options);
    crn_doc_destroy(f->doc);
    crn_diag_dispose(&f->diag);
    crn_plugins_dispose(&f->plugins);
    crn_free(f);
    return 0;
}

/* Chooses class @name of @kind with the options of @yaml. */
static bool choose(struct fixture *f, cairn_plugin_kind kind, const char *name, const char *yaml)
{
    const crn_registry registry = crn_plugins_registry(&f->plugins, kind);
    assert_true(crn_doc_parse(yaml, strlen(yaml), "p.yaml", &f->diag, &f->doc));
    crn_node *const root = crn_doc_root(f->doc);
    return crn_registry_read(&registry, name, f->doc, root, root, "here", &f->choice, &f->diag);
}

static void every_kind_of_option__reaches_the_maker(void **state)
{
    struct fixture *const f = *state;
    cairn_callback out = {0};
    cairn_error err = {0};
    assert_true(choose(f, CAIRN_PLUGIN_KIND_CALLBACK, "all",
                       "{num: 7, maybe: 2, ratio: 0.125, maybe_ratio: 1.0, flag: false, text: t, "
                       "choice: a, list: [x, y], pair: [0.5, 1.0], init: zeros}"));
    tk_assert_ok(f->choice.class->make(f->choice.options, &out, &err), &err);
    assert_ptr_equal(out.self, &s_seen);
    assert_int_equal(s_seen.number, 7);
    assert_true(s_seen.maybe.is_set && s_seen.maybe.value == 2);
    assert_true(s_seen.ratio == 0.125);
    assert_true(s_seen.maybe_ratio.is_set && s_seen.maybe_ratio.value == 1.0);
    assert_false(s_seen.flag);
    assert_string_equal(s_seen.text, "t");
    assert_string_equal(s_seen.choice, "a");
    assert_int_equal(s_seen.list.count, 2);
    assert_string_equal(s_seen.list.items[1], "y");
    assert_true(s_seen.pair.first == 0.5 && s_seen.pair.second == 1.0);
    assert_int_equal(s_seen.init.kind, CAIRN_INIT_ZEROS);
}

static void options_that_are_not_given__have_their_defaults(void **state)
{
    struct fixture *const f = *state;
    cairn_callback out = {0};
    assert_true(choose(f, CAIRN_PLUGIN_KIND_CALLBACK, "All", "{}"));
    assert_int_equal(f->choice.class->make(f->choice.options, &out, NULL), CAIRN_OK);
    assert_int_equal(s_seen.number, 3);
    assert_false(s_seen.maybe.is_set || s_seen.maybe_ratio.is_set);
    assert_true(s_seen.flag && s_seen.ratio == 0.5);
    assert_string_equal(s_seen.text, "word");
    assert_string_equal(s_seen.choice, "b");
    assert_true(s_seen.pair.first == 0.25 && s_seen.pair.second == 0.75);
}

static void wrong_options__are_reported_with_place_and_range(void **state)
{
    struct fixture *const f = *state;
    crn_str text = {0};
    assert_false(choose(f, CAIRN_PLUGIN_KIND_CALLBACK, "All", "{number: 10,\n choice: c}"));
    append_problems(&f->diag, CRN_SEVERITY_ERROR, &text);
    assert_non_null(strstr(text.text, "p.yaml:1:10: here.number"));
    assert_non_null(strstr(text.text, "from 1 to 9 (steps)"));
    assert_non_null(strstr(text.text, "p.yaml:2:10: unknown value 'c'"));
    crn_str_dispose(&text);
}

static void a_class_that_the_library_lacks__may_come_from_a_plugin(void **state)
{
    struct fixture *const f = *state;
    assert_true(choose(f, CAIRN_PLUGIN_KIND_CALLBACK, "DumpActivations", "{}"));
    assert_true(crn_plugin_owns(f->choice.class));
    const crn_class *const ours = crn_registry_find(&crn_callbacks, "DumpActivations");
    assert_true(ours != NULL && ours->make == NULL); /* Once it has it, the test needs another. */
}

static void a_table_without_a_function__is_refused_when_it_is_made(void **state)
{
    struct fixture *const f = *state;
    cairn_optimizer out = {0};
    cairn_error err = {0};
    assert_true(choose(f, CAIRN_PLUGIN_KIND_OPTIMIZER, "hollow", "{}"));
    tk_assert_status(f->choice.class->make(f->choice.options, &out, &err), CAIRN_ECONFIG, &err);
    tk_assert_error_has(&err, "Hollow lacks a function");
    assert_null(out.ops);
}

static void a_table_of_another_size__is_refused_when_it_is_made(void **state)
{
    struct fixture *const f = *state;
    cairn_model out = {0};
    cairn_error err = {0};
    assert_true(choose(f, CAIRN_PLUGIN_KIND_MODEL, "Old", "{name: Old}"));
    tk_assert_status(f->choice.class->make(f->choice.options, &out, &err), CAIRN_ECONFIG, &err);
    tk_assert_error_has(&err, "build the plugin again");
    assert_null(out.ops);
}

static void a_program_that_adds_a_table_twice__is_told(void **state)
{
    struct fixture *const f = *state;
    crn_str text = {0};
    assert_false(
        crn_plugins_add(&f->plugins, &k_plugin, "a plugin of this program", NULL, &f->diag));
    append_problems(&f->diag, CRN_SEVERITY_ERROR, &text);
    assert_non_null(
        strstr(text.text, "a plugin of this program: another plugin has a callback All already"));
    crn_str_dispose(&text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_kind_of_option__reaches_the_maker),
        TEST(options_that_are_not_given__have_their_defaults),
        TEST(wrong_options__are_reported_with_place_and_range),
        TEST(a_class_that_the_library_lacks__may_come_from_a_plugin),
        TEST(a_table_without_a_function__is_refused_when_it_is_made),
        TEST(a_table_of_another_size__is_refused_when_it_is_made),
        TEST(a_program_that_adds_a_table_twice__is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
