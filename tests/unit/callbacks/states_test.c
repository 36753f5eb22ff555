#include <string.h>

#include "base/mem.h"
#include "callbacks/states.h"
#include "kit/kit.h"

static cairn_status join(const char *const *items, size_t count, char **out, cairn_error *err)
{
    const cairn_opt_list list = {.items = items, .count = count};
    return crn_states_join("Callback", &list, "model", out, err);
}

static void join__trims_and_joins_lists_and_commas(void **state)
{
    static const struct {
        const char *items[3];
        size_t count;
        const char *expected;
    } k_cases[] = {
        {{NULL}, 0, "model"},
        {{"model"}, 1, "model"},
        {{"model,optimizer"}, 1, "model,optimizer"},
        {{" model ,\toptimizer "}, 1, "model,optimizer"},
        {{"model", "optimizer", "global_step"}, 3, "model,optimizer,global_step"},
        {{"model,optimizer", " model"}, 2, "model,optimizer"},
        {{"optimizer", "model"}, 2, "optimizer,model"},
        {{"model_2,model"}, 1, "model_2,model"},
        {{"all"}, 1, "all"},
        {{"ALL"}, 1, "all"},
        {{"model, All"}, 1, "all"},
        {{"allx"}, 1, "allx"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        char *joined = NULL;
        assert_int_equal(join(k_cases[i].items, k_cases[i].count, &joined, NULL), CAIRN_OK);
        assert_string_equal(joined, k_cases[i].expected);
        crn_free(joined);
    }
}

static void join__refuses_names_that_no_state_can_have(void **state)
{
    static const char *const k_bad[] = {"",       "model,", ",model",     "model,,optimizer",
                                        "mo del", "a.b",    "caf\xc3\xa9"};
    (void)state;
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++) {
        char *joined = NULL;
        assert_int_equal(join(&k_bad[i], 1, &joined, NULL), CAIRN_ECONFIG);
        assert_null(joined);
    }
}

static void join__fails_cleanly_at_every_allocation(void **state)
{
    static const char *const k_items[] = {"model", "optimizer"};
    cairn_status rc = CAIRN_ENOMEM;
    (void)state;
    for (uint64_t n = 1; rc != CAIRN_OK; n++) {
        char *joined = NULL;
        assert_true(n < 50);
        crn_mem_fail_at(n, 0);
        rc = join(k_items, 2, &joined, NULL);
        crn_mem_fail_at(0, 0);
        assert_true(rc == CAIRN_OK || rc == CAIRN_ENOMEM);
        crn_free(joined);
    }
}

static void check__names_the_states_there_are_and_the_nearest(void **state)
{
    cairn_error err = {0};
    cairn_state_tree *tree = NULL;
    (void)state;
    assert_int_equal(cairn_state_tree_new(&tree, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_tree_add(tree, "model", NULL, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_tree_add(tree, "optimizer", NULL, NULL), CAIRN_OK);
    assert_int_equal(crn_states_check("Callback", "all", tree, NULL), CAIRN_OK);
    assert_int_equal(crn_states_check("Callback", "model", tree, NULL), CAIRN_OK);
    assert_int_equal(crn_states_check("Callback", "optimizer,model", tree, NULL), CAIRN_OK);
    assert_int_equal(crn_states_check("Callback", "model,optimzer", tree, &err), CAIRN_ECONFIG);
    tk_assert_error_has(&err, "Callback: there is no state 'optimzer'; did you mean 'optimizer'? "
                              "The states are: model, optimizer");
    assert_int_equal(crn_states_check("Callback", "weather", tree, &err), CAIRN_ECONFIG);
    tk_assert_error_has(&err, "no state 'weather'. The states are: model, optimizer");
    cairn_state_tree_destroy(tree);
}

static void template__needs_both_fields_and_nothing_else(void **state)
{
    static const char *const k_good[] = {"{checkpoint_states}_{ckpt_name}",
                                         "{ckpt_name}.{checkpoint_states}",
                                         "x{checkpoint_states}{ckpt_name}y"};
    static const char *const k_bad[] = {"",
                                        "model.mdl",
                                        "{checkpoint_states}",
                                        "{ckpt_name}",
                                        "{checkpoint_states}_{ckpt_name}_{step}",
                                        "{checkpoint_states}_{ckpt_name",
                                        "{checkpoint_states}_{ckpt_name}}",
                                        "sub/{checkpoint_states}_{ckpt_name}",
                                        ".{checkpoint_states}_{ckpt_name}"};
    (void)state;
    for (size_t i = 0; i < sizeof k_good / sizeof k_good[0]; i++)
        assert_int_equal(crn_states_check_template("Callback", k_good[i], NULL), CAIRN_OK);
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++)
        assert_int_equal(crn_states_check_template("Callback", k_bad[i], NULL), CAIRN_ECONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(join__trims_and_joins_lists_and_commas),
        cmocka_unit_test(join__refuses_names_that_no_state_can_have),
        cmocka_unit_test(join__fails_cleanly_at_every_allocation),
        cmocka_unit_test(check__names_the_states_there_are_and_the_nearest),
        cmocka_unit_test(template__needs_both_fields_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
