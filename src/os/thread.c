/* Threads of the library. */
#include <signal.h>

#include "os/os.h"

int crn_thread_start(pthread_t *out, void *(*main)(void *), void *argument, const char *name)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    /* A new thread inherits the mask; blocked before, it never runs with another. */
    int e = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (e != 0)
        return e;
    e = pthread_create(out, NULL, main, argument);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (e == 0)
        (void)pthread_setname_np(*out, name); /* For people only. */
    return e;
}
