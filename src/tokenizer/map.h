/* A table from 64-bit keys to 32-bit values. */
#ifndef CRN_TOKENIZER_MAP_H
#define CRN_TOKENIZER_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cairn/error.h"

/* Zeroed is empty. Open addressing, at most half full. */
typedef struct crn_map {
    uint64_t *keys;
    uint32_t *values;
    size_t slots; /* a power of two, or 0 */
    size_t count;
} crn_map;

void crn_map_dispose(crn_map *map);
/* Any key but UINT64_MAX; one that is there gets the new value. CAIRN_ENOMEM. */
cairn_status crn_map_put(crn_map *map, uint64_t key, uint32_t value, cairn_error *err);
/* False, and *out is left alone: the key is not there. */
bool crn_map_get(const crn_map *map, uint64_t key, uint32_t *out);

/* All bits of @key reach the lowest ones. */
uint64_t crn_map_mix(uint64_t key);

#endif
