/*
 * The reader of untrusted headers. Three walks over the text: UTF-8, then syntax with a count of
 * everything, then (memory taken once, exactly) the contents. So a syntax error anywhere comes
 * before a wrong tensor, and nothing grows while foreign bytes are read.
 */
#include "format/header_read.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "format/utf8.h"

enum {
    /* Bounds that keep memory below 3 x header + 16 MiB where the shortest possible text makes the
     * largest structs: axes and metadata keys. Far above anything useful. */
    AXES_MAX = 1 << 24,
    KEYS_MAX = 1 << 18,

    HAS_DTYPE = 1,
    HAS_SHAPE = 2,
    HAS_OFFSETS = 4,
    HAS_ALL = 7
};

static const char k_metadata[] = "__metadata__";
static const char k_pad_prefix[] = "__pad__.";

struct counts {
    size_t tensors;
    size_t keys;
    size_t axes;
    size_t text; /* bytes of names, keys and values, their NULs included */
};

struct reader {
    crn_json json;
    crn_header *header;
    uint64_t *axes; /* first free one */
    char *text;     /* first free byte */
    uint64_t end_max;
    char *message;
    const char *name; /* of the tensor at hand; NULL outside */
    size_t name_length;
    bool has_metadata;
};

/* Fails at the token at hand. */
#define FAIL(r, code, ...)                                                                         \
    crn_header_fail((r)->message, (code), (r)->name, (r)->name_length, (r)->json.token_at,         \
                    __VA_ARGS__)

static void count_token(const crn_json *json, struct counts *counts, bool *in_metadata,
                        bool *in_shape, size_t *axes_left)
{
    const size_t text_bytes = json->length + 1;
    if (json->token == CRN_JSON_KEY && json->depth == 1) {
        *in_metadata = crn_json_is(json, k_metadata);
        *in_shape = false;
        *axes_left = CAIRN_RANK_MAX;
        counts->tensors += !*in_metadata;
        counts->text += text_bytes;
    } else if (json->token == CRN_JSON_KEY && json->depth == 2) {
        *in_shape = crn_json_is(json, "shape");
        counts->keys += *in_metadata;
        counts->text += *in_metadata ? text_bytes : 0;
    } else if (json->token == CRN_JSON_STRING && json->depth == 2 && *in_metadata) {
        counts->text += text_bytes;
    } else if (json->token == CRN_JSON_NUMBER && json->depth == 3 && *in_shape && *axes_left > 0) {
        counts->axes++;
        --*axes_left;
    }
}

/* Checks the syntax of all of @json and counts what the second walk will store. */
static crn_format_code scan(crn_json json, struct counts *counts, char *message)
{
    bool in_metadata = false;
    bool in_shape = false;
    size_t axes_left = 0;
    crn_json_token token = crn_json_next(&json);
    if (token != CRN_JSON_FAILED && token != CRN_JSON_OBJECT_BEGIN)
        return crn_header_fail(message, CRN_FORMAT_JSON_TYPE, NULL, 0, json.token_at,
                               "the header is no JSON object");
    while (token != CRN_JSON_FAILED && token != CRN_JSON_END) {
        count_token(&json, counts, &in_metadata, &in_shape, &axes_left);
        token = crn_json_next(&json);
    }
    if (token == CRN_JSON_FAILED)
        return crn_header_fail(message, json.code, NULL, 0, json.token_at, "%s", json.problem);
    if (counts->tensors > CRN_FORMAT_TENSORS_MAX || counts->keys > KEYS_MAX ||
        counts->axes > AXES_MAX)
        return crn_header_fail(message, CRN_FORMAT_TOO_MANY, NULL, 0, SIZE_MAX,
                               "%zu tensors with %zu axes and %zu metadata keys are too many",
                               counts->tensors, counts->axes, counts->keys);
    return CRN_FORMAT_OK;
}

/* One block: entries, metadata, axes, texts; in that order everything is aligned. */
static bool allocate(struct reader *r, const struct counts *counts)
{
    crn_header *const header = r->header;
    const size_t entry_bytes = counts->tensors * sizeof *header->entries;
    const size_t meta_bytes = counts->keys * sizeof *header->meta;
    const size_t axes_bytes = counts->axes * sizeof(uint64_t);
    const size_t total = entry_bytes + meta_bytes + axes_bytes + counts->text;
    char *const memory = crn_calloc(total, 1);
    if (memory == NULL)
        return false;
    header->memory = memory;
    header->memory_bytes = total;
    header->entries = (void *)memory;
    header->meta = (void *)(memory + entry_bytes);
    r->axes = (void *)(memory + entry_bytes + meta_bytes);
    r->text = memory + entry_bytes + meta_bytes + axes_bytes;
    return true;
}

/* Keeps the string at hand. */
static const char *keep_text(struct reader *r, size_t *out_length)
{
    char *const text = r->text;
    crn_json_unescape(&r->json, text);
    *out_length = r->json.length;
    r->text += r->json.length + 1;
    return text;
}

static crn_format_code read_dtype(struct reader *r, crn_file_entry *entry)
{
    char shown[32];
    char text[16] = "";
    if (crn_json_next(&r->json) != CRN_JSON_STRING)
        return FAIL(r, CRN_FORMAT_DTYPE, "its dtype is no text");
    if (r->json.length < sizeof text)
        crn_json_unescape(&r->json, text);
    if (r->json.length >= sizeof text ||
        !cairn_dtype_from_name(text, r->json.length, &entry->dtype))
        return FAIL(r, CRN_FORMAT_DTYPE, "unknown dtype '%s'",
                    crn_escape((const char *)r->json.raw, r->json.raw_size, shown, sizeof shown));
    return CRN_FORMAT_OK;
}

static crn_format_code read_shape(struct reader *r, crn_file_entry *entry)
{
    entry->shape = r->axes;
    if (crn_json_next(&r->json) != CRN_JSON_ARRAY_BEGIN)
        return FAIL(r, CRN_FORMAT_NUMBER, "its shape is no array");
    while (crn_json_next(&r->json) != CRN_JSON_ARRAY_END) {
        if (entry->rank == CAIRN_RANK_MAX)
            return FAIL(r, CRN_FORMAT_RANK, "more than %d axes", CAIRN_RANK_MAX);
        if (r->json.token != CRN_JSON_NUMBER || !crn_json_u64(&r->json, r->axes))
            return FAIL(r, CRN_FORMAT_NUMBER, "axis %" PRIu32 " of its shape is no count",
                        entry->rank);
        r->axes++;
        entry->rank++;
    }
    return CRN_FORMAT_OK;
}

static crn_format_code read_offsets(struct reader *r, crn_file_entry *entry, uint64_t *end)
{
    const bool is_pair =
        crn_json_next(&r->json) == CRN_JSON_ARRAY_BEGIN &&
        crn_json_next(&r->json) == CRN_JSON_NUMBER && crn_json_u64(&r->json, &entry->begin) &&
        crn_json_next(&r->json) == CRN_JSON_NUMBER && crn_json_u64(&r->json, end) &&
        crn_json_next(&r->json) == CRN_JSON_ARRAY_END;
    if (!is_pair)
        return FAIL(r, CRN_FORMAT_OFFSETS, "its data_offsets are not two counts");
    return CRN_FORMAT_OK;
}

/* Reads the value of one field, whose name is at hand; unknown fields are skipped. */
static crn_format_code read_field(struct reader *r, crn_file_entry *entry, unsigned *fields,
                                  uint64_t *end)
{
    const unsigned field = crn_json_is(&r->json, "dtype")          ? HAS_DTYPE
                           : crn_json_is(&r->json, "shape")        ? HAS_SHAPE
                           : crn_json_is(&r->json, "data_offsets") ? HAS_OFFSETS
                                                                   : 0;
    if ((*fields & field) != 0)
        return FAIL(r, CRN_FORMAT_DUPLICATE_FIELD, "a field occurs twice");
    *fields |= field;
    if (field == HAS_DTYPE)
        return read_dtype(r, entry);
    if (field == HAS_SHAPE)
        return read_shape(r, entry);
    if (field == HAS_OFFSETS)
        return read_offsets(r, entry, end);
    (void)crn_json_next(&r->json);
    (void)crn_json_skip(&r->json);
    return CRN_FORMAT_OK;
}

/* Reads the tensor whose name is at hand. */
static crn_format_code read_tensor(struct reader *r)
{
    crn_file_entry *const entry = &r->header->entries[r->header->entry_count];
    const size_t name_at = r->json.token_at;
    unsigned fields = 0;
    uint64_t end = 0;
    r->name = entry->name = keep_text(r, &entry->name_length);
    r->name_length = entry->name_length;
    if (entry->name_length > CAIRN_NAME_MAX)
        return FAIL(r, CRN_FORMAT_NAME, "its name has more than %d bytes", CAIRN_NAME_MAX);
    if (strlen(entry->name) != entry->name_length)
        return FAIL(r, CRN_FORMAT_NAME, "its name has a NUL");
    if (crn_json_next(&r->json) != CRN_JSON_OBJECT_BEGIN)
        return FAIL(r, CRN_FORMAT_TENSOR_FIELDS, "its value is no object");
    while (crn_json_next(&r->json) == CRN_JSON_KEY) {
        const crn_format_code code = read_field(r, entry, &fields, &end);
        if (code != CRN_FORMAT_OK)
            return code;
    }
    if (fields != HAS_ALL)
        return FAIL(r, CRN_FORMAT_TENSOR_FIELDS, "no %s",
                    (fields & HAS_DTYPE) == 0   ? "dtype"
                    : (fields & HAS_SHAPE) == 0 ? "shape"
                                                : "data_offsets");
    const crn_format_code code =
        crn_header_check_entry(entry, end, r->end_max, name_at, r->message);
    if (code != CRN_FORMAT_OK)
        return code;
    entry->bytes = end - entry->begin;
    entry->is_pad = crn_starts_with(entry->name, k_pad_prefix);
    r->header->entry_count++;
    r->name = NULL;
    return CRN_FORMAT_OK;
}

/* Reads the value of "__metadata__", whose name is at hand. */
static crn_format_code read_metadata(struct reader *r)
{
    if (r->has_metadata)
        return FAIL(r, CRN_FORMAT_DUPLICATE_FIELD, "a second __metadata__");
    r->has_metadata = true;
    const crn_json_token token = crn_json_next(&r->json);
    if (token == CRN_JSON_NULL)
        return CRN_FORMAT_OK;
    if (token != CRN_JSON_OBJECT_BEGIN)
        return FAIL(r, CRN_FORMAT_METADATA_TYPE, "__metadata__ is no object");
    while (crn_json_next(&r->json) == CRN_JSON_KEY) {
        crn_meta_entry *const entry = &r->header->meta[r->header->meta_count];
        entry->key = keep_text(r, &entry->key_length);
        if (crn_json_next(&r->json) != CRN_JSON_STRING)
            return FAIL(r, CRN_FORMAT_METADATA_TYPE, "a value of __metadata__ is no text");
        entry->value = keep_text(r, &entry->value_length);
        r->header->meta_count++;
    }
    return CRN_FORMAT_OK;
}

static crn_format_code read_all(struct reader *r, uint64_t data_bytes, const struct counts *counts)
{
    crn_format_code code = CRN_FORMAT_OK;
    const size_t order_count = counts->tensors > counts->keys ? counts->tensors : counts->keys;
    (void)crn_json_next(&r->json);
    r->header->is_nonstandard = r->json.token_at > 0;
    while (code == CRN_FORMAT_OK && crn_json_next(&r->json) == CRN_JSON_KEY)
        code = crn_json_is(&r->json, k_metadata) ? read_metadata(r) : read_tensor(r);
    if (code != CRN_FORMAT_OK)
        return code;
    uint32_t *const order = crn_calloc(order_count, 2 * sizeof *order);
    if (order == NULL)
        return FAIL(r, CRN_FORMAT_NO_MEMORY, "no memory to check the header");
    r->header->memory_bytes += order_count * 2 * sizeof *order;
    code = crn_header_check_all(r->header, data_bytes, order, order + order_count, r->message);
    crn_free(order);
    return code;
}

crn_format_code crn_header_parse(const uint8_t *json, size_t size, uint64_t data_bytes,
                                 crn_header *out, char message[200])
{
    struct counts counts = {0};
    struct reader r = {
        .header = out, .message = message, .end_max = UINT64_MAX - CRN_LENGTH_WORD_BYTES - size};
    *out = (crn_header){0};
    message[0] = '\0';
    if (size == 0)
        return crn_header_fail(message, CRN_FORMAT_JSON, NULL, 0, 0, "the header is empty");
    const size_t wrong = crn_utf8_check(json, size);
    if (wrong < size)
        return crn_header_fail(message, CRN_FORMAT_UTF8, NULL, 0, wrong, "the header is not UTF-8");
    crn_json_init(&r.json, json, size);
    crn_format_code code = scan(r.json, &counts, message);
    if (code == CRN_FORMAT_OK && !allocate(&r, &counts))
        code = crn_header_fail(message, CRN_FORMAT_NO_MEMORY, NULL, 0, SIZE_MAX,
                               "no memory for %zu tensors", counts.tensors);
    if (code == CRN_FORMAT_OK)
        code = read_all(&r, data_bytes, &counts);
    if (code != CRN_FORMAT_OK)
        crn_header_dispose(out);
    return code;
}

void crn_header_dispose(crn_header *header)
{
    crn_free(header->memory);
    *header = (crn_header){0};
}

const crn_meta_entry *crn_header_meta(const crn_header *header, const char *key)
{
    const size_t length = strlen(key);
    for (size_t i = 0; i < header->meta_count; i++) {
        const crn_meta_entry *const entry = &header->meta[i];
        if (entry->key_length == length && memcmp(entry->key, key, length) == 0)
            return entry;
    }
    return NULL;
}
