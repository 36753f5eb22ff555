/* Large loads: several reads at once, past the cache, from files of any layout. */
#include "unit/ckpt/ckpt_kit.h"

#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

/* More than what is read through the cache by one thread. */
enum { BIG_ROWS = 9 * 1024, ODD_FLOATS = 1234567 };

/* The real system, with records and refusals. */
typedef struct watched_os {
    crn_os os;
    _Atomic int direct_fd; /* -1: none was asked for */
    _Atomic unsigned direct_reads;
    _Atomic unsigned cached_reads;
    bool refuses_direct;    /* set_direct fails */
    bool refuses_transfers; /* reads that should be direct fail with EINVAL */
    int read_errno;         /* of all reads in pieces; 0: none */
} watched_os;

static int watched_set_direct(const crn_os *os, int fd)
{
    watched_os *const w = os->self;
    if (w->refuses_direct)
        return EINVAL;
    atomic_store(&w->direct_fd, fd);
    return 0; /* Whatever the file system can: alignment is checked here. */
}

static int watched_read_parts(const crn_os *os, int fd, const crn_os_part *parts, size_t count,
                              uint64_t offset, size_t *out_got)
{
    watched_os *const w = os->self;
    const bool is_direct = fd == atomic_load(&w->direct_fd);
    (void)atomic_fetch_add(is_direct ? &w->direct_reads : &w->cached_reads, 1);
    if (w->read_errno != 0)
        return w->read_errno;
    if (is_direct && w->refuses_transfers)
        return EINVAL;
    assert_true(!is_direct || offset % CAIRN_PAGE_BYTES == 0);
    for (size_t i = 0; is_direct && i < count; i++) {
        assert_int_equal((uintptr_t)parts[i].bytes % CAIRN_PAGE_BYTES, 0);
        assert_int_equal(parts[i].size % CAIRN_PAGE_BYTES, 0);
    }
    return crn_os_posix()->read_parts(os, fd, parts, count, offset, out_got);
}

static watched_os watched(void)
{
    return (watched_os){.os = *ck_os(), .direct_fd = -1};
}

static const crn_os *table_of(watched_os *w)
{
    w->os.set_direct = watched_set_direct;
    w->os.read_parts = watched_read_parts;
    w->os.self = w;
    return &w->os;
}

/* Large tensors with and without a rest of a page, small ones between them, an empty one. */
static cairn_state_tree *mixed_tree(void)
{
    cairn_state_tree *const tree = ck_empty_tree();
    cairn_state *const model = ck_state(tree, "model");
    (void)ck_add(model, "a", CAIRN_DTYPE_F32, BIG_ROWS, 256);
    (void)ck_add(model, "b", CAIRN_DTYPE_F32, 3, 0);
    (void)ck_add(model, "c", CAIRN_DTYPE_F32, ODD_FLOATS, 0);
    (void)ck_add(model, "d", CAIRN_DTYPE_U8, 17, 0);
    (void)ck_add(model, "e", CAIRN_DTYPE_F32, 0, 4);
    cairn_state *const optimizer = ck_state(tree, "optimizer");
    for (int i = 0; i < 40; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "m%d", i);
        (void)ck_add(optimizer, name, CAIRN_DTYPE_F32, 1000 * (i + 1) + i, 0);
    }
    ck_allocate(tree);
    return tree;
}

static void save_mixed(const char *dir, char path[TK_PATH_SIZE])
{
    cairn_state_tree *const tree = mixed_tree();
    ck_fill(tree, 5);
    cairn_store *const store = ck_open(ck_os(), dir);
    (void)snprintf(path, TK_PATH_SIZE, "%s", ck_save(store, tree, 1).path);
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
}

/* Loads through @w; the arena must be what was saved. */
static void assert_loads_whole(watched_os *w, const char *path)
{
    cairn_error err = {0};
    cairn_state_tree *const tree = mixed_tree();
    cairn_state_tree *const want = mixed_tree();
    ck_fill(want, 5);
    tk_assert_ok(ck_try_load(table_of(w), path, tree, NULL, NULL, &err), &err);
    assert_memory_equal(cairn_state_tree_arena(tree), cairn_state_tree_arena(want),
                        cairn_state_tree_bytes(tree));
    cairn_state_tree_destroy(want);
    cairn_state_tree_destroy(tree);
}

static void load__reads_a_large_file_past_the_cache(void **state)
{
    char path[TK_PATH_SIZE];
    watched_os w = watched();
    save_mixed(*state, path);
    assert_loads_whole(&w, path);
    assert_true(w.direct_reads >= 4);
    assert_int_equal(w.cached_reads, 0);
}

static void load__goes_through_the_cache_where_it_must(void **state)
{
    char path[TK_PATH_SIZE];
    save_mixed(*state, path);
    watched_os w = watched();
    w.refuses_direct = true;
    assert_loads_whole(&w, path);
    assert_int_equal(w.direct_reads, 0);
    assert_true(w.cached_reads >= 4);

    w = watched();
    w.refuses_transfers = true;
    assert_loads_whole(&w, path);
    assert_true(w.direct_reads > 0 && w.cached_reads >= 4);
}

/* The second descriptor is of another file: the first one's bytes are loaded. */
static void load__is_of_the_file_that_was_opened(void **state)
{
    const char *const dir = *state;
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    char other[TK_PATH_SIZE];
    cairn_checkpoint *ckpt = NULL;
    watched_os w = watched();
    save_mixed(dir, path);
    size_t size = 0;
    char *const bytes = tk_read_file(dir, "checkpoint_1.mdl", &size);
    bytes[size / 2] ^= 1;
    tk_write_file(dir, "other", bytes, size);
    free(bytes);
    cairn_state_tree *const tree = mixed_tree();
    tk_assert_ok(crn_checkpoint_open_os(table_of(&w), path, &ckpt, &err), &err);
    assert_int_equal(rename(tk_join(other, dir, "other"), path), 0);
    const cairn_load_options options = {.struct_size = sizeof options};
    tk_assert_ok(cairn_checkpoint_load(ckpt, tree, &options, NULL, &err), &err);
    assert_int_equal(w.direct_reads, 0);
    cairn_checkpoint_close(ckpt);
    cairn_state_tree_destroy(tree);
}

static void load__names_the_first_damaged_chunk(void **state)
{
    const char *const dir = *state;
    static const double k_places[] = {0.9, 0.3, 0.6};
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    char part[64];
    size_t size = 0;
    save_mixed(dir, path);
    char *const bytes = tk_read_file(dir, "checkpoint_1.mdl", &size);
    cairn_state_tree *const tree = mixed_tree();
    for (size_t i = 0; i < 3; i++)
        bytes[(size_t)((double)size * k_places[i])] ^= 8;
    tk_write_file(dir, "checkpoint_1.mdl", bytes, size);
    for (int i = 0; i < 20; i++) {
        watched_os w = watched();
        tk_assert_status(ck_try_load(table_of(&w), path, tree, NULL, NULL, &err), CAIRN_ECORRUPT,
                         &err);
        tk_assert_error_has(&err, "tensor 'model.a' does not match its digest");
        if (i == 0) { /* The same place each time. */
            char text[1024];
            (void)cairn_error_format(&err, text, sizeof text);
            const char *const between = strstr(text, "between");
            assert_non_null(between);
            (void)snprintf(part, sizeof part, "%.40s", between);
        }
        tk_assert_error_has(&err, part);
    }
    free(bytes);
    cairn_state_tree_destroy(tree);
}

static void load__tells_a_read_error_and_leaks_nothing(void **state)
{
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    save_mixed(*state, path);
    cairn_state_tree *const tree = mixed_tree();
    uint64_t n = 1;
    for (bool has_fired = true; has_fired; n++) {
        tk_fault_os fault;
        tk_fault_init(&fault);
        fault.real = ck_os();
        fault.fail_op = 'r';
        fault.fail_at = n;
        const cairn_status rc = ck_try_load(&fault.os, path, tree, NULL, NULL, &err);
        has_fired = fault.failed > 0;
        tk_assert_status(rc, has_fired ? CAIRN_EIO : CAIRN_OK, &err);
        assert_int_equal(tk_fault_open_count(&fault), 0);
        tk_fault_dispose(&fault);
    }
    assert_true(n > 6);
    cairn_state_tree_destroy(tree);
}

/* A plain file: nothing lies on a page, and the file ends in the middle of one. */
static void load__takes_tensors_that_lie_anywhere(void **state)
{
    enum { FLOATS = 5 * 1024 * 1024 };
    const char *const dir = *state;
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    char header[256];
    watched_os w = watched();
    const uint64_t bytes = 4ULL * FLOATS;
    const int length =
        snprintf(header + 8, sizeof header - 8,
                 "{\"model.a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]},"
                 "\"model.b\":{\"dtype\":\"F32\",\"shape\":[%d],\"data_offsets\":[12,%llu]}}",
                 FLOATS, (unsigned long long)(12 + bytes));
    const uint64_t word = (uint64_t)length;
    memcpy(header, &word, sizeof word);
    const size_t size = 8 + (size_t)length + 12 + bytes;
    char *const file = malloc(size);
    assert_non_null(file);
    memcpy(file, header, 8 + (size_t)length);
    for (size_t i = 8 + (size_t)length; i < size; i++)
        file[i] = (char)(i * 2654435761U >> 13);
    tk_write_file(dir, "plain", file, size);

    cairn_state_tree *const tree = ck_empty_tree();
    cairn_state *const model = ck_state(tree, "model");
    const cairn_tensor *const a = ck_add(model, "a", CAIRN_DTYPE_F32, 3, 0);
    const cairn_tensor *const b = ck_add(model, "b", CAIRN_DTYPE_F32, FLOATS, 0);
    ck_allocate(tree);
    tk_assert_ok(ck_try_load(table_of(&w), tk_join(path, dir, "plain"), tree, NULL, NULL, &err),
                 &err);
    assert_memory_equal(a->data, file + 8 + length, 12);
    assert_memory_equal(b->data, file + 8 + length + 12, bytes);
    assert_true(w.direct_reads >= 4);
    assert_int_equal(w.cached_reads, 1); /* The last page is not whole. */
    free(file);
    cairn_state_tree_destroy(tree);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, tk_temp_setup, tk_temp_teardown)
    const struct CMUnitTest tests[] = {
        T(load__reads_a_large_file_past_the_cache),
        T(load__goes_through_the_cache_where_it_must),
        T(load__is_of_the_file_that_was_opened),
        T(load__names_the_first_damaged_chunk),
        T(load__tells_a_read_error_and_leaks_nothing),
        T(load__takes_tensors_that_lie_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
