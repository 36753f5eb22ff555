/**
 * @file error.h  How a call says that it failed.
 *
 * Every call that can fail returns a cairn_status and takes, last, a cairn_error that the caller
 * owns. The error is a plain value: it needs no memory, is copied with `=`, and may be NULL. Its
 * first frame is the cause; each level on the way up may add what it was doing.
 *
 *     cairn_error err = {0};
 *     if (cairn_store_open(&options, &store, &err) != CAIRN_OK) {
 *         char text[1024];
 *         cairn_error_format(&err, text, sizeof text);
 *         fprintf(stderr, "%s\n", text);
 *         return cairn_exit_code(err.status);
 *     }
 */
#ifndef CAIRN_ERROR_H
#define CAIRN_ERROR_H

#include <stddef.h>
#include <stdint.h>

#include "cairn/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/** X(NAME, value, exit code of the program, meaning). Values are ABI: append, never renumber. */
#define CAIRN_STATUS_LIST(X)                                                                       \
    X(OK, 0, 0, "success")                                                                         \
    X(ENOMEM, 1, 7, "out of memory")                                                               \
    X(EINVAL, 2, 2, "the caller passed a value that is not allowed")                               \
    X(ECONFIG, 3, 2, "the configuration or the command line is wrong")                             \
    X(ENOTFOUND, 4, 3, "the checkpoint or the state asked for does not exist")                     \
    X(ECORRUPT, 5, 3, "stored bytes do not match their digest or format")                          \
    X(EINCOMPATIBLE, 6, 3, "the checkpoint does not fit the model or the request")                 \
    X(EVERSION, 7, 3, "written by a version that this one cannot read")                            \
    X(EDATA, 8, 4, "the training or validation data cannot be used")                               \
    X(EIO, 9, 5, "a read or write failed")                                                         \
    X(ENOSPACE, 10, 5, "the storage is full")                                                      \
    X(EEXISTS, 11, 5, "the named object exists already")                                           \
    X(EUNKNOWN, 12, 5, "whether the write survives a power cut is not known")                      \
    X(ENONFINITE, 13, 6, "a loss or gradient is not finite")                                       \
    X(EDEVICE, 14, 7, "the compute library or device failed")                                      \
    X(ELOCKED, 15, 8, "the model directory is held by another process")                            \
    X(ECANCELED, 16, 1, "stopped because the caller asked")                                        \
    X(EUNSUPPORTED, 17, 2, "this version lacks the feature")                                       \
    X(ECALLBACK, 18, 1, "a callback or plugin failed")                                             \
    X(EBUG, 19, 1, "cairn broke one of its own rules")

typedef enum cairn_status {
#define X(name, value, exit_code, meaning) CAIRN_##name = (value),
    CAIRN_STATUS_LIST(X)
#undef X
} cairn_status;

enum { CAIRN_ERROR_FRAMES_MAX = 6, CAIRN_ERROR_TEXT_SIZE = 400 };

/** One line of context. The innermost frame (index 0) is the cause. */
typedef struct cairn_error_frame {
    const char *file; /**< Static storage. */
    int line;
    char text[CAIRN_ERROR_TEXT_SIZE]; /**< NUL-terminated, cut if too long. */
} cairn_error_frame;

typedef struct cairn_error {
    cairn_status status;
    int os_errno;            /**< errno of the failed system call, or 0. */
    uint32_t frame_count;    /**< Frames in use. */
    uint32_t frames_dropped; /**< Outer frames that did not fit. */
    cairn_error_frame frame[CAIRN_ERROR_FRAMES_MAX];
} cairn_error;

/**
 * Writes @p err as one line, outermost context first, such as
 * "save step 500: write 64 bytes to 'x': No space left on device (CAIRN_ENOSPACE)".
 *
 * @param err   Borrowed. May be NULL or hold no error; then "success" is written.
 * @param buf   Receives a NUL-terminated string, cut to fit. May be NULL only if @p size is 0.
 * @param size  Size of @p buf in bytes.
 * @return      Length of the uncut text without the NUL, as snprintf does.
 *
 * Thread safety: touches only its arguments.
 */
CAIRN_API size_t cairn_error_format(const cairn_error *err, char *buf, size_t size);

/**
 * For authors of callbacks, models and other classes from outside: records why a call fails.
 *
 * @param err     May be NULL. What it held is replaced.
 * @param status  Not CAIRN_OK.
 * @param format  As printf's; longer than a frame's text is cut.
 * @return        @p status, so that a caller can return it.
 *
 * Thread safety: touches only its arguments.
 */
CAIRN_API cairn_status cairn_error_set(cairn_error *err, cairn_status status, const char *format,
                                       ...) CAIRN_PRINTF(3, 4);

/** Name of a status, such as "CAIRN_ENOSPACE"; "CAIRN_?" if unknown. Static. Thread safe. */
CAIRN_API const char *cairn_status_name(cairn_status status);

/** The exit code that the `cairn` program gives for @p status. Thread safe. */
CAIRN_API int cairn_exit_code(cairn_status status);

#ifdef __cplusplus
}
#endif
#endif
