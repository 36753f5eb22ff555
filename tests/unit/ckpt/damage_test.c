/* Every single damaged bit is noticed. */
#include "unit/ckpt/ckpt_kit.h"

#include <fcntl.h>
#include <unistd.h>

/* A tree whose checkpoint has 8 KiB. */
static cairn_state_tree *tiny_tree(void)
{
    cairn_state_tree *const tree = ck_empty_tree();
    (void)ck_add(ck_state(tree, "model"), "w", CAIRN_DTYPE_F32, 3, 0);
    (void)ck_state(tree, "global_step");
    ck_allocate(tree);
    ck_fill(tree, 3);
    return tree;
}

typedef struct tiny {
    char path[TK_PATH_SIZE];
    cairn_state_tree *tree;
    char *good;
    size_t size;
    size_t data_begin;
    int fd;
} tiny;

static void tiny_open(tiny *t, const char *dir)
{
    t->tree = tiny_tree();
    cairn_store *const store = ck_open(ck_os(), dir);
    (void)ck_save(store, t->tree, 1);
    cairn_store_close(store);
    (void)tk_join(t->path, dir, "checkpoint_1.mdl");
    t->good = tk_read_file(dir, "checkpoint_1.mdl", &t->size);
    t->data_begin = t->size - (size_t)cairn_state_tree_bytes(t->tree);
    assert_true(t->size <= 16384);
    t->fd = open(t->path, O_RDWR | O_CLOEXEC);
    assert_true(t->fd >= 0);
}

static void tiny_close(tiny *t)
{
    (void)close(t->fd);
    free(t->good);
    cairn_state_tree_destroy(t->tree);
}

static void flip(const tiny *t, size_t at, int bit)
{
    const char damaged = (char)(t->good[at] ^ (1 << bit));
    assert_int_equal(pwrite(t->fd, &damaged, 1, (off_t)at), 1);
}

static void mend(const tiny *t, size_t at)
{
    assert_int_equal(pwrite(t->fd, t->good + at, 1, (off_t)at), 1);
}

static cairn_status try_verify(const tiny *t, cairn_damage_fn fn, void *user)
{
    cairn_checkpoint *ckpt = NULL;
    cairn_status rc = cairn_checkpoint_open(t->path, &ckpt, NULL);
    if (rc == CAIRN_OK)
        rc = cairn_checkpoint_verify(ckpt, fn, user, NULL);
    cairn_checkpoint_close(ckpt);
    return rc;
}

static void open__notices_every_bit_of_the_header(void **state)
{
    tiny t;
    tiny_open(&t, *state);
    for (size_t at = 0; at < t.data_begin; at++) {
        for (int bit = 0; bit < 8; bit++) {
            cairn_checkpoint *ckpt = NULL;
            flip(&t, at, bit);
            const cairn_status rc = cairn_checkpoint_open(t.path, &ckpt, NULL);
            cairn_checkpoint_close(ckpt);
            mend(&t, at);
            if (rc != CAIRN_ECORRUPT)
                fail_msg("bit %d of byte %zu: %s", bit, at, cairn_status_name(rc));
        }
    }
    assert_int_equal(try_verify(&t, NULL, NULL), CAIRN_OK);
    tiny_close(&t);
}

static void load__notices_every_bit_of_a_tensor(void **state)
{
    tiny t;
    tiny_open(&t, *state);
    for (size_t i = 0; i < 12; i++) {
        for (int bit = 0; bit < 8; bit++) {
            flip(&t, t.data_begin + i, bit);
            assert_int_equal(ck_try_load(ck_os(), t.path, t.tree, NULL, NULL, NULL),
                             CAIRN_ECORRUPT);
            mend(&t, t.data_begin + i);
        }
    }
    assert_int_equal(ck_try_load(ck_os(), t.path, t.tree, NULL, NULL, NULL), CAIRN_OK);
    tiny_close(&t);
}

static void verify__notices_every_byte_of_the_data(void **state)
{
    tiny t;
    tiny_open(&t, *state);
    for (size_t at = t.data_begin; at < t.size; at++) {
        flip(&t, at, (int)(at % 8));
        assert_int_equal(try_verify(&t, NULL, NULL), CAIRN_ECORRUPT);
        mend(&t, at);
    }
    assert_int_equal(try_verify(&t, NULL, NULL), CAIRN_OK);
    tiny_close(&t);
}

static void open__notices_every_other_length(void **state)
{
    tiny t;
    tiny_open(&t, *state);
    assert_int_equal(ftruncate(t.fd, (off_t)t.size + 1), 0);
    assert_int_equal(try_verify(&t, NULL, NULL), CAIRN_ECORRUPT);
    for (size_t size = t.size; size-- > 0;) {
        cairn_checkpoint *ckpt = NULL;
        assert_int_equal(ftruncate(t.fd, (off_t)size), 0);
        const cairn_status rc = cairn_checkpoint_open(t.path, &ckpt, NULL);
        cairn_checkpoint_close(ckpt);
        if (rc != CAIRN_ECORRUPT)
            fail_msg("%zu bytes: %s", size, cairn_status_name(rc));
    }
    tiny_close(&t);
}

typedef struct damages {
    size_t count;
    char tensor[64];
    uint64_t offset;
    uint64_t bytes;
} damages;

static void note_damage(void *user, const cairn_damage *damage)
{
    damages *const d = user;
    d->count++;
    (void)snprintf(d->tensor, sizeof d->tensor, "%s", damage->tensor != NULL ? damage->tensor : "");
    d->offset = damage->offset;
    d->bytes = damage->bytes;
}

static void verify__names_the_damaged_chunk(void **state)
{
    enum { ROWS = 10000, CHUNK = 4 * 1024 * 1024 }; /* 10,240,000 bytes: three chunks */
    const char *const dir = *state;
    cairn_error err = {0};
    tiny t;
    damages found = {0};
    cairn_checkpoint *ckpt = NULL;
    t.tree = ck_tree(ROWS);
    ck_fill(t.tree, 1);
    cairn_store *const store = ck_open(ck_os(), dir);
    (void)ck_save(store, t.tree, 1);
    cairn_store_close(store);
    (void)tk_join(t.path, dir, "checkpoint_1.mdl");
    t.good = tk_read_file(dir, "checkpoint_1.mdl", &t.size);
    t.fd = open(t.path, O_RDWR | O_CLOEXEC);
    assert_true(t.fd >= 0);

    tk_assert_ok(cairn_checkpoint_open(t.path, &ckpt, &err), &err);
    const cairn_file_tensor *const big = cairn_checkpoint_tensor_at(ckpt, 2);
    assert_string_equal(big->name, "model.big.weight");
    assert_int_equal(big->offset % 4096, 0);
    flip(&t, (size_t)big->offset + CHUNK + 5, 0);
    const uint64_t want = big->offset + CHUNK;
    cairn_checkpoint_close(ckpt);
    assert_int_equal(try_verify(&t, note_damage, &found), CAIRN_ECORRUPT);
    assert_int_equal(found.count, 1);
    assert_string_equal(found.tensor, "model.big.weight");
    assert_int_equal(found.offset, want);
    assert_int_equal(found.bytes, CHUNK);
    tk_assert_status(ck_try_load(ck_os(), t.path, t.tree, NULL, NULL, &err), CAIRN_ECORRUPT, &err);
    tk_assert_error_has(&err, "model.big.weight");
    tiny_close(&t);
}

static void open__says_what_is_no_checkpoint(void **state)
{
    const char *const dir = *state;
    char path[TK_PATH_SIZE];
    cairn_checkpoint *ckpt = NULL;
    cairn_error err = {0};
    tk_assert_status(cairn_checkpoint_open(tk_join(path, dir, "nothing"), &ckpt, &err),
                     CAIRN_ENOTFOUND, &err);
    tk_assert_error_has(&err, path);
    tk_assert_status(cairn_checkpoint_open(dir, &ckpt, &err), CAIRN_ECORRUPT, &err);
    tk_write_text(dir, "empty", "");
    tk_assert_status(cairn_checkpoint_open(tk_join(path, dir, "empty"), &ckpt, &err),
                     CAIRN_ECORRUPT, &err);
    tk_write_text(dir, "text", "This is no checkpoint but a text of some length.\n");
    tk_assert_status(cairn_checkpoint_open(tk_join(path, dir, "text"), &ckpt, &err), CAIRN_ECORRUPT,
                     &err);
}

/* Each call of open and load fails once: nothing passes for good, or for damaged. */
static void load__never_takes_a_read_error_for_damage(void **state)
{
    tiny t;
    tiny_open(&t, *state);
    uint64_t n = 1;
    for (bool has_fired = true; has_fired; n++) {
        tk_fault_os fault;
        tk_fault_init(&fault);
        fault.real = ck_os();
        fault.fail_at = n;
        const cairn_status rc = ck_try_load(&fault.os, t.path, t.tree, NULL, NULL, NULL);
        has_fired = fault.failed > 0;
        /* A close that fails after reading loses nothing. */
        const bool is_close = has_fired && fault.trace[n - 1] == 'c';
        assert_int_equal(rc, has_fired && !is_close ? CAIRN_EIO : CAIRN_OK);
        assert_int_equal(tk_fault_open_count(&fault), 0);
        tk_fault_dispose(&fault);
    }
    assert_true(n > 8);
    tiny_close(&t);
}

/* A file whose time of change moves on between two looks at it. */
static int stat_later(const crn_os *os, int fd, crn_file_stat *out)
{
    const int e = crn_os_posix()->stat_fd(os, fd, out);
    out->mtime_ns += (*(int64_t *)os->self)++;
    return e;
}

static void load__notices_a_file_that_changes_while_it_is_read(void **state)
{
    tiny t;
    tiny_open(&t, *state);
    cairn_error err = {0};
    cairn_checkpoint *ckpt = NULL;
    int64_t looks = 0;
    crn_os os = *crn_os_posix();
    os.self = &looks;
    os.stat_fd = stat_later;
    tk_assert_status(crn_checkpoint_open_os(&os, t.path, &ckpt, &err), CAIRN_ECORRUPT, &err);
    tk_assert_error_has(&err, "was changed while it was read");

    const cairn_load_options options = {.struct_size = sizeof options};
    os.stat_fd = crn_os_posix()->stat_fd;
    tk_assert_ok(crn_checkpoint_open_os(&os, t.path, &ckpt, &err), &err);
    os.stat_fd = stat_later;
    tk_assert_status(cairn_checkpoint_load(ckpt, t.tree, &options, NULL, &err), CAIRN_ECORRUPT,
                     &err);
    tk_assert_error_has(&err, "was changed while it was read");
    cairn_checkpoint_close(ckpt);
    tiny_close(&t);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, tk_temp_setup, tk_temp_teardown)
    const struct CMUnitTest tests[] = {
        T(open__notices_every_bit_of_the_header),
        T(load__notices_every_bit_of_a_tensor),
        T(verify__notices_every_byte_of_the_data),
        T(open__notices_every_other_length),
        T(verify__names_the_damaged_chunk),
        T(open__says_what_is_no_checkpoint),
        T(load__never_takes_a_read_error_for_damage),
        T(load__notices_a_file_that_changes_while_it_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
