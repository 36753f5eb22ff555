/*
 * The container codec: safetensors headers as bytes in, structs out, and back. No files, no I/O.
 * docs/format/checkpoint.md is the specification; its clauses are cited as [CF-n].
 *
 * A file is: 8 bytes little-endian header length N, N bytes of JSON, the data section. Ours have
 * "__metadata__" first, all gaps filled with U8 tensors "__pad__.<n>", and N padded with spaces so
 * that the data begins at a multiple of 4096.
 */
#ifndef CRN_FORMAT_FORMAT_H
#define CRN_FORMAT_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/str.h"
#include "cairn/tensor.h"

enum {
    CRN_HEADER_BYTES_MAX = 100000000,
    CRN_FORMAT_TENSORS_MAX = 1000000,
    CRN_FORMAT_CHUNK_BYTES = 4 * 1024 * 1024, /* unit of digests and of I/O */
    CRN_FORMAT_JSON_DEPTH_MAX = 8,
    CRN_LENGTH_WORD_BYTES = 8
};

/* What is wrong with a file. X(CODE, text). The texts are those of [CF-60]. */
#define CRN_FORMAT_CODE_LIST(X)                                                                    \
    X(OK, "OK")                                                                                    \
    X(TRUNCATED, "E_TRUNCATED")                                                                    \
    X(TRUNCATED_HEADER, "E_TRUNCATED_HEADER")                                                      \
    X(HEADER_TOO_LARGE, "E_HEADER_TOO_LARGE")                                                      \
    X(NOT_SAFETENSORS, "E_NOT_SAFETENSORS")                                                        \
    X(UTF8, "E_UTF8")                                                                              \
    X(JSON, "E_JSON")                                                                              \
    X(JSON_TYPE, "E_JSON_TYPE")                                                                    \
    X(JSON_TRAILING, "E_JSON_TRAILING")                                                            \
    X(JSON_DEPTH, "E_JSON_DEPTH")                                                                  \
    X(DUPLICATE_NAME, "E_DUPLICATE_NAME")                                                          \
    X(DUPLICATE_FIELD, "E_DUPLICATE_FIELD")                                                        \
    X(METADATA_TYPE, "E_METADATA_TYPE")                                                            \
    X(TENSOR_FIELDS, "E_TENSOR_FIELDS")                                                            \
    X(DTYPE, "E_DTYPE")                                                                            \
    X(NUMBER, "E_NUMBER")                                                                          \
    X(OVERFLOW, "E_OVERFLOW")                                                                      \
    X(RANK, "E_RANK")                                                                              \
    X(OFFSETS, "E_OFFSETS")                                                                        \
    X(OUT_OF_RANGE, "E_OUT_OF_RANGE")                                                              \
    X(HOLE, "E_HOLE")                                                                              \
    X(OVERLAP, "E_OVERLAP")                                                                        \
    X(TRAILING_DATA, "E_TRAILING_DATA")                                                            \
    X(TRUNCATED_DATA, "E_TRUNCATED_DATA")                                                          \
    X(SIZE_MISMATCH, "E_SIZE_MISMATCH")                                                            \
    X(SUBBYTE, "E_SUBBYTE")                                                                        \
    X(TOO_MANY, "E_TOO_MANY")                                                                      \
    X(NAME, "E_NAME")                                                                              \
    X(NO_MEMORY, "E_NO_MEMORY")

typedef enum crn_format_code {
#define X(code, text) CRN_FORMAT_##code,
    CRN_FORMAT_CODE_LIST(X)
#undef X
} crn_format_code;

/* "E_HOLE" and so on. Static. */
const char *crn_format_code_text(crn_format_code code);

/* A key and a text of "__metadata__". Lengths count; texts are NUL-terminated too. */
typedef struct crn_meta_entry {
    const char *key;
    size_t key_length;
    const char *value;
    size_t value_length;
} crn_meta_entry;

/* A tensor of a header. */
typedef struct crn_file_entry {
    const char *name; /* bytes, no NUL inside, NUL-terminated */
    size_t name_length;
    cairn_dtype dtype;
    uint32_t rank;
    const uint64_t *shape; /* [rank] */
    uint64_t begin;        /* from the start of the data section */
    uint64_t bytes;
    bool is_pad; /* its name begins with "__pad__." */
} crn_file_entry;

/* ---- Reading ---- */

typedef struct crn_header {
    crn_meta_entry *meta; /* in file order */
    size_t meta_count;
    crn_file_entry *entries; /* sorted by (begin, bytes) */
    size_t entry_count;
    bool is_nonstandard; /* white space before "{" */
    void *memory;        /* everything the pointers above point to; see crn_header_dispose */
    size_t memory_bytes; /* the most that parsing held at once */
} crn_header;

/*
 * Checks the length word against the size of the file, before anything is allocated.
 * @word: the first bytes of the file, @word_size of them (fewer than 8 if the file is shorter;
 * more than 8 help to recognise other formats). Sets *out_header_bytes.
 */
crn_format_code crn_header_length(const uint8_t *word, size_t word_size, uint64_t file_bytes,
                                  uint64_t *out_header_bytes, char message[200]);

/*
 * Parses and checks a whole header: UTF-8, JSON, names, dtypes, numbers, coverage of
 * @data_bytes without hole or overlap. Untrusted input: time O(n log n), memory at most
 * 3 * @size + 16 MiB, no recursion.
 * @out      Release it with crn_header_dispose; empty on failure.
 * @message  Receives what and where ("tensor 'a': ..., byte 123"), foreign bytes escaped; the byte
 *           counts from the start of the file.
 */
crn_format_code crn_header_parse(const uint8_t *json, size_t size, uint64_t data_bytes,
                                 crn_header *out, char message[200]);
void crn_header_dispose(crn_header *header);
/* The value of a metadata key; NULL if absent. */
const crn_meta_entry *crn_header_meta(const crn_header *header, const char *key);

/*
 * For listing: reads only the metadata at the beginning of a header of which @size bytes are at
 * hand, possibly cut. Calls @fn for each complete key in order until it returns false. False if
 * the header does not begin with "__metadata__".
 */
typedef bool (*crn_meta_fn)(void *user, const crn_meta_entry *entry);
bool crn_header_peek(const uint8_t *json, size_t size, crn_meta_fn fn, void *user);

/*
 * Walks the pairs of a flat or nested JSON object of texts as in our metadata values:
 * {"a":"text"} gives fn(user, "", "a", "text"); {"a":{"b":"text"}} gives fn(user, "a", NULL, NULL)
 * for the inner object and then fn(user, "a", "b", "text"). Numbers, arrays or deeper nesting:
 * CRN_FORMAT_JSON. Names that occur twice are the caller's affair. @fn returns a code; anything
 * but OK ends the walk.
 */
typedef crn_format_code (*crn_pair_fn)(void *user, const char *outer, const char *key,
                                       const char *value);
crn_format_code crn_pairs_parse(const char *json, size_t size, crn_pair_fn fn, void *user);

/* ---- Writing ---- */

/* Metadata key of the header digest; its value is 32 hexadecimal digits, zeros while hashing. */
#define CRN_META_HEADER_DIGEST "cairn.header_digest"

/*
 * Writes the length word and the header into @out (emptied first): "__metadata__" with
 * CRN_META_HEADER_DIGEST first and then @meta in the order given, then @entries in the order
 * given, padded with spaces so that its size is a multiple of 4096; the header digest is filled in.
 * @entries must cover the data section without holes (the caller adds pads).
 * EINVAL: crn_header_parse would refuse the result, which is read back to find out.
 */
cairn_status crn_header_write(const crn_meta_entry *meta, size_t meta_count,
                              const crn_file_entry *entries, size_t entry_count, crn_str *out,
                              cairn_error *err);

/* As crn_header_write, for the size: the header digest is zeros, and nothing is read back. */
cairn_status crn_header_draft(const crn_meta_entry *meta, size_t meta_count,
                              const crn_file_entry *entries, size_t entry_count, crn_str *out,
                              cairn_error *err);

/* Digest of length word and header with the digest's own digits as zeros, and what they say.
 * @header is the length word and the header. ECORRUPT: it has no such digits at their place.
 * ENOMEM.
 */
cairn_status crn_header_digest(const uint8_t *header, size_t size, crn_digest *out_stored,
                               crn_digest *out_computed, cairn_error *err);

/* ---- Digests ---- */

/* Number of chunks of a tensor of @bytes: at least 1, so that an empty tensor has a digest too. */
uint64_t crn_chunk_count(uint64_t bytes);
/* A tensor's digest: XXH3-128 of its chunks' digests, in order. */
crn_digest crn_tensor_digest(const crn_digest *chunks, uint64_t count);

/* One tensor for the state digest. */
typedef struct crn_digest_item {
    const char *name;
    cairn_dtype dtype;
    uint32_t rank;
    const uint64_t *shape;
    crn_digest digest;
} crn_digest_item;
/* Over (name, dtype, shape, digest) sorted by name; the order of @items does not matter (they are
 * sorted in place). */
cairn_status crn_state_digest(crn_digest_item *items, size_t count, crn_digest *out,
                              cairn_error *err);

#endif
