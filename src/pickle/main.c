/*
 * cairn-pickle: reads PyTorch files for the library, which speaks to it as
 * interop/archive_protocol.h says. Nothing of a pickle is ever executed; should a hostile file find
 * a fault in the reader all the same, it finds it in a confined process.
 */
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "confined/service.h"
#include "interop/archive_protocol.h"
#include "pickle/file.h"

/* The file, and the bytes of the last reply. */
struct service {
    crn_pickle_file *file;
    uint8_t *bytes; /* CRN_ARCHIVE_READ_MAX */
};

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

static bool answer(void *user, const void *bytes, int fd)
{
    struct service *const service = user;
    const crn_archive_request *const request = bytes;
    cairn_error err = {0};
    cairn_status status = CAIRN_OK;
    if (request->kind == CRN_ARCHIVE_OPEN && fd >= 0 && service->file == NULL) {
        status = crn_pickle_open(crn_os_posix(), fd, &service->file, &err);
        if (status != CAIRN_OK)
            return send_failure(status, &err);
        const crn_str *const records = &crn_pickle_file_table(service->file)->records;
        return send_reply(CRN_ARCHIVE_DONE, records->text, records->length);
    }
    if (request->kind != CRN_ARCHIVE_READ || fd >= 0 || service->file == NULL ||
        request->count > CRN_ARCHIVE_READ_MAX)
        return false;
    status = crn_pickle_read(service->file, request->tensor, request->offset, request->count,
                             service->bytes, &err);
    return status == CAIRN_OK ? send_reply(CRN_ARCHIVE_DONE, service->bytes, (size_t)request->count)
                              : send_failure(status, &err);
}

int main(void)
{
    struct service service = {.bytes = crn_calloc(1, CRN_ARCHIVE_READ_MAX)};
    const crn_confined_program program = {.name = "cairn-pickle",
                                          .purpose = "read PyTorch files",
                                          .request_size = sizeof(crn_archive_request),
                                          .seconds = CRN_ARCHIVE_REQUEST_SECONDS,
                                          .answer = answer,
                                          .user = &service};
    return service.bytes != NULL ? crn_confined_serve(&program) : 1;
}
