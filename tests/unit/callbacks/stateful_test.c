/* EarlyStopping, EMA and SkipSamples: what they do, and that a state brings it back. */
#include "unit/callbacks/callback_kit.h"

/* ---- EarlyStopping ---- */

static cairn_callback stopping(const char *mode, int64_t patience, double min_delta)
{
    cairn_callback callback;
    cairn_early_stopping_options options = cairn_early_stopping_options_default();
    options.mode = mode;
    options.patience = patience;
    options.min_delta = min_delta;
    assert_int_equal(cairn_early_stopping_new(&options, &callback, NULL), CAIRN_OK);
    return callback;
}

/* Logs @value as the monitored metric beside another; true if the callback asks to stop. */
static bool log_value(struct cairn_trainer *t, cairn_callback callback, uint64_t step, double value)
{
    const cairn_metric metrics[] = {{"loss", -100.0}, {"val_loss", value}};
    cairn_control control = {0};
    cairn_event event = ck_event(t);
    event.step = step;
    event.metrics = metrics;
    event.metric_count = 2;
    assert_int_equal(callback.ops->on_log(callback.self, &event, &control, NULL), CAIRN_OK);
    if (control.stop) {
        assert_string_equal(control.reason, "early_stop");
        assert_true(control.complete);
    }
    return control.stop;
}

static void early_stopping__counts_what_is_not_better(void **state)
{
    static const struct {
        const char *mode;
        double min_delta;
        double values[8];
        int count;
        int stops_at; /* -1: never */
    } k_rows[] = {
        {"min", 0.0, {3, 2, 1, 0.5}, 4, -1},      {"min", 0.0, {3, 3, 3}, 3, 2},
        {"min", 0.0, {3, 4, 2, 4, 2.5, 1}, 6, 4}, {"min", 0.0, {3, 4, 2.9, 4, 2.8, 5}, 6, -1},
        {"min", 0.5, {3, 2.6, 2.5, 1}, 4, 2},     {"min", 0.5, {3, 2.6, 2.4, 2.3}, 4, -1},
        {"max", 0.0, {1, 2, 1.5, 2, 3}, 5, 3},    {"max", 0.0, {1, 2, 1.5, 2.1, 2.0}, 5, -1},
        {"min", 0.0, {NAN, NAN}, 2, 1},           {"min", 0.0, {NAN, 5, NAN, 4}, 4, -1},
        {"min", 0.0, {5, NAN, NAN}, 3, 2},        {"min", 0.0, {INFINITY, INFINITY, 1}, 3, -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        struct cairn_trainer t;
        const cairn_callback callback = stopping(k_rows[i].mode, 2, k_rows[i].min_delta);
        int stopped_at = -1;
        ck_init(&t);
        cairn_event event = ck_event(&t);
        ck_call(callback, setup, &event);
        for (int j = 0; j < k_rows[i].count && stopped_at < 0; j++)
            stopped_at = log_value(&t, callback, (uint64_t)j, k_rows[i].values[j]) ? j : -1;
        assert_int_equal(stopped_at, k_rows[i].stops_at);
        ck_destroy(callback);
        ck_dispose(&t);
    }
}

static void copy_values(const cairn_state *from, cairn_state *to)
{
    for (size_t i = 0; i < cairn_state_value_count(from); i++) {
        const char *key = NULL;
        const char *text = NULL;
        cairn_state_value_at(from, i, &key, &text);
        assert_int_equal(cairn_state_set_text(to, key, text, NULL), CAIRN_OK);
    }
}

static void early_stopping__goes_on_from_its_state(void **state)
{
    struct cairn_trainer first;
    struct cairn_trainer second;
    (void)state;
    ck_init(&first);
    ck_init(&second);
    const cairn_callback a = stopping("min", 3, 0.0);
    cairn_event event = ck_event(&first);
    ck_call(a, setup, &event);
    assert_false(log_value(&first, a, 1, 0.1));
    assert_false(log_value(&first, a, 2, 0.2));
    assert_false(log_value(&first, a, 3, 0.3));
    const cairn_callback b = stopping("min", 3, 0.0);
    event = ck_event(&second);
    ck_call(b, setup, &event);
    copy_values(cairn_state_tree_find(first.tree, "EarlyStopping"),
                cairn_state_tree_find(second.tree, "EarlyStopping"));
    event.step = 3; /* resumed: not the step at which the run began */
    ck_call(b, on_fit_start, &event);
    assert_true(log_value(&second, b, 4, 0.15));
    assert_non_null(strstr(second.logged, "'val_loss' was not better 3 times in a row; the best "
                                          "was 0.1 at step 1"));
    /* A run that begins where another was stopped has all its patience, and still the best. */
    event.step = event.first_step = 4;
    ck_call(b, on_fit_start, &event);
    assert_false(log_value(&second, b, 5, 0.2));
    assert_false(log_value(&second, b, 6, 0.2));
    assert_true(log_value(&second, b, 7, 0.2));
    ck_destroy(a);
    ck_destroy(b);
    ck_dispose(&first);
    ck_dispose(&second);
}

static void early_stopping__twice_has_two_states_and_warns_of_a_name_that_never_comes(void **state)
{
    struct cairn_trainer t;
    (void)state;
    ck_init(&t);
    const cairn_callback a = stopping("min", 3, 0.0);
    cairn_early_stopping_options options = cairn_early_stopping_options_default();
    options.monitor = "val_lost";
    cairn_callback b;
    assert_int_equal(cairn_early_stopping_new(&options, &b, NULL), CAIRN_OK);
    cairn_event event = ck_event(&t);
    ck_call(a, setup, &event);
    ck_call(b, setup, &event);
    (void)log_value(&t, a, 1, 1.0);
    (void)log_value(&t, b, 1, 1.0);
    assert_int_equal(ck_number(cairn_state_tree_find(t.tree, "EarlyStopping"), "seen"), 1);
    assert_int_equal(ck_number(cairn_state_tree_find(t.tree, "EarlyStopping_2"), "seen"), 0);
    ck_call(a, on_fit_end, &event);
    assert_string_equal(t.logged, "");
    ck_call(b, on_fit_end, &event);
    assert_non_null(strstr(t.logged, "WARNING: EarlyStopping: no metric 'val_lost' was ever"));
    ck_destroy(a);
    ck_destroy(b);
    ck_dispose(&t);
}

static void early_stopping__refuses_wrong_options(void **state)
{
    const struct {
        cairn_early_stopping_options options;
        const char *says;
    } rows[] = {
        {{.monitor = "", .patience = 1, .mode = "min"}, "monitor is empty"},
        {{.monitor = "x", .patience = 0, .mode = "min"}, "patience is 0"},
        {{.monitor = "x", .patience = 1, .min_delta = -1.0, .mode = "min"}, "min_delta is -1"},
        {{.monitor = "x", .patience = 1, .mode = "least"}, "mode is 'least'"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cairn_callback callback = {0};
        cairn_error err = {0};
        assert_int_equal(cairn_early_stopping_new(&rows[i].options, &callback, &err),
                         CAIRN_ECONFIG);
        tk_assert_error_has(&err, rows[i].says);
    }
}

/* ---- EMA ---- */

static cairn_callback ema(double decay, int64_t every, int64_t start_step, bool validate)
{
    cairn_callback callback;
    cairn_ema_options options = cairn_ema_options_default();
    options.decay = decay;
    options.every = every;
    options.validate = validate;
    if (start_step > 0)
        options.start_step = cairn_int(start_step);
    assert_int_equal(cairn_ema_new(&options, &callback, NULL), CAIRN_OK);
    return callback;
}

/* The weights that a step of the toy makes. */
static void train_toy(struct cairn_trainer *t, uint64_t step)
{
    const cairn_tensor *const w = ck_tensor(t, "layers.0.w");
    float values[4];
    for (int i = 0; i < 4; i++)
        values[i] = sinf((float)step * (float)(i + 1));
    ck_write(t, w, values);
}

static void step_ema(struct cairn_trainer *t, cairn_callback callback, uint64_t step)
{
    cairn_event event = ck_event(t);
    train_toy(t, step);
    event.step = step - 1; /* not counted yet */
    ck_call(callback, on_after_optimizer_step, &event);
}

static void ema__averages_as_in_float64(void **state)
{
    struct cairn_trainer t;
    const cairn_callback callback = ema(0.9, 3, 5, true);
    double expected[4] = {0};
    (void)state;
    ck_init(&t);
    cairn_event event = ck_event(&t);
    ck_call(callback, setup, &event);
    ck_allocate(&t);
    const cairn_state *const averages = cairn_state_tree_find(t.tree, "ema");
    const cairn_tensor *const average = cairn_state_tensor_find(averages, "layers.0.w");
    const float *const weights = ck_tensor(&t, "layers.0.w")->data;
    for (uint64_t step = 1; step <= 40; step++) {
        step_ema(&t, callback, step);
        for (int i = 0; i < 4; i++) {
            if (step == 5)
                expected[i] = (double)weights[i];
            else if (step > 5 && step % 3 == 0)
                expected[i] = 0.9 * expected[i] + 0.1 * (double)weights[i];
            assert_true(fabs((double)((const float *)average->data)[i] - expected[i]) < 1e-6);
        }
        ck_call(callback, run_validation, &event);
        assert_ptr_equal(t.validated, step < 5 ? NULL : averages); /* Nothing to see before. */
    }
    assert_string_equal(t.prefix, "ema");
    assert_int_equal(ck_number(averages, "updates"), 1 + 12);
    ck_destroy(callback);
    ck_dispose(&t);
}

static void ema__has_the_models_tensors_in_its_order_and_aliases(void **state)
{
    struct cairn_trainer t;
    const cairn_callback callback = ema(0.9, 1, 0, true);
    (void)state;
    ck_init(&t);
    cairn_event event = ck_event(&t);
    ck_call(callback, setup, &event);
    ck_allocate(&t);
    const cairn_state *const averages = cairn_state_tree_find(t.tree, "ema");
    assert_int_equal(cairn_state_tensor_count(averages), cairn_state_tensor_count(t.model_state));
    for (size_t i = 0; i < cairn_state_tensor_count(averages); i++) {
        const cairn_tensor *const a = cairn_state_tensor_at(averages, i);
        const cairn_tensor *const w = cairn_state_tensor_at(t.model_state, i);
        assert_string_equal(a->name, w->name);
        assert_int_equal(a->bytes, w->bytes);
        assert_int_equal(a->role, CAIRN_ROLE_OTHER);
        assert_int_equal(a->offset - cairn_state_region_offset(averages),
                         w->offset - cairn_state_region_offset(t.model_state));
    }
    assert_ptr_equal(cairn_state_tensor_find(averages, "head"),
                     cairn_state_tensor_find(averages, "embed"));
    ck_destroy(callback);
    ck_dispose(&t);
}

static void ema__goes_on_from_its_state_and_leaves_skipped_steps_out(void **state)
{
    struct cairn_trainer whole;
    struct cairn_trainer parts;
    (void)state;
    ck_init(&whole);
    ck_init(&parts);
    const cairn_callback a = ema(0.5, 1, 0, true);
    const cairn_callback b = ema(0.5, 1, 0, true);
    cairn_event event = ck_event(&whole);
    ck_call(a, setup, &event);
    event = ck_event(&parts);
    ck_call(b, setup, &event);
    ck_allocate(&whole);
    ck_allocate(&parts);
    for (uint64_t step = 1; step <= 4; step++)
        step_ema(&whole, a, step);
    cairn_state *const from = cairn_state_tree_find(whole.tree, "ema");
    cairn_state *const to = cairn_state_tree_find(parts.tree, "ema");
    copy_values(from, to);
    for (size_t i = 0; i < cairn_state_tensor_count(from); i++)
        ck_write(&parts, cairn_state_tensor_at(to, i), cairn_state_tensor_at(from, i)->data);
    ck_call(b, on_load_checkpoint, &event);
    event.is_skipped = true;
    event.step = 4;
    ck_call(b, on_after_optimizer_step, &event);
    step_ema(&whole, a, 6);
    step_ema(&parts, b, 6);
    assert_memory_equal(cairn_state_tensor_at(from, 0)->data, cairn_state_tensor_at(to, 0)->data,
                        16);
    assert_int_equal(ck_number(to, "updates"), 5);
    ck_destroy(a);
    ck_destroy(b);
    ck_dispose(&whole);
    ck_dispose(&parts);
}

static void ema__does_not_validate_where_it_is_not_wanted_or_cannot(void **state)
{
    static const cairn_model_ops k_plain = {.struct_size = sizeof k_plain, .name = "plain"};
    struct cairn_trainer t;
    cairn_callback callback = ema(0.9, 1, 0, false);
    cairn_control control = {0};
    cairn_error err = {0};
    (void)state;
    ck_init(&t);
    t.model.ops = &k_plain;
    cairn_event event = ck_event(&t);
    ck_call(callback, setup, &event);
    ck_allocate(&t);
    step_ema(&t, callback, 1);
    ck_call(callback, run_validation, &event);
    assert_null(t.validated);
    ck_destroy(callback);
    callback = ema(0.9, 1, 0, true);
    assert_int_equal(callback.ops->setup(callback.self, &event, &control, &err), CAIRN_ECONFIG);
    tk_assert_error_has(&err, "the model plain cannot be validated with averages");
    ck_destroy(callback);
    ck_dispose(&t);
}

static void ema__refuses_wrong_options(void **state)
{
    const struct {
        cairn_ema_options options;
        const char *says;
    } rows[] = {
        {{.decay = 1.0, .every = 1}, "decay is 1"},
        {{.decay = -0.1, .every = 1}, "decay is -0.1"},
        {{.decay = NAN, .every = 1}, "decay is nan"},
        {{.decay = 0.5, .every = 0}, "every is 0"},
        {{.decay = 0.5, .every = 1, .start_step = cairn_int(0)}, "start_step is 0"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cairn_callback callback = {0};
        cairn_error err = {0};
        assert_int_equal(cairn_ema_new(&rows[i].options, &callback, &err), CAIRN_ECONFIG);
        tk_assert_error_has(&err, rows[i].says);
    }
}

/* ---- SkipSamples, SamplesStreamedInfo ---- */

static cairn_callback skipping_samples(int64_t n)
{
    cairn_callback callback;
    const cairn_skip_samples_options options = {.n = n};
    assert_int_equal(cairn_skip_samples_new(&options, &callback, NULL), CAIRN_OK);
    return callback;
}

static void skip_samples__leaves_out_once_and_more_on_request(void **state)
{
    struct cairn_trainer t;
    (void)state;
    ck_init(&t);
    t.streamed = 100;
    cairn_callback callback = skipping_samples(12);
    cairn_event event = ck_event(&t);
    ck_call(callback, setup, &event);
    ck_call(callback, on_fit_start, &event);
    assert_int_equal(t.streamed, 112);
    ck_call(callback, on_fit_start, &event); /* resumed: the state says that it is done */
    assert_int_equal(t.streamed, 112);
    ck_destroy(callback);
    struct cairn_trainer later;
    ck_init(&later);
    callback = skipping_samples(20);
    event = ck_event(&later);
    ck_call(callback, setup, &event);
    copy_values(cairn_state_tree_find(t.tree, "SkipSamples"),
                cairn_state_tree_find(later.tree, "SkipSamples"));
    ck_call(callback, on_fit_start, &event);
    assert_int_equal(later.streamed, 8);
    ck_destroy(callback);
    ck_dispose(&t);
    ck_dispose(&later);
    const cairn_skip_samples_options wrong = {.n = 0};
    assert_int_equal(cairn_skip_samples_new(&wrong, &callback, NULL), CAIRN_ECONFIG);
}

static void samples_streamed_info__says_what_to_skip_after_a_loss_that_is_no_number(void **state)
{
    struct cairn_trainer t;
    cairn_callback info;
    cairn_error failure = {.status = CAIRN_EDATA};
    (void)state;
    ck_init(&t);
    assert_int_equal(cairn_samples_streamed_info_new(&info, NULL), CAIRN_OK);
    const cairn_callback skipping = skipping_samples(5);
    cairn_event event = ck_event(&t);
    ck_call(skipping, setup, &event);
    ck_call(skipping, on_fit_start, &event);
    ck_call(info, on_fit_start, &event);
    t.streamed = 40;
    ck_call(info, on_save_checkpoint, &event);
    t.streamed = 44; /* The save is durable a step later. */
    ck_call(info, on_after_save_checkpoint, &event);
    t.streamed = 52;
    t.logged[0] = '\0';
    event.failure = &failure;
    ck_call(info, on_fit_exception, &event);
    assert_string_equal(t.logged, "");
    failure.status = CAIRN_ENONFINITE;
    ck_call(info, on_fit_exception, &event);
    assert_non_null(strstr(t.logged, "52 samples had been streamed, 12 of them since"));
    assert_non_null(strstr(t.logged, "'- SkipSamples: {n: 17}'"));
    ck_destroy(info);
    ck_destroy(skipping);
    ck_dispose(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(early_stopping__counts_what_is_not_better),
        cmocka_unit_test(early_stopping__goes_on_from_its_state),
        cmocka_unit_test(early_stopping__twice_has_two_states_and_warns_of_a_name_that_never_comes),
        cmocka_unit_test(early_stopping__refuses_wrong_options),
        cmocka_unit_test(ema__averages_as_in_float64),
        cmocka_unit_test(ema__has_the_models_tensors_in_its_order_and_aliases),
        cmocka_unit_test(ema__goes_on_from_its_state_and_leaves_skipped_steps_out),
        cmocka_unit_test(ema__does_not_validate_where_it_is_not_wanted_or_cannot),
        cmocka_unit_test(ema__refuses_wrong_options),
        cmocka_unit_test(skip_samples__leaves_out_once_and_more_on_request),
        cmocka_unit_test(samples_streamed_info__says_what_to_skip_after_a_loss_that_is_no_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
