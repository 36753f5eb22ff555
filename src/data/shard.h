/*
 * The head of a token shard. llm.c writes 256 little-endian int32 words: magic, version, number of
 * tokens, zeros (dev/data/data_common.py there: 20240520, version 1, uint16 tokens; 20240801,
 * version 7, uint32 tokens). nanoGPT writes tokens only.
 */
#ifndef CRN_DATA_SHARD_H
#define CRN_DATA_SHARD_H

#include <stddef.h>
#include <stdint.h>

#include "cairn/error.h"

enum { CRN_SHARD_HEADER_BYTES = 1024 };

typedef struct crn_shard_head {
    uint64_t begin; /* offset of the first token */
    uint64_t tokens;
    unsigned token_bytes; /* 2 or 4 */
} crn_shard_head;

/*
 * @head: the first @size bytes of a file of @file_bytes, at most CRN_SHARD_HEADER_BYTES.
 * @token_bytes: 2 or 4 as the user says, 0 for what the header says (2 without one).
 * CAIRN_EDATA: the header contradicts the file or the user; the message names no file.
 * Thread safe.
 */
cairn_status crn_shard_head_read(const uint8_t *head, size_t size, uint64_t file_bytes,
                                 unsigned token_bytes, crn_shard_head *out, cairn_error *err);

#endif
