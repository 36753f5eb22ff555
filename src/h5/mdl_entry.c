/* One leaf of a checkpoint's tree of keys: from its metadata to an entry of the table. */
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
#include "base/try.h"
#include "h5/mdl_priv.h"

/* A leaf while it is read. */
struct leaf {
    crn_mdl *mdl;
    const char *key;
    const json_t *metadata;
    crn_mdl_item item;
    char shown[200]; /* its key */
};

typedef cairn_status (*read_fn)(struct leaf *leaf, bool *out_is_there, cairn_error *err);

cairn_dtype crn_mdl_dtype(const char *torch)
{
    static const struct {
        const char *name;
        cairn_dtype dtype;
    } k_dtypes[] = {
        {"torch.float32", CAIRN_DTYPE_F32}, {"torch.bfloat16", CAIRN_DTYPE_BF16},
        {"torch.float16", CAIRN_DTYPE_F16}, {"torch.float64", CAIRN_DTYPE_F64},
        {"torch.int64", CAIRN_DTYPE_I64},   {"torch.int32", CAIRN_DTYPE_I32},
        {"torch.int16", CAIRN_DTYPE_I16},   {"torch.int8", CAIRN_DTYPE_I8},
        {"torch.uint8", CAIRN_DTYPE_U8},    {"torch.bool", CAIRN_DTYPE_BOOL},
    };
    for (size_t i = 0; torch != NULL && i < sizeof k_dtypes / sizeof k_dtypes[0]; i++) {
        if (strcmp(torch, k_dtypes[i].name) == 0)
            return k_dtypes[i].dtype;
    }
    return (cairn_dtype)0;
}

/* ---- Tensors ---- */

static cairn_status take_tensor(struct leaf *leaf, const crn_mdl_tensor *tensor, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_mdl *const mdl = leaf->mdl;
    CRN_TRY_PLAIN(crn_grow(&mdl->tensors, &mdl->tensor_capacity, mdl->tensor_count + 1,
                           sizeof *mdl->tensors, err));
    leaf->item.tensor = mdl->tensor_count;
    leaf->item.record.kind = CRN_ARCHIVE_TENSOR;
    leaf->item.record.rank = tensor->rank;
    leaf->item.record.bits = tensor->dtype;
    mdl->tensors[mdl->tensor_count++] = *tensor;
out:
    return rc;
}

/* Whether @shape, a list of numbers, is that of @tensor. */
static bool is_shape(const json_t *shape, const crn_mdl_tensor *tensor)
{
    if (json_array_size(shape) != tensor->rank)
        return false;
    for (uint32_t i = 0; i < tensor->rank; i++) {
        const json_t *const axis = json_array_get(shape, i);
        if (!json_is_integer(axis) || json_integer_value(axis) < 0 ||
            (uint64_t)json_integer_value(axis) != tensor->shape[i])
            return false;
    }
    return true;
}

static cairn_status read_dataset(struct leaf *leaf, bool *out_is_there, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_mdl_tensor tensor = {0};
    const json_t *const dtypes = json_object_get(leaf->metadata, "dtypes");
    const json_t *const shapes = json_object_get(leaf->metadata, "shapes");
    const char *torch = json_string_value(json_array_get(dtypes, 0));
    if (torch == NULL && json_is_true(json_object_get(leaf->metadata, "is_bfloat16")))
        torch = "torch.bfloat16";
    if (!json_is_true(json_object_get(leaf->metadata, "__NUMPY__")))
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "holds '%s' not as an array", leaf->shown);
    CRN_TRY_PLAIN(crn_mdl_look(leaf->mdl, leaf->key, torch, &tensor, err));
    if (shapes != NULL && !is_shape(json_array_get(shapes, 0), &tensor))
        CRN_FAIL(err, CAIRN_ECORRUPT, "is damaged: '%s' has not the shape that its metadata say",
                 leaf->shown);
    CRN_TRY_PLAIN(take_tensor(leaf, &tensor, err));
    tensor.key = NULL;
    *out_is_there = true;
out:
    crn_free(tensor.key);
    return rc;
}

/* Every element is one number, and no data set is there. */
static cairn_status read_full(struct leaf *leaf, bool *out_is_there, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const json_t *const shape = json_object_get(leaf->metadata, "shape");
    const json_t *const value = json_object_get(leaf->metadata, "fill_value");
    crn_mdl_tensor tensor = {
        .dtype = crn_mdl_dtype(json_string_value(json_object_get(leaf->metadata, "dtype"))),
        .rank = (uint32_t)json_array_size(shape)};
    const double number = json_number_value(value);
    const float rounded = (float)number;
    const bool is_whole = number == 0.0; /* of any type */
    if (json_array_size(shape) > CRN_MDL_RANK_MAX || tensor.dtype == 0 || !json_is_number(value) ||
        (tensor.dtype != CAIRN_DTYPE_F32 && !is_whole))
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "fills '%s' with a value that is not read", leaf->shown);
    if (tensor.dtype == CAIRN_DTYPE_F32)
        memcpy(tensor.fill, &rounded, sizeof rounded);
    tensor.bytes = cairn_dtype_bits(tensor.dtype) / 8;
    for (uint32_t i = 0; i < tensor.rank; i++) {
        const json_int_t axis = json_integer_value(json_array_get(shape, i));
        tensor.shape[i] = axis > 0 ? (uint64_t)axis : 0;
        if (!crn_mul_u64(tensor.bytes, tensor.shape[i], &tensor.bytes))
            CRN_FAIL(err, CAIRN_ECORRUPT, "is damaged: '%s' is too large", leaf->shown);
    }
    CRN_TRY_PLAIN(take_tensor(leaf, &tensor, err));
    *out_is_there = true;
out:
    return rc;
}

/* ---- Values ---- */

static cairn_status read_scalar(struct leaf *leaf, bool *out_is_there, cairn_error *err)
{
    crn_archive_record *const record = &leaf->item.record;
    const json_t *const value = json_object_get(leaf->metadata, "scalar_value");
    (void)err;
    *out_is_there = true;
    if (json_is_boolean(value)) {
        record->kind = CRN_ARCHIVE_BOOL;
        record->bits = json_is_true(value);
    } else if (json_is_integer(value)) {
        record->kind = CRN_ARCHIVE_INTEGER;
        record->bits = (uint64_t)json_integer_value(value);
    } else if (json_is_real(value)) {
        const double number = json_real_value(value);
        record->kind = CRN_ARCHIVE_NUMBER;
        memcpy(&record->bits, &number, sizeof number);
    } else {
        *out_is_there = false; /* NaN or an infinity, which JSON lacks: see crn_mdl_read_json */
    }
    return CAIRN_OK;
}

static cairn_status read_string(struct leaf *leaf, bool *out_is_there, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const text = json_string_value(json_object_get(leaf->metadata, "string_value"));
    if (text == NULL || strlen(text) > CRN_ARCHIVE_TABLE_MAX)
        CRN_FAIL(err, CAIRN_ECORRUPT, "is damaged: '%s' is no text", leaf->shown);
    leaf->item.text = crn_strdup(text);
    CRN_NEED(err, leaf->item.text, "a text");
    leaf->item.record.kind = CRN_ARCHIVE_TEXT;
    leaf->item.record.text_bytes = (uint32_t)strlen(text);
    *out_is_there = true;
out:
    return rc;
}

static cairn_status read_none(struct leaf *leaf, bool *out_is_there, cairn_error *err)
{
    (void)err;
    leaf->item.record.kind = CRN_ARCHIVE_NONE;
    *out_is_there = true;
    return CAIRN_OK;
}

/* A pickled object: nobody but Python can read it, and it may do anything. */
static cairn_status leave_out(struct leaf *leaf, bool *out_is_there, cairn_error *err)
{
    (void)leaf;
    (void)err;
    *out_is_there = false;
    return CAIRN_OK;
}

/* A tensor of another file, which is not opened. */
static cairn_status refuse_elsewhere(struct leaf *leaf, bool *out_is_there, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    *out_is_there = false;
    CRN_FAIL(err, CAIRN_ECORRUPT, "reaches for other files: '%s' is in one of them", leaf->shown);
out:
    return rc;
}

/* One object of Python under a second key; the first one comes before. */
static cairn_status read_link(struct leaf *leaf, bool *out_is_there, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_mdl *const mdl = leaf->mdl;
    const char *const target = json_string_value(json_object_get(leaf->metadata, "key"));
    const json_t *const number = target != NULL ? json_object_get(mdl->item_of, target) : NULL;
    if (number == NULL)
        CRN_FAIL(err, CAIRN_ECORRUPT, "is damaged: '%s' is tied to what is not there", leaf->shown);
    *out_is_there = json_is_integer(number); /* null: that was left out */
    if (*out_is_there) {
        const crn_mdl_item *const item = &mdl->items[json_integer_value(number)];
        leaf->item = *item;
        leaf->item.text = NULL;
        if (item->text != NULL) {
            leaf->item.text = crn_strdup(item->text);
            CRN_NEED(err, leaf->item.text, "a text");
        }
    }
out:
    return rc;
}

/* ---- Any ---- */

static read_fn reader_of(const char *type)
{
    static const struct {
        const char *type;
        read_fn read;
    } k_readers[] = {
        {"TorchTensorSerializer", read_dataset}, {"NumpyArraySerializer", read_dataset},
        {"DeferredFullTensor", read_full},       {"ScalarSerializer", read_scalar},
        {"StringSerializer", read_string},       {"NoneSerializer", read_none},
        {"ObjectSerializer", leave_out},         {"LinkedObject", read_link},
        {"DeferredObject", refuse_elsewhere},
    };
    for (size_t i = 0; i < sizeof k_readers / sizeof k_readers[0]; i++) {
        if (strcmp(type, k_readers[i].type) == 0)
            return k_readers[i].read;
    }
    return NULL;
}

/* Writes the item into the table under its key. */
static cairn_status write_record(struct leaf *leaf, cairn_error *err)
{
    static const char k_zeros[8] = "";
    cairn_status rc = CAIRN_OK;
    crn_mdl *const mdl = leaf->mdl;
    crn_str *const out = &mdl->table;
    const crn_archive_record *const record = &leaf->item.record;
    crn_str_append_bytes(out, record, sizeof *record);
    if (record->kind == CRN_ARCHIVE_TENSOR) {
        crn_str_append_bytes(out, mdl->tensors[leaf->item.tensor].shape,
                             (size_t)record->rank * sizeof(uint64_t));
        CRN_TRY_PLAIN(crn_grow(&mdl->listed, &mdl->listed_capacity, mdl->listed_count + 1,
                               sizeof *mdl->listed, err));
        mdl->listed[mdl->listed_count++] = leaf->item.tensor;
    }
    crn_str_append_bytes(out, leaf->key, (size_t)record->name_bytes + 1);
    if (record->kind == CRN_ARCHIVE_TEXT)
        crn_str_append_bytes(out, leaf->item.text, (size_t)record->text_bytes + 1);
    crn_str_append_bytes(out, k_zeros, (8 - out->length % 8) % 8);
    CRN_TRY_PLAIN(crn_str_check(out, err));
    if (mdl->item_count >= CRN_ARCHIVE_ENTRIES_MAX || out->length > CRN_ARCHIVE_TABLE_MAX)
        CRN_FAIL(err, CAIRN_ECORRUPT, "holds too many tensors and values");
out:
    return rc;
}

static cairn_status keep(struct leaf *leaf, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_mdl *const mdl = leaf->mdl;
    leaf->item.record.name_bytes = (uint32_t)strlen(leaf->key);
    CRN_TRY_PLAIN(write_record(leaf, err));
    CRN_TRY_PLAIN(
        crn_grow(&mdl->items, &mdl->item_capacity, mdl->item_count + 1, sizeof *mdl->items, err));
    if (json_object_set_new(mdl->item_of, leaf->key, json_integer((json_int_t)mdl->item_count)) !=
        0)
        CRN_FAIL(err, CAIRN_ENOMEM, "no memory for a key");
    mdl->items[mdl->item_count++] = leaf->item;
    leaf->item.text = NULL;
out:
    return rc;
}

cairn_status crn_mdl_add(crn_mdl *mdl, const char *key, const json_t *metadata, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    bool is_there = false;
    char type_shown[100];
    struct leaf leaf = {.mdl = mdl, .key = key, .metadata = metadata};
    const char *const type = json_string_value(json_object_get(metadata, "__TYPE__"));
    (void)crn_escape(key, strlen(key), leaf.shown, sizeof leaf.shown);
    if (type == NULL)
        CRN_FAIL(err, CAIRN_ECORRUPT, "is damaged: nothing says what '%s' is", leaf.shown);
    const read_fn read = reader_of(type);
    if (read == NULL)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "holds '%s' as %s, which is not read", leaf.shown,
                 crn_escape(type, strlen(type), type_shown, sizeof type_shown));
    if (json_object_get(mdl->item_of, key) != NULL)
        CRN_FAIL(err, CAIRN_ECORRUPT, "is damaged: it holds '%s' twice", leaf.shown);
    CRN_TRY_PLAIN(read(&leaf, &is_there, err));
    if (is_there)
        CRN_TRY_PLAIN(keep(&leaf, err));
    else if (json_object_set_new(mdl->item_of, key, json_null()) != 0)
        CRN_FAIL(err, CAIRN_ENOMEM, "no memory for a key");
out:
    crn_free(leaf.item.text);
    return rc;
}
