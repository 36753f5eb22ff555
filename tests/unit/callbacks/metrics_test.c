/* Callbacks that only measure: their formulas, names and moments. */
#include "callbacks/timed.h"
#include "unit/callbacks/callback_kit.h"

enum { SECOND = 1000000000 };

/* ---- ComputeNorm ---- */

static void compute_norm__logs_norms_of_parameters_gradients_and_layers(void **state)
{
    struct cairn_trainer t;
    cairn_callback callback;
    (void)state;
    ck_init(&t);
    assert_int_equal(cairn_compute_norm_new(&callback, NULL), CAIRN_OK);
    cairn_event event = ck_event(&t);
    ck_call(callback, post_setup, &event);
    ck_allocate(&t);
    event.gradient_norm = 12.5;
    ck_call(callback, on_before_optimizer_step, &event);
    assert_int_equal(t.metric_count, 0); /* Only on log steps. */
    event.is_log_step = true;
    ck_call(callback, on_before_optimizer_step, &event);
    assert_int_equal(t.metric_count, 4);
    /* The squares of 1 to 15; of halves of 1 to 4; of 5 to 10. */
    ck_assert_near(ck_metric_value(&t, "model_wise_params_norm"), sqrt(1240.0));
    ck_assert_near(ck_metric_value(&t, "model_wise_grad_norm"), 12.5);
    ck_assert_near(ck_metric_value(&t, "per_layer_grad_norm/layer_0"), sqrt(30.0 / 4.0));
    ck_assert_near(ck_metric_value(&t, "per_layer_grad_norm/layer_1"), sqrt(355.0 / 4.0));
    ck_destroy(callback);
    ck_dispose(&t);
}

static void compute_norm__takes_only_layers_for_layers(void **state)
{
    static const char *const k_names[] = {"mylayers.3.w", "layers.x.w", "layers.4", "layers.99.w",
                                          "a.layers.1.b.layers.2.w"};
    struct cairn_trainer t;
    cairn_callback callback;
    (void)state;
    ck_init(&t);
    for (size_t i = 0; i < sizeof k_names / sizeof k_names[0]; i++) {
        const cairn_tensor_spec spec = {.name = k_names[i],
                                        .dtype = CAIRN_DTYPE_F32,
                                        .role = CAIRN_ROLE_WEIGHT,
                                        .rank = 1,
                                        .shape = {1}};
        assert_int_equal(cairn_state_add_tensor(t.model_state, &spec, NULL, NULL), CAIRN_OK);
    }
    assert_int_equal(cairn_compute_norm_new(&callback, NULL), CAIRN_OK);
    cairn_event event = ck_event(&t);
    ck_call(callback, post_setup, &event);
    ck_allocate(&t);
    event.is_log_step = true;
    ck_call(callback, on_before_optimizer_step, &event);
    /* The last name counts to layer 1; no layer 2, 3, 4 or 99. */
    assert_int_equal(t.metric_count, 4);
    ck_assert_near(ck_metric_value(&t, "per_layer_grad_norm/layer_1"),
                   sqrt((355.0 + 20.0 * 20.0) / 4.0));
    ck_destroy(callback);
    ck_dispose(&t);
}

/* ---- LogOptimizerParamGroup ---- */

static void log_optimizer_param_group__logs_each_group_under_its_number(void **state)
{
    static const char *const k_keys[] = {"learning_rate", "weight_decay"};
    static const double k_rates[] = {0.25, 0.5};
    static const double k_decays[] = {0.1, 0.0};
    struct cairn_trainer t;
    (void)state;
    for (int with_decay = 0; with_decay < 2; with_decay++) {
        cairn_callback callback;
        const cairn_log_optimizer_param_group_options options = {
            .keys = {.items = k_keys, .count = with_decay ? 2 : 0}};
        ck_init(&t);
        assert_int_equal(cairn_log_optimizer_param_group_new(&options, &callback, NULL), CAIRN_OK);
        cairn_event event = ck_event(&t);
        event.learning_rates = k_rates;
        event.weight_decays = k_decays;
        event.learning_rate_count = 2;
        ck_call(callback, on_before_optimizer_step, &event);
        assert_int_equal(t.metric_count, 0);
        event.is_log_step = true;
        ck_call(callback, on_before_optimizer_step, &event);
        assert_int_equal(t.metric_count, with_decay ? 4 : 2);
        assert_true(ck_metric_value(&t, "lr/0") == 0.25 && ck_metric_value(&t, "lr/1") == 0.5);
        if (with_decay)
            assert_true(ck_metric_value(&t, "weight_decay/0") == 0.1);
        ck_destroy(callback);
        ck_dispose(&t);
    }
}

static void log_optimizer_param_group__refuses_other_keys(void **state)
{
    static const char *const k_keys[] = {"lr", "momentum"};
    const cairn_log_optimizer_param_group_options options = {.keys = {k_keys, 2}};
    cairn_callback callback = {0};
    cairn_error err = {0};
    (void)state;
    assert_int_equal(cairn_log_optimizer_param_group_new(&options, &callback, &err), CAIRN_ECONFIG);
    tk_assert_error_has(&err, "unknown key 'momentum'");
    assert_null(callback.self);
}

/* ---- ModelEvalMetrics ---- */

static void model_eval_metrics__sums_over_tokens_and_begins_anew(void **state)
{
    struct cairn_trainer t;
    cairn_callback callback;
    const cairn_loss losses[] = {
        {.weight = 3.0, .has_metrics = true, .token_loss = 6.0, .correct = 1.0},
        {.weight = 1.0, .has_metrics = true, .token_loss = 4.0, .correct = 1.0}};
    (void)state;
    ck_init(&t);
    assert_int_equal(cairn_model_eval_metrics_new(&callback, NULL), CAIRN_OK);
    cairn_event event = ck_event(&t);
    for (int round = 0; round < 2; round++) {
        t.metric_count = 0;
        ck_call(callback, on_validate_start, &event);
        for (int i = 0; i < 2; i++) {
            event.computed = &losses[i];
            ck_call(callback, on_validate_batch_end, &event);
        }
        event.computed = NULL;
        ck_call(callback, on_validate_end, &event);
        ck_assert_near(ck_metric_value(&t, "eval/lm_perplexity"), exp(10.0 / 4.0));
        ck_assert_near(ck_metric_value(&t, "eval/accuracy"), 0.5);
    }
    /* A model that tells nothing makes no metric. */
    const cairn_loss silent = {.weight = 3.0};
    t.metric_count = 0;
    ck_call(callback, on_validate_start, &event);
    event.computed = &silent;
    ck_call(callback, on_validate_batch_end, &event);
    ck_call(callback, on_validate_end, &event);
    assert_int_equal(t.metric_count, 0);
    ck_destroy(callback);
    ck_dispose(&t);
}

/* ---- Clocks ---- */

static void rate_profiler__smooths_and_averages_and_leaves_saves_out(void **state)
{
    struct cairn_trainer t;
    cairn_callback callback;
    tk_fault_os os;
    (void)state;
    tk_fault_init(&os);
    os.is_clock_fake = true;
    ck_init(&t);
    assert_int_equal(crn_rate_profiler_new_os(&os.os, &callback, NULL), CAIRN_OK);
    cairn_event event = ck_event(&t);
    event.is_log_step = true;
    event.samples = 8;
    ck_call(callback, on_train_start, &event);
    os.monotonic_ns += 2L * SECOND;
    ck_call(callback, on_train_batch_end, &event);
    ck_assert_near(ck_metric_value(&t, "local_samples_per_sec"), 4.0);
    os.monotonic_ns += 100L * SECOND;
    ck_call(callback, on_after_save_checkpoint, &event);
    os.monotonic_ns += 1L * SECOND;
    t.metric_count = 0;
    ck_call(callback, on_train_batch_end, &event);
    ck_assert_near(ck_metric_value(&t, "local_samples_per_sec"), 0.6 * 8.0 + 0.4 * 4.0);
    ck_assert_near(ck_metric_value(&t, "avg_samples_per_sec"), 16.0 / 3.0);
    ck_assert_near(ck_metric_value(&t, "avg_steps_per_sec"), 2.0 / 3.0);
    t.metric_count = 0;
    event.is_log_step = false;
    ck_call(callback, on_train_batch_end, &event);
    assert_int_equal(t.metric_count, 0);
    ck_destroy(callback);
    ck_dispose(&t);
    tk_fault_dispose(&os);
}

static void medians__are_of_the_newest(void **state)
{
    crn_durations durations = {{0}, 0};
    (void)state;
    assert_true(crn_durations_median(&durations, 10) == 0.0);
    for (int i = 1; i <= 250; i++)
        crn_durations_add(&durations, (double)i);
    assert_true(crn_durations_median(&durations, 1) == 250.0);
    assert_true(crn_durations_median(&durations, 9) == 246.0);
    assert_true(crn_durations_median(&durations, 1000) == 201.0); /* of 151 to 250 */
}

static void duration_profiler__adds_steps_saves_and_validations(void **state)
{
    struct cairn_trainer t;
    cairn_callback callback;
    tk_fault_os os;
    (void)state;
    tk_fault_init(&os);
    os.is_clock_fake = true;
    ck_init(&t);
    assert_int_equal(crn_duration_profiler_new_os(&os.os, &callback, NULL), CAIRN_OK);
    cairn_event event = ck_event(&t);
    event.end_step = 20;
    event.batch_count = 5;
    ck_call(callback, on_train_start, &event);
    for (event.step = 1; event.step <= 3; event.step++) {
        os.monotonic_ns += 2L * SECOND;
        ck_call(callback, on_train_batch_end, &event);
    }
    event.step = 3;
    ck_call(callback, on_save_checkpoint, &event);
    os.monotonic_ns += 7L * SECOND;
    ck_call(callback, on_after_save_checkpoint, &event);
    for (int loader = 0; loader < 2; loader++) {
        ck_call(callback, on_validate_start, &event);
        os.monotonic_ns += 5L * SECOND;
        ck_call(callback, on_validate_end, &event);
    }
    ck_call(callback, on_train_start, &event); /* steps 4 to 8 */
    os.monotonic_ns += 2L * SECOND;
    event.step = 4;
    event.is_log_step = true;
    event.saves_left = 3;
    event.validations_left = 2;
    ck_call(callback, on_train_batch_end, &event);
    ck_assert_near(ck_metric_value(&t, "loop_time_remaining"), 4.0 * 2.0);
    ck_assert_near(ck_metric_value(&t, "time_remaining"), 16.0 * 2.0 + 3.0 * 7.0 + 2.0 * 10.0);
    ck_destroy(callback);
    ck_dispose(&t);
    tk_fault_dispose(&os);
}

static double toy_flops(const void *self, const cairn_batch *batch, bool is_training)
{
    (void)self;
    assert_true(is_training);
    return 1000.0 * (double)batch->samples;
}

static void flop_utilization__is_work_over_time_over_peak(void **state)
{
    static const cairn_model_ops k_telling = {
        .struct_size = sizeof k_telling, .name = "toy", .flops = toy_flops};
    const cairn_batch batch = {.struct_size = sizeof batch, .samples = 3};
    (void)state;
    for (int tells = 0; tells < 2; tells++) {
        struct cairn_trainer t;
        cairn_callback callback;
        tk_fault_os os;
        const cairn_flop_utilization_options options = {.peak_flops = cairn_float(6000.0)};
        tk_fault_init(&os);
        os.is_clock_fake = true;
        ck_init(&t);
        if (tells)
            t.model.ops = &k_telling;
        assert_int_equal(crn_flop_utilization_new_os(&os.os, &options, &callback, NULL), CAIRN_OK);
        cairn_event event = ck_event(&t);
        ck_call(callback, on_train_start, &event);
        for (int step = 0; step < 2; step++) { /* The first is no log step: it is added up. */
            event.is_log_step = step == 1;
            for (int part = 0; part < 2; part++) {
                event.batch = &batch;
                ck_call(callback, on_before_forward, &event);
            }
            os.monotonic_ns += 2L * SECOND;
            ck_call(callback, on_train_batch_end, &event);
        }
        /* Without the model's word: 6 operations a sample for each of the 10 weights. */
        const double work = tells ? 4 * 3000.0 : 4 * 6.0 * 3.0 * 10.0;
        ck_assert_near(ck_metric_value(&t, "ml_flops"), work / 4.0);
        ck_assert_near(ck_metric_value(&t, "flop_utilization"), work / 4.0 / 6000.0);
        ck_destroy(callback);
        ck_dispose(&t);
        tk_fault_dispose(&os);
    }
}

static void flop_utilization__measures_after_the_first_second(void **state)
{
    const cairn_batch batch = {.struct_size = sizeof batch, .samples = 1};
    struct cairn_trainer t;
    cairn_callback callback;
    const cairn_flop_utilization_options options = {0};
    (void)state;
    ck_init(&t);
    assert_int_equal(cairn_flop_utilization_new(&options, &callback, NULL), CAIRN_OK);
    cairn_event event = ck_event(&t);
    event.is_log_step = true;
    event.batch = &batch;
    ck_call(callback, on_train_start, &event);
    ck_call(callback, on_before_forward, &event);
    ck_call(callback, on_train_batch_end, &event);
    assert_int_equal(t.metric_count, 0); /* A short run does not pay for it. */
    ck_destroy(callback);
    const cairn_flop_utilization_options wrong = {.peak_flops = cairn_float(0.0)};
    assert_int_equal(cairn_flop_utilization_new(&wrong, &callback, NULL), CAIRN_ECONFIG);
    ck_dispose(&t);
}

static void save_performance_data__writes_what_was_measured(void **state)
{
    const char *const dir = *state;
    struct cairn_trainer t;
    cairn_callback callback;
    tk_fault_os os;
    const cairn_loss loss = {.weight = 30.0};
    tk_fault_init(&os);
    os.is_clock_fake = true;
    ck_init(&t);
    (void)snprintf(t.model_dir, sizeof t.model_dir, "%s", dir);
    assert_int_equal(crn_save_performance_data_new_os(&os.os, &callback, NULL), CAIRN_OK);
    cairn_event event = ck_event(&t);
    ck_call(callback, on_fit_end, &event); /* No step, no file. */
    tk_assert_list(dir, "");
    event.step = 10;
    ck_call(callback, on_fit_start, &event);
    ck_call(callback, on_train_start, &event);
    for (int i = 0; i < 2; i++) {
        event.computed = &loss;
        ck_call(callback, on_after_backward, &event);
        event.samples = 4;
        os.monotonic_ns += 2L * SECOND;
        ck_call(callback, on_train_batch_end, &event);
    }
    os.monotonic_ns += 1L * SECOND;
    tk_write_text(dir, "performance.json", "old");
    ck_call(callback, on_fit_end, &event);
    tk_assert_list(dir, "performance.json");
    tk_assert_file_text(dir, "performance.json",
                        "{\"first_step\": 10, \"steps\": 2, \"samples\": 8, \"tokens\": 60,\n"
                        " \"fit_seconds\": 5.000000, \"train_seconds\": 4.000000, "
                        "\"median_step_seconds\": 2.000000000,\n"
                        " \"samples_per_sec\": 2, \"steps_per_sec\": 0.5, \"tokens_per_sec\": "
                        "15}\n");
    /* A full disk is no reason to fail a run that is done, and the old file stays. */
    os.fail_op = 'w';
    os.fail_at = 1;
    os.op_calls = 0;
    ck_call(callback, on_fit_end, &event);
    assert_non_null(strstr(t.logged, "WARNING: SavePerformanceData: cannot write"));
    assert_int_equal(tk_fault_open_count(&os), 0);
    ck_destroy(callback);
    ck_dispose(&t);
    tk_fault_dispose(&os);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compute_norm__logs_norms_of_parameters_gradients_and_layers),
        cmocka_unit_test(compute_norm__takes_only_layers_for_layers),
        cmocka_unit_test(log_optimizer_param_group__logs_each_group_under_its_number),
        cmocka_unit_test(log_optimizer_param_group__refuses_other_keys),
        cmocka_unit_test(model_eval_metrics__sums_over_tokens_and_begins_anew),
        cmocka_unit_test(rate_profiler__smooths_and_averages_and_leaves_saves_out),
        cmocka_unit_test(medians__are_of_the_newest),
        cmocka_unit_test(duration_profiler__adds_steps_saves_and_validations),
        cmocka_unit_test(flop_utilization__is_work_over_time_over_peak),
        cmocka_unit_test(flop_utilization__measures_after_the_first_second),
        cmocka_unit_test_setup_teardown(save_performance_data__writes_what_was_measured,
                                        tk_temp_setup, tk_temp_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
