/* The list of callbacks: order, tables of other versions, failures. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit/kit.h"
#include "train/callback_list.h"

enum { SEEN_SIZE = 256 };

/* What happened, in order: "a b" for calls, "~a" for a destruction. */
static char s_seen[SEEN_SIZE];

static void note(const char *what, const char *who)
{
    const size_t length = strlen(s_seen);
    (void)snprintf(s_seen + length, sizeof s_seen - length, "%s%s%s", length > 0 ? " " : "", what,
                   who);
}

static cairn_status see(void *self, const cairn_event *event, cairn_control *control,
                        cairn_error *err)
{
    (void)event;
    (void)control;
    (void)err;
    note("", self);
    return CAIRN_OK;
}

static cairn_status see_with_step_and_ask(void *self, const cairn_event *event,
                                          cairn_control *control, cairn_error *err)
{
    char text[32];
    (void)self;
    (void)err;
    (void)snprintf(text, sizeof text, "%d", (int)event->step);
    note("step ", text);
    control->save = true;
    return CAIRN_OK;
}

static cairn_status always_fail(void *self, const cairn_event *event, cairn_control *control,
                                cairn_error *err)
{
    (void)event;
    (void)control;
    note("failing ", self);
    if (err != NULL) {
        err->status = CAIRN_EDATA;
        err->frame_count = 1;
        (void)snprintf(err->frame[0].text, sizeof err->frame[0].text, "the cause");
    }
    return CAIRN_EDATA;
}

static void destroy(void *self)
{
    note("~", self);
}

static const cairn_callback_ops k_seeing = {.struct_size = sizeof(cairn_callback_ops),
                                            .name = "Seeing",
                                            .destroy = destroy,
                                            .on_fit_start = see,
                                            .on_fit_end = see};
static const cairn_callback_ops k_failing = {.struct_size = sizeof(cairn_callback_ops),
                                             .name = "Failing",
                                             .destroy = destroy,
                                             .on_fit_start = always_fail};

static char s_a[] = "a";
static char s_b[] = "b";
static char s_c[] = "c";

static int begin(void **state)
{
    (void)state;
    s_seen[0] = '\0';
    return 0;
}

static void add(crn_callback_list *list, const cairn_callback_ops *ops, void *self)
{
    cairn_error err = {0};
    tk_assert_ok(crn_callback_list_add(list, (cairn_callback){.ops = ops, .self = self}, &err),
                 &err);
}

static cairn_status call(const crn_callback_list *list, crn_hook hook, cairn_error *err)
{
    const cairn_event event = {.struct_size = sizeof event, .step = 7};
    cairn_control control = {0};
    return crn_callback_list_call(list, hook, &event, &control, err);
}

static void callbacks_run_in_order_of_adding_and_end_in_reverse(void **state)
{
    crn_callback_list list = {0};
    (void)state;
    add(&list, &k_seeing, s_a);
    add(&list, &k_seeing, s_b);
    add(&list, &k_seeing, s_c);
    tk_assert_ok(call(&list, CRN_HOOK_on_fit_start, NULL), NULL);
    crn_callback_list_dispose(&list);
    assert_string_equal(s_seen, "a b c ~c ~b ~a");
    assert_int_equal(list.count, 0);
    crn_callback_list_dispose(&list); /* twice, and empty */
    assert_string_equal(s_seen, "a b c ~c ~b ~a");
}

static void a_hook_that_is_null_is_passed_over(void **state)
{
    crn_callback_list list = {0};
    (void)state;
    add(&list, &k_seeing, s_a);
    tk_assert_ok(call(&list, CRN_HOOK_on_train_start, NULL), NULL);
    assert_string_equal(s_seen, "");
    crn_callback_list_dispose(&list);
}

static void every_hook_finds_its_own_function(void **state)
{
    (void)state;
    for (int hook = 0; hook < CRN_HOOK_COUNT; hook++) {
        static const size_t k_offsets[] = {
#define X(name, when) offsetof(cairn_callback_ops, name),
            CAIRN_HOOK_LIST(X)
#undef X
        };
        crn_callback_list list = {0};
        cairn_callback_ops ops = {.struct_size = sizeof ops, .name = "One"};
        const cairn_hook_fn fn = see;
        memcpy((char *)&ops + k_offsets[hook], &fn, sizeof fn);
        add(&list, &ops, s_a);
        for (int other = 0; other < CRN_HOOK_COUNT; other++) {
            s_seen[0] = '\0';
            tk_assert_ok(call(&list, (crn_hook)other, NULL), NULL);
            assert_string_equal(s_seen, other == hook ? "a" : "");
        }
        crn_callback_list_dispose(&list);
    }
}

static void event_and_control_reach_the_callback(void **state)
{
    static const cairn_callback_ops k_asking = {.struct_size = sizeof(cairn_callback_ops),
                                                .name = "Asking",
                                                .on_log = see_with_step_and_ask};
    crn_callback_list list = {0};
    const cairn_event event = {.struct_size = sizeof event, .step = 42};
    cairn_control control = {0};
    (void)state;
    add(&list, &k_asking, NULL);
    tk_assert_ok(crn_callback_list_call(&list, CRN_HOOK_on_log, &event, &control, NULL), NULL);
    assert_string_equal(s_seen, "step 42");
    assert_true(control.save);
    assert_false(control.stop);
    crn_callback_list_dispose(&list);
}

static void an_older_table_lacks_the_later_hooks(void **state)
{
    /* Compiled before on_fit_end was appended: not a byte behind struct_size may be read. */
    const size_t size = offsetof(cairn_callback_ops, on_fit_end);
    crn_callback_list list = {0};
    cairn_callback_ops table = k_seeing;
    void *const older = malloc(size);
    (void)state;
    assert_non_null(older);
    table.struct_size = size;
    memcpy(older, &table, size);
    add(&list, older, s_a);
    tk_assert_ok(call(&list, CRN_HOOK_on_fit_start, NULL), NULL);
    tk_assert_ok(call(&list, CRN_HOOK_on_fit_end, NULL), NULL);
    assert_string_equal(s_seen, "a");
    crn_callback_list_dispose(&list);
    assert_string_equal(s_seen, "a ~a");
    free(older);
}

static void a_newer_table_is_refused_and_destroyed(void **state)
{
    crn_callback_list list = {0};
    cairn_error err = {0};
    cairn_callback_ops newer = k_seeing;
    (void)state;
    newer.struct_size = sizeof newer + sizeof(cairn_hook_fn);
    tk_assert_status(
        crn_callback_list_add(&list, (cairn_callback){.ops = &newer, .self = s_a}, &err),
        CAIRN_EVERSION, &err);
    tk_assert_error_has(&err, "'Seeing'");
    assert_string_equal(s_seen, "~a");
    assert_int_equal(list.count, 0);
    crn_callback_list_dispose(&list);
}

static void a_table_without_a_name_is_refused_and_destroyed(void **state)
{
    crn_callback_list list = {0};
    cairn_error err = {0};
    cairn_callback_ops nameless = k_seeing;
    (void)state;
    nameless.name = NULL;
    tk_assert_status(
        crn_callback_list_add(&list, (cairn_callback){.ops = &nameless, .self = s_a}, &err),
        CAIRN_EINVAL, &err);
    assert_string_equal(s_seen, "~a");
    tk_assert_status(crn_callback_list_add(&list, (cairn_callback){0}, &err), CAIRN_EINVAL, &err);
    crn_callback_list_dispose(&list);
}

static void a_failing_hook_is_named_and_ends_the_call(void **state)
{
    crn_callback_list list = {0};
    cairn_error err = {0};
    (void)state;
    add(&list, &k_seeing, s_a);
    add(&list, &k_failing, s_b);
    add(&list, &k_seeing, s_c);
    tk_assert_status(call(&list, CRN_HOOK_on_fit_start, &err), CAIRN_EDATA, &err);
    assert_string_equal(s_seen, "a failing b");
    tk_assert_error_has(&err, "Failing.on_fit_start: the cause");
    assert_int_equal(call(&list, CRN_HOOK_on_fit_start, NULL), CAIRN_EDATA);
    crn_callback_list_dispose(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(callbacks_run_in_order_of_adding_and_end_in_reverse, begin),
        cmocka_unit_test_setup(a_hook_that_is_null_is_passed_over, begin),
        cmocka_unit_test_setup(every_hook_finds_its_own_function, begin),
        cmocka_unit_test_setup(event_and_control_reach_the_callback, begin),
        cmocka_unit_test_setup(an_older_table_lacks_the_later_hooks, begin),
        cmocka_unit_test_setup(a_newer_table_is_refused_and_destroyed, begin),
        cmocka_unit_test_setup(a_table_without_a_name_is_refused_and_destroyed, begin),
        cmocka_unit_test_setup(a_failing_hook_is_named_and_ends_the_call, begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
