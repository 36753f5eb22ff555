/* The progress logger with a clock of our own; this program plays the trainer. */
#include <stdio.h>
#include <string.h>

#include "kit/kit.h"
#include "loggers/loggers.h"

struct cairn_trainer {
    cairn_log log;
    char logged[8192];
    char bars[8192]; /* "B" for a bar, "e" for an erased one */
    char last_bar[128];
    cairn_log_level level; /* of the last line */
    uint64_t failed_saves;
    tk_fault_os clock;
    cairn_callback callback;
    uint64_t step;
    uint64_t end_step;
    uint64_t log_steps;
    const cairn_metric *metrics;
    size_t metric_count;
};

const cairn_metric *cairn_trainer_metrics(const cairn_trainer *trainer, size_t *count)
{
    *count = trainer->metric_count;
    return trainer->metrics;
}

const cairn_log *cairn_trainer_log(const cairn_trainer *trainer)
{
    return &trainer->log;
}

static void write_log(void *user, cairn_log_level level, const char *message)
{
    struct cairn_trainer *const trainer = user;
    const size_t used = strlen(trainer->logged);
    trainer->level = level;
    (void)snprintf(trainer->logged + used, sizeof trainer->logged - used, "%s\n", message);
}

static void show_bar(void *user, const char *text)
{
    struct cairn_trainer *const trainer = user;
    strcat(trainer->bars, text[0] == '\0' ? "e" : "B");
    assert_true(text[0] == '\0' || text[0] == '\r');
    assert_null(strchr(text, '\n'));
    (void)snprintf(trainer->last_bar, sizeof trainer->last_bar, "%s", text);
}

static cairn_event event_of(struct cairn_trainer *trainer)
{
    return (cairn_event){.struct_size = sizeof(cairn_event),
                         .trainer = trainer,
                         .step = trainer->step,
                         .end_step = trainer->end_step,
                         .failed_saves = trainer->failed_saves};
}

#define CALL(trainer, hook, event)                                                                 \
    do {                                                                                           \
        cairn_control control = {0};                                                               \
        assert_int_equal(                                                                          \
            (trainer)->callback.ops->hook((trainer)->callback.self, (event), &control, NULL),      \
            CAIRN_OK);                                                                             \
    } while (0)

static void begin(struct cairn_trainer *trainer, uint64_t log_steps, bool has_bar,
                  uint64_t end_step)
{
    memset(trainer, 0, sizeof *trainer);
    trainer->log = (cairn_log){.level = CAIRN_LOG_DEBUG, .write = write_log, .user = trainer};
    trainer->end_step = end_step;
    trainer->log_steps = log_steps;
    tk_fault_init(&trainer->clock);
    trainer->clock.is_clock_fake = true;
    const cairn_progress_options options = {.struct_size = sizeof options,
                                            .device = "CPU",
                                            .log_steps = log_steps,
                                            .bar = has_bar ? show_bar : NULL,
                                            .user = trainer};
    assert_int_equal(
        crn_progress_logger_new_os(&trainer->clock.os, &options, &trainer->callback, NULL),
        CAIRN_OK);
    const cairn_event event = event_of(trainer);
    CALL(trainer, on_fit_start, &event);
}

static void end(struct cairn_trainer *trainer)
{
    trainer->callback.ops->destroy(trainer->callback.self);
    tk_fault_dispose(&trainer->clock);
}

static void wait_seconds(struct cairn_trainer *trainer, double seconds)
{
    trainer->clock.monotonic_ns += (int64_t)(seconds * 1e9);
}

static void segment(struct cairn_trainer *trainer, uint64_t steps)
{
    cairn_event event = event_of(trainer);
    event.batch_count = steps;
    CALL(trainer, on_train_start, &event);
}

static void step(struct cairn_trainer *trainer, double seconds, uint64_t saves_left,
                 uint64_t validations_left)
{
    const cairn_event before = event_of(trainer);
    CALL(trainer, on_train_batch_start, &before);
    wait_seconds(trainer, seconds);
    trainer->step++;
    cairn_event event = event_of(trainer);
    event.is_last = trainer->step == trainer->end_step;
    event.is_log_step = event.is_last || trainer->step % trainer->log_steps == 0;
    event.samples = 4;
    event.loss = 8.3125;
    event.saves_left = saves_left;
    event.validations_left = validations_left;
    CALL(trainer, on_train_batch_end, &event);
}

static void save(struct cairn_trainer *trainer, double seconds)
{
    const cairn_event event = event_of(trainer);
    CALL(trainer, on_save_checkpoint, &event);
    wait_seconds(trainer, seconds);
    CALL(trainer, on_after_save_checkpoint, &event);
}

static void validate_loader(struct cairn_trainer *trainer, uint64_t index, uint64_t count,
                            uint64_t batches, double seconds)
{
    cairn_event event = event_of(trainer);
    event.is_validation = true;
    event.loader_index = index;
    event.loader_count = count;
    event.batch_count = batches;
    CALL(trainer, on_validate_start, &event);
    for (uint64_t i = 0; i < batches; i++) {
        wait_seconds(trainer, seconds);
        event.batch_index = i;
        event.samples = 2;
        event.loss = 7.25;
        CALL(trainer, on_validate_batch_end, &event);
    }
    event.loss = 7.5;
    CALL(trainer, on_validate_end, &event);
}

static void validate(struct cairn_trainer *trainer, uint64_t batches, double seconds)
{
    validate_loader(trainer, 0, 1, batches, seconds);
}

static void assert_logged(const struct cairn_trainer *trainer, const char *text)
{
    if (strstr(trainer->logged, text) == NULL)
        fail_msg("no \"%s\" in:\n%s", text, trainer->logged);
}

static void lines__come_where_the_event_says(void **state)
{
    struct cairn_trainer trainer;
    (void)state;
    begin(&trainer, 4, false, 10);
    segment(&trainer, 10);
    for (int i = 0; i < 10; i++)
        step(&trainer, 1.0, 0, 0);
    assert_string_equal(
        trainer.logged,
        "| Train Device=CPU, Step=4, Loss=8.31250, Rate=4.00 samples/sec, GlobalRate=4.00 "
        "samples/sec, LoopTimeRemaining=0:00:06, TimeRemaining=0:00:06\n"
        "| Train Device=CPU, Step=8, Loss=8.31250, Rate=4.00 samples/sec, GlobalRate=4.00 "
        "samples/sec, LoopTimeRemaining=0:00:02, TimeRemaining=0:00:02\n"
        "| Train Device=CPU, Step=10, Loss=8.31250, Rate=4.00 samples/sec, GlobalRate=4.00 "
        "samples/sec, LoopTimeRemaining=0:00:00, TimeRemaining=0:00:00\n");
    end(&trainer);
}

/* 4/1 = 4; then 0.6 * 4/2 + 0.4 * 4 = 2.8; over all 8 samples in 3 seconds. */
static void lines__say_loudly_that_the_last_save_failed(void **state)
{
    struct cairn_trainer trainer;
    (void)state;
    begin(&trainer, 1, true, 9);
    segment(&trainer, 9);
    step(&trainer, 1.0, 0, 0);
    assert_logged(&trainer, "| Train Device=CPU, Step=1,");
    assert_int_equal(trainer.level, CAIRN_LOG_INFO);
    assert_null(strstr(trainer.last_bar, "FAILED"));
    trainer.failed_saves = 1;
    step(&trainer, 1.0, 0, 0);
    assert_logged(&trainer, "\n| LAST SAVE FAILED (1 in a row) | Train Device=CPU, Step=2,");
    assert_int_equal(trainer.level, CAIRN_LOG_WARNING);
    assert_non_null(strstr(trainer.last_bar, "SAVE FAILED Train ["));
    trainer.failed_saves = 2;
    validate(&trainer, 1, 1.0);
    assert_logged(&trainer, "\n| LAST SAVE FAILED (2 in a row) | Eval Device=CPU, GlobalStep=2,");
    trainer.failed_saves = 0;
    step(&trainer, 1.0, 0, 0);
    assert_logged(&trainer, "\n| Train Device=CPU, Step=3,");
    assert_int_equal(trainer.level, CAIRN_LOG_INFO);
    end(&trainer);
}

static void rate__is_smoothed_and_the_global_one_is_not(void **state)
{
    struct cairn_trainer trainer;
    (void)state;
    begin(&trainer, 1, false, 10);
    segment(&trainer, 10);
    step(&trainer, 1.0, 0, 0);
    step(&trainer, 2.0, 0, 0);
    assert_logged(&trainer, "Rate=2.80 samples/sec, GlobalRate=2.67 samples/sec");
    end(&trainer);
}

static void rate__leaves_saves_and_validations_out_of_a_step(void **state)
{
    struct cairn_trainer trainer;
    (void)state;
    begin(&trainer, 1, false, 4);
    segment(&trainer, 2);
    step(&trainer, 1.0, 0, 0);
    save(&trainer, 3.0);
    step(&trainer, 1.0, 0, 0);
    assert_logged(&trainer, "Step=2, Loss=8.31250, Rate=4.00 samples/sec, GlobalRate=1.60 ");
    const cairn_event event = event_of(&trainer);
    CALL(&trainer, on_train_end, &event);
    validate(&trainer, 2, 50.0);
    segment(&trainer, 2);
    step(&trainer, 1.0, 0, 0);
    assert_logged(&trainer, "Step=3, Loss=8.31250, Rate=4.00 samples/sec, GlobalRate=2.00 ");
    end(&trainer);
}

static void remaining__is_a_minimum_until_every_stage_was_timed(void **state)
{
    struct cairn_trainer trainer;
    (void)state;
    begin(&trainer, 1, false, 6);
    segment(&trainer, 3);
    step(&trainer, 1.0, 2, 2);
    assert_logged(&trainer, "Step=1, ");
    assert_logged(&trainer, "LoopTimeRemaining=0:00:02, TimeRemaining>0:00:05\n");
    step(&trainer, 1.0, 2, 2);
    save(&trainer, 10.0);
    step(&trainer, 1.0, 1, 1);
    assert_logged(&trainer, "LoopTimeRemaining=0:00:00, TimeRemaining>0:00:13\n");
    const cairn_event event = event_of(&trainer);
    CALL(&trainer, on_train_end, &event);
    validate_loader(&trainer, 0, 2, 2, 50.0);
    validate_loader(&trainer, 1, 2, 1, 20.0);
    segment(&trainer, 3);
    step(&trainer, 1.0, 1, 1);
    /* 2 steps, a save of 10 seconds, a validation of 120. */
    assert_logged(&trainer, "LoopTimeRemaining=0:00:02, TimeRemaining=0:02:12\n");
    end(&trainer);
}

/* What is written while training goes on takes no time of its own from it. */
static void remaining__counts_only_what_training_waits_for_a_save(void **state)
{
    struct cairn_trainer trainer;
    (void)state;
    begin(&trainer, 1, false, 4);
    segment(&trainer, 4);
    step(&trainer, 1.0, 2, 0);
    const cairn_event event = event_of(&trainer);
    CALL(&trainer, on_save_checkpoint, &event);
    wait_seconds(&trainer, 0.5); /* the capture */
    step(&trainer, 1.0, 2, 0);
    CALL(&trainer, on_after_save_checkpoint, &event);
    step(&trainer, 1.0, 2, 0);
    /* 1 step of 1 second, 2 saves of 0.5. */
    assert_logged(&trainer, "Step=3, Loss=8.31250, Rate=4.00 samples/sec");
    assert_logged(&trainer, "LoopTimeRemaining=0:00:01, TimeRemaining=0:00:02\n");
    end(&trainer);
}

/* 10 steps of 1 s, a save of 2 s, two validations of two loaders: 3 s and 4 s. */
static void remaining__in_a_validation_has_a_term_for_each_stage(void **state)
{
    struct cairn_trainer trainer;
    (void)state;
    begin(&trainer, 1, false, 30);
    segment(&trainer, 10);
    for (int i = 0; i < 10; i++)
        step(&trainer, 1.0, 2, 2);
    save(&trainer, 2.0);
    validate_loader(&trainer, 0, 2, 3, 1.0);
    /* How long the other loader takes is not known. */
    assert_logged(&trainer, "Batch=1, Loss=7.25000, Rate=2.00 samples/sec, GlobalRate=2.00 "
                            "samples/sec, LoopTimeRemaining=0:00:02, TimeRemaining>0:00:32\n");
    validate_loader(&trainer, 1, 2, 1, 4.0);
    assert_logged(&trainer, "LoopTimeRemaining=0:00:00, TimeRemaining=0:00:38\n");
    segment(&trainer, 10);
    for (int i = 0; i < 10; i++)
        step(&trainer, 1.0, 1, 1);
    trainer.logged[0] = '\0';
    validate_loader(&trainer, 0, 2, 3, 1.0);
    /* 2 s here, 4 s of the other loader, 10 steps, 1 save, 1 validation of 7 s. */
    assert_logged(&trainer, "Batch=1, Loss=7.25000, Rate=2.00 samples/sec, GlobalRate=2.00 "
                            "samples/sec, LoopTimeRemaining=0:00:02, TimeRemaining=0:00:25\n");
    end(&trainer);
}

static void validation__tells_what_callbacks_measured_of_its_loader(void **state)
{
    static const cairn_metric k_metrics[] = {{"eval/accuracy", 0.25},
                                             {"eval/lm_perplexity", 12.5},
                                             {"eval/accuracy/1", 0.5},
                                             {"val_loss", 7.0}};
    struct cairn_trainer trainer;
    (void)state;
    begin(&trainer, 100, false, 6);
    trainer.metrics = k_metrics;
    trainer.metric_count = 4;
    validate_loader(&trainer, 0, 2, 1, 1.0);
    assert_logged(&trainer, "Avg Eval Loss: 7.50000\n"
                            "Evaluation metrics:\n"
                            "  - eval/accuracy = 0.25000\n"
                            "  - eval/lm_perplexity = 12.50000\n"
                            "Evaluation completed successfully!\n");
    trainer.logged[0] = '\0';
    validate_loader(&trainer, 1, 2, 1, 1.0);
    assert_logged(&trainer, "Avg Eval Loss: 7.50000\n"
                            "Evaluation metrics:\n"
                            "  - eval/accuracy = 0.50000\n"
                            "Evaluation completed successfully!\n");
    end(&trainer);
}

static void validation__is_told_in_the_model_zoos_words(void **state)
{
    struct cairn_trainer trainer;
    (void)state;
    begin(&trainer, 2, false, 50);
    trainer.step = 50;
    validate(&trainer, 3, 0.5);
    assert_string_equal(
        trainer.logged,
        "| Eval Device=CPU, GlobalStep=50, Batch=2, Loss=7.25000, Rate=4.00 samples/sec, "
        "GlobalRate=4.00 samples/sec, LoopTimeRemaining=0:00:00, TimeRemaining=0:00:00\n"
        "| Eval Device=CPU, GlobalStep=50, Batch=3, Loss=7.25000, Rate=4.00 samples/sec, "
        "GlobalRate=4.00 samples/sec, LoopTimeRemaining=0:00:00, TimeRemaining=0:00:00\n"
        "Avg Eval Loss: 7.50000\n"
        "Evaluation completed successfully!\n");
    end(&trainer);
}

static void fit__ends_with_the_samples_it_processed(void **state)
{
    struct cairn_trainer trainer;
    (void)state;
    begin(&trainer, 100, false, 2);
    segment(&trainer, 2);
    step(&trainer, 1.0, 0, 0);
    step(&trainer, 1.5, 0, 0);
    cairn_event event = event_of(&trainer);
    CALL(&trainer, on_train_end, &event);
    CALL(&trainer, on_fit_end, &event);
    assert_logged(&trainer, "Training completed successfully!\n"
                            "Processed 8 training sample(s) in 2.50 seconds.\n");
    end(&trainer);
}

static void fit__that_had_nothing_to_do_says_nothing(void **state)
{
    struct cairn_trainer trainer;
    (void)state;
    begin(&trainer, 1, true, 0);
    const cairn_event event = event_of(&trainer);
    CALL(&trainer, on_fit_end, &event);
    assert_string_equal(trainer.logged, "");
    assert_string_equal(trainer.bars, "");
    end(&trainer);
}

/* A line erases the bar before it and the step draws it again; not faster than ten a second. */
static void bar__is_erased_before_a_line_and_at_the_end(void **state)
{
    struct cairn_trainer trainer;
    (void)state;
    begin(&trainer, 3, true, 5);
    segment(&trainer, 5);
    step(&trainer, 1.0, 0, 0);
    assert_string_equal(trainer.bars, "B");
    step(&trainer, 0.05, 0, 0);
    assert_string_equal(trainer.bars, "B");
    step(&trainer, 0.01, 0, 0);
    assert_string_equal(trainer.bars, "BeB");
    save(&trainer, 1.0);
    assert_string_equal(trainer.bars, "BeBe");
    step(&trainer, 1.0, 0, 0);
    step(&trainer, 1.0, 0, 0);
    assert_string_equal(trainer.bars, "BeBeBe");
    const cairn_event event = event_of(&trainer);
    CALL(&trainer, on_fit_end, &event);
    assert_string_equal(trainer.bars, "BeBeBe");
    end(&trainer);
}

static void bar__is_erased_when_the_run_fails(void **state)
{
    struct cairn_trainer trainer;
    (void)state;
    begin(&trainer, 100, true, 5);
    segment(&trainer, 5);
    step(&trainer, 1.0, 0, 0);
    const cairn_event event = event_of(&trainer);
    CALL(&trainer, on_fit_exception, &event);
    assert_string_equal(trainer.bars, "Be");
    end(&trainer);
}

static void new__refuses_log_steps_0(void **state)
{
    cairn_callback callback = {0};
    const cairn_progress_options options = {.struct_size = sizeof options};
    (void)state;
    assert_int_equal(cairn_progress_logger_new(&options, &callback, NULL), CAIRN_ECONFIG);
    assert_null(callback.self);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines__say_loudly_that_the_last_save_failed),
        cmocka_unit_test(lines__come_where_the_event_says),
        cmocka_unit_test(rate__is_smoothed_and_the_global_one_is_not),
        cmocka_unit_test(rate__leaves_saves_and_validations_out_of_a_step),
        cmocka_unit_test(remaining__is_a_minimum_until_every_stage_was_timed),
        cmocka_unit_test(remaining__counts_only_what_training_waits_for_a_save),
        cmocka_unit_test(remaining__in_a_validation_has_a_term_for_each_stage),
        cmocka_unit_test(validation__tells_what_callbacks_measured_of_its_loader),
        cmocka_unit_test(validation__is_told_in_the_model_zoos_words),
        cmocka_unit_test(fit__ends_with_the_samples_it_processed),
        cmocka_unit_test(fit__that_had_nothing_to_do_says_nothing),
        cmocka_unit_test(bar__is_erased_before_a_line_and_at_the_end),
        cmocka_unit_test(bar__is_erased_when_the_run_fails),
        cmocka_unit_test(new__refuses_log_steps_0),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
