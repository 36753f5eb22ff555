/* Who sets learning rate and weight decay of which parameter group. */
#include "kit/kit.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "train/trainer_priv.h"

static const struct {
    const char *name;
    cairn_role role;
} k_params[] = {{"head.weight", CAIRN_ROLE_WEIGHT},
                {"head.bias", CAIRN_ROLE_BIAS},
                {"body.weight", CAIRN_ROLE_WEIGHT},
                {"body.bias", CAIRN_ROLE_BIAS}};

static const char *const k_head_globs[] = {"head*"};
static const cairn_param_filter k_head = {.params = {.items = k_head_globs, .count = 1},
                                          .tag = "head"};

struct fixture {
    cairn_state_tree *tree;
    cairn_state *model;
    cairn_optimizer optimizer;
    cairn_trainer trainer; /* only its filters are used */
    cairn_error err;
};

static void destroy_model(void *self)
{
    (void)self;
}

static int begin(void **state)
{
    struct fixture *const f = calloc(1, sizeof *f);
    cairn_adamw_options adamw = cairn_adamw_options_default();
    adamw.lr = 0.5;
    adamw.weight_decay = 0.25;
    assert_non_null(f);
    tk_assert_ok(cairn_state_tree_new(&f->tree, &f->err), &f->err);
    tk_assert_ok(cairn_state_tree_add(f->tree, "model", &f->model, &f->err), &f->err);
    for (size_t i = 0; i < sizeof k_params / sizeof k_params[0]; i++) {
        const cairn_tensor_spec spec = {
            .name = k_params[i].name, .dtype = CAIRN_DTYPE_F32, .role = k_params[i].role};
        tk_assert_ok(cairn_state_add_tensor(f->model, &spec, NULL, &f->err), &f->err);
    }
    tk_assert_ok(cairn_adamw_new(&adamw, &f->optimizer, &f->err), &f->err);
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *const f = *state;
    crn_rates_dispose(&f->trainer.rates);
    f->optimizer.ops->destroy(f->optimizer.self);
    cairn_state_tree_destroy(f->tree);
    free(f);
    return 0;
}

/* A constant @value, aimed at @what of the groups with @tags. */
static cairn_scheduler *constant(double value, cairn_scheduled what, const char *const *tags,
                                 size_t count)
{
    cairn_scheduler *scheduler = NULL;
    const cairn_constant_lr_options options = {.learning_rate = value};
    assert_int_equal(cairn_constant_lr_new(&options, &scheduler, NULL), CAIRN_OK);
    assert_int_equal(cairn_scheduler_aim(scheduler, what, tags, count, NULL), CAIRN_OK);
    return scheduler;
}

static cairn_status plan(struct fixture *f, const cairn_param_filter *filters, size_t filter_count,
                         cairn_scheduler **schedulers, size_t count)
{
    crn_rates *const rates = &f->trainer.rates;
    crn_rates_dispose(rates);
    f->err = (cairn_error){0};
    tk_assert_ok(cairn_trainer_set_param_filters(&f->trainer, filters, filter_count, &f->err),
                 &f->err);
    tk_assert_ok(crn_rates_take(rates, schedulers, count, &f->err), &f->err);
    return crn_rates_plan(rates, f->model, &f->optimizer, &f->err);
}

static void assert_rates(struct fixture *f, uint64_t t, size_t count, const double *rates,
                         const double *decays)
{
    crn_rates_compute(&f->trainer.rates, &f->optimizer, t);
    assert_int_equal(crn_rates_count(&f->trainer.rates), count);
    for (size_t i = 0; i < count; i++) {
        assert_true(f->trainer.rates.learning_rates[i] == rates[i]);
        assert_true(f->trainer.rates.weight_decays[i] == decays[i]);
    }
}

static void without_schedulers__the_optimizer_decides(void **state)
{
    struct fixture *const f = *state;
    tk_assert_ok(plan(f, NULL, 0, NULL, 0), &f->err);
    assert_rates(f, 7, 2, (const double[]){0.5, 0.5}, (const double[]){0.25, 0.0});
}

static void schedulers__set_their_rate_in_their_groups_only(void **state)
{
    static const char *const k_tags[] = {"head"};
    static const char *const k_untagged[] = {NULL};
    struct fixture *const f = *state;
    cairn_scheduler *schedulers[] = {
        constant(2.0, CAIRN_SCHEDULED_LEARNING_RATE, k_tags, 1),
        constant(3.0, CAIRN_SCHEDULED_WEIGHT_DECAY, k_untagged, 1),
    };
    tk_assert_ok(plan(f, &k_head, 1, schedulers, 2), &f->err);
    assert_rates(f, 0, 4, (const double[]){2.0, 2.0, 0.5, 0.5},
                 (const double[]){0.25, 0.0, 3.0, 0.0});
}

/* A schedule of weight decay for all groups decays neither biases nor norms. */
static void schedules_of_weight_decay__leave_undecayed_groups(void **state)
{
    struct fixture *const f = *state;
    cairn_scheduler *scheduler = constant(3.0, CAIRN_SCHEDULED_WEIGHT_DECAY, NULL, 0);
    tk_assert_ok(plan(f, NULL, 0, &scheduler, 1), &f->err);
    assert_rates(f, 0, 2, (const double[]){0.5, 0.5}, (const double[]){3.0, 0.0});
}

static void schedulers__follow_t(void **state)
{
    struct fixture *const f = *state;
    cairn_scheduler *scheduler = NULL;
    const cairn_linear_lr_options line = {
        .initial_learning_rate = 4.0, .end_learning_rate = 0.0, .total_iters = 4};
    tk_assert_ok(cairn_linear_lr_new(&line, &scheduler, &f->err), &f->err);
    tk_assert_ok(plan(f, NULL, 0, &scheduler, 1), &f->err);
    assert_rates(f, 1, 2, (const double[]){3.0, 3.0}, (const double[]){0.25, 0.0});
    assert_rates(f, 9, 2, (const double[]){0.0, 0.0}, (const double[]){0.25, 0.0});
}

static void factors__scale_learning_rates(void **state)
{
    struct fixture *const f = *state;
    const cairn_param_filter half = {.params = {.items = k_head_globs, .count = 1},
                                     .learning_rate_factor = 0.5};
    tk_assert_ok(plan(f, &half, 1, NULL, 0), &f->err);
    assert_rates(f, 0, 4, (const double[]){0.25, 0.5, 0.25, 0.5},
                 (const double[]){0.25, 0.25, 0.0, 0.0});
    cairn_scheduler *scaled = NULL;
    tk_assert_ok(cairn_scale_per_param_lr_new(constant(8.0, CAIRN_SCHEDULED_LEARNING_RATE, NULL, 0),
                                              &scaled, &f->err),
                 &f->err);
    tk_assert_ok(plan(f, &half, 1, &scaled, 1), &f->err);
    assert_rates(f, 0, 4, (const double[]){4.0, 8.0, 4.0, 8.0},
                 (const double[]){0.25, 0.25, 0.0, 0.0});
}

/* A parameter with both tags is in two schedulers' reach, which the tags alone do not show. */
static void two_schedulers_for_one_group__are_refused(void **state)
{
    static const char *const k_weight_globs[] = {"*weight"};
    static const char *const k_tags[][1] = {{"head"}, {"weights"}};
    struct fixture *const f = *state;
    const cairn_param_filter filters[] = {
        k_head, {.params = {.items = k_weight_globs, .count = 1}, .tag = "weights"}};
    cairn_scheduler *schedulers[] = {
        constant(2.0, CAIRN_SCHEDULED_LEARNING_RATE, k_tags[0], 1),
        constant(3.0, CAIRN_SCHEDULED_LEARNING_RATE, k_tags[1], 1),
    };
    assert_int_equal(plan(f, filters, 2, schedulers, 2), CAIRN_ECONFIG);
    assert_non_null(strstr(f->err.frame[0].text,
                           "ConstantLR and ConstantLR both set the learning rate of parameter "
                           "group 0"));
}

static void a_scheduler_without_a_group__is_refused(void **state)
{
    static const char *const k_tags[] = {"tail"};
    struct fixture *const f = *state;
    cairn_scheduler *scheduler = constant(2.0, CAIRN_SCHEDULED_WEIGHT_DECAY, k_tags, 1);
    assert_int_equal(plan(f, &k_head, 1, &scheduler, 1), CAIRN_ECONFIG);
    assert_non_null(
        strstr(f->err.frame[0].text, "ConstantWD sets the weight decay of no parameter group"));
}

static void weight_decay_that_the_optimizer_lacks__is_refused(void **state)
{
    struct fixture *const f = *state;
    const cairn_rprop_options rprop = cairn_rprop_options_default();
    cairn_scheduler *scheduler = constant(2.0, CAIRN_SCHEDULED_WEIGHT_DECAY, NULL, 0);
    f->optimizer.ops->destroy(f->optimizer.self);
    tk_assert_ok(cairn_rprop_new(&rprop, &f->optimizer, &f->err), &f->err);
    assert_int_equal(plan(f, NULL, 0, &scheduler, 1), CAIRN_ECONFIG);
    assert_string_equal(f->err.frame[0].text,
                        "Rprop has no weight decay that ConstantWD could set");
}

static void filters__are_copied_or_not_at_all(void **state)
{
    struct fixture *const f = *state;
    for (uint64_t n = 1;; n++) {
        crn_mem_fail_at(n, 0);
        const cairn_status status = cairn_trainer_set_param_filters(&f->trainer, &k_head, 1, NULL);
        crn_mem_fail_at(0, 0);
        if (status == CAIRN_OK)
            break;
        assert_int_equal(status, CAIRN_ENOMEM);
        assert_int_equal(f->trainer.rates.filter_count, 0);
    }
    assert_string_equal(f->trainer.rates.filters[0].tag, "head");
    assert_ptr_not_equal(f->trainer.rates.filters[0].tag, k_head.tag);
}

static void a_trainer__clips_by_norm_or_by_value(void **state)
{
    struct fixture *const f = *state;
    cairn_trainer *trainer = NULL;
    cairn_trainer_options options = cairn_trainer_options_default();
    static const cairn_model_ops k_model = {.struct_size = sizeof k_model,
                                            .destroy = destroy_model};
    options.max_gradient_norm = 1.0;
    options.max_gradient_value = 1.0;
    assert_int_equal(cairn_trainer_new(&options, (cairn_model){.ops = &k_model},
                                       (cairn_optimizer){0}, NULL, 0, &trainer, &f->err),
                     CAIRN_ECONFIG);
    assert_string_equal(f->err.frame[0].text, "gradients are clipped by max_gradient_norm or "
                                              "max_gradient_value, not by both");
    assert_null(trainer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_schedulers__the_optimizer_decides),
        TEST(schedulers__set_their_rate_in_their_groups_only),
        TEST(schedules_of_weight_decay__leave_undecayed_groups),
        TEST(schedulers__follow_t),
        TEST(factors__scale_learning_rates),
        TEST(two_schedulers_for_one_group__are_refused),
        TEST(a_scheduler_without_a_group__is_refused),
        TEST(weight_decay_that_the_optimizer_lacks__is_refused),
        TEST(filters__are_copied_or_not_at_all),
        TEST(a_trainer__clips_by_norm_or_by_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
