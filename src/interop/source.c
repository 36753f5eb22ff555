#include "interop/source.h"

#include "base/str.h"
#include "base/try.h"
#include "ckpt/names.h"
#include "interop/archive.h"
#include "interop/gguf_file.h"
#include "interop/gguf_model.h"

/* Of a file at @path. */
static crn_source_kind look(const crn_os *os, const char *path)
{
    char first[8];
    size_t got = 0;
    int fd = -1;
    crn_archive_kind kind = CRN_ARCHIVE_HDF5;
    if (crn_gguf_file_is(os, path))
        return CRN_SOURCE_GGUF;
    if (os->open(os, CRN_OS_CWD, path, CRN_OPEN_READ, &fd) != 0)
        return CRN_SOURCE_CHECKPOINT; /* What is wrong is said when it is read. */
    const int e = os->read_at(os, fd, first, sizeof first, 0, &got);
    (void)os->close(os, fd); /* Only looked at. */
    if (e != 0 || !crn_archive_recognize(first, got, &kind))
        return CRN_SOURCE_CHECKPOINT;
    return kind == CRN_ARCHIVE_PICKLE ? CRN_SOURCE_PICKLE : CRN_SOURCE_ZOO;
}

cairn_status crn_source_find(const crn_os *os, const char *path, crn_source_kind *out,
                             cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    int fd = -1;
    const int e = os->open(os, CRN_OS_CWD, path, CRN_OPEN_DIRECTORY, &fd);
    if (e == ENOENT)
        CRN_FAIL(err, CAIRN_ENOTFOUND, "'%s' is not there", path);
    if (e != 0 && e != ENOTDIR)
        CRN_FAIL_ERRNO(err, e, "open '%s'", path);
    *out = e == 0 ? CRN_SOURCE_HF : look(os, path);
    if (e == 0)
        (void)os->close(os, fd); /* Only looked at. */
out:
    return rc;
}

/* @name: of the file in the folder at @path that is wanted; NULL: what it has. */
static cairn_status import_folder(const crn_os *os, const char *path, const char *name,
                                  int64_t positions, crn_hf_model *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_folder folder = {.os = os, .fd = -1, .path = path};
    const int e = os->open(os, CRN_OS_CWD, path, CRN_OPEN_DIRECTORY, &folder.fd);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "open the folder '%s'", path);
    CRN_TRY_PLAIN(crn_hf_model_import(&folder, name, positions, out, err));
out:
    if (folder.fd >= 0)
        (void)os->close(os, folder.fd); /* Only read. */
    return rc;
}

static cairn_status import_pickle(const crn_os *os, const char *path, int64_t positions,
                                  crn_hf_model *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t length = 0;
    const char *const name = crn_path_file(path, &length);
    crn_str parent = {0};
    crn_str_append_bytes(&parent, length > 0 ? path : ".", length > 0 ? length : 1);
    CRN_TRY_PLAIN(crn_str_check(&parent, err));
    CRN_TRY_PLAIN(import_folder(os, parent.text, name, positions, out, err));
out:
    crn_str_dispose(&parent);
    return rc;
}

cairn_status crn_source_import(const crn_os *os, const char *path, crn_source_kind kind,
                               int64_t positions, crn_hf_model *out, cairn_error *err)
{
    if (kind == CRN_SOURCE_GGUF)
        return crn_gguf_import(os, path, positions, out, err);
    if (kind == CRN_SOURCE_PICKLE)
        return import_pickle(os, path, positions, out, err);
    return import_folder(os, path, NULL, positions, out, err);
}
