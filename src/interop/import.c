/* Checkpoints of other programs that load as ours do. */
#include "base/mem.h"
#include "base/try.h"
#include "cairn/interop.h"
#include "interop/zoo.h"

cairn_status cairn_checkpoint_import(const char *path, const cairn_log *log, cairn_checkpoint **out,
                                     cairn_error *err)
{
    enum { FIRST_BYTES = 8 };
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = crn_os_posix();
    uint8_t first[FIRST_BYTES];
    size_t got = 0;
    int fd = -1;
    crn_archive_kind kind = CRN_ARCHIVE_HDF5;
    crn_archive *archive = NULL;
    const bool is_foreign = os->open(os, CRN_OS_CWD, path, CRN_OPEN_READ, &fd) == 0 &&
                            os->read_at(os, fd, first, sizeof first, 0, &got) == 0 &&
                            crn_archive_recognize(first, got, &kind) && kind == CRN_ARCHIVE_HDF5;
    if (!is_foreign) { /* What is wrong with it, if anything, is said there. */
        CRN_TRY_PLAIN(cairn_checkpoint_open(path, out, err));
        goto out;
    }
    CRN_TRY_PLAIN(crn_archive_open(os, fd, path, kind, NULL, &archive, err));
    const int taken = fd;
    fd = -1;
    CRN_TRY_PLAIN(crn_zoo_checkpoint(os, taken, path, archive, log, out, err));
out:
    if (fd >= 0)
        (void)os->close(os, fd); /* Only read. */
    return rc;
}
