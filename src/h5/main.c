/*
 * cairn-hdf5: reads HDF5 files for the data processors of cairn, which starts it (os/helper.c) and
 * speaks to it over descriptor 3 (data/h5_protocol.h). The HDF5 library is large and the files may
 * come from anywhere, so it runs here, where a fault or an attack gains nothing: no files, no
 * network, no other program, not even the environment. It ends when the socket does.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "h5/confine.h"
#include "h5/file.h"

enum { SOCKET = 3, EXIT_USAGE = 2, EXIT_NOT_CONFINED = 3 };

/* Files in use, and the numbers of the last reply. */
struct service {
    crn_h5_file *files[CRN_H5_SLOTS];
    int32_t *values;
    uint64_t capacity;
};

/* One request and the descriptor that came along (-1: none). False at the end of the socket. */
static bool receive(crn_h5_request *request, int *out_fd)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    char *rest = (char *)request;
    size_t size = sizeof *request;
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

static bool send_all(const void *bytes, size_t size)
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

static bool reserve(struct service *service, uint64_t count)
{
    if (count <= service->capacity)
        return true;
    free(service->values);
    service->capacity = 0;
    service->values = calloc((size_t)count, sizeof *service->values);
    if (service->values == NULL)
        return false;
    service->capacity = count;
    return true;
}

static bool open_slot(struct service *service, uint32_t slot, int fd, crn_h5_reply *reply,
                      char why[CRN_H5_TEXT_MAX])
{
    crn_h5_close(service->files[slot]);
    service->files[slot] = crn_h5_open(fd, reply, why);
    return service->files[slot] != NULL;
}

static bool read_slot(struct service *service, const crn_h5_request *request, crn_h5_reply *reply,
                      char why[CRN_H5_TEXT_MAX])
{
    if (service->files[request->slot] == NULL || request->count > CRN_H5_VALUES_MAX ||
        !reserve(service, request->count)) {
        (void)snprintf(why, CRN_H5_TEXT_MAX, "no open file, or no memory for what is read");
        return false;
    }
    reply->bytes = request->count * sizeof *service->values;
    return crn_h5_read(service->files[request->slot], request->first, request->count,
                       service->values, why);
}

/* False: the other side has gone, or it is no request. */
static bool answer(struct service *service, const crn_h5_request *request, int fd)
{
    crn_h5_reply reply = {0};
    char why[CRN_H5_TEXT_MAX] = "";
    bool is_ok = false;
    if (request->slot >= CRN_H5_SLOTS)
        return false;
    if (request->kind == CRN_H5_OPEN && fd >= 0)
        is_ok = open_slot(service, request->slot, fd, &reply, why);
    else if (request->kind == CRN_H5_READ && fd < 0)
        is_ok = read_slot(service, request, &reply, why);
    else
        return false;
    reply.is_ok = is_ok;
    if (!is_ok)
        reply.bytes = strlen(why);
    return send_all(&reply, sizeof reply) &&
           send_all(is_ok ? (const void *)service->values : why, (size_t)reply.bytes);
}

/* A file may lead the library in circles: the process ends then. */
static void allow_alarm(void)
{
    sigset_t alarms;
    (void)sigemptyset(&alarms);
    (void)sigaddset(&alarms, SIGALRM);
    (void)sigprocmask(SIG_UNBLOCK, &alarms, NULL);
}

int main(void)
{
    struct service service = {0};
    crn_h5_request request;
    int fd = -1;
    int type = 0;
    socklen_t size = sizeof type;
    if (getsockopt(SOCKET, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
        (void)fputs("cairn-hdf5: started by cairn to read HDF5 files; not for use by hand\n",
                    stderr);
        return EXIT_USAGE;
    }
    allow_alarm();
    if (!crn_h5_setup() || !crn_h5_confine())
        return EXIT_NOT_CONFINED;
    while (receive(&request, &fd)) {
        (void)alarm(CRN_H5_REQUEST_SECONDS);
        if (!answer(&service, &request, fd))
            break;
        (void)alarm(0);
    }
    _exit(0); /* The library's own end has nothing to save. */
}
