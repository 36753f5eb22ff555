/*
 * Child processes of the one that supervises them. It has a single thread and no handlers: signals
 * are blocked and taken by sigwaitinfo, so that none comes between a look and a wait.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "os/os.h"

enum { EXIT_NO_PARENT = 1, EXIT_NOT_STARTED = 127 };

/* SIGCHLD, and what is passed on to the child. */
static void fill_waited(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGCHLD);
    (void)sigaddset(set, SIGTERM);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGUSR1);
}

int crn_child_memory(size_t size, int *out_fd)
{
    const int fd = memfd_create("cairn-child", 0); /* Without CLOEXEC: the child opens nothing. */
    if (fd < 0)
        return errno;
    if (ftruncate(fd, (off_t)size) != 0) {
        const int e = errno;
        (void)close(fd);
        return e;
    }
    *out_fd = fd;
    return 0;
}

/* After fork: only calls that are safe in a handler. What is passed on stays blocked and waits
 * until the child has handlers for it (crn_signals_install). */
static void become(char *const *words, pid_t parent)
{
    sigset_t own;
    /* The child ends with its parent, whatever ends that one. */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_NO_PARENT); /* It has ended before we asked for that. */
    (void)sigemptyset(&own);
    (void)sigaddset(&own, SIGCHLD);
    (void)sigprocmask(SIG_UNBLOCK, &own, NULL);
    (void)execv("/proc/self/exe", words); /* This very program, even if its file was replaced. */
    _exit(EXIT_NOT_STARTED);
}

/* Takes signals until the child has ended. */
static int wait_for(pid_t child, const sigset_t *waited, crn_child_end *out)
{
    for (;;) {
        siginfo_t info;
        int status = 0;
        const pid_t ended = waitpid(child, &status, WNOHANG);
        if (ended < 0)
            return errno;
        if (ended == child) {
            out->is_signal = WIFSIGNALED(status);
            out->number = out->is_signal ? WTERMSIG(status) : WEXITSTATUS(status);
            return 0;
        }
        const int number = sigwaitinfo(waited, &info);
        if (number > 0 && number != SIGCHLD) {
            out->was_asked_to_stop = out->was_asked_to_stop || number != SIGUSR1;
            (void)kill(child, number == SIGINT ? CRN_SIGNAL_INTERRUPT : number);
        }
    }
}

int crn_child_run(char *const *words, crn_child_end *out)
{
    struct sigaction ordinary = {.sa_flags = 0};
    sigset_t waited;
    sigset_t blocked;
    *out = (crn_child_end){0};
    ordinary.sa_handler = SIG_DFL; /* An inherited "ignore" would reap the child behind our back. */
    (void)sigemptyset(&ordinary.sa_mask);
    fill_waited(&waited);
    blocked = waited;
    (void)sigaddset(&blocked, CRN_SIGNAL_INTERRUPT); /* For the child, before it is there. */
    if (sigaction(SIGCHLD, &ordinary, NULL) != 0 || sigprocmask(SIG_BLOCK, &blocked, NULL) != 0)
        return errno;
    if (crn_signal_stop_requested()) /* It came while there still was a handler. */
        (void)raise(strcmp(crn_signal_stop_name(), "SIGINT") == 0 ? SIGINT : SIGTERM);
    if (crn_signal_take_save_request())
        (void)raise(SIGUSR1);
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child < 0)
        return errno;
    if (child == 0)
        become(words, parent);
    return wait_for(child, &waited, out);
}

void crn_child_pause(int64_t ns)
{
    enum { NS_IN_S = 1000000000 };
    const crn_os *const os = crn_os_posix();
    const int64_t end = os->monotonic_ns(os) + ns;
    sigset_t stops;
    (void)sigemptyset(&stops);
    (void)sigaddset(&stops, SIGTERM);
    (void)sigaddset(&stops, SIGINT);
    for (int64_t left = ns; left > 0; left = end - os->monotonic_ns(os)) {
        const struct timespec time = {.tv_sec = left / NS_IN_S, .tv_nsec = left % NS_IN_S};
        const int number = sigtimedwait(&stops, NULL, &time);
        if (number > 0) {
            (void)raise(number); /* It is blocked: it waits for the next child. */
            return;
        }
    }
}

const char *crn_signal_name(int number, char buf[32])
{
    const char *const name = sigabbrev_np(number);
    if (name != NULL)
        (void)snprintf(buf, 32, "SIG%s", name);
    else
        (void)snprintf(buf, 32, "signal %d", number);
    return buf;
}
