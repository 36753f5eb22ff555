/* run.json, notes, retention. */
#include "unit/ckpt/ckpt_kit.h"

#include <math.h>
#include <unistd.h>

#define OTHER_RUN "ffffffffffffffffffffffffffffffff"

static void run__comes_back_as_written(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    cairn_run got;
    cairn_store *const store = ck_open(ck_os(), dir);
    tk_assert_status(cairn_run_read(store, &got, &err), CAIRN_ENOTFOUND, &err);
    tk_write_text(dir, "checkpoint_7.mdl", "");
    cairn_run run = {.run_id = CK_RUN,
                     .parent_run_id = OTHER_RUN,
                     .first_step = UINT64_MAX,
                     .save_counter = (UINT64_C(1) << 53) + 1,
                     .seed = UINT64_MAX - 1,
                     .loaded_path = tk_join(path, dir, "checkpoint_7.mdl")};
    char states[] = "model,optimizer";
    run.loaded_states = states;
    tk_assert_ok(cairn_run_write(store, &run, &err), &err);
    tk_assert_ok(cairn_run_read(store, &got, &err), &err);
    assert_string_equal(got.run_id, CK_RUN);
    assert_string_equal(got.parent_run_id, OTHER_RUN);
    assert_true(got.first_step == UINT64_MAX);
    assert_true(got.save_counter == (UINT64_C(1) << 53) + 1);
    assert_true(got.seed == UINT64_MAX - 1);
    assert_string_equal(got.loaded_path, path);
    assert_string_equal(got.loaded_states, states);
    cairn_run_dispose(&got);
    cairn_store_close(store);
    tk_assert_file_text(dir, "run.json",
                        "{\n  \"format\": 1,\n  \"run_id\": \"" CK_RUN
                        "\",\n  \"parent_run_id\": \"" OTHER_RUN
                        "\",\n  \"first_step\": \"18446744073709551615\",\n"
                        "  \"save_counter\": \"9007199254740993\",\n"
                        "  \"seed\": \"18446744073709551614\",\n"
                        "  \"loaded\": {\n    \"path\": \"checkpoint_7.mdl\",\n"
                        "    \"states\": \"model,optimizer\"\n  }\n}\n");
}

/* That of a callback, later, when the file that was loaded may be gone; saves go on counting. */
static void run__is_updated_with_its_end(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    char reason[] = "early_stop";
    cairn_run got;
    cairn_store *const store = ck_open(ck_os(), dir);
    tk_write_text(dir, "checkpoint_7.mdl", "");
    cairn_run run = {.run_id = CK_RUN, .stage = 2};
    run.loaded_path = tk_join(path, dir, "checkpoint_7.mdl");
    tk_assert_ok(cairn_run_write(store, &run, &err), &err);
    assert_int_equal(unlink(path), 0);
    run.complete_reason = reason;
    run.complete_step = UINT64_MAX;
    cairn_run_adopt(store, &run, 5);
    tk_assert_ok(cairn_run_update(store, &run, &err), &err);
    tk_assert_ok(cairn_run_read(store, &got, &err), &err);
    assert_string_equal(got.complete_reason, "early_stop");
    assert_true(got.complete_step == UINT64_MAX);
    assert_int_equal(got.stage, 2);
    assert_string_equal(got.loaded_path, path);
    assert_int_equal(store->save_counter, 5);
    cairn_run_dispose(&got);
    run.complete_reason = NULL;
    tk_assert_ok(cairn_run_update(store, &run, &err), &err);
    tk_assert_ok(cairn_run_read(store, &got, &err), &err);
    assert_null(got.complete_reason);
    cairn_run_dispose(&got);
    cairn_store_close(store);
}

static void notes__several_numbers_are_set_at_once(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    double value = 0.0;
    const cairn_note notes[] = {{"val_loss", 2.5}, {"val_loss/1", NAN}, {"eval/accuracy", 0.125}};
    cairn_store *const store = ck_open(ck_os(), dir);
    tk_write_text(dir, "checkpoint_7.mdl", "");
    (void)tk_join(path, dir, "checkpoint_7.mdl");
    tk_assert_ok(cairn_notes_set_number(store, path, "val_loss", 3.0, &err), &err);
    tk_assert_ok(cairn_notes_set_numbers(store, path, notes, 3, &err), &err);
    assert_true(cairn_notes_get_number(path, "val_loss", &value) && value == 2.5);
    assert_true(cairn_notes_get_number(path, "val_loss/1", &value) && isnan(value));
    assert_true(cairn_notes_get_number(path, "eval/accuracy", &value) && value == 0.125);
    cairn_store_close(store);
}

static void run__of_a_fresh_start_has_loaded_nothing(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    cairn_run got;
    cairn_store *const store = ck_open(ck_os(), dir);
    cairn_run run = {.loaded_path = NULL};
    tk_assert_ok(cairn_run_new_id(run.run_id, &err), &err);
    assert_int_equal(strlen(run.run_id), 32);
    tk_assert_ok(cairn_run_write(store, &run, &err), &err);
    tk_assert_ok(cairn_run_read(store, &got, &err), &err);
    assert_string_equal(got.run_id, run.run_id);
    assert_string_equal(got.parent_run_id, "");
    assert_null(got.loaded_path);
    assert_null(got.loaded_states);
    cairn_run_dispose(&got);
    memcpy(run.run_id, "no id", 6);
    tk_assert_status(cairn_run_write(store, &run, &err), CAIRN_EINVAL, &err);
    cairn_store_close(store);
}

static void run__survives_a_move_of_its_folder(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    char before[TK_PATH_SIZE];
    char after[TK_PATH_SIZE];
    char path[TK_PATH_SIZE];
    char want[TK_PATH_SIZE];
    cairn_run got;
    (void)tk_join(before, dir, "before");
    (void)tk_join(after, dir, "after");
    cairn_store *store = ck_open(ck_os(), before);
    tk_write_text(before, "checkpoint_7.mdl", "");
    const cairn_run run = {.run_id = CK_RUN,
                           .loaded_path = tk_join(path, before, "../before/checkpoint_7.mdl")};
    tk_assert_ok(cairn_run_write(store, &run, &err), &err);
    cairn_store_close(store);
    assert_int_equal(rename(before, after), 0);
    store = ck_open(ck_os(), after);
    tk_assert_ok(cairn_run_read(store, &got, &err), &err);
    assert_string_equal(got.loaded_path, tk_join(want, after, "checkpoint_7.mdl"));
    assert_null(got.loaded_states);
    cairn_run_dispose(&got);

    /* What lies elsewhere is named in full. */
    tk_write_text(dir, "elsewhere.mdl", "");
    const cairn_run other = {.run_id = CK_RUN, .loaded_path = tk_join(path, dir, "elsewhere.mdl")};
    tk_assert_ok(cairn_run_write(store, &other, &err), &err);
    tk_assert_ok(cairn_run_read(store, &got, &err), &err);
    assert_string_equal(got.loaded_path, path);
    cairn_run_dispose(&got);
    cairn_store_close(store);
}

static void run__damaged_is_told(void **state)
{
    const char *const dir = *state;
    static const struct {
        const char *text;
        cairn_status want;
    } k_rows[] = {
        {"", CAIRN_ECORRUPT},
        {"{", CAIRN_ECORRUPT},
        {"[]", CAIRN_ECORRUPT},
        {"{\"format\": 2}", CAIRN_EVERSION},
        {"{\"format\": 1}", CAIRN_ECORRUPT},
        {"{\"format\": 1, \"format\": 1, \"run_id\": \"" CK_RUN "\", \"parent_run_id\": \"\", "
         "\"first_step\": \"0\", \"save_counter\": \"0\", \"seed\": \"0\", \"loaded\": null}",
         CAIRN_ECORRUPT},
        {"{\"format\": 1, \"run_id\": \"" CK_RUN "\", \"parent_run_id\": \"\", "
         "\"first_step\": \"-1\", \"save_counter\": \"0\", \"seed\": \"0\", \"loaded\": null}",
         CAIRN_ECORRUPT},
        {"{\"format\": 1, \"run_id\": \"" CK_RUN "\", \"parent_run_id\": \"\", "
         "\"first_step\": 0, \"save_counter\": \"0\", \"seed\": \"0\", \"loaded\": null}",
         CAIRN_ECORRUPT},
        {"{\"format\": 1, \"run_id\": \"" CK_RUN "\", \"parent_run_id\": \"\", "
         "\"first_step\": \"0\", \"save_counter\": \"0\", \"seed\": \"0\", \"loaded\": {}}",
         CAIRN_ECORRUPT},
        {"{\"format\": 1, \"run_id\": \"" CK_RUN "\", \"parent_run_id\": \"\", "
         "\"first_step\": \"0\", \"save_counter\": \"0\", \"seed\": \"0\", \"loaded\": null}",
         CAIRN_OK},
    };
    cairn_store *const store = ck_open(ck_os(), dir);
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        cairn_error err = {0};
        cairn_run got = {.loaded_path = NULL};
        tk_write_text(dir, "run.json", k_rows[i].text);
        tk_assert_status(cairn_run_read(store, &got, &err), k_rows[i].want, &err);
        cairn_run_dispose(&got);
    }
    cairn_store_close(store);
}

static void run__decides_the_counter_of_saves(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    cairn_state_tree *const tree = ck_tree(0);
    cairn_store *const store = ck_open(ck_os(), dir);
    cairn_run run = {.run_id = CK_RUN, .save_counter = 10};
    tk_assert_ok(cairn_run_write(store, &run, &err), &err);
    assert_int_equal(ck_save(store, tree, 1).save_counter, 11);
    assert_int_equal(ck_save(store, tree, 2).save_counter, 12);
    cairn_run_adopt(store, &run, 40);
    assert_int_equal(ck_save(store, tree, 3).save_counter, 41);
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
}

static void notes__come_back_and_follow_deletion(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    double value = 0;
    cairn_state_tree *const tree = ck_tree(0);
    cairn_store *const store = ck_open(ck_os(), dir);
    const cairn_save_result saved = ck_save(store, tree, 1);
    char path[TK_PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s", saved.path);
    assert_false(cairn_notes_get_number(path, "val_loss", &value));
    tk_assert_ok(cairn_notes_set_number(store, path, "val_loss", 0.1, &err), &err);
    tk_assert_ok(cairn_notes_set_number(store, path, "other", -1e300, &err), &err);
    tk_assert_ok(cairn_notes_set_number(store, path, "bad", NAN, &err), &err);
    assert_true(cairn_notes_get_number(path, "val_loss", &value) && value == 0.1);
    assert_true(cairn_notes_get_number(path, "other", &value) && value == -1e300);
    assert_true(cairn_notes_get_number(path, "bad", &value) && isnan(value));
    assert_false(cairn_notes_get_number(path, "absent", &value));
    tk_assert_ok(cairn_notes_set_number(store, path, "val_loss", 2.5, &err), &err);
    assert_true(cairn_notes_get_number(path, "val_loss", &value) && value == 2.5);
    tk_write_text(dir, "checkpoint_1.mdl.notes.json", "{\"val_loss\": ");
    assert_false(cairn_notes_get_number(path, "val_loss", &value));
    tk_assert_ok(cairn_notes_set_number(store, path, "val_loss", 3.5, &err), &err);
    assert_true(cairn_notes_get_number(path, "val_loss", &value) && value == 3.5);
    tk_assert_ok(cairn_store_delete(store, path, &err), &err);
    tk_assert_ok(cairn_store_delete(store, path, &err), &err);
    tk_assert_list(dir, ".cairn.lock checkpoints_index.yaml");
    tk_assert_file_text(dir, "checkpoints_index.yaml", "[]\n");
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
}

/* Saves steps 1 to @count of @run_id, each with an alternative. */
static void save_steps(cairn_store *store, const cairn_state_tree *tree, const char *run_id,
                       uint64_t first, uint64_t last)
{
    cairn_run run = {.first_step = 0};
    memcpy(run.run_id, run_id, sizeof run.run_id);
    cairn_run_adopt(store, &run, first - 1);
    for (uint64_t step = first; step <= last; step++) {
        cairn_error err = {0};
        cairn_save_extra extra = {.states = "model",
                                  .name_template = "{checkpoint_states}_{ckpt_name}"};
        cairn_save_request request = {
            .struct_size = sizeof request, .step = step, .extras = &extra, .extra_count = 1};
        cairn_save_result saved;
        tk_assert_ok(cairn_store_save(store, tree, &request, &saved, &err), &err);
    }
}

/* Steps of the full checkpoints that are there, as digits. */
static void assert_steps(const char *dir, const char *want)
{
    char got[16] = "";
    size_t count = 0;
    for (int step = 1; step <= 9; step++) {
        char name[32];
        (void)snprintf(name, sizeof name, "checkpoint_%d.mdl", step);
        if (tk_exists(dir, name))
            got[count++] = (char)('0' + step);
    }
    assert_string_equal(got, want);
}

/* A pin that another fact pushes out would let a checkpoint be deleted. */
static void notes__are_not_replaced_when_they_cannot_be_read(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    double value = 0;
    char path[TK_PATH_SIZE];
    tk_fault_os fault;
    tk_fault_init(&fault);
    fault.real = ck_os();
    cairn_store *const store = ck_open(&fault.os, dir);
    (void)tk_join(path, dir, "checkpoint_1.mdl");
    tk_assert_ok(cairn_notes_set_number(store, path, "pin", 1, &err), &err);
    tk_fault_reset(&fault);
    fault.fail_op = 'r';
    fault.fail_at = 1;
    tk_assert_status(cairn_notes_set_number(store, path, "val_loss", 2, &err), CAIRN_EIO, &err);
    tk_assert_error_has(&err, "checkpoint_1.mdl.notes.json");
    assert_true(cairn_notes_get_number(path, "pin", &value) && value == 1);
    cairn_store_close(store);
    tk_fault_dispose(&fault);
}

static void notes__of_a_checkpoint_that_is_gone_are_removed_by_the_next_start(void **state)
{
    const char *const dir = *state;
    cairn_state_tree *const tree = ck_tree(0);
    cairn_store *const store = ck_open(ck_os(), dir);
    (void)ck_save(store, tree, 1);
    cairn_store_close(store);
    tk_write_text(dir, "checkpoint_1.mdl.notes.json", "{}");
    tk_write_text(dir, "checkpoint_2.mdl.notes.json", "{}");
    tk_write_text(dir, "mine.notes.json", "{}");
    tk_write_text(dir, ".notes.json", "{}");
    cairn_store_close(ck_open(ck_os(), dir));
    tk_assert_list(dir, ".cairn.lock .notes.json checkpoint_1.mdl checkpoint_1.mdl.notes.json "
                        "checkpoints_index.yaml mine.notes.json");
    cairn_state_tree_destroy(tree);
}

static void keep_newest__deletes_own_full_files_only(void **state)
{
    const char *const dir = *state;
    static const struct {
        uint64_t n;
        int protected_step; /* 0: none */
        const char *left;   /* 1 and 2 are of another run, 3 is damaged, 4 to 8 are its own */
        uint64_t deleted;
    } k_rows[] = {
        {9, 0, "12345678", 0}, {5, 0, "12345678", 0}, {4, 4, "12345678", 0}, {4, 0, "1235678", 1},
        {2, 5, "123578", 1},   {2, 8, "12378", 1},    {1, 0, "1238", 1},     {0, 0, "1238", 0},
    };
    char path[TK_PATH_SIZE];
    char name[64];
    cairn_state_tree *const tree = ck_tree(0);
    cairn_store *const store = ck_open(ck_os(), dir);
    save_steps(store, tree, OTHER_RUN, 1, 2);
    save_steps(store, tree, CK_RUN, 3, 8);
    tk_write_text(dir, "checkpoint_3.mdl", "damaged beyond recognition");
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        cairn_error err = {0};
        uint64_t deleted = 99;
        (void)snprintf(name, sizeof name, "./checkpoint_%d.mdl", k_rows[i].protected_step);
        (void)tk_join(path, dir, name);
        tk_assert_ok(cairn_store_keep_newest(store, CK_RUN, k_rows[i].n,
                                             k_rows[i].protected_step > 0 ? path : NULL, &deleted,
                                             &err),
                     &err);
        assert_int_equal(deleted, k_rows[i].deleted);
        assert_steps(dir, k_rows[i].left);
    }
    for (int step = 1; step <= 8; step++) {
        (void)snprintf(name, sizeof name, "model_checkpoint_%d.mdl", step);
        assert_true(tk_exists(dir, name));
    }
    tk_assert_file_text(dir, "checkpoints_index.yaml",
                        "- checkpoint_1.mdl\n- checkpoint_2.mdl\n- checkpoint_3.mdl\n"
                        "- checkpoint_8.mdl\n");
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
}

static void keep_newest__counts_saves_not_steps(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    cairn_state_tree *const tree = ck_tree(0);
    cairn_store *const store = ck_open(ck_os(), dir);
    const cairn_run run = {.run_id = CK_RUN};
    cairn_run_adopt(store, &run, 0);
    (void)ck_save(store, tree, 9);
    (void)ck_save(store, tree, 3); /* Saved later, at a smaller step. */
    tk_assert_ok(cairn_store_keep_newest(store, CK_RUN, 1, NULL, NULL, &err), &err);
    assert_steps(dir, "3");
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
}

static void keep_newest__does_not_count_a_truncated_file(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    size_t size = 0;
    cairn_state_tree *const tree = ck_tree(0);
    cairn_store *const store = ck_open(ck_os(), dir);
    save_steps(store, tree, CK_RUN, 1, 4);
    free(tk_read_file(dir, "checkpoint_4.mdl", &size));
    assert_int_equal(truncate(tk_join(path, dir, "checkpoint_4.mdl"), (long)size - 1), 0);
    tk_assert_ok(cairn_store_keep_newest(store, CK_RUN, 2, NULL, NULL, &err), &err);
    assert_steps(dir, "234");
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
}

static void keep_newest__stops_at_a_file_that_cannot_be_deleted(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    uint64_t deleted = 0;
    cairn_state_tree *const tree = ck_tree(0);
    tk_fault_os fault;
    tk_fault_init(&fault);
    fault.real = ck_os();
    cairn_store *const store = ck_open(&fault.os, dir);
    save_steps(store, tree, CK_RUN, 1, 4);
    tk_fault_reset(&fault);
    fault.fail_op = 'u';
    fault.fail_at = 4; /* Each deletion unlinks the file, its notes, the lock of the notes. */
    tk_assert_status(cairn_store_keep_newest(store, CK_RUN, 1, NULL, &deleted, &err), CAIRN_EIO,
                     &err);
    tk_assert_error_has(&err, "checkpoint_2.mdl");
    assert_int_equal(deleted, 1);
    assert_steps(dir, "234");
    cairn_store_close(store);
    tk_fault_dispose(&fault);
    cairn_state_tree_destroy(tree);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, tk_temp_setup, tk_temp_teardown)
    const struct CMUnitTest tests[] = {
        T(run__comes_back_as_written),
        T(run__is_updated_with_its_end),
        T(notes__several_numbers_are_set_at_once),
        T(run__of_a_fresh_start_has_loaded_nothing),
        T(run__survives_a_move_of_its_folder),
        T(run__damaged_is_told),
        T(run__decides_the_counter_of_saves),
        T(notes__come_back_and_follow_deletion),
        T(notes__are_not_replaced_when_they_cannot_be_read),
        T(notes__of_a_checkpoint_that_is_gone_are_removed_by_the_next_start),
        T(keep_newest__deletes_own_full_files_only),
        T(keep_newest__counts_saves_not_steps),
        T(keep_newest__does_not_count_a_truncated_file),
        T(keep_newest__stops_at_a_file_that_cannot_be_deleted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
