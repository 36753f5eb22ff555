/* Which parameter is in which group. */
#include "unit/optim/optim_kit.h"

static const struct {
    const char *name;
    cairn_role role;
} k_params[] = {
    {"embedding_layer.word_embeddings.weight", CAIRN_ROLE_EMBEDDING},
    {"transformer_decoder.layers.0.norm1.weight", CAIRN_ROLE_NORM},
    {"transformer_decoder.layers.0.self_attn.proj_q_dense_layer.weight", CAIRN_ROLE_WEIGHT},
    {"transformer_decoder.layers.0.self_attn.proj_q_dense_layer.bias", CAIRN_ROLE_BIAS},
    {"counts", CAIRN_ROLE_OTHER},
    {"transformer_decoder.layers.1.ffn.ffn.0.linear_layer.weight", CAIRN_ROLE_WEIGHT},
    {"ln_f.bias", CAIRN_ROLE_NORM},
};
enum { PARAMS = sizeof k_params / sizeof k_params[0], COUNTS = 4 };

static cairn_state_tree *make_model(cairn_state **model)
{
    cairn_state_tree *tree = NULL;
    const int64_t two = 2;
    assert_int_equal(cairn_state_tree_new(&tree, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_tree_add(tree, "model", model, NULL), CAIRN_OK);
    for (int i = 0; i < PARAMS; i++)
        (void)ok_add(*model, k_params[i].name, k_params[i].role, 1, &two);
    return tree;
}

/* One that wants a factor for its matrices. */
static cairn_state_tree *make_mup_model(cairn_state **model)
{
    cairn_state_tree *tree = NULL;
    assert_int_equal(cairn_state_tree_new(&tree, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_tree_add(tree, "model", model, NULL), CAIRN_OK);
    for (int i = 0; i < PARAMS; i++) {
        const cairn_tensor_spec spec = {.name = k_params[i].name,
                                        .dtype = CAIRN_DTYPE_F32,
                                        .role = k_params[i].role,
                                        .rank = 1,
                                        .shape = {2},
                                        .learning_rate_factor =
                                            k_params[i].role == CAIRN_ROLE_WEIGHT ? 0.25 : 0.0};
        assert_int_equal(cairn_state_add_tensor(*model, &spec, NULL, NULL), CAIRN_OK);
    }
    return tree;
}

static cairn_param_filter filter(const char *const *globs, size_t count, const char *tag,
                                 double factor)
{
    return (cairn_param_filter){
        .params = {.items = globs, .count = count}, .tag = tag, .learning_rate_factor = factor};
}

/* The groups of the six parameters are exactly these. */
static void assert_groups(const cairn_param_groups *groups, size_t count, const size_t *expected)
{
    assert_int_equal(cairn_param_groups_count(groups), count);
    for (size_t i = 0; i < PARAMS; i++)
        if (i != COUNTS)
            assert_int_equal(cairn_param_groups_of(groups, i), expected[i]);
}

static void without_filters__roles_decide(void **state)
{
    cairn_state *model = NULL;
    cairn_param_groups *groups = NULL;
    cairn_state_tree *const tree = make_model(&model);
    static const size_t k_expected[] = {0, 1, 0, 1, 0, 0, 1};
    (void)state;
    assert_int_equal(cairn_param_groups_new(model, NULL, 0, &groups, NULL), CAIRN_OK);
    assert_groups(groups, 2, k_expected);
    assert_true(cairn_param_groups_is_decayed(groups, 0));
    assert_false(cairn_param_groups_is_decayed(groups, 1));
    assert_true(cairn_param_groups_has_tag(groups, 0, NULL));
    assert_false(cairn_param_groups_has_tag(groups, 0, "a"));
    assert_true(cairn_param_groups_factor(groups, 1) == 1.0);
    cairn_param_groups_destroy(groups);
    cairn_state_tree_destroy(tree);
}

static void without_filters__both_groups_are_there_even_if_empty(void **state)
{
    cairn_state_tree *tree = NULL;
    cairn_state *model = NULL;
    cairn_param_groups *groups = NULL;
    const int64_t two = 2;
    (void)state;
    assert_int_equal(cairn_state_tree_new(&tree, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_tree_add(tree, "model", &model, NULL), CAIRN_OK);
    (void)ok_add(model, "bias", CAIRN_ROLE_BIAS, 1, &two);
    assert_int_equal(cairn_param_groups_new(model, NULL, 0, &groups, NULL), CAIRN_OK);
    assert_int_equal(cairn_param_groups_count(groups), 2);
    assert_int_equal(cairn_param_groups_of(groups, 0), 1);
    cairn_param_groups_destroy(groups);
    cairn_state_tree_destroy(tree);
}

/* Tag sets in the order of the parameters, decayed first; empty groups vanish. */
static void tags__make_groups_of_their_own(void **state)
{
    static const char *const k_dense[] = {"*dense_layer.*"};
    static const char *const k_ends[] = {"*word_embeddings.weight", "ln_f.*"};
    static const size_t k_expected[] = {0, 3, 4, 5, 0, 2, 1};
    cairn_state *model = NULL;
    cairn_param_groups *groups = NULL;
    cairn_state_tree *const tree = make_model(&model);
    const cairn_param_filter filters[] = {filter(k_dense, 1, "dense", 0.0),
                                          filter(k_ends, 2, "ends", 0.0)};
    (void)state;
    assert_int_equal(cairn_param_groups_new(model, filters, 2, &groups, NULL), CAIRN_OK);
    assert_groups(groups, 6, k_expected);
    assert_true(cairn_param_groups_has_tag(groups, 0, "ends"));
    assert_false(cairn_param_groups_has_tag(groups, 0, "dense"));
    assert_false(cairn_param_groups_has_tag(groups, 0, NULL));
    assert_true(cairn_param_groups_has_tag(groups, 2, NULL));
    assert_true(cairn_param_groups_has_tag(groups, 5, "dense"));
    assert_false(cairn_param_groups_is_decayed(groups, 5));
    cairn_param_groups_destroy(groups);
    cairn_state_tree_destroy(tree);
}

static void tags__of_one_parameter_add_up(void **state)
{
    static const char *const k_first[] = {"*layers.0.*"};
    static const char *const k_bias[] = {"*bias"};
    cairn_state *model = NULL;
    cairn_param_groups *groups = NULL;
    cairn_state_tree *const tree = make_model(&model);
    const cairn_param_filter filters[] = {filter(k_first, 1, "first", 0.0),
                                          filter(k_bias, 1, "bias", 0.0)};
    (void)state;
    assert_int_equal(cairn_param_groups_new(model, filters, 2, &groups, NULL), CAIRN_OK);
    const size_t both = cairn_param_groups_of(groups, 3);
    assert_true(cairn_param_groups_has_tag(groups, both, "first"));
    assert_true(cairn_param_groups_has_tag(groups, both, "bias"));
    assert_true(both != cairn_param_groups_of(groups, 1));
    assert_true(both != cairn_param_groups_of(groups, 6));
    cairn_param_groups_destroy(groups);
    cairn_state_tree_destroy(tree);
}

/* As in the Model Zoo, whose parameters begin with "model.": open at the start, not at the end. */
static void globs__match_the_end_of_a_name(void **state)
{
    static const char *const k_matching[] = {"ln_f.bias", "f.bias", "model.ln_f*", "ln_?.bias",
                                             "ln_[ef].*"};
    static const char *const k_others[] = {"ln_f", "ln_f.bia", "model.model.ln_f.bias",
                                           "ln_[!f].bias"};
    cairn_state *model = NULL;
    cairn_state_tree *const tree = make_model(&model);
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        cairn_param_groups *groups = NULL;
        const cairn_param_filter one = filter(&k_matching[i], 1, "t", 0.0);
        assert_int_equal(cairn_param_groups_new(model, &one, 1, &groups, NULL), CAIRN_OK);
        assert_true(cairn_param_groups_has_tag(groups, cairn_param_groups_of(groups, 6), "t"));
        cairn_param_groups_destroy(groups);
    }
    for (size_t i = 0; i < 4; i++) {
        cairn_param_groups *groups = NULL;
        cairn_error err = {0};
        char expected[128];
        const cairn_param_filter one = filter(&k_others[i], 1, "t", 0.0);
        assert_int_equal(cairn_param_groups_new(model, &one, 1, &groups, &err), CAIRN_ECONFIG);
        (void)snprintf(expected, sizeof expected,
                       "no parameter matches '%s' of optimizer.params, tag 't'", k_others[i]);
        assert_string_equal(err.frame[0].text, expected);
        assert_null(groups);
    }
    cairn_state_tree_destroy(tree);
}

static void factors__split_groups_and_the_first_match_counts(void **state)
{
    static const char *const k_dense[] = {"*dense*weight"};
    static const char *const k_decoder[] = {"*decoder*weight"};
    cairn_state *model = NULL;
    cairn_param_groups *groups = NULL;
    cairn_state_tree *const tree = make_model(&model);
    const cairn_param_filter filters[] = {filter(k_dense, 1, NULL, 0.25),
                                          filter(k_decoder, 1, NULL, 0.5)};
    (void)state;
    assert_int_equal(cairn_param_groups_new(model, filters, 2, &groups, NULL), CAIRN_OK);
    assert_true(cairn_param_groups_factor(groups, cairn_param_groups_of(groups, 2)) == 0.25);
    assert_true(cairn_param_groups_factor(groups, cairn_param_groups_of(groups, 5)) == 0.5);
    assert_true(cairn_param_groups_factor(groups, cairn_param_groups_of(groups, 1)) == 0.5);
    assert_true(cairn_param_groups_factor(groups, cairn_param_groups_of(groups, 0)) == 1.0);
    assert_true(cairn_param_groups_factor(groups, cairn_param_groups_of(groups, 3)) == 1.0);
    assert_true(cairn_param_groups_has_tag(groups, cairn_param_groups_of(groups, 2), NULL));
    cairn_param_groups_destroy(groups);
    cairn_state_tree_destroy(tree);
}

static void too_many_tags__are_refused(void **state)
{
    static const char *const k_all[] = {"*"};
    static const char k_names[33][3] = {
        "a", "b", "c", "d", "e", "f", "g", "h", "i", "j",  "k",  "l",  "m",  "n",  "o",  "p", "q",
        "r", "s", "t", "u", "v", "w", "x", "y", "z", "aa", "bb", "cc", "dd", "ee", "ff", "gg"};
    cairn_state *model = NULL;
    cairn_param_groups *groups = NULL;
    cairn_param_filter filters[33];
    cairn_state_tree *const tree = make_model(&model);
    (void)state;
    for (size_t i = 0; i < 33; i++)
        filters[i] = filter(k_all, 1, k_names[i], 0.0);
    assert_int_equal(cairn_param_groups_new(model, filters, 32, &groups, NULL), CAIRN_OK);
    assert_true(cairn_param_groups_has_tag(groups, 0, "ff"));
    cairn_param_groups_destroy(groups);
    assert_int_equal(cairn_param_groups_new(model, filters, 33, &groups, NULL), CAIRN_ECONFIG);
    cairn_state_tree_destroy(tree);
}

static void new__fails_cleanly_at_every_allocation(void **state)
{
    static const char *const k_dense[] = {"*dense*"};
    cairn_state *model = NULL;
    cairn_state_tree *const tree = make_model(&model);
    const cairn_param_filter one = filter(k_dense, 1, "dense", 0.0);
    (void)state;
    for (uint64_t n = 1;; n++) {
        cairn_param_groups *groups = NULL;
        crn_mem_fail_at(n, 0);
        const cairn_status status = cairn_param_groups_new(model, &one, 1, &groups, NULL);
        crn_mem_fail_at(0, 0);
        cairn_param_groups_destroy(groups);
        if (status == CAIRN_OK) {
            assert_true(n > 6);
            break;
        }
        assert_int_equal(status, CAIRN_ENOMEM);
        assert_null(groups);
    }
    cairn_state_tree_destroy(tree);
}

static void factors_of_the_model__make_groups_and_give_way_to_filters(void **state)
{
    cairn_state *model = NULL;
    cairn_param_groups *groups = NULL;
    cairn_state_tree *const tree = make_mup_model(&model);
    static const size_t k_alone[] = {0, 2, 1, 2, 0, 1, 2};
    static const size_t k_filtered[] = {0, 3, 1, 3, 0, 2, 3};
    static const char *const k_globs[] = {"*ffn*weight"};
    const cairn_param_filter ffn = filter(k_globs, 1, NULL, 1.0);
    const cairn_param_filter half = filter(k_globs, 1, NULL, 0.5);
    (void)state;
    assert_int_equal(cairn_param_groups_new(model, NULL, 0, &groups, NULL), CAIRN_OK);
    assert_groups(groups, 3, k_alone);
    assert_true(cairn_param_groups_factor(groups, 0) == 1.0);
    assert_true(cairn_param_groups_factor(groups, 1) == 0.25);
    assert_true(cairn_param_groups_is_decayed(groups, 1));
    assert_true(cairn_param_groups_factor(groups, 2) == 1.0);
    cairn_param_groups_destroy(groups);
    assert_int_equal(cairn_param_groups_new(model, &half, 1, &groups, NULL), CAIRN_OK);
    assert_groups(groups, 4, k_filtered);
    assert_true(cairn_param_groups_factor(groups, 1) == 0.25);
    assert_true(cairn_param_groups_factor(groups, 2) == 0.5);
    cairn_param_groups_destroy(groups);
    assert_int_equal(cairn_param_groups_new(model, &ffn, 1, &groups, NULL), CAIRN_OK);
    assert_true(cairn_param_groups_factor(groups, cairn_param_groups_of(groups, 5)) == 1.0);
    cairn_param_groups_destroy(groups);
    cairn_state_tree_destroy(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_filters__roles_decide),
        cmocka_unit_test(without_filters__both_groups_are_there_even_if_empty),
        cmocka_unit_test(tags__make_groups_of_their_own),
        cmocka_unit_test(tags__of_one_parameter_add_up),
        cmocka_unit_test(globs__match_the_end_of_a_name),
        cmocka_unit_test(factors__split_groups_and_the_first_match_counts),
        cmocka_unit_test(too_many_tags__are_refused),
        cmocka_unit_test(new__fails_cleanly_at_every_allocation),
        cmocka_unit_test(factors_of_the_model__make_groups_and_give_way_to_filters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
