/* The flags are process-wide, so each test asks its questions in a child of its own. */
#include "kit/kit.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs @child in a fork and returns its exit code, or 1000 + the signal that ended it. */
static int run_child(int (*child)(void))
{
    int status = 0;
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(child());
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return __LINE__ % 100 + 1;                                                             \
    } while (0)

static int child_nothing_came(void)
{
    CHECK(crn_signals_install() == 0);
    CHECK(!crn_signal_stop_requested());
    CHECK(strcmp(crn_signal_stop_name(), "") == 0);
    CHECK(!crn_signal_take_save_request());
    return 0;
}

static int child_sigterm(void)
{
    CHECK(crn_signals_install() == 0);
    CHECK(raise(SIGTERM) == 0);
    CHECK(crn_signal_stop_requested());
    CHECK(strcmp(crn_signal_stop_name(), "SIGTERM") == 0);
    CHECK(raise(SIGTERM) == 0); /* A second polite request changes nothing. */
    CHECK(raise(SIGINT) == 0);  /* Nor does a first SIGINT; the first name stays. */
    CHECK(strcmp(crn_signal_stop_name(), "SIGTERM") == 0);
    CHECK(crn_signals_install() == 0); /* Installing again forgets nothing. */
    CHECK(crn_signal_stop_requested());
    CHECK(!crn_signal_take_save_request());
    return 0;
}

static int child_sigint_once(void)
{
    CHECK(crn_signals_install() == 0);
    CHECK(raise(SIGINT) == 0);
    CHECK(crn_signal_stop_requested());
    CHECK(strcmp(crn_signal_stop_name(), "SIGINT") == 0);
    return 0;
}

static int child_sigint_twice(void)
{
    CHECK(crn_signals_install() == 0);
    CHECK(raise(SIGINT) == 0);
    (void)raise(SIGINT);
    return 0;
}

static int child_sigusr1(void)
{
    CHECK(crn_signals_install() == 0);
    CHECK(raise(SIGUSR1) == 0);
    CHECK(raise(SIGUSR1) == 0);
    CHECK(!crn_signal_stop_requested());
    CHECK(crn_signal_take_save_request());
    CHECK(!crn_signal_take_save_request());
    CHECK(raise(SIGUSR1) == 0);
    CHECK(crn_signal_take_save_request());
    return 0;
}

static int child_sigpipe(void)
{
    int ends[2];
    CHECK(crn_signals_install() == 0);
    CHECK(pipe(ends) == 0);
    CHECK(close(ends[0]) == 0);
    CHECK(write(ends[1], "x", 1) == -1 && errno == EPIPE);
    return 0;
}

static int child_interrupted_append(void)
{
    /* A signal that arrives while data is written must not lose or repeat any. */
    const crn_os *const os = crn_os_posix();
    char dir[TK_PATH_SIZE];
    char path[TK_PATH_SIZE];
    int fd = -1;
    CHECK(crn_signals_install() == 0);
    tk_join(path, tk_temp_dir(dir), "log");
    CHECK(os->open(os, CRN_OS_CWD, path, CRN_OPEN_APPEND, &fd) == 0);
    for (int i = 0; i < 100; i++) {
        CHECK(raise(SIGUSR1) == 0);
        CHECK(os->append(os, fd, "0123456789", 10) == 0);
    }
    crn_file_stat info;
    CHECK(os->stat_fd(os, fd, &info) == 0 && info.size == 1000);
    CHECK(os->close(os, fd) == 0);
    tk_remove_tree(dir);
    return 0;
}

static void flags__are_down_until_a_signal_comes(void **state)
{
    (void)state;
    assert_int_equal(run_child(child_nothing_came), 0);
}

static void sigterm__asks_to_stop_under_its_own_name(void **state)
{
    (void)state;
    assert_int_equal(run_child(child_sigterm), 0);
}

static void sigint__once_asks_to_stop(void **state)
{
    (void)state;
    assert_int_equal(run_child(child_sigint_once), 0);
}

static void sigint__twice_ends_the_process_with_130(void **state)
{
    (void)state;
    assert_int_equal(run_child(child_sigint_twice), 130);
}

static void sigusr1__asks_for_one_save_however_often_it_came(void **state)
{
    (void)state;
    assert_int_equal(run_child(child_sigusr1), 0);
}

static void sigpipe__becomes_an_error_of_the_write(void **state)
{
    (void)state;
    assert_int_equal(run_child(child_sigpipe), 0);
}

static void append__under_signals_writes_each_byte_once(void **state)
{
    (void)state;
    assert_int_equal(run_child(child_interrupted_append), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags__are_down_until_a_signal_comes),
        cmocka_unit_test(sigterm__asks_to_stop_under_its_own_name),
        cmocka_unit_test(sigint__once_asks_to_stop),
        cmocka_unit_test(sigint__twice_ends_the_process_with_130),
        cmocka_unit_test(sigusr1__asks_for_one_save_however_often_it_came),
        cmocka_unit_test(sigpipe__becomes_an_error_of_the_write),
        cmocka_unit_test(append__under_signals_writes_each_byte_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
