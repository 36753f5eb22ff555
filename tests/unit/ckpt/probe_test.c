/* Trying a folder out: whatever fails, nothing of it is left. */
#include "unit/ckpt/ckpt_kit.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ckpt/probe.h"

static cairn_status probe_folder(const crn_os *os, const char *path, cairn_error *err)
{
    crn_probe probe;
    const cairn_status rc = crn_probe_begin(&probe, os, path, err);
    if (rc == CAIRN_OK)
        assert_int_equal(access(path, F_OK), 0);
    crn_probe_end(&probe);
    return rc;
}

static void probe__removes_the_folders_that_it_made(void **state)
{
    char path[TK_PATH_SIZE];
    cairn_error err = {0};
    static const char *const k_names[] = {"a", "a/b/c", "a//b/", "./a/b"};
    for (size_t i = 0; i < sizeof k_names / sizeof k_names[0]; i++) {
        tk_assert_ok(probe_folder(ck_os(), tk_join(path, *state, k_names[i]), &err), &err);
        tk_assert_list(*state, "");
    }
}

static void probe__leaves_what_was_there(void **state)
{
    char path[TK_PATH_SIZE];
    cairn_error err = {0};
    assert_int_equal(mkdir(tk_join(path, *state, "a"), 0777), 0);
    tk_assert_ok(probe_folder(ck_os(), tk_join(path, *state, "a/b/c"), &err), &err);
    tk_assert_ok(probe_folder(ck_os(), tk_join(path, *state, "a"), &err), &err);
    tk_assert_list(*state, "a");
    tk_assert_list(tk_join(path, *state, "a"), "");
}

static void probe__leaves_a_folder_that_another_has_filled(void **state)
{
    char path[TK_PATH_SIZE];
    crn_probe probe;
    cairn_error err = {0};
    tk_assert_ok(crn_probe_begin(&probe, ck_os(), tk_join(path, *state, "a/b/c"), &err), &err);
    tk_write_text(tk_join(path, *state, "a/b"), "file", "of another");
    crn_probe_end(&probe);
    tk_assert_list(*state, "a");
    tk_assert_list(tk_join(path, *state, "a/b"), "file");
}

/* Each call in turn fails: the folder cannot be written, or not made durable. */
static void probe__tells_every_failure_and_leaves_nothing(void **state)
{
    char path[TK_PATH_SIZE];
    const char *const folder = tk_join(path, *state, "a/b");
    uint64_t failures = 0;
    static const char k_ops[] = "dovws";
    for (size_t i = 0; k_ops[i] != '\0'; i++) {
        tk_fault_os fault;
        cairn_error err = {0};
        tk_fault_init(&fault);
        fault.fail_op = k_ops[i];
        fault.fail_at = 1;
        fault.fail_errno = ENOSPC;
        tk_assert_status(probe_folder(&fault.os, folder, &err), CAIRN_ENOSPACE, &err);
        tk_assert_error_has(&err, "a/b");
        tk_assert_list(*state, "");
        tk_fault_dispose(&fault);
        failures++;
    }
    assert_int_equal(failures, 5);
}

static void probe__syncs_the_file_and_its_folder(void **state)
{
    char path[TK_PATH_SIZE];
    cairn_error err = {0};
    tk_fault_os fault;
    for (uint64_t i = 1; i <= 2; i++) {
        tk_fault_init(&fault);
        fault.fail_op = 's';
        fault.fail_at = i;
        tk_assert_status(probe_folder(&fault.os, tk_join(path, *state, "a"), &err), CAIRN_EIO,
                         &err);
        tk_fault_dispose(&fault);
        tk_assert_list(*state, "");
    }
}

static void a_store_that_is_held_is_not_free(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    cairn_store *reader = NULL;
    const cairn_store_options options = {
        .struct_size = sizeof options, .model_dir = dir, .is_read_only = true};
    tk_assert_ok(crn_store_open_os(ck_os(), &options, &reader, &err), &err);
    tk_assert_ok(crn_store_check_free(reader, &err), &err); /* nobody has ever opened it */
    tk_assert_list(dir, "");
    cairn_store *const writer = ck_open(ck_os(), dir);
    tk_assert_status(crn_store_check_free(reader, &err), CAIRN_ELOCKED, &err);
    tk_assert_error_has(&err, "is held by process");
    cairn_store_close(writer);
    tk_assert_ok(crn_store_check_free(reader, &err), &err);
    /* The question itself holds nothing. */
    cairn_store_close(ck_open(ck_os(), dir));
    cairn_store_close(reader);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, tk_temp_setup, tk_temp_teardown)
    const struct CMUnitTest tests[] = {
        T(probe__removes_the_folders_that_it_made),
        T(probe__leaves_what_was_there),
        T(probe__leaves_a_folder_that_another_has_filled),
        T(probe__tells_every_failure_and_leaves_nothing),
        T(probe__syncs_the_file_and_its_folder),
        T(a_store_that_is_held_is_not_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
