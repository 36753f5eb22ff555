/**
 * @file log.h  Where messages go.
 *
 * The library never prints: it hands each message to the cairn_log that its caller passed. A NULL
 * log, or one without a write function, is silence. Messages are called on the thread that made
 * them, without a lock held.
 */
#ifndef CAIRN_LOG_H
#define CAIRN_LOG_H

#include "cairn/export.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cairn_log_level {
    CAIRN_LOG_DEBUG,
    CAIRN_LOG_INFO,
    CAIRN_LOG_WARNING,
    CAIRN_LOG_ERROR
} cairn_log_level;

/** Receives one message without a newline. @p message is borrowed until return. */
typedef void (*cairn_log_fn)(void *user, cairn_log_level level, const char *message);

typedef struct cairn_log {
    cairn_log_level level; /**< Messages below it are dropped. */
    cairn_log_fn write;    /**< May be NULL: silence. */
    void *user;            /**< Handed to write. */
} cairn_log;

/** Formats one message and hands it to @p log (which may be NULL). Longer than 4 KiB is cut. */
CAIRN_API void cairn_log_message(const cairn_log *log, cairn_log_level level, const char *format,
                                 ...) CAIRN_PRINTF(3, 4);

/** "DEBUG", "INFO", "WARNING" or "ERROR"; "?" if unknown. Static. Thread safe. */
CAIRN_API const char *cairn_log_level_name(cairn_log_level level);

#ifdef __cplusplus
}
#endif
#endif
