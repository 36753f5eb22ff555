/*
 * Quotas: what a file system lets a user or a group write although it has free space
 * (quotactl_fd(2), Linux 5.14; quotactl(2) for the fields). Those of projects are in what statvfs
 * says of a folder. A kernel, a file system or a program that may not ask has no quota.
 */
#include <sys/quota.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "os/posix.h"

enum { BLOCK_BYTES = 1024 }; /* Limits count these, whatever the file system's blocks are. */

uint64_t crn_quota_left(const struct dqblk *quota, int64_t now_s)
{
    uint64_t limit = quota->dqb_bhardlimit;
    const uint64_t soft = quota->dqb_bsoftlimit;
    const bool is_over_soft = soft > 0 && quota->dqb_curspace / BLOCK_BYTES >= soft;
    /* Beyond the soft limit one may write for a time, which begins when it is passed. */
    if (is_over_soft && quota->dqb_btime > 0 && now_s >= (int64_t)quota->dqb_btime)
        return 0;
    if (limit == 0)
        return UINT64_MAX;
    if (limit > UINT64_MAX / BLOCK_BYTES)
        return UINT64_MAX;
    limit *= BLOCK_BYTES;
    return quota->dqb_curspace < limit ? limit - quota->dqb_curspace : 0;
}

static uint64_t left_of(int dir, unsigned type, unsigned id)
{
    uint64_t left = UINT64_MAX;
#ifdef SYS_quotactl_fd
    struct dqblk quota = {0};
    if (syscall(SYS_quotactl_fd, dir, QCMD((unsigned)Q_GETQUOTA, type), id, &quota) == 0)
        left = crn_quota_left(&quota, (int64_t)time(NULL));
#else
    (void)dir;
    (void)type;
    (void)id;
#endif
    return left;
}

uint64_t crn_posix_quota_left(int dir)
{
    struct stat info;
    const uint64_t user = left_of(dir, USRQUOTA, geteuid());
    /* A folder may give its own group to what is made in it. */
    const bool is_own_group = fstat(dir, &info) == 0 && (info.st_mode & S_ISGID) != 0;
    const uint64_t group = left_of(dir, GRPQUOTA, is_own_group ? info.st_gid : getegid());
    return user < group ? user : group;
}
