/*
 * A helper that lies: this program again, started as one. The size of the file that it is handed
 * says which lie it tells. Then the real one, under its filter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "interop/archive.h"
#include "kit/kit.h"

enum lie {
    LONG_TABLE = 1,
    LONG_MESSAGE,
    ODD_OUTCOME,
    CUT_REPLY,
    CUT_RECORD,
    ENDLESS_NAME,
    NO_NAME,
    NAME_WITH_NUL,
    ENDLESS_RANK,
    SHAPE_WRAPS,
    SUBBYTE_TYPE,
    NO_TYPE,
    ODD_KIND,
    BOOL_OF_TWO,
    ENDLESS_TEXT,
    TEXT_OF_A_NUMBER,
    SAME_NAMES,
    CONTROL_MESSAGE,
    FEW_BYTES,
    LIES
};

static int receive_file(crn_archive_request *request)
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

static void answer(crn_archive_reply reply, const void *payload, size_t size)
{
    (void)!write(CRN_HELPER_SOCKET, &reply, sizeof reply);
    (void)!write(CRN_HELPER_SOCKET, payload, size);
}

/* A table of two vectors of 4 floats, or of what @lie makes of them. */
struct table {
    struct {
        crn_archive_record record;
        uint64_t shape[1];
        char name[8];
    } entries[2];
};

static void tell(enum lie lie, struct table *table, crn_archive_reply *reply)
{
    crn_archive_record *const record = &table->entries[1].record;
    uint64_t *const shape = table->entries[1].shape;
    const bool is_value =
        lie == ODD_KIND || lie == BOOL_OF_TWO || lie == ENDLESS_TEXT || lie == TEXT_OF_A_NUMBER;
    if (is_value)
        record->rank = 0; /* The word of the shape is the name then. */
    if (is_value)
        memcpy(shape, "value\0\0", 8);
    record->name_bytes = is_value ? 5 : record->name_bytes;
    reply->bytes -= is_value ? sizeof table->entries[1].name : 0;
    reply->bytes = lie == LONG_TABLE ? UINT64_MAX : lie == CUT_RECORD ? 50 : reply->bytes;
    reply->outcome = lie == ODD_OUTCOME ? 9 : reply->outcome;
    record->name_bytes = lie == ENDLESS_NAME ? UINT32_MAX : lie == NO_NAME ? 0 : record->name_bytes;
    record->rank = lie == ENDLESS_RANK ? UINT32_MAX : record->rank;
    *shape = lie == SHAPE_WRAPS ? UINT64_MAX / 2 : *shape;
    record->bits = lie == SUBBYTE_TYPE  ? CAIRN_DTYPE_F4
                   : lie == NO_TYPE     ? UINT64_MAX
                   : lie == BOOL_OF_TWO ? 2
                                        : record->bits;
    record->kind = lie == ODD_KIND           ? 77
                   : lie == BOOL_OF_TWO      ? CRN_ARCHIVE_BOOL
                   : lie == ENDLESS_TEXT     ? CRN_ARCHIVE_TEXT
                   : lie == TEXT_OF_A_NUMBER ? CRN_ARCHIVE_NUMBER
                                             : record->kind;
    record->text_bytes = lie == ENDLESS_TEXT ? UINT32_MAX : lie == TEXT_OF_A_NUMBER ? 1 : 0;
    if (lie == NAME_WITH_NUL)
        table->entries[1].name[1] = '\0';
    if (lie == SAME_NAMES)
        memcpy(table->entries[1].name, table->entries[0].name, sizeof table->entries[1].name);
}

static int lie(void)
{
    crn_archive_request request;
    crn_archive_reply reply = {.outcome = CRN_ARCHIVE_DONE, .bytes = sizeof(struct table)};
    struct table table = {.entries = {
                              {{CRN_ARCHIVE_TENSOR, 1, CAIRN_DTYPE_F32, 3, 0}, {4}, "one"},
                              {{CRN_ARCHIVE_TENSOR, 1, CAIRN_DTYPE_F32, 3, 0}, {4}, "two"},
                          }};
    struct stat info;
    if (fstat(receive_file(&request), &info) != 0)
        return 1;
    const enum lie told = (enum lie)info.st_size;
    if (told == CUT_REPLY)
        return 0;
    if (told == LONG_MESSAGE || told == CONTROL_MESSAGE) {
        const bool is_long = told == LONG_MESSAGE;
        answer((crn_archive_reply){CRN_ARCHIVE_DAMAGED, 0, is_long ? CRN_ARCHIVE_TEXT_MAX + 1 : 5},
               "\033[2Jx", 5);
        return 0;
    }
    tell(told, &table, &reply);
    answer(reply, &table, reply.bytes < sizeof table ? (size_t)reply.bytes : sizeof table);
    if (told == FEW_BYTES) {
        (void)receive_file(&request);
        answer((crn_archive_reply){CRN_ARCHIVE_DONE, 0, 8}, &table, 8);
    }
    return 0;
}

static cairn_status open_lie(const char *dir, size_t lie_told, crn_archive **out, cairn_error *err)
{
    const crn_os *const os = crn_os_posix();
    const char bytes[LIES + 1] = "";
    char path[TK_PATH_SIZE];
    int fd = -1;
    tk_write_file(dir, "x.pt", bytes, lie_told);
    assert_int_equal(os->open(os, CRN_OS_CWD, tk_join(path, dir, "x.pt"), CRN_OPEN_READ, &fd), 0);
    const cairn_status status =
        crn_archive_open(os, fd, path, CRN_ARCHIVE_PICKLE, "/proc/self/exe", out, err);
    (void)os->close(os, fd);
    return status;
}

static void open__believes_no_reply(void **state)
{
    for (size_t told = LONG_TABLE; told < FEW_BYTES; told++) {
        crn_archive *archive = NULL;
        cairn_error err = {0};
        assert_int_equal(open_lie(*state, told, &archive, &err), CAIRN_ECORRUPT);
        assert_null(archive);
        assert_null(strchr(err.frame[0].text, '\033'));
        tk_assert_error_has(&err, told == CUT_REPLY         ? "its reader crashed"
                                  : told == SAME_NAMES      ? "two things named 'one'"
                                  : told == CONTROL_MESSAGE ? "x.pt' \\x1b[2Jx"
                                                            : "its reader says nonsense");
    }
}

static void read__takes_exactly_what_was_asked_for(void **state)
{
    crn_archive *archive = NULL;
    cairn_error err = {0};
    size_t count = 0;
    float values[4];
    tk_assert_ok(open_lie(*state, FEW_BYTES, &archive, &err), &err);
    const crn_file_entry *const tensors = crn_archive_tensors(archive, &count);
    assert_int_equal(count, 2);
    assert_string_equal(tensors[1].name, "two");
    assert_int_equal(tensors[1].bytes, 16);
    for (int i = 0; i < 2; i++) { /* A helper that was given up stays so. */
        assert_int_not_equal(crn_archive_read(archive, &tensors[1], 0, sizeof values, values, &err),
                             CAIRN_OK);
    }
    crn_archive_close(archive);
}

static void recognize__goes_by_the_first_bytes(void **state)
{
    crn_archive_kind kind = CRN_ARCHIVE_HDF5;
    (void)state;
    assert_true(crn_archive_recognize("PK\3\4....", 8, &kind));
    assert_int_equal(kind, CRN_ARCHIVE_PICKLE);
    assert_true(crn_archive_recognize("\x89HDF\r\n\x1a\n", 8, &kind));
    assert_int_equal(kind, CRN_ARCHIVE_HDF5);
    assert_true(crn_archive_recognize("\x80\x02\x8a\x0a....", 8, &kind));
    assert_false(crn_archive_recognize("PK\3", 3, &kind));
    assert_false(crn_archive_recognize("\x89HDF\r\n\x1a", 7, &kind));
    assert_false(crn_archive_recognize("", 0, &kind));
}

/* The real helper. */
static void open__gives_values_and_tensors_of_a_file(void **state)
{
    const crn_os *const os = crn_os_posix();
    char path[TK_PATH_SIZE];
    char program[TK_PATH_SIZE];
    int fd = -1;
    crn_archive *archive = NULL;
    cairn_error err = {0};
    size_t count = 0;
    float values[24];
    (void)state;
    (void)snprintf(path, sizeof path, "%s/tests/interop/pt/values.pt", getenv("CAIRN_SOURCE_DIR"));
    (void)snprintf(program, sizeof program, "%s/cairn-pickle", getenv("CAIRN_BUILD_DIR"));
    assert_int_equal(os->open(os, CRN_OS_CWD, path, CRN_OPEN_READ, &fd), 0);
    tk_assert_ok(crn_archive_open(os, fd, path, CRN_ARCHIVE_PICKLE, program, &archive, &err), &err);
    (void)os->close(os, fd);
    const crn_archive_value *const all = crn_archive_values(archive, &count);
    assert_int_equal(count, 15);
    assert_string_equal(all[1].name, "minus");
    assert_int_equal(all[1].integer, -70000);
    assert_string_equal(all[7].text, "t\xc3\xa4xt");
    assert_int_equal(all[7].text_length, 5);
    const crn_file_entry *const tensors = crn_archive_tensors(archive, &count);
    assert_int_equal(count, 18);
    assert_string_equal(tensors[3].name, "turned");
    assert_int_equal(tensors[3].bytes, sizeof values);
    tk_assert_ok(crn_archive_read(archive, &tensors[3], 0, sizeof values, values, &err), &err);
    assert_true(values[1] == 4.0F && values[23] == 23.0F);
    assert_int_equal(crn_archive_read(archive, &tensors[3], 96, 4, values, &err), CAIRN_ECORRUPT);
    crn_archive_close(archive);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(open__believes_no_reply, tk_temp_setup, tk_temp_teardown),
        cmocka_unit_test_setup_teardown(read__takes_exactly_what_was_asked_for, tk_temp_setup,
                                        tk_temp_teardown),
        cmocka_unit_test(recognize__goes_by_the_first_bytes),
        cmocka_unit_test(open__gives_values_and_tensors_of_a_file),
    };
    if (argc > 0 && strcmp(argv[0], "cairn-helper") == 0)
        _exit(lie());
    return cmocka_run_group_tests(tests, NULL, NULL);
}
