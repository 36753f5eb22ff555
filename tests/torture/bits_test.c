/* Any one damaged bit of a checkpoint is noticed: every bit of the header, and sampled ones of the
 * data. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kit/kit.h"
#include "torture/torture.h"

enum { TENSORS = 6, FLOATS = 1000 };

#ifdef CRN_SANITIZED
enum { SAMPLES = 2000, HEADER_STEP = 61 };
#else
enum { SAMPLES = 100000, HEADER_STEP = 1 };
#endif

static void save(const char *dir, char path[TT_PATH_SIZE])
{
    cairn_error err = {0};
    cairn_state_tree *tree = NULL;
    cairn_state *model = NULL;
    cairn_store *store = NULL;
    cairn_save_result saved;
    const cairn_store_options options = {.struct_size = sizeof options, .model_dir = dir};
    cairn_save_request request = {.struct_size = sizeof request, .step = 1};
    tk_assert_ok(cairn_state_tree_new(&tree, &err), &err);
    tk_assert_ok(cairn_state_tree_add(tree, "model", &model, &err), &err);
    tk_assert_ok(cairn_state_tree_add(tree, "global_step", NULL, &err), &err);
    for (int i = 0; i < TENSORS; i++) {
        char name[32];
        (void)snprintf(name, sizeof name, "layers.%d.weight", i);
        const cairn_tensor_spec spec = {
            .name = name, .dtype = CAIRN_DTYPE_F32, .rank = 1, .shape = {FLOATS}};
        tk_assert_ok(cairn_state_add_tensor(model, &spec, NULL, &err), &err);
    }
    tk_assert_ok(cairn_state_tree_allocate(tree, &err), &err);
    tk_assert_ok(tt_tree_fill(tree, 1, &err), &err);
    tk_assert_ok(cairn_store_open(&options, &store, &err), &err);
    tk_assert_ok(cairn_store_save(store, tree, &request, &saved, &err), &err);
    (void)snprintf(path, TT_PATH_SIZE, "%s", saved.path);
    cairn_store_close(store);
    cairn_state_tree_destroy(tree);
}

/* What opening and verifying says with that bit flipped; the bit is put back. */
static cairn_status flipped(int fd, const char *path, const char *good, uint64_t bit)
{
    const off_t at = (off_t)(bit / 8);
    const char damaged = (char)(good[at] ^ (1 << bit % 8));
    cairn_checkpoint *ckpt = NULL;
    assert_int_equal(pwrite(fd, &damaged, 1, at), 1);
    cairn_status rc = cairn_checkpoint_open(path, &ckpt, NULL);
    if (rc == CAIRN_OK)
        rc = cairn_checkpoint_verify(ckpt, NULL, NULL, NULL);
    cairn_checkpoint_close(ckpt);
    assert_int_equal(pwrite(fd, good + at, 1, at), 1);
    return rc;
}

static void verify__notices_any_damaged_bit(void **state)
{
    (void)state;
    char dir[TT_PATH_SIZE];
    char path[TT_PATH_SIZE];
    char more[64];
    size_t size = 0;
    uint64_t header_bits = 0;
    tt_score header = {0};
    tt_score data = {0};
    const uint64_t seed = tt_seed();
    uint64_t random = seed;
    save(tt_temp_dir(dir), path);
    char *const good = tk_read_file(dir, "checkpoint_1.mdl", &size);
    for (int i = 7; i >= 0; i--)
        header_bits = header_bits << 8 | (uint8_t)good[i];
    header_bits = 8 * (header_bits + 8);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0 && header_bits % 32768 == 0 && header_bits < 8 * (uint64_t)size);
    for (uint64_t bit = 0; bit < header_bits; bit += HEADER_STEP) {
        const bool is_seen = flipped(fd, path, good, bit) == CAIRN_ECORRUPT;
        tt_score_add(&header, is_seen ? TT_GOOD : TT_LOST, "a bit of the header", "not noticed");
    }
    for (uint64_t i = 0; i < SAMPLES; i++) {
        const uint64_t bit = header_bits + tt_next(&random) % (8 * (uint64_t)size - header_bits);
        const bool is_seen = flipped(fd, path, good, bit) == CAIRN_ECORRUPT;
        tt_score_add(&data, is_seen ? TT_GOOD : TT_LOST, "a bit of the data", "not noticed");
    }
    (void)snprintf(more, sizeof more, "seed=%" PRIu64, seed);
    tt_score_print(&header, "one bit of the header flipped", "");
    tt_score_print(&data, "one bit of the data flipped", more);
    (void)close(fd);
    free(good);
    tk_remove_tree(dir);
    assert_int_equal(header.lost + data.lost, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(verify__notices_any_damaged_bit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
