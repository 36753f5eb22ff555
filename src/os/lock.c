/*
 * Locks of the open file description (fcntl(2), F_OFD_SETLK): the kernel drops them when the last
 * descriptor is closed, however the process ends, so none can be stale; and unlike record locks of
 * a process they hold between two opens of one program and survive the close of another descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "os/posix.h"

int crn_posix_lock(const crn_os *os, int fd)
{
    (void)os;
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int e = 0;
    do {
        e = fcntl(fd, F_OFD_SETLK, &whole) != 0 ? errno : 0;
    } while (e == EINTR);
    return e == EACCES ? EAGAIN : e; /* POSIX allows either. */
}
