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
static atomic_bool s_obeys_parent; /* SIGINT counts only as CRN_SIGNAL_INTERRUPT. */

_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_BOOL_LOCK_FREE == 2,
               "only lock-free atomics are safe in a handler");

static void on_stop(int number)
{
    int none = 0;
    if (number == SIGINT && atomic_load(&s_obeys_parent))
        return;
    if (number == CRN_SIGNAL_INTERRUPT)
        number = SIGINT;
    if (number == SIGINT && atomic_fetch_add(&s_interrupts, 1) > 0)
        _exit(EXIT_SECOND_INTERRUPT);
    (void)atomic_compare_exchange_strong(&s_stop_signal, &none, number);
}

static void on_save(int number)
{
    (void)number;
    atomic_store(&s_save_requested, true);
}

static int install(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_flags = SA_RESTART};
    action.sa_handler = handler;
    return sigemptyset(&action.sa_mask) != 0 || sigaction(number, &action, NULL) != 0 ? errno : 0;
}

int crn_signals_install(void)
{
    const int ours[] = {SIGTERM, SIGINT, SIGUSR1, CRN_SIGNAL_INTERRUPT};
    sigset_t set;
    (void)sigemptyset(&set);
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        (void)sigaddset(&set, ours[i]);
    int e = install(SIGTERM, on_stop);
    e = e != 0 ? e : install(SIGINT, on_stop);
    e = e != 0 ? e : install(SIGUSR1, on_save);
    e = e != 0 ? e : install(SIGPIPE, SIG_IGN);
    if (e == 0 && atomic_load(&s_obeys_parent))
        e = install(CRN_SIGNAL_INTERRUPT, on_stop);
    return e != 0 ? e : pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void crn_signals_obey_parent(void)
{
    atomic_store(&s_obeys_parent, true);
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
