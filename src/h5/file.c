#include "h5/file.h"

#include <hdf5.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "h5/dataset.h"

struct crn_h5_file {
    int fd;
    hid_t file;
    hid_t data;
    unsigned rank;
    hsize_t shape[3];
};

static bool check_type(hid_t data, char why[CRN_H5_TEXT_MAX])
{
    const hid_t type = H5Dget_type(data);
    if (type < 0)
        return crn_h5_refuse(why, "the type of 'data' cannot be read");
    const bool is_integer = H5Tget_class(type) == H5T_INTEGER && H5Tget_size(type) <= 8;
    (void)H5Tclose(type);
    return is_integer ? true : crn_h5_refuse(why, "'data' does not hold integers");
}

static bool read_shape(crn_h5_file *file, char why[CRN_H5_TEXT_MAX])
{
    hsize_t shape[H5S_MAX_RANK] = {0};
    const hid_t space = H5Dget_space(file->data);
    const int rank = space >= 0 ? H5Sget_simple_extent_dims(space, shape, NULL) : -1;
    if (space >= 0)
        (void)H5Sclose(space);
    if (rank != 1 && rank != CRN_H5_FEATURES)
        return crn_h5_refuse(why, "'data' has %d axes; it must be [tokens] or [samples, 3, tokens]",
                             rank);
    if (rank == CRN_H5_FEATURES && (shape[1] < CRN_H5_FEATURES || shape[2] < 1 ||
                                    shape[2] > CRN_H5_VALUES_MAX / CRN_H5_FEATURES))
        return crn_h5_refuse(why,
                             "'data' is [%" PRIuHSIZE ", %" PRIuHSIZE ", %" PRIuHSIZE
                             "]; it must be [samples, 3, tokens]: input_ids, loss mask and labels",
                             shape[0], shape[1], shape[2]);
    file->rank = (unsigned)rank;
    for (int i = 0; i < rank; i++)
        file->shape[i] = shape[i];
    return true;
}

/* UINT64_MAX where there is none. */
static uint64_t read_examples(hid_t file)
{
    uint64_t examples = UINT64_MAX;
    if (H5Aexists(file, "n_examples") <= 0)
        return examples;
    const hid_t attribute = H5Aopen(file, "n_examples", H5P_DEFAULT);
    if (attribute < 0)
        return examples;
    const hid_t type = H5Aget_type(attribute);
    const hid_t space = H5Aget_space(attribute);
    if (type >= 0 && space >= 0 && H5Tget_class(type) == H5T_INTEGER && H5Tget_size(type) <= 8 &&
        H5Sget_simple_extent_npoints(space) == 1 &&
        H5Aread(attribute, H5T_NATIVE_UINT64, &examples) < 0)
        examples = UINT64_MAX;
    if (type >= 0)
        (void)H5Tclose(type);
    if (space >= 0)
        (void)H5Sclose(space);
    (void)H5Aclose(attribute);
    return examples;
}

static bool open_all(crn_h5_file *file, char why[CRN_H5_TEXT_MAX])
{
    file->file = crn_h5_open_file(&file->fd);
    if (file->file < 0)
        return crn_h5_refuse(why, "this is no HDF5 file, or a damaged one");
    file->data = crn_h5_open_dataset(file->file, "data", why);
    return file->data >= 0 && check_type(file->data, why) && read_shape(file, why);
}

crn_h5_file *crn_h5_open(int fd, crn_h5_reply *reply, char why[CRN_H5_TEXT_MAX])
{
    crn_h5_file *const file = calloc(1, sizeof *file);
    if (file == NULL) {
        (void)crn_h5_refuse(why, "no memory");
        (void)close(fd);
        return NULL;
    }
    *file = (crn_h5_file){.fd = fd, .file = -1, .data = -1};
    if (!open_all(file, why)) {
        crn_h5_close(file);
        return NULL;
    }
    reply->rank = file->rank;
    for (unsigned i = 0; i < file->rank; i++)
        reply->shape[i] = file->shape[i];
    reply->n_examples = read_examples(file->file);
    return file;
}

bool crn_h5_read(crn_h5_file *file, uint64_t first, uint64_t count, int32_t *out,
                 char why[CRN_H5_TEXT_MAX])
{
    const bool is_sample = file->rank == CRN_H5_FEATURES;
    const hsize_t start[] = {first, 0, 0};
    const hsize_t size[] = {is_sample ? 1 : count, CRN_H5_FEATURES, file->shape[2]};
    const hsize_t line[] = {count};
    if (first >= file->shape[0] || (is_sample && count != CRN_H5_FEATURES * file->shape[2]) ||
        (!is_sample && count > file->shape[0] - first) || count > CRN_H5_VALUES_MAX)
        return crn_h5_refuse(why, "%" PRIu64 " numbers from place %" PRIu64 " on are not there",
                             count, first);
    const hid_t from = H5Dget_space(file->data);
    const hid_t to = H5Screate_simple(1, line, NULL);
    const bool is_read = from >= 0 && to >= 0 &&
                         H5Sselect_hyperslab(from, H5S_SELECT_SET, start, NULL, size, NULL) >= 0 &&
                         H5Dread(file->data, H5T_NATIVE_INT32, to, from, H5P_DEFAULT, out) >= 0;
    if (from >= 0)
        (void)H5Sclose(from);
    if (to >= 0)
        (void)H5Sclose(to);
    return is_read ? true : crn_h5_refuse(why, "the place %" PRIu64 " of 'data' is damaged", first);
}

void crn_h5_close(crn_h5_file *file)
{
    if (file == NULL)
        return;
    if (file->data >= 0)
        (void)H5Dclose(file->data);
    if (file->file >= 0)
        (void)H5Fclose(file->file);
    (void)close(file->fd);
    free(file);
}
