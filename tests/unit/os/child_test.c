/*
 * Children are this program again, with a word that says what to do. Each test runs in a process of
 * its own, since crn_child_run blocks signals for good.
 */
#include "kit/kit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs @supervise in a fork and returns its exit code, or 1000 + the signal that ended it. */
static int run_apart(int (*supervise)(void))
{
    int status = 0;
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(supervise());
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            return __LINE__ % 100 + 1;                                                             \
    } while (0)

static int run(const char *what, const char *more, crn_child_end *out)
{
    char name[] = "child";
    char words[2][32];
    char *argv[] = {name, words[0], words[1], NULL};
    (void)snprintf(words[0], sizeof words[0], "%s", what);
    (void)snprintf(words[1], sizeof words[1], "%s", more);
    return crn_child_run(argv, out);
}

static int supervise_ends(void)
{
    crn_child_end end;
    char name[32];
    CHECK(run("exit", "7", &end) == 0);
    CHECK(!end.is_signal && end.number == 7 && !end.was_asked_to_stop);
    CHECK(run("exit", "0", &end) == 0 && end.number == 0);
    CHECK(run("raise", "9", &end) == 0);
    CHECK(end.is_signal && end.number == SIGKILL && !end.was_asked_to_stop);
    CHECK(strcmp(crn_signal_name(end.number, name), "SIGKILL") == 0);
    CHECK(strcmp(crn_signal_name(77, name), "signal 77") == 0);
    return 0;
}

static int supervise_ignored_children(void)
{
    crn_child_end end;
    CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    CHECK(run("exit", "7", &end) == 0 && end.number == 7);
    return 0;
}

static int supervise_memory(void)
{
    const crn_os *const os = crn_os_posix();
    crn_child_end end;
    char text[8] = "";
    char number[16];
    size_t got = 0;
    int fd = -1;
    CHECK(crn_child_memory(sizeof text, &fd) == 0);
    CHECK(os->read_at(os, fd, text, sizeof text, 0, &got) == 0 && got == sizeof text);
    CHECK(text[0] == 0);
    (void)snprintf(number, sizeof number, "%d", fd);
    CHECK(run("write", number, &end) == 0 && end.is_signal);
    CHECK(os->read_at(os, fd, text, sizeof text, 0, &got) == 0);
    CHECK(strcmp(text, "left") == 0);
    return 0;
}

/* A signal that comes before there is a child waits for it, and the child waits with it until it
 * has handlers. */
static int supervise_signal(void)
{
    crn_child_end end;
    CHECK(crn_signals_install() == 0);
    CHECK(raise(SIGTERM) == 0);
    CHECK(run("wait", "SIGTERM", &end) == 0);
    CHECK(!end.is_signal && end.number == 75 && end.was_asked_to_stop);
    CHECK(raise(SIGUSR1) == 0); /* Blocked since the first child: it is pending. */
    CHECK(run("save", "", &end) == 0);
    CHECK(end.number == 76);
    return 0;
}

/* SIGINT from others than the parent does not count; from the parent it does. */
static int supervise_interrupt(void)
{
    crn_child_end end;
    CHECK(run("own_interrupt", "", &end) == 0);
    CHECK(end.number == 0);
    CHECK(raise(SIGINT) == 0); /* Blocked since the first child: it is pending. */
    CHECK(run("wait_obedient", "SIGINT", &end) == 0);
    CHECK(end.number == 75 && end.was_asked_to_stop);
    return 0;
}

/* What a child does. */
static int be(const char *what, const char *more)
{
    const crn_os *const os = crn_os_posix();
    if (strcmp(what, "exit") == 0)
        return (int)strtol(more, NULL, 10);
    if (strcmp(what, "raise") == 0)
        return raise((int)strtol(more, NULL, 10));
    if (strcmp(what, "write") == 0)
        return os->write_at(os, (int)strtol(more, NULL, 10), "left", 5, 0) == 0 ? raise(SIGKILL)
                                                                                : 1;
    if (strcmp(what, "wait_obedient") == 0)
        crn_signals_obey_parent();
    if (strncmp(what, "wait", 4) == 0) {
        if (crn_signal_stop_requested() || crn_signals_install() != 0)
            return 1;
        while (!crn_signal_stop_requested())
            os->pause(os, 1000000);
        return strcmp(crn_signal_stop_name(), more) == 0 ? 75 : 2;
    }
    if (strcmp(what, "save") == 0) {
        if (crn_signals_install() != 0)
            return 1;
        while (!crn_signal_take_save_request())
            os->pause(os, 1000000);
        return 76;
    }
    if (strcmp(what, "own_interrupt") == 0) {
        crn_signals_obey_parent();
        if (crn_signals_install() != 0 || raise(SIGINT) != 0 || raise(SIGINT) != 0)
            return 1; /* The second would have ended it. */
        return crn_signal_stop_requested() ? 3 : 0;
    }
    return 99;
}

static void end__is_told_as_code_or_signal(void **state)
{
    (void)state;
    assert_int_equal(run_apart(supervise_ends), 0);
}

static void end__is_told_though_children_were_ignored(void **state)
{
    (void)state;
    assert_int_equal(run_apart(supervise_ignored_children), 0);
}

static void memory__outlives_a_child_that_is_killed(void **state)
{
    (void)state;
    assert_int_equal(run_apart(supervise_memory), 0);
}

static void signals__are_passed_on_and_none_is_lost(void **state)
{
    (void)state;
    assert_int_equal(run_apart(supervise_signal), 0);
}

static void sigint__counts_only_from_the_parent(void **state)
{
    (void)state;
    assert_int_equal(run_apart(supervise_interrupt), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(end__is_told_as_code_or_signal),
        cmocka_unit_test(end__is_told_though_children_were_ignored),
        cmocka_unit_test(memory__outlives_a_child_that_is_killed),
        cmocka_unit_test(signals__are_passed_on_and_none_is_lost),
        cmocka_unit_test(sigint__counts_only_from_the_parent),
    };
    if (argc == 3)
        return be(argv[1], argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
