/*
 * The error idiom. A function that can fail has `cairn_status rc = CAIRN_OK;` on top, one label
 * `out:` with the releases below it, and leaves early through these macros only. The cause is
 * recorded once, where it is known; callers may add what they were doing.
 */
#ifndef CRN_BASE_TRY_H
#define CRN_BASE_TRY_H

#include <errno.h>

#include "cairn/error.h"

/* Records a cause; returns @status so that a caller can return it. */
cairn_status crn_error_set(cairn_error *err, cairn_status status, int os_errno, const char *file,
                           int line, const char *format, ...) CAIRN_PRINTF(6, 7);
/* Adds an outer frame to an error that already has a cause. */
void crn_error_note(cairn_error *err, cairn_status status, const char *file, int line,
                    const char *format, ...) CAIRN_PRINTF(5, 6);

/*
 * ENOSPC, EDQUOT and EFBIG are ENOSPACE, ENOMEM is ENOMEM, all else is EIO. Inline, as the macros
 * below set rc themselves, so that an analyzer sees that a failure is never CAIRN_OK.
 */
static inline cairn_status crn_status_from_errno(int e)
{
    switch (e) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return CAIRN_ENOSPACE;
    case ENOMEM:
        return CAIRN_ENOMEM;
    default:
        return CAIRN_EIO;
    }
}

/* Fail here, with this status and message. */
#define CRN_FAIL(err, status, ...)                                                                 \
    do {                                                                                           \
        const cairn_status crn_s = (status);                                                       \
        (void)crn_error_set((err), crn_s, 0, __FILE__, __LINE__, __VA_ARGS__);                     \
        rc = crn_s;                                                                                \
        goto out;                                                                                  \
    } while (0)

/* Fail here because a system call did; @e is the saved errno. */
#define CRN_FAIL_ERRNO(err, e, ...)                                                                \
    do {                                                                                           \
        const int crn_e = (e);                                                                     \
        const cairn_status crn_s = crn_status_from_errno(crn_e);                                   \
        (void)crn_error_set((err), crn_s, crn_e, __FILE__, __LINE__, __VA_ARGS__);                 \
        rc = crn_s;                                                                                \
        goto out;                                                                                  \
    } while (0)

/* Fail if the callee did, keeping its cause and adding what we were doing. */
#define CRN_TRY(err, call, ...)                                                                    \
    do {                                                                                           \
        rc = (call);                                                                               \
        if (rc != CAIRN_OK) {                                                                      \
            crn_error_note((err), rc, __FILE__, __LINE__, __VA_ARGS__);                            \
            goto out;                                                                              \
        }                                                                                          \
    } while (0)

/* Fail if the callee did; its own words say enough. */
#define CRN_TRY_PLAIN(call)                                                                        \
    do {                                                                                           \
        rc = (call);                                                                               \
        if (rc != CAIRN_OK)                                                                        \
            goto out;                                                                              \
    } while (0)

#endif
