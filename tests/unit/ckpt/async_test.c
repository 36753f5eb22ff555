/* Asynchronous saves: a slow writer, updates through the guard, and what the file then holds. */
#include "unit/ckpt/ckpt_kit.h"

#include <errno.h>
#include <pthread.h>

#include "ckpt/writer.h"

enum { BIG_ROWS = 9000 /* 9,216,000 bytes: three digest chunks */, STEPS = 20 };

/* ---- Short calls ---- */

static cairn_store *open_store(const crn_os *os, const char *dir, uint64_t staging)
{
    cairn_error err = {0};
    cairn_store *store = NULL;
    const cairn_run run = {.run_id = CK_RUN};
    const cairn_store_options options = {.struct_size = sizeof options,
                                         .model_dir = dir,
                                         .staging_bytes = staging,
                                         .writer_threads = 2};
    tk_assert_ok(crn_store_open_os(os, &options, &store, &err), &err);
    cairn_run_adopt(store, &run, 0);
    return store;
}

static void start(cairn_store *store, cairn_state_tree *tree, uint64_t step)
{
    cairn_error err = {0};
    cairn_save_request request = {
        .struct_size = sizeof request, .step = step, .params_json = "{\"a\": 1}"};
    tk_assert_ok(cairn_store_save_start(store, tree, &request, &err), &err);
    assert_true(cairn_store_save_is_pending(store));
}

static cairn_save_result wait_for(cairn_store *store)
{
    cairn_error err = {0};
    cairn_save_result result;
    tk_assert_ok(cairn_store_save_wait(store, &result, &err), &err);
    assert_true(result.is_durable);
    assert_false(cairn_store_save_is_pending(store));
    return result;
}

static void assert_all_free(const cairn_store *store)
{
    const crn_writer *const w = store->writer;
    assert_true(crn_blocks_is_finished(&w->blocks));
    assert_int_equal(w->blocks.free_slot_count, w->blocks.slot_count);
    for (uint32_t i = 0; i < w->blocks.count; i++)
        assert_true(crn_blocks_may_write(&w->blocks, i));
}

/* Files that are equal byte for byte. */
static void assert_same_file(const char *dir_a, const char *dir_b, const char *name)
{
    size_t size_a = 0;
    size_t size_b = 0;
    char *const a = tk_read_file(dir_a, name, &size_a);
    char *const b = tk_read_file(dir_b, name, &size_b);
    assert_int_equal(size_a, size_b);
    assert_memory_equal(a, b, size_a);
    free(a);
    free(b);
}

/* Two folders in @dir: one for the saves to test, one for what a synchronous save gives. */
static void make_folders(const char *dir, char async[TK_PATH_SIZE], char sync[TK_PATH_SIZE])
{
    (void)tk_join(async, dir, "async");
    (void)tk_join(sync, dir, "sync");
}

static void save_in_sync(const char *dir, const cairn_state_tree *tree, uint64_t step)
{
    cairn_store *const store = open_store(ck_os(), dir, 0);
    (void)ck_save(store, tree, step);
    cairn_store_close(store);
}

/* ---- Torn state ---- */

typedef struct updates {
    cairn_state_tree *tree;
    uint64_t seed;
    uint64_t steps;
} updates;

/* @steps optimizer steps: all tensors change each time, all of them through the guard. */
static void *update_main(void *argument)
{
    const updates *const u = argument;
    for (uint64_t i = 0; i < u->steps; i++) {
        for (size_t s = 0; s < cairn_state_tree_count(u->tree); s++) {
            cairn_state *const state = cairn_state_tree_at(u->tree, s);
            for (size_t t = 0; t < cairn_state_tensor_count(state); t++) {
                const cairn_tensor *const tensor = cairn_state_tensor_at(state, t);
                for (uint64_t at = 0; at < tensor->bytes; at += 1024 * 1024) {
                    const uint64_t left = tensor->bytes - at;
                    const uint64_t size = left < 1024 * 1024 ? left : 1024 * 1024;
                    uint8_t *const bytes = cairn_tensor_write_begin(u->tree, tensor, at, size);
                    memset(bytes, (int)(u->seed + i) & 0xff, (size_t)size);
                    cairn_tensor_write_end(u->tree, tensor, at, size);
                }
            }
        }
    }
    return NULL;
}

/* The writer is let forward write by write while updates run against it. */
static void try_torn_state(const char *dir, const char *name, uint64_t staging)
{
    char folder[TK_PATH_SIZE];
    char async[TK_PATH_SIZE];
    char sync[TK_PATH_SIZE];
    cairn_error err = {0};
    tk_gate_os gate;
    pthread_t thread;
    (void)tk_join(folder, dir, name);
    make_folders(folder, async, sync);
    tk_gate_init(&gate, ck_os());
    cairn_state_tree *const tree = ck_tree(BIG_ROWS);
    ck_fill(tree, 42);
    save_in_sync(sync, tree, 7);
    cairn_store *const store = open_store(&gate.os, async, staging);
    tk_assert_ok(cairn_store_attach(store, tree, &err), &err);
    store->writer->run_bytes = 0; /* A write for each block. */
    const uint64_t before = gate.arrived;
    tk_gate_set(&gate, false, 0);
    start(store, tree, 7);
    updates u = {.tree = tree, .seed = 1, .steps = STEPS};
    assert_int_equal(pthread_create(&thread, NULL, update_main, &u), 0);
    const uint64_t writes = store->writer->table.count + 1; /* and the header */
    for (uint64_t i = 1; i <= writes; i++) {
        tk_gate_await(&gate, before + i);
        tk_gate_allow(&gate, 1);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    tk_gate_set(&gate, true, 0); /* for the index */
    const cairn_save_result saved = wait_for(store);
    assert_int_equal(saved.step, 7);
    assert_int_equal(saved.save_counter, 1);
    if (staging == CAIRN_STAGING_NONE)
        assert_int_equal(saved.copied_bytes, 0);
    assert_all_free(store);
    assert_same_file(async, sync, "checkpoint_7.mdl");
    tk_assert_file_text(async, "checkpoints_index.yaml", "- checkpoint_7.mdl\n");
    ck_assert_loads(async, "checkpoint_7.mdl", BIG_ROWS, 42);
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
    tk_gate_dispose(&gate);
}

static void save__is_the_capture_whatever_is_updated_meanwhile(void **state)
{
    const char *const dir = *state;
    try_torn_state(dir, "none", CAIRN_STAGING_NONE);
    try_torn_state(dir, "one", CRN_FORMAT_CHUNK_BYTES);
    try_torn_state(dir, "default", 0);
}

/* Sets what tensors have in a block. */
static void update_span(cairn_state_tree *tree, const crn_block_span *span, int value)
{
    const cairn_state *const state = cairn_state_tree_at(tree, span->region);
    for (size_t i = 0; i < cairn_state_tensor_count(state); i++) {
        const cairn_tensor *const tensor = cairn_state_tensor_at(state, i);
        const uint64_t begin = tensor->offset > span->offset ? tensor->offset : span->offset;
        const uint64_t span_end = span->offset + span->bytes;
        const uint64_t tensor_end = tensor->offset + tensor->bytes;
        const uint64_t end = tensor_end < span_end ? tensor_end : span_end;
        if (begin >= end)
            continue;
        memset(cairn_tensor_write_begin(tree, tensor, begin - tensor->offset, end - begin), value,
               (size_t)(end - begin));
        cairn_tensor_write_end(tree, tensor, begin - tensor->offset, end - begin);
    }
}

/*
 * Two blocks are in the writers' hands and cannot be had; of the rest each fits the pool. The
 * updates that want the two wait, so the test updates the others for 20 steps.
 */
static void save__outlasts_twenty_steps_of_updates(void **state)
{
    const char *const dir = *state;
    char async[TK_PATH_SIZE];
    char sync[TK_PATH_SIZE];
    tk_gate_os gate;
    cairn_error err = {0};
    make_folders(dir, async, sync);
    tk_gate_init(&gate, ck_os());
    cairn_state_tree *const tree = ck_tree(BIG_ROWS);
    ck_fill(tree, 42);
    save_in_sync(sync, tree, 7);
    cairn_store *const store = open_store(&gate.os, async, 0);
    tk_assert_ok(cairn_store_attach(store, tree, &err), &err);
    store->writer->run_bytes = 0; /* A write for each block. */
    const uint64_t before = gate.arrived;
    tk_gate_set(&gate, false, 0);
    start(store, tree, 7);
    tk_gate_await(&gate, before + 2);
    const crn_writer *const w = store->writer;
    for (int step = 0; step < STEPS; step++) {
        for (uint32_t i = 0; i < w->table.count; i++) {
            const crn_block_span *const span = &w->table.spans[i];
            if (atomic_load(&w->blocks.blocks[i].state) == CRN_BLOCK_BUSY)
                continue;
            update_span(tree, span, step);
        }
    }
    bool is_done = true;
    cairn_save_result saved;
    tk_assert_ok(cairn_store_save_poll(store, &is_done, &saved, &err), &err);
    assert_false(is_done);
    assert_null(saved.path);
    assert_false(tk_exists(async, "checkpoint_7.mdl"));
    tk_gate_set(&gate, true, 0);
    saved = wait_for(store);
    assert_true(saved.copied_bytes > 0);
    assert_same_file(async, sync, "checkpoint_7.mdl");
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
    tk_gate_dispose(&gate);
}

/* ---- Many updaters ---- */

enum { UPDATERS = 3, CAPTURES = 25, STEPS_PER_CAPTURE = 3 };

typedef struct crowd {
    cairn_state_tree *tree;
    pthread_barrier_t step; /* begins and ends each update, as an optimizer's join does */
} crowd;

typedef struct member {
    crowd *all;
    uint64_t number;
} member;

/* In each step every updater changes its own bytes of every tensor, in an order of its own; small
 * tensors share blocks, so that several want the same one. */
static void *member_main(void *argument)
{
    const member *const m = argument;
    cairn_state_tree *const tree = m->all->tree;
    for (int i = 0; i < CAPTURES * STEPS_PER_CAPTURE; i++) {
        (void)pthread_barrier_wait(&m->all->step);
        for (size_t s = 0; s < 2; s++) {
            const cairn_state *const state = cairn_state_tree_at(tree, (s + m->number) % 2);
            for (size_t t = 0; t < cairn_state_tensor_count(state); t++) {
                const cairn_tensor *const tensor = cairn_state_tensor_at(state, t);
                const uint64_t part = tensor->bytes / UPDATERS;
                const uint64_t at = part * m->number;
                uint8_t *const bytes = cairn_tensor_write_begin(tree, tensor, at, part);
                for (uint64_t k = 0; k < part; k += 61)
                    bytes[k]++;
                cairn_tensor_write_end(tree, tensor, at, part);
            }
        }
        (void)pthread_barrier_wait(&m->all->step);
    }
    return NULL;
}

static void try_crowd(const char *dir, const char *name, uint64_t staging)
{
    char folder[TK_PATH_SIZE];
    cairn_error err = {0};
    crowd all = {.tree = ck_tree(BIG_ROWS)};
    member members[UPDATERS];
    pthread_t threads[UPDATERS];
    const uint64_t bytes = cairn_state_tree_bytes(all.tree);
    uint8_t *const captured = malloc(bytes);
    ck_fill(all.tree, 1);
    cairn_store *const store = open_store(ck_os(), tk_join(folder, dir, name), staging);
    tk_assert_ok(cairn_store_attach(store, all.tree, &err), &err);
    assert_int_equal(pthread_barrier_init(&all.step, NULL, UPDATERS + 1), 0);
    for (uint64_t i = 0; i < UPDATERS; i++) {
        members[i] = (member){.all = &all, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, member_main, &members[i]), 0);
    }
    for (uint64_t i = 1; i <= CAPTURES; i++) {
        char file[64];
        size_t size = 0;
        memcpy(captured, cairn_state_tree_arena(all.tree), bytes);
        start(store, all.tree, i);
        for (int j = 0; j < 2 * STEPS_PER_CAPTURE; j++)
            (void)pthread_barrier_wait(&all.step);
        const cairn_save_result saved = wait_for(store);
        assert_true(staging != CAIRN_STAGING_NONE || saved.copied_bytes == 0);
        assert_all_free(store);
        (void)snprintf(file, sizeof file, "checkpoint_%d.mdl", (int)i);
        char *const text = tk_read_file(folder, file, &size);
        assert_memory_equal(text + size - bytes, captured, bytes);
        free(text);
        tk_assert_ok(cairn_store_delete(store, saved.path, &err), &err);
    }
    for (size_t i = 0; i < UPDATERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    (void)pthread_barrier_destroy(&all.step);
    cairn_store_close(store);
    free(captured);
    cairn_state_tree_destroy(all.tree);
}

static void save__holds_against_many_updaters(void **state)
{
    const char *const dir = *state;
    try_crowd(dir, "none", CAIRN_STAGING_NONE);
    try_crowd(dir, "one", CRN_FORMAT_CHUNK_BYTES);
    try_crowd(dir, "default", 0);
}

/* As many writes as runs of 4 MiB need, instead of one a block: of equal tensors of half a MiB. */
static void save__writes_blocks_in_a_row_with_one_call(void **state)
{
    enum { TENSORS = 64 };
    const char *const dir = *state;
    cairn_error err = {0};
    tk_gate_os gate;
    tk_gate_init(&gate, ck_os());
    cairn_state_tree *const tree = ck_empty_tree();
    cairn_state *const model = ck_state(tree, "model");
    for (int i = 0; i < TENSORS; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "t%d", i);
        (void)ck_add(model, name, CAIRN_DTYPE_F32, 128 * 1024, 0);
    }
    ck_allocate(tree);
    ck_fill(tree, 3);
    cairn_store *const store = open_store(&gate.os, dir, 0);
    tk_assert_ok(cairn_store_attach(store, tree, &err), &err);
    assert_int_equal(store->writer->table.count, TENSORS);
    const uint64_t before = gate.arrived;
    start(store, tree, 1);
    crn_writer_wait(store->writer);
    /* 32 MiB by 4, the header, and the index. */
    assert_int_equal(gate.arrived - before, 8 + 2);
    (void)wait_for(store);
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
    tk_gate_dispose(&gate);
}

/* ---- Several files, several saves ---- */

static void save__writes_extras_of_the_same_capture(void **state)
{
    const char *const dir = *state;
    char async[TK_PATH_SIZE];
    char sync[TK_PATH_SIZE];
    cairn_error err = {0};
    cairn_save_result saved;
    make_folders(dir, async, sync);
    cairn_state_tree *const tree = ck_tree(BIG_ROWS);
    ck_fill(tree, 3);
    cairn_save_extra extras[] = {
        {.states = "optimizer,global_step", .name_template = "{checkpoint_states}_{ckpt_name}"},
        {.states = "model", .name_template = "{checkpoint_states}_{ckpt_name}"},
        {.states = "global_step", .name_template = "values_{ckpt_name}"},
    };
    cairn_save_request request = {
        .struct_size = sizeof request, .step = 9, .extras = extras, .extra_count = 3};
    cairn_store *store = open_store(ck_os(), sync, 0);
    tk_assert_ok(cairn_store_save(store, tree, &request, &saved, &err), &err);
    const uint64_t bytes = saved.bytes;
    cairn_store_close(store);
    store = open_store(ck_os(), async, 0);
    tk_assert_ok(cairn_store_save_start(store, tree, &request, &err), &err);
    ck_fill(tree, 4);
    saved = wait_for(store);
    assert_int_equal(saved.bytes, bytes);
    assert_int_equal(saved.extra_count, 3);
    char path[TK_PATH_SIZE];
    assert_string_equal(saved.extra_paths[1], tk_join(path, async, "model_checkpoint_9.mdl"));
    cairn_store_close(store);
    static const char *const k_names[] = {"checkpoint_9.mdl", "model_checkpoint_9.mdl",
                                          "optimizer_global_step_checkpoint_9.mdl",
                                          "values_checkpoint_9.mdl"};
    for (size_t i = 0; i < sizeof k_names / sizeof k_names[0]; i++)
        assert_same_file(async, sync, k_names[i]);
    tk_assert_list(async, ".cairn.lock checkpoint_9.mdl checkpoints_index.yaml "
                          "model_checkpoint_9.mdl optimizer_global_step_checkpoint_9.mdl "
                          "values_checkpoint_9.mdl");
    cairn_state_tree_destroy(tree);
}

static void save__may_follow_another(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    cairn_state_tree *const tree = ck_tree(BIG_ROWS);
    cairn_store *const store = open_store(ck_os(), dir, CRN_FORMAT_CHUNK_BYTES);
    for (uint64_t i = 1; i <= 5; i++) {
        cairn_save_request request = {.struct_size = sizeof request, .step = i};
        ck_fill(tree, i);
        start(store, tree, i);
        tk_assert_status(cairn_store_save_start(store, tree, &request, &err), CAIRN_EINVAL, &err);
        cairn_save_result none;
        tk_assert_status(cairn_store_save(store, tree, &request, &none, &err), CAIRN_EINVAL, &err);
        ck_fill(tree, 100 + i);
        assert_int_equal(wait_for(store).save_counter, i);
    }
    (void)ck_save(store, tree, 6); /* A save that is waited for goes well with the guard. */
    cairn_store_close(store);
    char name[64];
    for (uint64_t i = 1; i <= 5; i++) {
        (void)snprintf(name, sizeof name, "checkpoint_%d.mdl", (int)i);
        ck_assert_loads(dir, name, BIG_ROWS, i);
    }
    ck_assert_loads(dir, "checkpoint_6.mdl", BIG_ROWS, 105);
    cairn_state_tree_destroy(tree);
}

static void save__is_told_by_poll_and_only_once(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    bool is_done = true;
    cairn_save_result saved;
    cairn_state_tree *const tree = ck_tree(10);
    ck_fill(tree, 1);
    cairn_store *const store = open_store(ck_os(), dir, 0);
    tk_assert_status(cairn_store_save_poll(store, &is_done, &saved, &err), CAIRN_EINVAL, &err);
    tk_assert_status(cairn_store_save_wait(store, &saved, &err), CAIRN_EINVAL, &err);
    start(store, tree, 1);
    crn_writer_wait(store->writer);
    /* Published before anybody asked, and in the index. */
    assert_true(tk_exists(dir, "checkpoint_1.mdl"));
    tk_assert_file_text(dir, "checkpoints_index.yaml", "- checkpoint_1.mdl\n");
    tk_assert_ok(cairn_store_save_poll(store, &is_done, &saved, &err), &err);
    assert_true(is_done && saved.is_durable);
    tk_assert_status(cairn_store_save_poll(store, &is_done, &saved, &err), CAIRN_EINVAL, &err);
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
}

static void close__waits_for_the_save(void **state)
{
    const char *const dir = *state;
    cairn_state_tree *const tree = ck_tree(BIG_ROWS);
    ck_fill(tree, 8);
    cairn_store *const store = open_store(ck_os(), dir, 0);
    start(store, tree, 8);
    cairn_store_close(store);
    ck_assert_loads(dir, "checkpoint_8.mdl", BIG_ROWS, 8);
    ck_fill(tree, 9); /* The tree has its own guard again. */
    cairn_state_tree_destroy(tree);
}

static void start__refuses_a_capture_in_the_middle_of_an_update(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    cairn_state_tree *const tree = ck_tree(10);
    cairn_store *const store = open_store(ck_os(), dir, 0);
    tk_assert_ok(cairn_store_attach(store, tree, &err), &err);
    const cairn_tensor *const tensor =
        cairn_state_tensor_at(cairn_state_tree_find(tree, "model"), 0);
    cairn_save_request request = {.struct_size = sizeof request, .step = 1};
    (void)cairn_tensor_write_begin(tree, tensor, 0, 4);
    tk_assert_status(cairn_store_save_start(store, tree, &request, &err), CAIRN_EINVAL, &err);
    cairn_tensor_write_end(tree, tensor, 0, 4);
    tk_assert_ok(cairn_store_save_start(store, tree, &request, &err), &err);
    (void)wait_for(store);
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
}

static void start__captures_the_values_too(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    tk_gate_os gate;
    tk_gate_init(&gate, ck_os());
    cairn_state_tree *const tree = ck_tree(10);
    ck_fill(tree, 5);
    cairn_store *const store = open_store(&gate.os, dir, 0);
    tk_assert_ok(cairn_store_attach(store, tree, &err), &err);
    tk_gate_set(&gate, false, 0);
    start(store, tree, 5);
    cairn_state *const step = cairn_state_tree_find(tree, "global_step");
    tk_assert_ok(cairn_state_set_u64(step, "step", 6, &err), &err);
    tk_assert_ok(cairn_state_set_u64(step, "other", 6, &err), &err);
    tk_gate_set(&gate, true, 0);
    (void)wait_for(store);
    cairn_store_close(store);
    ck_assert_loads(dir, "checkpoint_5.mdl", 10, 5);
    cairn_state_tree_destroy(tree);
    tk_gate_dispose(&gate);
}

static void save__of_a_tree_without_tensors(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    cairn_state_tree *const tree = ck_empty_tree();
    cairn_state *const step = ck_state(tree, "global_step");
    (void)ck_add(step, "empty", CAIRN_DTYPE_F32, 0, 4);
    ck_allocate(tree);
    tk_assert_ok(cairn_state_set_u64(step, "step", 6, &err), &err);
    cairn_store *const store = open_store(ck_os(), dir, 0);
    start(store, tree, 1);
    const cairn_save_result saved = wait_for(store);
    cairn_checkpoint *ckpt = NULL;
    tk_assert_ok(cairn_checkpoint_open(saved.path, &ckpt, &err), &err);
    tk_assert_ok(cairn_checkpoint_verify(ckpt, NULL, NULL, &err), &err);
    cairn_checkpoint_close(ckpt);
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
}

/* ---- Ways of writing ---- */

static void save__works_whatever_the_file_system_refuses(void **state)
{
    const char *const dir = *state;
    static const struct {
        const char *name;
        bool is_direct_off;
        bool is_uncached_off;
        crn_write_mode want;
    } k_rows[] = {
        {"uncached", true, false, CRN_WRITE_UNCACHED},
        {"flushed", true, true, CRN_WRITE_FLUSHED},
    };
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        char folder[TK_PATH_SIZE];
        tk_gate_os gate;
        tk_gate_init(&gate, ck_os());
        gate.is_direct_off = k_rows[i].is_direct_off;
        gate.is_uncached_off = k_rows[i].is_uncached_off;
        cairn_state_tree *const tree = ck_tree(BIG_ROWS);
        ck_fill(tree, 2);
        (void)tk_join(folder, dir, k_rows[i].name);
        cairn_store *const store = open_store(&gate.os, folder, 0);
        start(store, tree, 1);
        /* A kernel without RWF_DONTCACHE takes the next way. */
        assert_true(store->writer->mode == k_rows[i].want ||
                    store->writer->mode == CRN_WRITE_FLUSHED);
        (void)wait_for(store);
        cairn_store_close(store);
        tk_assert_list(folder, ".cairn.lock checkpoint_1.mdl checkpoints_index.yaml");
        ck_assert_loads(folder, "checkpoint_1.mdl", BIG_ROWS, 2);
        cairn_state_tree_destroy(tree);
        tk_gate_dispose(&gate);
    }
}

/* ---- Failures ---- */

/* A write fails while updates wait for blocks: they go on, and nothing is left. */
static void save__that_fails_frees_all_blocks(void **state)
{
    const char *const dir = *state;
    static const uint64_t k_staging[] = {CAIRN_STAGING_NONE, CRN_FORMAT_CHUNK_BYTES, 0};
    cairn_error err = {0};
    for (size_t i = 0; i < 3; i++) {
        char folder[TK_PATH_SIZE];
        char name[16];
        tk_gate_os gate;
        pthread_t thread;
        cairn_save_result saved;
        (void)snprintf(name, sizeof name, "%zu", i);
        (void)tk_join(folder, dir, name);
        tk_gate_init(&gate, ck_os());
        cairn_state_tree *const tree = ck_tree(BIG_ROWS);
        ck_fill(tree, 2);
        cairn_store *const store = open_store(&gate.os, folder, k_staging[i]);
        (void)ck_save(store, tree, 1);
        tk_assert_ok(cairn_store_attach(store, tree, &err), &err);
        const uint64_t before = gate.arrived;
        tk_gate_set(&gate, false, ENOSPC);
        start(store, tree, 2);
        updates u = {.tree = tree, .seed = 1, .steps = 2};
        assert_int_equal(pthread_create(&thread, NULL, update_main, &u), 0);
        tk_gate_await(&gate, before + 1);
        tk_gate_set(&gate, true, ENOSPC);
        assert_int_equal(pthread_join(thread, NULL), 0);
        tk_assert_status(cairn_store_save_wait(store, &saved, &err), CAIRN_ENOSPACE, &err);
        tk_assert_error_has(&err, "save step 2");
        assert_int_equal(err.os_errno, ENOSPC);
        assert_false(saved.is_durable);
        assert_null(saved.path);
        assert_all_free(store);
        tk_assert_list(folder, ".cairn.lock checkpoint_1.mdl checkpoints_index.yaml");
        ck_assert_loads(folder, "checkpoint_1.mdl", BIG_ROWS, 2);
        tk_gate_set(&gate, true, 0);
        ck_fill(tree, 3);
        start(store, tree, 3);
        assert_int_equal(wait_for(store).save_counter, 2);
        ck_assert_loads(folder, "checkpoint_3.mdl", BIG_ROWS, 3);
        cairn_store_close(store);
        cairn_state_tree_destroy(tree);
        tk_gate_dispose(&gate);
    }
}

static cairn_status save_with_extra(cairn_store *store, cairn_state_tree *tree,
                                    cairn_save_result *out, cairn_error *err)
{
    cairn_save_extra extra = {.states = "model",
                              .name_template = "{checkpoint_states}_{ckpt_name}"};
    cairn_save_request request = {
        .struct_size = sizeof request, .step = 2, .extras = &extra, .extra_count = 1};
    *out = (cairn_save_result){0};
    const cairn_status rc = cairn_store_save_start(store, tree, &request, err);
    return rc == CAIRN_OK ? cairn_store_save_wait(store, out, err) : rc;
}

/* Whatever call fails: what is there is whole, and the store serves on. */
static bool try_failing_call(const char *parent, uint64_t n)
{
    char dir[TK_PATH_SIZE];
    char name[32];
    cairn_error err = {0};
    cairn_save_result saved;
    tk_fault_os fault;
    (void)snprintf(name, sizeof name, "%d", (int)n);
    (void)tk_join(dir, parent, name);
    cairn_state_tree *const tree = ck_tree(0);
    ck_fill(tree, 2);
    tk_fault_init(&fault);
    fault.real = ck_os();
    cairn_store *const store = open_store(&fault.os, dir, 0);
    tk_assert_ok(cairn_store_attach(store, tree, &err), &err);
    const int open_before = tk_fault_open_count(&fault);
    tk_fault_reset(&fault);
    fault.fail_at = n;
    fault.fail_errno = EIO;
    const cairn_status rc = save_with_extra(store, tree, &saved, &err);
    const bool has_fired = fault.failed > 0;
    assert_true(rc == CAIRN_OK || rc == CAIRN_EIO || rc == CAIRN_EUNKNOWN);
    assert_int_equal(tk_exists(dir, "checkpoint_2.mdl"), saved.path != NULL);
    if (rc == CAIRN_OK)
        assert_true(saved.is_durable && saved.extra_paths[0] != NULL);
    if (saved.path != NULL)
        ck_assert_loads(dir, "checkpoint_2.mdl", 0, 2);
    assert_all_free(store);
    assert_int_equal(tk_fault_open_count(&fault), open_before);
    char *const names = tk_list(dir);
    if (fault.trace[n - 1] != 'u')
        assert_null(strstr(names, ".part"));
    free(names);
    tk_fault_reset(&fault);
    ck_fill(tree, 3);
    start(store, tree, 3);
    assert_int_equal(wait_for(store).save_counter, saved.path != NULL ? 2 : 1);
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
    uint64_t n = 1;
    while (try_failing_call(dir, n))
        n++;
    assert_true(n > 25);
}

/* Everything from call @n on happens to a dead process; a new one finds what was committed. */
static bool try_death(const char *parent, uint64_t n)
{
    char dir[TK_PATH_SIZE];
    char name[32];
    cairn_error err = {0};
    cairn_save_result saved;
    tk_fault_os fault;
    (void)snprintf(name, sizeof name, "%d", (int)n);
    (void)tk_join(dir, parent, name);
    cairn_state_tree *const tree = ck_tree(0);
    ck_fill(tree, 1);
    cairn_store *store = open_store(ck_os(), dir, 0);
    (void)ck_save(store, tree, 1);
    cairn_store_close(store);
    ck_fill(tree, 2);
    tk_fault_init(&fault);
    fault.real = ck_os();
    store = open_store(&fault.os, dir, 0);
    tk_assert_ok(cairn_store_attach(store, tree, &err), &err);
    tk_fault_reset(&fault);
    fault.dead_at = n;
    fault.is_torn = true;
    const cairn_status rc = save_with_extra(store, tree, &saved, &err);
    const bool has_fired = fault.failed > 0;
    tk_fault_close_all(&fault);
    cairn_store_close(store);
    tk_fault_dispose(&fault);
    store = ck_open(ck_os(), dir); /* Sweeps. */
    char *const names = tk_list(dir);
    assert_null(strstr(names, ".part"));
    free(names);
    ck_assert_loads(dir, "checkpoint_1.mdl", 0, 1);
    if (rc == CAIRN_OK || saved.is_durable)
        assert_true(tk_exists(dir, "checkpoint_2.mdl"));
    if (tk_exists(dir, "checkpoint_2.mdl"))
        ck_assert_loads(dir, "checkpoint_2.mdl", 0, 2);
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
    return has_fired;
}

static void save__survives_death_at_every_call(void **state)
{
    const char *const dir = *state;
    uint64_t n = 1;
    while (try_death(dir, n))
        n++;
    assert_true(n > 25);
}

static void save__keeps_the_full_file_when_an_extra_fails(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    cairn_save_result saved;
    tk_fault_os fault;
    tk_fault_init(&fault);
    fault.real = ck_os();
    cairn_state_tree *const tree = ck_tree(0);
    ck_fill(tree, 2);
    cairn_store *const store = open_store(&fault.os, dir, 0);
    tk_assert_ok(cairn_store_attach(store, tree, &err), &err);
    tk_fault_reset(&fault);
    fault.fail_op = 'v';
    fault.fail_at = 2;
    fault.fail_errno = ENOSPC;
    tk_assert_status(save_with_extra(store, tree, &saved, &err), CAIRN_ENOSPACE, &err);
    tk_assert_error_has(&err, "alternative checkpoint '{checkpoint_states}_{ckpt_name}'");
    assert_true(saved.is_durable);
    assert_non_null(saved.path);
    assert_null(saved.extra_paths[0]);
    tk_assert_list(dir, ".cairn.lock checkpoint_2.mdl checkpoints_index.yaml");
    ck_assert_loads(dir, "checkpoint_2.mdl", 0, 2);
    cairn_store_close(store);
    tk_fault_dispose(&fault);
    cairn_state_tree_destroy(tree);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, tk_temp_setup, tk_temp_teardown)
    const struct CMUnitTest tests[] = {
        T(save__is_the_capture_whatever_is_updated_meanwhile),
        T(save__outlasts_twenty_steps_of_updates),
        T(save__holds_against_many_updaters),
        T(save__writes_blocks_in_a_row_with_one_call),
        T(save__writes_extras_of_the_same_capture),
        T(save__may_follow_another),
        T(save__is_told_by_poll_and_only_once),
        T(close__waits_for_the_save),
        T(start__refuses_a_capture_in_the_middle_of_an_update),
        T(start__captures_the_values_too),
        T(save__of_a_tree_without_tensors),
        T(save__works_whatever_the_file_system_refuses),
        T(save__that_fails_frees_all_blocks),
        T(save__says_so_whatever_call_fails),
        T(save__survives_death_at_every_call),
        T(save__keeps_the_full_file_when_an_extra_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
