#include "h5/dataset.h"

#include <hdf5.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "h5/driver.h"
#include "h5/lz4.h"

enum {
    CHUNK_BYTES_MAX = 256 << 20, /* the library needs one chunk in memory to read a number of it */
    CACHE_BYTES = 32 << 20,      /* chunks kept for each data set */
    CACHE_SLOTS = 12421,         /* prime, about 100 times the chunks of a megabyte in the cache */
    FILTERS_MAX = 8
};

bool crn_h5_refuse(char why[CRN_H5_TEXT_MAX], const char *format, ...)
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
           H5PLset_loading_state(0) >= 0 && crn_h5_lz4_register();
}

int64_t crn_h5_open_file(const int *fd)
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
static bool check_link(hid_t file, const char *name, const char *shown, char why[CRN_H5_TEXT_MAX])
{
    H5L_info_t info;
    if (H5Lexists(file, name, H5P_DEFAULT) <= 0 || H5Lget_info(file, name, &info, H5P_DEFAULT) < 0)
        return crn_h5_refuse(why, "the file has no data set '%s'", shown);
    if (info.type != H5L_TYPE_HARD)
        return crn_h5_refuse(why, "'%s' is a link to elsewhere, which is not followed", shown);
    return true;
}

static hid_t open_data(hid_t file, const char *name)
{
    hid_t data = -1;
    const hid_t access = H5Pcreate(H5P_DATASET_ACCESS);
    if (access >= 0 && H5Pset_chunk_cache(access, CACHE_SLOTS, CACHE_BYTES, 1.0) >= 0)
        data = H5Dopen2(file, name, access);
    if (access >= 0)
        (void)H5Pclose(access);
    return data;
}

static bool check_filters(hid_t creation, const char *shown, char why[CRN_H5_TEXT_MAX])
{
    const int count = H5Pget_nfilters(creation);
    if (count < 0 || count > FILTERS_MAX)
        return crn_h5_refuse(why, "'%s' has %d filters", shown, count);
    for (int i = 0; i < count; i++) {
        unsigned flags = 0;
        unsigned config = 0;
        size_t parameters = 0;
        const H5Z_filter_t filter =
            H5Pget_filter2(creation, (unsigned)i, &flags, &parameters, NULL, 0, NULL, &config);
        if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE &&
            filter != H5Z_FILTER_FLETCHER32 && filter != CRN_H5_FILTER_LZ4)
            return crn_h5_refuse(
                why, "'%s' is packed with filter %d; gzip, LZ4, shuffle and fletcher32 are read",
                shown, (int)filter);
    }
    return true;
}

static bool check_storage(hid_t data, hid_t creation, const char *shown, char why[CRN_H5_TEXT_MAX])
{
    const H5D_layout_t layout = H5Pget_layout(creation);
    if (layout == H5D_VIRTUAL)
        return crn_h5_refuse(why, "'%s' is a virtual data set, which is made of other files",
                             shown);
    if (layout != H5D_COMPACT && layout != H5D_CONTIGUOUS && layout != H5D_CHUNKED)
        return crn_h5_refuse(why, "'%s' is stored in an unknown way", shown);
    if (H5Pget_external_count(creation) != 0)
        return crn_h5_refuse(why, "'%s' is stored in other files", shown);
    if (layout == H5D_CHUNKED) {
        hsize_t chunk[H5S_MAX_RANK];
        const hid_t type = H5Dget_type(data);
        uint64_t bytes = type >= 0 ? H5Tget_size(type) : 0;
        const int rank = H5Pget_chunk(creation, H5S_MAX_RANK, chunk);
        if (type >= 0)
            (void)H5Tclose(type);
        for (int i = 0; i < rank; i++) {
            if (__builtin_mul_overflow(bytes, chunk[i], &bytes) || bytes > CHUNK_BYTES_MAX)
                return crn_h5_refuse(why, "'%s' has chunks over %d MiB", shown,
                                     CHUNK_BYTES_MAX >> 20);
        }
    }
    return check_filters(creation, shown, why);
}

int64_t crn_h5_open_dataset(int64_t file, const char *name, char why[CRN_H5_TEXT_MAX])
{
    char shown[200];
    (void)crn_escape(name, strlen(name), shown, sizeof shown);
    if (!check_link(file, name, shown, why))
        return -1;
    const hid_t data = open_data(file, name);
    const hid_t creation = data >= 0 ? H5Dget_create_plist(data) : -1;
    bool is_good = false;
    if (data < 0)
        (void)crn_h5_refuse(why, "'%s' is no data set, or a damaged one", shown);
    else if (creation < 0)
        (void)crn_h5_refuse(why, "how '%s' is stored cannot be read", shown);
    else
        is_good = check_storage(data, creation, shown, why);
    if (creation >= 0)
        (void)H5Pclose(creation);
    if (data >= 0 && !is_good)
        (void)H5Dclose(data);
    return is_good ? data : -1;
}
