#include "ckpt/probe.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "ckpt/publish.h"

enum { PROBE_BYTES = 4096 };

/* Calls made for @probe->path cut off at @length. */
static int stat_part(const crn_probe *probe, size_t length)
{
    const char kept = probe->path[length];
    crn_file_stat info;
    probe->path[length] = '\0';
    const int e = probe->os->stat(probe->os, CRN_OS_CWD, probe->path, &info);
    probe->path[length] = kept;
    return e;
}

static bool is_end_of_part(const char *path, size_t i)
{
    return i > 0 && path[i - 1] != '/' && (path[i] == '/' || path[i] == '\0');
}

/* An errno value: what is there cannot be told. */
static int find_missing(crn_probe *probe)
{
    const size_t length = strlen(probe->path);
    int e = 0;
    for (size_t i = 1; i <= length && e == 0; i++) {
        if (is_end_of_part(probe->path, i))
            e = stat_part(probe, i);
        if (e == ENOENT)
            probe->missing = i;
    }
    return e == ENOENT ? 0 : e;
}

/* One file, as a checkpoint is written; nothing of it stays. */
static cairn_status write_file(const crn_folder *folder, cairn_error *err)
{
    static const char k_bytes[PROBE_BYTES] = "";
    cairn_status rc = CAIRN_OK;
    crn_publish file = {0};
    CRN_TRY_PLAIN(crn_publish_begin(&file, folder, "probe", sizeof k_bytes, err));
    CRN_TRY_PLAIN(crn_publish_write(&file, k_bytes, sizeof k_bytes, 0, err));
    CRN_TRY_PLAIN(crn_publish_seal(&file, err));
    const int e = folder->os->sync(folder->os, folder->fd);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "sync folder '%s'", folder->path);
out:
    crn_publish_end(&file);
    return rc;
}

cairn_status crn_probe_begin(crn_probe *out, const crn_os *os, const char *path, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_folder folder = {.os = os, .fd = -1, .path = path};
    *out = (crn_probe){.os = os, .path = crn_strdup(path)};
    CRN_NEED(err, out->path, "a path");
    int e = find_missing(out);
    e = e != 0 ? e : os->make_dirs(os, path);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "make folder '%s'", path);
    e = os->open(os, CRN_OS_CWD, path, CRN_OPEN_DIRECTORY, &folder.fd);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "open folder '%s'", path);
    CRN_TRY(err, write_file(&folder, err), "try to write into '%s'", path);
out:
    if (folder.fd >= 0)
        (void)os->close(os, folder.fd); /* A folder holds no data of ours. */
    return rc;
}

void crn_probe_end(crn_probe *probe)
{
    bool is_empty = probe->missing > 0;
    for (size_t i = probe->path != NULL ? strlen(probe->path) : 0; is_empty && i >= probe->missing;
         i--) {
        if (!is_end_of_part(probe->path, i))
            continue;
        probe->path[i] = '\0';
        const int e = probe->os->remove_folder(probe->os, CRN_OS_CWD, probe->path);
        is_empty = e == 0 || e == ENOENT; /* It may not have come to this one. */
    }
    crn_free(probe->path);
    *probe = (crn_probe){0};
}
