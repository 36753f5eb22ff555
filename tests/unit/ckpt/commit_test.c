/* What a save leaves behind when any of its system calls fails, or is its last. */
#include "unit/ckpt/ckpt_kit.h"

#include <errno.h>

/* The calls of a save of a small tree, in order (letters: kit.h). Data and header are written,
 * then synced, then the file is closed, named, and the folder synced. */
static const char k_commit[] = "xokhtvwwscncus";
/* The same without those that may fail: the data is safe, or it is not about the data. */
static const char k_needed[] = "xokh.vwwscn..s";
/* And of the index after it. */
static const char k_index[] = "lxokhtvwscmcs";

static cairn_store *open_faulty(tk_fault_os *fault, const char *dir)
{
    const cairn_run run = {.run_id = CK_RUN};
    cairn_store *const store = ck_open(&fault->os, dir);
    cairn_run_adopt(store, &run, 1);
    tk_fault_reset(fault);
    return store;
}

/* A folder with a good checkpoint of step 1, filled by seed 1. */
static void prepare(const char *dir, cairn_state_tree *tree)
{
    cairn_store *const store = ck_open(ck_os(), dir);
    ck_fill(tree, 1);
    (void)ck_save(store, tree, 1);
    cairn_store_close(store);
    ck_fill(tree, 2);
}

static void assert_no_leftovers(const char *dir)
{
    char *const names = tk_list(dir);
    assert_null(strstr(names, ".part"));
    free(names);
}

static void save__syncs_data_before_the_name_and_the_folder_after(void **state)
{
    const char *const dir = *state;
    char want[64];
    cairn_state_tree *const tree = ck_tree(0);
    tk_fault_os fault;
    tk_fault_init(&fault);
    fault.real = ck_os();
    cairn_store *const store = open_faulty(&fault, dir);
    (void)ck_save(store, tree, 2);
    (void)snprintf(want, sizeof want, "%s%s", k_commit, k_index);
    assert_string_equal(fault.trace, want);
    cairn_store_close(store);
    assert_int_equal(tk_fault_open_count(&fault), 0);
    tk_fault_dispose(&fault);
    cairn_state_tree_destroy(tree);
}

/* One save in a fresh folder in which call number @n fails with @e. False: there is no such call.
 */
static bool try_failing_call(const char *parent, uint64_t n, int e)
{
    char dir[TK_PATH_SIZE];
    char name[32];
    cairn_error err = {0};
    cairn_save_result saved;
    const size_t commit = sizeof k_commit - 1;
    (void)snprintf(name, sizeof name, "%llu_%d", (unsigned long long)n, e);
    (void)tk_join(dir, parent, name);
    cairn_state_tree *const tree = ck_tree(0);
    prepare(dir, tree);
    tk_fault_os fault;
    tk_fault_init(&fault);
    fault.real = ck_os();
    cairn_store *const store = open_faulty(&fault, dir);
    const int open_before = tk_fault_open_count(&fault);
    fault.fail_at = n;
    fault.fail_errno = e;
    const cairn_status rc = ck_try_save(store, tree, 2, &saved, &err);
    const bool has_fired = fault.failed > 0;
    const bool is_needed = n <= commit && k_needed[n - 1] != '.';
    const cairn_status want = n == commit   ? CAIRN_EUNKNOWN
                              : !is_needed  ? CAIRN_OK
                              : e == ENOSPC ? CAIRN_ENOSPACE
                                            : CAIRN_EIO;
    tk_assert_status(rc, want, &err);
    assert_int_equal(tk_exists(dir, "checkpoint_2.mdl"), rc == CAIRN_OK || rc == CAIRN_EUNKNOWN);
    if (tk_exists(dir, "checkpoint_2.mdl"))
        ck_assert_loads(dir, "checkpoint_2.mdl", 0, 2);
    ck_assert_loads(dir, "checkpoint_1.mdl", 0, 1);
    assert_no_leftovers(dir);
    assert_int_equal(tk_fault_open_count(&fault), open_before);

    /* The store serves on, and no save number is given twice. */
    tk_fault_reset(&fault);
    ck_fill(tree, 3);
    const cairn_save_result next = ck_save(store, tree, 3);
    assert_int_equal(next.save_counter, tk_exists(dir, "checkpoint_2.mdl") ? 3 : 2);
    ck_assert_loads(dir, "checkpoint_3.mdl", 0, 3);
    cairn_store_close(store);
    assert_int_equal(tk_fault_open_count(&fault), 0);
    tk_fault_dispose(&fault);
    cairn_state_tree_destroy(tree);
    return has_fired;
}

static void save__says_so_whatever_call_fails(void **state)
{
    const char *const dir = *state;
    static const int k_errors[] = {EIO, ENOSPC};
    for (size_t i = 0; i < 2; i++) {
        uint64_t n = 1;
        while (try_failing_call(dir, n, k_errors[i]))
            n++;
        assert_int_equal(n, sizeof k_commit + sizeof k_index - 1);
    }
}

static void save__tells_a_full_disk_from_other_errors(void **state)
{
    const char *const dir = *state;
    static const struct {
        char op;
        int e;
        cairn_status want;
    } k_rows[] = {
        {'v', ENOSPC, CAIRN_ENOSPACE}, {'v', EDQUOT, CAIRN_ENOSPACE}, {'w', EFBIG, CAIRN_ENOSPACE},
        {'s', ENOSPC, CAIRN_ENOSPACE}, {'c', EDQUOT, CAIRN_ENOSPACE}, {'n', EROFS, CAIRN_EIO},
        {'k', ENOLCK, CAIRN_EIO},      {'n', ENOENT, CAIRN_EIO},
    };
    cairn_state_tree *const tree = ck_tree(0);
    prepare(dir, tree);
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        cairn_error err = {0};
        cairn_save_result saved;
        tk_fault_os fault;
        tk_fault_init(&fault);
        fault.real = ck_os();
        cairn_store *const store = open_faulty(&fault, dir);
        fault.fail_at = 1;
        fault.fail_op = k_rows[i].op;
        fault.fail_errno = k_rows[i].e;
        tk_assert_status(ck_try_save(store, tree, 2, &saved, &err), k_rows[i].want, &err);
        assert_int_equal(err.os_errno, k_rows[i].e);
        tk_assert_error_has(&err, "save step 2");
        assert_false(tk_exists(dir, "checkpoint_2.mdl"));
        cairn_store_close(store);
        tk_fault_dispose(&fault);
    }
    cairn_state_tree_destroy(tree);
}

static void save__deletes_nothing_when_the_folder_cannot_be_synced(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    cairn_save_result saved;
    cairn_state_tree *const tree = ck_tree(0);
    prepare(dir, tree);
    tk_fault_os fault;
    tk_fault_init(&fault);
    fault.real = ck_os();
    cairn_store *const store = open_faulty(&fault, dir);
    fault.fail_op = 's';
    fault.fail_at = 2;
    tk_assert_status(ck_try_save(store, tree, 2, &saved, &err), CAIRN_EUNKNOWN, &err);
    tk_assert_error_has(&err, "checkpoint_2.mdl");
    assert_null(strchr(strchr(fault.trace, 'n'), 'l')); /* No index: it is not "saved". */
    cairn_store_close(store);
    ck_assert_loads(dir, "checkpoint_1.mdl", 0, 1);
    ck_assert_loads(dir, "checkpoint_2.mdl", 0, 2);
    tk_fault_dispose(&fault);
    cairn_state_tree_destroy(tree);
}

static void save__keeps_the_full_file_when_an_alternative_fails(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    cairn_state_tree *const tree = ck_tree(0);
    prepare(dir, tree);
    tk_fault_os fault;
    tk_fault_init(&fault);
    fault.real = ck_os();
    cairn_store *const store = open_faulty(&fault, dir);
    cairn_save_extra extra = {.states = "model",
                              .name_template = "{checkpoint_states}_{ckpt_name}"};
    cairn_save_request request = {
        .struct_size = sizeof request, .step = 2, .extras = &extra, .extra_count = 1};
    cairn_save_result saved;
    fault.fail_op = 'n';
    fault.fail_at = 2;
    fault.fail_errno = ENOSPC;
    tk_assert_status(cairn_store_save(store, tree, &request, &saved, &err), CAIRN_ENOSPACE, &err);
    tk_assert_error_has(&err, "model_checkpoint_2.mdl");
    assert_non_null(saved.path);
    assert_null(extra.path);
    cairn_store_close(store);
    ck_assert_loads(dir, "checkpoint_2.mdl", 0, 2);
    tk_assert_list(dir, ".cairn.lock checkpoint_1.mdl checkpoint_2.mdl checkpoints_index.yaml");
    tk_fault_dispose(&fault);
    cairn_state_tree_destroy(tree);
}

/* Another store that shares the folder starts at the worst moment: the file is closed and not yet
 * named. It must not take it for a leftover. */
static void sweep_as_another(int folder_fd)
{
    const crn_folder folder = {.os = ck_os(), .fd = folder_fd, .path = "shared"};
    crn_publish_sweep(&folder, NULL);
}

static int sweep_and_rename_new(const crn_os *os, int dir, const char *from, const char *to)
{
    sweep_as_another(dir);
    return crn_os_posix()->rename_new(os, dir, from, to);
}

static int sweep_and_rename_over(const crn_os *os, int dir, const char *from, const char *to)
{
    sweep_as_another(dir);
    return crn_os_posix()->rename_over(os, dir, from, to);
}

static void save__is_not_swept_by_another_store_before_it_has_its_name(void **state)
{
    const char *const dir = *state;
    crn_os os = *ck_os();
    os.rename_new = sweep_and_rename_new;
    os.rename_over = sweep_and_rename_over;
    cairn_state_tree *const tree = ck_tree(0);
    ck_fill(tree, 1);
    cairn_store *const store = ck_open(&os, dir);
    (void)ck_save(store, tree, 1);
    ck_assert_loads(dir, "checkpoint_1.mdl", 0, 1);
    tk_assert_list(dir, ".cairn.lock checkpoint_1.mdl checkpoints_index.yaml");
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
}

/* Opens a store, saves, prunes; everything from call @n on happens to a dead process. */
static bool try_death(const char *parent, uint64_t n, bool is_torn)
{
    char dir[TK_PATH_SIZE];
    char name[32];
    cairn_save_result saved;
    cairn_store *store = NULL;
    cairn_status rc = CAIRN_EIO;
    (void)snprintf(name, sizeof name, "%llu_%d", (unsigned long long)n, is_torn);
    (void)tk_join(dir, parent, name);
    cairn_state_tree *const tree = ck_tree(0);
    prepare(dir, tree);
    tk_write_text(dir, ".checkpoint_9.mdl.0123456789abcdef.part", "left over");
    tk_fault_os fault;
    tk_fault_init(&fault);
    fault.real = ck_os();
    fault.dead_at = n;
    fault.is_torn = is_torn;
    if (ck_try_open(&fault.os, dir, &store, NULL) == CAIRN_OK) {
        const cairn_run run = {.run_id = CK_RUN, .first_step = 1, .save_counter = 1};
        if (cairn_run_write(store, &run, NULL) == CAIRN_OK)
            rc = ck_try_save(store, tree, 2, &saved, NULL);
        if (rc == CAIRN_OK)
            (void)cairn_notes_set_number(store, saved.path, "val_loss", 0.5, NULL);
        if (rc == CAIRN_OK)
            (void)cairn_store_keep_newest(store, CK_RUN, 1, NULL, NULL, NULL);
    }
    const bool has_fired = fault.failed > 0;
    tk_fault_close_all(&fault);
    cairn_store_close(store);
    tk_fault_dispose(&fault);

    /* The next start needs no human. */
    cairn_error err = {0};
    cairn_run run;
    cairn_catalogue *catalogue = NULL;
    store = ck_open(ck_os(), dir);
    assert_no_leftovers(dir);
    const cairn_status run_rc = cairn_run_read(store, &run, &err);
    assert_true(run_rc == CAIRN_OK || (run_rc == CAIRN_ENOTFOUND && rc != CAIRN_OK));
    tk_assert_ok(cairn_catalogue_read(store, &catalogue, &err), &err);
    const cairn_checkpoint_info *const latest = cairn_catalogue_latest(catalogue);
    assert_non_null(latest);
    assert_true(latest->step == 2 || rc != CAIRN_OK);
    ck_assert_loads(dir, latest->file, 0, latest->step);
    ck_assert_loads(dir, "checkpoint_1.mdl", 0, 1);
    cairn_catalogue_destroy(catalogue);
    ck_fill(tree, 3);
    (void)ck_save(store, tree, 3);
    ck_assert_loads(dir, "checkpoint_3.mdl", 0, 3);
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
    return has_fired;
}

static void save__survives_death_at_every_call(void **state)
{
    const char *const dir = *state;
    for (int is_torn = 0; is_torn < 2; is_torn++) {
        uint64_t n = 1;
        while (try_death(dir, n, is_torn != 0))
            n++;
        assert_true(n > 60);
    }
}

/* Deletes while the process dies at call @n: the other checkpoints are as they were. */
static bool try_death_while_deleting(const char *parent, uint64_t n)
{
    char dir[TK_PATH_SIZE];
    char path[TK_PATH_SIZE];
    char name[32];
    cairn_error err = {0};
    (void)snprintf(name, sizeof name, "%llu", (unsigned long long)n);
    (void)tk_join(dir, parent, name);
    cairn_state_tree *const tree = ck_tree(0);
    prepare(dir, tree);
    tk_fault_os fault;
    tk_fault_init(&fault);
    fault.real = ck_os();
    cairn_store *store = open_faulty(&fault, dir);
    (void)ck_save(store, tree, 2);
    (void)tk_join(path, dir, "checkpoint_1.mdl");
    tk_assert_ok(cairn_notes_set_number(store, path, "val_loss", 1.5, &err), &err);
    tk_fault_reset(&fault);
    fault.dead_at = n;
    const cairn_status rc = cairn_store_delete(store, path, &err);
    const bool has_fired = fault.failed > 0;
    tk_fault_close_all(&fault);
    cairn_store_close(store);
    tk_fault_dispose(&fault);
    store = ck_open(ck_os(), dir);
    if (tk_exists(dir, "checkpoint_1.mdl")) {
        assert_int_not_equal(rc, CAIRN_OK);
        ck_assert_loads(dir, "checkpoint_1.mdl", 0, 1);
    }
    ck_assert_loads(dir, "checkpoint_2.mdl", 0, 2);
    tk_assert_ok(cairn_store_delete(store, path, &err), &err);
    assert_false(tk_exists(dir, "checkpoint_1.mdl"));
    assert_false(tk_exists(dir, "checkpoint_1.mdl.notes.json"));
    tk_assert_file_text(dir, "checkpoints_index.yaml", "- checkpoint_2.mdl\n");
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
    return has_fired;
}

static void delete__survives_death_at_every_call(void **state)
{
    const char *const dir = *state;
    uint64_t n = 1;
    while (try_death_while_deleting(dir, n))
        n++;
    assert_true(n > 10);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, tk_temp_setup, tk_temp_teardown)
    const struct CMUnitTest tests[] = {
        T(save__syncs_data_before_the_name_and_the_folder_after),
        T(save__says_so_whatever_call_fails),
        T(save__tells_a_full_disk_from_other_errors),
        T(save__deletes_nothing_when_the_folder_cannot_be_synced),
        T(save__keeps_the_full_file_when_an_alternative_fails),
        T(save__is_not_swept_by_another_store_before_it_has_its_name),
        T(save__survives_death_at_every_call),
        T(delete__survives_death_at_every_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
