#include "ckpt/notes_lock.h"

#include <errno.h>

#include "base/try.h"

enum { ATTEMPTS_MAX = 1000, PAUSE_NS = 10 * 1000 * 1000 };

/* 0: held; EAGAIN: somebody else holds it, or had it and has removed it. */
static int try_lock(crn_notes_lock *lock)
{
    const crn_folder *const folder = lock->folder;
    const crn_os *const os = folder->os;
    crn_file_stat named;
    crn_file_stat opened;
    int fd = -1;
    int e = os->open(os, folder->fd, CRN_NOTES_LOCK_FILE, CRN_OPEN_LOCK, &fd);
    if (e != 0)
        return e;
    e = os->lock(os, fd);
    if (e == 0)
        e = os->stat_fd(os, fd, &opened);
    if (e == 0)
        e = os->stat(os, folder->fd, CRN_NOTES_LOCK_FILE, &named);
    /* Its last holder may have removed the file that we have locked, and a third made another. */
    if (e == ENOENT || (e == 0 && named.inode != opened.inode))
        e = EAGAIN;
    if (e == 0)
        lock->fd = fd;
    else
        (void)os->close(os, fd); /* It holds no data. */
    return e;
}

cairn_status crn_notes_lock_take(crn_notes_lock *out, const crn_folder *folder, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    *out = (crn_notes_lock){.folder = folder, .fd = -1};
    int e = try_lock(out);
    for (int i = 1; e == EAGAIN && i < ATTEMPTS_MAX; i++) {
        folder->os->pause(folder->os, PAUSE_NS);
        e = try_lock(out);
    }
    if (e == EAGAIN)
        CRN_FAIL(err, CAIRN_ELOCKED, "another process has locked the notes in '%s' for long",
                 folder->path);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "lock '%s/" CRN_NOTES_LOCK_FILE "'", folder->path);
out:
    return rc;
}

void crn_notes_lock_release(crn_notes_lock *lock)
{
    if (lock->folder == NULL || lock->fd < 0)
        return;
    const crn_os *const os = lock->folder->os;
    /* Removed while it is held; one that stays is swept by the next store. */
    (void)os->unlink(os, lock->folder->fd, CRN_NOTES_LOCK_FILE);
    (void)os->close(os, lock->fd);
    lock->fd = -1;
}
