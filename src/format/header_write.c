#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "cairn/state.h"
#include "format/format.h"

/* Where the header digest stands in every file that has one: [CF-42]. */
static const char k_digest_prefix[] = "{\"__metadata__\":{\"" CRN_META_HEADER_DIGEST "\":\"";
static const char k_zero_digits[] = "00000000000000000000000000000000";

enum {
    DIGEST_PREFIX = sizeof k_digest_prefix - 1,
    DIGEST_DIGITS = sizeof k_zero_digits - 1,
    DIGEST_AT = CRN_LENGTH_WORD_BYTES + DIGEST_PREFIX
};

static void put_length(uint8_t *word, uint64_t length)
{
    for (size_t i = 0; i < CRN_LENGTH_WORD_BYTES; i++)
        word[i] = (uint8_t)(length >> (8 * i));
}

static void append_meta(crn_str *out, const crn_meta_entry *meta, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        crn_str_append(out, ",");
        crn_str_append_json(out, meta[i].key, meta[i].key_length);
        crn_str_append(out, ":");
        crn_str_append_json(out, meta[i].value, meta[i].value_length);
    }
}

static void append_entry(crn_str *out, const crn_file_entry *entry)
{
    crn_str_append(out, ",");
    crn_str_append_json(out, entry->name, entry->name_length);
    crn_str_append(out, ":{\"dtype\":\"");
    crn_str_append(out, cairn_dtype_name(entry->dtype));
    crn_str_append(out, "\",\"shape\":[");
    for (uint32_t i = 0; i < entry->rank; i++) {
        if (i > 0)
            crn_str_append(out, ",");
        crn_str_append_u64(out, entry->shape[i]);
    }
    crn_str_append(out, "],\"data_offsets\":[");
    crn_str_append_u64(out, entry->begin);
    crn_str_append(out, ",");
    crn_str_append_u64(out, entry->begin + entry->bytes);
    crn_str_append(out, "]}");
}

static void append_padding(crn_str *out)
{
    char spaces[CAIRN_PAGE_BYTES];
    memset(spaces, ' ', sizeof spaces);
    crn_str_append_bytes(out, spaces,
                         (sizeof spaces - out->length % sizeof spaces) % sizeof spaces);
}

/* Reads back what was written: what our own reader would refuse must never reach a file. */
static cairn_status check_written(const crn_str *out, uint64_t data_bytes, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_header header = {0};
    char message[200];
    uint64_t length = 0;
    const uint8_t *const bytes = (const uint8_t *)out->text;
    crn_format_code code =
        crn_header_length(bytes, CRN_LENGTH_WORD_BYTES, out->length, &length, message);
    if (code == CRN_FORMAT_OK)
        code =
            crn_header_parse(bytes + CRN_LENGTH_WORD_BYTES, length, data_bytes, &header, message);
    if (code == CRN_FORMAT_NO_MEMORY)
        CRN_FAIL(err, CAIRN_ENOMEM, "%s", message);
    if (code != CRN_FORMAT_OK)
        CRN_FAIL(err, CAIRN_EINVAL, "the header cannot be written (%s): %s",
                 crn_format_code_text(code), message);
out:
    crn_header_dispose(&header);
    return rc;
}

cairn_status crn_header_draft(const crn_meta_entry *meta, size_t meta_count,
                              const crn_file_entry *entries, size_t entry_count, crn_str *out,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    static const uint8_t k_no_length[CRN_LENGTH_WORD_BYTES] = {0};
    if (out->is_failed)
        crn_str_dispose(out);
    out->length = 0; /* A second header takes the memory of the first. */
    crn_str_append_bytes(out, k_no_length, sizeof k_no_length);
    crn_str_append(out, k_digest_prefix);
    crn_str_append(out, k_zero_digits);
    crn_str_append(out, "\"");
    append_meta(out, meta, meta_count);
    crn_str_append(out, "}");
    for (size_t i = 0; i < entry_count; i++)
        append_entry(out, &entries[i]);
    crn_str_append(out, "}");
    append_padding(out);
    CRN_TRY_PLAIN(crn_str_check(out, err));
    put_length((uint8_t *)out->text, out->length - CRN_LENGTH_WORD_BYTES);
out:
    return rc;
}

cairn_status crn_header_write(const crn_meta_entry *meta, size_t meta_count,
                              const crn_file_entry *entries, size_t entry_count, crn_str *out,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_digest stored;
    crn_digest computed;
    char digits[CRN_DIGEST_TEXT_SIZE];
    uint64_t data_bytes = 0;
    CRN_TRY_PLAIN(crn_header_draft(meta, meta_count, entries, entry_count, out, err));
    for (size_t i = 0; i < entry_count; i++) {
        const uint64_t end = entries[i].begin + entries[i].bytes;
        data_bytes = end > data_bytes ? end : data_bytes;
    }
    CRN_TRY_PLAIN(check_written(out, data_bytes, err));
    CRN_TRY_PLAIN(
        crn_header_digest((const uint8_t *)out->text, out->length, &stored, &computed, err));
    crn_digest_to_text(&computed, digits);
    memcpy(out->text + DIGEST_AT, digits, DIGEST_DIGITS);
out:
    return rc;
}

cairn_status crn_header_digest(const uint8_t *header, size_t size, crn_digest *out_stored,
                               crn_digest *out_computed, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_hasher *hasher = NULL;
    if (size <= DIGEST_AT + DIGEST_DIGITS ||
        memcmp(header + CRN_LENGTH_WORD_BYTES, k_digest_prefix, DIGEST_PREFIX) != 0 ||
        crn_digest_from_text((const char *)header + DIGEST_AT, out_stored) != 0 ||
        header[DIGEST_AT + DIGEST_DIGITS] != '"')
        CRN_FAIL(err, CAIRN_ECORRUPT, "there is no header digest (E_HEADER_DIGEST)");
    hasher = crn_hasher_new();
    CRN_NEED(err, hasher, "the header digest");
    crn_hasher_update(hasher, header, DIGEST_AT);
    crn_hasher_update(hasher, k_zero_digits, DIGEST_DIGITS);
    crn_hasher_update(hasher, header + DIGEST_AT + DIGEST_DIGITS, size - DIGEST_AT - DIGEST_DIGITS);
    *out_computed = crn_hasher_finish(hasher);
out:
    crn_hasher_destroy(hasher);
    return rc;
}
