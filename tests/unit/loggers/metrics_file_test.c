/* metrics.jsonl without a trainer: this program plays the trainer. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kit/kit.h"
#include "loggers/loggers.h"

#define FILE_NAME "metrics.jsonl"

struct cairn_trainer {
    const char *model_dir;
};

cairn_store *cairn_trainer_store(cairn_trainer *trainer)
{
    return (cairn_store *)trainer;
}

const char *cairn_store_model_dir(const cairn_store *store)
{
    return ((const cairn_trainer *)store)->model_dir;
}

static cairn_callback start_on(const crn_os *os, cairn_trainer *trainer, uint64_t step)
{
    cairn_callback callback;
    cairn_control control = {0};
    const cairn_event event = {.struct_size = sizeof event, .trainer = trainer, .step = step};
    assert_int_equal(crn_metrics_file_new_os(os, &callback, NULL), CAIRN_OK);
    assert_int_equal(callback.ops->on_fit_start(callback.self, &event, &control, NULL), CAIRN_OK);
    return callback;
}

static cairn_callback start(cairn_trainer *trainer, uint64_t step)
{
    return start_on(crn_os_posix(), trainer, step);
}

static cairn_status log_metric(cairn_callback callback, uint64_t step, const char *name,
                               double value, cairn_error *err)
{
    cairn_control control = {0};
    const cairn_metric metric = {name, value};
    const cairn_event event = {
        .struct_size = sizeof event, .step = step, .metrics = &metric, .metric_count = 1};
    return callback.ops->on_log(callback.self, &event, &control, err);
}

static void log_loss(cairn_callback callback, uint64_t step, double loss)
{
    assert_int_equal(log_metric(callback, step, "loss", loss, NULL), CAIRN_OK);
}

static void log__appends_a_line_at_once(void **state)
{
    cairn_trainer trainer = {.model_dir = *state};
    const cairn_callback callback = start(&trainer, 0);
    assert_false(tk_exists(trainer.model_dir, FILE_NAME));
    log_loss(callback, 1, 8.5);
    tk_assert_file_text(trainer.model_dir, FILE_NAME, "{\"step\":1,\"loss\":8.5}\n");
    log_loss(callback, 2, 8.25);
    assert_int_equal(log_metric(callback, 2, "val_loss", 9.0, NULL), CAIRN_OK);
    tk_assert_file_text(trainer.model_dir, FILE_NAME,
                        "{\"step\":1,\"loss\":8.5}\n{\"step\":2,\"loss\":8.25}\n"
                        "{\"step\":2,\"val_loss\":9}\n");
    callback.ops->destroy(callback.self);
}

static void resume__is_recorded_once(void **state)
{
    cairn_trainer trainer = {.model_dir = *state};
    tk_write_text(trainer.model_dir, FILE_NAME, "{\"step\":1,\"loss\":8.5}\n");
    const cairn_callback callback = start(&trainer, 1);
    log_loss(callback, 2, 8.25);
    log_loss(callback, 3, 8.0);
    tk_assert_file_text(trainer.model_dir, FILE_NAME,
                        "{\"step\":1,\"loss\":8.5}\n{\"event\":\"resume\",\"step\":1}\n"
                        "{\"step\":2,\"loss\":8.25}\n{\"step\":3,\"loss\":8}\n");
    callback.ops->destroy(callback.self);
}

static void resume__ends_a_cut_line(void **state)
{
    cairn_trainer trainer = {.model_dir = *state};
    tk_write_text(trainer.model_dir, FILE_NAME, "{\"step\":1,\"loss\":8.5}\n{\"step\":2,\"lo");
    const cairn_callback callback = start(&trainer, 1);
    log_loss(callback, 2, 8.25);
    tk_assert_file_text(trainer.model_dir, FILE_NAME,
                        "{\"step\":1,\"loss\":8.5}\n{\"step\":2,\"lo\n"
                        "{\"event\":\"resume\",\"step\":1}\n{\"step\":2,\"loss\":8.25}\n");
    callback.ops->destroy(callback.self);
}

static void resume__is_recorded_in_a_new_file_too(void **state)
{
    cairn_trainer trainer = {.model_dir = *state};
    const cairn_callback callback = start(&trainer, 7);
    log_loss(callback, 8, 8.25);
    tk_assert_file_text(trainer.model_dir, FILE_NAME,
                        "{\"event\":\"resume\",\"step\":7}\n{\"step\":8,\"loss\":8.25}\n");
    callback.ops->destroy(callback.self);
}

static void start__at_step_0_is_recorded_where_lines_are(void **state)
{
    cairn_trainer trainer = {.model_dir = *state};
    tk_write_text(trainer.model_dir, FILE_NAME, "{\"step\":1,\"loss\":8.5}\n");
    const cairn_callback callback = start(&trainer, 0);
    log_loss(callback, 1, 9.5);
    tk_assert_file_text(trainer.model_dir, FILE_NAME,
                        "{\"step\":1,\"loss\":8.5}\n{\"event\":\"start\",\"step\":0}\n"
                        "{\"step\":1,\"loss\":9.5}\n");
    callback.ops->destroy(callback.self);
}

static void run__that_logs_nothing_leaves_no_trace(void **state)
{
    cairn_trainer trainer = {.model_dir = *state};
    const cairn_callback callback = start(&trainer, 7);
    callback.ops->destroy(callback.self);
    assert_false(tk_exists(trainer.model_dir, FILE_NAME));
}

static void log__outside_a_fit_writes_nothing(void **state)
{
    cairn_callback callback;
    (void)state;
    assert_int_equal(cairn_metrics_file_new(&callback, NULL), CAIRN_OK);
    assert_int_equal(log_metric(callback, 5, "val_loss", 1.0, NULL), CAIRN_OK);
    callback.ops->destroy(callback.self);
}

/* Every call of the system fails once; the status and the name of the file are told. */
static void log__tells_every_failure(void **state)
{
    cairn_trainer trainer = {.model_dir = *state};
    tk_fault_os fault;
    bool is_done = false;
    tk_write_text(trainer.model_dir, FILE_NAME, "{\"step\":1,\"loss\":8.5}\n");
    for (uint64_t n = 1; !is_done; n++) {
        cairn_error err = {0};
        tk_fault_init(&fault);
        const cairn_callback callback = start_on(&fault.os, &trainer, 1);
        fault.fail_at = n;
        fault.fail_errno = ENOSPC;
        const cairn_status rc = log_metric(callback, 2, "loss", 8.25, &err);
        is_done = fault.failed == 0;
        /* The close of a descriptor that was only read from is not told. */
        const bool is_close = fault.failed > 0 && fault.trace[n - 1] == 'c';
        assert_int_equal(rc, is_done || is_close ? CAIRN_OK : CAIRN_ENOSPACE);
        if (rc != CAIRN_OK)
            tk_assert_error_has(&err, FILE_NAME);
        callback.ops->destroy(callback.self);
        assert_int_equal(tk_fault_open_count(&fault), 0);
        assert_true(n < 20);
        tk_fault_dispose(&fault);
    }
}

static const cairn_save_cost k_cost = {.struct_size = sizeof k_cost,
                                       .blocked_ms = 1.5,
                                       .background_ms = 250,
                                       .bytes = 1500000000,
                                       .gb_per_s = 6,
                                       .percent_of_fastest = 87.5};

static void saved(cairn_callback callback, uint64_t step, const char *path,
                  const cairn_save_cost *cost)
{
    cairn_control control = {0};
    const cairn_event event = {
        .struct_size = sizeof event, .step = step, .path = path, .cost = cost};
    assert_int_equal(callback.ops->on_after_save_checkpoint(callback.self, &event, &control, NULL),
                     CAIRN_OK);
}

static void save_failed(cairn_callback callback, uint64_t step, const char *path)
{
    cairn_control control = {0};
    const cairn_error failure = {.status = CAIRN_ENOSPACE,
                                 .frame_count = 1,
                                 .frame = {{.file = "x.c", .text = "the \"disk\" is full"}}};
    const cairn_event event = {.struct_size = sizeof event,
                               .step = step,
                               .path = path,
                               .failure = &failure,
                               .cost = &k_cost};
    assert_int_equal(callback.ops->on_save_exception(callback.self, &event, &control, NULL),
                     CAIRN_OK);
}

static void saves__are_lines_of_their_own(void **state)
{
    cairn_trainer trainer = {.model_dir = *state};
    cairn_save_cost first = k_cost;
    first.percent_of_fastest = 0;
    const cairn_callback callback = start(&trainer, 0);
    saved(callback, 2, "m/checkpoint_2.mdl", &first); /* An initial one may come before all else. */
    log_loss(callback, 3, 8.5);
    saved(callback, 3, "m/\"checkpoint\"_3.mdl", &k_cost);
    save_failed(callback, 4, NULL);
    save_failed(callback, 5, "m/checkpoint_5.mdl");
    tk_assert_file_text(
        trainer.model_dir, FILE_NAME,
        "{\"event\":\"checkpoint\",\"step\":2,\"path\":\"m/checkpoint_2.mdl\",\"blocked_ms\":1.5,"
        "\"background_ms\":250,\"bytes\":1500000000,\"gb_per_s\":6}\n"
        "{\"step\":3,\"loss\":8.5}\n"
        "{\"event\":\"checkpoint\",\"step\":3,\"path\":\"m/\\\"checkpoint\\\"_3.mdl\","
        "\"blocked_ms\":1.5,\"background_ms\":250,\"bytes\":1500000000,\"gb_per_s\":6,"
        "\"percent_of_fastest\":87.5}\n"
        "{\"event\":\"checkpoint_failed\",\"step\":4,\"path\":null,"
        "\"error\":\"the \\\"disk\\\" is full (CAIRN_ENOSPACE)\",\"blocked_ms\":1.5,"
        "\"background_ms\":250}\n"
        "{\"event\":\"checkpoint_failed\",\"step\":5,\"path\":\"m/checkpoint_5.mdl\","
        "\"error\":\"the \\\"disk\\\" is full (CAIRN_ENOSPACE)\",\"blocked_ms\":1.5,"
        "\"background_ms\":250}\n");
    callback.ops->destroy(callback.self);
}

/* The disk that made the save fail may cut the line that says so: the run goes on. */
static void save__that_failed_on_a_full_disk_cuts_no_later_line(void **state)
{
    cairn_trainer trainer = {.model_dir = *state};
    tk_fault_os fault;
    tk_fault_init(&fault);
    const cairn_callback callback = start_on(&fault.os, &trainer, 0);
    log_loss(callback, 1, 8.5);
    tk_fault_reset(&fault);
    fault.fail_op = 'a';
    fault.fail_at = 1;
    fault.is_torn = true;
    save_failed(callback, 2, NULL);
    assert_int_equal(fault.failed, 1);
    log_loss(callback, 3, 8.25);
    char *const text = tk_read_file(trainer.model_dir, FILE_NAME, NULL);
    assert_non_null(strstr(text, "{\"step\":1,\"loss\":8.5}\n{\"event\":\"checkpoint_failed\""));
    assert_non_null(strstr(text, "\n{\"step\":3,\"loss\":8.25}\n"));
    free(text);
    callback.ops->destroy(callback.self);
    tk_fault_dispose(&fault);
}

static void log__allocates_nothing_after_the_first_line(void **state)
{
    cairn_trainer trainer = {.model_dir = *state};
    const cairn_callback callback = start(&trainer, 0);
    log_loss(callback, 1, 0.1 + 0.2);
    const uint64_t before = crn_mem_count();
    log_loss(callback, 2, 0.1 + 0.2);
    assert_int_equal(crn_mem_count(), before);
    callback.ops->destroy(callback.self);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, tk_temp_setup, tk_temp_teardown)
    const struct CMUnitTest tests[] = {
        TEST(log__appends_a_line_at_once),
        TEST(resume__is_recorded_once),
        TEST(resume__ends_a_cut_line),
        TEST(resume__is_recorded_in_a_new_file_too),
        TEST(start__at_step_0_is_recorded_where_lines_are),
        TEST(run__that_logs_nothing_leaves_no_trace),
        TEST(log__outside_a_fit_writes_nothing),
        TEST(log__tells_every_failure),
        TEST(saves__are_lines_of_their_own),
        TEST(save__that_failed_on_a_full_disk_cuts_no_later_line),
        TEST(log__allocates_nothing_after_the_first_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
