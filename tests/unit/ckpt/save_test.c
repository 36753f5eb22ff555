#include "unit/ckpt/ckpt_kit.h"

#include <unistd.h>

enum { BIG_ROWS = 5000 /* 5,120,000 bytes: two digest chunks */ };

static void save__loads_back_bit_for_bit(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    cairn_state_tree *const tree = ck_tree(BIG_ROWS);
    ck_fill(tree, 42);
    cairn_store *const store = ck_open(ck_os(), dir);
    const cairn_save_result saved = ck_save(store, tree, 500);
    char path[TK_PATH_SIZE];
    assert_string_equal(saved.path, tk_join(path, dir, "checkpoint_500.mdl"));
    assert_int_equal(saved.save_counter, 1);
    ck_assert_loads(dir, "checkpoint_500.mdl", BIG_ROWS, 42);
    size_t size = 0;
    free(tk_read_file(dir, "checkpoint_500.mdl", &size));
    assert_int_equal(saved.bytes, size);
    cairn_store_close(store);
    cairn_checkpoint *ckpt = NULL;
    tk_assert_ok(cairn_checkpoint_open(path, &ckpt, &err), &err);
    tk_assert_ok(cairn_checkpoint_verify(ckpt, NULL, NULL, &err), &err);
    cairn_checkpoint_close(ckpt);
    cairn_state_tree_destroy(tree);
}

static void save__writes_what_the_header_says(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    cairn_state_tree *const tree = ck_tree(100);
    ck_fill(tree, 1);
    cairn_store *const store = ck_open(ck_os(), dir);
    const cairn_run run = {.run_id = CK_RUN, .save_counter = 4};
    cairn_run_adopt(store, &run, 4);
    cairn_save_request request = {.struct_size = sizeof request,
                                  .step = 7,
                                  .params_json = "{\"trainer\": {}}",
                                  .environment_json = "{\"threads\": \"2\"}"};
    cairn_save_result saved;
    uint64_t bytes = 0;
    tk_assert_ok(cairn_store_save_bytes(store, tree, &request, &bytes, &err), &err);
    tk_assert_ok(cairn_store_save(store, tree, &request, &saved, &err), &err);
    assert_int_equal(saved.save_counter, 5);
    assert_int_equal(saved.bytes, bytes);
    cairn_store_close(store);

    cairn_checkpoint *ckpt = NULL;
    tk_assert_ok(cairn_checkpoint_open(tk_join(path, dir, "checkpoint_7.mdl"), &ckpt, &err), &err);
    const cairn_checkpoint_info *const info = cairn_checkpoint_get_info(ckpt);
    assert_true(info->is_readable && info->is_full && info->has_metadata);
    assert_int_equal(info->step, 7);
    assert_int_equal(info->save_counter, 5);
    assert_int_equal(info->bytes, bytes);
    assert_string_equal(info->run_id, CK_RUN);
    assert_string_equal(info->file, "checkpoint_7.mdl");
    assert_string_equal(info->states, "model,optimizer,schedulers,global_step,__metadata");
    assert_string_equal(cairn_checkpoint_format_version(ckpt), "1.0");
    assert_string_equal(cairn_checkpoint_params(ckpt), "{\"trainer\": {}}");
    assert_string_equal(cairn_checkpoint_environment(ckpt), "{\"threads\": \"2\"}");
    assert_int_equal(strlen(cairn_checkpoint_state_digest(ckpt)), 32);
    assert_int_equal(cairn_checkpoint_tensor_count(ckpt), 6);
    assert_true(cairn_checkpoint_has_state(ckpt, "global_step"));
    assert_false(cairn_checkpoint_has_state(ckpt, "nothing"));
    assert_string_equal(cairn_checkpoint_value(ckpt, "global_step", "step"), "1");
    assert_string_equal(cairn_checkpoint_value(ckpt, "schedulers", "text"), "a \"b\"\n\\ \xc3\xa9");
    assert_null(cairn_checkpoint_value(ckpt, "schedulers", "other"));
    const cairn_file_tensor *const first = cairn_checkpoint_tensor_at(ckpt, 0);
    assert_string_equal(first->name, "model.embed.weight");
    assert_int_equal(first->offset % 4096, 0);
    assert_int_equal(first->bytes, 7 * 5 * 4);
    assert_int_equal(first->rank, 2);
    assert_int_equal(first->shape[0], 7);
    assert_non_null(first->digest);
    cairn_checkpoint_close(ckpt);
    cairn_state_tree_destroy(tree);
}

static void save__places_the_arena_as_it_is(void **state)
{
    const char *const dir = *state;
    size_t size = 0;
    cairn_state_tree *const tree = ck_tree(100);
    ck_fill(tree, 5);
    cairn_store *const store = ck_open(ck_os(), dir);
    (void)ck_save(store, tree, 1);
    cairn_store_close(store);
    char *const file = tk_read_file(dir, "checkpoint_1.mdl", &size);
    const uint64_t bytes = cairn_state_tree_bytes(tree);
    assert_int_equal((size - bytes) % 4096, 0);
    assert_memory_equal(file + size - bytes, cairn_state_tree_arena(tree), bytes);
    free(file);
    cairn_state_tree_destroy(tree);
}

static void save__of_a_subset_is_whole_regions_at_another_offset(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    size_t size = 0;
    cairn_state_tree *const tree = ck_tree(100);
    ck_fill(tree, 5);
    cairn_store *const store = ck_open(ck_os(), dir);
    cairn_save_extra extras[] = {
        {.states = "model", .name_template = "{checkpoint_states}_{ckpt_name}"},
        {.states = "optimizer, global_step", .name_template = "{checkpoint_states}_{ckpt_name}"},
        {.states = "all", .name_template = "{checkpoint_states}_{ckpt_name}"},
    };
    cairn_save_request request = {
        .struct_size = sizeof request, .step = 10, .extras = extras, .extra_count = 3};
    cairn_save_result saved;
    tk_assert_ok(cairn_store_save(store, tree, &request, &saved, &err), &err);
    cairn_store_close(store);
    tk_assert_list(dir, ".cairn.lock all_checkpoint_10.mdl checkpoint_10.mdl "
                        "checkpoints_index.yaml model_checkpoint_10.mdl "
                        "optimizer_global_step_checkpoint_10.mdl");

    const cairn_state *const optimizer = cairn_state_tree_find(tree, "optimizer");
    const uint64_t region = cairn_state_region_bytes(optimizer);
    char *const file = tk_read_file(dir, "optimizer_global_step_checkpoint_10.mdl", &size);
    assert_true(size > region);
    assert_memory_equal(
        file + size - region,
        (const char *)cairn_state_tree_arena(tree) + cairn_state_region_offset(optimizer), region);
    free(file);

    cairn_checkpoint *ckpt = NULL;
    (void)tk_join(path, dir, "model_checkpoint_10.mdl");
    tk_assert_ok(cairn_checkpoint_open(path, &ckpt, &err), &err);
    assert_false(cairn_checkpoint_get_info(ckpt)->is_full);
    assert_string_equal(cairn_checkpoint_get_info(ckpt)->states, "model,__metadata");
    assert_int_equal(cairn_checkpoint_get_info(ckpt)->save_counter, 1);
    tk_assert_ok(cairn_checkpoint_verify(ckpt, NULL, NULL, &err), &err);
    cairn_checkpoint_close(ckpt);

    cairn_state_tree *const other = ck_tree(100);
    tk_assert_ok(ck_try_load(ck_os(), path, other, NULL, NULL, &err), &err);
    assert_true(ck_is_filled(other, "model", 5));
    assert_true(ck_is_filled(other, "__metadata", 5));
    assert_false(ck_is_filled(other, "optimizer", 5));
    assert_false(ck_is_filled(other, "global_step", 5));
    cairn_state_tree_destroy(other);
    ck_assert_loads(dir, "all_checkpoint_10.mdl", 100, 5);
    cairn_state_tree_destroy(tree);
}

static void save__never_replaces_a_file_of_the_same_name(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    cairn_state_tree *const tree = ck_tree(0);
    tk_fault_os fault;
    tk_fault_init(&fault);
    fault.real = ck_os();
    fault.is_clock_fake = true;
    fault.realtime_ns = INT64_C(1709251199) * 1000000000;
    cairn_store *const store = ck_open(&fault.os, dir);
    tk_write_text(dir, "checkpoint_5_20240229_235959_1.mdl.notes.json", "{\"stale\": 1.0}");
    for (uint64_t i = 0; i < 4; i++) {
        cairn_save_extra extra = {.states = "model",
                                  .name_template = "{checkpoint_states}_of_{ckpt_name}"};
        cairn_save_request request = {.struct_size = sizeof request, .step = 5};
        cairn_save_result saved;
        request.extras = &extra;
        request.extra_count = i == 0;
        ck_fill(tree, i);
        tk_assert_ok(cairn_store_save(store, tree, &request, &saved, &err), &err);
    }
    tk_assert_list(dir, ".cairn.lock checkpoint_5.mdl checkpoint_5_20240229_235959.mdl "
                        "checkpoint_5_20240229_235959_1.mdl checkpoint_5_20240229_235959_2.mdl "
                        "checkpoints_index.yaml model_of_checkpoint_5.mdl");
    ck_assert_loads(dir, "checkpoint_5.mdl", 0, 0);
    ck_assert_loads(dir, "checkpoint_5_20240229_235959.mdl", 0, 1);
    ck_assert_loads(dir, "checkpoint_5_20240229_235959_1.mdl", 0, 2);
    ck_assert_loads(dir, "checkpoint_5_20240229_235959_2.mdl", 0, 3);
    tk_assert_file_text(dir, "checkpoints_index.yaml",
                        "- checkpoint_5.mdl\n- checkpoint_5_20240229_235959.mdl\n"
                        "- checkpoint_5_20240229_235959_1.mdl\n"
                        "- checkpoint_5_20240229_235959_2.mdl\n");
    cairn_store_close(store);
    tk_fault_dispose(&fault);
    cairn_state_tree_destroy(tree);
}

static void save__of_an_alternative_puts_the_time_before_the_extension(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    cairn_state_tree *const tree = ck_tree(0);
    tk_fault_os fault;
    tk_fault_init(&fault);
    fault.real = ck_os();
    fault.is_clock_fake = true;
    fault.realtime_ns = INT64_C(1709251199) * 1000000000;
    cairn_store *const store = ck_open(&fault.os, dir);
    for (int i = 0; i < 3; i++) {
        cairn_save_extra extra = {.states = "model", .name_template = "only.{checkpoint_states}.x"};
        cairn_save_request request = {
            .struct_size = sizeof request, .step = (uint64_t)i, .extras = &extra, .extra_count = 1};
        cairn_save_result saved;
        tk_assert_ok(cairn_store_save(store, tree, &request, &saved, &err), &err);
        assert_non_null(extra.path);
    }
    tk_assert_list(dir, ".cairn.lock checkpoint_0.mdl checkpoint_1.mdl checkpoint_2.mdl "
                        "checkpoints_index.yaml only.model.x only.model_20240229_235959.x "
                        "only.model_20240229_235959_1.x");
    cairn_store_close(store);
    tk_fault_dispose(&fault);
    cairn_state_tree_destroy(tree);
}

/* The bytes of @name in @dir. */
static void assert_same_file(const char *dir, const char *name, const char *other_dir)
{
    size_t size = 0;
    size_t other_size = 0;
    char *const one = tk_read_file(dir, name, &size);
    char *const other = tk_read_file(other_dir, name, &other_size);
    assert_int_equal(size, other_size);
    assert_memory_equal(one, other, size);
    free(one);
    free(other);
}

static void save_missing__writes_what_the_save_would_have_written_and_that_once(void **state)
{
    enum { EXTRAS = 3 };
    static const char *const k_names[EXTRAS] = {"model_checkpoint_10.mdl", "copy_checkpoint_10.mdl",
                                                "all_checkpoint_10.mdl"};
    cairn_save_extra extras[EXTRAS] = {
        {.states = "model", .name_template = "{checkpoint_states}_{ckpt_name}"},
        {.states = "model", .name_template = "copy_{ckpt_name}"},
        {.states = "all", .name_template = "{checkpoint_states}_{ckpt_name}"}};
    const char *const dir = *state;
    cairn_error err = {0};
    char whole[TK_PATH_SIZE];
    char cut[TK_PATH_SIZE];
    char path[TK_PATH_SIZE];
    cairn_state_tree *const tree = ck_tree(100);
    const cairn_run run = {.run_id = CK_RUN};
    ck_fill(tree, 5);
    for (int i = 0; i < 2; i++) {
        const char *const folder = i == 0 ? tk_join(whole, dir, "whole") : tk_join(cut, dir, "cut");
        cairn_store *const store = ck_open(ck_os(), folder);
        cairn_run_adopt(store, &run, 6);
        cairn_save_request request = {.struct_size = sizeof request,
                                      .step = 10,
                                      .params_json = "{\"a\": 1}",
                                      .environment_json = "{\"threads\": \"2\"}",
                                      .extras = extras,
                                      .extra_count = i == 0 ? EXTRAS : 1};
        cairn_save_result saved;
        tk_assert_ok(cairn_store_save(store, tree, &request, &saved, &err), &err);
        cairn_store_close(store);
    }
    /* Another process, whose parameters differ. The tree is what it loaded. */
    cairn_store *const store = ck_open(ck_os(), cut);
    cairn_run_adopt(store, &run, 9);
    const cairn_save_request request = {.struct_size = sizeof request,
                                        .step = 77,
                                        .params_json = "{\"a\": 2}",
                                        .extras = extras,
                                        .extra_count = EXTRAS};
    cairn_save_result made;
    (void)tk_join(path, cut, "checkpoint_10.mdl");
    tk_assert_ok(cairn_store_save_missing(store, tree, path, &request, &made, &err), &err);
    assert_null(made.extra_paths[0]);
    assert_non_null(strstr(made.extra_paths[1], k_names[1]));
    assert_non_null(strstr(made.extra_paths[2], k_names[2]));
    assert_true(made.bytes > 0);
    for (size_t i = 0; i < EXTRAS; i++)
        assert_same_file(whole, k_names[i], cut);
    char *const names = tk_list(cut);
    tk_assert_ok(cairn_store_save_missing(store, tree, path, &request, &made, &err), &err);
    assert_int_equal(made.bytes, 0);
    tk_assert_list(cut, names);
    free(names);
    assert_int_equal(ck_save(store, tree, 11).save_counter, 10); /* It is not set back. */
    (void)tk_join(path, cut, k_names[0]);
    tk_assert_status(cairn_store_save_missing(store, tree, path, &request, &made, &err),
                     CAIRN_EINVAL, &err);
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
}

static void save_missing__that_fails_leaves_nothing_and_tries_again(void **state)
{
    const char *const dir = *state;
    char path[TK_PATH_SIZE];
    cairn_state_tree *const tree = ck_tree(0);
    cairn_save_extra extra = {.states = "model",
                              .name_template = "{checkpoint_states}_{ckpt_name}"};
    const cairn_save_request request = {
        .struct_size = sizeof request, .extras = &extra, .extra_count = 1};
    tk_fault_os fault;
    tk_fault_init(&fault);
    fault.real = ck_os();
    cairn_store *const store = ck_open(&fault.os, dir);
    (void)ck_save(store, tree, 4);
    (void)tk_join(path, dir, "checkpoint_4.mdl");
    const int open_before = tk_fault_open_count(&fault);
    bool is_done = false;
    for (uint64_t n = 1; !is_done; n++) {
        cairn_error err = {0};
        cairn_save_result made;
        tk_fault_reset(&fault);
        fault.fail_at = n;
        const cairn_status rc = cairn_store_save_missing(store, tree, path, &request, &made, &err);
        is_done = fault.failed == 0;
        assert_int_equal(tk_fault_open_count(&fault), open_before);
        assert_int_equal(made.bytes > 0, tk_exists(dir, "model_checkpoint_4.mdl"));
        if (rc != CAIRN_OK && rc != CAIRN_EUNKNOWN)
            assert_false(tk_exists(dir, "model_checkpoint_4.mdl"));
        if (!is_done && made.bytes > 0)
            assert_int_equal(unlink(tk_join(path, dir, "model_checkpoint_4.mdl")), 0);
        (void)tk_join(path, dir, "checkpoint_4.mdl");
        assert_true(n < 100);
    }
    assert_true(tk_exists(dir, "model_checkpoint_4.mdl"));
    tk_assert_list(dir, ".cairn.lock checkpoint_4.mdl checkpoints_index.yaml "
                        "model_checkpoint_4.mdl");
    cairn_store_close(store);
    tk_fault_dispose(&fault);
    cairn_state_tree_destroy(tree);
}

static void save__refuses_unknown_states_before_it_writes(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    cairn_state_tree *const tree = ck_tree(0);
    cairn_store *const store = ck_open(ck_os(), dir);
    cairn_save_extra extra = {.states = "modle", .name_template = "{checkpoint_states}"};
    cairn_save_request request = {
        .struct_size = sizeof request, .step = 1, .extras = &extra, .extra_count = 1};
    cairn_save_result saved;
    tk_assert_status(cairn_store_save(store, tree, &request, &saved, &err), CAIRN_EINVAL, &err);
    tk_assert_error_has(&err, "'modle'");
    tk_assert_error_has(&err, "model, optimizer");
    tk_assert_list(dir, ".cairn.lock");
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
}

static void save__refuses_what_it_could_not_read_again(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    cairn_save_result saved;
    cairn_state_tree *const tree = ck_tree(0);
    cairn_store *const store = ck_open(ck_os(), dir);
    tk_assert_ok(
        cairn_state_set_text(cairn_state_tree_find(tree, "schedulers"), "k", "\xff\xfe", &err),
        &err);
    tk_assert_status(ck_try_save(store, tree, 1, &saved, &err), CAIRN_EINVAL, &err);
    tk_assert_list(dir, ".cairn.lock");
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
}

static void save_bytes__counts_alternatives_too(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    cairn_state_tree *const tree = ck_tree(300);
    cairn_store *const store = ck_open(ck_os(), dir);
    cairn_save_extra extra = {.states = "model",
                              .name_template = "{checkpoint_states}_{ckpt_name}"};
    cairn_save_request request = {
        .struct_size = sizeof request, .step = 3, .extras = &extra, .extra_count = 1};
    cairn_save_result saved;
    uint64_t bytes = 0;
    tk_assert_ok(cairn_store_save_bytes(store, tree, &request, &bytes, &err), &err);
    tk_assert_ok(cairn_store_save(store, tree, &request, &saved, &err), &err);
    assert_int_equal(bytes, saved.bytes);
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
}

static void save__of_a_tree_without_tensors_is_a_checkpoint(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    cairn_state_tree *const tree = ck_empty_tree();
    cairn_state *const only = ck_state(tree, "global_step");
    ck_allocate(tree);
    tk_assert_ok(cairn_state_set_u64(only, "value", UINT64_MAX, &err), &err);
    cairn_store *const store = ck_open(ck_os(), dir);
    (void)ck_save(store, tree, 1);
    cairn_store_close(store);
    tk_assert_ok(cairn_state_set_u64(only, "value", 0, &err), &err);
    tk_assert_ok(
        ck_try_load(ck_os(), tk_join(path, dir, "checkpoint_1.mdl"), tree, NULL, NULL, &err), &err);
    uint64_t value = 0;
    tk_assert_ok(cairn_state_get_u64(only, "value", &value, &err), &err);
    assert_true(value == UINT64_MAX);
    cairn_state_tree_destroy(tree);
}

static void save__notices_a_stray_write_into_a_gap(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    cairn_save_result saved;
    cairn_state_tree *const tree = ck_tree(0);
    const cairn_tensor *const first = cairn_state_tensor_at(cairn_state_tree_at(tree, 0), 0);
    uint8_t *const bytes = cairn_tensor_write_begin(tree, first, 0, first->bytes);
    bytes[first->bytes] = 1; /* 140 bytes of tensor, 64-byte alignment: a gap follows. */
    cairn_tensor_write_end(tree, first, 0, first->bytes);
    cairn_store *const store = ck_open(ck_os(), dir);
    tk_assert_status(ck_try_save(store, tree, 1, &saved, &err), CAIRN_EBUG, &err);
    tk_assert_list(dir, ".cairn.lock");
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, tk_temp_setup, tk_temp_teardown)
    const struct CMUnitTest tests[] = {
        T(save__loads_back_bit_for_bit),
        T(save__writes_what_the_header_says),
        T(save__places_the_arena_as_it_is),
        T(save__of_a_subset_is_whole_regions_at_another_offset),
        T(save__never_replaces_a_file_of_the_same_name),
        T(save__of_an_alternative_puts_the_time_before_the_extension),
        T(save__refuses_unknown_states_before_it_writes),
        T(save__refuses_what_it_could_not_read_again),
        T(save_missing__writes_what_the_save_would_have_written_and_that_once),
        T(save_missing__that_fails_leaves_nothing_and_tries_again),
        T(save_bytes__counts_alternatives_too),
        T(save__of_a_tree_without_tensors_is_a_checkpoint),
        T(save__notices_a_stray_write_into_a_gap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
