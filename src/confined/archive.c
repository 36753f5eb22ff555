#include "confined/archive.h"

#include <string.h>

#include "confined/service.h"

static bool send_reply(crn_archive_outcome outcome, const void *payload, size_t size)
{
    const crn_archive_reply reply = {.outcome = (uint32_t)outcome, .bytes = size};
    return crn_confined_send(&reply, sizeof reply) && crn_confined_send(payload, size);
}

static bool send_failure(cairn_status status, const cairn_error *err)
{
    const char *const text =
        status == CAIRN_ENOMEM ? "needs more memory than its reader is given" : err->frame[0].text;
    const size_t length = strlen(text);
    return send_reply(status == CAIRN_EUNSUPPORTED ? CRN_ARCHIVE_UNSUPPORTED : CRN_ARCHIVE_DAMAGED,
                      text, length < CRN_ARCHIVE_TEXT_MAX ? length : CRN_ARCHIVE_TEXT_MAX);
}

bool crn_confined_archive_answer(crn_confined_archive *archive, const crn_archive_request *request,
                                 int fd)
{
    cairn_error err = {0};
    cairn_status status = CAIRN_OK;
    if (request->kind == CRN_ARCHIVE_OPEN && fd >= 0 && archive->file == NULL) {
        status = archive->open(fd, &archive->file, &err);
        if (status != CAIRN_OK)
            return send_failure(status, &err);
        const crn_str *const records = archive->table(archive->file);
        return send_reply(CRN_ARCHIVE_DONE, records->text, records->length);
    }
    if (request->kind != CRN_ARCHIVE_READ || fd >= 0 || archive->file == NULL ||
        request->count > CRN_ARCHIVE_READ_MAX)
        return false;
    status = archive->read(archive->file, request->tensor, request->offset, request->count,
                           archive->bytes, &err);
    return status == CAIRN_OK ? send_reply(CRN_ARCHIVE_DONE, archive->bytes, (size_t)request->count)
                              : send_failure(status, &err);
}
