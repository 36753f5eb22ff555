/* What the helper that reads HDF5 files says: it read files from anywhere, so nothing of it may be
 * believed. The input is all that it ever says; asked for more, it has ended. */
#include <errno.h>
#include <string.h>

#include "data/h5_client.h"
#include "fuzz/fuzz.h"

enum { COUNT_MAX = 1 << 16 };

static const uint8_t *s_words;
static size_t s_left;

/* The linker puts these in place of the functions of os/helper.c. */
int __wrap_crn_helper_start(const char *path, crn_helper *out);
int __wrap_crn_helper_send(const crn_helper *helper, const void *bytes, size_t size, int fd);
int __wrap_crn_helper_receive(const crn_helper *helper, void *bytes, size_t size, int timeout_ms);
void __wrap_crn_helper_end(crn_helper *helper);

int __wrap_crn_helper_start(const char *path, crn_helper *out)
{
    (void)path;
    *out = (crn_helper){.socket = 1, .process = 1};
    return 0;
}

int __wrap_crn_helper_send(const crn_helper *helper, const void *bytes, size_t size, int fd)
{
    (void)bytes;
    (void)fd;
    CHECK(size == sizeof(crn_h5_request));
    return helper->socket < 0 ? EBADF : 0;
}

int __wrap_crn_helper_receive(const crn_helper *helper, void *bytes, size_t size, int timeout_ms)
{
    CHECK(helper->socket >= 0 && timeout_ms > 0);
    if (size > s_left)
        return EPIPE;
    if (size > 0)
        memcpy(bytes, s_words, size);
    s_words += size;
    s_left -= size;
    return 0;
}

void __wrap_crn_helper_end(crn_helper *helper)
{
    helper->socket = -1;
}

static void check_status(cairn_status status, const cairn_error *err)
{
    CHECK(status == CAIRN_OK || status == CAIRN_EDATA || status == CAIRN_EIO);
    for (uint32_t i = 0; i < err->frame_count; i++) {
        for (const char *at = err->frame[i].text; *at != '\0'; at++)
            CHECK((unsigned char)*at >= ' ' && *at != '\177');
    }
}

/* A row of samples, or the first tokens of a corpus, into memory of just that size. */
static void read_some(crn_h5_client *client, const crn_h5_data *data)
{
    cairn_error err = {0};
    uint64_t count = CRN_H5_FEATURES * data->shape[2];
    if (data->rank == 1)
        count = data->shape[0] < COUNT_MAX ? data->shape[0] : COUNT_MAX;
    if (count > COUNT_MAX)
        return;
    int32_t *const numbers = malloc(count > 0 ? (size_t)count * sizeof *numbers : 1);
    CHECK(numbers != NULL);
    check_status(crn_h5_client_read(client, data, 0, count, numbers, &err), &err);
    free(numbers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* More files than slots, so that some are opened again. */
    enum { FILES = CRN_H5_SLOTS + 2 };
    cairn_error err = {0};
    crn_h5_client *client = NULL;
    crn_h5_data files[FILES];
    size_t count = 0;
    memory_os memory;
    uint8_t *const words = fuzz_copy(data, size, false);
    s_words = words;
    s_left = size;
    memory_os_init(&memory, words, size);
    CHECK(crn_h5_client_new(&memory.os, "helper", &client, &err) == CAIRN_OK);
    while (count < FILES && s_left > 0) {
        crn_h5_data *const file = &files[count];
        const cairn_status status = crn_h5_client_look(client, "file", file, &err);
        check_status(status, &err);
        if (status != CAIRN_OK)
            break;
        CHECK(file->rank == 1 || file->rank == CRN_H5_FEATURES);
        CHECK(file->shape[0] <= (uint64_t)1 << 60);
        CHECK(file->rank == 1 || (file->shape[1] >= CRN_H5_FEATURES && file->shape[2] > 0 &&
                                  file->shape[2] <= CRN_H5_VALUES_MAX / CRN_H5_FEATURES));
        read_some(client, file);
        count++;
    }
    for (size_t i = 0; i < count; i++)
        read_some(client, &files[i]);
    crn_h5_client_destroy(client);
    free(words);
    return 0;
}
