/**
 * @file state.h  The state tree: the named tensors and values that a checkpoint holds.
 *
 * A tree is a list of states ("model", "optimizer", "global_step", a callback's own); a state is a
 * list of tensors and a list of small named values. The checkpoint engine knows nothing else of
 * training.
 *
 *     cairn_state_tree_new(&tree, &err);
 *     cairn_state_tree_add(tree, "model", &model, &err);
 *     cairn_state_add_tensor(model, &spec, &weight, &err);     // plan everything first
 *     cairn_state_tree_allocate(tree, &err);                   // one allocation: the arena
 *     float *w = cairn_tensor_write_begin(tree, weight, 0, weight->bytes);
 *     ...                                                      // change the bytes
 *     cairn_tensor_write_end(tree, weight, 0, weight->bytes);
 *
 * The arena is the image of a checkpoint's data section: one region per state in the order of
 * adding; regions begin and end at multiples of 4096 bytes, tensors of 64 KiB and more begin at
 * multiples of 4096, others at multiples of 64.
 *
 * The write guard. Between two updates the state is immutable, so a save may read the arena while
 * training computes. Whoever changes a tensor asks for the range first; cairn_tensor_write_begin
 * returns once it may be written. The default guard returns at once; an asynchronous save installs
 * its own. Writers go through a large tensor in tiles of at most CAIRN_WRITE_TILE_BYTES, in the
 * order of the arena, and hold few tiles at a time. Values need no guard: a save copies them at
 * its capture. In a library built with CAIRN_GUARD_PAGES a write that was not asked for is a
 * segmentation fault.
 *
 * Thread safety: a tree has one owner thread that adds, allocates and sets values. Ranges that do
 * not overlap may be written by several threads at once. Reading `data` is free between updates.
 */
#ifndef CAIRN_STATE_H
#define CAIRN_STATE_H

#include "cairn/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cairn_state_tree cairn_state_tree;
typedef struct cairn_state cairn_state;

enum {
    CAIRN_PAGE_BYTES = 4096,                 /**< Alignment of regions and large tensors. */
    CAIRN_SMALL_ALIGNMENT = 64,              /**< Alignment of tensors below CAIRN_LARGE_BYTES. */
    CAIRN_LARGE_BYTES = 64 * 1024,           /**< From here on a tensor begins on a page. */
    CAIRN_WRITE_TILE_BYTES = 4 * 1024 * 1024 /**< Most that a writer asks for at once. */
};

/** An empty tree; *out is yours. @retval CAIRN_ENOMEM */
CAIRN_API cairn_status cairn_state_tree_new(cairn_state_tree **out, cairn_error *err);
/** Frees tree, states, tensors, arena and gradients. Accepts NULL. */
CAIRN_API void cairn_state_tree_destroy(cairn_state_tree *tree);

/**
 * Adds an empty state. Names are words of letters, digits and "_"; those that begin with "__" are
 * metadata, present in every checkpoint.
 * @param out_state  Borrowed from the tree; may be NULL.
 * @retval CAIRN_EINVAL  The name is taken or not allowed, or the tree is allocated.
 */
CAIRN_API cairn_status cairn_state_tree_add(cairn_state_tree *tree, const char *name,
                                            cairn_state **out_state, cairn_error *err);
CAIRN_API size_t cairn_state_tree_count(const cairn_state_tree *tree);
/** State number @p i in order of adding. Borrowed. */
CAIRN_API cairn_state *cairn_state_tree_at(const cairn_state_tree *tree, size_t i);
/** NULL if there is none. Borrowed. */
CAIRN_API cairn_state *cairn_state_tree_find(const cairn_state_tree *tree, const char *name);

/** Plans the arena and allocates it, zeroed. Once only. @retval CAIRN_ENOMEM */
CAIRN_API cairn_status cairn_state_tree_allocate(cairn_state_tree *tree, cairn_error *err);
/** Bytes of the arena; the planned size before it is allocated. */
CAIRN_API uint64_t cairn_state_tree_bytes(const cairn_state_tree *tree);
/** The arena, 4096-aligned; NULL before it is allocated. Read-only: see the write guard. */
CAIRN_API const void *cairn_state_tree_arena(const cairn_state_tree *tree);
/** One fp32 gradient for each parameter (role other than OTHER, not frozen) of @p state, zeroed, in
 * one block in the state's order. @retval CAIRN_ENOMEM */
CAIRN_API cairn_status cairn_state_allocate_gradients(cairn_state *state, cairn_error *err);
/** The parameters of @p state, all that are declared now, are not trained: they get no gradients,
 *  and passes compute none for them. */
CAIRN_API void cairn_state_freeze(cairn_state *state);
/** All gradients as one run of floats, 64-byte gaps between tensors zero; NULL if none. */
CAIRN_API float *cairn_state_gradients(cairn_state *state, size_t *out_floats);

CAIRN_API const char *cairn_state_name(const cairn_state *state);
/** First byte and size of the state's region in the arena. */
CAIRN_API uint64_t cairn_state_region_offset(const cairn_state *state);
CAIRN_API uint64_t cairn_state_region_bytes(const cairn_state *state);

/** What cairn_state_add_tensor needs to know; the name and shape are copied. */
typedef struct cairn_tensor_spec {
    const char *name;
    cairn_dtype dtype;
    cairn_role role;
    int rank;
    int64_t shape[CAIRN_TENSOR_AXES_MAX];
    /** What the model wants the learning rate of a parameter to be multiplied with, as muP does;
     *  0: with nothing. See cairn_param_groups_new. */
    double learning_rate_factor;
} cairn_tensor_spec;

/**
 * Adds a tensor to @p state.
 * @param out_tensor  Borrowed from the tree; its address never changes. May be NULL.
 * @retval CAIRN_EINVAL  The name is taken, empty, longer than CAIRN_NAME_MAX with its state or has
 *                       a NUL; a shape is negative or too large; the tree is allocated.
 */
CAIRN_API cairn_status cairn_state_add_tensor(cairn_state *state, const cairn_tensor_spec *spec,
                                              const cairn_tensor **out_tensor, cairn_error *err);
CAIRN_API size_t cairn_state_tensor_count(const cairn_state *state);
CAIRN_API const cairn_tensor *cairn_state_tensor_at(const cairn_state *state, size_t i);
/** By name or alias; NULL if there is none. Borrowed. */
CAIRN_API const cairn_tensor *cairn_state_tensor_find(const cairn_state *state, const char *name);

/** A second name of a tensor of the same state (tied weights): stored once. */
CAIRN_API cairn_status cairn_state_add_alias(cairn_state *state, const char *alias,
                                             const char *target, cairn_error *err);
CAIRN_API size_t cairn_state_alias_count(const cairn_state *state);
CAIRN_API void cairn_state_alias_at(const cairn_state *state, size_t i, const char **out_alias,
                                    const char **out_target);

/** Values: a name and a text. The typed forms write and read 64-bit integers as decimal and
 *  doubles exactly (hexadecimal). Setting replaces. @retval CAIRN_ENOMEM */
CAIRN_API cairn_status cairn_state_set_u64(cairn_state *state, const char *key, uint64_t value,
                                           cairn_error *err);
CAIRN_API cairn_status cairn_state_set_f64(cairn_state *state, const char *key, double value,
                                           cairn_error *err);
CAIRN_API cairn_status cairn_state_set_text(cairn_state *state, const char *key, const char *value,
                                            cairn_error *err);
/** @retval CAIRN_ENOTFOUND  No such value; *out is untouched.
 *  @retval CAIRN_ECORRUPT   The text is no such number. */
CAIRN_API cairn_status cairn_state_get_u64(const cairn_state *state, const char *key, uint64_t *out,
                                           cairn_error *err);
CAIRN_API cairn_status cairn_state_get_f64(const cairn_state *state, const char *key, double *out,
                                           cairn_error *err);
/** NULL if there is none. Borrowed until the value is set again. */
CAIRN_API const char *cairn_state_get_text(const cairn_state *state, const char *key);
CAIRN_API size_t cairn_state_value_count(const cairn_state *state);
CAIRN_API void cairn_state_value_at(const cairn_state *state, size_t i, const char **out_key,
                                    const char **out_text);
/** Removes all values of @p state. */
CAIRN_API void cairn_state_clear_values(cairn_state *state);

/** A guard: both functions take a range of the arena. begin may wait; neither can fail. */
typedef struct cairn_write_guard_ops {
    size_t struct_size;
    /** Returns once the caller may write [offset, offset + bytes). Any thread. */
    void (*begin)(void *self, uint64_t offset, uint64_t bytes);
    void (*end)(void *self, uint64_t offset, uint64_t bytes);
} cairn_write_guard_ops;

/** Installs a guard; NULL @p ops restores the default. Only while nobody writes. Borrowed. */
CAIRN_API void cairn_state_tree_set_guard(cairn_state_tree *tree, const cairn_write_guard_ops *ops,
                                          void *self);

/**
 * Asks for bytes [offset, offset + bytes) of @p tensor and returns a pointer to the first of them.
 * Until cairn_tensor_write_end with the same range the caller alone may touch them. Blocks while a
 * save still needs the old bytes.
 */
CAIRN_API void *cairn_tensor_write_begin(cairn_state_tree *tree, const cairn_tensor *tensor,
                                         uint64_t offset, uint64_t bytes);
CAIRN_API void cairn_tensor_write_end(cairn_state_tree *tree, const cairn_tensor *tensor,
                                      uint64_t offset, uint64_t bytes);
/** How often something asked to write @p tensor. What was derived from it holds while this stays
 *  the same. */
CAIRN_API uint64_t cairn_tensor_writes(const cairn_tensor *tensor);

#ifdef __cplusplus
}
#endif
#endif
