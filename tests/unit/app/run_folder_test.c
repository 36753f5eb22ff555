/* The folder of a process: what is in it, its links, and a disk that does not take it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/run_folder.h"
#include "train/trainer_priv.h"
#include "unit/train/mean.h"

enum { LOG_SIZE = 8192 };

/* 2026-01-31 12:00:00.250 UTC */
static const int64_t k_now_ns = INT64_C(1769860800250000000);

struct fixture {
    char *dir;
    tk_fault_os fault;
    char sink_text[LOG_SIZE]; /* what went to the other log */
    cairn_log sink;
    crn_run_folder *folder;
    char *run_dir; /* that cairn_trainer_run_dir gave at the end of the fit */
    cairn_error err;
};

static void write_sink(void *user, cairn_log_level level, const char *message)
{
    struct fixture *const f = user;
    const size_t used = strlen(f->sink_text);
    (void)snprintf(f->sink_text + used, LOG_SIZE - used, "%s: %s\n", cairn_log_level_name(level),
                   message);
}

static int begin(void **state)
{
    struct fixture *const f = calloc(1, sizeof *f);
    void *dir = NULL;
    assert_non_null(f);
    assert_int_equal(tk_temp_setup(&dir), 0);
    assert_int_equal(setenv("TZ", "UTC", 1), 0);
    f->dir = dir;
    tk_fault_init(&f->fault);
    f->fault.is_clock_fake = true;
    f->fault.realtime_ns = k_now_ns;
    f->sink = (cairn_log){.level = CAIRN_LOG_INFO, .write = write_sink, .user = f};
    tk_assert_ok(crn_run_folder_new(&f->fault.os, &f->sink, &f->folder, &f->err), &f->err);
    crn_run_folder_set_params(f->folder, "all: 1\n", "given: 1\n");
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *const f = *state;
    void *dir = f->dir;
    crn_run_folder_destroy(f->folder);
    assert_int_equal(tk_fault_open_count(&f->fault), 0);
    tk_fault_dispose(&f->fault);
    free(f->run_dir);
    free(f);
    return tk_temp_teardown(&dir);
}

static cairn_status see_run_dir(void *self, const cairn_event *event, cairn_control *control,
                                cairn_error *err)
{
    struct fixture *const f = self;
    const char *const path = cairn_trainer_run_dir(event->trainer);
    (void)control;
    (void)err;
    free(f->run_dir);
    f->run_dir = path != NULL ? strdup(path) : NULL;
    return CAIRN_OK;
}

static const cairn_callback_ops k_seeing = {
    .struct_size = sizeof(cairn_callback_ops), .name = "Seeing", .on_fit_end = see_run_dir};

/* A fit of @steps steps whose log is the folder's. */
static void fit(struct fixture *f, int64_t steps)
{
    cairn_trainer *trainer = NULL;
    cairn_optimizer optimizer = {0};
    cairn_adamw_options adamw = cairn_adamw_options_default();
    cairn_fit_result result;
    cairn_loader *const train = make_loader();
    const cairn_log log = crn_run_folder_log(f->folder);
    cairn_trainer_options options = cairn_trainer_options_default();
    options.model_dir = f->dir;
    options.log = &log;
    options.loop.max_steps = cairn_int(steps);
    options.checkpoint.steps = cairn_int(1);
    tk_assert_ok(cairn_adamw_new(&adamw, &optimizer, &f->err), &f->err);
    tk_assert_ok(cairn_trainer_new(&options, (cairn_model){.ops = &k_model}, optimizer, NULL, 0,
                                   &trainer, &f->err),
                 &f->err);
    tk_assert_ok(cairn_trainer_add_callback(trainer, crn_run_folder_callback(f->folder), &f->err),
                 &f->err);
    tk_assert_ok(cairn_trainer_add_callback(trainer, (cairn_callback){&k_seeing, f}, &f->err),
                 &f->err);
    cairn_log_message(&log, CAIRN_LOG_INFO, "before the fit");
    tk_assert_ok(cairn_trainer_fit(trainer, train, NULL, 0, cairn_ckpt_omitted(), &result, &f->err),
                 &f->err);
    assert_int_equal(result.step, steps);
    cairn_trainer_destroy(trainer);
    cairn_fit_result_dispose(&result);
    cairn_loader_destroy(train);
}

static void assert_link(const char *dir, const char *name, const char *target)
{
    char path[TK_PATH_SIZE];
    char found[TK_PATH_SIZE] = "";
    assert_true(readlink(tk_join(path, dir, name), found, sizeof found - 1) > 0);
    assert_string_equal(found, target);
}

/* A new folder object, as a new process has it. */
static void renew(struct fixture *f)
{
    crn_run_folder_destroy(f->folder);
    tk_assert_ok(crn_run_folder_new(&f->fault.os, &f->sink, &f->folder, &f->err), &f->err);
    crn_run_folder_set_params(f->folder, "all: 1\n", "given: 1\n");
}

static void a_fit__leaves_log_parameters_and_relative_links(void **state)
{
    struct fixture *const f = *state;
    char logs[TK_PATH_SIZE];
    char run[TK_PATH_SIZE];
    size_t size = 0;
    fit(f, 2);
    crn_run_folder_note(f->folder, CAIRN_LOG_ERROR, "the very last");
    (void)tk_join(logs, f->dir, "cairn_logs");
    (void)tk_join(run, logs, "20260131_120000");
    assert_string_equal(f->run_dir, run);
    tk_assert_list(run, "run.log trainer_params.yaml user_params.yaml");
    tk_assert_file_text(run, "trainer_params.yaml", "all: 1\n");
    tk_assert_file_text(run, "user_params.yaml", "given: 1\n");
    assert_link(logs, "latest", "20260131_120000");
    assert_link(f->dir, "latest_run.log", "cairn_logs/20260131_120000/run.log");
    char *const text = tk_read_file(run, "run.log", &size);
    assert_int_equal(strncmp(text, "2026-01-31 12:00:00,250 INFO:   before the fit\n", 47), 0);
    assert_non_null(strstr(text, "Saved checkpoint "));
    assert_non_null(strstr(text, "2026-01-31 12:00:00,250 ERROR:   the very last\n"));
    free(text);
    assert_non_null(strstr(f->sink_text, "INFO: before the fit\n"));
    assert_null(strstr(f->sink_text, "the very last"));
}

static void a_second_fit_in_the_same_second__has_a_folder_of_its_own(void **state)
{
    struct fixture *const f = *state;
    char logs[TK_PATH_SIZE];
    fit(f, 1);
    renew(f);
    fit(f, 2);
    tk_assert_list(tk_join(logs, f->dir, "cairn_logs"), "20260131_120000 20260131_120000_1 latest");
    assert_link(logs, "latest", "20260131_120000_1");
    assert_link(f->dir, "latest_run.log", "cairn_logs/20260131_120000_1/run.log");
}

static void a_fit_with_nothing_to_do__leaves_no_trace(void **state)
{
    struct fixture *const f = *state;
    fit(f, 1);
    char *const before = tk_list(f->dir);
    f->fault.realtime_ns += INT64_C(60000000000);
    renew(f);
    fit(f, 1);
    tk_assert_list(f->dir, before);
    free(before);
    assert_null(f->run_dir);
}

/* Each call of the folder fails once: the fit ends well, and the user is told once. */
static void a_disk_that_refuses__never_ends_a_run(void **state)
{
    struct fixture *const f = *state;
    static const char k_ops[] = "tdoawcym"; /* calls that the folder makes */
    for (const char *op = k_ops; *op != '\0'; op++) {
        renew(f);
        tk_remove_tree(f->dir);
        f->sink_text[0] = '\0';
        tk_fault_reset(&f->fault);
        f->fault.fail_at = 1;
        f->fault.fail_op = *op;
        f->fault.fail_errno = ENOSPC;
        f->fault.is_sticky = true;
        fit(f, 2);
        const char *const told = strstr(f->sink_text, "the run goes on without its log");
        assert_true(f->fault.failed > 0);
        assert_non_null(told);
        assert_null(strstr(told + 1, "the run goes on without its log"));
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_fit__leaves_log_parameters_and_relative_links),
        T(a_second_fit_in_the_same_second__has_a_folder_of_its_own),
        T(a_fit_with_nothing_to_do__leaves_no_trace),
        T(a_disk_that_refuses__never_ends_a_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
