/* The TensorBoard logger without a trainer: this program plays the trainer. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kit/kit.h"
#include "loggers/event.h"
#include "loggers/loggers.h"

static const int64_t k_now_ns = 1700000000250000000; /* 1700000000.25 s */

struct cairn_trainer {
    const char *model_dir;
    tk_fault_os clock;
    cairn_callback callback;
    uint64_t end_step;
};

cairn_store *cairn_trainer_store(cairn_trainer *trainer)
{
    return (cairn_store *)trainer;
}

const char *cairn_store_model_dir(const cairn_store *store)
{
    return ((const cairn_trainer *)store)->model_dir;
}

static void make(struct cairn_trainer *trainer, const char *dir,
                 const cairn_tensorboard_logger_options *options)
{
    *trainer = (struct cairn_trainer){.model_dir = dir, .end_step = 100};
    tk_fault_init(&trainer->clock);
    trainer->clock.is_clock_fake = true;
    trainer->clock.realtime_ns = k_now_ns;
    assert_int_equal(
        crn_tensorboard_logger_new_os(&trainer->clock.os, options, &trainer->callback, NULL),
        CAIRN_OK);
}

static cairn_event event_at(struct cairn_trainer *trainer, uint64_t step)
{
    return (cairn_event){.struct_size = sizeof(cairn_event),
                         .trainer = trainer,
                         .step = step,
                         .end_step = trainer->end_step};
}

static cairn_status call(struct cairn_trainer *trainer, cairn_hook_fn hook,
                         const cairn_event *event, cairn_error *err)
{
    cairn_control control = {0};
    return hook(trainer->callback.self, event, &control, err);
}

static void start_with(struct cairn_trainer *trainer, const char *dir, uint64_t step,
                       const cairn_tensorboard_logger_options *options)
{
    make(trainer, dir, options);
    const cairn_event event = event_at(trainer, step);
    assert_int_equal(call(trainer, trainer->callback.ops->on_fit_start, &event, NULL), CAIRN_OK);
}

static void start(struct cairn_trainer *trainer, const char *dir, uint64_t step)
{
    const cairn_tensorboard_logger_options options = {.legacy_event_dirs = false};
    start_with(trainer, dir, step, &options);
}

static void end(struct cairn_trainer *trainer)
{
    trainer->callback.ops->destroy(trainer->callback.self);
    assert_int_equal(tk_fault_open_count(&trainer->clock), 0);
    tk_fault_dispose(&trainer->clock);
}

static cairn_status log_metrics(struct cairn_trainer *trainer, uint64_t step, bool is_validation,
                                const cairn_metric *metrics, size_t count, cairn_error *err)
{
    cairn_event event = event_at(trainer, step);
    event.is_validation = is_validation;
    event.metrics = metrics;
    event.metric_count = count;
    return call(trainer, trainer->callback.ops->on_log, &event, err);
}

static void log_loss(struct cairn_trainer *trainer, uint64_t step, double loss)
{
    const cairn_metric metric = {"loss", loss};
    assert_int_equal(log_metrics(trainer, step, false, &metric, 1, NULL), CAIRN_OK);
}

/* The name of the only file in dir/folder that is not in @known (names joined by blanks). */
static void find_file(const char *dir, const char *folder, const char *known, char out[512])
{
    char path[TK_PATH_SIZE];
    char *const names = tk_list(tk_join(path, dir, folder));
    char *at = names;
    out[0] = '\0';
    while (*at != '\0') {
        const size_t length = strcspn(at, " ");
        const bool has_next = at[length] == ' ';
        at[length] = '\0';
        if (strstr(known, at) == NULL) {
            assert_string_equal(out, "");
            (void)snprintf(out, 512, "%s/%s", folder, at);
        }
        at += length + (has_next ? 1 : 0);
    }
    free(names);
    assert_string_not_equal(out, "");
}

/* The records that a file is expected to hold. */
struct expected {
    crn_event_encoder *encoder;
    crn_str bytes;
};

static struct expected expect_start(uint64_t step)
{
    struct expected expected = {.encoder = crn_event_encoder_new()};
    assert_non_null(expected.encoder);
    crn_event_version(expected.encoder, 1700000000.25, &expected.bytes);
    crn_event_start(expected.encoder, 1700000000.25, step, &expected.bytes);
    return expected;
}

static void expect_scalars(struct expected *expected, uint64_t step, const crn_scalar *scalars,
                           size_t count)
{
    crn_event_scalars(expected->encoder, 1700000000.25, step, scalars, count, &expected->bytes);
}

static void expect_loss(struct expected *expected, uint64_t step, float loss)
{
    const crn_scalar scalar = {"loss", loss};
    expect_scalars(expected, step, &scalar, 1);
}

static void assert_file(const char *dir, const char *name, struct expected *expected)
{
    size_t size = 0;
    char *const bytes = tk_read_file(dir, name, &size);
    assert_int_equal(size, expected->bytes.length);
    assert_memory_equal(bytes, expected->bytes.text, size);
    free(bytes);
    crn_str_dispose(&expected->bytes);
    crn_event_encoder_destroy(expected->encoder);
}

static void log__writes_a_record_at_once(void **state)
{
    struct cairn_trainer trainer;
    char name[512];
    start(&trainer, *state, 0);
    assert_false(tk_exists(*state, "events"));
    log_loss(&trainer, 1, 8.5);
    log_loss(&trainer, 2, 8.25);
    const char *const first = strchr(trainer.clock.trace, 'w');
    assert_non_null(first);
    assert_string_equal(first, "www"); /* the head, and a call for each record */
    find_file(*state, "events", "", name);
    struct expected expected = expect_start(0);
    expect_loss(&expected, 1, 8.5f);
    expect_loss(&expected, 2, 8.25f);
    assert_file(*state, name, &expected);
    end(&trainer);
}

static void resume__starts_a_file_behind_the_others_at_the_next_step(void **state)
{
    struct cairn_trainer trainer;
    char path[TK_PATH_SIZE];
    char name[512];
    /* Made by a process whose clock was ahead of ours, and cut by its death. */
    static const char k_old[] = "events.out.tfevents.1700009999.host.1";
    start(&trainer, *state, 0);
    log_loss(&trainer, 1, 8.5);
    end(&trainer);
    tk_write_text(tk_join(path, *state, "events"), k_old, "\x18half a rec");
    char *const known = tk_list(path);
    start(&trainer, *state, 7);
    log_loss(&trainer, 8, 8.25);
    find_file(*state, "events", known, name);
    assert_true(strcmp(name, "events/events.out.tfevents.1700010000") > 0);
    struct expected expected = expect_start(8);
    expect_loss(&expected, 8, 8.25f);
    assert_file(*state, name, &expected);
    tk_assert_file_text(path, k_old, "\x18half a rec");
    free(known);
    end(&trainer);
}

static void names__are_the_model_zoos(void **state)
{
    static const cairn_metric k_train[] = {{"loss", 1.0}, {"lr", 0.5}, {"grad_norm", 2.0}};
    static const cairn_metric k_groups[] = {{"lr", 0.5}, {"lr/0", 0.25}, {"lr/1", 0.125}};
    static const cairn_metric k_eval[] = {
        {"eval/accuracy", 0.5}, {"eval/accuracy/1", 0.25}, {"val_loss", 3.0}, {"val_loss/1", 4.0}};
    static const crn_scalar k_train_scalars[] = {
        {"loss", 1.0f}, {"lr/0", 0.5f}, {"grad_norm", 2.0f}};
    static const crn_scalar k_group_scalars[] = {{"lr/0", 0.25f}, {"lr/1", 0.125f}};
    static const crn_scalar k_eval_scalars[] = {{"validate_0/eval/accuracy", 0.5f},
                                                {"validate_1/eval/accuracy", 0.25f},
                                                {"validate_0/loss", 3.0f},
                                                {"validate_1/loss", 4.0f}};
    struct cairn_trainer trainer;
    char name[512];
    start(&trainer, *state, 0);
    assert_int_equal(log_metrics(&trainer, 1, false, k_train, 3, NULL), CAIRN_OK);
    assert_int_equal(log_metrics(&trainer, 2, false, k_groups, 3, NULL), CAIRN_OK);
    assert_int_equal(log_metrics(&trainer, 2, true, k_eval, 4, NULL), CAIRN_OK);
    find_file(*state, "events", "", name);
    struct expected expected = expect_start(0);
    expect_scalars(&expected, 1, k_train_scalars, 3);
    expect_scalars(&expected, 2, k_group_scalars, 2);
    expect_scalars(&expected, 2, k_eval_scalars, 4);
    assert_file(*state, name, &expected);
    end(&trainer);
}

static void legacy_folders__have_no_prefix_for_the_first_loader(void **state)
{
    static const cairn_metric k_eval[] = {{"val_loss", 3.0}, {"val_loss/1", 4.0}};
    static const crn_scalar k_scalars[] = {{"loss", 3.0f}, {"validate_1/loss", 4.0f}};
    const cairn_tensorboard_logger_options options = {.legacy_event_dirs = true};
    struct cairn_trainer trainer;
    char name[512];
    start_with(&trainer, *state, 0, &options);
    log_loss(&trainer, 1, 8.5);
    assert_false(tk_exists(*state, "eval"));
    assert_int_equal(log_metrics(&trainer, 1, true, k_eval, 2, NULL), CAIRN_OK);
    find_file(*state, "train", "", name);
    struct expected train = expect_start(0);
    expect_loss(&train, 1, 8.5f);
    assert_file(*state, name, &train);
    find_file(*state, "eval", "", name);
    struct expected eval = expect_start(0);
    expect_scalars(&eval, 1, k_scalars, 2);
    assert_file(*state, name, &eval);
    end(&trainer);
}

static void summary_dir__takes_the_place_of_events(void **state)
{
    char path[TK_PATH_SIZE];
    char name[512];
    const cairn_tensorboard_logger_options options = {.summary_dir = tk_join(path, *state, "a/b")};
    struct cairn_trainer trainer;
    start_with(&trainer, *state, 0, &options);
    log_loss(&trainer, 1, 8.5);
    find_file(*state, "a/b", "", name);
    assert_false(tk_exists(*state, "events"));
    end(&trainer);
}

static cairn_status log_histogram(struct cairn_trainer *trainer, const float *values, size_t count)
{
    cairn_event event = event_at(trainer, 3);
    event.log_name = "weights";
    event.log_values = values;
    event.log_value_count = count;
    return call(trainer, trainer->callback.ops->on_log_histogram, &event, NULL);
}

static cairn_status log_text(struct cairn_trainer *trainer, const char *text)
{
    cairn_event event = event_at(trainer, 3);
    event.log_name = "note";
    event.log_text = text;
    return call(trainer, trainer->callback.ops->on_log_text, &event, NULL);
}

/* Callbacks are called before loggers: what one hands over in on_fit_start comes before ours. */
static void texts_and_histograms__are_kept_from_the_start_of_the_fit_on(void **state)
{
    static const float k_values[] = {1.0f, 2.0f, 4.0f};
    static const float k_nothing[] = {NAN};
    const cairn_tensorboard_logger_options options = {.legacy_event_dirs = false};
    struct cairn_trainer trainer;
    crn_histogram histogram;
    char name[512];
    make(&trainer, *state, &options);
    trainer.end_step = 0; /* nothing is loaded yet */
    assert_int_equal(log_text(&trainer, "too early"), CAIRN_OK);
    assert_int_equal(log_histogram(&trainer, k_values, 3), CAIRN_OK);
    assert_false(tk_exists(*state, "events"));
    trainer.end_step = 100;
    assert_int_equal(log_text(&trainer, "words"), CAIRN_OK);
    const cairn_event event = event_at(&trainer, 3);
    assert_int_equal(call(&trainer, trainer.callback.ops->on_fit_start, &event, NULL), CAIRN_OK);
    assert_int_equal(log_histogram(&trainer, k_values, 3), CAIRN_OK);
    assert_int_equal(log_histogram(&trainer, k_nothing, 1), CAIRN_OK);
    find_file(*state, "events", "", name);
    struct expected expected = expect_start(4);
    crn_event_text(expected.encoder, 1700000000.25, 3, "note", "words", &expected.bytes);
    crn_histogram_make(k_values, 3, &histogram);
    crn_event_histogram(expected.encoder, 1700000000.25, 3, "weights", &histogram, &expected.bytes);
    assert_file(*state, name, &expected);
    end(&trainer);
}

static void log__outside_a_fit_writes_nothing(void **state)
{
    const cairn_tensorboard_logger_options options = {.legacy_event_dirs = false};
    const cairn_metric metric = {"val_loss", 1.0};
    struct cairn_trainer trainer;
    make(&trainer, *state, &options);
    assert_int_equal(log_metrics(&trainer, 5, true, &metric, 1, NULL), CAIRN_OK);
    end(&trainer);
    tk_assert_list(*state, "");
}

/* Every call of the system fails once; the status and the place are told. */
static void log__tells_every_failure(void **state)
{
    const cairn_metric metric = {"loss", 8.5};
    bool is_done = false;
    for (uint64_t n = 1; !is_done; n++) {
        struct cairn_trainer trainer;
        cairn_error err = {0};
        start(&trainer, *state, 0);
        trainer.clock.fail_at = n;
        trainer.clock.fail_errno = ENOSPC;
        const cairn_status rc = log_metrics(&trainer, 1, false, &metric, 1, &err);
        is_done = trainer.clock.failed == 0;
        /* The close of a descriptor that was only read from is not told. */
        const bool is_close = !is_done && trainer.clock.trace[n - 1] == 'c';
        assert_int_equal(rc, is_done || is_close ? CAIRN_OK : CAIRN_ENOSPACE);
        if (rc != CAIRN_OK)
            tk_assert_error_has(&err, "events");
        end(&trainer);
        assert_true(n < 20);
    }
}

static void log__tells_every_lack_of_memory(void **state)
{
    const cairn_metric metric = {"loss", 8.5};
    bool is_done = false;
    for (uint64_t n = 1; !is_done; n++) {
        struct cairn_trainer trainer;
        start(&trainer, *state, 0);
        crn_mem_fail_at(n, 0);
        const cairn_status rc = log_metrics(&trainer, 1, false, &metric, 1, NULL);
        crn_mem_fail_at(0, 0);
        is_done = rc == CAIRN_OK;
        assert_true(is_done || rc == CAIRN_ENOMEM);
        end(&trainer);
        assert_true(n < 50);
    }
}

static void log__allocates_nothing_after_the_first_step(void **state)
{
    struct cairn_trainer trainer;
    start(&trainer, *state, 0);
    log_loss(&trainer, 1, 8.5);
    const uint64_t before = crn_mem_count();
    log_loss(&trainer, 2, 8.25);
    assert_int_equal(crn_mem_count(), before);
    end(&trainer);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, tk_temp_setup, tk_temp_teardown)
    const struct CMUnitTest tests[] = {
        TEST(log__writes_a_record_at_once),
        TEST(resume__starts_a_file_behind_the_others_at_the_next_step),
        TEST(names__are_the_model_zoos),
        TEST(legacy_folders__have_no_prefix_for_the_first_loader),
        TEST(summary_dir__takes_the_place_of_events),
        TEST(texts_and_histograms__are_kept_from_the_start_of_the_fit_on),
        TEST(log__outside_a_fit_writes_nothing),
        TEST(log__tells_every_failure),
        TEST(log__tells_every_lack_of_memory),
        TEST(log__allocates_nothing_after_the_first_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
