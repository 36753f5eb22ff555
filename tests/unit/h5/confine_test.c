/* What a process can still do once it is confined. Each test runs in a fork, since it is for good.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "confined/confine.h"
#include "h5/dataset.h"
#include "h5/file.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            _exit(__LINE__ % 200 + 1);                                                             \
    } while (0)

static void run_apart(void (*test)(void))
{
    int status = 0;
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        test();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static int open_file(const char *name)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/tests/hdf5/%s", getenv("CAIRN_SOURCE_DIR"), name);
    return open(path, O_RDONLY);
}

static void try_to_escape(void)
{
    char *const words[] = {NULL};
    CHECK(crn_confine());
    CHECK(open("/etc/passwd", O_RDONLY) < 0 && errno == EPERM);
    CHECK(open("/tmp/cairn-escaped", O_WRONLY | O_CREAT, 0600) < 0 && errno == EPERM);
    CHECK(unlink("/tmp/cairn-escaped") < 0 && errno == EPERM);
    CHECK(socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM);
    CHECK(execve("/bin/true", words, words) < 0 && errno == EPERM);
    CHECK(syscall(SYS_clone, 0, 0, 0, 0, 0) < 0 && errno == EPERM);
    CHECK(syscall(SYS_kill, getppid(), 0) < 0 && errno == EPERM);
    CHECK(syscall(SYS_ptrace, 0, 0, 0, 0) < 0 && errno == EPERM);
}

static void confine__leaves_no_files_no_network_and_no_programs(void **state)
{
    (void)state;
    run_apart(try_to_escape);
}

static void read_a_file(void)
{
    char why[CRN_H5_TEXT_MAX] = "";
    crn_h5_reply reply = {0};
    int32_t values[24];
    const int fd = open_file("good/samples/data-00000.h5");
    CHECK(fd >= 0 && crn_h5_setup() && crn_confine());
    crn_h5_file *const file = crn_h5_open(fd, &reply, why);
    CHECK(file != NULL);
    CHECK(reply.rank == 3 && reply.shape[0] == 5 && reply.shape[2] == 8);
    CHECK(crn_h5_read(file, 4, 24, values, why));
    CHECK(values[0] == 28 && values[8] == 0 && values[9] == 1 && values[23] == 36);
    CHECK(!crn_h5_read(file, 5, 24, values, why));
    CHECK(!crn_h5_read(file, 0, 25, values, why));
    crn_h5_close(file);
}

static void confine__still_lets_a_file_be_read(void **state)
{
    (void)state;
    run_apart(read_a_file);
}

/* The filter is the second line: the files are refused without it too. */
static void open__refuses_what_leads_to_other_files_without_a_filter(void **state)
{
    (void)state;
    static const char *const k_names[] = {"bad/external_link/data.h5",
                                          "bad/external_storage/data.h5", "bad/virtual/data.h5"};
    assert_true(crn_h5_setup());
    for (size_t i = 0; i < sizeof k_names / sizeof k_names[0]; i++) {
        char why[CRN_H5_TEXT_MAX] = "";
        crn_h5_reply reply = {0};
        const int fd = open_file(k_names[i]);
        assert_true(fd >= 0);
        assert_null(crn_h5_open(fd, &reply, why));
        assert_true(why[0] == '\'');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(confine__leaves_no_files_no_network_and_no_programs),
        cmocka_unit_test(confine__still_lets_a_file_be_read),
        cmocka_unit_test(open__refuses_what_leads_to_other_files_without_a_filter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
