#include "interop/hf_index.h"

#include <jansson.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"

enum { SHARD_NAME_MAX = 255 };

bool crn_hf_is_shard_name(const char *name, size_t length, const char *end)
{
    const size_t end_length = strlen(end);
    if (length <= end_length || length > SHARD_NAME_MAX || name[0] == '.' ||
        memcmp(name + length - end_length, end, end_length) != 0)
        return false;
    for (size_t i = 0; i < length; i++) {
        const char c = name[i];
        const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!is_letter && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-')
            return false;
    }
    return true;
}

static cairn_status find_file(crn_hf_index *index, const char *file, const char *name, size_t *out,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_name_list *const files = &index->files;
    /* Tensors of one file stand together, mostly. */
    for (size_t i = files->count; i > 0; i--) {
        if (strcmp(files->items[i - 1], name) == 0) {
            *out = i - 1;
            return CAIRN_OK;
        }
    }
    if (files->count == CRN_HF_SHARDS_MAX)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "'%s' names more than %d files", file,
                 (int)CRN_HF_SHARDS_MAX);
    CRN_TRY_PLAIN(crn_name_list_add(files, name, err));
    *out = files->count - 1;
out:
    return rc;
}

static cairn_status add_place(crn_hf_index *index, const char *file, const char *end,
                              const char *tensor, const json_t *value, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char shown[200];
    char shown_name[200];
    const char *const name = json_is_string(value) ? json_string_value(value) : "";
    const size_t length = json_is_string(value) ? json_string_length(value) : 0;
    size_t number = 0;
    (void)crn_escape(tensor, strlen(tensor), shown, sizeof shown);
    if (!crn_hf_is_shard_name(name, length, end))
        CRN_FAIL(err, CAIRN_ECORRUPT,
                 "'%s' puts '%s' in '%s': the file must be a name of letters, digits, '.', '_' and "
                 "'-' that ends in %s",
                 file, shown, crn_escape(name, length, shown_name, sizeof shown_name), end);
    CRN_TRY_PLAIN(find_file(index, file, name, &number, err));
    CRN_TRY_PLAIN(crn_grow(&index->places, &index->place_capacity, index->place_count + 1,
                           sizeof *index->places, err));
    index->places[index->place_count++] = (crn_hf_place){.tensor = tensor, .file = number};
out:
    return rc;
}

cairn_status crn_hf_index_read(const char *json, size_t size, const char *file, const char *end,
                               crn_hf_index *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    json_error_t problem;
    *out = (crn_hf_index){0};
    out->json = json_loadb(json, size, JSON_REJECT_DUPLICATES, &problem);
    if (out->json == NULL)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' is no JSON object: line %d: %s", file, problem.line,
                 problem.text);
    json_t *const map = json_object_get(out->json, "weight_map");
    if (!json_is_object(map))
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' has no object \"weight_map\"", file);
    if (json_object_size(map) == 0)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' names no tensor", file);
    for (void *at = json_object_iter(map); at != NULL; at = json_object_iter_next(map, at))
        CRN_TRY_PLAIN(
            add_place(out, file, end, json_object_iter_key(at), json_object_iter_value(at), err));
out:
    return rc;
}

void crn_hf_index_dispose(crn_hf_index *index)
{
    crn_name_list_dispose(&index->files);
    crn_free(index->places);
    json_decref(index->json);
    *index = (crn_hf_index){0};
}
