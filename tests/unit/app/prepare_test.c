/* A file of tokens appears complete, or not at all. */
#include "app/prepare.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kit/kit.h"

static const char k_text[] = "one line\nand another\n";

struct names {
    char text[TK_PATH_SIZE];
    char output[TK_PATH_SIZE];
    char val_output[TK_PATH_SIZE];
    const char *inputs[1];
};

static cairn_prepare_options options_in(const char *dir, struct names *names)
{
    tk_write_text(dir, "text", k_text);
    names->inputs[0] = tk_join(names->text, dir, "text");
    return (cairn_prepare_options){.struct_size = sizeof(cairn_prepare_options),
                                   .inputs = names->inputs,
                                   .input_count = 1,
                                   .output = tk_join(names->output, dir, "train"),
                                   .val_output = tk_join(names->val_output, dir, "val"),
                                   .val_fraction = 0.6,
                                   .format = "llmc",
                                   .tokenizer = "bytes"};
}

/* Each file is absent, or what it should be; after success both are there. */
static void check_files(const char *dir, bool is_done)
{
    static const struct {
        const char *name;
        size_t begin;
        size_t end;
    } k_files[] = {{"train", 0, 9}, {"val", 9, sizeof k_text - 1}};
    for (size_t i = 0; i < 2; i++) {
        size_t size = 0;
        if (!tk_exists(dir, k_files[i].name)) {
            assert_false(is_done);
            continue;
        }
        uint8_t *const file = (uint8_t *)tk_read_file(dir, k_files[i].name, &size);
        const size_t count = k_files[i].end - k_files[i].begin;
        assert_int_equal(size, 1024 + 2 * count);
        assert_int_equal(file[8], count);
        for (size_t k = 0; k < count; k++)
            assert_int_equal(file[1024 + 2 * k], k_text[k_files[i].begin + k]);
        free(file);
    }
}

static void a_failure_at_any_call__leaves_no_half_file(void **state)
{
    const char *const dir = *state;
    bool is_done = false;
    for (uint64_t n = 1; !is_done; n++) {
        cairn_error err = {0};
        struct names names;
        cairn_prepare_result result = {0};
        tk_fault_os fault;
        assert_true(n < 200);
        const cairn_prepare_options options = options_in(dir, &names);
        tk_fault_init(&fault);
        fault.fail_at = n;
        fault.fail_errno = ENOSPC;
        fault.is_torn = true;
        const cairn_status status = crn_app_prepare_os(&fault.os, &options, &result, &err);
        is_done = fault.failed == 0;
        assert_int_equal(tk_fault_open_count(&fault), 0);
        if (is_done)
            tk_assert_ok(status, &err);
        check_files(dir, status == CAIRN_OK);
        assert_true(!is_done || result.tokens == 9);
        (void)remove(names.output);
        (void)remove(names.val_output);
        tk_fault_dispose(&fault);
    }
}

static void a_kill_at_any_call__leaves_no_half_file(void **state)
{
    const char *const dir = *state;
    bool is_done = false;
    for (uint64_t n = 1; !is_done; n++) {
        cairn_error err = {0};
        struct names names;
        cairn_prepare_result result = {0};
        tk_fault_os fault;
        assert_true(n < 200);
        const cairn_prepare_options options = options_in(dir, &names);
        tk_fault_init(&fault);
        fault.dead_at = n;
        fault.is_torn = true;
        const cairn_status status = crn_app_prepare_os(&fault.os, &options, &result, &err);
        is_done = fault.calls < n;
        check_files(dir, is_done && status == CAIRN_OK);
        tk_fault_close_all(&fault);
        tk_fault_dispose(&fault);
        (void)remove(names.output);
        (void)remove(names.val_output);
    }
}

static void files__are_synced_before_they_have_a_name(void **state)
{
    cairn_error err = {0};
    struct names names;
    cairn_prepare_result result = {0};
    tk_fault_os watch;
    tk_fault_init(&watch);
    const cairn_prepare_options options = options_in(*state, &names);
    tk_assert_ok(crn_app_prepare_os(&watch.os, &options, &result, &err), &err);
    const char *const first_name = strchr(watch.trace, 'n');
    assert_non_null(first_name);
    const char *const before = strstr(watch.trace, "wwscwwsc");
    assert_true(before != NULL && before < first_name);
    assert_non_null(strchr(strrchr(watch.trace, 'n'), 's')); /* the folder, after the last */
    tk_fault_dispose(&watch);
}

static const char *stop_at_once(void *user)
{
    (void)user;
    return "SIGTERM";
}

static void a_stop__leaves_nothing(void **state)
{
    cairn_error err = {0};
    struct names names;
    cairn_prepare_result result = {0};
    cairn_prepare_options options = options_in(*state, &names);
    options.stop_requested = stop_at_once;
    tk_assert_status(cairn_app_prepare(&options, &result, &err), CAIRN_ECANCELED, &err);
    tk_assert_error_has(&err, "SIGTERM");
    tk_assert_list(*state, "text");
}

static void no_memory__leaves_nothing(void **state)
{
    cairn_status status = CAIRN_ENOMEM;
    for (uint64_t n = 1; status != CAIRN_OK; n++) {
        cairn_error err = {0};
        struct names names;
        cairn_prepare_result result = {0};
        const cairn_prepare_options options = options_in(*state, &names);
        assert_true(n < 100);
        crn_mem_fail_at(n, 0);
        status = cairn_app_prepare(&options, &result, &err);
        crn_mem_fail_at(0, 0);
        if (status != CAIRN_OK) {
            tk_assert_status(status, CAIRN_ENOMEM, &err);
            (void)remove(names.val_output); /* It may have its name already. */
            tk_assert_list(*state, "text");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_failure_at_any_call__leaves_no_half_file, tk_temp_setup,
                                        tk_temp_teardown),
        cmocka_unit_test_setup_teardown(a_kill_at_any_call__leaves_no_half_file, tk_temp_setup,
                                        tk_temp_teardown),
        cmocka_unit_test_setup_teardown(files__are_synced_before_they_have_a_name, tk_temp_setup,
                                        tk_temp_teardown),
        cmocka_unit_test_setup_teardown(a_stop__leaves_nothing, tk_temp_setup, tk_temp_teardown),
        cmocka_unit_test_setup_teardown(no_memory__leaves_nothing, tk_temp_setup, tk_temp_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
