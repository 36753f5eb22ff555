#include "pickle/zip.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"

enum {
    END_BYTES = 22,      /* end of central directory record */
    LOCATOR_BYTES = 20,  /* zip64 end of central directory locator */
    END64_BYTES = 56,    /* zip64 end of central directory record */
    ENTRY_BYTES = 46,    /* of the directory, before its name */
    HEAD_BYTES = 30,     /* before an entry's name */
    COMMENT_MAX = 65535, /* behind the end record */
    DIRECTORY_MAX = 64 << 20,
    ENTRIES_MAX = 1 << 20,
    NAME_MAX_BYTES = 4096,
    EXTRA_ZIP64 = 1,
    FLAG_ENCRYPTED = 1,
    FLAG_SIZES_BEHIND = 8 /* the head may not know them yet */
};

static const uint32_t k_end_mark = 0x06054b50;
static const uint32_t k_locator_mark = 0x07064b50;
static const uint32_t k_end64_mark = 0x06064b50;
static const uint32_t k_entry_mark = 0x02014b50;
static const uint32_t k_head_mark = 0x04034b50;

/* Where the directory is. */
struct place {
    uint64_t begin;
    uint64_t bytes;
    uint64_t entries;
};

/* ---- Numbers and bytes ---- */

static uint64_t number(const uint8_t *bytes, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = size; i > 0; i--)
        value = value << 8 | bytes[i - 1];
    return value;
}

static uint32_t u16(const uint8_t *bytes)
{
    return (uint32_t)number(bytes, 2);
}

static uint32_t u32(const uint8_t *bytes)
{
    return (uint32_t)number(bytes, 4);
}

cairn_status crn_read_exactly(const crn_os *os, int fd, void *buf, size_t size, uint64_t offset,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t got = 0;
    const int e = os->read_at(os, fd, buf, size, offset, &got);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "cannot be read");
    if (got != size)
        CRN_FAIL(err, CAIRN_ECORRUPT, "is cut short");
out:
    return rc;
}

/* ---- The end of the file ---- */

/* zip64: the record and the locator stand right before the end record and must not contradict it.
 */
static cairn_status read_end64(const crn_os *os, int fd, uint64_t end, const uint8_t *end_record,
                               struct place *place, uint64_t *out_end, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint8_t bytes[END64_BYTES + LOCATOR_BYTES];
    *out_end = end;
    if (end < sizeof bytes)
        return CAIRN_OK;
    CRN_TRY_PLAIN(crn_read_exactly(os, fd, bytes, sizeof bytes, end - sizeof bytes, err));
    const uint8_t *const locator = bytes + END64_BYTES;
    if (u32(locator) != k_locator_mark)
        return CAIRN_OK;
    *out_end = end - sizeof bytes;
    if (u32(bytes) != k_end64_mark || number(bytes + 4, 8) != END64_BYTES - 12 ||
        number(locator + 8, 8) != *out_end)
        CRN_FAIL(err, CAIRN_ECORRUPT, "has a zip64 record that is not where it says");
    *place = (struct place){.entries = number(bytes + 32, 8),
                            .bytes = number(bytes + 40, 8),
                            .begin = number(bytes + 48, 8)};
    if ((u16(end_record + 10) != UINT16_MAX && u16(end_record + 10) != place->entries) ||
        (u32(end_record + 12) != UINT32_MAX && u32(end_record + 12) != place->bytes) ||
        (u32(end_record + 16) != UINT32_MAX && u32(end_record + 16) != place->begin) ||
        number(bytes + 24, 8) != place->entries || u32(bytes + 16) != 0 || u32(bytes + 20) != 0)
        CRN_FAIL(err, CAIRN_ECORRUPT, "has a zip64 record that contradicts its directory");
out:
    return rc;
}

/* Says which files are not meant, too. */
static cairn_status check_beginning(const crn_os *os, int fd, uint64_t file_bytes, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint8_t first[4];
    if (file_bytes < END_BYTES)
        CRN_FAIL(err, CAIRN_ECORRUPT, "is too short for a PyTorch file");
    CRN_TRY_PLAIN(crn_read_exactly(os, fd, first, sizeof first, 0, err));
    if (first[0] == 0x80 && first[1] <= 5)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "is in the format of PyTorch before 1.6; write it anew: torch.save(torch.load("
                 "OLD, map_location=\"cpu\", weights_only=True), NEW)");
    if (u32(first) != k_head_mark)
        CRN_FAIL(err, CAIRN_ECORRUPT, "is no PyTorch file: it does not begin as a zip file");
out:
    return rc;
}

static cairn_status find_directory(const crn_os *os, int fd, uint64_t file_bytes,
                                   struct place *place, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const size_t size =
        file_bytes < END_BYTES + COMMENT_MAX ? (size_t)file_bytes : (size_t)END_BYTES + COMMENT_MAX;
    size_t at = size - END_BYTES;
    uint64_t end = 0;
    uint8_t *const tail = crn_calloc(1, size);
    CRN_NEED(err, tail, "the end of a file");
    CRN_TRY_PLAIN(crn_read_exactly(os, fd, tail, size, file_bytes - size, err));
    while (at > 0 && (u32(tail + at) != k_end_mark || u16(tail + at + 20) != size - END_BYTES - at))
        at--;
    const uint8_t *const record = tail + at;
    if (u32(record) != k_end_mark || u16(record + 20) != size - END_BYTES - at)
        CRN_FAIL(err, CAIRN_ECORRUPT, "is no whole zip file: it has no directory at its end");
    if (u16(record + 4) != 0 || u16(record + 6) != 0 || u16(record + 8) != u16(record + 10))
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "is one of several parts of a zip file");
    *place = (struct place){
        .entries = u16(record + 10), .bytes = u32(record + 12), .begin = u32(record + 16)};
    CRN_TRY_PLAIN(read_end64(os, fd, file_bytes - size + at, record, place, &end, err));
    if (place->begin > end || place->bytes != end - place->begin)
        CRN_FAIL(err, CAIRN_ECORRUPT, "has a directory that does not end where it says");
    if (place->bytes > DIRECTORY_MAX || place->entries > ENTRIES_MAX)
        CRN_FAIL(err, CAIRN_ECORRUPT, "has a directory of more than %d MiB or %d entries",
                 DIRECTORY_MAX >> 20, (int)ENTRIES_MAX);
out:
    crn_free(tail);
    return rc;
}

/* ---- Entries ---- */

/* What only the reading of an entry needs. */
struct raw {
    const uint8_t *bytes; /* of the directory */
    uint64_t packed;
    uint32_t flags;
};

static cairn_status fail_entry(const crn_zip_entry *entry, const char *what, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char shown[100];
    CRN_FAIL(err, CAIRN_ECORRUPT, "has an entry '%s' %s",
             crn_escape(entry->name, entry->name_length, shown, sizeof shown), what);
out:
    return rc;
}

/* Replaces what did not fit by the numbers of the extra field for zip64, which come in this order.
 */
static bool read_extra(const uint8_t *extra, size_t size, crn_zip_entry *entry, uint64_t *packed)
{
    uint64_t *const numbers[] = {&entry->bytes, packed, &entry->head};
    while (size >= 4) {
        const uint32_t length = u16(extra + 2);
        if (length > size - 4)
            return false;
        if (u16(extra) == EXTRA_ZIP64) {
            uint32_t used = 0;
            for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
                if (*numbers[i] != UINT32_MAX)
                    continue;
                if (length - used < 8)
                    return false;
                *numbers[i] = number(extra + 4 + used, 8);
                used += 8;
            }
            return true;
        }
        extra += 4 + length;
        size -= 4 + length;
    }
    return true;
}

static bool is_plain_name(const char *name, size_t length)
{
    if (length == 0 || length > NAME_MAX_BYTES || name[0] == '/' ||
        memchr(name, '\0', length) != NULL || memchr(name, '\\', length) != NULL)
        return false;
    for (size_t begin = 0, i = 0; i <= length; i++) {
        if (i < length && name[i] != '/')
            continue;
        if (i - begin == 2 && memcmp(name + begin, "..", 2) == 0)
            return false;
        begin = i + 1;
    }
    return true;
}

/* An entry of the directory; *at moves behind it. */
static cairn_status read_entry(const uint8_t *bytes, size_t size, size_t *at, crn_zip_entry *entry,
                               struct raw *raw, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const uint8_t *const b = bytes + *at;
    const size_t left = size - *at;
    if (left < ENTRY_BYTES || u32(b) != k_entry_mark ||
        left - ENTRY_BYTES < (size_t)u16(b + 28) + u16(b + 30) + u16(b + 32))
        CRN_FAIL(err, CAIRN_ECORRUPT, "has a damaged directory");
    *raw = (struct raw){.bytes = b, .packed = u32(b + 20), .flags = u16(b + 8)};
    *entry = (crn_zip_entry){.name = (const char *)b + ENTRY_BYTES,
                             .name_length = u16(b + 28),
                             .head = u32(b + 42),
                             .bytes = u32(b + 24)};
    *at += ENTRY_BYTES + (size_t)u16(b + 28) + u16(b + 30) + u16(b + 32);
    if (!is_plain_name(entry->name, entry->name_length))
        CRN_TRY_PLAIN(fail_entry(entry, "whose name leads elsewhere", err));
    if (!read_extra(b + ENTRY_BYTES + u16(b + 28), u16(b + 30), entry, &raw->packed))
        CRN_TRY_PLAIN(fail_entry(entry, "with a damaged extra field", err));
    if (u16(b + 10) != 0 || raw->packed != entry->bytes)
        CRN_TRY_PLAIN(fail_entry(entry, "that is packed; torch.save never packs", err));
    if ((raw->flags & FLAG_ENCRYPTED) != 0)
        CRN_TRY_PLAIN(fail_entry(entry, "that is encrypted", err));
out:
    return rc;
}

/* The entry's own head must say the same; sets where its bytes begin. */
static cairn_status read_head(const crn_os *os, int fd, uint64_t directory, crn_zip_entry *entry,
                              const struct raw *raw, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint8_t head[HEAD_BYTES + NAME_MAX_BYTES];
    const size_t size = HEAD_BYTES + entry->name_length;
    if (entry->head > directory || directory - entry->head < size)
        CRN_TRY_PLAIN(fail_entry(entry, "that begins outside the file", err));
    CRN_TRY_PLAIN(crn_read_exactly(os, fd, head, size, entry->head, err));
    const bool is_known = (raw->flags & FLAG_SIZES_BEHIND) == 0 && u32(head + 22) != UINT32_MAX;
    if (u32(head) != k_head_mark || u16(head + 26) != entry->name_length ||
        memcmp(head + HEAD_BYTES, entry->name, entry->name_length) != 0 ||
        u16(head + 6) != raw->flags || u16(head + 8) != 0 ||
        (is_known && u32(head + 22) != entry->bytes))
        CRN_TRY_PLAIN(fail_entry(entry, "whose head contradicts the directory", err));
    entry->begin = entry->head + size + u16(head + 28);
    if (entry->begin > directory || entry->bytes > directory - entry->begin)
        CRN_TRY_PLAIN(fail_entry(entry, "that ends outside the file", err));
out:
    return rc;
}

/* ---- The whole ---- */

static int by_place(const void *a, const void *b)
{
    const crn_zip_entry *const x = a;
    const crn_zip_entry *const y = b;
    return (x->head > y->head) - (x->head < y->head);
}

static int by_name(const void *a, const void *b)
{
    const crn_zip_entry *const x = a;
    const crn_zip_entry *const y = b;
    const size_t least = x->name_length < y->name_length ? x->name_length : y->name_length;
    const int order = memcmp(x->name, y->name, least);
    return order != 0 ? order
                      : (x->name_length > y->name_length) - (x->name_length < y->name_length);
}

static cairn_status check_apart(crn_zip *zip, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    qsort(zip->entries, zip->count, sizeof *zip->entries, by_place);
    for (size_t i = 1; i < zip->count; i++) {
        const crn_zip_entry *const before = &zip->entries[i - 1];
        if (zip->entries[i].head < before->begin + before->bytes)
            CRN_TRY_PLAIN(fail_entry(&zip->entries[i], "that overlaps another", err));
    }
    qsort(zip->entries, zip->count, sizeof *zip->entries, by_name);
    for (size_t i = 1; i < zip->count; i++) {
        if (by_name(&zip->entries[i - 1], &zip->entries[i]) == 0)
            CRN_TRY_PLAIN(fail_entry(&zip->entries[i], "twice", err));
    }
out:
    return rc;
}

cairn_status crn_zip_read(const crn_os *os, int fd, uint64_t file_bytes, crn_zip *out,
                          cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct place place;
    size_t at = 0;
    *out = (crn_zip){0};
    CRN_TRY_PLAIN(check_beginning(os, fd, file_bytes, err));
    CRN_TRY_PLAIN(find_directory(os, fd, file_bytes, &place, err));
    if (place.entries > place.bytes / ENTRY_BYTES)
        CRN_FAIL(err, CAIRN_ECORRUPT, "has a directory too short for its entries");
    out->directory = crn_calloc(1, (size_t)place.bytes + 1);
    out->entries = crn_calloc((size_t)place.entries + 1, sizeof *out->entries);
    CRN_NEED(err, out->directory, "a directory");
    CRN_NEED(err, out->entries, "a directory");
    CRN_TRY_PLAIN(crn_read_exactly(os, fd, out->directory, (size_t)place.bytes, place.begin, err));
    while (out->count < place.entries) {
        struct raw raw;
        crn_zip_entry *const entry = &out->entries[out->count];
        CRN_TRY_PLAIN(read_entry(out->directory, (size_t)place.bytes, &at, entry, &raw, err));
        CRN_TRY_PLAIN(read_head(os, fd, place.begin, entry, &raw, err));
        out->count++;
    }
    if (at != place.bytes)
        CRN_FAIL(err, CAIRN_ECORRUPT, "has more in its directory than it says");
    CRN_TRY_PLAIN(check_apart(out, err));
out:
    return rc;
}

void crn_zip_dispose(crn_zip *zip)
{
    crn_free(zip->entries);
    crn_free(zip->directory);
    *zip = (crn_zip){0};
}

const crn_zip_entry *crn_zip_find(const crn_zip *zip, const char *name, size_t length)
{
    const crn_zip_entry key = {.name = name, .name_length = length};
    return bsearch(&key, zip->entries, zip->count, sizeof key, by_name);
}
