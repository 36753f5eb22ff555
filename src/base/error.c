#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/try.h"

static void frame_put(cairn_error *err, const char *file, int line, const char *format,
                      va_list args) CAIRN_PRINTF(4, 0);
static void frame_put(cairn_error *err, const char *file, int line, const char *format,
                      va_list args)
{
    if (err->frame_count == CAIRN_ERROR_FRAMES_MAX) {
        err->frames_dropped++;
        return;
    }
    cairn_error_frame *frame = &err->frame[err->frame_count++];
    frame->file = file;
    frame->line = line;
    (void)vsnprintf(frame->text, sizeof frame->text, format, args);
}

cairn_status crn_error_set(cairn_error *err, cairn_status status, int os_errno, const char *file,
                           int line, const char *format, ...)
{
    if (err != NULL) {
        va_list args;
        err->status = status;
        err->os_errno = os_errno;
        err->frame_count = 0;
        err->frames_dropped = 0;
        va_start(args, format);
        frame_put(err, file, line, format, args);
        va_end(args);
    }
    return status;
}

cairn_status cairn_error_set(cairn_error *err, cairn_status status, const char *format, ...)
{
    if (err != NULL) {
        va_list args;
        *err = (cairn_error){.status = status};
        va_start(args, format);
        frame_put(err, "", 0, format, args);
        va_end(args);
    }
    return status;
}

void crn_error_note(cairn_error *err, cairn_status status, const char *file, int line,
                    const char *format, ...)
{
    if (err == NULL)
        return;
    va_list args;
    err->status = status;
    va_start(args, format);
    frame_put(err, file, line, format, args);
    va_end(args);
}

size_t cairn_error_format(const cairn_error *err, char *buf, size_t size)
{
    size_t used = 0;
    if (err == NULL || err->status == CAIRN_OK)
        return (size_t)snprintf(buf, size, "success");
    for (uint32_t i = err->frame_count; i-- > 0;) {
        const size_t room = used < size ? size - used : 0;
        used += (size_t)snprintf(room > 0 ? buf + used : NULL, room, "%s%s", err->frame[i].text,
                                 i > 0 ? ": " : "");
    }
    const size_t room = used < size ? size - used : 0;
    char *const at = room > 0 ? buf + used : NULL;
    if (err->os_errno != 0)
        used += (size_t)snprintf(at, room, ": %s (%s)", strerror(err->os_errno),
                                 cairn_status_name(err->status));
    else
        used += (size_t)snprintf(at, room, " (%s)", cairn_status_name(err->status));
    return used;
}

const char *cairn_status_name(cairn_status status)
{
    switch (status) {
#define X(name, value, exit_code, meaning)                                                         \
    case CAIRN_##name:                                                                             \
        return "CAIRN_" #name;
        CAIRN_STATUS_LIST(X)
#undef X
    }
    return "CAIRN_?";
}

int cairn_exit_code(cairn_status status)
{
    switch (status) {
#define X(name, value, exit_code, meaning)                                                         \
    case CAIRN_##name:                                                                             \
        return (exit_code);
        CAIRN_STATUS_LIST(X)
#undef X
    }
    return 1;
}
