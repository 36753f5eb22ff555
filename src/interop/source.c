#include "interop/source.h"

#include "base/try.h"
#include "interop/gguf_file.h"
#include "interop/gguf_model.h"

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
    *out = e == 0                       ? CRN_SOURCE_HF
           : crn_gguf_file_is(os, path) ? CRN_SOURCE_GGUF
                                        : CRN_SOURCE_CHECKPOINT;
    if (e == 0)
        (void)os->close(os, fd); /* Only looked at. */
out:
    return rc;
}

static cairn_status import_folder(const crn_os *os, const char *path, int64_t positions,
                                  crn_hf_model *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_folder folder = {.os = os, .fd = -1, .path = path};
    const int e = os->open(os, CRN_OS_CWD, path, CRN_OPEN_DIRECTORY, &folder.fd);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "open the folder '%s'", path);
    CRN_TRY_PLAIN(crn_hf_model_import(&folder, positions, out, err));
out:
    if (folder.fd >= 0)
        (void)os->close(os, folder.fd); /* Only read. */
    return rc;
}

cairn_status crn_source_import(const crn_os *os, const char *path, crn_source_kind kind,
                               int64_t positions, crn_hf_model *out, cairn_error *err)
{
    return kind == CRN_SOURCE_HF ? import_folder(os, path, positions, out, err)
                                 : crn_gguf_import(os, path, positions, out, err);
}
