/* Every allocation fails once: each call says so and leaves the folder as it was. */
#include "unit/ckpt/ckpt_kit.h"

static bool has_fired(uint64_t before, uint64_t n)
{
    return crn_mem_count() - before >= n;
}

static void save__fails_cleanly_without_memory(void **state)
{
    const char *const dir = *state;
    cairn_state_tree *const tree = ck_tree(0);
    cairn_store *const store = ck_open(ck_os(), dir);
    uint64_t n = 1;
    uint64_t failures = 0;
    char full[TK_PATH_SIZE];
    char alternative[TK_PATH_SIZE];
    (void)tk_join(full, dir, "checkpoint_1.mdl");
    (void)tk_join(alternative, dir, "model_checkpoint_1.mdl");
    for (bool fired = true; fired; n++) {
        cairn_error err = {0};
        cairn_save_extra extra = {.states = "model",
                                  .name_template = "{checkpoint_states}_{ckpt_name}"};
        cairn_save_request request = {
            .struct_size = sizeof request, .step = 1, .extras = &extra, .extra_count = 1};
        cairn_save_result saved;
        const uint64_t before = crn_mem_count();
        ck_fill(tree, n);
        crn_mem_fail_at(n, 0);
        const cairn_status rc = cairn_store_save(store, tree, &request, &saved, &err);
        fired = has_fired(before, n);
        crn_mem_fail_at(0, 0);
        /* Success in spite of it: only what nothing depends on was left out. */
        assert_true(rc == CAIRN_OK || (fired && rc == CAIRN_ENOMEM));
        failures += rc != CAIRN_OK;
        if (rc == CAIRN_OK || tk_exists(dir, "checkpoint_1.mdl"))
            ck_assert_loads(dir, "checkpoint_1.mdl", 0, n);
        tk_assert_ok(cairn_store_delete(store, full, &err), &err);
        tk_assert_ok(cairn_store_delete(store, alternative, &err), &err);
    }
    assert_true(failures > 40);
    tk_assert_list(dir, ".cairn.lock checkpoints_index.yaml");
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
}

/* Attaches, saves with an alternative while the state is updated, and waits. */
static cairn_status save_in_background(cairn_store *store, cairn_state_tree *tree,
                                       cairn_save_result *out, cairn_error *err)
{
    cairn_save_extra extra = {.states = "model",
                              .name_template = "{checkpoint_states}_{ckpt_name}"};
    cairn_save_request request = {
        .struct_size = sizeof request, .step = 1, .extras = &extra, .extra_count = 1};
    *out = (cairn_save_result){0};
    cairn_store_detach(store);
    const cairn_status rc = cairn_store_save_start(store, tree, &request, err);
    if (rc != CAIRN_OK)
        return rc;
    const cairn_tensor *const tensor = cairn_state_tensor_at(cairn_state_tree_at(tree, 0), 0);
    memset(cairn_tensor_write_begin(tree, tensor, 0, tensor->bytes), 7, tensor->bytes);
    cairn_tensor_write_end(tree, tensor, 0, tensor->bytes);
    return cairn_store_save_wait(store, out, err);
}

/* The allocations of three threads count as they come, so a number means another one each time. */
static uint64_t try_background(const char *dir, bool is_sticky)
{
    cairn_state_tree *const tree = ck_tree(0);
    cairn_store *const store = ck_open(ck_os(), dir);
    char full[TK_PATH_SIZE];
    char alternative[TK_PATH_SIZE];
    uint64_t failures = 0;
    (void)tk_join(full, dir, "checkpoint_1.mdl");
    (void)tk_join(alternative, dir, "model_checkpoint_1.mdl");
    bool fired = true;
    for (uint64_t n = 1; fired; n++) {
        cairn_error err = {0};
        cairn_save_result saved;
        const uint64_t before = crn_mem_count();
        ck_fill(tree, n);
        crn_mem_fail_at(n, is_sticky);
        const cairn_status rc = save_in_background(store, tree, &saved, &err);
        fired = has_fired(before, n);
        crn_mem_fail_at(0, 0);
        assert_true(rc == CAIRN_OK || (fired && rc == CAIRN_ENOMEM));
        failures += rc != CAIRN_OK;
        assert_int_equal(saved.is_durable, tk_exists(dir, "checkpoint_1.mdl"));
        assert_true(rc != CAIRN_OK || tk_exists(dir, "model_checkpoint_1.mdl"));
        if (saved.is_durable)
            ck_assert_loads(dir, "checkpoint_1.mdl", 0, n);
        tk_assert_ok(cairn_store_delete(store, full, &err), &err);
        tk_assert_ok(cairn_store_delete(store, alternative, &err), &err);
    }
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
    tk_assert_list(dir, ".cairn.lock checkpoints_index.yaml");
    return failures;
}

static void save_in_background__fails_cleanly_without_memory(void **state)
{
    const char *const dir = *state;
    assert_true(try_background(dir, false) > 40);
    assert_true(try_background(dir, true) > 40);
}

static void load__fails_cleanly_without_memory(void **state)
{
    const char *const dir = *state;
    char path[TK_PATH_SIZE];
    cairn_state_tree *const tree = ck_tree(5000);
    ck_fill(tree, 1);
    cairn_store *const store = ck_open(ck_os(), dir);
    (void)ck_save(store, tree, 1);
    cairn_store_close(store);
    (void)tk_join(path, dir, "checkpoint_1.mdl");
    uint64_t n = 1;
    uint64_t failures = 0;
    for (bool fired = true; fired; n++) {
        cairn_load_report *report = NULL;
        cairn_error err = {0};
        const uint64_t before = crn_mem_count();
        crn_mem_fail_at(n, 0);
        const cairn_status rc = ck_try_load(ck_os(), path, tree, NULL, &report, &err);
        fired = has_fired(before, n);
        crn_mem_fail_at(0, 0);
        /* Never damage; success only where a second try was enough. */
        assert_true(rc == CAIRN_OK || (fired && rc == CAIRN_ENOMEM));
        failures += rc != CAIRN_OK;
        cairn_load_report_destroy(report);
    }
    assert_true(failures > 30 && failures + 3 >= n);
    cairn_state_tree_destroy(tree);
}

/* Opens, lists, writes run.json and prunes; the first failure is returned. */
static cairn_status live(const char *dir, uint64_t *out_deleted)
{
    cairn_store *store = NULL;
    cairn_catalogue *catalogue = NULL;
    cairn_run run = {.run_id = CK_RUN};
    cairn_run got = {.loaded_path = NULL};
    char path[TK_PATH_SIZE];
    run.loaded_path = tk_join(path, dir, "checkpoint_1.mdl");
    cairn_status rc = ck_try_open(ck_os(), dir, &store, NULL);
    if (rc == CAIRN_OK)
        rc = cairn_run_write(store, &run, NULL);
    if (rc == CAIRN_OK)
        rc = cairn_run_read(store, &got, NULL);
    if (rc == CAIRN_OK)
        rc = cairn_catalogue_read(store, &catalogue, NULL);
    if (rc == CAIRN_OK)
        assert_int_equal(cairn_catalogue_count_own(catalogue, CK_RUN), 3);
    if (rc == CAIRN_OK)
        rc = cairn_notes_set_number(store, path, "val_loss", 1, NULL);
    if (rc == CAIRN_OK)
        rc = cairn_store_keep_newest(store, CK_RUN, 3, NULL, out_deleted, NULL);
    cairn_run_dispose(&got);
    cairn_catalogue_destroy(catalogue);
    cairn_store_close(store);
    return rc;
}

static void store__fails_cleanly_without_memory(void **state)
{
    const char *const dir = *state;
    cairn_state_tree *const tree = ck_tree(0);
    cairn_store *const store = ck_open(ck_os(), dir);
    const cairn_run run = {.run_id = CK_RUN};
    cairn_run_adopt(store, &run, 0);
    for (uint64_t step = 1; step <= 3; step++)
        (void)ck_save(store, tree, step);
    cairn_store_close(store);
    uint64_t n = 1;
    for (bool fired = true; fired; n++) {
        uint64_t deleted = 0;
        const uint64_t before = crn_mem_count();
        crn_mem_fail_at(n, 0);
        const cairn_status rc = live(dir, &deleted);
        fired = has_fired(before, n);
        crn_mem_fail_at(0, 0);
        assert_true(rc == CAIRN_OK || (fired && rc == CAIRN_ENOMEM));
        assert_int_equal(deleted, 0);
    }
    assert_true(n > 40);
    cairn_state_tree_destroy(tree);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, tk_temp_setup, tk_temp_teardown)
    const struct CMUnitTest tests[] = {
        T(save__fails_cleanly_without_memory),
        T(save_in_background__fails_cleanly_without_memory),
        T(load__fails_cleanly_without_memory),
        T(store__fails_cleanly_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
