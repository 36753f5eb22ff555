/* Moving the bytes of a file into the arena, and what the file does not have. */
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "ckpt/load_chunks.h"

/* A tensor of the optimizer that the file lacks begins at zero, as the Model Zoo's does. */
static void zero_tensor(const crn_load *load, const cairn_tensor *tensor)
{
    for (uint64_t i = 0; tensor->bytes > 0 && i < crn_chunk_count(tensor->bytes); i++) {
        const uint64_t at = i * CRN_FORMAT_CHUNK_BYTES;
        const size_t size = crn_load_chunk_size(tensor->bytes, i);
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
        const size_t size = crn_load_chunk_size(entry->bytes, i);
        CRN_TRY_PLAIN(crn_checkpoint_read_tensor(load->ckpt, entry, i * CRN_FORMAT_CHUNK_BYTES,
                                                 size, buf, err));
        CRN_TRY_PLAIN(crn_load_check_chunk(load->ckpt, twin->source, i, buf, err));
        if (size > 0 && memcmp(buf, loaded + i * CRN_FORMAT_CHUNK_BYTES, size) != 0)
            CRN_FAIL(err, CAIRN_EINCOMPATIBLE,
                     "'%s' does not fit: tensors '%s' and '%s' are one here and differ in the file",
                     load->ckpt->path, match->source->entry->name, entry->name);
    }
out:
    return rc;
}

cairn_status crn_load_read(crn_load *load, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint8_t *buf = NULL;
    rc =
        load->ckpt->foreign.read != NULL ? crn_load_foreign(load, err) : crn_load_chunks(load, err);
    CRN_TRY_PLAIN(rc);
    for (size_t i = 0; i < load->match_count; i++) {
        const crn_match *const match = &load->matches[i];
        const cairn_state *const state = cairn_state_tree_at(load->tree, match->state);
        if (match->source == NULL && strcmp(cairn_state_name(state), "optimizer") == 0)
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
