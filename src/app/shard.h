/* A file of tokens as nanoGPT and llm.c read it, written as the tokens come. */
#ifndef CRN_APP_SHARD_H
#define CRN_APP_SHARD_H

#include <stdbool.h>
#include <stdint.h>

#include "cairn/error.h"
#include "ckpt/publish.h"

/* llm.c's header of 256 numbers of 32 bits: which file it is, its version, how many tokens follow
 * (dev/data/data_common.py). The first pair is for tokens of 16 bits, the second for 32. */
enum {
    CRN_LLMC_HEADER_BYTES = 1024,
    CRN_LLMC_MAGIC_16 = 20240520,
    CRN_LLMC_VERSION_16 = 1,
    CRN_LLMC_MAGIC_32 = 20240801,
    CRN_LLMC_VERSION_32 = 7
};

typedef struct crn_shard {
    const char *path; /* for messages */
    const char *name; /* within the folder; points into path */
    char *folder_path;
    crn_folder folder;
    crn_publish publish;
    bool has_header;
    bool replaces;
    unsigned token_bytes; /* 2 or 4 */
    uint64_t tokens;
    uint64_t offset; /* in the file, of the buffer */
    uint8_t *buffer;
    size_t filled;
} crn_shard;

typedef struct crn_shard_options {
    bool has_header; /* llm.c's */
    bool replaces;   /* an existing file */
    unsigned token_bytes;
} crn_shard_options;

/*
 * Makes a private file beside @path, which is borrowed. Zeroed is closed; crn_shard_dispose it,
 * also on failure. CAIRN_EEXISTS: there is a file and it is not to be replaced.
 */
cairn_status crn_shard_open(crn_shard *out, const crn_os *os, const char *path,
                            const crn_shard_options *options, cairn_error *err);
/* CAIRN_EDATA: an id or the number of tokens does not fit the format. */
cairn_status crn_shard_add(crn_shard *shard, const uint32_t *ids, size_t count, cairn_error *err);
/* Writes the rest and the header, then fsync and close. */
cairn_status crn_shard_seal(crn_shard *shard, cairn_error *err);
/* Gives the file its name. CAIRN_EEXISTS, CAIRN_EUNKNOWN as of crn_publish. */
cairn_status crn_shard_publish(crn_shard *shard, cairn_error *err);
/* Removes what was not published. */
void crn_shard_dispose(crn_shard *shard);

#endif
