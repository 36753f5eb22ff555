/*
 * A helper that lies: this program again, started as one. The size of the file that it is handed
 * says which lie it tells.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "data/h5_client.h"
#include "kit/kit.h"

enum lie {
    LONG_REPLY = 1,
    LONG_MESSAGE,
    CUT_REPLY,
    RANK_NONE,
    RANK_TWO,
    NO_FEATURES,
    ENDLESS_TOKENS,
    ENDLESS_ROWS,
    CONTROL_MESSAGE,
    FEW_NUMBERS,
    LIES
};

static int receive_file(crn_h5_request *request)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {.iov_base = request, .iov_len = sizeof *request};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.space,
                             .msg_controllen = sizeof control.space};
    int fd = -1;
    if (recvmsg(CRN_HELPER_SOCKET, &message, 0) == sizeof *request && CMSG_FIRSTHDR(&message))
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
}

static void answer(crn_h5_reply reply, const void *payload, size_t size, bool is_cut)
{
    (void)!write(CRN_HELPER_SOCKET, &reply, is_cut ? sizeof reply / 2 : sizeof reply);
    if (size > 0)
        (void)!write(CRN_HELPER_SOCKET, payload, size);
}

static int lie(void)
{
    crn_h5_request request;
    crn_h5_reply reply = {.is_ok = 1, .rank = 3, .shape = {2, 3, 4}, .n_examples = UINT64_MAX};
    struct stat info;
    const int32_t numbers[] = {1, 2, 3};
    if (fstat(receive_file(&request), &info) != 0)
        return 1;
    if (info.st_size == LONG_REPLY)
        reply.bytes = UINT64_MAX;
    if (info.st_size == LONG_MESSAGE)
        reply = (crn_h5_reply){.bytes = CRN_H5_TEXT_MAX + 1};
    if (info.st_size == RANK_NONE)
        reply.rank = 0;
    if (info.st_size == RANK_TWO)
        reply.rank = 2;
    if (info.st_size == NO_FEATURES)
        reply.shape[1] = 2;
    if (info.st_size == ENDLESS_TOKENS)
        reply.shape[2] = UINT64_MAX / 8;
    if (info.st_size == ENDLESS_ROWS)
        reply.shape[0] = UINT64_MAX;
    if (info.st_size == CONTROL_MESSAGE) {
        reply = (crn_h5_reply){.bytes = 5};
        answer(reply, "\033[2Jx", 5, false);
        return 0;
    }
    answer(reply, NULL, 0, info.st_size == CUT_REPLY);
    if (info.st_size == FEW_NUMBERS) {
        (void)receive_file(&request);
        reply.bytes = sizeof numbers;
        answer(reply, numbers, sizeof numbers, false);
    }
    return 0;
}

static void look__believes_no_reply(void **state)
{
    const char *const dir = *state;
    const char bytes[LIES] = "";
    char path[TK_PATH_SIZE];
    for (size_t size = LONG_REPLY; size < FEW_NUMBERS; size++) {
        crn_h5_client *client = NULL;
        crn_h5_data data;
        cairn_error err = {0};
        tk_write_file(dir, "data.h5", bytes, size);
        tk_assert_ok(crn_h5_client_new(crn_os_posix(), "/proc/self/exe", &client, &err), &err);
        const cairn_status status =
            crn_h5_client_look(client, tk_join(path, dir, "data.h5"), &data, &err);
        const bool is_long = size == LONG_REPLY || size == LONG_MESSAGE;
        assert_int_equal(status, is_long ? CAIRN_EIO : CAIRN_EDATA);
        if (size == CONTROL_MESSAGE) {
            assert_null(strchr(err.frame[0].text, '\033'));
            tk_assert_error_has(&err, "[2Jx");
        }
        /* A helper that was given up stays so. */
        assert_int_not_equal(crn_h5_client_look(client, path, &data, NULL), CAIRN_OK);
        crn_h5_client_destroy(client);
    }
}

static void read__takes_exactly_what_was_asked_for(void **state)
{
    const char *const dir = *state;
    const char bytes[LIES] = "";
    char path[TK_PATH_SIZE];
    int32_t numbers[12];
    crn_h5_client *client = NULL;
    crn_h5_data data;
    cairn_error err = {0};
    tk_write_file(dir, "data.h5", bytes, FEW_NUMBERS);
    tk_assert_ok(crn_h5_client_new(crn_os_posix(), "/proc/self/exe", &client, &err), &err);
    tk_assert_ok(crn_h5_client_look(client, tk_join(path, dir, "data.h5"), &data, &err), &err);
    assert_int_equal(crn_h5_client_read(client, &data, 0, 12, numbers, &err), CAIRN_EIO);
    crn_h5_client_destroy(client);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(look__believes_no_reply, tk_temp_setup, tk_temp_teardown),
        cmocka_unit_test_setup_teardown(read__takes_exactly_what_was_asked_for, tk_temp_setup,
                                        tk_temp_teardown),
    };
    if (argc > 0 && strcmp(argv[0], "cairn-helper") == 0)
        _exit(lie());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
