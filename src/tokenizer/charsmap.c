#include "tokenizer/charsmap.h"

#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "format/utf8.h"

enum { STRING_BYTES_MAX = 256 }; /* those of NFKC have up to 33 */

/* A unit has a label (8 bits, or the highest bit in a value), whether a value hangs below it, and
 * the offset of its children (S. Yata, darts-clone, BSD). */
static uint32_t label_of(uint32_t unit)
{
    return unit & (1U << 31 | 0xff);
}

static bool has_value(uint32_t unit)
{
    return (unit >> 8 & 1) != 0;
}

static uint32_t offset_of(uint32_t unit)
{
    return (unit >> 10) << ((unit & 1U << 9) >> 6);
}

static uint32_t read_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Many replacements one behind another must not become too large a text. */
static cairn_status check_strings(const uint8_t *strings, size_t size, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t length = 0;
    if (crn_utf8_check(strings, size) != size)
        CRN_FAIL(err, CAIRN_EDATA, "the table of the normalizer has a text that is no UTF-8");
    for (size_t i = 0; i < size; i++) {
        length = strings[i] == '\0' ? 0 : length + 1;
        if (length > STRING_BYTES_MAX)
            CRN_FAIL(err, CAIRN_EDATA, "the table of the normalizer has a text of over %d bytes",
                     STRING_BYTES_MAX);
    }
out:
    return rc;
}

cairn_status crn_charsmap_read(crn_charsmap *map, const uint8_t *blob, size_t size,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (size == 0)
        goto out;
    const size_t bytes = size >= 4 ? read_u32(blob) : SIZE_MAX;
    if (bytes > size - 4 || bytes % 4 != 0 || bytes == 0 || bytes + 4 == size ||
        blob[size - 1] != '\0')
        CRN_FAIL(err, CAIRN_EDATA, "the table of the normalizer contradicts its sizes");
    CRN_TRY_PLAIN(check_strings(blob + 4 + bytes, size - 4 - bytes, err));
    map->unit_count = bytes / 4;
    map->strings_size = size - 4 - bytes;
    map->units = crn_calloc(map->unit_count, sizeof *map->units);
    map->strings = crn_calloc(map->strings_size, 1);
    CRN_NEED(err, map->units, "the table of the normalizer");
    CRN_NEED(err, map->strings, "the table of the normalizer");
    for (size_t i = 0; i < map->unit_count; i++)
        map->units[i] = read_u32(blob + 4 + 4 * i);
    memcpy(map->strings, blob + 4 + bytes, map->strings_size);
out:
    return rc;
}

void crn_charsmap_dispose(crn_charsmap *map)
{
    crn_free(map->units);
    crn_free(map->strings);
    *map = (crn_charsmap){0};
}

size_t crn_charsmap_longest(const crn_charsmap *map, const char *text, size_t size,
                            const char **out_text, size_t *out_length, bool *out_is_open)
{
    size_t longest = 0;
    *out_is_open = false;
    if (map->unit_count == 0)
        return 0;
    size_t at = offset_of(map->units[0]);
    for (size_t i = 0; i < size; i++) {
        const uint8_t byte = (uint8_t)text[i];
        at ^= byte;
        if (at >= map->unit_count || label_of(map->units[at]) != byte)
            return longest;
        const uint32_t unit = map->units[at];
        at ^= offset_of(unit);
        if (!has_value(unit) || at >= map->unit_count)
            continue;
        const size_t value = map->units[at] & ~(1U << 31);
        /* Within a character it would be no UTF-8. */
        if (value < map->strings_size && ((uint8_t)map->strings[value] & 0xc0) != 0x80) {
            longest = i + 1;
            *out_text = map->strings + value;
            *out_length = strlen(map->strings + value); /* the last byte of all is a NUL */
        }
    }
    *out_is_open = true;
    return longest;
}
