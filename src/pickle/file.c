#include "pickle/file.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"

#define PICKLE_NAME "data.pkl"

enum { PICKLE_MAX = 64 << 20, GATHER_MAX = 1 << 30, ORDER_MAX = 16 };

struct crn_pickle_file {
    const crn_os *os;
    int fd;
    crn_zip zip;
    uint8_t *pickle; /* owns the texts of the tree */
    crn_pickle_tree tree;
    crn_pickle_table table;
    const crn_pickle_tensor *gathered; /* whose span is in memory; NULL: none */
    uint8_t *span;
};

/* ---- Opening ---- */

/* "<folder>/data.pkl"; the folder is named after the file that was written. */
static cairn_status find_pickle(const crn_zip *zip, const crn_zip_entry **out, cairn_error *err)
{
    static const char k_end[] = "/" PICKLE_NAME;
    const size_t end = sizeof k_end - 1;
    cairn_status rc = CAIRN_OK;
    *out = NULL;
    for (size_t i = 0; i < zip->count; i++) {
        const crn_zip_entry *const entry = &zip->entries[i];
        if (entry->name_length <= end ||
            memcmp(entry->name + entry->name_length - end, k_end, end) != 0)
            continue;
        if (*out != NULL)
            CRN_FAIL(err, CAIRN_ECORRUPT, "has two entries " PICKLE_NAME);
        *out = entry;
    }
    if (*out == NULL)
        CRN_FAIL(err, CAIRN_ECORRUPT, "is a zip file, but not PyTorch's: it has no " PICKLE_NAME);
    if ((*out)->bytes > PICKLE_MAX)
        CRN_FAIL(err, CAIRN_ECORRUPT, "has a " PICKLE_NAME " of more than %d MiB",
                 PICKLE_MAX >> 20);
out:
    return rc;
}

/* Files from before the entry was written are little-endian. */
static cairn_status check_order(crn_pickle_file *file, const char *folder, size_t length,
                                cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char order[ORDER_MAX] = "";
    crn_str name = {0};
    crn_str_append_bytes(&name, folder, length);
    crn_str_append(&name, "byteorder");
    CRN_TRY_PLAIN(crn_str_check(&name, err));
    const crn_zip_entry *const entry = crn_zip_find(&file->zip, name.text, name.length);
    if (entry == NULL)
        goto out;
    if (entry->bytes < sizeof order)
        CRN_TRY_PLAIN(
            crn_read_exactly(file->os, file->fd, order, (size_t)entry->bytes, entry->begin, err));
    if (strcmp(order, "little") != 0)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "is not little-endian");
out:
    crn_str_dispose(&name);
    return rc;
}

cairn_status crn_pickle_open(const crn_os *os, int fd, crn_pickle_file **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_file_stat stat;
    const crn_zip_entry *entry = NULL;
    crn_pickle_file *const file = crn_calloc(1, sizeof *file);
    CRN_NEED(err, file, "a file");
    *file = (crn_pickle_file){.os = os, .fd = fd};
    const int e = os->stat_fd(os, fd, &stat);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "cannot be looked at");
    CRN_TRY_PLAIN(crn_zip_read(os, fd, stat.size, &file->zip, err));
    CRN_TRY_PLAIN(find_pickle(&file->zip, &entry, err));
    const size_t folder = entry->name_length - (sizeof PICKLE_NAME - 1);
    CRN_TRY_PLAIN(check_order(file, entry->name, folder, err));
    file->pickle = crn_calloc(1, (size_t)entry->bytes + 1);
    CRN_NEED(err, file->pickle, PICKLE_NAME);
    CRN_TRY_PLAIN(crn_read_exactly(os, fd, file->pickle, (size_t)entry->bytes, entry->begin, err));
    CRN_TRY_PLAIN(crn_pickle_run(file->pickle, (size_t)entry->bytes, &file->zip, entry->name,
                                 folder, &file->tree, err));
    CRN_TRY_PLAIN(crn_pickle_table_make(&file->tree, &file->table, err));
    *out = file;
out:
    if (rc != CAIRN_OK)
        crn_pickle_close(file);
    return rc;
}

void crn_pickle_close(crn_pickle_file *file)
{
    if (file == NULL)
        return;
    crn_pickle_table_dispose(&file->table);
    crn_pickle_tree_dispose(&file->tree);
    crn_zip_dispose(&file->zip);
    crn_free(file->pickle);
    crn_free(file->span);
    crn_free(file);
}

const crn_pickle_table *crn_pickle_file_table(const crn_pickle_file *file)
{
    return &file->table;
}

/* ---- Reading ---- */

static cairn_status read_span(crn_pickle_file *file, const crn_pickle_tensor *tensor,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (file->gathered == tensor)
        return CAIRN_OK;
    file->gathered = NULL;
    crn_free(file->span);
    file->span = NULL;
    if (tensor->span > GATHER_MAX)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "has a tensor of more than %d MiB that is not stored row by row; save it with "
                 ".contiguous()",
                 GATHER_MAX >> 20);
    file->span = crn_calloc(1, (size_t)tensor->span);
    CRN_NEED(err, file->span, "a tensor that is not stored row by row");
    CRN_TRY_PLAIN(
        crn_read_exactly(file->os, file->fd, file->span, (size_t)tensor->span, tensor->begin, err));
    file->gathered = tensor;
out:
    return rc;
}

/* Copies @count elements from element @first on, in row-major order. */
static void gather(const crn_pickle_tensor *tensor, const uint8_t *span, uint64_t first,
                   uint64_t count, uint64_t width, uint8_t *out)
{
    uint64_t index[CAIRN_RANK_MAX] = {0};
    uint64_t at = 0;
    uint64_t rest = first;
    for (uint32_t i = tensor->rank; i > 0; i--) {
        index[i - 1] = rest % tensor->shape[i - 1];
        rest /= tensor->shape[i - 1];
        at += index[i - 1] * tensor->strides[i - 1];
    }
    for (uint64_t n = 0; n < count; n++) {
        memcpy(out + n * width, span + at * width, width);
        for (uint32_t i = tensor->rank; i > 0; i--) {
            at += tensor->strides[i - 1];
            if (++index[i - 1] < tensor->shape[i - 1])
                break;
            at -= tensor->shape[i - 1] * tensor->strides[i - 1];
            index[i - 1] = 0;
        }
    }
}

cairn_status crn_pickle_read(crn_pickle_file *file, uint64_t number, uint64_t offset, uint64_t size,
                             uint8_t *buf, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (number >= file->table.tensor_count)
        CRN_FAIL(err, CAIRN_ECORRUPT, "has no tensor %llu", (unsigned long long)number);
    const crn_pickle_tensor *const tensor = &file->tree.tensors[file->table.tensors[number]];
    const uint64_t width = cairn_dtype_bits(tensor->dtype) / 8;
    if (offset > tensor->bytes || size > tensor->bytes - offset || offset % width != 0 ||
        size % width != 0)
        CRN_FAIL(err, CAIRN_ECORRUPT, "has no such bytes of a tensor");
    if (tensor->is_dense || size == 0)
        return crn_read_exactly(file->os, file->fd, buf, (size_t)size, tensor->begin + offset, err);
    CRN_TRY_PLAIN(read_span(file, tensor, err));
    gather(tensor, file->span, offset / width, size / width, width, buf);
out:
    return rc;
}
