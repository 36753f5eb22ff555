#include "confined/service.h"

#include <errno.h>
#include <signal.h>
#include <stdalign.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "confined/confine.h"

enum { SOCKET = 3, EXIT_USAGE = 2, EXIT_NOT_CONFINED = 3 };

/* One request and the descriptor that came along (-1: none). False at the end of the socket. */
static bool receive(void *request, size_t size, int *out_fd)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    char *rest = request;
    *out_fd = -1;
    while (size > 0) {
        struct iovec part = {.iov_base = rest, .iov_len = size};
        struct msghdr message = {.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = control.space,
                                 .msg_controllen = sizeof control.space};
        const ssize_t got = recvmsg(SOCKET, &message, MSG_CMSG_CLOEXEC);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        const struct cmsghdr *const header = CMSG_FIRSTHDR(&message);
        if (header != NULL && header->cmsg_type == SCM_RIGHTS && *out_fd < 0)
            memcpy(out_fd, CMSG_DATA(header), sizeof *out_fd);
        rest += got;
        size -= (size_t)got;
    }
    return true;
}

bool crn_confined_send(const void *bytes, size_t size)
{
    const char *rest = bytes;
    while (size > 0) {
        const ssize_t sent = send(SOCKET, rest, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        rest += sent;
        size -= (size_t)sent;
    }
    return true;
}

/* A file may lead a reader in circles: the process ends then. */
static void allow_alarm(void)
{
    sigset_t alarms;
    (void)sigemptyset(&alarms);
    (void)sigaddset(&alarms, SIGALRM);
    (void)sigprocmask(SIG_UNBLOCK, &alarms, NULL);
}

int crn_confined_serve(const crn_confined_program *program)
{
    alignas(max_align_t) char request[CRN_CONFINED_REQUEST_MAX];
    int fd = -1;
    int type = 0;
    socklen_t size = sizeof type;
    if (getsockopt(SOCKET, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
        (void)fprintf(stderr, "%s: started by cairn to %s; not for use by hand\n", program->name,
                      program->purpose);
        return EXIT_USAGE;
    }
    allow_alarm();
    if (program->request_size > sizeof request || (program->setup != NULL && !program->setup()) ||
        !crn_confine())
        return EXIT_NOT_CONFINED;
    while (receive(request, program->request_size, &fd)) {
        (void)alarm(program->seconds);
        if (!program->answer(program->user, request, fd))
            break;
        (void)alarm(0);
    }
    _exit(
        0); /* What libraries do at their end is not allowed here, and there is nothing to save. */
}
