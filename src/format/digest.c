#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "format/format.h"

uint64_t crn_chunk_count(uint64_t bytes)
{
    return bytes == 0 ? 1 : (bytes - 1) / CRN_FORMAT_CHUNK_BYTES + 1;
}

crn_digest crn_tensor_digest(const crn_digest *chunks, uint64_t count)
{
    return crn_hash(chunks, (size_t)count * sizeof *chunks);
}

static void put_le(crn_hasher *hasher, uint64_t value, size_t size)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    crn_hasher_update(hasher, bytes, size);
}

static void put_text(crn_hasher *hasher, const char *text)
{
    const size_t length = strlen(text);
    put_le(hasher, length, 4);
    crn_hasher_update(hasher, text, length);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const crn_digest_item *)a)->name, ((const crn_digest_item *)b)->name);
}

/* [CF-44] */
cairn_status crn_state_digest(crn_digest_item *items, size_t count, crn_digest *out,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_hasher *const hasher = crn_hasher_new();
    CRN_NEED(err, hasher, "a digest");
    if (count > 0)
        qsort(items, count, sizeof *items, by_name);
    for (size_t i = 0; i < count; i++) {
        put_text(hasher, items[i].name);
        put_text(hasher, cairn_dtype_name(items[i].dtype));
        put_le(hasher, items[i].rank, 4);
        for (uint32_t axis = 0; axis < items[i].rank; axis++)
            put_le(hasher, items[i].shape[axis], 8);
        crn_hasher_update(hasher, items[i].digest.bytes, sizeof items[i].digest.bytes);
    }
    *out = crn_hasher_finish(hasher);
out:
    crn_hasher_destroy(hasher);
    return rc;
}
