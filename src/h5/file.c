#include "h5/file.h"

#include <hdf5.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "h5/driver.h"

enum {
    CHUNK_BYTES_MAX = 256 << 20, /* the library needs one chunk in memory to read a number of it */
    CACHE_BYTES = 32 << 20,      /* chunks kept for each file */
    CACHE_SLOTS = 12421,         /* prime, about 100 times the chunks of a megabyte in the cache */
    FILTERS_MAX = 8
};

struct crn_h5_file {
    int fd;
    hid_t file;
    hid_t data;
    unsigned rank;
    hsize_t shape[3];
};

/* Fails with a message. */
static bool refuse(char why[CRN_H5_TEXT_MAX], const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool refuse(char why[CRN_H5_TEXT_MAX], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(why, CRN_H5_TEXT_MAX, format, arguments);
    va_end(arguments);
    return false;
}

bool crn_h5_setup(void)
{
    return H5dont_atexit() >= 0 && H5open() >= 0 && H5Eset_auto2(H5E_DEFAULT, NULL, NULL) >= 0 &&
           H5PLset_loading_state(0) >= 0;
}

static hid_t open_file(const int *fd)
{
    hid_t file = -1;
    const hid_t driver = crn_h5_driver_register();
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (driver >= 0 && access >= 0 && crn_h5_driver_use(access, driver, fd) >= 0 &&
        H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0)
        file = H5Fopen("data", H5F_ACC_RDONLY, access);
    if (access >= 0)
        (void)H5Pclose(access);
    if (driver >= 0)
        (void)H5FDunregister(driver);
    return file;
}

/* A link of its own file: an external one would name another. */
static bool check_link(hid_t file, char why[CRN_H5_TEXT_MAX])
{
    H5L_info_t info;
    if (H5Lexists(file, "data", H5P_DEFAULT) <= 0 ||
        H5Lget_info(file, "data", &info, H5P_DEFAULT) < 0)
        return refuse(why, "the file has no data set 'data'");
    if (info.type != H5L_TYPE_HARD)
        return refuse(why, "'data' is a link to elsewhere, which is not followed");
    return true;
}

static hid_t open_data(hid_t file)
{
    hid_t data = -1;
    const hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
    if (access >= 0 && H5Pset_chunk_cache(access, CACHE_SLOTS, CACHE_BYTES, 1.0) >= 0)
        data = H5Dopen2(file, "data", access);
    if (access >= 0)
        (void)H5Pclose(access);
    return data;
}

static bool check_filters(hid_t creation, char why[CRN_H5_TEXT_MAX])
{
    const int count = H5Pget_nfilters(creation);
    if (count < 0 || count > FILTERS_MAX)
        return refuse(why, "'data' has %d filters", count);
    for (int i = 0; i < count; i++) {
        unsigned flags = 0;
        unsigned config = 0;
        size_t parameters = 0;
        const H5Z_filter_t filter =
            H5Pget_filter2(creation, (unsigned)i, &flags, &parameters, NULL, 0, NULL, &config);
        if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE &&
            filter != H5Z_FILTER_FLETCHER32)
            return refuse(why,
                          "'data' is packed with filter %d; gzip, shuffle and fletcher32 are read",
                          (int)filter);
    }
    return true;
}

static bool check_storage(hid_t data, hid_t creation, char why[CRN_H5_TEXT_MAX])
{
    const H5D_layout_t layout = H5Pget_layout(creation);
    if (layout == H5D_VIRTUAL)
        return refuse(why, "'data' is a virtual data set, which is made of other files");
    if (layout != H5D_COMPACT && layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED)
        return refuse(why, "'data' is stored in an unknown way");
    if (H5Pget_external_count(creation) != 0)
        return refuse(why, "'data' is stored in other files");
    if (layout == H5D_CHUNKED) {
        hsize_t chunk[H5S_MAX_RANK];
        const hid_t type = H5Dget_type(data);
        uint64_t bytes = type >= 0 ? H5Tget_size(type) : 0;
        const int rank = H5Pget_chunk(creation, H5S_MAX_RANK, chunk);
        if (type >= 0)
            (void)H5Tclose(type);
        for (int i = 0; i < rank; i++) {
            if (__builtin_mul_overflow(bytes, chunk[i], &bytes) || bytes > CHUNK_BYTES_MAX)
                return refuse(why, "'data' has chunks over %d MiB", CHUNK_BYTES_MAX >> 20);
        }
    }
    return check_filters(creation, why);
}

static bool check_type(hid_t data, char why[CRN_H5_TEXT_MAX])
{
    const hid_t type = H5Dget_type(data);
    if (type < 0)
        return refuse(why, "the type of 'data' cannot be read");
    const bool is_integer = H5Tget_class(type) == H5T_INTEGER && H5Tget_size(type) <= 8;
    (void)H5Tclose(type);
    return is_integer ? true : refuse(why, "'data' does not hold integers");
}

static bool read_shape(crn_h5_file *file, char why[CRN_H5_TEXT_MAX])
{
    hsize_t shape[H5S_MAX_RANK] = {0};
    const hid_t space = H5Dget_space(file->data);
    const int rank = space >= 0 ? H5Sget_simple_extent_dims(space, shape, NULL) : -1;
    if (space >= 0)
        (void)H5Sclose(space);
    if (rank != 1 && rank != CRN_H5_FEATURES)
        return refuse(why, "'data' has %d axes; it must be [tokens] or [samples, 3, tokens]", rank);
    if (rank == CRN_H5_FEATURES && (shape[1] < CRN_H5_FEATURES || shape[2] < 1 ||
                                    shape[2] > CRN_H5_VALUES_MAX / CRN_H5_FEATURES))
        return refuse(why,
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
    file->file = open_file(&file->fd);
    if (file->file < 0)
        return refuse(why, "this is no HDF5 file, or a damaged one");
    if (!check_link(file->file, why))
        return false;
    file->data = open_data(file->file);
    if (file->data < 0)
        return refuse(why, "'data' is no data set, or a damaged one");
    const hid_t creation = H5Dget_create_plist(file->data);
    if (creation < 0)
        return refuse(why, "how 'data' is stored cannot be read");
    const bool is_good = check_storage(file->data, creation, why);
    (void)H5Pclose(creation);
    return is_good && check_type(file->data, why) && read_shape(file, why);
}

crn_h5_file *crn_h5_open(int fd, crn_h5_reply *reply, char why[CRN_H5_TEXT_MAX])
{
    crn_h5_file *const file = calloc(1, sizeof *file);
    if (file == NULL) {
        (void)refuse(why, "no memory");
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
        return refuse(why, "%" PRIu64 " numbers from place %" PRIu64 " on are not there", count,
                      first);
    const hid_t from = H5Dget_space(file->data);
    const hid_t to = H5Screate_simple(1, line, NULL);
    const bool is_read = from >= 0 && to >= 0 &&
                         H5Sselect_hyperslab(from, H5S_SELECT_SET, start, NULL, size, NULL) >= 0 &&
                         H5Dread(file->data, H5T_NATIVE_INT32, to, from, H5P_DEFAULT, out) >= 0;
    if (from >= 0)
        (void)H5Sclose(from);
    if (to >= 0)
        (void)H5Sclose(to);
    return is_read ? true : refuse(why, "the place %" PRIu64 " of 'data' is damaged", first);
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
