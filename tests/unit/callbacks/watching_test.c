/* Callbacks that look: NaNChecker, flags, listeners, inputs, the table of parameters. */
#include "unit/callbacks/callback_kit.h"

static void nan_checker__asks_for_checks_and_may_end_the_run(void **state)
{
    struct cairn_trainer t;
    cairn_callback callback;
    const cairn_nan_checker_options options = {.num_steps = cairn_int(2)};
    (void)state;
    ck_init(&t);
    assert_int_equal(cairn_nan_checker_new(&options, &callback, NULL), CAIRN_OK);
    cairn_event event = ck_event(&t);
    ck_call(callback, setup, &event);
    assert_int_equal(t.checks[0], CAIRN_CHECK_ALL);
    assert_int_equal(t.checks[1], CAIRN_CHECK_VALUES);
    for (int step = 1; step <= 2; step++) {
        cairn_control control = {0};
        assert_int_equal(callback.ops->on_train_batch_end(callback.self, &event, &control, NULL),
                         CAIRN_OK);
        assert_int_equal(control.stop, step == 2);
        assert_false(control.complete); /* The run can go on without it. */
    }
    ck_destroy(callback);
    ck_dispose(&t);
    const cairn_nan_checker_options wrong = {.num_steps = cairn_int(0)};
    assert_int_equal(cairn_nan_checker_new(&wrong, &callback, NULL), CAIRN_ECONFIG);
}

static void check_flags__act_in_their_scope(void **state)
{
    (void)state;
    for (int scope = 0; scope < 4; scope++) {
        struct cairn_trainer t;
        cairn_callback callback;
        const cairn_check_flags_options options = {.in_training = scope & 1,
                                                   .in_validation = scope & 2};
        ck_init(&t);
        assert_int_equal(cairn_check_flags_new(&options, &callback, NULL), CAIRN_OK);
        cairn_event event = ck_event(&t);
        ck_call(callback, setup, &event);
        assert_int_equal(t.checks[0], scope & 1 ? CAIRN_CHECK_ALL : CAIRN_CHECK_NONE);
        assert_int_equal(t.checks[1], scope & 2 ? CAIRN_CHECK_VALUES : CAIRN_CHECK_NONE);
        ck_destroy(callback);
        ck_dispose(&t);
    }
}

static const char *const k_patterns[] = {"layers.?.w", "*embed.grad", "gelu.[01]"};
static const cairn_opt_list k_list = {k_patterns, 3};

static void observe(struct cairn_trainer *t, const char *name, float last)
{
    const float values[] = {3.0F, last};
    for (size_t i = 0; i < t->observer_count; i++)
        assert_int_equal(t->observe[i](t->observer[i], name, values, 2, NULL), CAIRN_OK);
}

static void norm_listener__logs_what_matches_and_all_together(void **state)
{
    struct cairn_trainer t;
    cairn_callback callback;
    const cairn_norm_tensor_listener_options options = {.listener_name = "n",
                                                        .tensor_names = k_list};
    (void)state;
    ck_init(&t);
    assert_int_equal(cairn_norm_tensor_listener_new(&options, &callback, NULL), CAIRN_OK);
    cairn_event event = ck_event(&t);
    ck_call(callback, setup, &event);
    ck_allocate(&t);
    ck_call(callback, on_before_optimizer_step, &event);
    assert_int_equal(t.metric_count, 0);
    event.is_log_step = true;
    for (int round = 0; round < 2; round++) {
        t.metric_count = 0;
        observe(&t, "gelu.1", 4.0F);
        observe(&t, "gelu.2", 4.0F);
        ck_call(callback, on_before_optimizer_step, &event);
        assert_int_equal(t.metric_count, 5);
        ck_assert_near(ck_metric_value(&t, "n/gelu.1"), 5.0);
        ck_assert_near(ck_metric_value(&t, "n/layers.0.w"), sqrt(30.0));
        ck_assert_near(ck_metric_value(&t, "n/layers.1.w"), sqrt(355.0));
        ck_assert_near(ck_metric_value(&t, "n/embed.grad"), sqrt(855.0 / 4.0));
        ck_assert_near(ck_metric_value(&t, "n/__all__"), sqrt(25.0 + 30.0 + 355.0 + 855.0 / 4.0));
    }
    ck_destroy(callback);
    ck_dispose(&t);
}

static void summary_listener__hands_out_the_values_and_warns_if_nothing_fits(void **state)
{
    static const char *const k_none[] = {"nothing*"};
    struct cairn_trainer t;
    cairn_callback callback;
    cairn_summary_tensor_listener_options options = {.listener_name = "s", .tensor_names = k_list};
    (void)state;
    ck_init(&t);
    assert_int_equal(cairn_summary_tensor_listener_new(&options, &callback, NULL), CAIRN_OK);
    cairn_event event = ck_event(&t);
    event.is_log_step = true;
    ck_call(callback, setup, &event);
    ck_allocate(&t);
    observe(&t, "gelu.0", 7.0F);
    ck_call(callback, on_before_optimizer_step, &event);
    assert_string_equal(t.histograms, "s/gelu.0:2:7 s/layers.0.w:4:4 s/layers.1.w:6:10 "
                                      "s/embed.grad:5:7.5 ");
    assert_string_equal(t.logged, "");
    ck_destroy(callback);
    options.tensor_names = (cairn_opt_list){k_none, 1};
    t.observer_count = 0;
    assert_int_equal(cairn_summary_tensor_listener_new(&options, &callback, NULL), CAIRN_OK);
    ck_call(callback, setup, &event);
    for (int i = 0; i < 3; i++)
        ck_call(callback, on_before_optimizer_step, &event);
    assert_string_equal(t.logged, "WARNING: SummaryTensorListener 's': no tensor fits its "
                                  "tensor_names; `cairn checkpoint info` lists the parameters\n");
    ck_destroy(callback);
    options.tensor_names.count = 0;
    assert_int_equal(cairn_summary_tensor_listener_new(&options, &callback, NULL), CAIRN_ECONFIG);
    ck_dispose(&t);
}

static void log_input_summaries__takes_the_first_micro_batch_of_log_steps(void **state)
{
    static const int32_t k_ids[] = {5, 6, 7, 8};
    static const float k_mask[] = {1.0F, 0.5F};
    const cairn_batch batch = {.struct_size = sizeof batch,
                               .samples = 2,
                               .field_count = 3,
                               .field = {{"input_ids", CAIRN_DTYPE_I32, 2, {2, 2}, k_ids},
                                         {"mask", CAIRN_DTYPE_F32, 1, {2}, k_mask},
                                         {"other", CAIRN_DTYPE_I64, 1, {1}, k_ids}}};
    struct cairn_trainer t;
    cairn_callback callback;
    (void)state;
    ck_init(&t);
    assert_int_equal(cairn_log_input_summaries_new(&callback, NULL), CAIRN_OK);
    cairn_event event = ck_event(&t);
    event.batch = &batch;
    for (int step = 0; step < 3; step++) {
        event.is_log_step = step != 1;
        ck_call(callback, on_train_batch_start, &event);
        for (int part = 0; part < 2; part++)
            ck_call(callback, on_before_forward, &event);
    }
    event.is_validation = true;
    ck_call(callback, on_train_batch_start, &event);
    ck_call(callback, on_before_forward, &event);
    assert_string_equal(t.histograms, "input/input_ids:4:8 input/mask:2:0.5 "
                                      "input/input_ids:4:8 input/mask:2:0.5 ");
    ck_destroy(callback);
    ck_dispose(&t);
}

static void count_params__prints_a_table_in_the_order_asked_for(void **state)
{
    static const struct {
        const char *order_by;
        bool descending;
        const char *order[3];
    } k_rows[] = {
        {"none", false, {"layers.0.w", "layers.1.w", "embed"}},
        {"none", true, {"embed", "layers.1.w", "layers.0.w"}},
        {"name", false, {"embed", "layers.0.w", "layers.1.w"}},
        {"count", false, {"layers.0.w", "embed", "layers.1.w"}},
        {"count", true, {"layers.1.w", "embed", "layers.0.w"}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        struct cairn_trainer t;
        cairn_callback callback;
        const cairn_count_params_options options = {.order_by = k_rows[i].order_by,
                                                    .descending = k_rows[i].descending};
        ck_init(&t);
        assert_int_equal(cairn_count_params_new(&options, &callback, NULL), CAIRN_OK);
        cairn_event event = ck_event(&t);
        ck_call(callback, on_fit_start, &event);
        const char *at = t.logged;
        for (int row = 0; row < 3; row++) {
            at = strstr(at, k_rows[i].order[row]);
            assert_non_null(at);
        }
        assert_non_null(strstr(t.logged, "  layers.1.w               6  2 x 3\n"));
        assert_non_null(strstr(t.logged, "  all                     15\n"));
        ck_destroy(callback);
        ck_dispose(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nan_checker__asks_for_checks_and_may_end_the_run),
        cmocka_unit_test(check_flags__act_in_their_scope),
        cmocka_unit_test(norm_listener__logs_what_matches_and_all_together),
        cmocka_unit_test(summary_listener__hands_out_the_values_and_warns_if_nothing_fits),
        cmocka_unit_test(log_input_summaries__takes_the_first_micro_batch_of_log_steps),
        cmocka_unit_test(count_params__prints_a_table_in_the_order_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
