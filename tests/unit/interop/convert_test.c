/* A conversion is there as a whole or not at all, whichever call fails. */
#include "interop/convert.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kernels/kernels.h"
#include "kit/kit.h"

enum { CALLS_MAX = 400 };

/* A fixture of tests/interop. */
static const char *fixture(char path[TK_PATH_SIZE], const char *name)
{
    const char *const source = getenv("CAIRN_SOURCE_DIR");
    (void)snprintf(path, TK_PATH_SIZE, "%s/tests/interop/%s", source != NULL ? source : ".", name);
    return path;
}

static int no_sync(const crn_os *os, int fd)
{
    (void)os;
    (void)fd;
    return 0;
}

/* The real one without the waits for the device, of which there are thousands here. */
static crn_os quick_os(void)
{
    crn_os os = *crn_os_posix();
    os.sync = no_sync;
    return os;
}

static cairn_status convert(const crn_os *os, const char *from, const char *to,
                            cairn_convert_to kind, cairn_error *err)
{
    cairn_convert_result result;
    const cairn_convert_options options = {
        .struct_size = sizeof options, .source = from, .destination = to, .to = kind};
    *err = (cairn_error){0};
    return crn_convert_os(os, &options, &result, err);
}

/* Fails call number @n; true if the conversion has so many. */
static bool fail_at(uint64_t n, const char *dir, const char *from, cairn_convert_to kind)
{
    char to[TK_PATH_SIZE];
    cairn_error err;
    const crn_os quick = quick_os();
    tk_fault_os fault;
    tk_fault_init(&fault);
    fault.real = &quick;
    fault.fail_at = n;
    fault.fail_errno = EIO;
    tk_join(to, dir, "out");
    const cairn_status rc = convert(&fault.os, from, to, kind, &err);
    const bool was_failed = fault.failed > 0;
    if (rc == CAIRN_OK || rc == CAIRN_EUNKNOWN)
        assert_true(
            kind == CAIRN_CONVERT_TO_GGUF
                ? tk_exists(dir, "out")
                : tk_exists(to, kind == CAIRN_CONVERT_TO_HF ? "config.json" : "params.yaml"));
    else
        assert_false(tk_exists(dir, "out"));
    assert_int_equal(tk_fault_open_count(&fault), 0);
    tk_fault_dispose(&fault);
    tk_remove_tree(to);
    /* What is left over when the failing call is one that tidies up has a private name. */
    char *const left = tk_list(dir);
    assert_true(left[0] == '\0' || strncmp(left, ".out.", 5) == 0);
    if (left[0] != '\0') {
        char part[TK_PATH_SIZE];
        tk_remove_tree(tk_join(part, dir, left));
    }
    free(left);
    return was_failed;
}

static void fail_each(const char *dir, const char *from, cairn_convert_to kind)
{
    uint64_t n = 1;
    while (fail_at(n, dir, from, kind)) {
        n++;
        assert_true(n < CALLS_MAX);
    }
    assert_true(n > 20);
}

static void an_import_is_there_whole_or_not_at_all_whichever_call_fails(void **state)
{
    char from[TK_PATH_SIZE];
    fail_each(*state, fixture(from, "llama_sharded"), CAIRN_CONVERT_TO_CAIRN);
}

static void an_export_is_there_whole_or_not_at_all_whichever_call_fails(void **state)
{
    char from[TK_PATH_SIZE];
    char other[TK_PATH_SIZE];
    char checkpoint[TK_PATH_SIZE];
    cairn_error err;
    tk_temp_dir(other);
    tk_join(checkpoint, other, "ours");
    tk_assert_ok(
        convert(crn_os_posix(), fixture(from, "gpt2"), checkpoint, CAIRN_CONVERT_TO_CAIRN, &err),
        &err);
    tk_join(checkpoint, other, "ours/checkpoint_0.mdl");
    fail_each(*state, checkpoint, CAIRN_CONVERT_TO_HF);
    fail_each(*state, checkpoint, CAIRN_CONVERT_TO_GGUF);
    tk_remove_tree(other);
}

static void a_gguf_file_is_read_whole_or_not_at_all_whichever_call_fails(void **state)
{
    char from[TK_PATH_SIZE];
    char other[TK_PATH_SIZE];
    char gguf[TK_PATH_SIZE];
    cairn_error err;
    tk_temp_dir(other);
    tk_join(gguf, other, "model.gguf");
    tk_assert_ok(convert(crn_os_posix(), fixture(from, "llama"), gguf, CAIRN_CONVERT_TO_GGUF, &err),
                 &err);
    fail_each(*state, gguf, CAIRN_CONVERT_TO_CAIRN);
    tk_remove_tree(other);
}

static void let_allocations_fail(const char *dir, const char *from, cairn_convert_to kind)
{
    char to[TK_PATH_SIZE];
    cairn_error err;
    cairn_status rc = CAIRN_ENOMEM;
    tk_join(to, dir, "out");
    const crn_os quick = quick_os();
    uint64_t n = 1;
    for (; rc != CAIRN_OK; n += 41) {
        crn_mem_fail_at(n, 0);
        rc = convert(&quick, from, to, kind, &err);
        crn_mem_fail_at(0, 0);
        if (rc != CAIRN_OK)
            assert_false(tk_exists(dir, "out"));
        assert_true(n < 100000);
    }
    assert_true(n > 200);
}

static void every_allocation_may_fail(void **state)
{
    char from[TK_PATH_SIZE];
    let_allocations_fail(*state, fixture(from, "gpt2"), CAIRN_CONVERT_TO_CAIRN);
}

static void every_allocation_of_a_gguf_file_may_fail(void **state)
{
    char from[TK_PATH_SIZE];
    let_allocations_fail(*state, fixture(from, "llama"), CAIRN_CONVERT_TO_GGUF);
}

/* A disk that changes a number in the middle of every large write but the header. */
static int wrong_write_at(const crn_os *os, int fd, const void *buf, size_t size, uint64_t offset)
{
    enum { LARGE = 1000 };
    const float wrong = 3.0F;
    char *const copy = malloc(size);
    assert_non_null(copy);
    memcpy(copy, buf, size);
    if (size > LARGE && offset > 0) /* The header stands at 0. */
        memcpy(copy + size / 8 * 4, &wrong, sizeof wrong);
    const int e = crn_os_posix()->write_at(os, fd, copy, size, offset);
    free(copy);
    return e;
}

static void an_export_that_was_written_wrong_is_noticed_by_its_logits(void **state)
{
    char from[TK_PATH_SIZE];
    char ours[TK_PATH_SIZE];
    char checkpoint[TK_PATH_SIZE];
    char theirs[TK_PATH_SIZE];
    cairn_error err;
    crn_os wrong = *crn_os_posix();
    wrong.write_at = wrong_write_at;
    tk_join(ours, *state, "ours");
    tk_assert_ok(convert(crn_os_posix(), fixture(from, "gpt2"), ours, CAIRN_CONVERT_TO_CAIRN, &err),
                 &err);
    tk_assert_status(convert(&wrong, tk_join(checkpoint, ours, "checkpoint_0.mdl"),
                             tk_join(theirs, *state, "theirs"), CAIRN_CONVERT_TO_HF, &err),
                     CAIRN_EBUG, &err);
    tk_assert_error_has(&err, "other logits");
    tk_assert_status(convert(&wrong, checkpoint, theirs, CAIRN_CONVERT_TO_GGUF, &err), CAIRN_EBUG,
                     &err);
    tk_assert_error_has(&err, "other logits");
    tk_assert_list(*state, "ours");
}

static void what_is_there_stays_as_it_is(void **state)
{
    char from[TK_PATH_SIZE];
    cairn_error err;
    tk_write_text(*state, "mine", "text");
    tk_assert_status(
        convert(crn_os_posix(), fixture(from, "gpt2"), *state, CAIRN_CONVERT_TO_CAIRN, &err),
        CAIRN_EEXISTS, &err);
    tk_assert_status(
        convert(crn_os_posix(), fixture(from, "gpt2"), *state, CAIRN_CONVERT_TO_GGUF, &err),
        CAIRN_EEXISTS, &err);
    tk_assert_list(*state, "mine");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, tk_temp_setup, tk_temp_teardown)
    const struct CMUnitTest tests[] = {
        T(an_import_is_there_whole_or_not_at_all_whichever_call_fails),
        T(an_export_is_there_whole_or_not_at_all_whichever_call_fails),
        T(a_gguf_file_is_read_whole_or_not_at_all_whichever_call_fails),
        T(every_allocation_may_fail),
        T(every_allocation_of_a_gguf_file_may_fail),
        T(an_export_that_was_written_wrong_is_noticed_by_its_logits),
        T(what_is_there_stays_as_it_is),
    };
    crn_thread_set(1); /* Thousands of tiny models: threads would only wait for each other. */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
