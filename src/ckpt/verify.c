/* Reading a whole file against its digests. */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "ckpt/read_priv.h"

typedef struct verifier {
    const cairn_checkpoint *ckpt;
    cairn_damage_fn fn;
    void *user;
    uint8_t *buf; /* one chunk */
    uint64_t damaged;
} verifier;

static void report(verifier *v, const char *tensor, uint64_t offset, uint64_t bytes,
                   const char *text)
{
    const cairn_damage damage = {.tensor = tensor, .offset = offset, .bytes = bytes, .text = text};
    v->damaged++;
    if (v->fn != NULL)
        v->fn(v->user, &damage);
}

/* The header again: what was good when the file was opened may not be now. */
static cairn_status verify_header(verifier *v, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_checkpoint *again = NULL;
    rc = crn_checkpoint_open_os(v->ckpt->os, v->ckpt->path, &again, err);
    cairn_checkpoint_close(again);
    if (rc == CAIRN_ECORRUPT)
        report(v, NULL, 0, v->ckpt->data_begin, "the header is damaged");
    return rc;
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* @tensor: NULL for padding. */
static cairn_status verify_entry(verifier *v, const crn_file_entry *entry,
                                 const crn_read_tensor *tensor, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const uint64_t chunks = crn_chunk_count(entry->bytes);
    for (uint64_t i = 0; i < chunks; i++) {
        const uint64_t at = i * CRN_FORMAT_CHUNK_BYTES;
        const uint64_t left = entry->bytes - at;
        const size_t size =
            left < CRN_FORMAT_CHUNK_BYTES ? (size_t)left : (size_t)CRN_FORMAT_CHUNK_BYTES;
        const uint64_t offset = v->ckpt->data_begin + entry->begin + at;
        CRN_TRY_PLAIN(crn_checkpoint_read_bytes(v->ckpt, v->buf, size, offset, err));
        if (tensor == NULL) {
            if (v->ckpt->info.has_metadata && !is_zero(v->buf, size))
                report(v, NULL, offset, size, "padding is not zero");
            continue;
        }
        const crn_digest actual = crn_hash(v->buf, size);
        if (!crn_chunk_is_intact(tensor, i, &actual))
            report(v, entry->name, offset, size, "the bytes do not match their digest");
    }
out:
    return rc;
}

static cairn_status verify_state_digest(verifier *v, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_checkpoint *const ckpt = v->ckpt;
    crn_digest digest;
    char text[CRN_DIGEST_TEXT_SIZE];
    crn_digest_item *const items = crn_calloc(ckpt->tensor_count, sizeof *items);
    CRN_NEED(err, items, "the state digest");
    for (size_t i = 0; i < ckpt->tensor_count; i++) {
        const crn_file_entry *const entry = ckpt->tensors[i].entry;
        items[i] = (crn_digest_item){.name = entry->name,
                                     .dtype = entry->dtype,
                                     .rank = entry->rank,
                                     .shape = entry->shape,
                                     .digest = ckpt->tensors[i].digest};
    }
    CRN_TRY_PLAIN(crn_state_digest(items, ckpt->tensor_count, &digest, err));
    crn_digest_to_text(&digest, text);
    if (strcmp(text, cairn_checkpoint_state_digest(ckpt)) != 0)
        report(v, NULL, 0, ckpt->data_begin, "the state digest does not match the tensors'");
out:
    crn_free(items);
    return rc;
}

static size_t largest_chunk(const crn_header *header)
{
    uint64_t largest = 0;
    for (size_t i = 0; i < header->entry_count; i++)
        largest = header->entries[i].bytes > largest ? header->entries[i].bytes : largest;
    return largest < CRN_FORMAT_CHUNK_BYTES ? (size_t)largest : (size_t)CRN_FORMAT_CHUNK_BYTES;
}

cairn_status cairn_checkpoint_verify(cairn_checkpoint *ckpt, cairn_damage_fn fn, void *user,
                                     cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    verifier v = {.ckpt = ckpt, .fn = fn, .user = user};
    const crn_read_tensor *tensor = ckpt->tensors;
    if (ckpt->foreign.read != NULL)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "'%s' is of another program and has no digests",
                 ckpt->path);
    v.buf = crn_calloc(largest_chunk(&ckpt->header), 1);
    CRN_NEED(err, v.buf, "a buffer");
    CRN_TRY_PLAIN(verify_header(&v, err));
    for (size_t i = 0; i < ckpt->header.entry_count; i++) {
        const crn_file_entry *const entry = &ckpt->header.entries[i];
        CRN_TRY_PLAIN(verify_entry(&v, entry, entry->is_pad ? NULL : tensor++, err));
    }
    if (ckpt->info.has_metadata)
        CRN_TRY_PLAIN(verify_state_digest(&v, err));
    CRN_TRY_PLAIN(crn_checkpoint_check_unchanged(ckpt, err));
    if (v.damaged > 0)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' is damaged at %" PRIu64 " place%s", ckpt->path,
                 v.damaged, v.damaged == 1 ? "" : "s");
out:
    crn_free(v.buf);
    return rc;
}
