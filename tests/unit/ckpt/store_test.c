/* The folder: lock, leftovers, the list of checkpoints, the index. */
#include "unit/ckpt/ckpt_kit.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static void open__refuses_a_folder_that_is_held(void **state)
{
    const char *const dir = *state;
    char want[64];
    cairn_error err = {0};
    cairn_store *second = NULL;
    cairn_store *const first = ck_open(ck_os(), dir);
    tk_assert_status(ck_try_open(ck_os(), dir, &second, &err), CAIRN_ELOCKED, &err);
    (void)snprintf(want, sizeof want, "is held by process %lld on ", (long long)getpid());
    tk_assert_error_has(&err, want);
    tk_assert_error_has(&err, dir);
    tk_assert_error_has(&err, "wait for it, or choose another model_dir");
    assert_int_equal(cairn_exit_code(err.status), 8);
    cairn_store_close(first);
    assert_true(tk_exists(dir, ".cairn.lock"));
    cairn_store_close(ck_open(ck_os(), dir));
}

static cairn_status try_open_with(const char *dir, const char *root, const char *name,
                                  bool is_read_only, cairn_store **out, cairn_error *err)
{
    const cairn_store_options options = {.struct_size = sizeof options,
                                         .model_dir = dir,
                                         .checkpoint_root = root,
                                         .checkpoint_name = name,
                                         .is_read_only = is_read_only};
    return crn_store_open_os(ck_os(), &options, out, err);
}

static cairn_store *open_with(const char *dir, const char *root, const char *name,
                              bool is_read_only)
{
    cairn_error err = {0};
    cairn_store *store = NULL;
    tk_assert_ok(try_open_with(dir, root, name, is_read_only, &store, &err), &err);
    return store;
}

static cairn_catalogue *read_catalogue(const cairn_store *store)
{
    cairn_error err = {0};
    cairn_catalogue *catalogue = NULL;
    tk_assert_ok(cairn_catalogue_read(store, &catalogue, &err), &err);
    return catalogue;
}

static void open__to_read_only_works_beside_a_writer_and_writes_nothing(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    cairn_save_result saved;
    cairn_store *none = NULL;
    cairn_state_tree *const tree = ck_tree(0);
    cairn_store *const writer = ck_open(ck_os(), dir);
    (void)ck_save(writer, tree, 1);
    tk_write_text(dir, ".checkpoint_9.mdl.0123456789abcdef.part", "x");
    cairn_store *const reader = open_with(dir, NULL, NULL, true);
    cairn_catalogue *const catalogue = read_catalogue(reader);
    assert_int_equal(cairn_catalogue_count(catalogue), 1);
    cairn_catalogue_destroy(catalogue);
    assert_true(tk_exists(dir, ".checkpoint_9.mdl.0123456789abcdef.part"));
    tk_assert_status(ck_try_save(reader, tree, 2, &saved, &err), CAIRN_EINVAL, &err);
    tk_assert_status(cairn_store_delete(reader, "x", &err), CAIRN_EINVAL, &err);
    tk_assert_status(cairn_store_keep_newest(reader, CK_RUN, 1, NULL, NULL, &err), CAIRN_EINVAL,
                     &err);
    tk_assert_status(cairn_notes_set_number(reader, "x", "k", 1, &err), CAIRN_EINVAL, &err);
    cairn_store_close(reader);
    cairn_store_close(writer);
    char path[TK_PATH_SIZE];
    tk_assert_status(try_open_with(tk_join(path, dir, "absent"), NULL, NULL, true, &none, &err),
                     CAIRN_ENOTFOUND, &err);
    assert_false(tk_exists(dir, "absent"));
    cairn_state_tree_destroy(tree);
}

static void open__says_what_is_wrong(void **state)
{
    const char *const dir = *state;
    char path[TK_PATH_SIZE];
    cairn_error err = {0};
    cairn_store *store = NULL;
    tk_assert_status(try_open_with(dir, NULL, "checkpoint.mdl", false, &store, &err), CAIRN_ECONFIG,
                     &err);
    tk_assert_error_has(&err, "{step}");
    tk_write_text(dir, "file", "");
    tk_assert_status(try_open_with(tk_join(path, dir, "file"), NULL, NULL, false, &store, &err),
                     CAIRN_EIO, &err);
    tk_assert_status(try_open_with(NULL, NULL, NULL, false, &store, &err), CAIRN_EINVAL, &err);
    tk_assert_status(cairn_store_open(NULL, &store, &err), CAIRN_EINVAL, &err);
    assert_null(store);
}

static void open__sweeps_what_nobody_writes(void **state)
{
    const char *const dir = *state;
    static const char k_dead[] = ".checkpoint_1.mdl.0123456789abcdef.part";
    static const char k_alive[] = ".checkpoint_2.mdl.fedcba9876543210.part";
    char path[TK_PATH_SIZE];
    int fd = -1;
    tk_write_text(dir, k_dead, "x");
    tk_write_text(dir, k_alive, "x");
    tk_write_text(dir, ".mine.part", "x");
    tk_write_text(dir, "checkpoint_3.mdl.part", "x");
    assert_int_equal(mkdir(tk_join(path, dir, ".dir.0123456789abcdef.part"), 0755), 0);
    const int folder = tk_open_dir(dir);
    assert_int_equal(ck_os()->open(ck_os(), folder, k_alive, CRN_OPEN_LOCK, &fd), 0);
    assert_int_equal(ck_os()->lock(ck_os(), fd), 0);
    cairn_store_close(ck_open(ck_os(), dir));
    assert_false(tk_exists(dir, k_dead));
    assert_true(tk_exists(dir, k_alive));
    assert_true(tk_exists(dir, ".mine.part"));
    assert_true(tk_exists(dir, "checkpoint_3.mdl.part"));
    assert_true(tk_exists(dir, ".dir.0123456789abcdef.part"));
    (void)close(fd);
    (void)close(folder);
    cairn_store_close(ck_open(ck_os(), dir));
    assert_false(tk_exists(dir, k_alive));
}

/* The files of @catalogue in order, joined by one space. */
static void assert_files(const cairn_catalogue *catalogue, const char *want)
{
    char got[2048] = "";
    size_t length = 0;
    for (size_t i = 0; i < cairn_catalogue_count(catalogue); i++)
        length += (size_t)snprintf(got + length, sizeof got - length, "%s%s", i > 0 ? " " : "",
                                   cairn_catalogue_at(catalogue, i)->file);
    assert_string_equal(got, want);
}

static void catalogue__takes_the_largest_step_for_the_latest(void **state)
{
    const char *const dir = *state;
    static const uint64_t k_steps[] = {5000, 10000, 15000, 20000, 10, 9000};
    cairn_state_tree *const tree = ck_tree(0);
    cairn_store *const store = ck_open(ck_os(), dir);
    cairn_catalogue *catalogue = read_catalogue(store);
    assert_int_equal(cairn_catalogue_count(catalogue), 0);
    assert_null(cairn_catalogue_latest(catalogue));
    cairn_catalogue_destroy(catalogue);
    for (size_t i = 0; i < sizeof k_steps / sizeof k_steps[0]; i++)
        (void)ck_save(store, tree, k_steps[i]); /* 9000 is the newest by date. */
    catalogue = read_catalogue(store);
    assert_files(catalogue, "checkpoint_10.mdl checkpoint_5000.mdl checkpoint_9000.mdl "
                            "checkpoint_10000.mdl checkpoint_15000.mdl checkpoint_20000.mdl");
    assert_int_equal(cairn_catalogue_latest(catalogue)->step, 20000);
    cairn_catalogue_destroy(catalogue);
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
}

static void catalogue__takes_10_to_be_later_than_9(void **state)
{
    const char *const dir = *state;
    cairn_state_tree *const tree = ck_tree(0);
    cairn_store *const store = open_with(dir, NULL, "{step}", false);
    (void)ck_save(store, tree, 10);
    (void)ck_save(store, tree, 9);
    cairn_catalogue *const catalogue = read_catalogue(store);
    assert_files(catalogue, "9 10");
    assert_string_equal(cairn_catalogue_latest(catalogue)->file, "10");
    tk_assert_file_text(dir, "checkpoints_index.yaml", "- \"9\"\n- \"10\"\n");
    cairn_catalogue_destroy(catalogue);
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
}

static void save_with_model(cairn_store *store, const cairn_state_tree *tree, uint64_t step)
{
    cairn_error err = {0};
    cairn_save_extra extra = {.states = "model",
                              .name_template = "{checkpoint_states}_{ckpt_name}"};
    cairn_save_request request = {
        .struct_size = sizeof request, .step = step, .extras = &extra, .extra_count = 1};
    cairn_save_result saved;
    tk_assert_ok(cairn_store_save(store, tree, &request, &saved, &err), &err);
}

static void catalogue__lists_alternatives_and_damage_and_nothing_else(void **state)
{
    const char *const dir = *state;
    char path[TK_PATH_SIZE];
    cairn_state_tree *const tree = ck_tree(0);
    cairn_store *const store = ck_open(ck_os(), dir);
    const cairn_run run = {.run_id = CK_RUN};
    cairn_run_adopt(store, &run, 0);
    save_with_model(store, tree, 5);
    tk_write_text(dir, "checkpoint_6.mdl", "nonsense that is long enough");
    tk_write_text(dir, "checkpoint_7.mdl", "");
    tk_write_text(dir, "checkpoint_5.mdl.notes.json", "{}");
    tk_write_text(dir, "metrics.jsonl", "{\"step\": 1}\n");
    tk_write_text(dir, ".checkpoint_8.mdl.0123456789abcdef.part", "x");
    tk_write_file(dir, "checkpoint_4.mdl", "\x02\0\0\0\0\0\0\0{}", 10); /* safetensors, not ours */
    tk_write_file(dir, "other.safetensors", "\x02\0\0\0\0\0\0\0{}", 10);
    assert_int_equal(mkdir(tk_join(path, dir, "checkpoint_9.mdl"), 0755), 0);
    assert_int_equal(mkfifo(tk_join(path, dir, "checkpoint_10.mdl"), 0644), 0);
    cairn_catalogue *const catalogue = read_catalogue(store);
    assert_files(catalogue, "checkpoint_4.mdl checkpoint_5.mdl checkpoint_6.mdl checkpoint_7.mdl "
                            "model_checkpoint_5.mdl");
    static const bool k_readable[] = {false, true, false, false, true};
    static const bool k_full[] = {true, true, true, true, false};
    static const uint64_t k_steps[] = {4, 5, 6, 7, 5};
    for (size_t i = 0; i < 5; i++) {
        const cairn_checkpoint_info *const info = cairn_catalogue_at(catalogue, i);
        assert_int_equal(info->is_readable, k_readable[i]);
        assert_int_equal(info->is_full, k_full[i]);
        assert_int_equal(info->step, k_steps[i]);
        assert_int_equal(info->problem[0] == '\0', k_readable[i]);
        assert_int_equal(info->name_matches, i < 4);
    }
    const cairn_checkpoint_info *const good = cairn_catalogue_at(catalogue, 1);
    assert_string_equal(good->path, tk_join(path, dir, "checkpoint_5.mdl"));
    assert_string_equal(good->run_id, CK_RUN);
    assert_string_equal(good->states, "model,optimizer,schedulers,global_step,__metadata");
    assert_int_equal(good->save_counter, 1);
    assert_int_equal(cairn_catalogue_latest(catalogue)->step, 7);
    assert_int_equal(cairn_catalogue_count_own(catalogue, CK_RUN), 1);
    assert_int_equal(cairn_catalogue_count_own(catalogue, "other"), 0);
    cairn_catalogue_destroy(catalogue);
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
}

static void catalogue__joins_both_folders(void **state)
{
    const char *const dir = *state;
    char root[TK_PATH_SIZE];
    cairn_state_tree *const tree = ck_tree(0);
    cairn_store *store = ck_open(ck_os(), dir);
    (void)ck_save(store, tree, 1);
    cairn_store_close(store);
    store = open_with(dir, tk_join(root, dir, "deep/root"), NULL, false);
    (void)ck_save(store, tree, 2);
    tk_assert_file_text(dir, "checkpoints_index.yaml",
                        "- checkpoint_1.mdl\n- deep/root/checkpoint_2.mdl\n");
    cairn_catalogue *catalogue = read_catalogue(store);
    assert_files(catalogue, "checkpoint_1.mdl checkpoint_2.mdl");
    cairn_catalogue_destroy(catalogue);
    cairn_store_close(store);
    /* One folder by two names is listed once. */
    store = open_with(dir, tk_join(root, dir, "deep/.."), NULL, false);
    catalogue = read_catalogue(store);
    assert_files(catalogue, "checkpoint_1.mdl");
    cairn_catalogue_destroy(catalogue);
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
}

static void catalogue__fails_when_a_folder_cannot_be_listed(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    cairn_catalogue *catalogue = NULL;
    tk_fault_os fault;
    tk_fault_init(&fault);
    fault.real = ck_os();
    cairn_store *const store = ck_open(&fault.os, dir);
    tk_fault_reset(&fault);
    fault.fail_at = 1;
    fault.fail_op = 'l';
    tk_assert_status(cairn_catalogue_read(store, &catalogue, &err), CAIRN_EIO, &err);
    cairn_store_close(store);
    tk_fault_dispose(&fault);
}

static void catalogue__shows_a_file_that_cannot_be_read(void **state)
{
    const char *const dir = *state;
    cairn_state_tree *const tree = ck_tree(0);
    tk_fault_os fault;
    tk_fault_init(&fault);
    fault.real = ck_os();
    cairn_store *const store = ck_open(&fault.os, dir);
    (void)ck_save(store, tree, 3);
    tk_fault_reset(&fault);
    fault.fail_op = 'r';
    fault.is_sticky = true;
    fault.fail_at = 1;
    cairn_catalogue *const catalogue = read_catalogue(store);
    assert_int_equal(cairn_catalogue_count(catalogue), 1);
    assert_false(cairn_catalogue_at(catalogue, 0)->is_readable);
    assert_string_equal(cairn_catalogue_at(catalogue, 0)->problem, strerror(EIO));
    cairn_catalogue_destroy(catalogue);
    cairn_store_close(store);
    tk_fault_dispose(&fault);
    cairn_state_tree_destroy(tree);
}

/* Lists as the real one does; then the newest checkpoint takes the next step's name, as if it had
 * been deleted after another was saved. */
static int list_then_rename(const crn_os *os, int dir, crn_list_fn fn, void *user)
{
    const char *const *const names = os->self;
    const crn_os *const real = ck_os();
    const int e = real->list(real, dir, fn, user);
    (void)real->rename_new(real, dir, names[0], names[1]); /* The first time only. */
    return e;
}

static void catalogue__looks_again_where_a_file_goes_meanwhile(void **state)
{
    const char *const dir = *state;
    static const char *s_names[] = {"checkpoint_1.mdl", "checkpoint_2.mdl"};
    char link[TK_PATH_SIZE];
    crn_os os = *ck_os();
    os.list = list_then_rename;
    os.self = s_names;
    cairn_state_tree *const tree = ck_tree(0);
    cairn_store *store = ck_open(ck_os(), dir);
    (void)ck_save(store, tree, 1);
    cairn_store_close(store);
    assert_int_equal(symlink("nothing", tk_join(link, dir, "checkpoint_7.mdl")), 0);
    const cairn_store_options options = {
        .struct_size = sizeof options, .model_dir = dir, .is_read_only = true};
    cairn_error err = {0};
    tk_assert_ok(crn_store_open_os(&os, &options, &store, &err), &err);
    cairn_catalogue *const catalogue = read_catalogue(store);
    assert_files(catalogue, "checkpoint_2.mdl");
    cairn_catalogue_destroy(catalogue);
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
}

static void index__failing_does_not_fail_the_save(void **state)
{
    const char *const dir = *state;
    cairn_state_tree *const tree = ck_tree(0);
    tk_fault_os fault;
    tk_fault_init(&fault);
    fault.real = ck_os();
    cairn_store *const store = ck_open(&fault.os, dir);
    tk_fault_reset(&fault);
    fault.fail_op = 'm';
    fault.fail_at = 1;
    (void)ck_save(store, tree, 3);
    assert_false(tk_exists(dir, "checkpoints_index.yaml"));
    (void)ck_save(store, tree, 4);
    tk_assert_file_text(dir, "checkpoints_index.yaml", "- checkpoint_3.mdl\n- checkpoint_4.mdl\n");
    cairn_store_close(store);
    tk_fault_dispose(&fault);
    cairn_state_tree_destroy(tree);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, tk_temp_setup, tk_temp_teardown)
    const struct CMUnitTest tests[] = {
        T(open__refuses_a_folder_that_is_held),
        T(open__to_read_only_works_beside_a_writer_and_writes_nothing),
        T(open__says_what_is_wrong),
        T(open__sweeps_what_nobody_writes),
        T(catalogue__takes_the_largest_step_for_the_latest),
        T(catalogue__takes_10_to_be_later_than_9),
        T(catalogue__lists_alternatives_and_damage_and_nothing_else),
        T(catalogue__joins_both_folders),
        T(catalogue__fails_when_a_folder_cannot_be_listed),
        T(catalogue__shows_a_file_that_cannot_be_read),
        T(catalogue__looks_again_where_a_file_goes_meanwhile),
        T(index__failing_does_not_fail_the_save),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
