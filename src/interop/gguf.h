/*
 * What a GGUF file says before its numbers: metadata and a list of tensors. Untrusted.
 *
 * Versions 2 and 3, little-endian; docs/gguf.md of the ggml project describes them. Tensors lie one
 * behind another, each at a multiple of the alignment, as ggml demands it.
 */
#ifndef CRN_INTEROP_GGUF_H
#define CRN_INTEROP_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cairn/error.h"
#include "cairn/tensor.h"

enum {
    CRN_GGUF_VERSION = 3,
    CRN_GGUF_ALIGNMENT = 32,     /* where the file names none */
    CRN_GGUF_NAME_SIZE = 64 + 1, /* of a tensor's name, its NUL included */
    CRN_GGUF_AXES_MAX = 4,
    CRN_GGUF_KINDS = 13,
    CRN_GGUF_PAIRS_MAX = 4096,
    CRN_GGUF_TENSORS_MAX = 1 << 17
};

#define CRN_GGUF_MAGIC "GGUF"

/* Kinds of values, by their numbers in the file. */
typedef enum crn_gguf_kind {
    CRN_GGUF_U8,
    CRN_GGUF_I8,
    CRN_GGUF_U16,
    CRN_GGUF_I16,
    CRN_GGUF_U32,
    CRN_GGUF_I32,
    CRN_GGUF_F32,
    CRN_GGUF_BOOL,
    CRN_GGUF_TEXT,
    CRN_GGUF_ARRAY,
    CRN_GGUF_U64,
    CRN_GGUF_I64,
    CRN_GGUF_F64
} crn_gguf_kind;

/* A key and its value; the bytes are borrowed from what was parsed. */
typedef struct crn_gguf_pair {
    const char *key; /* no NUL */
    size_t key_length;
    crn_gguf_kind kind;
    const uint8_t *bytes; /* little-endian; of a text its first byte; not those of an array */
    uint64_t count;       /* bytes */
} crn_gguf_pair;

typedef struct crn_gguf_tensor {
    char name[CRN_GGUF_NAME_SIZE];
    int rank;
    uint64_t shape[CRN_GGUF_AXES_MAX]; /* rows first, as here; the file has the opposite order */
    cairn_dtype dtype;                 /* F32, F16 or BF16 */
    uint64_t begin;                    /* behind data_begin */
    uint64_t bytes;
    bool is_used; /* for whoever takes them */
} crn_gguf_tensor;

typedef struct crn_gguf {
    crn_gguf_pair *pairs;
    size_t pair_count;
    crn_gguf_tensor *tensors; /* sorted by name */
    size_t tensor_count;
    size_t tensor_capacity;
    uint64_t data_begin;
} crn_gguf;

/*
 * Reads the beginning of a file of @file_size bytes, of which @bytes are the first @size; they must
 * outlive @out. @file is for messages. @out: dispose of it on success and on failure.
 * ECORRUPT: no such file, damaged, or contradicts itself; *@out_is_short: it may be that more of it
 * is needed.  EUNSUPPORTED: another version or byte order, or a tensor in a quantised type, which
 * the message names.  ENOMEM.
 */
cairn_status crn_gguf_parse(const uint8_t *bytes, size_t size, uint64_t file_size, const char *file,
                            crn_gguf *out, bool *out_is_short, cairn_error *err);
void crn_gguf_dispose(crn_gguf *gguf);

/* NULL if there is none. */
const crn_gguf_pair *crn_gguf_find(const crn_gguf *gguf, const char *key);
crn_gguf_tensor *crn_gguf_find_tensor(const crn_gguf *gguf, const char *name);

/* False: it is of another kind, or out of range. An integer is a number, too. */
bool crn_gguf_to_int(const crn_gguf_pair *pair, int64_t *out);
bool crn_gguf_to_number(const crn_gguf_pair *pair, double *out);
bool crn_gguf_is_text(const crn_gguf_pair *pair, const char *text);

#endif
