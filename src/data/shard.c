#include "data/shard.h"

#include <endian.h>
#include <inttypes.h>
#include <string.h>

#include "base/try.h"

/* What llm.c's magic numbers stand for. */
struct kind {
    uint32_t magic;
    uint32_t version;
    unsigned token_bytes;
};
static const struct kind k_kinds[] = {{20240520, 1, 2}, {20240801, 7, 4}};

static uint32_t word_at(const uint8_t *head, size_t index)
{
    uint32_t word = 0;
    memcpy(&word, head + index * sizeof word, sizeof word);
    return le32toh(word);
}

static const struct kind *find_kind(const uint8_t *head, size_t size)
{
    for (size_t i = 0; size >= sizeof(uint32_t) && i < sizeof k_kinds / sizeof k_kinds[0]; i++) {
        if (word_at(head, 0) == k_kinds[i].magic)
            return &k_kinds[i];
    }
    return NULL;
}

static cairn_status read_header(const struct kind *kind, const uint8_t *head, size_t size,
                                uint64_t file_bytes, unsigned token_bytes, crn_shard_head *out,
                                cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (size < CRN_SHARD_HEADER_BYTES || file_bytes < CRN_SHARD_HEADER_BYTES)
        CRN_FAIL(err, CAIRN_EDATA,
                 "the file begins as llm.c's header does but has only %" PRIu64 " bytes",
                 file_bytes);
    if (word_at(head, 1) != kind->version)
        CRN_FAIL(err, CAIRN_EDATA,
                 "llm.c header %" PRIu32 " of version %" PRIu32
                 "; this version of Cairn reads version %" PRIu32,
                 kind->magic, word_at(head, 1), kind->version);
    if (token_bytes != 0 && token_bytes != kind->token_bytes)
        CRN_FAIL(err, CAIRN_EDATA, "token_type is uint%u, but the header says uint%u",
                 token_bytes * 8, kind->token_bytes * 8);
    *out = (crn_shard_head){.begin = CRN_SHARD_HEADER_BYTES,
                            .tokens = word_at(head, 2),
                            .token_bytes = kind->token_bytes};
    const uint64_t bytes = file_bytes - CRN_SHARD_HEADER_BYTES;
    if (bytes != out->tokens * out->token_bytes)
        CRN_FAIL(err, CAIRN_EDATA,
                 "the header says %" PRIu64 " tokens of %u bytes, but %" PRIu64
                 " bytes follow it: the file is cut off or damaged",
                 out->tokens, out->token_bytes, bytes);
out:
    return rc;
}

cairn_status crn_shard_head_read(const uint8_t *head, size_t size, uint64_t file_bytes,
                                 unsigned token_bytes, crn_shard_head *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const struct kind *const kind = find_kind(head, size);
    const unsigned bare = token_bytes != 0 ? token_bytes : 2;
    *out = (crn_shard_head){0};
    if (kind != NULL)
        return read_header(kind, head, size, file_bytes, token_bytes, out, err);
    if (file_bytes % bare != 0)
        CRN_FAIL(err, CAIRN_EDATA, "%" PRIu64 " bytes are no whole number of uint%u tokens",
                 file_bytes, bare * 8);
    *out = (crn_shard_head){.begin = 0, .tokens = file_bytes / bare, .token_bytes = bare};
out:
    return rc;
}
