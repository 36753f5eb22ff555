/**
 * @file tensor.h  Element types and tensors.
 *
 * A tensor is a name, an element type, a shape and a place. Data is dense, row-major,
 * little-endian. Tensors that a checkpoint holds live in the arena of a state tree (state.h) and
 * are read through `data`; the only way to write them is the write guard.
 */
#ifndef CAIRN_TENSOR_H
#define CAIRN_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cairn/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/** X(NAME, value, bits, text in a safetensors file). The file format's list, all of it. */
#define CAIRN_DTYPE_LIST(X)                                                                        \
    X(BOOL, 1, 8, "BOOL")                                                                          \
    X(U8, 2, 8, "U8")                                                                              \
    X(I8, 3, 8, "I8")                                                                              \
    X(F8_E5M2, 4, 8, "F8_E5M2")                                                                    \
    X(F8_E4M3, 5, 8, "F8_E4M3")                                                                    \
    X(F8_E8M0, 6, 8, "F8_E8M0")                                                                    \
    X(I16, 7, 16, "I16")                                                                           \
    X(U16, 8, 16, "U16")                                                                           \
    X(F16, 9, 16, "F16")                                                                           \
    X(BF16, 10, 16, "BF16")                                                                        \
    X(I32, 11, 32, "I32")                                                                          \
    X(U32, 12, 32, "U32")                                                                          \
    X(F32, 13, 32, "F32")                                                                          \
    X(I64, 14, 64, "I64")                                                                          \
    X(U64, 15, 64, "U64")                                                                          \
    X(F64, 16, 64, "F64")                                                                          \
    X(C64, 17, 64, "C64")                                                                          \
    X(F4, 18, 4, "F4")                                                                             \
    X(F6_E2M3, 19, 6, "F6_E2M3")                                                                   \
    X(F6_E3M2, 20, 6, "F6_E3M2")

typedef enum cairn_dtype {
#define X(name, value, bits, text) CAIRN_DTYPE_##name = (value),
    CAIRN_DTYPE_LIST(X)
#undef X
} cairn_dtype;

enum {
    CAIRN_RANK_MAX = 64,      /**< Axes in a file. */
    CAIRN_NAME_MAX = 4096,    /**< Bytes of a tensor's full name in a file, without the NUL. */
    CAIRN_TENSOR_AXES_MAX = 8 /**< Axes of a tensor in a state tree. */
};

/** Bits of one element; 0 for a value that is no dtype. */
CAIRN_API uint32_t cairn_dtype_bits(cairn_dtype dtype);
/** "F32" and so on; "?" for a value that is no dtype. Static. */
CAIRN_API const char *cairn_dtype_name(cairn_dtype dtype);
/** The dtype of a safetensors name of @p length bytes; false if there is none. */
CAIRN_API bool cairn_dtype_from_name(const char *name, size_t length, cairn_dtype *out);

/** What a tensor is to training; decides weight decay. */
typedef enum cairn_role {
    CAIRN_ROLE_OTHER,     /**< Not a parameter: optimizer moments, averages. */
    CAIRN_ROLE_WEIGHT,    /**< Matrices: decayed. */
    CAIRN_ROLE_EMBEDDING, /**< Tables: decayed, as the Model Zoo does. */
    CAIRN_ROLE_BIAS,      /**< Not decayed. */
    CAIRN_ROLE_NORM       /**< Scale and shift of a norm: not decayed. */
} cairn_role;

/** A tensor of a state tree. Borrowed from the tree; fields are read-only for everyone else. */
typedef struct cairn_tensor {
    const char *name; /**< Path within its state, such as "ln_f.weight". */
    cairn_dtype dtype;
    int rank;
    int64_t shape[CAIRN_TENSOR_AXES_MAX];
    cairn_role role;
    uint64_t bytes;
    uint64_t offset;  /**< From the start of the arena; set when the tree is allocated. */
    const void *data; /**< In the arena; NULL before the tree is allocated. */
    float *grad;      /**< Same shape, fp32, not saved; NULL unless gradients were allocated. */
    double learning_rate_factor; /**< See cairn_tensor_spec. */
    bool is_frozen;              /**< Not trained; see cairn_state_freeze. */
} cairn_tensor;

/** Elements of @p tensor: the product of its shape. */
CAIRN_API int64_t cairn_tensor_elements(const cairn_tensor *tensor);

#ifdef __cplusplus
}
#endif
#endif
