/*
 * What is said between the HDF5 data processors and `cairn-hdf5`, which reads the files. Both run
 * on one machine and are built together, so numbers have the machine's form.
 *
 * A request is answered by a reply and its payload. Nothing of a reply may be believed: the helper
 * reads files that nobody vouches for.
 */
#ifndef CRN_DATA_H5_PROTOCOL_H
#define CRN_DATA_H5_PROTOCOL_H

#include <stdint.h>

enum {
    CRN_H5_SLOTS = 16,                 /* files open at once */
    CRN_H5_TEXT_MAX = 512,             /* bytes of a message */
    CRN_H5_FEATURES = 3,               /* input_ids, loss mask, labels */
    CRN_H5_VALUES_MAX = 3 * (1 << 24), /* numbers of a reply */
    CRN_H5_REQUEST_SECONDS = 300       /* longer for one request: the helper ends */
};

typedef enum crn_h5_kind {
    CRN_H5_OPEN = 1, /* The descriptor that comes along is the file in @slot from now on. */
    CRN_H5_READ = 2  /* From `data` of @slot. Rank 3: features 0 to 2 of row @first, one behind the
                      * other; @count is 3 T. Rank 1: @count numbers from @first on. */
} crn_h5_kind;

typedef struct crn_h5_request {
    uint32_t kind;
    uint32_t slot;
    uint64_t first;
    uint64_t count;
} crn_h5_request;

typedef struct crn_h5_reply {
    uint32_t is_ok;
    uint32_t rank;       /* OPEN: 1 or 3 */
    uint64_t shape[3];   /* OPEN */
    uint64_t n_examples; /* OPEN: the file's attribute; UINT64_MAX if it has none */
    uint64_t bytes;      /* of the payload: int32 numbers, or else why it failed */
} crn_h5_reply;

#endif
