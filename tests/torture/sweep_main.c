/*
 * The sweeper as a program, for the tests in Python.
 *
 *     torture_sweep N entry|exit PROGRAM ARGUMENTS...
 *
 * N 0 only counts. Prints "killed", "ended" or "refused", the number of system calls and the exit
 * code (-1 after a signal). The program's standard output is dropped, its standard error is kept.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "torture/torture.h"

int main(int argc, char **argv)
{
    if (argc < 4) {
        (void)fputs("usage: torture_sweep N entry|exit PROGRAM ARGUMENTS...\n", stderr);
        return 2;
    }
    const tt_end end = tt_run_until((const char *const *)argv + 3, -1, strtoull(argv[1], NULL, 10),
                                    strcmp(argv[2], "exit") == 0);
    (void)printf("%s calls=%" PRIu64 " code=%d\n",
                 end.is_refused  ? "refused"
                 : end.is_killed ? "killed"
                                 : "ended",
                 end.calls, WIFEXITED(end.status) ? WEXITSTATUS(end.status) : -1);
    return 0;
}
