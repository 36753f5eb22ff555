#include "confined/confine.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#else
#error "name this machine's AUDIT_ARCH"
#endif

enum { OPEN_FILES_MAX = 64 };
static const rlim_t k_memory_max = (rlim_t)2 << 30;

/* Sanitizers reserve terabytes of addresses that they never touch. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

static bool limit(__rlimit_resource_t what, rlim_t most)
{
    const struct rlimit limits = {.rlim_cur = most, .rlim_max = most};
    return setrlimit(what, &limits) == 0;
}

#define LOAD(field)                                                                                \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, field))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, (action))
/* Unless what was loaded is @value, the next instruction is left out. */
#define IF(value)   BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)(value), 0, 1)
#define ALLOW(call) IF(__NR_##call), RETURN(SECCOMP_RET_ALLOW)

static bool filter_calls(void)
{
    struct sock_filter filter[] = {
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCH, 1, 0),
        RETURN(SECCOMP_RET_KILL_PROCESS),
        LOAD(nr),
        ALLOW(read),
        ALLOW(pread64),
        ALLOW(write),
        ALLOW(sendto),
        ALLOW(recvmsg),
        ALLOW(close),
        ALLOW(fstat),
        ALLOW(lseek),
#ifdef __NR_newfstatat
        ALLOW(newfstatat), /* how newer C libraries say fstat; it opens nothing */
#endif
        ALLOW(brk),
        ALLOW(mmap),
        ALLOW(munmap),
        ALLOW(mremap),
        ALLOW(madvise),
        ALLOW(futex),
        ALLOW(setitimer), /* alarm() */
#ifdef __NR_alarm
        ALLOW(alarm),
#endif
        ALLOW(clock_gettime),
        ALLOW(rt_sigreturn),
        ALLOW(exit_group),
#if IS_SANITIZED
        ALLOW(sigaltstack), /* asked for at the end */
#endif
        RETURN(SECCOMP_RET_ERRNO | EPERM),
    };
    const struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

bool crn_confine(void)
{
    const bool is_limited = (IS_SANITIZED || limit(RLIMIT_AS, k_memory_max)) &&
                            limit(RLIMIT_NOFILE, OPEN_FILES_MAX) && limit(RLIMIT_FSIZE, 0) &&
                            limit(RLIMIT_CORE, 0) && limit(RLIMIT_NPROC, 0);
    return is_limited && filter_calls();
}
