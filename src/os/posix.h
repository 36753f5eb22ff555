/*
 * The rows of the real table, by file: posix_file.c works on one open file, posix_dir.c on names,
 * lock.c on locks, quota.c on quotas, posix.c holds the table and the rest. Contracts are those of
 * os/os.h.
 */
#ifndef CRN_OS_POSIX_H
#define CRN_OS_POSIX_H

#include <sys/types.h>

#include "os/os.h"

int crn_posix_open(const crn_os *os, int dir, const char *name, crn_open_mode mode, int *out_fd);
int crn_posix_close(const crn_os *os, int fd);
int crn_posix_duplicate(const crn_os *os, int fd, int *out_fd);
int crn_posix_read_at(const crn_os *os, int fd, void *buf, size_t size, uint64_t offset,
                      size_t *out_got);
int crn_posix_read_parts(const crn_os *os, int fd, const crn_os_part *parts, size_t count,
                         uint64_t offset, size_t *out_got);
int crn_posix_write_at(const crn_os *os, int fd, const void *buf, size_t size, uint64_t offset);
int crn_posix_write_uncached(const crn_os *os, int fd, const void *buf, size_t size,
                             uint64_t offset);
int crn_posix_set_direct(const crn_os *os, int fd);
int crn_posix_start_writeback(const crn_os *os, int fd, uint64_t offset, uint64_t size);
int crn_posix_append(const crn_os *os, int fd, const void *buf, size_t size);
int crn_posix_reserve(const crn_os *os, int fd, uint64_t size);
int crn_posix_sync(const crn_os *os, int fd);
int crn_posix_stat_fd(const crn_os *os, int fd, crn_file_stat *out);

int crn_posix_stat(const crn_os *os, int dir, const char *name, crn_file_stat *out);
int crn_posix_rename_new(const crn_os *os, int dir, const char *from, const char *to);
int crn_posix_rename_over(const crn_os *os, int dir, const char *from, const char *to);
int crn_posix_unlink(const crn_os *os, int dir, const char *name);
int crn_posix_remove_folder(const crn_os *os, int dir, const char *name);
int crn_posix_symlink(const crn_os *os, const char *target, int dir, const char *name);
int crn_posix_make_dirs(const crn_os *os, const char *path);
int crn_posix_list(const crn_os *os, int dir, crn_list_fn fn, void *user);
int crn_posix_free_bytes(const crn_os *os, int dir, uint64_t *out_bytes);
int crn_posix_real_path(const crn_os *os, const char *path, char **out_path);

struct dqblk;
/* Bytes that a quota leaves at @now_s, seconds since 1970; UINT64_MAX: it sets no limit. */
uint64_t crn_quota_left(const struct dqblk *quota, int64_t now_s);
/* What the quotas of this user and its group leave in the folder @dir; UINT64_MAX: no limit. */
uint64_t crn_posix_quota_left(int dir);

int crn_posix_lock(const crn_os *os, int fd);

/* What rename_new does where the file system has no renameat2 flags. */
int crn_posix_rename_by_link(int dir, const char *from, const char *to);

/*
 * The loop behind write_at and append: calls @put until all bytes are taken. @put is pwrite's or
 * write's shape, returning -1 with errno; it is a parameter so that a test can cut writes short.
 */
typedef ssize_t (*crn_put_fn)(void *user, const void *buf, size_t size, uint64_t offset);
int crn_posix_put_all(crn_put_fn put, void *user, const void *buf, size_t size, uint64_t offset);

struct stat;
/* Kind, size and time out of the kernel's struct. */
void crn_posix_stat_from(const struct stat *info, crn_file_stat *out);

#endif
