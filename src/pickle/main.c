/*
 * cairn-pickle: reads PyTorch files for the library, which speaks to it as
 * interop/archive_protocol.h says. Nothing of a pickle is ever executed; should a hostile file find
 * a fault in the reader all the same, it finds it in a confined process.
 */
#include "base/mem.h"
#include "confined/archive.h"
#include "confined/service.h"
#include "pickle/file.h"

static cairn_status open_file(int fd, void **out_file, cairn_error *err)
{
    crn_pickle_file *file = NULL;
    const cairn_status rc = crn_pickle_open(crn_os_posix(), fd, &file, err);
    *out_file = file;
    return rc;
}

static const crn_str *table(const void *file)
{
    return &crn_pickle_file_table(file)->records;
}

static cairn_status read_bytes(void *file, uint64_t tensor, uint64_t offset, uint64_t size,
                               uint8_t *out, cairn_error *err)
{
    return crn_pickle_read(file, tensor, offset, size, out, err);
}

static bool answer(void *user, const void *request, int fd)
{
    return crn_confined_archive_answer(user, request, fd);
}

int main(void)
{
    crn_confined_archive archive = {.open = open_file,
                                    .table = table,
                                    .read = read_bytes,
                                    .bytes = crn_calloc(1, CRN_ARCHIVE_READ_MAX)};
    const crn_confined_program program = {.name = "cairn-pickle",
                                          .purpose = "read PyTorch files",
                                          .request_size = sizeof(crn_archive_request),
                                          .seconds = CRN_ARCHIVE_REQUEST_SECONDS,
                                          .answer = answer,
                                          .user = &archive};
    return archive.bytes != NULL ? crn_confined_serve(&program) : 1;
}
