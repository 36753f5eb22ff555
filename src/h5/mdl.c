#include "h5/mdl.h"

#include <hdf5.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/mem.h"
#include "base/try.h"
#include "h5/dataset.h"
#include "h5/mdl_priv.h"

#define METADATA ".__metadata__"

enum { DEPTH_MAX = 64 };

static const double k_version_first = 0.5; /* of this layout */
static const double k_version_next = 0.6;

/* ---- Attributes ---- */

/* JSON as Python writes it has NaN, Infinity and -Infinity outside of texts: empty lists stand for
 * them afterwards, since nothing that is read here may be one of them. */
static void blank_odd_numbers(char *json)
{
    static const char *const k_words[] = {"NaN", "-Infinity", "Infinity"};
    bool is_text = false;
    for (char *at = json; *at != '\0'; at++) {
        if (is_text && *at == '\\' && at[1] != '\0') {
            at++;
            continue;
        }
        is_text = is_text != (*at == '"');
        for (size_t i = 0; !is_text && i < sizeof k_words / sizeof k_words[0]; i++) {
            if (crn_starts_with(at, k_words[i])) {
                memset(at, ' ', strlen(k_words[i]));
                memcpy(at, "[]", 2);
            }
        }
    }
}

/* The text of an attribute, to be freed by H5free_memory; NULL: it is no text, or not there. */
static char *read_text(hid_t object, const char *name)
{
    char *text = NULL;
    if (H5Aexists(object, name) <= 0)
        return NULL;
    const hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    const hid_t type = attribute >= 0 ? H5Aget_type(attribute) : -1;
    const hid_t space = attribute >= 0 ? H5Aget_space(attribute) : -1;
    if (type >= 0 && space >= 0 && H5Tget_class(type) == H5T_STRING &&
        H5Tis_variable_str(type) > 0 && H5Sget_simple_extent_npoints(space) == 1 &&
        H5Aread(attribute, type, &text) < 0)
        text = NULL;
    if (space >= 0)
        (void)H5Sclose(space);
    if (type >= 0)
        (void)H5Tclose(type);
    if (attribute >= 0)
        (void)H5Aclose(attribute);
    return text;
}

cairn_status crn_mdl_read_json(hid_t object, const char *name, json_t **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char shown[200];
    json_error_t why;
    char *const text = read_text(object, name);
    (void)crn_escape(name, strlen(name), shown, sizeof shown);
    if (text == NULL)
        CRN_FAIL(err, CAIRN_ECORRUPT,
                 "is damaged, or no checkpoint of the Model Zoo: it has no '%s'", shown);
    blank_odd_numbers(text);
    *out = json_loads(text, JSON_REJECT_DUPLICATES, &why);
    if (*out == NULL) /* An integer beyond 64 bits, perhaps. */
        *out = json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &why);
    if (*out == NULL)
        CRN_FAIL(err, CAIRN_ECORRUPT, "is damaged: '%s' is no JSON", shown);
out:
    if (text != NULL)
        (void)H5free_memory(text);
    return rc;
}

/* A scalar attribute of a number or a truth value. */
static bool read_number(hid_t object, const char *name, hid_t memory_type, void *out)
{
    bool is_read = false;
    if (H5Aexists(object, name) <= 0)
        return false;
    const hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    const hid_t space = attribute >= 0 ? H5Aget_space(attribute) : -1;
    const hid_t type = attribute >= 0 ? H5Aget_type(attribute) : -1;
    if (space >= 0 && type >= 0 && H5Sget_simple_extent_npoints(space) == 1 &&
        H5Tget_size(type) <= sizeof(double))
        is_read = H5Aread(attribute, memory_type, out) >= 0;
    if (type >= 0)
        (void)H5Tclose(type);
    if (space >= 0)
        (void)H5Sclose(space);
    if (attribute >= 0)
        (void)H5Aclose(attribute);
    return is_read;
}

/* True and false are an enumeration of one byte. */
static bool has_success(hid_t file)
{
    bool is_true = false;
    if (H5Aexists(file, "__SUCCESS__") <= 0)
        return false;
    const hid_t attribute = H5Aopen(file, "__SUCCESS__", H5P_DEFAULT);
    const hid_t type = attribute >= 0 ? H5Aget_type(attribute) : -1;
    const hid_t space = attribute >= 0 ? H5Aget_space(attribute) : -1;
    uint8_t value = 0;
    if (type >= 0 && space >= 0 && H5Tget_size(type) == sizeof value &&
        H5Sget_simple_extent_npoints(space) == 1 && H5Aread(attribute, type, &value) >= 0)
        is_true = value == 1;
    if (space >= 0)
        (void)H5Sclose(space);
    if (type >= 0)
        (void)H5Tclose(type);
    if (attribute >= 0)
        (void)H5Aclose(attribute);
    return is_true;
}

static cairn_status check_version(hid_t file, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    double version = 0.0;
    if (!read_number(file, "__version__", H5T_NATIVE_DOUBLE, &version))
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "is no checkpoint of the Model Zoo: it has no version");
    if (!(version >= k_version_first))
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "is of format %g, whose parts are pickled; load and save it once with the Model "
                 "Zoo (release 2.5 or newer)",
                 version);
    if (version >= k_version_next)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "is of format %g, which is newer than 0.5", version);
    if (!has_success(file))
        CRN_FAIL(err, CAIRN_ECORRUPT, "is damaged: it was not written to its end");
out:
    return rc;
}

/* ---- The tree of keys ---- */

static cairn_status add_leaf(crn_mdl *mdl, crn_str *key, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    json_t *metadata = NULL;
    const size_t length = key->length;
    crn_str_append(key, METADATA);
    CRN_TRY_PLAIN(crn_str_check(key, err));
    if (length == 0 || length > CAIRN_NAME_MAX)
        CRN_FAIL(err, CAIRN_ECORRUPT, "is damaged: a key is empty or too long");
    CRN_TRY_PLAIN(crn_mdl_read_json(mdl->file, key->text, &metadata, err));
    const json_t *const own = json_object_get(metadata, key->text);
    key->length = length;
    key->text[length] = '\0';
    CRN_TRY_PLAIN(crn_mdl_add(mdl, key->text, own, err));
out:
    json_decref(metadata);
    return rc;
}

static void append_word(crn_str *key, const json_t *words, size_t i)
{
    const json_t *const word = json_array_get(words, i);
    if (key->length > 0)
        crn_str_append(key, ".");
    if (json_is_string(word))
        crn_str_append(key, json_string_value(word));
    else if (json_is_integer(word))
        crn_str_printf(key, "%" JSON_INTEGER_FORMAT, json_integer_value(word));
    else
        crn_str_printf(key, "%zu", i);
}

/* A node of PyTorch's TreeSpec (torch/utils/_pytree.py): a dict says its keys in "context", as JSON
 * again; what has none (a list, a tuple, a set) counts. */
static cairn_status walk(crn_mdl *mdl, const json_t *node, unsigned depth, crn_str *key,
                         cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    json_t *words = NULL;
    const json_t *const type = json_object_get(node, "type");
    const json_t *const children = json_object_get(node, "children_spec");
    const char *const context = json_string_value(json_object_get(node, "context"));
    const size_t length = key->length;
    if (type == NULL || !json_is_array(children) || depth == 0)
        CRN_FAIL(err, CAIRN_ECORRUPT, "is damaged: its tree of keys is none, or too deep");
    if (json_is_null(type))
        return add_leaf(mdl, key, err);
    if (context != NULL)
        words = json_loads(context, JSON_DECODE_ANY, NULL);
    if (words != NULL && json_array_size(words) != json_array_size(children)) {
        json_decref(words);
        words = NULL;
    }
    for (size_t i = 0; i < json_array_size(children); i++) {
        append_word(key, words, i);
        CRN_TRY_PLAIN(crn_str_check(key, err));
        CRN_TRY_PLAIN(walk(mdl, json_array_get(children, i), depth - 1, key, err));
        key->length = length;
        key->text[length] = '\0';
    }
out:
    json_decref(words);
    return rc;
}

static cairn_status read_tree(crn_mdl *mdl, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    json_t *spec = NULL;
    json_t *tree = NULL;
    crn_str key = {0};
    CRN_TRY_PLAIN(crn_mdl_read_json(mdl->file, "__spec__", &spec, err));
    const char *const text = json_string_value(json_array_get(spec, 1));
    tree = text != NULL ? json_loads(text, 0, NULL) : NULL;
    CRN_TRY_PLAIN(walk(mdl, json_array_get(tree, 1), DEPTH_MAX, &key, err));
out:
    crn_str_dispose(&key);
    json_decref(tree);
    json_decref(spec);
    return rc;
}

cairn_status crn_mdl_open(int fd, crn_mdl **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_mdl *mdl = crn_calloc(1, sizeof *mdl);
    if (mdl == NULL)
        (void)close(fd);
    CRN_NEED(err, mdl, "a reader");
    *mdl = (crn_mdl){.fd = fd, .file = -1, .data = -1, .item_of = json_object()};
    CRN_NEED(err, mdl->item_of, "a reader");
    mdl->file = crn_h5_open_file(&mdl->fd);
    if (mdl->file < 0)
        CRN_FAIL(err, CAIRN_ECORRUPT, "is no HDF5 file, or a damaged one");
    CRN_TRY_PLAIN(check_version(mdl->file, err));
    CRN_TRY_PLAIN(read_tree(mdl, err));
    *out = mdl;
    mdl = NULL;
out:
    crn_mdl_close(mdl);
    return rc;
}

void crn_mdl_close(crn_mdl *mdl)
{
    if (mdl == NULL)
        return;
    if (mdl->data >= 0)
        (void)H5Dclose(mdl->data);
    if (mdl->file >= 0)
        (void)H5Fclose(mdl->file);
    (void)close(mdl->fd);
    for (size_t i = 0; i < mdl->tensor_count; i++)
        crn_free(mdl->tensors[i].key);
    for (size_t i = 0; i < mdl->item_count; i++)
        crn_free(mdl->items[i].text);
    crn_free(mdl->tensors);
    crn_free(mdl->listed);
    crn_free(mdl->items);
    json_decref(mdl->item_of);
    crn_str_dispose(&mdl->table);
    crn_free(mdl);
}

const crn_str *crn_mdl_table(const crn_mdl *mdl)
{
    return &mdl->table;
}
