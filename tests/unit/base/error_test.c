#include "kit/kit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/try.h"

static cairn_status fail_deep(cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_FAIL_ERRNO(err, ENOSPC, "write %d bytes to '%s'", 64, "x");
out:
    return rc;
}

static cairn_status fail_middle(cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(fail_deep(err));
out:
    return rc;
}

static cairn_status fail_outer(cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY(err, fail_middle(err), "save step %d", 500);
out:
    return rc;
}

static void format__shows_the_outermost_context_first(void **state)
{
    (void)state;
    static const char k_text[] =
        "save step 500: write 64 bytes to 'x': No space left on device (CAIRN_ENOSPACE)";
    cairn_error err = {0};
    char buf[256];
    assert_int_equal(fail_outer(&err), CAIRN_ENOSPACE);
    assert_int_equal(err.os_errno, ENOSPC);
    assert_int_equal(err.frame_count, 2);
    assert_non_null(strstr(err.frame[0].file, "error_test.c"));
    assert_int_equal(cairn_error_format(&err, buf, sizeof buf), strlen(k_text));
    assert_string_equal(buf, k_text);
}

static void format__without_errno_names_the_status_only(void **state)
{
    (void)state;
    cairn_error err = {0};
    char buf[256];
    (void)crn_error_set(&err, CAIRN_ECONFIG, 0, "f", 1, "line %d", 3);
    (void)cairn_error_format(&err, buf, sizeof buf);
    assert_string_equal(buf, "line 3 (CAIRN_ECONFIG)");
}

static void format__of_no_error_is_success(void **state)
{
    (void)state;
    cairn_error err = {0};
    char buf[16];
    assert_int_equal(cairn_error_format(NULL, buf, sizeof buf), 7);
    assert_string_equal(buf, "success");
    (void)cairn_error_format(&err, buf, sizeof buf);
    assert_string_equal(buf, "success");
}

static void format__cuts_at_every_size_and_returns_the_whole_length(void **state)
{
    (void)state;
    cairn_error err = {0};
    char whole[256];
    (void)fail_outer(&err);
    const size_t length = cairn_error_format(&err, whole, sizeof whole);
    assert_int_equal(cairn_error_format(&err, NULL, 0), length);
    for (size_t size = 1; size <= length + 1; size++) {
        char buf[256];
        memset(buf, '#', sizeof buf);
        assert_int_equal(cairn_error_format(&err, buf, size), length);
        assert_int_equal(strlen(buf), size - 1);
        assert_memory_equal(buf, whole, size - 1);
        assert_int_equal(buf[size], '#');
    }
}

static void set__forgets_what_the_error_held_before(void **state)
{
    (void)state;
    cairn_error err = {0};
    (void)fail_outer(&err);
    (void)crn_error_set(&err, CAIRN_EINVAL, 0, "f", 1, "new");
    assert_int_equal(err.frame_count, 1);
    assert_int_equal(err.os_errno, 0);
    assert_int_equal(err.status, CAIRN_EINVAL);
}

static void note__beyond_the_last_frame_is_counted_and_the_cause_stays(void **state)
{
    (void)state;
    cairn_error err = {0};
    (void)crn_error_set(&err, CAIRN_EIO, 0, "f", 1, "cause");
    for (int i = 0; i < 10; i++)
        crn_error_note(&err, CAIRN_EIO, "f", 1, "level %d", i);
    assert_int_equal(err.frame_count, CAIRN_ERROR_FRAMES_MAX);
    assert_int_equal(err.frames_dropped, 5);
    assert_string_equal(err.frame[0].text, "cause");
}

static void set__cuts_a_text_that_is_too_long(void **state)
{
    (void)state;
    cairn_error err = {0};
    char text[2 * CAIRN_ERROR_TEXT_SIZE];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    (void)crn_error_set(&err, CAIRN_EIO, 0, "f", 1, "%s", text);
    assert_int_equal(strlen(err.frame[0].text), CAIRN_ERROR_TEXT_SIZE - 1);
}

static void every_call__takes_no_error_at_all(void **state)
{
    (void)state;
    assert_int_equal(fail_outer(NULL), CAIRN_ENOSPACE);
}

static void status_from_errno__knows_a_full_disk_and_no_memory(void **state)
{
    (void)state;
    assert_int_equal(crn_status_from_errno(ENOSPC), CAIRN_ENOSPACE);
    assert_int_equal(crn_status_from_errno(EDQUOT), CAIRN_ENOSPACE);
    assert_int_equal(crn_status_from_errno(EFBIG), CAIRN_ENOSPACE);
    assert_int_equal(crn_status_from_errno(ENOMEM), CAIRN_ENOMEM);
    assert_int_equal(crn_status_from_errno(EACCES), CAIRN_EIO);
}

static void names_and_exit_codes__are_those_of_the_list(void **state)
{
    (void)state;
    assert_string_equal(cairn_status_name(CAIRN_OK), "CAIRN_OK");
    assert_string_equal(cairn_status_name(CAIRN_EBUG), "CAIRN_EBUG");
    assert_string_equal(cairn_status_name((cairn_status)99), "CAIRN_?");
    assert_int_equal(cairn_exit_code(CAIRN_OK), 0);
    assert_int_equal(cairn_exit_code(CAIRN_ECONFIG), 2);
    assert_int_equal(cairn_exit_code(CAIRN_ECORRUPT), 3);
    assert_int_equal(cairn_exit_code(CAIRN_EDATA), 4);
    assert_int_equal(cairn_exit_code(CAIRN_ENOSPACE), 5);
    assert_int_equal(cairn_exit_code(CAIRN_ENONFINITE), 6);
    assert_int_equal(cairn_exit_code(CAIRN_ENOMEM), 7);
    assert_int_equal(cairn_exit_code(CAIRN_ELOCKED), 8);
    assert_int_equal(cairn_exit_code((cairn_status)99), 1);
}

static void public_set__forgets_what_the_error_held_and_returns_the_status(void **state)
{
    (void)state;
    char text[200];
    cairn_error err = {0};
    (void)crn_error_set(&err, CAIRN_EIO, ENOSPC, "f.c", 1, "cause");
    crn_error_note(&err, CAIRN_EIO, "f.c", 2, "outer");
    assert_int_equal(cairn_error_set(&err, CAIRN_EDATA, "sample %d", 7), CAIRN_EDATA);
    (void)cairn_error_format(&err, text, sizeof text);
    assert_string_equal(text, "sample 7 (CAIRN_EDATA)");
    assert_int_equal(cairn_error_set(NULL, CAIRN_EDATA, "x"), CAIRN_EDATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(format__shows_the_outermost_context_first),
        cmocka_unit_test(format__without_errno_names_the_status_only),
        cmocka_unit_test(format__of_no_error_is_success),
        cmocka_unit_test(format__cuts_at_every_size_and_returns_the_whole_length),
        cmocka_unit_test(set__forgets_what_the_error_held_before),
        cmocka_unit_test(note__beyond_the_last_frame_is_counted_and_the_cause_stays),
        cmocka_unit_test(set__cuts_a_text_that_is_too_long),
        cmocka_unit_test(every_call__takes_no_error_at_all),
        cmocka_unit_test(status_from_errno__knows_a_full_disk_and_no_memory),
        cmocka_unit_test(public_set__forgets_what_the_error_held_and_returns_the_status),
        cmocka_unit_test(names_and_exit_codes__are_those_of_the_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
