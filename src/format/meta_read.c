/* The metadata at the beginning of a header, and the JSON texts that are its values. */
#include <string.h>

#include "base/mem.h"
#include "format/json.h"
#include "format/utf8.h"

/* Unescapes the string at hand to @buf; false if it is not UTF-8. */
static bool take_text(const crn_json *json, char *buf)
{
    if (crn_utf8_check(json->raw, json->raw_size) != json->raw_size)
        return false;
    crn_json_unescape(json, buf);
    return true;
}

bool crn_header_peek(const uint8_t *json, size_t size, crn_meta_fn fn, void *user)
{
    crn_json reader;
    crn_json_init(&reader, json, size);
    if (crn_json_next(&reader) != CRN_JSON_OBJECT_BEGIN || crn_json_next(&reader) != CRN_JSON_KEY ||
        !crn_json_is(&reader, "__metadata__") || crn_json_next(&reader) != CRN_JSON_OBJECT_BEGIN)
        return false;
    /* A key and its value together are never longer than the text that holds them. */
    char *const buf = crn_calloc(size, 1);
    if (buf == NULL)
        return false;
    bool goes_on = true;
    while (goes_on && crn_json_next(&reader) == CRN_JSON_KEY) {
        crn_meta_entry entry = {.key = buf, .key_length = reader.length};
        char *const value = buf + reader.length + 1;
        goes_on = take_text(&reader, buf) && crn_json_next(&reader) == CRN_JSON_STRING &&
                  take_text(&reader, value);
        entry.value = value;
        entry.value_length = reader.length;
        goes_on = goes_on && fn(user, &entry);
    }
    crn_free(buf);
    return true;
}

/* Unescapes the string at hand to *at, which it moves behind the NUL; NULL if it has a NUL inside
 * or is not UTF-8. */
static const char *take_pair_text(const crn_json *json, char **at)
{
    char *const text = *at;
    if (!take_text(json, text) || strlen(text) != json->length)
        return NULL;
    *at += json->length + 1;
    return text;
}

/* Walks the inner object of @outer, whose "{" is at hand. */
static crn_format_code walk_inner(crn_json *json, const char *outer, char *buf, crn_pair_fn fn,
                                  void *user)
{
    crn_format_code code = fn(user, outer, NULL, NULL);
    while (code == CRN_FORMAT_OK && crn_json_next(json) == CRN_JSON_KEY) {
        char *at = buf;
        const char *const key = take_pair_text(json, &at);
        const char *const value = key != NULL && crn_json_next(json) == CRN_JSON_STRING
                                      ? take_pair_text(json, &at)
                                      : NULL;
        code = value != NULL ? fn(user, outer, key, value) : CRN_FORMAT_JSON;
    }
    if (code == CRN_FORMAT_OK && json->token != CRN_JSON_OBJECT_END)
        code = CRN_FORMAT_JSON;
    return code;
}

static crn_format_code walk_outer(crn_json *json, char *buf, crn_pair_fn fn, void *user)
{
    crn_format_code code = CRN_FORMAT_OK;
    if (crn_json_next(json) != CRN_JSON_OBJECT_BEGIN)
        return CRN_FORMAT_JSON;
    while (code == CRN_FORMAT_OK && crn_json_next(json) == CRN_JSON_KEY) {
        char *at = buf;
        const char *const key = take_pair_text(json, &at);
        if (key == NULL)
            return CRN_FORMAT_JSON;
        const crn_json_token token = crn_json_next(json);
        if (token == CRN_JSON_OBJECT_BEGIN) {
            code = walk_inner(json, key, at, fn, user);
            continue;
        }
        const char *const value = token == CRN_JSON_STRING ? take_pair_text(json, &at) : NULL;
        code = value != NULL ? fn(user, "", key, value) : CRN_FORMAT_JSON;
    }
    if (code == CRN_FORMAT_OK && crn_json_next(json) != CRN_JSON_END)
        code = CRN_FORMAT_JSON;
    return code;
}

crn_format_code crn_pairs_parse(const char *json, size_t size, crn_pair_fn fn, void *user)
{
    crn_json reader;
    /* Outer name, key and value, each in quotes in the text, are never longer than the text. */
    char *const buf = crn_calloc(size, 1);
    if (buf == NULL)
        return CRN_FORMAT_NO_MEMORY;
    crn_json_init(&reader, (const uint8_t *)json, size);
    const crn_format_code code = walk_outer(&reader, buf, fn, user);
    crn_free(buf);
    return code;
}
