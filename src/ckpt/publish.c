#include "ckpt/publish.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "ckpt/names.h"

#define PART_SUFFIX ".part"

enum {
    RANDOM_BYTES = 8,
    BEGIN_ATTEMPTS_MAX = 4,   /* each lost to a sweeper in the moment before the lock */
    NAME_ATTEMPTS_MAX = 10000 /* names taken at one step in one second */
};

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text);
    const size_t end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

bool crn_publish_is_private(const char *name)
{
    return name[0] == '.' || ends_with(name, PART_SUFFIX) || ends_with(name, CRN_NOTES_SUFFIX);
}

static cairn_status make_part_name(const crn_folder *folder, const char *name, char **out,
                                   cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint8_t random[RANDOM_BYTES];
    char digits[2 * RANDOM_BYTES + 1];
    crn_str text = {0};
    const int e = folder->os->random(folder->os, random, sizeof random);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "draw a private name for '%s'", name);
    crn_hex(random, sizeof random, digits);
    crn_str_printf(&text, ".%s.%s" PART_SUFFIX, name, digits);
    *out = crn_str_take(&text);
    CRN_NEED(err, *out, "a file name");
out:
    return rc;
}

static void unlock(crn_publish *p)
{
    if (p->lock_fd >= 0)
        (void)p->folder->os->close(p->folder->os, p->lock_fd); /* Nothing was written by it. */
    p->lock_fd = -1;
}

/* Closes and removes the private file. */
static void discard(crn_publish *p)
{
    const crn_folder *const folder = p->folder;
    if (p->fd >= 0)
        (void)folder->os->close(folder->os, p->fd); /* Nothing in it is wanted any more. */
    p->fd = -1;
    if (p->part != NULL)
        (void)folder->os->unlink(folder->os, folder->fd, p->part); /* Else the next sweep does. */
    unlock(p);
    crn_free(p->part);
    p->part = NULL;
}

/* The file bears its final name: no sweep takes it any more. */
static void named(crn_publish *p)
{
    unlock(p);
    crn_free(p->part);
    p->part = NULL;
}

/* Makes and locks a private file; *out_lost says that a sweeper was faster. */
static cairn_status make_part(crn_publish *p, const char *name, bool *out_lost, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_folder *const folder = p->folder;
    const crn_os *const os = folder->os;
    crn_file_stat info;
    char *part = NULL;
    *out_lost = false;
    CRN_TRY_PLAIN(make_part_name(folder, name, &part, err));
    int e = os->open(os, folder->fd, part, CRN_OPEN_CREATE_NEW, &p->fd);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "create '%s/%s'", folder->path, part);
    p->part = part;
    part = NULL;
    e = os->lock(os, p->fd);
    if (e != 0 && e != EAGAIN)
        CRN_FAIL_ERRNO(err, e, "lock '%s/%s'", folder->path, p->part);
    if (e == 0) {
        e = os->duplicate(os, p->fd, &p->lock_fd);
        if (e != 0)
            CRN_FAIL_ERRNO(err, e, "keep the lock of '%s/%s'", folder->path, p->part);
    }
    /* Whoever swept it before the lock has unlinked it: its bytes would go nowhere. */
    *out_lost = p->lock_fd < 0 || os->stat(os, folder->fd, p->part, &info) == ENOENT;
out:
    crn_free(part);
    return rc;
}

cairn_status crn_publish_begin(crn_publish *out, const crn_folder *folder, const char *name,
                               uint64_t bytes, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    bool is_lost = true;
    *out = (crn_publish){.folder = folder, .fd = -1, .lock_fd = -1};
    for (int i = 0; i < BEGIN_ATTEMPTS_MAX && is_lost; i++) {
        discard(out);
        CRN_TRY_PLAIN(make_part(out, name, &is_lost, err));
    }
    if (is_lost)
        CRN_FAIL(err, CAIRN_EIO, "another process keeps removing our files in '%s'", folder->path);
    const int e = folder->os->reserve(folder->os, out->fd, bytes);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "reserve %" PRIu64 " bytes for '%s/%s'", bytes, folder->path,
                       out->part);
out:
    return rc;
}

const char *crn_write_mode_text(crn_write_mode mode)
{
    switch (mode) {
    case CRN_WRITE_CACHED:
        return "the page cache";
    case CRN_WRITE_DIRECT:
        return "O_DIRECT";
    case CRN_WRITE_UNCACHED:
        return "RWF_DONTCACHE (the file system refuses O_DIRECT)";
    case CRN_WRITE_FLUSHED:
        return "sync_file_range (the file system refuses O_DIRECT and RWF_DONTCACHE)";
    }
    return "?";
}

cairn_status crn_publish_set_mode(crn_publish *p, crn_write_mode mode, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = p->folder->os;
    const int e = mode == CRN_WRITE_DIRECT ? os->set_direct(os, p->fd) : 0;
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "open '%s/%s' for direct writing", p->folder->path, p->part);
    p->mode = mode;
out:
    return rc;
}

/* An errno value. */
static int put(const crn_publish *p, const void *bytes, size_t size, uint64_t offset)
{
    const crn_os *const os = p->folder->os;
    if (p->mode == CRN_WRITE_UNCACHED)
        return os->write_uncached(os, p->fd, bytes, size, offset);
    const int e = os->write_at(os, p->fd, bytes, size, offset);
    return e == 0 && p->mode == CRN_WRITE_FLUSHED ? os->start_writeback(os, p->fd, offset, size)
                                                  : e;
}

crn_write_mode crn_publish_probe(const crn_folder *folder)
{
    static const crn_write_mode k_modes[] = {CRN_WRITE_DIRECT, CRN_WRITE_UNCACHED};
    crn_write_mode found = CRN_WRITE_FLUSHED;
    void *const page = crn_pages_alloc(CAIRN_PAGE_BYTES);
    for (size_t i = 0; i < sizeof k_modes / sizeof k_modes[0]; i++) {
        crn_publish p = {0};
        const bool is_good =
            page != NULL &&
            crn_publish_begin(&p, folder, "probe", CAIRN_PAGE_BYTES, NULL) == CAIRN_OK &&
            crn_publish_set_mode(&p, k_modes[i], NULL) == CAIRN_OK &&
            put(&p, page, CAIRN_PAGE_BYTES, 0) == 0;
        crn_publish_end(&p);
        if (is_good) {
            found = k_modes[i];
            break;
        }
    }
    crn_pages_free(page, CAIRN_PAGE_BYTES);
    return found;
}

cairn_status crn_publish_write(crn_publish *p, const void *bytes, size_t size, uint64_t offset,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const int e = put(p, bytes, size, offset);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "write %zu bytes to '%s/%s'", size, p->folder->path, p->part);
out:
    return rc;
}

cairn_status crn_publish_seal(crn_publish *p, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = p->folder->os;
    /* Once: after a failure the kernel may have dropped the data and call the next fsync good. */
    int e = os->sync(os, p->fd);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "fsync '%s/%s'", p->folder->path, p->part);
    e = os->close(os, p->fd);
    p->fd = -1; /* The descriptor is gone whatever close said. */
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "close '%s/%s'", p->folder->path, p->part);
out:
    return rc;
}

/* From here on the private name is no more; whether the new one lasts, this decides. */
static cairn_status sync_folder(const crn_publish *p, const char *name, cairn_error *err)
{
    const crn_folder *const folder = p->folder;
    const int e = folder->os->sync(folder->os, folder->fd);
    if (e == 0)
        return CAIRN_OK;
    return crn_error_set(err, CAIRN_EUNKNOWN, e, __FILE__, __LINE__,
                         "'%s/%s' is complete, but the folder could not be synced: it may not "
                         "survive a power cut",
                         folder->path, name);
}

/* Notes of an earlier file of this name, whose removal was cut short, are not this one's. */
static void drop_stale_notes(const crn_folder *folder, const char *name)
{
    crn_str notes = {0};
    crn_str_printf(&notes, "%s" CRN_NOTES_SUFFIX, name);
    if (crn_str_check(&notes, NULL) == CAIRN_OK)
        (void)folder->os->unlink(folder->os, folder->fd, notes.text);
    crn_str_dispose(&notes);
}

cairn_status crn_publish_as_new(crn_publish *p, crn_publish_name_fn name, void *user,
                                char **out_name, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_folder *const folder = p->folder;
    char *wanted = NULL;
    int e = EEXIST;
    for (unsigned attempt = 0; e == EEXIST && attempt < NAME_ATTEMPTS_MAX; attempt++) {
        crn_free(wanted);
        wanted = NULL;
        CRN_TRY_PLAIN(name(user, attempt, &wanted, err));
        e = folder->os->rename_new(folder->os, folder->fd, p->part, wanted);
    }
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "rename '%s/%s' to '%s'", folder->path, p->part, wanted);
    named(p);
    drop_stale_notes(folder, wanted);
    rc = sync_folder(p, wanted, err);
    *out_name = wanted;
    wanted = NULL;
out:
    crn_free(wanted);
    return rc;
}

cairn_status crn_publish_over(crn_publish *p, const char *name, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_folder *const folder = p->folder;
    const int e = folder->os->rename_over(folder->os, folder->fd, p->part, name);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "rename '%s/%s' to '%s'", folder->path, p->part, name);
    named(p);
    rc = sync_folder(p, name, err);
out:
    return rc;
}

void crn_publish_end(crn_publish *p)
{
    if (p->folder != NULL)
        discard(p);
}

cairn_status crn_publish_text(const crn_folder *folder, const char *name, const char *text,
                              size_t size, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_publish p = {0};
    CRN_TRY_PLAIN(crn_publish_begin(&p, folder, name, size, err));
    CRN_TRY_PLAIN(crn_publish_write(&p, text, size, 0, err));
    CRN_TRY_PLAIN(crn_publish_seal(&p, err));
    CRN_TRY_PLAIN(crn_publish_over(&p, name, err));
out:
    crn_publish_end(&p);
    return rc;
}

cairn_status crn_publish_remove(const crn_folder *folder, const char *name, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str notes = {0};
    crn_str_printf(&notes, "%s" CRN_NOTES_SUFFIX, name);
    CRN_TRY_PLAIN(crn_str_check(&notes, err));
    int e = folder->os->unlink(folder->os, folder->fd, name);
    if (e != 0 && e != ENOENT)
        CRN_FAIL_ERRNO(err, e, "remove '%s/%s'", folder->path, name);
    e = folder->os->unlink(folder->os, folder->fd, notes.text);
    if (e != 0 && e != ENOENT)
        CRN_FAIL_ERRNO(err, e, "remove '%s/%s'", folder->path, notes.text);
    e = folder->os->sync(folder->os, folder->fd);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "fsync folder '%s' after removing '%s'", folder->path, name);
out:
    crn_str_dispose(&notes);
    return rc;
}

/* Only names that make_part_name could have made: a user may have ".part" files of his own. */
static bool is_part_name(const char *name)
{
    enum { TAIL = 1 + 2 * RANDOM_BYTES + sizeof PART_SUFFIX - 1 };
    const size_t length = strlen(name);
    if (name[0] != '.' || length < TAIL + 1 || !ends_with(name, PART_SUFFIX) ||
        name[length - TAIL] != '.')
        return false;
    return strspn(name + length - TAIL + 1, "0123456789abcdef") == 2 * RANDOM_BYTES;
}

static int note_part(void *user, const char *name)
{
    crn_name_list *const parts = user;
    if (is_part_name(name))
        return crn_name_list_add(parts, name, NULL) == CAIRN_OK ? 0 : ENOMEM;
    return 0;
}

static void sweep_part(const crn_folder *folder, const char *name, const cairn_log *log)
{
    const crn_os *const os = folder->os;
    crn_file_stat info;
    int fd = -1;
    char shown[256];
    if (os->stat(os, folder->fd, name, &info) != 0 || info.kind != CRN_FILE_REGULAR)
        return;
    /* If it goes away just now, this makes an empty file, which is removed again below. */
    if (os->open(os, folder->fd, name, CRN_OPEN_LOCK, &fd) != 0)
        return;
    if (os->lock(os, fd) == 0 && os->unlink(os, folder->fd, name) == 0)
        cairn_log_message(log, CAIRN_LOG_INFO, "Removed '%s/%s', left over by a save that ended",
                          folder->path, crn_escape(name, strlen(name), shown, sizeof shown));
    (void)os->close(os, fd);
}

void crn_publish_sweep(const crn_folder *folder, const cairn_log *log)
{
    crn_name_list parts = {0};
    if (folder->os->list(folder->os, folder->fd, note_part, &parts) == 0) {
        for (size_t i = 0; i < parts.count; i++)
            sweep_part(folder, parts.items[i], log);
    }
    crn_name_list_dispose(&parts);
}
