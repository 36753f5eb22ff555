#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "os/os.h"

enum { EXIT_SECOND_INTERRUPT = 130 };

/* Mutable statics with a reason: a signal handler is given nothing else to write to. */
static atomic_int s_stop_signal; /* The first of SIGTERM and SIGINT that came. */
static atomic_int s_interrupts;
static atomic_bool s_save_requested;
static atomic_int s_parent; /* The only one whose SIGINT counts; 0: everybody's does. */

_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_BOOL_LOCK_FREE == 2,
               "only lock-free atomics are safe in a handler");

static void on_stop(int number, siginfo_t *info, void *context)
{
    const int parent = atomic_load(&s_parent);
    int none = 0;
    (void)context;
    if (number == SIGINT && parent != 0 && info->si_pid != parent)
        return;
    if (number == SIGINT && atomic_fetch_add(&s_interrupts, 1) > 0)
        _exit(EXIT_SECOND_INTERRUPT);
    (void)atomic_compare_exchange_strong(&s_stop_signal, &none, number);
}

static void on_save(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)info;
    (void)context;
    atomic_store(&s_save_requested, true);
}

static int install(int number, void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction action = {.sa_flags = SA_RESTART | SA_SIGINFO};
    action.sa_sigaction = handler;
    return sigemptyset(&action.sa_mask) != 0 || sigaction(number, &action, NULL) != 0 ? errno : 0;
}

int crn_signals_install(void)
{
    struct sigaction ignored = {.sa_flags = 0};
    sigset_t ours;
    int e = install(SIGTERM, on_stop);
    e = e != 0 ? e : install(SIGINT, on_stop);
    e = e != 0 ? e : install(SIGUSR1, on_save);
    ignored.sa_handler = SIG_IGN;
    (void)sigemptyset(&ignored.sa_mask);
    if (e == 0 && sigaction(SIGPIPE, &ignored, NULL) != 0)
        e = errno;
    (void)sigemptyset(&ours);
    (void)sigaddset(&ours, SIGTERM);
    (void)sigaddset(&ours, SIGINT);
    (void)sigaddset(&ours, SIGUSR1);
    return e != 0 ? e : pthread_sigmask(SIG_UNBLOCK, &ours, NULL);
}

void crn_signals_obey_parent(void)
{
    atomic_store(&s_parent, getppid());
}

bool crn_signal_stop_requested(void)
{
    return atomic_load(&s_stop_signal) != 0;
}

const char *crn_signal_stop_name(void)
{
    const int number = atomic_load(&s_stop_signal);
    return number == SIGTERM ? "SIGTERM" : number == SIGINT ? "SIGINT" : "";
}

bool crn_signal_take_save_request(void)
{
    return atomic_exchange(&s_save_requested, false);
}
