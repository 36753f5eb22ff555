/* Moving the bytes of a file into the arena, through the write guard, checking digests. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "ckpt/load_priv.h"

_Static_assert((int)CRN_FORMAT_CHUNK_BYTES <= (int)CAIRN_WRITE_TILE_BYTES,
               "a chunk is read as one tile");

static size_t chunk_size(uint64_t bytes, uint64_t i)
{
    const uint64_t left = bytes - i * CRN_FORMAT_CHUNK_BYTES;
    return left < CRN_FORMAT_CHUNK_BYTES ? (size_t)left : (size_t)CRN_FORMAT_CHUNK_BYTES;
}

/* Reads chunk @i of @source to @buf and checks its digest. */
static cairn_status read_chunk(const cairn_checkpoint *ckpt, const crn_read_tensor *source,
                               uint64_t i, void *buf, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_file_entry *const entry = source->entry;
    const size_t size = chunk_size(entry->bytes, i);
    const uint64_t offset = ckpt->data_begin + entry->begin + i * CRN_FORMAT_CHUNK_BYTES;
    char shown[200];
    CRN_TRY_PLAIN(crn_checkpoint_read_bytes(ckpt, buf, size, offset, err));
    const crn_digest actual = crn_hash(buf, size);
    if (!crn_chunk_is_intact(source, i, &actual))
        CRN_FAIL(err, CAIRN_ECORRUPT,
                 "'%s' is damaged: tensor '%s' does not match its digest between bytes %" PRIu64
                 " and %" PRIu64 " of the file",
                 ckpt->path, crn_escape(entry->name, entry->name_length, shown, sizeof shown),
                 offset, offset + size);
out:
    return rc;
}

static cairn_status read_tensor(const crn_load *load, const crn_match *match, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_tensor *const tensor = match->tensor;
    const uint64_t chunks = crn_chunk_count(tensor->bytes);
    for (uint64_t i = 0; i < chunks; i++) {
        const uint64_t at = i * CRN_FORMAT_CHUNK_BYTES;
        const uint64_t size = chunk_size(tensor->bytes, i);
        void *const to = cairn_tensor_write_begin(load->tree, tensor, at, size);
        rc = read_chunk(load->ckpt, match->source, i, to, err);
        cairn_tensor_write_end(load->tree, tensor, at, size);
        CRN_TRY_PLAIN(rc);
    }
out:
    return rc;
}

/* A tensor of the optimizer that the file lacks begins at zero, as the Model Zoo's does. */
static void zero_tensor(const crn_load *load, const cairn_tensor *tensor)
{
    for (uint64_t i = 0; tensor->bytes > 0 && i < crn_chunk_count(tensor->bytes); i++) {
        const uint64_t at = i * CRN_FORMAT_CHUNK_BYTES;
        const size_t size = chunk_size(tensor->bytes, i);
        memset(cairn_tensor_write_begin(load->tree, tensor, at, size), 0, size);
        cairn_tensor_write_end(load->tree, tensor, at, size);
    }
}

/* Tied tensors that the file holds twice must be the same bytes. */
static cairn_status check_twin(const crn_load *load, const crn_twin *twin, uint8_t *buf,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_match *const match = &load->matches[twin->match];
    const crn_file_entry *const entry = twin->source->entry;
    const uint8_t *const loaded = match->tensor->data;
    for (uint64_t i = 0; i < crn_chunk_count(entry->bytes); i++) {
        const size_t size = chunk_size(entry->bytes, i);
        CRN_TRY_PLAIN(read_chunk(load->ckpt, twin->source, i, buf, err));
        if (size > 0 && memcmp(buf, loaded + i * CRN_FORMAT_CHUNK_BYTES, size) != 0)
            CRN_FAIL(err, CAIRN_EINCOMPATIBLE,
                     "'%s' does not fit: tensors '%s' and '%s' are one here and differ in the file",
                     load->ckpt->path, match->source->entry->name, entry->name);
    }
out:
    return rc;
}

static int compare_begin(const void *a, const void *b)
{
    const crn_match *const x = *(const crn_match *const *)a;
    const crn_match *const y = *(const crn_match *const *)b;
    const uint64_t at_x = x->source != NULL ? x->source->entry->begin : UINT64_MAX;
    const uint64_t at_y = y->source != NULL ? y->source->entry->begin : UINT64_MAX;
    return (at_x > at_y) - (at_x < at_y);
}

cairn_status crn_load_read(crn_load *load, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint8_t *buf = NULL;
    /* The order of the file, whatever that of the tree is: disks like it. The matches stay where
     * they are, and the list of them is not needed in its old order any more. */
    if (load->match_count > 0)
        qsort(load->by_tensor, load->match_count, sizeof *load->by_tensor, compare_begin);
    for (size_t i = 0; i < load->match_count; i++) {
        const crn_match *const match = load->by_tensor[i];
        const cairn_state *const state = cairn_state_tree_at(load->tree, match->state);
        if (match->source != NULL)
            CRN_TRY_PLAIN(read_tensor(load, match, err));
        else if (strcmp(cairn_state_name(state), "optimizer") == 0)
            zero_tensor(load, match->tensor);
    }
    if (load->twin_count > 0) {
        buf = crn_calloc(CRN_FORMAT_CHUNK_BYTES, 1);
        CRN_NEED(err, buf, "a buffer");
    }
    for (size_t i = 0; i < load->twin_count; i++)
        CRN_TRY_PLAIN(check_twin(load, &load->twins[i], buf, err));
    CRN_TRY_PLAIN(crn_checkpoint_check_unchanged(load->ckpt, err));
out:
    crn_free(buf);
    return rc;
}
