#include "interop/archive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
#include "base/try.h"

/* A little longer than the helper allows itself. */
enum { TIMEOUT_MS = (CRN_ARCHIVE_REQUEST_SECONDS + 30) * 1000 };

struct crn_archive {
    crn_helper helper;
    char *path;
    uint8_t *table; /* the helper's; owns names, shapes and texts */
    crn_file_entry *tensors;
    size_t tensor_count;
    crn_archive_value *values;
    size_t value_count;
};

bool crn_archive_recognize(const void *first, size_t size, crn_archive_kind *out)
{
    static const struct {
        crn_archive_kind kind;
        size_t size;
        const char *bytes;
    } k_kinds[] = {
        {CRN_ARCHIVE_PICKLE, 4, "PK\3\4"},
        {CRN_ARCHIVE_PICKLE, 4, "\x80\x02\x8a\x0a"}, /* PyTorch before 1.6: a long integer first */
        {CRN_ARCHIVE_HDF5, 8, "\x89HDF\r\n\x1a\n"},
    };
    for (size_t i = 0; i < sizeof k_kinds / sizeof k_kinds[0]; i++) {
        if (size >= k_kinds[i].size && memcmp(first, k_kinds[i].bytes, k_kinds[i].size) == 0) {
            *out = k_kinds[i].kind;
            return true;
        }
    }
    return false;
}

/* ---- Speaking with the helper ---- */

static cairn_status fail_helper(crn_archive *archive, int e, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_helper_end(&archive->helper); /* Its next words would be of this reply. */
    if (e == EPROTO)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s': its reader says nonsense", archive->path);
    if (e == EPIPE || e == ETIMEDOUT)
        CRN_FAIL(err, CAIRN_ECORRUPT,
                 "'%s': its reader %s; the file is damaged, or made to do harm", archive->path,
                 e == EPIPE ? "crashed" : "found no end");
    CRN_FAIL_ERRNO(err, e, "'%s': speak to its reader", archive->path);
out:
    return rc;
}

/* Sends a request; a reply that is a message becomes an error. */
static cairn_status ask(crn_archive *archive, const crn_archive_request *request, int fd,
                        crn_archive_reply *reply, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char text[CRN_ARCHIVE_TEXT_MAX];
    char clean[CRN_ARCHIVE_TEXT_MAX * 4];
    int e = crn_helper_send(&archive->helper, request, sizeof *request, fd);
    if (e == 0)
        e = crn_helper_receive(&archive->helper, reply, sizeof *reply, TIMEOUT_MS);
    if (e == 0 && reply->outcome == CRN_ARCHIVE_DONE)
        return CAIRN_OK;
    if (e == 0 &&
        ((reply->outcome != CRN_ARCHIVE_DAMAGED && reply->outcome != CRN_ARCHIVE_UNSUPPORTED) ||
         reply->bytes > sizeof text))
        e = EPROTO;
    if (e == 0)
        e = crn_helper_receive(&archive->helper, text, (size_t)reply->bytes, TIMEOUT_MS);
    if (e != 0)
        CRN_TRY_PLAIN(fail_helper(archive, e, err));
    CRN_FAIL(err, reply->outcome == CRN_ARCHIVE_DAMAGED ? CAIRN_ECORRUPT : CAIRN_EUNSUPPORTED,
             "'%s' %s", archive->path, crn_escape(text, (size_t)reply->bytes, clean, sizeof clean));
out:
    return rc;
}

static cairn_status receive(crn_archive *archive, void *buf, size_t size, cairn_error *err)
{
    const int e = crn_helper_receive(&archive->helper, buf, size, TIMEOUT_MS);
    return e != 0 ? fail_helper(archive, e, err) : CAIRN_OK;
}

static cairn_status start(crn_archive *archive, const crn_os *os, crn_archive_kind kind,
                          const char *program, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const name = kind == CRN_ARCHIVE_PICKLE ? "cairn-pickle" : "cairn-hdf5";
    char *const found = program == NULL ? crn_helper_find(os, name) : NULL;
    const char *const path = program != NULL ? program : found;
    if (path == NULL)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "'%s': %s, which reads such files, is neither beside this program nor where it "
                 "was installed",
                 archive->path, name);
    const int e = crn_helper_start(path, &archive->helper);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "start %s", path);
out:
    crn_free(found);
    return rc;
}

/* ---- The table ---- */

/* Where the next record is looked for. */
struct cursor {
    const uint8_t *at;
    size_t left;
};

/* The next @size bytes, then padding to a multiple of @unit; NULL: they are not there. */
static const void *take(struct cursor *cursor, uint64_t size, uint64_t unit)
{
    const uint8_t *const taken = cursor->at;
    uint64_t all = 0;
    if (!crn_round_up_u64(size, unit, &all) || all > cursor->left)
        return NULL;
    cursor->at += all;
    cursor->left -= (size_t)all;
    return taken;
}

/* Shape and dtype are sound; sets the bytes that they say. */
static bool set_bytes(crn_file_entry *tensor)
{
    const uint32_t bits = cairn_dtype_bits(tensor->dtype);
    uint64_t bytes = bits / 8;
    bool is_empty = false;
    for (uint32_t i = 0; i < tensor->rank; i++) {
        is_empty = is_empty || tensor->shape[i] == 0;
        if (!crn_mul_u64(bytes, tensor->shape[i] > 0 ? tensor->shape[i] : 1, &bytes))
            return false;
    }
    tensor->bytes = is_empty ? 0 : bytes;
    return bits > 0 && bits % 8 == 0 && bytes <= INT64_MAX;
}

static bool add_tensor(crn_archive *archive, const crn_archive_record *record, const char *name,
                       const void *shape)
{
    crn_file_entry *const tensor = &archive->tensors[archive->tensor_count++];
    *tensor = (crn_file_entry){.name = name,
                               .name_length = record->name_bytes,
                               .dtype = record->bits <= UINT8_MAX ? (cairn_dtype)record->bits : 0,
                               .rank = record->rank,
                               .shape = shape};
    return set_bytes(tensor);
}

static bool add_value(crn_archive *archive, const crn_archive_record *record, const char *name,
                      const char *text)
{
    crn_archive_value *const value = &archive->values[archive->value_count++];
    *value = (crn_archive_value){.name = name,
                                 .name_length = record->name_bytes,
                                 .kind = (crn_archive_value_kind)record->kind,
                                 .text = text,
                                 .text_length = record->text_bytes};
    if (value->kind == CRN_ARCHIVE_NUMBER)
        memcpy(&value->number, &record->bits, sizeof value->number);
    else
        value->integer = (int64_t)record->bits;
    return record->rank == 0 && value->kind >= CRN_ARCHIVE_NONE &&
           value->kind <= CRN_ARCHIVE_TEXT &&
           (value->kind != CRN_ARCHIVE_BOOL || record->bits <= 1);
}

static bool read_record(crn_archive *archive, struct cursor *cursor)
{
    const crn_archive_record *const record = take(cursor, sizeof *record, 8);
    if (record == NULL || record->rank > CAIRN_RANK_MAX || record->name_bytes == 0 ||
        record->name_bytes > CAIRN_NAME_MAX ||
        (record->text_bytes > 0 && record->kind != CRN_ARCHIVE_TEXT))
        return false;
    const bool is_text = record->kind == CRN_ARCHIVE_TEXT;
    const void *const shape = take(cursor, (uint64_t)record->rank * 8, 8);
    const uint64_t name_size = (uint64_t)record->name_bytes + 1;
    const uint64_t text_size = is_text ? (uint64_t)record->text_bytes + 1 : 0;
    const char *const name = take(cursor, name_size + text_size, 8);
    if (shape == NULL || name == NULL || strnlen(name, name_size) != record->name_bytes ||
        (is_text && name[name_size + text_size - 1] != '\0'))
        return false;
    return record->kind == CRN_ARCHIVE_TENSOR
               ? add_tensor(archive, record, name, shape)
               : add_value(archive, record, name, is_text ? name + name_size : NULL);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* No two entries have one name. */
static cairn_status check_names(const crn_archive *archive, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char shown[200];
    const size_t count = archive->tensor_count + archive->value_count;
    const char **const names = crn_calloc(count + 1, sizeof *names);
    CRN_NEED(err, names, "a table of names");
    for (size_t i = 0; i < archive->tensor_count; i++)
        names[i] = archive->tensors[i].name;
    for (size_t i = 0; i < archive->value_count; i++)
        names[archive->tensor_count + i] = archive->values[i].name;
    qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 1; i < count; i++) {
        if (strcmp(names[i - 1], names[i]) == 0)
            CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' holds two things named '%s'", archive->path,
                     crn_escape(names[i], strlen(names[i]), shown, sizeof shown));
    }
out:
    crn_free(names);
    return rc;
}

static cairn_status read_table(crn_archive *archive, size_t size, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct cursor cursor = {.left = size};
    size_t count = size / sizeof(crn_archive_record);
    if (count > CRN_ARCHIVE_ENTRIES_MAX)
        count = CRN_ARCHIVE_ENTRIES_MAX;
    archive->table = crn_calloc(1, size + 1);
    archive->tensors = crn_calloc(count + 1, sizeof *archive->tensors);
    archive->values = crn_calloc(count + 1, sizeof *archive->values);
    CRN_NEED(err, archive->table, "a table of tensors");
    CRN_NEED(err, archive->tensors, "a table of tensors");
    CRN_NEED(err, archive->values, "a table of values");
    CRN_TRY_PLAIN(receive(archive, archive->table, size, err));
    cursor.at = archive->table;
    while (cursor.left > 0) {
        if (archive->tensor_count + archive->value_count == count || !read_record(archive, &cursor))
            CRN_TRY_PLAIN(fail_helper(archive, EPROTO, err));
    }
    CRN_TRY_PLAIN(check_names(archive, err));
out:
    return rc;
}

/* ---- Opening and reading ---- */

cairn_status crn_archive_open(const crn_os *os, int fd, const char *path, crn_archive_kind kind,
                              const char *program, crn_archive **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_archive_request request = {.kind = CRN_ARCHIVE_OPEN};
    crn_archive_reply reply = {0};
    crn_archive *const archive = crn_calloc(1, sizeof *archive);
    CRN_NEED(err, archive, "a reader of a file");
    *archive = (crn_archive){.helper = {.socket = -1}, .path = crn_strdup(path)};
    CRN_NEED(err, archive->path, "a file's name");
    CRN_TRY_PLAIN(start(archive, os, kind, program, err));
    CRN_TRY_PLAIN(ask(archive, &request, fd, &reply, err));
    if (reply.bytes > CRN_ARCHIVE_TABLE_MAX)
        CRN_TRY_PLAIN(fail_helper(archive, EPROTO, err));
    CRN_TRY_PLAIN(read_table(archive, (size_t)reply.bytes, err));
    *out = archive;
out:
    if (rc != CAIRN_OK)
        crn_archive_close(archive);
    return rc;
}

void crn_archive_close(crn_archive *archive)
{
    if (archive == NULL)
        return;
    crn_helper_end(&archive->helper);
    crn_free(archive->path);
    crn_free(archive->table);
    crn_free(archive->tensors);
    crn_free(archive->values);
    crn_free(archive);
}

const crn_file_entry *crn_archive_tensors(const crn_archive *archive, size_t *out_count)
{
    *out_count = archive->tensor_count;
    return archive->tensors;
}

const crn_archive_value *crn_archive_values(const crn_archive *archive, size_t *out_count)
{
    *out_count = archive->value_count;
    return archive->values;
}

cairn_status crn_archive_read(crn_archive *archive, const crn_file_entry *tensor, uint64_t offset,
                              size_t size, void *buf, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint8_t *to = buf;
    while (size > 0) {
        const size_t piece = size < CRN_ARCHIVE_READ_MAX ? size : CRN_ARCHIVE_READ_MAX;
        const crn_archive_request request = {.kind = CRN_ARCHIVE_READ,
                                             .tensor = (uint32_t)(tensor - archive->tensors),
                                             .offset = offset,
                                             .count = piece};
        crn_archive_reply reply = {0};
        CRN_TRY_PLAIN(ask(archive, &request, -1, &reply, err));
        if (reply.bytes != piece)
            CRN_TRY_PLAIN(fail_helper(archive, EPROTO, err));
        CRN_TRY_PLAIN(receive(archive, to, piece, err));
        to += piece;
        offset += piece;
        size -= piece;
    }
out:
    return rc;
}
