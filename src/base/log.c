#include "cairn/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

enum { MESSAGE_SIZE = 4096 };

void cairn_log_message(const cairn_log *log, cairn_log_level level, const char *format, ...)
{
    char message[MESSAGE_SIZE];
    va_list args;
    if (log == NULL || log->write == NULL || level < log->level)
        return;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    log->write(log->user, level, message);
}

const char *cairn_log_level_name(cairn_log_level level)
{
    static const char *const k_names[] = {"DEBUG", "INFO", "WARNING", "ERROR"};
    return (size_t)level < sizeof k_names / sizeof k_names[0] ? k_names[level] : "?";
}
