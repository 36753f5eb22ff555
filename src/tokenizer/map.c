#include "tokenizer/map.h"

#include <string.h>

#include "base/mem.h"
#include "base/try.h"

#define EMPTY UINT64_MAX

enum { SLOTS_MIN = 64 };

void crn_map_dispose(crn_map *map)
{
    crn_free(map->keys);
    crn_free(map->values);
    *map = (crn_map){0};
}

/* The finalizer of splitmix64 (S. Vigna). */
uint64_t crn_map_mix(uint64_t key)
{
    key = (key ^ (key >> 30)) * 0xbf58476d1ce4e5b9U;
    key = (key ^ (key >> 27)) * 0x94d049bb133111ebU;
    return key ^ (key >> 31);
}

/* Where the key is or would be. */
static size_t slot_of(const crn_map *map, uint64_t key)
{
    size_t slot = (size_t)crn_map_mix(key) & (map->slots - 1);
    while (map->keys[slot] != EMPTY && map->keys[slot] != key)
        slot = (slot + 1) & (map->slots - 1);
    return slot;
}

static cairn_status grow(crn_map *map, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const size_t slots = map->slots > 0 ? 2 * map->slots : SLOTS_MIN;
    crn_map larger = {.keys = crn_calloc(slots, sizeof *larger.keys),
                      .values = crn_calloc(slots, sizeof *larger.values),
                      .slots = slots,
                      .count = map->count};
    CRN_NEED(err, larger.keys, "a table");
    CRN_NEED(err, larger.values, "a table");
    memset(larger.keys, 0xff, slots * sizeof *larger.keys);
    for (size_t i = 0; i < map->slots; i++) {
        if (map->keys[i] == EMPTY)
            continue;
        const size_t slot = slot_of(&larger, map->keys[i]);
        larger.keys[slot] = map->keys[i];
        larger.values[slot] = map->values[i];
    }
    crn_map_dispose(map);
    *map = larger;
    larger = (crn_map){0};
out:
    crn_map_dispose(&larger);
    return rc;
}

cairn_status crn_map_put(crn_map *map, uint64_t key, uint32_t value, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (2 * (map->count + 1) > map->slots)
        CRN_TRY_PLAIN(grow(map, err));
    const size_t slot = slot_of(map, key);
    map->count += map->keys[slot] == EMPTY ? 1 : 0;
    map->keys[slot] = key;
    map->values[slot] = value;
out:
    return rc;
}

bool crn_map_get(const crn_map *map, uint64_t key, uint32_t *out)
{
    if (map->count == 0)
        return false;
    const size_t slot = slot_of(map, key);
    if (map->keys[slot] == EMPTY)
        return false;
    *out = map->values[slot];
    return true;
}
