/* PyTorch's files of tests/interop/pt (make_pt.py there), read in this process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "interop/archive_protocol.h"
#include "kit/kit.h"
#include "pickle/file.h"

/* An open file and the fixture's descriptor. */
struct opened {
    crn_pickle_file *file;
    int fd;
};

static struct opened open_fixture(const char *name)
{
    const crn_os *const os = crn_os_posix();
    struct opened opened = {.fd = -1};
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/tests/interop/pt/%s", getenv("CAIRN_SOURCE_DIR"), name);
    assert_int_equal(os->open(os, CRN_OS_CWD, path, CRN_OPEN_READ, &opened.fd), 0);
    tk_assert_ok(crn_pickle_open(os, opened.fd, &opened.file, &err), &err);
    return opened;
}

static void close_fixture(struct opened *opened)
{
    crn_pickle_close(opened->file);
    (void)close(opened->fd);
}

/* An entry of the table as text: name, then what it is. */
static size_t show(const uint8_t *at, char *out, size_t size, uint32_t *tensor)
{
    crn_archive_record record;
    double number = 0.0;
    memcpy(&record, at, sizeof record);
    const uint8_t *const shape = at + sizeof record;
    const char *const name = (const char *)shape + record.rank * sizeof(uint64_t);
    int used = snprintf(out, size, "%s=", name);
    char *const to = out + used;
    const size_t left = size - (size_t)used;
    memcpy(&number, &record.bits, sizeof number);
    if (record.kind == CRN_ARCHIVE_TENSOR) {
        used = snprintf(to, left, "%s", cairn_dtype_name((cairn_dtype)record.bits));
        for (uint32_t i = 0; i < record.rank; i++) {
            uint64_t extent = 0;
            memcpy(&extent, shape + i * sizeof extent, sizeof extent);
            used += snprintf(to + used, left - (size_t)used, " %d", (int)extent);
        }
        (*tensor)++;
    } else if (record.kind == CRN_ARCHIVE_NUMBER) {
        (void)snprintf(to, left, "%g", number);
    } else if (record.kind == CRN_ARCHIVE_TEXT) {
        (void)snprintf(to, left, "'%s'", name + record.name_bytes + 1);
    } else {
        (void)snprintf(to, left, "%s %lld",
                       record.kind == CRN_ARCHIVE_NONE   ? "none"
                       : record.kind == CRN_ARCHIVE_BOOL ? "bool"
                                                         : "int",
                       (long long)record.bits);
    }
    const size_t text = record.kind == CRN_ARCHIVE_TEXT ? (size_t)record.text_bytes + 1 : 0;
    const size_t bytes =
        sizeof record + record.rank * sizeof(uint64_t) + record.name_bytes + 1 + text;
    return (bytes + 7) / 8 * 8;
}

static void table__names_everything_by_its_keys(void **state)
{
    static const char *const k_expected[] = {
        "module.weight=F32 3 2",
        "module.bias=F32 3",
        "grid=F32 2 3 4",
        "turned=F32 4 2 3",
        "every_second=F32 12",
        "column=F32 4",
        "scalar=F32",
        "none=F32 0 3",
        "half=F16 3",
        "bf16=BF16 3",
        "f64=F64 3",
        "i64=I64 2",
        "u8=U8 1",
        "bool=BOOL 2",
        "u16=U16 1",
        "f8=F8_E4M3 3",
        "complex=C64 1",
        "step=int 3",
        "minus=int -70000",
        "long=int 1099511627776",
        "large=9.22337e+18",
        "lr=0.001",
        "yes=bool 1",
        "nothing=none 0",
        "text='t\xc3\xa4xt'",
        "size.0=int 4",
        "size.1=int 5",
        "device='cpu'",
        "dtype='torch.bfloat16'",
        "set.0=int 6",
        "list.0=int 1",
        "list.1.0=2.5",
        "3.exp_avg=F32 2",
    };
    (void)state;
    struct opened opened = open_fixture("values.pt");
    const crn_str *const records = &crn_pickle_file_table(opened.file)->records;
    uint32_t tensors = 0;
    size_t at = 0;
    for (size_t i = 0; i < sizeof k_expected / sizeof k_expected[0]; i++) {
        char shown[200];
        assert_true(at < records->length);
        at += show((const uint8_t *)records->text + at, shown, sizeof shown, &tensors);
        assert_string_equal(shown, k_expected[i]);
    }
    assert_int_equal(at, records->length);
    assert_int_equal(crn_pickle_file_table(opened.file)->tensor_count, tensors);
    close_fixture(&opened);
}

static void read__gathers_what_is_not_stored_row_by_row(void **state)
{
    (void)state;
    struct opened opened = open_fixture("values.pt");
    cairn_error err = {0};
    float values[24];
    float half[7];
    /* grid, of 0 .. 23 */
    tk_assert_ok(crn_pickle_read(opened.file, 2, 0, sizeof values, (uint8_t *)values, &err), &err);
    for (int i = 0; i < 24; i++)
        assert_true(values[i] == (float)i);
    /* turned: [4][2][3], element (i, j, k) is element (j, k, i) of grid */
    tk_assert_ok(crn_pickle_read(opened.file, 3, 0, sizeof values, (uint8_t *)values, &err), &err);
    for (int i = 0; i < 24; i++)
        assert_true(values[i] == (float)(i % 6 / 3 * 12 + i % 3 * 4 + i / 6));
    tk_assert_ok(crn_pickle_read(opened.file, 3, 40, sizeof half, (uint8_t *)half, &err), &err);
    assert_memory_equal(half, values + 10, sizeof half);
    /* every_second and column begin inside their storage */
    tk_assert_ok(crn_pickle_read(opened.file, 4, 4, 8, (uint8_t *)values, &err), &err);
    assert_true(values[0] == 3.0F && values[1] == 5.0F);
    tk_assert_ok(crn_pickle_read(opened.file, 5, 0, 16, (uint8_t *)values, &err), &err);
    assert_true(values[0] == 2.0F && values[1] == 8.0F && values[3] == 20.0F);
    close_fixture(&opened);
}

static void read__gives_nothing_beyond_a_tensor(void **state)
{
    static const uint64_t k_bad[][3] = {
        {2, 0, 100}, {2, 97, 4}, {2, 96, 4}, {2, UINT64_MAX, 4}, {2, 0, UINT64_MAX},
        {2, 2, 4},   {3, 0, 6},  {7, 0, 4},  {18, 0, 4},         {UINT64_MAX, 0, 4}};
    uint8_t bytes[128];
    (void)state;
    struct opened opened = open_fixture("values.pt");
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++)
        assert_int_equal(
            crn_pickle_read(opened.file, k_bad[i][0], k_bad[i][1], k_bad[i][2], bytes, NULL),
            CAIRN_ECORRUPT);
    tk_assert_ok(crn_pickle_read(opened.file, 7, 0, 0, bytes, NULL), NULL);
    close_fixture(&opened);
}

static void open__reads_later_protocols_too(void **state)
{
    (void)state;
    struct opened opened = open_fixture("protocol4.pt");
    assert_int_equal(crn_pickle_file_table(opened.file)->tensor_count, 1);
    close_fixture(&opened);
}

/* Each allocation fails once: an error, nothing lost. */
static void open__survives_a_lack_of_memory(void **state)
{
    const crn_os *const os = crn_os_posix();
    char path[TK_PATH_SIZE];
    cairn_status status = CAIRN_ENOMEM;
    int fd = -1;
    (void)state;
    (void)snprintf(path, sizeof path, "%s/tests/interop/pt/values.pt", getenv("CAIRN_SOURCE_DIR"));
    assert_int_equal(os->open(os, CRN_OS_CWD, path, CRN_OPEN_READ, &fd), 0);
    for (uint64_t n = 1; status == CAIRN_ENOMEM; n++) {
        crn_pickle_file *file = NULL;
        assert_true(n < 100000);
        crn_mem_fail_at(n, 0);
        status = crn_pickle_open(os, fd, &file, NULL);
        crn_mem_fail_at(0, 0);
        crn_pickle_close(file);
    }
    assert_int_equal(status, CAIRN_OK);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table__names_everything_by_its_keys),
        cmocka_unit_test(read__gathers_what_is_not_stored_row_by_row),
        cmocka_unit_test(read__gives_nothing_beyond_a_tensor),
        cmocka_unit_test(open__reads_later_protocols_too),
        cmocka_unit_test(open__survives_a_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
