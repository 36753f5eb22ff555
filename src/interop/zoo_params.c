/* The parameters that ModelZooParamsMetadata keeps, of which the section of the model is read. */
#include <ctype.h>
#include <jansson.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "interop/zoo_priv.h"

#define METADATA "__metadata__."
#define SECTION  ".init.model."

/* Bytes of a value's name up to the model's section; 0: it is not of it. */
static size_t section_length(const char *name)
{
    const char *const found = crn_starts_with(name, METADATA) ? strstr(name, SECTION) : NULL;
    return found != NULL ? (size_t)(found - name) + strlen(SECTION) : 0;
}

static json_t *value_to_json(const crn_archive_value *value)
{
    switch (value->kind) {
    case CRN_ARCHIVE_BOOL:
        return json_boolean(value->integer != 0);
    case CRN_ARCHIVE_INTEGER:
        return json_integer(value->integer);
    case CRN_ARCHIVE_NUMBER:
        return json_real(value->number);
    case CRN_ARCHIVE_TEXT:
        return json_stringn(value->text, value->text_length);
    case CRN_ARCHIVE_NONE:
        break;
    }
    return json_null();
}

/* Puts @value at @path below @section: "a.b" is b of the object a. Takes @value. */
static bool put(json_t *section, const char *path, json_t *value)
{
    char word[CAIRN_NAME_MAX + 1];
    for (const char *dot = strchr(path, '.'); dot != NULL; dot = strchr(path, '.')) {
        const size_t length = (size_t)(dot - path);
        memcpy(word, path, length); /* A name has at most CAIRN_NAME_MAX bytes. */
        word[length] = '\0';
        json_t *inner = json_object_get(section, word);
        if (inner == NULL) {
            inner = json_object();
            if (json_object_set_new(section, word, inner) != 0)
                inner = NULL;
        }
        if (!json_is_object(inner)) {
            json_decref(value);
            return false;
        }
        section = inner;
        path = dot + 1;
    }
    return json_object_set_new(section, path, value) == 0;
}

/* Objects whose keys count from 0 were lists. Names are short, so nesting is shallow. */
static json_t *with_lists(const json_t *value)
{
    char number[24];
    const char *key = NULL;
    json_t *item = NULL;
    if (!json_is_object(value))
        return json_deep_copy(value);
    json_t *const list = json_array();
    json_t *const object = json_object();
    const union {
        const json_t *in;
        json_t *out;
    } source = {.in = value}; /* Iteration wants it so. */
    json_object_foreach(source.out, key, item)
    {
        json_t *const copy = with_lists(item);
        (void)snprintf(number, sizeof number, "%zu", json_array_size(list));
        if (strcmp(key, number) == 0)
            (void)json_array_append(list, copy);
        (void)json_object_set_new(object, key, copy);
    }
    const bool is_list =
        json_array_size(list) > 0 && json_array_size(list) == json_object_size(object);
    json_decref(is_list ? object : list);
    return is_list ? list : object;
}

static int append(const char *bytes, size_t size, void *text)
{
    crn_str *const out = text;
    crn_str_append_bytes(out, bytes, size);
    return out->is_failed ? -1 : 0;
}

cairn_status crn_zoo_add_params(crn_zoo *zoo, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t count = 0;
    const crn_archive_value *const values = crn_archive_values(zoo->archive, &count);
    const char *base = NULL;
    size_t base_length = 0;
    json_t *section = NULL;
    json_t *root = NULL;
    for (size_t i = 0; i < count; i++) { /* Of several entries the last is the newest. */
        const size_t length = section_length(values[i].name);
        base = length > 0 ? values[i].name : base;
        base_length = length > 0 ? length : base_length;
    }
    if (base == NULL)
        return CAIRN_OK;
    section = json_object();
    CRN_NEED(err, section, "parameters");
    for (size_t i = 0; i < count; i++) {
        const char *const name = values[i].name;
        if (strncmp(name, base, base_length) == 0 &&
            !put(section, name + base_length, value_to_json(&values[i])))
            CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' is damaged: its parameters are no tree", zoo->path);
    }
    root = json_pack("{s:{s:{s:o}}}", "trainer", "init", "model", with_lists(section));
    if (json_dump_callback(root, append, &zoo->params, JSON_COMPACT) != 0)
        CRN_FAIL(err, CAIRN_ENOMEM, "no memory for parameters");
out:
    json_decref(root);
    json_decref(section);
    return rc;
}
