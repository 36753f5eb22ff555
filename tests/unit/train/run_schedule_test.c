/* When a run ends, saves and validates: the vectors of the Model Zoo and the limits of the loop. */
#include <stdio.h>

#include "kit/kit.h"
#include "train/run_schedule.h"

enum { TEXT_SIZE = 256, PLENTY = 1000000 };

static const cairn_opt_int k_null = {0};
static const cairn_opt_number k_never = {.kind = CAIRN_NUMBER_NULL};

static cairn_opt_number every(int64_t steps)
{
    return (cairn_opt_number){.kind = CAIRN_NUMBER_INT, .i = steps};
}

static cairn_opt_number share(double of_all)
{
    return (cairn_opt_number){.kind = CAIRN_NUMBER_FLOAT, .f = of_all};
}

static crn_run_schedule make(const cairn_loop_options *loop, cairn_opt_int save_steps,
                             uint64_t first_step, uint64_t batches)
{
    crn_run_schedule schedule = {0};
    cairn_error err = {0};
    tk_assert_ok(
        crn_run_schedule_make(loop, save_steps, first_step, batches, true, &schedule, &err), &err);
    return schedule;
}

static crn_run_schedule make_steps(uint64_t first_step, int64_t steps, cairn_opt_int save_steps,
                                   cairn_opt_number eval_frequency)
{
    cairn_loop_options loop = cairn_loop_options_default();
    loop.num_steps = cairn_int(steps);
    loop.eval_frequency = eval_frequency;
    return make(&loop, save_steps, first_step, PLENTY);
}

/* The steps up to the end at which @is_at holds, as "4 8 10". */
static const char *steps_of(const crn_run_schedule *schedule,
                            bool (*is_at)(const crn_run_schedule *schedule, uint64_t step),
                            char text[TEXT_SIZE])
{
    int length = 0;
    text[0] = '\0';
    for (uint64_t step = 0; step <= schedule->end_step + 1; step++)
        if (is_at(schedule, step))
            length += snprintf(text + length, (size_t)(TEXT_SIZE - length), "%s%d",
                               length > 0 ? " " : "", (int)step);
    return text;
}

/* Lengths of the training segments that follow @step, as "3 3 3 1". */
static const char *segments_of(const crn_run_schedule *schedule, uint64_t step,
                               char text[TEXT_SIZE])
{
    int length = 0;
    text[0] = '\0';
    while (step < schedule->end_step) {
        const uint64_t until = crn_run_schedule_segment_end(schedule, step);
        assert_true(until > step);
        length += snprintf(text + length, (size_t)(TEXT_SIZE - length), "%s%d",
                           length > 0 ? " " : "", (int)(until - step));
        step = until;
    }
    return text;
}

static void assert_saves(const crn_run_schedule *schedule, const char *steps)
{
    char text[TEXT_SIZE];
    assert_string_equal(steps_of(schedule, crn_run_schedule_saves_at, text), steps);
}

static void assert_validations(const crn_run_schedule *schedule, const char *steps)
{
    char text[TEXT_SIZE];
    assert_string_equal(steps_of(schedule, crn_run_schedule_validates_at, text), steps);
}

static void assert_segments(const crn_run_schedule *schedule, uint64_t step, const char *lengths)
{
    char text[TEXT_SIZE];
    assert_string_equal(segments_of(schedule, step, text), lengths);
}

/* ---- Cadence: the vectors of the Model Zoo (reference 1.1) ---- */

static void saves_count_from_the_first_step_and_the_last_is_saved(void **state)
{
    static const struct {
        uint64_t first;
        int64_t steps;
        int64_t save_every;
        cairn_opt_number eval;
        const char *saves;
        const char *validations;
        const char *segments;
    } k_vectors[] = {
        {0, 10, 4, {CAIRN_NUMBER_NULL, 0, 0}, "4 8 10", "", "10"},
        {0, 10, 4, {CAIRN_NUMBER_INT, 3, 0}, "4 8 10", "3 6 9 10", "3 3 3 1"},
        {0, 10, 4, {CAIRN_NUMBER_FLOAT, 0, 0.5}, "4 8 10", "5 10", "5 5"},
        {0, 10, 100, {CAIRN_NUMBER_NULL, 0, 0}, "10", "", "10"},
        {5, 10, 4, {CAIRN_NUMBER_NULL, 0, 0}, "9 13 15", "", "10"},
        {150, 100, 100, {CAIRN_NUMBER_INT, 50, 0}, "250", "200 250", "50 50"},
        {0, 100, 30, {CAIRN_NUMBER_FLOAT, 0, 0.3}, "30 60 90 100", "30 60 90 100", "30 30 30 10"},
        {0, 10, 5, {CAIRN_NUMBER_INT, 4, 0}, "5 10", "4 8 10", "4 4 2"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof k_vectors / sizeof k_vectors[0]; i++) {
        const crn_run_schedule schedule =
            make_steps(k_vectors[i].first, k_vectors[i].steps, cairn_int(k_vectors[i].save_every),
                       k_vectors[i].eval);
        assert_saves(&schedule, k_vectors[i].saves);
        assert_validations(&schedule, k_vectors[i].validations);
        assert_segments(&schedule, k_vectors[i].first, k_vectors[i].segments);
    }
}

static void nothing_is_saved__steps_null_or_0(void **state)
{
    (void)state;
    const crn_run_schedule null_steps = make_steps(0, 10, k_null, k_never);
    const crn_run_schedule zero_steps = make_steps(0, 10, cairn_int(0), k_never);
    assert_saves(&null_steps, "");
    assert_saves(&zero_steps, "");
    assert_int_equal(crn_run_schedule_saves_after(&null_steps, 0), 0);
    assert_int_equal(crn_run_schedule_saves_after(&zero_steps, 0), 0);
}

static void counts_of_what_is_left_agree_with_the_steps(void **state)
{
    (void)state;
    const crn_run_schedule schedule = make_steps(5, 10, cairn_int(4), every(3));
    for (uint64_t step = 5; step <= 16; step++) {
        uint64_t saves = 0;
        uint64_t validations = 0;
        for (uint64_t later = step + 1; later <= schedule.end_step; later++) {
            saves += crn_run_schedule_saves_at(&schedule, later);
            validations += crn_run_schedule_validates_at(&schedule, later);
        }
        assert_int_equal(crn_run_schedule_saves_after(&schedule, step), saves);
        assert_int_equal(crn_run_schedule_validations_after(&schedule, step), validations);
    }
    assert_int_equal(crn_run_schedule_saves_after(&schedule, 5), 3);
    assert_int_equal(crn_run_schedule_validations_after(&schedule, 5), 4);
}

static void a_resumed_process_saves_where_the_whole_run_does__first_step_kept(void **state)
{
    (void)state;
    /* The run began at 5; a process that goes on at 11 has the same schedule. */
    const crn_run_schedule schedule = make_steps(5, 10, cairn_int(4), every(3));
    assert_int_equal(schedule.first_step, 5);
    assert_int_equal(schedule.end_step, 15);
    assert_saves(&schedule, "9 13 15");
    assert_validations(&schedule, "8 11 14 15");
    assert_segments(&schedule, 11, "3 1");
    assert_segments(&schedule, 12, "2 1"); /* killed within a segment */
    assert_int_equal(crn_run_schedule_saves_after(&schedule, 11), 2);
}

/* ---- eval_frequency ---- */

static void an_integer_longer_than_the_run_validates_at_its_end(void **state)
{
    (void)state;
    const crn_run_schedule schedule = make_steps(0, 10, k_null, every(50));
    assert_validations(&schedule, "10");
}

static void integer_1_is_every_step_and_float_1_the_end(void **state)
{
    (void)state;
    const crn_run_schedule each = make_steps(0, 3, k_null, every(1));
    const crn_run_schedule end = make_steps(0, 3, k_null, share(1.0));
    assert_validations(&each, "1 2 3");
    assert_validations(&end, "3");
}

static void a_share_is_rounded_up(void **state)
{
    (void)state;
    const crn_run_schedule schedule = make_steps(0, 10, k_null, share(0.25)); /* 2.5 steps */
    assert_validations(&schedule, "3 6 9 10");
    const crn_run_schedule tiny = make_steps(0, 10, k_null, share(1e-9));
    assert_int_equal(tiny.eval_every, 1);
}

static void nothing_is_validated__frequency_0_or_null_or_no_data(void **state)
{
    cairn_loop_options loop = cairn_loop_options_default();
    crn_run_schedule schedule = {0};
    (void)state;
    schedule = make_steps(0, 10, k_null, every(0));
    assert_validations(&schedule, "");
    schedule = make_steps(0, 10, k_null, share(0.0));
    assert_validations(&schedule, "");
    schedule = make_steps(0, 10, k_null, k_never);
    assert_validations(&schedule, "");
    loop.num_steps = cairn_int(10);
    loop.eval_frequency = every(2);
    tk_assert_ok(crn_run_schedule_make(&loop, k_null, 0, PLENTY, false, &schedule, NULL), NULL);
    assert_validations(&schedule, "");
    assert_segments(&schedule, 0, "10");
}

static void assert_refused(const cairn_loop_options *loop, uint64_t first_step, uint64_t batches,
                           const char *part)
{
    crn_run_schedule schedule = {0};
    cairn_error err = {0};
    tk_assert_status(
        crn_run_schedule_make(loop, k_null, first_step, batches, true, &schedule, &err),
        CAIRN_ECONFIG, &err);
    tk_assert_error_has(&err, part);
}

static void a_frequency_out_of_range_is_refused(void **state)
{
    cairn_loop_options loop = cairn_loop_options_default();
    (void)state;
    loop.num_steps = cairn_int(10);
    loop.eval_frequency = every(-1);
    assert_refused(&loop, 0, PLENTY, "eval_frequency is -1");
    loop.eval_frequency = share(1.5);
    assert_refused(&loop, 0, PLENTY, "eval_frequency is 1.5");
    loop.eval_frequency = share(-0.5);
    assert_refused(&loop, 0, PLENTY, "eval_frequency is -0.5");
    loop.eval_frequency = share(0.0 / 0.0);
    assert_refused(&loop, 0, PLENTY, "eval_frequency is");
}

/* ---- Limits ---- */

static void assert_end(const cairn_loop_options *loop, uint64_t first_step, uint64_t batches,
                       uint64_t end_step, const char *limit)
{
    const crn_run_schedule schedule = make(loop, k_null, first_step, batches);
    assert_int_equal(schedule.end_step, end_step);
    assert_string_equal(schedule.limit, limit);
}

static void num_steps_counts_from_the_first_step_and_max_steps_does_not(void **state)
{
    cairn_loop_options loop = cairn_loop_options_default();
    (void)state;
    loop.num_steps = cairn_int(10);
    assert_end(&loop, 5, PLENTY, 15, "num_steps");
    loop.num_steps = k_null;
    loop.max_steps = cairn_int(10);
    assert_end(&loop, 4, PLENTY, 10, "max_steps");
}

static void nothing_is_left__at_or_past_max_steps(void **state)
{
    cairn_loop_options loop = cairn_loop_options_default();
    (void)state;
    loop.max_steps = cairn_int(10);
    assert_end(&loop, 10, PLENTY, 10, "max_steps");
    assert_end(&loop, 12, PLENTY, 12, "max_steps");
    const crn_run_schedule schedule = make(&loop, cairn_int(5), 10, PLENTY);
    assert_saves(&schedule, "");
    assert_int_equal(crn_run_schedule_saves_after(&schedule, 10), 0);
}

static void the_shortest_limit_decides(void **state)
{
    cairn_loop_options loop = cairn_loop_options_default();
    (void)state;
    loop.num_steps = cairn_int(10);
    loop.max_steps = cairn_int(7);
    assert_end(&loop, 0, PLENTY, 7, "max_steps");
    assert_end(&loop, 4, PLENTY, 7, "max_steps");
    loop.max_steps = cairn_int(100);
    assert_end(&loop, 4, PLENTY, 14, "num_steps");
    loop.num_steps = k_null;
    loop.num_epochs = cairn_int(3);
    assert_end(&loop, 4, 5, 19, "num_epochs");
    assert_end(&loop, 90, 5, 100, "max_steps");
}

static void an_epoch_is_all_the_data_or_steps_per_epoch(void **state)
{
    cairn_loop_options loop = cairn_loop_options_default();
    (void)state;
    loop.num_epochs = cairn_int(2);
    assert_end(&loop, 0, 7, 14, "num_epochs");
    loop.steps_per_epoch = cairn_int(3);
    assert_end(&loop, 0, 7, 6, "num_epochs");
    loop.steps_per_epoch = cairn_int(8);
    assert_refused(&loop, 0, 7, "steps_per_epoch is 8");
}

static void accumulated_batches_are_one_step(void **state)
{
    cairn_loop_options loop = cairn_loop_options_default();
    (void)state;
    loop.num_epochs = cairn_int(2);
    loop.grad_accum_steps = 3;
    assert_end(&loop, 0, 7, 4, "num_epochs"); /* the seventh batch makes no step */
    loop.steps_per_epoch = cairn_int(3);
    assert_refused(&loop, 0, 7, "an epoch of the training data has 2 steps");
    loop.steps_per_epoch = k_null;
    assert_refused(&loop, 0, 2, "fewer than grad_accum_steps 3");
    loop.num_epochs = k_null;
    loop.num_steps = cairn_int(10);
    assert_end(&loop, 0, 7, 10, "num_steps");
}

static void a_loop_without_end_is_refused(void **state)
{
    cairn_loop_options loop = cairn_loop_options_default();
    (void)state;
    assert_refused(&loop, 0, PLENTY, "the loop has no end");
    loop.steps_per_epoch = cairn_int(5);
    assert_refused(&loop, 0, PLENTY, "the loop has no end");
}

static void num_epochs_with_num_steps_is_refused(void **state)
{
    cairn_loop_options loop = cairn_loop_options_default();
    (void)state;
    loop.num_steps = cairn_int(10);
    loop.num_epochs = cairn_int(1);
    assert_refused(&loop, 0, PLENTY, "both num_steps and num_epochs");
}

static void numbers_that_overflow_are_refused(void **state)
{
    cairn_loop_options loop = cairn_loop_options_default();
    (void)state;
    loop.num_epochs = cairn_int(INT64_MAX);
    assert_refused(&loop, 0, PLENTY, "num_epochs is too large");
    loop.num_epochs = k_null;
    loop.num_steps = cairn_int(INT64_MAX);
    assert_refused(&loop, UINT64_MAX - 5, PLENTY, "the number of steps is too large");
}

static void counts_below_their_least_are_refused(void **state)
{
    cairn_loop_options loop = cairn_loop_options_default();
    crn_run_schedule schedule = {0};
    cairn_error err = {0};
    (void)state;
    loop.num_steps = cairn_int(0);
    assert_refused(&loop, 0, PLENTY, "num_steps is 0");
    loop.num_steps = cairn_int(10);
    loop.grad_accum_steps = 0;
    assert_refused(&loop, 0, PLENTY, "grad_accum_steps is 0");
    loop.grad_accum_steps = 1;
    loop.eval_steps = cairn_int(-1);
    assert_refused(&loop, 0, PLENTY, "eval_steps is -1");
    loop.eval_steps = k_null;
    tk_assert_status(crn_run_schedule_make(&loop, cairn_int(-1), 0, PLENTY, true, &schedule, &err),
                     CAIRN_ECONFIG, &err);
    tk_assert_error_has(&err, "checkpoint.steps is -1; it must be at least 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(saves_count_from_the_first_step_and_the_last_is_saved),
        cmocka_unit_test(nothing_is_saved__steps_null_or_0),
        cmocka_unit_test(counts_of_what_is_left_agree_with_the_steps),
        cmocka_unit_test(a_resumed_process_saves_where_the_whole_run_does__first_step_kept),
        cmocka_unit_test(an_integer_longer_than_the_run_validates_at_its_end),
        cmocka_unit_test(integer_1_is_every_step_and_float_1_the_end),
        cmocka_unit_test(a_share_is_rounded_up),
        cmocka_unit_test(nothing_is_validated__frequency_0_or_null_or_no_data),
        cmocka_unit_test(a_frequency_out_of_range_is_refused),
        cmocka_unit_test(num_steps_counts_from_the_first_step_and_max_steps_does_not),
        cmocka_unit_test(nothing_is_left__at_or_past_max_steps),
        cmocka_unit_test(the_shortest_limit_decides),
        cmocka_unit_test(an_epoch_is_all_the_data_or_steps_per_epoch),
        cmocka_unit_test(accumulated_batches_are_one_step),
        cmocka_unit_test(a_loop_without_end_is_refused),
        cmocka_unit_test(num_epochs_with_num_steps_is_refused),
        cmocka_unit_test(numbers_that_overflow_are_refused),
        cmocka_unit_test(counts_below_their_least_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
