/*
 * The program that the sweeper kills: plays a script (torture.h) on a folder and appends what
 * happened to a journal outside it, each line durable before the next deed.
 *
 *     torture_harness MODEL_DIR CHECKPOINT_ROOT|- JOURNAL SCRIPT [link]
 *
 * With "link" the file system has no rename that spares an existing name.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/posix.h"
#include "torture/torture.h"

static void append_event(void *user, const char *event)
{
    char line[120];
    const int fd = *(const int *)user;
    const int length = snprintf(line, sizeof line, "%s\n", event);
    if (write(fd, line, (size_t)length) != length || fsync(fd) != 0)
        _exit(3); /* Without a journal nothing can be said about what follows. */
}

static int rename_by_link(const crn_os *os, int dir, const char *from, const char *to)
{
    (void)os;
    return crn_posix_rename_by_link(dir, from, to);
}

int main(int argc, char **argv)
{
    crn_os os = *crn_os_posix();
    cairn_error err = {0};
    char text[1024];
    if (argc != 5 && argc != 6) {
        (void)fputs("usage: torture_harness MODEL_DIR ROOT|- JOURNAL SCRIPT [link]\n", stderr);
        return 2;
    }
    if (argc == 6)
        os.rename_new = rename_by_link;
    int journal = open(argv[3], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (journal < 0)
        return 3;
    tt_world world = {.os = &os,
                      .dir = argv[1],
                      .root = strcmp(argv[2], "-") != 0 ? argv[2] : NULL,
                      .report = append_event,
                      .user = &journal};
    (void)syscall(SYS_getppid); /* The sweeper counts from here. */
    const cairn_status rc = tt_world_play(&world, argv[4], &err);
    tt_world_end(&world);
    if (rc != CAIRN_OK) {
        (void)cairn_error_format(&err, text, sizeof text);
        (void)fprintf(stderr, "%s: %s\n", cairn_status_name(rc), text);
    }
    return rc == CAIRN_OK ? 0 : 1;
}
