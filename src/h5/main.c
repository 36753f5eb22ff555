/*
 * cairn-hdf5: reads HDF5 files for the library: data sets, as data/h5_protocol.h says, and
 * checkpoints of the Model Zoo, as interop/archive_protocol.h does. The HDF5 library is large and
 * the files may come from anywhere, so it runs in a confined process.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "confined/archive.h"
#include "confined/service.h"
#include "h5/dataset.h"
#include "h5/file.h"
#include "h5/mdl.h"

/* Requests of both kinds are read alike; their numbers tell them apart. */
_Static_assert(sizeof(crn_h5_request) == sizeof(crn_archive_request), "requests have one size");

/* Files in use, and the numbers of the last reply. */
struct service {
    crn_confined_archive archive;
    crn_h5_file *files[CRN_H5_SLOTS];
    int32_t *values;
    uint64_t capacity;
};

static bool reserve(struct service *service, uint64_t count)
{
    if (count <= service->capacity)
        return true;
    free(service->values);
    service->capacity = 0;
    service->values = calloc((size_t)count, sizeof *service->values);
    if (service->values == NULL)
        return false;
    service->capacity = count;
    return true;
}

static bool open_slot(struct service *service, uint32_t slot, int fd, crn_h5_reply *reply,
                      char why[CRN_H5_TEXT_MAX])
{
    crn_h5_close(service->files[slot]);
    service->files[slot] = crn_h5_open(fd, reply, why);
    return service->files[slot] != NULL;
}

static bool read_slot(struct service *service, const crn_h5_request *request, crn_h5_reply *reply,
                      char why[CRN_H5_TEXT_MAX])
{
    if (service->files[request->slot] == NULL || request->count > CRN_H5_VALUES_MAX ||
        !reserve(service, request->count)) {
        (void)snprintf(why, CRN_H5_TEXT_MAX, "no open file, or no memory for what is read");
        return false;
    }
    reply->bytes = request->count * sizeof *service->values;
    return crn_h5_read(service->files[request->slot], request->first, request->count,
                       service->values, why);
}

static bool answer_data(struct service *service, const crn_h5_request *request, int fd)
{
    crn_h5_reply reply = {0};
    char why[CRN_H5_TEXT_MAX] = "";
    bool is_ok = false;
    if (request->slot >= CRN_H5_SLOTS)
        return false;
    if (request->kind == CRN_H5_OPEN && fd >= 0)
        is_ok = open_slot(service, request->slot, fd, &reply, why);
    else if (request->kind == CRN_H5_READ && fd < 0)
        is_ok = read_slot(service, request, &reply, why);
    else
        return false;
    reply.is_ok = is_ok;
    if (!is_ok)
        reply.bytes = strlen(why);
    return crn_confined_send(&reply, sizeof reply) &&
           crn_confined_send(is_ok ? (const void *)service->values : why, (size_t)reply.bytes);
}

/* ---- Checkpoints ---- */

static cairn_status open_mdl(int fd, void **out_file, cairn_error *err)
{
    crn_mdl *mdl = NULL;
    const cairn_status rc = crn_mdl_open(fd, &mdl, err);
    *out_file = mdl;
    return rc;
}

static const crn_str *mdl_table(const void *file)
{
    return crn_mdl_table(file);
}

static cairn_status read_mdl(void *file, uint64_t tensor, uint64_t offset, uint64_t size,
                             uint8_t *out, cairn_error *err)
{
    return crn_mdl_read(file, tensor, offset, size, out, err);
}

static bool answer(void *user, const void *request, int fd)
{
    struct service *const service = user;
    const crn_archive_request *const archive_request = request;
    const bool is_archive =
        archive_request->kind == CRN_ARCHIVE_OPEN || archive_request->kind == CRN_ARCHIVE_READ;
    return is_archive ? crn_confined_archive_answer(&service->archive, archive_request, fd)
                      : answer_data(service, request, fd);
}

int main(void)
{
    struct service service = {.archive = {.open = open_mdl,
                                          .table = mdl_table,
                                          .read = read_mdl,
                                          .bytes = calloc(1, CRN_ARCHIVE_READ_MAX)}};
    const crn_confined_program program = {.name = "cairn-hdf5",
                                          .purpose = "read HDF5 files",
                                          .request_size = sizeof(crn_h5_request),
                                          .seconds = CRN_H5_REQUEST_SECONDS,
                                          .setup = crn_h5_setup,
                                          .answer = answer,
                                          .user = &service};
    return service.archive.bytes != NULL ? crn_confined_serve(&program) : EXIT_FAILURE;
}
