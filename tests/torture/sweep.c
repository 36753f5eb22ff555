/* Runs a program under ptrace and kills it at a chosen system call. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "torture/torture.h"

enum { REFUSED = 126, NO_PROGRAM = 127, SYSCALL_STOP = SIGTRAP | 0x80 };

typedef struct sweep {
    pid_t leader;
    long marker;
    uint64_t n;
    bool at_exit;
    bool is_counting;
    pid_t chosen; /* the thread in call number n; 0 before it */
    tt_end end;
} sweep;

static long trace(enum __ptrace_request request, pid_t thread, uintptr_t address, uintptr_t data)
{
    return ptrace(request, thread, (void *)address, (void *)data);
}

static void become_child(const char *const *argv)
{
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
        _exit(NO_PROGRAM);
    if (trace(PTRACE_TRACEME, 0, 0, 0) != 0)
        _exit(REFUSED);
    (void)raise(SIGSTOP);
    union {
        const char *const *in;
        char *const *out;
    } arguments = {.in = argv};
    (void)execv(argv[0], arguments.out);
    _exit(NO_PROGRAM);
}

/* A thread stands at a system call: true if this is where to kill. */
static bool is_the_point(sweep *s, pid_t thread)
{
    struct __ptrace_syscall_info info = {.op = PTRACE_SYSCALL_INFO_NONE};
    if (trace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, (uintptr_t)&info) <= 0)
        return false; /* It has just died with its process. */
    if (info.op == PTRACE_SYSCALL_INFO_EXIT)
        return s->chosen == thread;
    if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
        return false;
    if (!s->is_counting) {
        s->is_counting = s->marker < 0 || info.entry.nr == (uint64_t)s->marker;
        if (s->marker >= 0)
            return false; /* The marker itself is none of the program's deeds. */
    }
    s->end.calls++;
    if (s->n == 0 || s->end.calls != s->n)
        return false;
    s->chosen = thread;
    return !s->at_exit;
}

/* Which signal the thread gets as it goes on: those of ptrace itself never reach it. */
static int signal_to_pass(int status)
{
    const int number = WSTOPSIG(status);
    if (status >> 16 != 0 || number == SYSCALL_STOP || number == SIGSTOP || number == SIGTRAP)
        return 0;
    return number;
}

/* Waits for all of the process to be gone. */
static void follow(sweep *s)
{
    for (;;) {
        int status = 0;
        const pid_t thread = waitpid(-1, &status, __WALL);
        if (thread < 0 && errno == EINTR)
            continue;
        if (thread < 0)
            return;
        if (!WIFSTOPPED(status)) {
            if (thread == s->leader)
                s->end.status = status;
            continue;
        }
        if (WSTOPSIG(status) == SYSCALL_STOP && !s->end.is_killed && is_the_point(s, thread)) {
            s->end.is_killed = true;
            (void)kill(s->leader, SIGKILL);
            continue;
        }
        (void)trace(PTRACE_SYSCALL, thread, 0, (uintptr_t)signal_to_pass(status));
    }
}

/* Each stop is two changes between us and the program: on one processor they cost a fifth. */
static void pin(cpu_set_t *before)
{
    cpu_set_t one;
    const int here = sched_getcpu();
    const size_t cpu = here > 0 ? (size_t)here : 0;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    (void)sched_getaffinity(0, sizeof *before, before);
    (void)sched_setaffinity(0, sizeof one, &one);
}

/* Forks the program, stopped before its exec; false if it cannot be traced. */
static bool begin(sweep *s, const char *const *argv)
{
    const uintptr_t options = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE |
                              PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC;
    int status = 0;
    (void)fflush(NULL);
    s->leader = fork();
    if (s->leader == 0)
        become_child(argv);
    if (s->leader < 0)
        return false;
    if (waitpid(s->leader, &status, __WALL) == s->leader && WIFSTOPPED(status) &&
        trace(PTRACE_SETOPTIONS, s->leader, 0, options) == 0)
        return true;
    s->end.status = status;
    if (WIFSTOPPED(status)) {
        (void)kill(s->leader, SIGKILL);
        (void)waitpid(s->leader, &status, __WALL);
    }
    return false;
}

tt_end tt_run_until(const char *const *argv, long marker, uint64_t n, bool at_exit)
{
    sweep s = {.marker = marker, .n = n, .at_exit = at_exit};
    cpu_set_t before;
    if (marker >= 0)
        pin(&before);
    if (begin(&s, argv)) {
        (void)trace(PTRACE_SYSCALL, s.leader, 0, 0);
        follow(&s);
    } else {
        s.end.is_refused = true;
    }
    if (marker >= 0)
        (void)sched_setaffinity(0, sizeof before, &before);
    return s.end;
}
