/* The data sets of a checkpoint: what they are, and their bytes. */
#include <hdf5.h>
#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
#include "base/try.h"
#include "h5/dataset.h"
#include "h5/mdl_priv.h"

_Static_assert(CRN_MDL_RANK_MAX == H5S_MAX_RANK, "a shape has room for all axes");

/* What a data set's own type is, in little-endian bytes; 0: none that is read. */
static cairn_dtype dtype_of(hid_t type)
{
    const struct {
        hid_t type;
        cairn_dtype dtype;
    } known[] = {
        {H5T_IEEE_F32LE, CAIRN_DTYPE_F32}, {H5T_IEEE_F64LE, CAIRN_DTYPE_F64},
        {H5T_STD_I8LE, CAIRN_DTYPE_I8},    {H5T_STD_I16LE, CAIRN_DTYPE_I16},
        {H5T_STD_I32LE, CAIRN_DTYPE_I32},  {H5T_STD_I64LE, CAIRN_DTYPE_I64},
        {H5T_STD_U8LE, CAIRN_DTYPE_U8},    {H5T_STD_U16LE, CAIRN_DTYPE_U16},
        {H5T_STD_U32LE, CAIRN_DTYPE_U32},  {H5T_STD_U64LE, CAIRN_DTYPE_U64},
    };
    const size_t size = H5Tget_size(type);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (H5Tequal(type, known[i].type) > 0)
            return known[i].dtype;
    }
    if (H5Tget_class(type) == H5T_ENUM && size == 1) /* h5py's truth values */
        return CAIRN_DTYPE_BOOL;
    if (H5Tget_class(type) == H5T_FLOAT && size == 2 && H5Tget_order(type) == H5T_ORDER_LE)
        return CAIRN_DTYPE_F16;
    return (cairn_dtype)0;
}

/* bfloat16 is stored as integers of two bytes. */
static bool is_stored_as(cairn_dtype wanted, cairn_dtype stored)
{
    return wanted == stored ||
           (wanted == CAIRN_DTYPE_BF16 && (stored == CAIRN_DTYPE_I16 || stored == CAIRN_DTYPE_U16));
}

static bool look(hid_t data, const char *torch, crn_mdl_tensor *out)
{
    const hid_t type = H5Dget_type(data);
    const hid_t space = H5Dget_space(data);
    hsize_t shape[H5S_MAX_RANK] = {0};
    bool is_good = false;
    if (type >= 0 && space >= 0 && H5Sget_simple_extent_type(space) != H5S_NULL) {
        const cairn_dtype stored = dtype_of(type);
        const int rank = H5Sget_simple_extent_dims(space, shape, NULL);
        out->dtype = torch != NULL ? crn_mdl_dtype(torch) : stored;
        out->rank = rank > 0 ? (uint32_t)rank : 0;
        is_good = rank >= 0 && out->dtype != 0 && is_stored_as(out->dtype, stored);
        out->bytes = is_good ? cairn_dtype_bits(out->dtype) / 8 : 0;
        for (uint32_t i = 0; i < out->rank; i++) {
            out->shape[i] = shape[i];
            is_good = is_good && crn_mul_u64(out->bytes, shape[i], &out->bytes);
        }
    }
    if (space >= 0)
        (void)H5Sclose(space);
    if (type >= 0)
        (void)H5Tclose(type);
    return is_good;
}

cairn_status crn_mdl_look(const crn_mdl *mdl, const char *key, const char *torch,
                          crn_mdl_tensor *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char why[CRN_H5_TEXT_MAX];
    char shown[200];
    hid_t data = -1;
    (void)crn_escape(key, strlen(key), shown, sizeof shown);
    if (strchr(key, '/') != NULL) /* It would be looked for in a group, perhaps behind a link. */
        CRN_FAIL(err, CAIRN_ECORRUPT, "is damaged: it has a tensor '%s' with a slash in its name",
                 shown);
    data = crn_h5_open_dataset(mdl->file, key, why);
    if (data < 0)
        CRN_FAIL(err, CAIRN_ECORRUPT, "is damaged or reaches for other files: %s", why);
    if (!look(data, torch, out))
        CRN_FAIL(err, CAIRN_ECORRUPT, "is damaged: '%s' is not stored as what its metadata say",
                 shown);
    out->key = crn_strdup(key);
    CRN_NEED(err, out->key, "a key");
out:
    if (data >= 0)
        (void)H5Dclose(data);
    return rc;
}

static cairn_status open_tensor(crn_mdl *mdl, size_t number, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char why[CRN_H5_TEXT_MAX];
    if (mdl->data >= 0 && mdl->data_of == number)
        return CAIRN_OK;
    if (mdl->data >= 0)
        (void)H5Dclose(mdl->data);
    mdl->data = crn_h5_open_dataset(mdl->file, mdl->tensors[number].key, why);
    mdl->data_of = number;
    if (mdl->data < 0)
        CRN_FAIL(err, CAIRN_ECORRUPT, "is damaged: %s", why);
out:
    return rc;
}

/*
 * The largest box of @tensor that begins at element @first, has at most @count elements and lies in
 * one piece: one element along the first axes, some along one, all along the rest. Returns its
 * elements.
 */
static uint64_t choose_box(const crn_mdl_tensor *tensor, uint64_t first, uint64_t count,
                           hsize_t start[H5S_MAX_RANK], hsize_t size[H5S_MAX_RANK])
{
    uint64_t inner = 1; /* elements of what lies behind the axis */
    uint64_t box = 1;
    bool is_open = true; /* all axes behind this one are taken whole */
    for (uint32_t i = tensor->rank; i-- > 0;) {
        const uint64_t axis = tensor->shape[i];
        start[i] = first / inner % axis;
        size[i] = 1;
        if (is_open) {
            const uint64_t most = count / inner;
            const uint64_t rest = axis - start[i];
            size[i] = most < rest ? most : rest;
            size[i] = size[i] > 0 ? size[i] : 1;
            is_open = size[i] == axis;
            box = inner * size[i];
        }
        inner *= axis;
    }
    return box;
}

/* The file's own type serves as that of memory: it is little-endian, as it was looked at. */
static bool read_box(hid_t data, uint32_t rank, const hsize_t *start, const hsize_t *size,
                     uint64_t count, uint8_t *out)
{
    const hsize_t line[] = {count};
    const hid_t type = H5Dget_type(data);
    const hid_t from = H5Dget_space(data);
    const hid_t to = H5Screate_simple(1, line, NULL);
    const bool is_read =
        type >= 0 && from >= 0 && to >= 0 && H5Sget_simple_extent_ndims(from) == (int)rank &&
        (rank == 0 || H5Sselect_hyperslab(from, H5S_SELECT_SET, start, NULL, size, NULL) >= 0) &&
        H5Dread(data, type, to, from, H5P_DEFAULT, out) >= 0;
    if (to >= 0)
        (void)H5Sclose(to);
    if (from >= 0)
        (void)H5Sclose(from);
    if (type >= 0)
        (void)H5Tclose(type);
    return is_read;
}

static void fill(const crn_mdl_tensor *tensor, uint64_t unit, uint64_t size, uint8_t *out)
{
    for (uint64_t i = 0; i < size; i += unit)
        memcpy(out + i, tensor->fill, (size_t)unit);
}

cairn_status crn_mdl_read(crn_mdl *mdl, uint64_t number, uint64_t offset, uint64_t size,
                          uint8_t *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char shown[200];
    if (number >= mdl->listed_count)
        CRN_FAIL(err, CAIRN_ECORRUPT, "has no tensor %" PRIu64, number);
    const size_t at = mdl->listed[number];
    const crn_mdl_tensor *const tensor = &mdl->tensors[at];
    const uint64_t unit = cairn_dtype_bits(tensor->dtype) / 8;
    if (offset > tensor->bytes || size > tensor->bytes - offset || offset % unit != 0 ||
        size % unit != 0)
        CRN_FAIL(err, CAIRN_ECORRUPT, "has not these bytes of tensor %" PRIu64, number);
    if (tensor->key == NULL) {
        fill(tensor, unit, size, out);
        return CAIRN_OK;
    }
    CRN_TRY_PLAIN(open_tensor(mdl, at, err));
    while (size > 0) {
        hsize_t start[H5S_MAX_RANK];
        hsize_t count[H5S_MAX_RANK];
        const uint64_t box = choose_box(tensor, offset / unit, size / unit, start, count);
        if (!read_box(mdl->data, tensor->rank, start, count, box, out))
            CRN_FAIL(err, CAIRN_ECORRUPT, "is damaged: the data of '%s' cannot be read",
                     crn_escape(tensor->key, strlen(tensor->key), shown, sizeof shown));
        offset += box * unit;
        size -= box * unit;
        out += box * unit;
    }
out:
    return rc;
}
