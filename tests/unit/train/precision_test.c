/* Loss scaling and clipping inside the trainer: what a skipped step does and does not. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit/train/mean.h"

enum { STEPS_MAX = 32 };

/* What each step was, from the hooks. */
struct seen {
    bool is_skipped[STEPS_MAX];
    double scale[STEPS_MAX]; /* while gradients were computed */
    float weight[STEPS_MAX]; /* after the step */
    float gradient[STEPS_MAX];
    size_t steps;
    size_t updates;
    size_t scheduled;
    size_t scales_logged;
    cairn_check wish;
};

static double s_largest; /* gradients of a larger scale overflow */
static cairn_check s_check_seen;

static cairn_status overflowing_compute(void *self, const cairn_batch *batch,
                                        const cairn_pass *pass, cairn_loss *out, cairn_error *err)
{
    const cairn_status rc = model_compute(self, batch, pass, out, err);
    s_check_seen = pass->check;
    if (pass->is_training && (double)pass->loss_scale > s_largest)
        s_weight->grad[0] = INFINITY;
    return rc;
}

static const cairn_model_ops k_overflowing = {.struct_size = sizeof(cairn_model_ops),
                                              .name = "overflowing mean",
                                              .declare = model_declare,
                                              .initialize = model_initialize,
                                              .compute = overflowing_compute,
                                              .destroy = destroy_nothing};

static cairn_status see_setup(void *self, const cairn_event *event, cairn_control *control,
                              cairn_error *err)
{
    const struct seen *const seen = self;
    (void)control;
    (void)err;
    cairn_trainer_set_check(event->trainer, false, seen->wish);
    return CAIRN_OK;
}

static cairn_status see_backward(void *self, const cairn_event *event, cairn_control *control,
                                 cairn_error *err)
{
    struct seen *const seen = self;
    (void)control;
    (void)err;
    assert_non_null(event->computed);
    assert_true(event->computed->weight == (double)BATCH);
    seen->scale[seen->steps] = event->loss_scale;
    return CAIRN_OK;
}

static cairn_status see_gradient(void *self, const cairn_event *event, cairn_control *control,
                                 cairn_error *err)
{
    struct seen *const seen = self;
    (void)control;
    (void)err;
    assert_true(event->loss_scale == 1.0); /* unscaled by now */
    assert_int_equal(event->is_skipped, !isfinite(event->gradient_norm));
    seen->gradient[seen->steps] = s_weight->grad[0];
    return CAIRN_OK;
}

static cairn_status see_update(void *self, const cairn_event *event, cairn_control *control,
                               cairn_error *err)
{
    struct seen *const seen = self;
    (void)event;
    (void)control;
    (void)err;
    seen->updates++;
    return CAIRN_OK;
}

static cairn_status see_schedule(void *self, const cairn_event *event, cairn_control *control,
                                 cairn_error *err)
{
    struct seen *const seen = self;
    (void)event;
    (void)control;
    (void)err;
    seen->scheduled++;
    return CAIRN_OK;
}

static cairn_status see_end(void *self, const cairn_event *event, cairn_control *control,
                            cairn_error *err)
{
    struct seen *const seen = self;
    (void)control;
    (void)err;
    assert_true(seen->steps < STEPS_MAX);
    seen->is_skipped[seen->steps] = event->is_skipped;
    seen->weight[seen->steps] = *(const float *)s_weight->data;
    seen->steps++;
    return CAIRN_OK;
}

static cairn_status see_log(void *self, const cairn_event *event, cairn_control *control,
                            cairn_error *err)
{
    struct seen *const seen = self;
    (void)control;
    (void)err;
    for (size_t i = 0; i < event->metric_count; i++) {
        if (strcmp(event->metrics[i].name, "loss_scale") == 0) {
            assert_true(event->metrics[i].value == seen->scale[seen->steps - 1]);
            seen->scales_logged++;
        }
    }
    return CAIRN_OK;
}

static const cairn_callback_ops k_seeing = {.struct_size = sizeof(cairn_callback_ops),
                                            .name = "Seeing",
                                            .setup = see_setup,
                                            .on_after_backward = see_backward,
                                            .on_before_optimizer_step = see_gradient,
                                            .on_after_optimizer_step = see_update,
                                            .on_after_scheduler_step = see_schedule,
                                            .on_train_batch_end = see_end,
                                            .on_log = see_log};

struct fixture {
    char *dir;
    struct seen seen;
    cairn_trainer_options options;
    cairn_fit_result result;
    cairn_error err;
};

static int begin(void **state)
{
    struct fixture *const f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->dir = make_run_folder();
    f->options = run_options(f->dir);
    f->options.loop.max_steps = cairn_int(6);
    f->options.loop.eval_frequency = (cairn_opt_number){.kind = CAIRN_NUMBER_NULL};
    f->options.checkpoint.steps = cairn_int(3);
    f->options.checkpoint.asynchronous = false;
    f->options.precision.fp16_type = "float16";
    f->options.precision.loss_scaling_factor = "dynamic";
    f->options.precision.initial_loss_scale = cairn_float(64.0);
    s_largest = 1e30;
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *const f = *state;
    char *const dir = f->dir;
    cairn_fit_result_dispose(&f->result);
    free(f);
    return end_run_folder(dir);
}

static cairn_status fit(struct fixture *f)
{
    cairn_trainer *trainer = NULL;
    cairn_optimizer optimizer = {0};
    cairn_adamw_options adamw = cairn_adamw_options_default();
    cairn_loader *const train = make_loader();
    adamw.lr = 0.1;
    f->seen = (struct seen){.wish = f->seen.wish};
    f->err = (cairn_error){0};
    cairn_fit_result_dispose(&f->result);
    tk_assert_ok(cairn_adamw_new(&adamw, &optimizer, &f->err), &f->err);
    cairn_status rc = cairn_trainer_new(&f->options, (cairn_model){.ops = &k_overflowing},
                                        optimizer, NULL, 0, &trainer, &f->err);
    if (rc == CAIRN_OK) {
        const cairn_callback callback = {&k_seeing, &f->seen};
        tk_assert_ok(cairn_trainer_add_callback(trainer, callback, &f->err), &f->err);
        rc = cairn_trainer_fit(trainer, train, NULL, 0, cairn_ckpt_omitted(), &f->result, &f->err);
    }
    cairn_trainer_destroy(trainer);
    cairn_loader_destroy(train);
    return rc;
}

static void a_skipped_step__counts_but_changes_nothing(void **state)
{
    struct fixture *const f = *state;
    s_largest = 16.0;
    tk_assert_ok(fit(f), &f->err);
    /* 64 and 32 overflow. */
    static const double k_scales[] = {64.0, 32.0, 16.0, 16.0, 16.0, 16.0};
    assert_int_equal(f->seen.steps, 6);
    assert_int_equal(f->result.step, 6);
    for (int i = 0; i < 6; i++) {
        assert_true(f->seen.is_skipped[i] == (i < 2));
        assert_true(f->seen.scale[i] == k_scales[i]);
    }
    assert_true(f->seen.weight[0] == 1.0F && f->seen.weight[1] == 1.0F); /* the first value */
    assert_true(f->seen.weight[2] != 1.0F);
    assert_int_equal(f->seen.updates, 4);
    assert_int_equal(f->seen.scheduled, 4);
    assert_int_equal(f->seen.scales_logged, 6);
    cairn_checkpoint *ckpt = NULL;
    tk_assert_ok(cairn_checkpoint_open(f->result.checkpoint, &ckpt, &f->err), &f->err);
    assert_true(cairn_checkpoint_has_state(ckpt, "grad_scaler"));
    cairn_checkpoint_close(ckpt);
}

static void a_run_in_two_parts__has_the_scale_and_bits_of_one(void **state)
{
    struct fixture *const f = *state;
    s_largest = 20.0; /* At the cut the scale is not the first one. */
    f->options.precision.steps_per_increase = 1;
    tk_assert_ok(fit(f), &f->err);
    const struct seen whole = f->seen;
    tk_remove_tree(f->dir);
    f->options.loop.max_steps = cairn_int(3);
    tk_assert_ok(fit(f), &f->err);
    f->options.loop.max_steps = cairn_int(6);
    tk_assert_ok(fit(f), &f->err);
    assert_int_equal(f->seen.steps, 3);
    for (int i = 0; i < 3; i++) {
        assert_true(f->seen.scale[i] == whole.scale[3 + i]);
        assert_true(f->seen.weight[i] == whole.weight[3 + i]);
        assert_int_equal(f->seen.is_skipped[i], whole.is_skipped[3 + i]);
    }
}

static void a_power_of_two__shows_in_no_bit(void **state)
{
    struct fixture *const f = *state;
    f->options.loop.grad_accum_steps = 2;
    f->options.precision.loss_scaling_factor = NULL;
    f->options.precision.log_loss_scale = (cairn_opt_bool){.is_set = true, .value = true};
    tk_assert_ok(fit(f), &f->err);
    const struct seen plain = f->seen;
    assert_int_equal(plain.scales_logged, 6);
    f->options.precision.log_loss_scale.is_set = false;
    tk_remove_tree(f->dir);
    f->options.precision.loss_scaling_factor = "4096";
    tk_assert_ok(fit(f), &f->err);
    assert_int_equal(f->seen.scales_logged, 0); /* null: only a dynamic one */
    assert_true(f->seen.scale[0] == 4096.0);
    assert_memory_equal(plain.weight, f->seen.weight, sizeof plain.weight);
    assert_memory_equal(plain.gradient, f->seen.gradient, sizeof plain.gradient);
}

static void overflow_at_the_least_scale__ends_the_run_with_its_own_status(void **state)
{
    struct fixture *const f = *state;
    s_largest = 1.0;
    f->options.precision.min_loss_scale = cairn_float(16.0);
    tk_assert_status(fit(f), CAIRN_ENONFINITE, &f->err);
    tk_assert_error_has(&f->err, "step 3");
    tk_assert_error_has(&f->err, "a loss scale of 16");
    assert_int_equal(f->seen.steps, 2);
}

static void with_a_fixed_scale__an_overflow_is_not_skipped(void **state)
{
    struct fixture *const f = *state;
    s_largest = 1.0;
    f->options.loop.max_steps = cairn_int(1);
    f->options.precision.loss_scaling_factor = "8";
    cairn_trainer *trainer = NULL;
    cairn_optimizer optimizer = {0};
    const cairn_adamw_options adamw = cairn_adamw_options_default();
    cairn_loader *const train = make_loader();
    tk_assert_ok(cairn_adamw_new(&adamw, &optimizer, &f->err), &f->err);
    tk_assert_ok(cairn_trainer_new(&f->options, (cairn_model){.ops = &k_overflowing}, optimizer,
                                   NULL, 0, &trainer, &f->err),
                 &f->err);
    tk_assert_ok(
        cairn_trainer_fit(trainer, train, NULL, 0, cairn_ckpt_omitted(), &f->result, &f->err),
        &f->err);
    const double weight = (double)*(const float *)s_weight->data;
    assert_true(isnan(weight) || isinf(weight)); /* CheckLoss would have stopped it. */
    cairn_trainer_destroy(trainer);
    cairn_loader_destroy(train);
}

static void clipping__is_by_norm_or_by_value(void **state)
{
    struct fixture *const f = *state;
    f->options.loop.max_steps = cairn_int(1);
    f->options.precision.max_gradient_norm = cairn_float(0.5);
    f->options.precision.max_gradient_value = cairn_float(0.5);
    tk_assert_status(fit(f), CAIRN_ECONFIG, &f->err);
    tk_assert_error_has(&f->err, "max_gradient_norm or max_gradient_value, not by both");
    /* 0 is none, as in the Model Zoo. */
    f->options.precision.max_gradient_norm = cairn_float(0.0);
    tk_assert_ok(fit(f), &f->err);
    tk_remove_tree(f->dir);
    f->options.precision.max_gradient_value = cairn_float(0.0);
    f->options.precision.max_gradient_norm = cairn_float(0.5);
    tk_assert_ok(fit(f), &f->err);
}

static void checks__leave_gradients_out_where_they_may_overflow(void **state)
{
    struct fixture *const f = *state;
    f->options.loop.max_steps = cairn_int(1);
    f->seen.wish = CAIRN_CHECK_ALL;
    tk_assert_ok(fit(f), &f->err);
    assert_int_equal(s_check_seen, CAIRN_CHECK_VALUES);
    tk_remove_tree(f->dir);
    f->options.precision.loss_scaling_factor = NULL;
    tk_assert_ok(fit(f), &f->err);
    assert_int_equal(s_check_seen, CAIRN_CHECK_ALL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_skipped_step__counts_but_changes_nothing, begin, end),
        cmocka_unit_test_setup_teardown(a_run_in_two_parts__has_the_scale_and_bits_of_one, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_power_of_two__shows_in_no_bit, begin, end),
        cmocka_unit_test_setup_teardown(
            overflow_at_the_least_scale__ends_the_run_with_its_own_status, begin, end),
        cmocka_unit_test_setup_teardown(with_a_fixed_scale__an_overflow_is_not_skipped, begin, end),
        cmocka_unit_test_setup_teardown(clipping__is_by_norm_or_by_value, begin, end),
        cmocka_unit_test_setup_teardown(checks__leave_gradients_out_where_they_may_overflow, begin,
                                        end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
