/* A header: the first 8 bytes are the size of the data section, the rest the JSON text. */
#include <inttypes.h>
#include <string.h>

#include "base/str.h"
#include "format/format.h"
#include "fuzz/fuzz.h"

enum { WORD = CRN_LENGTH_WORD_BYTES, MESSAGE_SIZE = 200, SPARE_BYTES = 16 << 20 };

static void check_header(const crn_header *header, size_t size, uint64_t data_bytes)
{
    uint64_t covered = 0;
    CHECK(header->memory_bytes <= 3 * size + SPARE_BYTES);
    CHECK(header->entry_count <= CRN_FORMAT_TENSORS_MAX);
    for (size_t i = 0; i < header->entry_count; i++) {
        const crn_file_entry *const entry = &header->entries[i];
        CHECK(strlen(entry->name) == entry->name_length);
        CHECK(entry->begin == covered);
        CHECK(entry->rank <= 64);
        for (uint32_t axis = 0; axis < entry->rank; axis++)
            CHECK(entry->shape[axis] > 0 || entry->bytes == 0);
        covered += entry->bytes;
    }
    CHECK(covered == data_bytes);
    for (size_t i = 0; i < header->meta_count; i++) {
        const crn_meta_entry *const meta = &header->meta[i];
        CHECK(meta->key[meta->key_length] == '\0' && meta->value[meta->value_length] == '\0');
    }
}

/* What was read, written and read again, is the same. */
static void check_round_trip(const crn_header *header, uint64_t data_bytes)
{
    cairn_error err = {0};
    crn_header again;
    crn_str text = {0};
    crn_digest stored;
    crn_digest computed;
    char message[MESSAGE_SIZE];
    /* A key that the writer adds itself is refused, as is a larger header than the limit. */
    const cairn_status status = crn_header_write(header->meta, header->meta_count, header->entries,
                                                 header->entry_count, &text, &err);
    CHECK(status == CAIRN_OK || status == CAIRN_EINVAL);
    if (status != CAIRN_OK) {
        CHECK(crn_header_meta(header, CRN_META_HEADER_DIGEST) != NULL);
        crn_str_dispose(&text);
        return;
    }
    const uint8_t *const bytes = (const uint8_t *)text.text;
    CHECK(text.length % 4096 == 0);
    CHECK(crn_header_digest(bytes, text.length, &stored, &computed, &err) == CAIRN_OK);
    CHECK(crn_digest_equal(&stored, &computed));
    CHECK(crn_header_parse(bytes + WORD, text.length - WORD, data_bytes, &again, message) ==
          CRN_FORMAT_OK);
    CHECK(again.entry_count == header->entry_count && again.meta_count == header->meta_count + 1);
    for (size_t i = 0; i < again.entry_count; i++) {
        const crn_file_entry *const a = &header->entries[i];
        const crn_file_entry *const b = &again.entries[i];
        CHECK(strcmp(a->name, b->name) == 0 && a->dtype == b->dtype && a->rank == b->rank);
        CHECK(a->begin == b->begin && a->bytes == b->bytes);
        CHECK(a->rank == 0 || memcmp(a->shape, b->shape, a->rank * sizeof *a->shape) == 0);
    }
    for (size_t i = 0; i < header->meta_count; i++) {
        const crn_meta_entry *const a = &header->meta[i];
        const crn_meta_entry *const b = &again.meta[i + 1];
        CHECK(a->key_length == b->key_length && a->value_length == b->value_length);
        CHECK(memcmp(a->key, b->key, a->key_length) == 0);
        CHECK(memcmp(a->value, b->value, a->value_length) == 0);
    }
    crn_header_dispose(&again);
    crn_str_dispose(&text);
}

struct peeked {
    const crn_header *header; /* NULL: it was refused */
    size_t count;
};

static bool note_key(void *user, const crn_meta_entry *entry)
{
    struct peeked *const peeked = user;
    CHECK(entry->key[entry->key_length] == '\0' && entry->value[entry->value_length] == '\0');
    if (peeked->header != NULL) {
        CHECK(peeked->count < peeked->header->meta_count);
        const crn_meta_entry *const parsed = &peeked->header->meta[peeked->count];
        CHECK(parsed->key_length == entry->key_length);
        CHECK(memcmp(parsed->key, entry->key, entry->key_length) == 0);
        CHECK(parsed->value_length == entry->value_length);
        CHECK(memcmp(parsed->value, entry->value, entry->value_length) == 0);
    }
    peeked->count++;
    return true;
}

/* A glance at the beginning sees what the whole has. */
static void check_peek(const uint8_t *json, size_t size, const crn_header *header)
{
    for (size_t part = size / 3; part > 0 && part <= size; part += size / 3) {
        struct peeked peeked = {.header = header};
        uint8_t *const copy = fuzz_copy(json, part, false);
        (void)crn_header_peek(copy, part, note_key, &peeked);
        free(copy);
    }
    struct peeked peeked = {.header = header};
    const bool is_first = crn_header_peek(json, size, note_key, &peeked);
    CHECK(header == NULL || !is_first || peeked.count == header->meta_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    crn_header header;
    char message[MESSAGE_SIZE];
    uint64_t data_bytes = 0;
    uint64_t header_bytes = 0;
    const size_t head = size < WORD ? size : WORD;
    const crn_format_code word = crn_header_length(data, size, size, &header_bytes, message);
    CHECK((word == CRN_FORMAT_OK) == (message[0] == '\0'));
    CHECK(word != CRN_FORMAT_OK || (header_bytes > 0 && header_bytes <= size - WORD));
    for (size_t i = 0; i < head; i++)
        data_bytes |= (uint64_t)data[i] << (8 * i);
    uint8_t *const json = fuzz_copy(data + head, size - head, false);
    const crn_format_code code = crn_header_parse(json, size - head, data_bytes, &header, message);
    CHECK(memchr(message, '\0', sizeof message) != NULL);
    CHECK((code == CRN_FORMAT_OK) == (message[0] == '\0'));
    CHECK(code != CRN_FORMAT_NO_MEMORY);
    if (code == CRN_FORMAT_OK) {
        check_header(&header, size - head, data_bytes);
        check_round_trip(&header, data_bytes);
        check_peek(json, size - head, &header);
    } else {
        CHECK(header.memory == NULL);
        check_peek(json, size - head, NULL);
    }
    crn_header_dispose(&header);
    free(json);
    return 0;
}
