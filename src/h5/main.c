/*
 * cairn-hdf5: reads HDF5 files for the data processors of cairn, which speak to it as
 * data/h5_protocol.h says. The HDF5 library is large and the files may come from anywhere, so it
 * runs in a confined process.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "confined/service.h"
#include "h5/file.h"

/* Files in use, and the numbers of the last reply. */
struct service {
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

static bool answer(void *user, const void *bytes, int fd)
{
    struct service *const service = user;
    const crn_h5_request *const request = bytes;
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

int main(void)
{
    struct service service = {0};
    const crn_confined_program program = {.name = "cairn-hdf5",
                                          .purpose = "read HDF5 files",
                                          .request_size = sizeof(crn_h5_request),
                                          .seconds = CRN_H5_REQUEST_SECONDS,
                                          .setup = crn_h5_setup,
                                          .answer = answer,
                                          .user = &service};
    return crn_confined_serve(&program);
}
