#include "interop/gguf_file.h"

#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "interop/element.h"

enum { BEGINNING_BYTES = 1 << 20, BEGINNING_MAX = 256 << 20, PIECE = 1 << 20 };

bool crn_gguf_file_is(const crn_os *os, const char *path)
{
    char magic[sizeof CRN_GGUF_MAGIC - 1] = "";
    size_t got = 0;
    int fd = -1;
    if (os->open(os, CRN_OS_CWD, path, CRN_OPEN_READ, &fd) != 0)
        return false;
    const int e = os->read_at(os, fd, magic, sizeof magic, 0, &got);
    (void)os->close(os, fd); /* Only looked at. */
    return e == 0 && got == sizeof magic && memcmp(magic, CRN_GGUF_MAGIC, sizeof magic) == 0;
}

static cairn_status read_bytes(const crn_gguf_file *file, void *buf, size_t size, uint64_t offset,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t got = 0;
    const int e = file->os->read_at(file->os, file->fd, buf, size, offset, &got);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "read '%s'", file->path);
    if (got != size)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' has become shorter", file->path);
out:
    return rc;
}

/* Nothing says how long the metadata is, so it is read again, twice as much, until it is whole. */
static cairn_status read_beginning(crn_gguf_file *file, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    bool is_short = false;
    for (uint64_t wanted = BEGINNING_BYTES;; wanted *= 2) {
        const size_t size = (size_t)(wanted < file->stat.size ? wanted : file->stat.size);
        crn_gguf_dispose(&file->gguf);
        crn_free(file->beginning);
        file->beginning = crn_calloc(1, size + 1);
        CRN_NEED(err, file->beginning, "the metadata of a file");
        CRN_TRY_PLAIN(read_bytes(file, file->beginning, size, 0, err));
        rc = crn_gguf_parse(file->beginning, size, file->stat.size, file->path, &file->gguf,
                            &is_short, err);
        if (!is_short || size == file->stat.size || wanted >= BEGINNING_MAX)
            break;
        if (err != NULL)
            *err = (cairn_error){0};
    }
out:
    return rc;
}

cairn_status crn_gguf_file_open(const crn_os *os, const char *path, crn_gguf_file *out,
                                cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    *out = (crn_gguf_file){.os = os, .fd = -1, .path = crn_strdup(path)};
    CRN_NEED(err, out->path, "a path");
    int e = os->open(os, CRN_OS_CWD, path, CRN_OPEN_READ, &out->fd);
    if (e == ENOENT)
        CRN_FAIL(err, CAIRN_ENOTFOUND, "'%s' is not there", path);
    if (e == 0)
        e = os->stat_fd(os, out->fd, &out->stat);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "open '%s'", path);
    if (out->stat.kind != CRN_FILE_REGULAR)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' is no regular file", path);
    CRN_TRY_PLAIN(read_beginning(out, err));
out:
    return rc;
}

void crn_gguf_file_close(crn_gguf_file *file)
{
    if (file->os != NULL && file->fd >= 0)
        (void)file->os->close(file->os, file->fd); /* Only read. */
    crn_gguf_dispose(&file->gguf);
    crn_free(file->beginning);
    crn_free(file->path);
    *file = (crn_gguf_file){.fd = -1};
}

cairn_status crn_gguf_file_read(const crn_gguf_file *file, const crn_gguf_tensor *tensor,
                                float **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const uint64_t width = cairn_dtype_bits(tensor->dtype) / 8;
    uint8_t *const piece = crn_calloc(1, PIECE);
    float *values = crn_calloc((size_t)(tensor->bytes / width) + 1, sizeof *values);
    CRN_NEED(err, values, tensor->name);
    CRN_NEED(err, piece, tensor->name);
    for (uint64_t at = 0; at < tensor->bytes; at += PIECE) {
        const uint64_t left = tensor->bytes - at;
        const size_t size = left < PIECE ? (size_t)left : PIECE;
        CRN_TRY_PLAIN(
            read_bytes(file, piece, size, file->gguf.data_begin + tensor->begin + at, err));
        for (uint64_t i = 0; i < size / width; i++)
            values[at / width + i] = crn_element_get(piece, tensor->dtype, i);
    }
    *out = values;
    values = NULL;
out:
    crn_free(piece);
    crn_free(values);
    return rc;
}

cairn_status crn_gguf_file_check_unchanged(const crn_gguf_file *file, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_file_stat now;
    const int e = file->os->stat_fd(file->os, file->fd, &now);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "look at '%s'", file->path);
    if (now.size != file->stat.size || now.mtime_ns != file->stat.mtime_ns)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' changed while it was read", file->path);
out:
    return rc;
}
