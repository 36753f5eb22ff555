/*
 * The pickle machine, restricted: it builds containers, numbers, texts and tensors, and nothing is
 * ever called or imported. What a pickle names besides is refused by its name.
 *
 * Opcodes: Python's Lib/pickletools.py, protocols 2 to 5. What stands for a tensor:
 * torch/_utils.py (_rebuild_tensor_v2 and others) and torch/serialization.py (persistent_id).
 */
#ifndef CRN_PICKLE_MACHINE_H
#define CRN_PICKLE_MACHINE_H

#include "cairn/tensor.h"
#include "pickle/zip.h"

/* What a name in a pickle may mean. */
typedef enum crn_pickle_role {
    CRN_PICKLE_ORDERED_DICT,
    CRN_PICKLE_SET,
    CRN_PICKLE_SIZE,    /* torch.Size, a tuple */
    CRN_PICKLE_DEVICE,  /* torch.device, a text */
    CRN_PICKLE_ENCODE,  /* _codecs.encode: bytes in protocol 2 */
    CRN_PICKLE_DTYPE,   /* torch.float32 */
    CRN_PICKLE_STORAGE, /* torch.FloatStorage; of no dtype: torch.storage.UntypedStorage */
    CRN_PICKLE_REBUILD_V2,
    CRN_PICKLE_REBUILD_V3,
    CRN_PICKLE_PARAMETER
} crn_pickle_role;

typedef struct crn_pickle_global {
    const char *module;
    const char *name;
    crn_pickle_role role;
    cairn_dtype dtype; /* 0: none */
} crn_pickle_global;

/* NULL: not one of ours. */
const crn_pickle_global *crn_pickle_global_find(const char *module, size_t module_length,
                                                const char *name, size_t name_length);

typedef enum crn_pickle_kind {
    CRN_PICKLE_NONE,
    CRN_PICKLE_BOOL,
    CRN_PICKLE_INTEGER,
    CRN_PICKLE_NUMBER,
    CRN_PICKLE_TEXT,
    CRN_PICKLE_BYTES,
    CRN_PICKLE_LIST,
    CRN_PICKLE_TUPLE,
    CRN_PICKLE_DICT,      /* items: key, value, key, value ... */
    CRN_PICKLE_UNORDERED, /* a set */
    CRN_PICKLE_GLOBAL,
    CRN_PICKLE_STORED, /* a storage */
    CRN_PICKLE_TENSOR
} crn_pickle_kind;

/* Bytes of an entry as numbers of one kind. */
typedef struct crn_pickle_storage {
    cairn_dtype dtype; /* 0: bytes */
    uint64_t begin;    /* in the file */
    uint64_t bytes;
} crn_pickle_storage;

/* A view of a storage; every element of it lies inside. */
typedef struct crn_pickle_tensor {
    cairn_dtype dtype;
    uint32_t rank;
    uint64_t *shape;   /* [rank], and behind it ... */
    uint64_t *strides; /* ... [rank], in elements */
    uint64_t begin;    /* of its first element in the file */
    uint64_t span;     /* bytes from there to the end of its last element */
    uint64_t bytes;    /* of its elements */
    bool is_dense;     /* row-major without gaps */
} crn_pickle_tensor;

typedef struct crn_pickle_node {
    crn_pickle_kind kind;
    uint32_t count; /* items */
    union {
        int64_t integer;
        double number;
        struct {
            const char *bytes; /* in the pickle */
            size_t length;
        } text;
        struct {
            uint32_t *refs; /* numbers of nodes */
            size_t capacity;
        } items;
        const crn_pickle_global *global;
        crn_pickle_storage storage;
        uint32_t tensor; /* its number */
    };
} crn_pickle_node;

/* What a pickle builds. */
typedef struct crn_pickle_tree {
    crn_pickle_node *nodes;
    size_t count;
    size_t capacity;
    crn_pickle_tensor *tensors;
    size_t tensor_count;
    size_t tensor_capacity;
    uint32_t root;
} crn_pickle_tree;

/*
 * Runs a pickle. Storages are the entries "<@folder>data/<key>" of @zip. The tree borrows @bytes.
 * @out: dispose of it in any case.
 * ECORRUPT: damaged, too large, or it refers to what is neither a tensor nor a container.
 * EUNSUPPORTED: a tensor of a kind that is not read.  ENOMEM. Errors continue a sentence that
 * begins with the file's name.
 */
cairn_status crn_pickle_run(const uint8_t *bytes, size_t size, const crn_zip *zip,
                            const char *folder, size_t folder_length, crn_pickle_tree *out,
                            cairn_error *err);
void crn_pickle_tree_dispose(crn_pickle_tree *tree);

#endif
