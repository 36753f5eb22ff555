/* Names: renaming, removing, listing, folders. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "os/posix.h"

enum { NEW_FOLDER_MODE = 0755 };

int crn_posix_stat(const crn_os *os, int dir, const char *name, crn_file_stat *out)
{
    (void)os;
    struct stat info;
    if (fstatat(dir, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        return errno;
    crn_posix_stat_from(&info, out);
    return 0;
}

int crn_posix_rename_by_link(int dir, const char *from, const char *to)
{
    if (linkat(dir, from, dir, to, 0) != 0)
        return errno;
    if (unlinkat(dir, from, 0) == 0)
        return 0;
    const int e = errno;
    (void)unlinkat(dir, to, 0); /* We made it a moment ago: a failed rename leaves no new name. */
    return e;
}

int crn_posix_rename_new(const crn_os *os, int dir, const char *from, const char *to)
{
    (void)os;
    if (renameat2(dir, from, dir, to, RENAME_NOREPLACE) == 0)
        return 0;
    return errno == EINVAL || errno == ENOSYS ? crn_posix_rename_by_link(dir, from, to) : errno;
}

int crn_posix_rename_over(const crn_os *os, int dir, const char *from, const char *to)
{
    (void)os;
    return renameat(dir, from, dir, to) == 0 ? 0 : errno;
}

int crn_posix_unlink(const crn_os *os, int dir, const char *name)
{
    (void)os;
    return unlinkat(dir, name, 0) == 0 ? 0 : errno;
}

int crn_posix_remove_folder(const crn_os *os, int dir, const char *name)
{
    (void)os;
    return unlinkat(dir, name, AT_REMOVEDIR) == 0 ? 0 : errno;
}

int crn_posix_symlink(const crn_os *os, const char *target, int dir, const char *name)
{
    (void)os;
    return symlinkat(target, dir, name) == 0 ? 0 : errno;
}

/* Makes the folder's own entry survive a power cut. */
static int sync_parent(const char *path)
{
    char parent[PATH_MAX];
    const char *const slash = strrchr(path, '/');
    const size_t length = slash == NULL ? 0 : (size_t)(slash - path);
    memcpy(parent, path, length);
    parent[length] = '\0';
    const char *const name = slash == NULL ? "." : length == 0 ? "/" : parent;
    const int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == EACCES ? 0 : errno; /* A folder that may be entered but not read. */
    /* EINVAL: a file system that cannot sync folders has nothing to lose here. */
    const int e = fsync(fd) != 0 && errno != EINVAL ? errno : 0;
    (void)close(fd);
    return e;
}

static int make_dir(const char *path)
{
    struct stat info;
    if (mkdir(path, NEW_FOLDER_MODE) == 0)
        return sync_parent(path);
    const int e = errno;
    /* Asked afterwards, so that a folder which another process makes meanwhile is success, and
     * so is one on a read-only file system. */
    if (stat(path, &info) != 0)
        return e;
    return S_ISDIR(info.st_mode) ? 0 : e == EEXIST ? ENOTDIR : e;
}

int crn_posix_make_dirs(const crn_os *os, const char *path)
{
    (void)os;
    char buf[PATH_MAX];
    size_t length = strlen(path);
    if (length == 0)
        return ENOENT;
    while (length > 1 && path[length - 1] == '/')
        length--;
    if (length >= sizeof buf)
        return ENAMETOOLONG;
    for (size_t i = 1; i <= length; i++) {
        if (i < length && (path[i] != '/' || path[i - 1] == '/'))
            continue;
        memcpy(buf, path, i);
        buf[i] = '\0';
        const int e = make_dir(buf);
        if (e != 0)
            return e;
    }
    return 0;
}

int crn_posix_list(const crn_os *os, int dir, crn_list_fn fn, void *user)
{
    (void)os;
    int e = 0;
    /* An open of its own: the caller's descriptor keeps its position. */
    const int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    DIR *const stream = fdopendir(fd);
    if (stream == NULL) {
        e = errno;
        (void)close(fd);
        return e;
    }
    while (e == 0) {
        errno = 0;
        const struct dirent *const entry = readdir(stream);
        if (entry == NULL) {
            e = errno;
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            e = fn(user, entry->d_name);
    }
    (void)closedir(stream);
    return e;
}

int crn_posix_free_bytes(const crn_os *os, int dir, uint64_t *out_bytes)
{
    (void)os;
    struct statvfs info;
    int rc = 0;
    do {
        rc = dir == CRN_OS_CWD ? statvfs(".", &info) : fstatvfs(dir, &info);
    } while (rc != 0 && errno == EINTR);
    if (rc != 0)
        return errno;
    if (info.f_blocks == 0)
        return EOPNOTSUPP; /* Some file systems in user space do not count. */
    const uint64_t free_bytes = (uint64_t)info.f_bavail * info.f_frsize;
    const uint64_t quota = dir == CRN_OS_CWD ? UINT64_MAX : crn_posix_quota_left(dir);
    *out_bytes = quota < free_bytes ? quota : free_bytes;
    return 0;
}

int crn_posix_real_path(const crn_os *os, const char *path, char **out_path)
{
    (void)os;
    char buf[PATH_MAX];
    if (realpath(path, buf) == NULL)
        return errno;
    char *const copy = crn_strdup(buf);
    if (copy == NULL)
        return ENOMEM;
    *out_path = copy;
    return 0;
}
