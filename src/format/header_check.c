/* The rules that a header must keep beyond its syntax: [CF-5] to [CF-12], [CF-52] to [CF-54]. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "format/header_read.h"
#include "format/sort.h"

enum { SHOWN_NAME_SIZE = 72, WHAT_SIZE = 120, PLACE_SIZE = 32 };

crn_format_code crn_header_fail(char *message, crn_format_code code, const char *name,
                                size_t name_length, size_t at, const char *format, ...)
{
    char what[WHAT_SIZE];
    char shown[SHOWN_NAME_SIZE] = "";
    char place[PLACE_SIZE] = "";
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    if (name != NULL)
        (void)crn_escape(name, name_length, shown, sizeof shown);
    if (at != SIZE_MAX)
        (void)snprintf(place, sizeof place, ", byte %zu", at + CRN_LENGTH_WORD_BYTES);
    (void)snprintf(message, CRN_MESSAGE_SIZE, "%s%s%s%s%s", name != NULL ? "tensor '" : "", shown,
                   name != NULL ? "': " : "", what, place);
    return code;
}

crn_format_code crn_header_check_entry(const crn_file_entry *entry, uint64_t end, uint64_t end_max,
                                       size_t at, char *message)
{
    uint64_t bits = cairn_dtype_bits(entry->dtype);
    bool is_empty = false;
    for (uint32_t i = 0; i < entry->rank; i++) {
        is_empty = is_empty || entry->shape[i] == 0;
        /* Axes of zero are left out, so that the verdict does not depend on the order of axes. */
        if (entry->shape[i] > 0 && !crn_mul_u64(bits, entry->shape[i], &bits))
            return crn_header_fail(message, CRN_FORMAT_OVERFLOW, entry->name, entry->name_length,
                                   at, "its size does not fit 64 bits");
    }
    if (is_empty)
        bits = 0;
    if (bits % 8 != 0)
        return crn_header_fail(message, CRN_FORMAT_SUBBYTE, entry->name, entry->name_length, at,
                               "its %" PRIu64 " bits are no whole bytes", bits);
    if (entry->begin > end)
        return crn_header_fail(message, CRN_FORMAT_OFFSETS, entry->name, entry->name_length, at,
                               "it begins at %" PRIu64 " and ends at %" PRIu64, entry->begin, end);
    if (end > end_max)
        return crn_header_fail(message, CRN_FORMAT_OVERFLOW, entry->name, entry->name_length, at,
                               "its end %" PRIu64 " is beyond any file", end);
    if (end - entry->begin != bits / 8)
        return crn_header_fail(message, CRN_FORMAT_SIZE_MISMATCH, entry->name, entry->name_length,
                               at, "its shape takes %" PRIu64 " bytes, its offsets %" PRIu64,
                               bits / 8, end - entry->begin);
    return CRN_FORMAT_OK;
}

static int compare_text(const char *a, size_t a_length, const char *b, size_t b_length)
{
    const int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
    return order != 0 ? order : (a_length > b_length) - (a_length < b_length);
}

static int by_key(const void *context, uint32_t a, uint32_t b)
{
    const crn_meta_entry *const meta = context;
    return compare_text(meta[a].key, meta[a].key_length, meta[b].key, meta[b].key_length);
}

static int by_name(const void *context, uint32_t a, uint32_t b)
{
    const crn_file_entry *const entries = context;
    return compare_text(entries[a].name, entries[a].name_length, entries[b].name,
                        entries[b].name_length);
}

static int by_place(const void *context, uint32_t a, uint32_t b)
{
    const crn_file_entry *const x = (const crn_file_entry *)context + a;
    const crn_file_entry *const y = (const crn_file_entry *)context + b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static void number(uint32_t *order, size_t count)
{
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
}

static crn_format_code check_keys(const crn_header *header, uint32_t *order, uint32_t *scratch,
                                  char *message)
{
    char shown[SHOWN_NAME_SIZE];
    number(order, header->meta_count);
    crn_sort(order, scratch, header->meta_count, by_key, header->meta);
    for (size_t i = 1; i < header->meta_count; i++) {
        const crn_meta_entry *const entry = &header->meta[order[i]];
        if (by_key(header->meta, order[i - 1], order[i]) == 0)
            return crn_header_fail(message, CRN_FORMAT_DUPLICATE_FIELD, NULL, 0, SIZE_MAX,
                                   "__metadata__ has the key '%s' twice",
                                   crn_escape(entry->key, entry->key_length, shown, sizeof shown));
    }
    return CRN_FORMAT_OK;
}

static crn_format_code check_names(const crn_header *header, uint32_t *order, uint32_t *scratch,
                                   char *message)
{
    crn_sort(order, scratch, header->entry_count, by_name, header->entries);
    for (size_t i = 1; i < header->entry_count; i++) {
        const crn_file_entry *const entry = &header->entries[order[i]];
        if (by_name(header->entries, order[i - 1], order[i]) == 0)
            return crn_header_fail(message, CRN_FORMAT_DUPLICATE_NAME, entry->name,
                                   entry->name_length, SIZE_MAX, "the name occurs twice");
    }
    return CRN_FORMAT_OK;
}

/* Moves the entries into @order, cycle by cycle, without a second array of them. */
static void permute(crn_file_entry *entries, uint32_t *order, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const crn_file_entry first = entries[i];
        size_t at = i;
        while (order[at] != i) {
            const uint32_t from = order[at];
            entries[at] = entries[from];
            order[at] = (uint32_t)at;
            at = from;
        }
        entries[at] = first;
        order[at] = (uint32_t)at;
    }
}

/* The first entry that does not begin where the one before ends; NULL if none. */
static const crn_file_entry *first_break(const crn_header *header, uint64_t *out_end)
{
    uint64_t end = 0;
    for (size_t i = 0; i < header->entry_count; i++) {
        const crn_file_entry *const entry = &header->entries[i];
        if (entry->begin != end) {
            *out_end = end;
            return entry;
        }
        end += entry->bytes;
    }
    *out_end = end;
    return NULL;
}

/*
 * A table without hole or overlap that asks for more than there is belongs to a file that was cut;
 * a tensor beyond the end of the data in a broken table is a wrong table.
 */
static crn_format_code check_coverage(const crn_header *header, uint64_t data_bytes, char *message)
{
    uint64_t end = 0;
    const crn_file_entry *const odd = first_break(header, &end);
    if (odd == NULL && end > data_bytes)
        return crn_header_fail(message, CRN_FORMAT_TRUNCATED_DATA, NULL, 0, SIZE_MAX,
                               "the file is %" PRIu64 " bytes too short", end - data_bytes);
    if (odd == NULL && end < data_bytes)
        return crn_header_fail(message, CRN_FORMAT_TRAILING_DATA, NULL, 0, SIZE_MAX,
                               "%" PRIu64 " bytes at the end of the file belong to no tensor",
                               data_bytes - end);
    if (odd == NULL)
        return CRN_FORMAT_OK;
    for (size_t i = 0; i < header->entry_count; i++) {
        const crn_file_entry *const entry = &header->entries[i];
        if (entry->begin + entry->bytes > data_bytes)
            return crn_header_fail(message, CRN_FORMAT_OUT_OF_RANGE, entry->name,
                                   entry->name_length, SIZE_MAX,
                                   "it ends at data byte %" PRIu64 " of %" PRIu64,
                                   entry->begin + entry->bytes, data_bytes);
    }
    if (odd->begin > end)
        return crn_header_fail(message, CRN_FORMAT_HOLE, odd->name, odd->name_length, SIZE_MAX,
                               "data bytes %" PRIu64 " to %" PRIu64 " before it belong to nothing",
                               end, odd->begin);
    return crn_header_fail(message, CRN_FORMAT_OVERLAP, odd->name, odd->name_length, SIZE_MAX,
                           "it begins at data byte %" PRIu64 ", before the last one ends (%" PRIu64
                           ")",
                           odd->begin, end);
}

crn_format_code crn_header_check_all(crn_header *header, uint64_t data_bytes, uint32_t *order,
                                     uint32_t *scratch, char *message)
{
    crn_format_code code = check_keys(header, order, scratch, message);
    if (code != CRN_FORMAT_OK)
        return code;
    number(order, header->entry_count);
    code = check_names(header, order, scratch, message);
    if (code != CRN_FORMAT_OK)
        return code;
    crn_sort(order, scratch, header->entry_count, by_place, header->entries);
    permute(header->entries, order, header->entry_count);
    return check_coverage(header, data_bytes, message);
}
