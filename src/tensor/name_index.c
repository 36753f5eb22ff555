#include "tensor/name_index.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/try.h"

enum { FIRST_SLOTS = 16 };

static uint64_t hash_of(const char *name)
{
    const crn_digest digest = crn_hash(name, strlen(name));
    uint64_t hash = 0;
    memcpy(&hash, digest.bytes, sizeof hash);
    return hash;
}

/* The slot that holds @name or the free one where it belongs. One slot at least is free. */
static crn_name_slot *slot_of(const crn_name_index *index, const char *name, uint64_t hash)
{
    const size_t mask = index->slot_count - 1;
    size_t i = (size_t)hash & mask;
    for (;; i = (i + 1) & mask) {
        crn_name_slot *const slot = &index->slots[i];
        if (slot->name == NULL || (slot->hash == hash && strcmp(slot->name, name) == 0))
            return slot;
    }
}

void *crn_name_index_find(const crn_name_index *index, const char *name)
{
    if (index->slot_count == 0)
        return NULL;
    return slot_of(index, name, hash_of(name))->item;
}

cairn_status crn_name_index_reserve(crn_name_index *index, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_name_index larger = {.used = index->used};
    if ((index->used + 1) * 2 <= index->slot_count)
        return CAIRN_OK;
    larger.slot_count = index->slot_count > 0 ? index->slot_count * 2 : FIRST_SLOTS;
    larger.slots = crn_calloc(larger.slot_count, sizeof *larger.slots);
    CRN_NEED(err, larger.slots, "an index of names");
    for (size_t i = 0; i < index->slot_count; i++) {
        const crn_name_slot *const old = &index->slots[i];
        if (old->name != NULL)
            *slot_of(&larger, old->name, old->hash) = *old;
    }
    crn_free(index->slots);
    *index = larger;
out:
    return rc;
}

void crn_name_index_put(crn_name_index *index, const char *name, void *item)
{
    const uint64_t hash = hash_of(name);
    *slot_of(index, name, hash) = (crn_name_slot){.hash = hash, .name = name, .item = item};
    index->used++;
}

void crn_name_index_dispose(crn_name_index *index)
{
    crn_free(index->slots);
    *index = (crn_name_index){0};
}
