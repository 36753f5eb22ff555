#include "data/h5_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"

/* A little longer than the helper allows itself. */
enum { TIMEOUT_MS = (CRN_H5_REQUEST_SECONDS + 30) * 1000 };

struct crn_h5_client {
    const crn_os *os;
    crn_helper helper;
    uint32_t file_count;
    uint32_t in_slot[CRN_H5_SLOTS]; /* number of the file that is open there, plus 1; 0: none */
};

cairn_status crn_h5_client_new(const crn_os *os, const char *program, crn_h5_client **out,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char *found = NULL;
    crn_h5_client *const client = crn_calloc(1, sizeof *client);
    CRN_NEED(err, client, "the reader of HDF5 files");
    *client = (crn_h5_client){.os = os, .helper = {.socket = -1}};
    if (program == NULL) {
        found = crn_helper_find(os, "cairn-hdf5");
        program = found;
    }
    if (program == NULL)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "cairn-hdf5, which reads HDF5 files, is neither beside this program nor where it "
                 "was installed: this build lacks HDF5");
    const int e = crn_helper_start(program, &client->helper);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "start %s", program);
    *out = client;
out:
    if (rc != CAIRN_OK)
        crn_h5_client_destroy(client);
    crn_free(found);
    return rc;
}

void crn_h5_client_destroy(crn_h5_client *client)
{
    if (client == NULL)
        return;
    crn_helper_end(&client->helper);
    crn_free(client);
}

static cairn_status fail_helper(int e, const char *path, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (e == EPIPE || e == ETIMEDOUT)
        CRN_FAIL(err, CAIRN_EDATA,
                 "data file '%s': its reader %s; the file is damaged, or made to do harm", path,
                 e == EPIPE ? "crashed" : "found no end");
    CRN_FAIL_ERRNO(err, e, "data file '%s': speak to its reader", path);
out:
    return rc;
}

/* Sends a request and receives its reply; @payload of @size bytes is what a good one must bring. */
static cairn_status ask(crn_h5_client *client, const char *path, const crn_h5_request *request,
                        int fd, crn_h5_reply *reply, void *payload, size_t size, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char text[CRN_H5_TEXT_MAX];
    char clean[CRN_H5_TEXT_MAX * 4];
    int e = crn_helper_send(&client->helper, request, sizeof *request, fd);
    if (e == 0)
        e = crn_helper_receive(&client->helper, reply, sizeof *reply, TIMEOUT_MS);
    if (e == 0 && reply->bytes > (reply->is_ok != 0 ? size : sizeof text))
        e = EPROTO;
    if (e == 0 && reply->is_ok != 0 && reply->bytes != size)
        e = EPROTO;
    if (e == 0)
        e = crn_helper_receive(&client->helper, reply->is_ok != 0 ? payload : text,
                               (size_t)reply->bytes, TIMEOUT_MS);
    if (e != 0) {
        crn_helper_end(&client->helper); /* Its next words would be of this reply. */
        CRN_TRY_PLAIN(fail_helper(e, path, err));
    }
    if (reply->is_ok == 0)
        CRN_FAIL(err, CAIRN_EDATA, "data file '%s': %s", path,
                 crn_escape(text, (size_t)reply->bytes, clean, sizeof clean));
out:
    return rc;
}

static cairn_status open_in_slot(crn_h5_client *client, const char *path, uint32_t number,
                                 crn_h5_reply *reply, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_h5_request request = {.kind = CRN_H5_OPEN, .slot = number % CRN_H5_SLOTS};
    int fd = -1;
    const int e = client->os->open(client->os, CRN_OS_CWD, path, CRN_OPEN_READ, &fd);
    if (e != 0)
        CRN_FAIL(err, CAIRN_EDATA, "data file '%s': %s", path, strerror(e));
    client->in_slot[request.slot] = 0;
    CRN_TRY_PLAIN(ask(client, path, &request, fd, reply, NULL, 0, err));
    client->in_slot[request.slot] = number + 1;
out:
    if (fd >= 0)
        (void)client->os->close(client->os, fd); /* The helper has it now. */
    return rc;
}

cairn_status crn_h5_client_look(crn_h5_client *client, const char *path, crn_h5_data *out,
                                cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_h5_reply reply = {0};
    CRN_TRY_PLAIN(open_in_slot(client, path, client->file_count, &reply, err));
    const bool is_sample = reply.rank == CRN_H5_FEATURES;
    if ((!is_sample && reply.rank != 1) || reply.shape[0] > (uint64_t)1 << 60 ||
        (is_sample && (reply.shape[1] < CRN_H5_FEATURES || reply.shape[2] == 0 ||
                       reply.shape[2] > CRN_H5_VALUES_MAX / CRN_H5_FEATURES)))
        CRN_FAIL(err, CAIRN_EDATA, "data file '%s': its reader says nonsense", path);
    *out = (crn_h5_data){.path = path,
                         .number = client->file_count,
                         .rank = reply.rank,
                         .shape = {reply.shape[0], reply.shape[1], reply.shape[2]},
                         .n_examples = reply.n_examples};
    client->file_count++;
out:
    return rc;
}

static cairn_status reopen(crn_h5_client *client, const crn_h5_data *data, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_h5_reply reply = {0};
    CRN_TRY_PLAIN(open_in_slot(client, data->path, data->number, &reply, err));
    if (reply.rank != data->rank || memcmp(reply.shape, data->shape, sizeof data->shape) != 0) {
        client->in_slot[data->number % CRN_H5_SLOTS] = 0;
        CRN_FAIL(err, CAIRN_EDATA, "data file '%s' changed while it was in use", data->path);
    }
out:
    return rc;
}

cairn_status crn_h5_client_read(crn_h5_client *client, const crn_h5_data *data, uint64_t first,
                                uint64_t count, int32_t *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_h5_reply reply = {0};
    const crn_h5_request request = {
        .kind = CRN_H5_READ, .slot = data->number % CRN_H5_SLOTS, .first = first, .count = count};
    if (client->in_slot[request.slot] != data->number + 1)
        CRN_TRY_PLAIN(reopen(client, data, err));
    CRN_TRY_PLAIN(
        ask(client, data->path, &request, -1, &reply, out, (size_t)count * sizeof *out, err));
out:
    return rc;
}
