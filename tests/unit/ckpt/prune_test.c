/* Retention on the disk, pins, the lock of the notes, the file save-now. */
#include "unit/ckpt/ckpt_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ckpt/notes_lock.h"

#define OTHER_RUN "ffffffffffffffffffffffffffffffff"
#define LOSS      "val_loss"

struct fixture {
    char *dir;
    tk_fault_os fault;
    cairn_state_tree *tree;
    cairn_store *store;
};

static int begin(void **state)
{
    struct fixture *const f = calloc(1, sizeof *f);
    void *dir = NULL;
    assert_non_null(f);
    assert_int_equal(tk_temp_setup(&dir), 0);
    f->dir = dir;
    tk_fault_init(&f->fault);
    f->fault.real = ck_os();
    f->tree = ck_tree(0);
    f->store = ck_open(&f->fault.os, f->dir);
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *const f = *state;
    void *dir = f->dir;
    cairn_store_close(f->store);
    cairn_state_tree_destroy(f->tree);
    assert_int_equal(tk_fault_open_count(&f->fault), 0);
    tk_fault_dispose(&f->fault);
    free(f);
    return tk_temp_teardown(&dir);
}

/* Saves steps @first to @last as the run @run_id. */
static void save_steps(struct fixture *f, const char *run_id, uint64_t first, uint64_t last)
{
    cairn_run run = {.first_step = 0};
    memcpy(run.run_id, run_id, sizeof run.run_id);
    cairn_run_adopt(f->store, &run, first - 1);
    for (uint64_t step = first; step <= last; step++)
        (void)ck_save(f->store, f->tree, step);
}

static char *path_of(struct fixture *f, uint64_t step, char buf[TK_PATH_SIZE])
{
    char name[64];
    (void)snprintf(name, sizeof name, "checkpoint_%llu.mdl", (unsigned long long)step);
    return tk_join(buf, f->dir, name);
}

static void note(struct fixture *f, uint64_t step, const char *key, double value)
{
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    tk_assert_ok(cairn_notes_set_number(f->store, path_of(f, step, path), key, value, &err), &err);
}

static void pin(struct fixture *f, uint64_t step, bool is_pinned)
{
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    tk_assert_ok(crn_checkpoint_pin_os(&f->fault.os, path_of(f, step, path), is_pinned, &err),
                 &err);
}

static cairn_retention_plan *plan_of(struct fixture *f, const cairn_retention *rules)
{
    cairn_error err = {0};
    cairn_retention_plan *plan = NULL;
    tk_assert_ok(cairn_retention_plan_make(f->store, CK_RUN, rules, &plan, &err), &err);
    return plan;
}

/* Fails unless the plan is these lines: "keep checkpoint_1.mdl: newest 1, pinned". */
static void assert_plan(const cairn_retention_plan *plan, const char *want)
{
    static const char *const k_verdicts[] = {"keep", "delete", "leave"};
    char got[4096] = "";
    size_t used = 0;
    for (size_t i = 0; i < cairn_retention_plan_count(plan); i++) {
        const cairn_judged *const judged = cairn_retention_plan_at(plan, i);
        used += (size_t)snprintf(got + used, sizeof got - used,
                                 "%s %s:", k_verdicts[judged->verdict], judged->info->file);
        assert_true(judged->reason_count >= 1);
        for (size_t k = 0; k < judged->reason_count; k++)
            used += (size_t)snprintf(got + used, sizeof got - used, "%s %s", k > 0 ? "," : "",
                                     judged->reasons[k]);
        used += (size_t)snprintf(got + used, sizeof got - used, "\n");
    }
    assert_string_equal(got, want);
}

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

static void plan__tells_a_reason_for_every_file_and_changes_nothing(void **state)
{
    struct fixture *const f = *state;
    char from[TK_PATH_SIZE];
    char to[TK_PATH_SIZE];
    const cairn_retention rules = {.struct_size = sizeof rules, .newest = 2, .every = 3, .best = 1};
    save_steps(f, OTHER_RUN, 1, 1);
    save_steps(f, CK_RUN, 2, 9);
    note(f, 4, LOSS, 0.5);
    note(f, 5, LOSS, 0.7);
    note(f, 8, LOSS, (double)NAN);
    pin(f, 3, true);
    pin(f, 7, true);
    pin(f, 7, false);
    tk_write_text(f->dir, "checkpoint_5.mdl.notes.json", "{\"pinned\": tr");
    tk_write_text(f->dir, "checkpoint_0.mdl", "damaged beyond recognition");
    assert_int_equal(rename(path_of(f, 2, from), tk_join(to, f->dir, "best.mdl")), 0);
    tk_write_file(f->dir, "checkpoint_10.mdl", "\x02\0\0\0\0\0\0\0{}", 10);
    char *const before = tk_list(f->dir);
    cairn_retention_plan *const plan = plan_of(f, &rules);
    assert_plan(plan, "leave checkpoint_0.mdl: the header would have 2334102001575354724 bytes, "
                      "at most 100000000\n"
                      "leave checkpoint_1.mdl: it is of another run\n"
                      "keep checkpoint_3.mdl: every 3 steps, pinned\n"
                      "keep checkpoint_4.mdl: best 1 by val_loss\n"
                      "keep checkpoint_5.mdl: protected: its notes cannot be read\n"
                      "keep checkpoint_6.mdl: every 3 steps\n"
                      "delete checkpoint_7.mdl: no rule keeps it\n"
                      "keep checkpoint_8.mdl: newest 2\n"
                      "keep checkpoint_9.mdl: newest 2, every 3 steps\n"
                      "leave checkpoint_10.mdl: it has no metadata of cairn\n"
                      "leave best.mdl: its name is not a checkpoint's\n");
    cairn_retention_plan_destroy(plan);
    tk_assert_list(f->dir, before);
    free(before);
}

static void prune__deletes_what_the_plan_says_and_the_notes_with_it(void **state)
{
    struct fixture *const f = *state;
    cairn_error err = {0};
    uint64_t deleted = 0;
    const cairn_retention rules = {.struct_size = sizeof rules, .newest = 1, .best = 1};
    save_steps(f, CK_RUN, 1, 4);
    note(f, 1, LOSS, 3.0);
    note(f, 2, LOSS, 1.0);
    note(f, 3, LOSS, 2.0);
    tk_assert_ok(cairn_store_prune(f->store, CK_RUN, &rules, &deleted, &err), &err);
    assert_int_equal(deleted, 2);
    tk_assert_list(f->dir, ".cairn.lock checkpoint_2.mdl checkpoint_2.mdl.notes.json "
                           "checkpoint_4.mdl checkpoints_index.yaml");
    tk_assert_file_text(f->dir, "checkpoints_index.yaml",
                        "- checkpoint_2.mdl\n- checkpoint_4.mdl\n");
}

/* A user's copies, whatever they are called. */
static void prune__never_touches_a_copy(void **state)
{
    static const char *const k_copies[] = {"best.mdl", "checkpoint_1_copy.mdl", "checkpoint_01.bak",
                                           "checkpoint_500.mdl", "checkpoint_1000.mdl"};
    struct fixture *const f = *state;
    const cairn_retention rules = {.struct_size = sizeof rules, .newest = 1};
    cairn_error err = {0};
    uint64_t deleted = 0;
    size_t size = 0;
    save_steps(f, CK_RUN, 1, 3);
    char *const bytes = tk_read_file(f->dir, "checkpoint_1.mdl", &size);
    for (size_t i = 0; i < sizeof k_copies / sizeof k_copies[0]; i++)
        tk_write_file(f->dir, k_copies[i], bytes, size);
    free(bytes);
    tk_assert_ok(cairn_store_prune(f->store, CK_RUN, &rules, &deleted, &err), &err);
    assert_int_equal(deleted, 2);
    for (size_t i = 0; i < sizeof k_copies / sizeof k_copies[0]; i++)
        assert_true(tk_exists(f->dir, k_copies[i]));
    assert_steps(f->dir, "3");
}

static void prune__without_a_limit_keeps_all(void **state)
{
    struct fixture *const f = *state;
    const cairn_retention rules = {.struct_size = sizeof rules, .every = 2};
    save_steps(f, CK_RUN, 1, 2);
    cairn_retention_plan *const plan = plan_of(f, &rules);
    assert_plan(plan, "keep checkpoint_1.mdl: there is no limit\n"
                      "keep checkpoint_2.mdl: every 2 steps, there is no limit\n");
    cairn_retention_plan_destroy(plan);
}

static void prune__protects_what_resume_would_load(void **state)
{
    struct fixture *const f = *state;
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    const cairn_retention rules = {.struct_size = sizeof rules, .newest = 1};
    save_steps(f, CK_RUN, 1, 3);
    /* A start went back to step 1 and has saved nothing yet. */
    const cairn_run run = {.run_id = CK_RUN, .save_counter = 3, .loaded_path = path_of(f, 1, path)};
    tk_assert_ok(cairn_run_write(f->store, &run, &err), &err);
    cairn_retention_plan *plan = plan_of(f, &rules);
    assert_plan(plan, "keep checkpoint_1.mdl: protected: --resume would load it\n"
                      "delete checkpoint_2.mdl: no rule keeps it\n"
                      "keep checkpoint_3.mdl: newest 1\n");
    cairn_retention_plan_destroy(plan);
    (void)ck_save(f->store, f->tree, 4);
    plan = plan_of(f, &rules);
    assert_plan(plan, "delete checkpoint_1.mdl: no rule keeps it\n"
                      "delete checkpoint_2.mdl: no rule keeps it\n"
                      "delete checkpoint_3.mdl: no rule keeps it\n"
                      "keep checkpoint_4.mdl: newest 1\n");
    cairn_retention_plan_destroy(plan);
}

static void prune__protects_a_path_however_it_is_written(void **state)
{
    struct fixture *const f = *state;
    char path[TK_PATH_SIZE];
    save_steps(f, CK_RUN, 1, 3);
    const cairn_retention rules = {.struct_size = sizeof rules,
                                   .newest = 1,
                                   .minutes = 30.5,
                                   .protected_path = tk_join(path, f->dir, "./checkpoint_2.mdl")};
    cairn_retention_plan *const plan = plan_of(f, &rules);
    assert_plan(plan, "keep checkpoint_1.mdl: one in 30.5 minutes\n"
                      "keep checkpoint_2.mdl: protected: in use\n"
                      "keep checkpoint_3.mdl: newest 1\n");
    cairn_retention_plan_destroy(plan);
}

static void prune__goes_by_the_times_of_the_files(void **state)
{
    struct fixture *const f = *state;
    char path[TK_PATH_SIZE];
    const cairn_retention rules = {.struct_size = sizeof rules, .newest = 1, .minutes = 60};
    save_steps(f, CK_RUN, 1, 5);
    for (uint64_t step = 1; step <= 5; step++) {
        const struct timespec when = {.tv_sec = 1700000000 + (time_t)step * 30 * 60};
        const struct timespec times[2] = {when, when};
        assert_int_equal(utimensat(AT_FDCWD, path_of(f, step, path), times, 0), 0);
    }
    assert_int_equal(cairn_store_prune(f->store, CK_RUN, &rules, NULL, NULL), CAIRN_OK);
    assert_steps(f->dir, "135");
}

static void prune__refuses_rules_that_make_no_sense(void **state)
{
    struct fixture *const f = *state;
    cairn_error err = {0};
    cairn_retention_plan *plan = NULL;
    cairn_retention rules = {.struct_size = sizeof rules, .newest = 1, .minutes = -1};
    tk_assert_status(cairn_retention_plan_make(f->store, CK_RUN, &rules, &plan, &err),
                     CAIRN_ECONFIG, &err);
    rules.minutes = (double)NAN;
    tk_assert_status(cairn_retention_plan_make(f->store, CK_RUN, &rules, &plan, &err),
                     CAIRN_ECONFIG, &err);
    rules = (cairn_retention){.newest = 1};
    tk_assert_status(cairn_retention_plan_make(f->store, CK_RUN, &rules, &plan, &err), CAIRN_EINVAL,
                     &err);
    assert_null(plan);
}

/* No failure of a call or an allocation makes a precious file look worthless. */
static bool plan_survives(struct fixture *f, bool is_allocation, uint64_t n)
{
    char path[TK_PATH_SIZE];
    cairn_retention_plan *plan = NULL;
    const cairn_retention rules = {.struct_size = sizeof rules,
                                   .newest = 1,
                                   .best = 1,
                                   .protected_path = tk_join(path, f->dir, "./checkpoint_5.mdl")};
    tk_fault_reset(&f->fault);
    f->fault.fail_at = is_allocation ? 0 : n;
    crn_mem_fail_at(is_allocation ? n : 0, 0);
    const uint64_t before = crn_mem_count();
    const cairn_status rc = cairn_retention_plan_make(f->store, CK_RUN, &rules, &plan, NULL);
    const bool was_hit = is_allocation ? crn_mem_count() - before >= n : f->fault.failed > 0;
    crn_mem_fail_at(0, 0);
    for (size_t i = 0; rc == CAIRN_OK && i < cairn_retention_plan_count(plan); i++) {
        const cairn_judged *const judged = cairn_retention_plan_at(plan, i);
        const bool is_precious = judged->info->step != 4;
        if (is_precious)
            assert_int_not_equal(judged->verdict, CAIRN_VERDICT_DELETE);
        if (!was_hit && !is_precious)
            assert_int_equal(judged->verdict, CAIRN_VERDICT_DELETE);
    }
    cairn_retention_plan_destroy(plan);
    return was_hit;
}

static void plan__whatever_fails_condemns_nothing_precious(void **state)
{
    struct fixture *const f = *state;
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    save_steps(f, CK_RUN, 1, 6);
    pin(f, 1, true);
    note(f, 2, LOSS, 1.0);
    const cairn_run run = {.run_id = CK_RUN, .save_counter = 6, .loaded_path = path_of(f, 3, path)};
    tk_assert_ok(cairn_run_write(f->store, &run, &err), &err);
    for (int is_allocation = 0; is_allocation < 2; is_allocation++) {
        uint64_t n = 1;
        while (plan_survives(f, is_allocation == 1, n))
            n++;
        assert_true(n > 20);
    }
}

/* ---- Pins ---- */

static void pin__set_after_the_plan_was_made_still_protects(void **state)
{
    struct fixture *const f = *state;
    cairn_error err = {0};
    uint64_t deleted = 0;
    const cairn_retention rules = {.struct_size = sizeof rules, .newest = 1};
    save_steps(f, CK_RUN, 1, 4);
    cairn_retention_plan *const plan = plan_of(f, &rules);
    pin(f, 2, true);
    tk_write_text(f->dir, "checkpoint_3.mdl.notes.json", "{\"pin");
    tk_assert_ok(cairn_retention_plan_apply(f->store, plan, &deleted, &err), &err);
    assert_int_equal(deleted, 1);
    assert_steps(f->dir, "234");
    cairn_retention_plan_destroy(plan);
}

static void pin__keeps_the_other_facts_and_leaves_nothing_behind(void **state)
{
    struct fixture *const f = *state;
    double loss = 0.0;
    char path[TK_PATH_SIZE];
    cairn_notes *notes = NULL;
    save_steps(f, CK_RUN, 1, 2);
    note(f, 1, LOSS, 0.1);
    pin(f, 1, true);
    pin(f, 1, true);
    tk_assert_file_text(f->dir, "checkpoint_1.mdl.notes.json",
                        "{\n  \"val_loss\": 0.10000000000000001,\n  \"pinned\": true\n}\n");
    note(f, 1, LOSS, 0.25);
    assert_int_equal(cairn_notes_read(path_of(f, 1, path), &notes, NULL), CAIRN_OK);
    assert_true(cairn_notes_is_pinned(notes));
    assert_true(cairn_notes_number(notes, LOSS, &loss) && loss == 0.25);
    assert_string_equal(cairn_notes_json(notes), "{\"val_loss\": 0.25, \"pinned\": true}");
    cairn_notes_destroy(notes);
    pin(f, 1, false);
    tk_assert_file_text(f->dir, "checkpoint_1.mdl.notes.json", "{\n  \"val_loss\": 0.25\n}\n");
    pin(f, 2, false);
    pin(f, 2, true);
    pin(f, 2, false);
    tk_assert_list(f->dir, ".cairn.lock checkpoint_1.mdl checkpoint_1.mdl.notes.json "
                           "checkpoint_2.mdl checkpoints_index.yaml");
}

static void pin__by_hand_counts_whatever_word_was_used(void **state)
{
    static const struct {
        const char *text;
        bool is_pinned;
    } k_rows[] = {{"{}", false},
                  {"{\"pinned\": true}", true},
                  {"{\"pinned\": \"yes\"}", true},
                  {"{\"pinned\": 1}", true},
                  {"{\"pinned\": 0}", false},
                  {"{\"pinned\": false}", false},
                  {"{\"pinned\": null}", false}};
    struct fixture *const f = *state;
    char path[TK_PATH_SIZE];
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        cairn_notes *notes = NULL;
        tk_write_text(f->dir, "checkpoint_1.mdl.notes.json", k_rows[i].text);
        assert_int_equal(cairn_notes_read(path_of(f, 1, path), &notes, NULL), CAIRN_OK);
        assert_int_equal(cairn_notes_is_pinned(notes), k_rows[i].is_pinned);
        cairn_notes_destroy(notes);
    }
}

static void pin__refuses_what_is_no_checkpoint(void **state)
{
    struct fixture *const f = *state;
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    save_steps(f, CK_RUN, 1, 1);
    tk_write_text(f->dir, "metrics.jsonl", "{\"step\": 1}\n");
    char *const before = tk_list(f->dir);
    tk_assert_status(cairn_checkpoint_pin(path_of(f, 9, path), true, &err), CAIRN_ENOTFOUND, &err);
    tk_assert_status(cairn_checkpoint_pin(path_of(f, 9, path), false, &err), CAIRN_ENOTFOUND, &err);
    tk_assert_status(cairn_checkpoint_pin(tk_join(path, f->dir, "no/file.mdl"), false, &err),
                     CAIRN_ENOTFOUND, &err);
    tk_assert_status(cairn_checkpoint_pin(tk_join(path, f->dir, "metrics.jsonl"), true, &err),
                     CAIRN_ECORRUPT, &err);
    assert_int_not_equal(cairn_checkpoint_pin(f->dir, true, &err), CAIRN_OK);
    tk_assert_list(f->dir, before);
    free(before);
}

/* A pin that is being written when its process is stopped must not stop a training. */
static void notes__locked_for_long_stop_a_pin_but_not_a_run(void **state)
{
    struct fixture *const f = *state;
    cairn_error err = {0};
    double loss = 0.0;
    char path[TK_PATH_SIZE];
    crn_notes_lock held;
    save_steps(f, CK_RUN, 1, 1);
    const int dir = tk_open_dir(f->dir);
    const crn_folder folder = {.os = ck_os(), .fd = dir, .path = f->dir};
    tk_assert_ok(crn_notes_lock_take(&held, &folder, &err), &err);
    f->fault.is_clock_fake = true;
    tk_assert_status(crn_checkpoint_pin_os(&f->fault.os, path_of(f, 1, path), true, &err),
                     CAIRN_ELOCKED, &err);
    assert_int_equal(f->fault.monotonic_ns / 1000000, 9990); /* ten seconds were waited */
    note(f, 1, LOSS, 2.0);
    assert_true(cairn_notes_get_number(path_of(f, 1, path), LOSS, &loss) && loss == 2.0);
    crn_notes_lock_release(&held);
    pin(f, 1, true);
    (void)close(dir);
}

/* The file is locked, but another process has removed it and made a new one meanwhile. */
static int stat_another(const crn_os *os, int dir, const char *name, crn_file_stat *out)
{
    const tk_fault_os *const fault = os->self;
    const int e = fault->real->stat(fault->real, dir, name, out);
    if (strcmp(name, CRN_NOTES_LOCK_FILE) == 0 && fault->monotonic_ns < 30 * 1000 * 1000)
        out->inode++;
    return e;
}

static void notes__lock_is_tried_again_when_its_file_was_exchanged(void **state)
{
    struct fixture *const f = *state;
    save_steps(f, CK_RUN, 1, 1);
    f->fault.is_clock_fake = true;
    f->fault.os.stat = stat_another;
    note(f, 1, LOSS, 1.0);
    assert_int_equal(f->fault.monotonic_ns, 30 * 1000 * 1000);
    tk_assert_list(f->dir, ".cairn.lock checkpoint_1.mdl checkpoint_1.mdl.notes.json "
                           "checkpoints_index.yaml");
}

static void notes__lock_of_a_killed_process_is_swept(void **state)
{
    struct fixture *const f = *state;
    tk_write_text(f->dir, CRN_NOTES_LOCK_FILE, "");
    cairn_store_close(f->store);
    f->store = ck_open(&f->fault.os, f->dir);
    tk_assert_list(f->dir, ".cairn.lock");
}

static void notes__removing_a_fact_keeps_the_others(void **state)
{
    struct fixture *const f = *state;
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    (void)path_of(f, 1, path);
    note(f, 1, "starts", 2);
    tk_assert_ok(cairn_notes_remove(f->store, path, "absent", &err), &err);
    note(f, 1, LOSS, 0.5);
    tk_assert_ok(cairn_notes_remove(f->store, path, "starts", &err), &err);
    tk_assert_file_text(f->dir, "checkpoint_1.mdl.notes.json", "{\n  \"val_loss\": 0.5\n}\n");
    tk_assert_ok(cairn_notes_remove(f->store, path, LOSS, &err), &err);
    tk_assert_ok(cairn_notes_remove(f->store, path, LOSS, &err), &err);
    tk_assert_list(f->dir, ".cairn.lock");
}

/* ---- save-now ---- */

static void save_now__is_taken_once_and_answered_after_the_save(void **state)
{
    struct fixture *const f = *state;
    assert_false(cairn_store_save_requested(f->store));
    cairn_store_save_answered(f->store);
    tk_write_text(f->dir, "save-now", "");
    assert_true(cairn_store_save_requested(f->store));
    assert_false(cairn_store_save_requested(f->store));
    tk_assert_list(f->dir, ".cairn.lock .save-now.taken");
    tk_write_text(f->dir, "save-now", ""); /* A second one, while the first is being saved. */
    cairn_store_save_answered(f->store);
    tk_assert_list(f->dir, ".cairn.lock save-now");
    assert_true(cairn_store_save_requested(f->store));
    cairn_store_save_answered(f->store);
    tk_assert_list(f->dir, ".cairn.lock");
    assert_false(cairn_store_save_requested(f->store));
}

static void save_now__outlives_the_process_that_took_it(void **state)
{
    struct fixture *const f = *state;
    tk_write_text(f->dir, "save-now", "");
    assert_true(cairn_store_save_requested(f->store));
    cairn_store_close(f->store); /* It died before the save. */
    f->store = ck_open(&f->fault.os, f->dir);
    assert_true(cairn_store_save_requested(f->store));
    assert_false(cairn_store_save_requested(f->store));
    cairn_store_save_answered(f->store);
    tk_assert_list(f->dir, ".cairn.lock");
}

static void save_now__that_cannot_be_taken_asks_for_nothing(void **state)
{
    struct fixture *const f = *state;
    char path[TK_PATH_SIZE];
    tk_write_text(f->dir, "save-now", "");
    tk_fault_reset(&f->fault);
    f->fault.fail_op = 'm';
    f->fault.fail_at = 1;
    f->fault.fail_errno = EACCES;
    assert_false(cairn_store_save_requested(f->store));
    assert_int_equal(unlink(tk_join(path, f->dir, "save-now")), 0);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_false(cairn_store_save_requested(f->store));
}

static void save_now__costs_one_call_a_step(void **state)
{
    struct fixture *const f = *state;
    (void)cairn_store_save_requested(f->store);
    tk_fault_reset(&f->fault);
    assert_false(cairn_store_save_requested(f->store));
    cairn_store_save_answered(f->store);
    assert_string_equal(f->fault.trace, "t");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        T(plan__tells_a_reason_for_every_file_and_changes_nothing),
        T(prune__deletes_what_the_plan_says_and_the_notes_with_it),
        T(prune__never_touches_a_copy),
        T(prune__without_a_limit_keeps_all),
        T(prune__protects_what_resume_would_load),
        T(prune__protects_a_path_however_it_is_written),
        T(prune__goes_by_the_times_of_the_files),
        T(prune__refuses_rules_that_make_no_sense),
        T(plan__whatever_fails_condemns_nothing_precious),
        T(pin__set_after_the_plan_was_made_still_protects),
        T(pin__keeps_the_other_facts_and_leaves_nothing_behind),
        T(pin__by_hand_counts_whatever_word_was_used),
        T(pin__refuses_what_is_no_checkpoint),
        T(notes__locked_for_long_stop_a_pin_but_not_a_run),
        T(notes__lock_is_tried_again_when_its_file_was_exchanged),
        T(notes__lock_of_a_killed_process_is_swept),
        T(notes__removing_a_fact_keeps_the_others),
        T(save_now__is_taken_once_and_answered_after_the_save),
        T(save_now__outlives_the_process_that_took_it),
        T(save_now__that_cannot_be_taken_asks_for_nothing),
        T(save_now__costs_one_call_a_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
