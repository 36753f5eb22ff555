/* What the tests of the engine share: a small state tree, filled by a seed, and short calls. */
#ifndef TEST_CKPT_KIT_H
#define TEST_CKPT_KIT_H

#include "kit/kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "cairn/checkpoint.h"
#include "ckpt/store_priv.h"
#include "os/os.h"

#define CK_RUN "0123456789abcdef0123456789abcdef"

static inline const cairn_tensor *ck_add(cairn_state *state, const char *name, cairn_dtype dtype,
                                         int64_t rows, int64_t columns)
{
    cairn_error err = {0};
    const cairn_tensor *tensor = NULL;
    const cairn_tensor_spec spec = {
        .name = name, .dtype = dtype, .rank = columns > 0 ? 2 : 1, .shape = {rows, columns}};
    tk_assert_ok(cairn_state_add_tensor(state, &spec, &tensor, &err), &err);
    return tensor;
}

static inline cairn_state *ck_state(cairn_state_tree *tree, const char *name)
{
    cairn_error err = {0};
    cairn_state *state = NULL;
    tk_assert_ok(cairn_state_tree_add(tree, name, &state, &err), &err);
    return state;
}

static inline cairn_state_tree *ck_empty_tree(void)
{
    cairn_error err = {0};
    cairn_state_tree *tree = NULL;
    tk_assert_ok(cairn_state_tree_new(&tree, &err), &err);
    return tree;
}

static inline void ck_allocate(cairn_state_tree *tree)
{
    cairn_error err = {0};
    tk_assert_ok(cairn_state_tree_allocate(tree, &err), &err);
}

/* model (with a tied head and @big_rows rows of 1 KiB), optimizer, and states of values only. */
static inline cairn_state_tree *ck_tree(int64_t big_rows)
{
    cairn_error err = {0};
    cairn_state_tree *const tree = ck_empty_tree();
    cairn_state *const model = ck_state(tree, "model");
    (void)ck_add(model, "embed.weight", CAIRN_DTYPE_F32, 7, 5);
    (void)ck_add(model, "ln.bias", CAIRN_DTYPE_F32, 5, 0);
    if (big_rows > 0)
        (void)ck_add(model, "big.weight", CAIRN_DTYPE_F32, big_rows, 256);
    (void)ck_add(model, "empty", CAIRN_DTYPE_F32, 0, 4);
    tk_assert_ok(cairn_state_add_alias(model, "head.weight", "embed.weight", &err), &err);
    cairn_state *const optimizer = ck_state(tree, "optimizer");
    (void)ck_add(optimizer, "embed.weight.exp_avg", CAIRN_DTYPE_F32, 7, 5);
    (void)ck_add(optimizer, "ln.bias.exp_avg", CAIRN_DTYPE_F32, 5, 0);
    (void)ck_state(tree, "schedulers");
    (void)ck_state(tree, "global_step");
    (void)ck_state(tree, "__metadata");
    ck_allocate(tree);
    return tree;
}

static inline int ck_no_sync(const crn_os *os, int fd)
{
    (void)os;
    (void)fd;
    return 0;
}

/* The real table without the waiting for disks: no test here cuts the power. */
static inline const crn_os *ck_os(void)
{
    static crn_os s_os;
    s_os = *crn_os_posix();
    s_os.sync = ck_no_sync;
    return &s_os;
}

/* Bytes [at, at + 16) of a tensor that @seed fills; @at is a multiple of 16. */
static inline void ck_bytes(uint64_t seed, uint64_t at, uint8_t out[16])
{
    uint32_t block[4];
    crn_philox(seed, 77, 0, at / 16, block);
    for (size_t i = 0; i < 16; i++)
        out[i] = (uint8_t)(block[i / 4] >> (8 * (i % 4)));
}

static inline uint8_t ck_byte(uint64_t seed, uint64_t i)
{
    uint8_t bytes[16];
    ck_bytes(seed, i - i % 16, bytes);
    return bytes[i % 16];
}

/* Every tensor's bytes and the values follow from @seed. */
static inline void ck_fill(cairn_state_tree *tree, uint64_t seed)
{
    cairn_error err = {0};
    for (size_t i = 0; i < cairn_state_tree_count(tree); i++) {
        cairn_state *const state = cairn_state_tree_at(tree, i);
        for (size_t j = 0; j < cairn_state_tensor_count(state); j++) {
            const cairn_tensor *const tensor = cairn_state_tensor_at(state, j);
            uint8_t *const bytes = cairn_tensor_write_begin(tree, tensor, 0, tensor->bytes);
            for (uint64_t k = 0; k < tensor->bytes; k += 16) {
                uint8_t part[16];
                ck_bytes(seed + j + 10 * i, k, part);
                memcpy(bytes + k, part, tensor->bytes - k < 16 ? (size_t)(tensor->bytes - k) : 16);
            }
            cairn_tensor_write_end(tree, tensor, 0, tensor->bytes);
        }
        if (cairn_state_tensor_count(state) == 0) {
            tk_assert_ok(cairn_state_set_u64(state, "step", seed, &err), &err);
            tk_assert_ok(cairn_state_set_text(state, "text", "a \"b\"\n\\ \xc3\xa9", &err), &err);
        }
    }
}

/* True if all bytes of @state are those of @seed. */
static inline bool ck_is_filled(const cairn_state_tree *tree, const char *name, uint64_t seed)
{
    for (size_t i = 0; i < cairn_state_tree_count(tree); i++) {
        const cairn_state *const state = cairn_state_tree_at(tree, i);
        if (strcmp(cairn_state_name(state), name) != 0)
            continue;
        for (size_t j = 0; j < cairn_state_tensor_count(state); j++) {
            const cairn_tensor *const tensor = cairn_state_tensor_at(state, j);
            const uint8_t *const bytes = tensor->data;
            for (uint64_t k = 0; k < tensor->bytes; k += 16) {
                uint8_t part[16];
                ck_bytes(seed + j + 10 * i, k, part);
                if (memcmp(bytes + k, part,
                           tensor->bytes - k < 16 ? (size_t)(tensor->bytes - k) : 16) != 0)
                    return false;
            }
        }
        uint64_t value = 0;
        if (cairn_state_tensor_count(state) == 0 &&
            (cairn_state_get_u64(state, "step", &value, NULL) != CAIRN_OK || value != seed))
            return false;
        return true;
    }
    return false;
}

static inline cairn_status ck_try_open(const crn_os *os, const char *dir, cairn_store **out,
                                       cairn_error *err)
{
    const cairn_store_options options = {.struct_size = sizeof options, .model_dir = dir};
    return crn_store_open_os(os, &options, out, err);
}

static inline cairn_store *ck_open(const crn_os *os, const char *dir)
{
    cairn_error err = {0};
    cairn_store *store = NULL;
    tk_assert_ok(ck_try_open(os, dir, &store, &err), &err);
    return store;
}

static inline cairn_status ck_try_save(cairn_store *store, const cairn_state_tree *tree,
                                       uint64_t step, cairn_save_result *out, cairn_error *err)
{
    cairn_save_request request = {
        .struct_size = sizeof request, .step = step, .params_json = "{\"a\": 1}"};
    return cairn_store_save(store, tree, &request, out, err);
}

static inline cairn_save_result ck_save(cairn_store *store, const cairn_state_tree *tree,
                                        uint64_t step)
{
    cairn_error err = {0};
    cairn_save_result result = {0};
    tk_assert_ok(ck_try_save(store, tree, step, &result, &err), &err);
    return result;
}

/* Opens and loads all states. */
static inline cairn_status ck_try_load(const crn_os *os, const char *path, cairn_state_tree *tree,
                                       const cairn_load_options *given, cairn_load_report **report,
                                       cairn_error *err)
{
    const cairn_load_options all = {.struct_size = sizeof all};
    cairn_checkpoint *ckpt = NULL;
    cairn_status rc = crn_checkpoint_open_os(os, path, &ckpt, err);
    if (rc == CAIRN_OK)
        rc = cairn_checkpoint_load(ckpt, tree, given != NULL ? given : &all, report, err);
    cairn_checkpoint_close(ckpt);
    return rc;
}

/* Loads @name in @dir into a fresh tree like ck_tree's and compares all of it with @seed. */
static inline void ck_assert_loads(const char *dir, const char *name, int64_t big_rows,
                                   uint64_t seed)
{
    cairn_error err = {0};
    char path[TK_PATH_SIZE];
    cairn_state_tree *const tree = ck_tree(big_rows);
    tk_assert_ok(ck_try_load(ck_os(), tk_join(path, dir, name), tree, NULL, NULL, &err), &err);
    assert_true(ck_is_filled(tree, "model", seed));
    assert_true(ck_is_filled(tree, "optimizer", seed));
    assert_true(ck_is_filled(tree, "schedulers", seed));
    assert_true(ck_is_filled(tree, "global_step", seed));
    assert_true(ck_is_filled(tree, "__metadata", seed));
    cairn_state_tree_destroy(tree);
}

#endif
