/* Helper programs behind a socket. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/os.h"

enum { ENVIRONMENT_MAX = 32 };

/* What of the environment a helper gets: no secrets, and nothing that changes what it does. */
static void choose_environment(char *out[ENVIRONMENT_MAX + 1])
{
    static const char *const k_prefixes[] = {
        "LD_LIBRARY_PATH=", "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "TSAN_OPTIONS="};
    size_t count = 0;
    for (char *const *entry = environ; *entry != NULL && count < ENVIRONMENT_MAX; entry++) {
        for (size_t i = 0; i < sizeof k_prefixes / sizeof k_prefixes[0]; i++) {
            if (strncmp(*entry, k_prefixes[i], strlen(k_prefixes[i])) == 0)
                out[count++] = *entry;
        }
    }
    out[count] = NULL;
}

static int add_actions(posix_spawn_file_actions_t *actions, int socket)
{
    int e = 0;
    for (int fd = 0; fd <= STDERR_FILENO && e == 0; fd++)
        e = posix_spawn_file_actions_addopen(actions, fd, "/dev/null", O_RDWR, 0);
    if (e == 0)
        e = posix_spawn_file_actions_adddup2(actions, socket, CRN_HELPER_SOCKET);
    if (e == 0)
        e = posix_spawn_file_actions_addclosefrom_np(actions, CRN_HELPER_SOCKET + 1);
    return e;
}

/* A signal to the group of processes, such as a Ctrl-C, is for the program: it ends the helper. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t all;
    (void)sigfillset(&all);
    int e = posix_spawnattr_setsigmask(attributes, &all);
    if (e == 0)
        e = posix_spawnattr_setsigdefault(attributes, &all);
    if (e == 0)
        e = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return e;
}

static int spawn(const char *path, int socket, pid_t *out)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char name[] = "cairn-helper";
    char *words[] = {name, NULL};
    char *environment[ENVIRONMENT_MAX + 1];
    int e = posix_spawn_file_actions_init(&actions);
    if (e != 0)
        return e;
    e = posix_spawnattr_init(&attributes);
    if (e == 0) {
        choose_environment(environment);
        e = add_actions(&actions, socket);
        if (e == 0)
            e = set_attributes(&attributes);
        if (e == 0)
            e = posix_spawn(out, path, &actions, &attributes, words, environment);
        (void)posix_spawnattr_destroy(&attributes);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return e;
}

/* dup2 onto itself would keep FD_CLOEXEC, so the child's end must not have the number it gets. */
static int move_up(int *fd)
{
    const int moved = fcntl(*fd, F_DUPFD_CLOEXEC, CRN_HELPER_SOCKET + 1);
    if (moved < 0)
        return errno;
    (void)close(*fd);
    *fd = moved;
    return 0;
}

int crn_helper_start(const char *path, crn_helper *out)
{
    int ends[2];
    pid_t process = -1;
    *out = (crn_helper){.socket = -1, .process = -1};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return errno;
    int e = move_up(&ends[1]);
    if (e == 0)
        e = spawn(path, ends[1], &process);
    (void)close(ends[1]);
    if (e != 0) {
        (void)close(ends[0]);
        return e;
    }
    *out = (crn_helper){.socket = ends[0], .process = process};
    return 0;
}

int crn_helper_send(const crn_helper *helper, const void *bytes, size_t size, int fd)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.space = {0}};
    const char *rest = bytes;
    while (size > 0) {
        struct iovec part = {.iov_len = size};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        memcpy(&part.iov_base, &rest, sizeof rest); /* not written to */
        if (fd >= 0) {
            message.msg_control = control.space;
            message.msg_controllen = sizeof control.space;
            struct cmsghdr *const header = CMSG_FIRSTHDR(&message);
            header->cmsg_level = SOL_SOCKET;
            header->cmsg_type = SCM_RIGHTS;
            header->cmsg_len = CMSG_LEN(sizeof fd);
            memcpy(CMSG_DATA(header), &fd, sizeof fd);
        }
        const ssize_t sent = sendmsg(helper->socket, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return errno == ECONNRESET ? EPIPE : errno;
        fd = -1; /* It travels with the first byte. */
        rest += sent;
        size -= (size_t)sent;
    }
    return 0;
}

int crn_helper_receive(const crn_helper *helper, void *bytes, size_t size, int timeout_ms)
{
    char *rest = bytes;
    while (size > 0) {
        struct pollfd wait = {.fd = helper->socket, .events = POLLIN};
        const int ready = poll(&wait, 1, timeout_ms);
        if (ready == 0)
            return ETIMEDOUT;
        const ssize_t got = ready < 0 ? -1 : recv(helper->socket, rest, size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got == 0 || (got < 0 && errno == ECONNRESET))
            return EPIPE;
        if (got < 0)
            return errno;
        rest += got;
        size -= (size_t)got;
    }
    return 0;
}

void crn_helper_end(crn_helper *helper)
{
    if (helper->socket < 0)
        return;
    (void)close(helper->socket);
    (void)kill((pid_t)helper->process, SIGKILL); /* It may be lost in a file. */
    while (waitpid((pid_t)helper->process, NULL, 0) < 0 && errno == EINTR)
        continue;
    *helper = (crn_helper){.socket = -1, .process = -1};
}
