/*
 * What is said between crn_archive and the confined programs that read other people's files
 * (src/pickle). All run on one machine and are built together, so numbers have the machine's form.
 *
 * A request is answered by a reply and its payload. Nothing of a reply may be believed: the helper
 * reads files that nobody vouches for.
 */
#ifndef CRN_INTEROP_ARCHIVE_PROTOCOL_H
#define CRN_INTEROP_ARCHIVE_PROTOCOL_H

#include <stdint.h>

enum {
    CRN_ARCHIVE_TEXT_MAX = 384,        /* bytes of a message */
    CRN_ARCHIVE_TABLE_MAX = 64 << 20,  /* bytes of a table */
    CRN_ARCHIVE_ENTRIES_MAX = 1 << 20, /* tensors and values of it */
    CRN_ARCHIVE_READ_MAX = 4 << 20,    /* bytes of a tensor in one reply */
    CRN_ARCHIVE_REQUEST_SECONDS = 300  /* longer for one request: the helper ends */
};

/* Of requests; apart from crn_h5_kind, so that one program can serve both. */
typedef enum crn_archive_request_kind {
    CRN_ARCHIVE_OPEN = 101, /* The descriptor that comes along is the file; once. Payload: the
                             * table, crn_archive_record one behind another. */
    CRN_ARCHIVE_READ = 102  /* @count bytes of tensor @tensor (0: the first of the table) from
                             * @offset on, little-endian, row-major. */
} crn_archive_request_kind;

typedef struct crn_archive_request {
    uint32_t kind;
    uint32_t tensor;
    uint64_t offset;
    uint64_t count;
} crn_archive_request;

typedef enum crn_archive_outcome {
    CRN_ARCHIVE_DONE = 1,
    CRN_ARCHIVE_DAMAGED = 2,    /* payload: why, for a person */
    CRN_ARCHIVE_UNSUPPORTED = 3 /* a good file of a kind that is not read; payload: why */
} crn_archive_outcome;

typedef struct crn_archive_reply {
    uint32_t outcome;
    uint32_t reserved;
    uint64_t bytes; /* of the payload */
} crn_archive_reply;

/* Entries of the table that are no tensors. */
typedef enum crn_archive_value_kind {
    CRN_ARCHIVE_NONE = 1,
    CRN_ARCHIVE_BOOL,
    CRN_ARCHIVE_INTEGER,
    CRN_ARCHIVE_NUMBER,
    CRN_ARCHIVE_TEXT
} crn_archive_value_kind;

enum { CRN_ARCHIVE_TENSOR = 100 };

/* An entry of the table. Behind it: @rank words of shape, the name and a NUL, for a text the text
 * and a NUL, and zeros up to a multiple of 8 bytes. */
typedef struct crn_archive_record {
    uint32_t kind; /* CRN_ARCHIVE_TENSOR, or crn_archive_value_kind */
    uint32_t rank;
    uint64_t bits;       /* a tensor's cairn_dtype, an integer, a double's bits, 0 or 1 */
    uint32_t name_bytes; /* without the NUL */
    uint32_t text_bytes; /* likewise */
} crn_archive_record;

#endif
