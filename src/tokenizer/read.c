/*
 * tokenizer.json as Hugging Face's `tokenizers` writes it. All parts that change the ids are read
 * or refused; post_processor, truncation and padding are not for raw text and pass unread.
 */
#include "tokenizer/read.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"

/* ---- Members ---- */

json_t *crn_member(const json_t *object, const char *key)
{
    json_t *const value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

bool crn_flag(const json_t *object, const char *key, bool value_if_absent)
{
    const json_t *const value = crn_member(object, key);
    return value == NULL ? value_if_absent : json_is_true(value);
}

bool crn_has_type(const json_t *object, const char *type)
{
    const char *const text = json_string_value(crn_member(object, "type"));
    return text != NULL && strcmp(text, type) == 0;
}

const char *crn_type_of(const json_t *object)
{
    const char *const text = json_string_value(crn_member(object, "type"));
    return text != NULL ? text : "?";
}

cairn_status crn_read_id(const json_t *value, const char *word, uint32_t *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const json_int_t id = json_is_integer(value) ? json_integer_value(value) : -1;
    char shown[96];
    if (id < 0 || id >= CRN_TOKEN_IDS_MAX)
        CRN_FAIL(err, CAIRN_EDATA, "the id of token '%s' is no number from 0 to %d",
                 crn_escape(word, strlen(word), shown, sizeof shown), CRN_TOKEN_IDS_MAX - 1);
    *out = (uint32_t)id;
out:
    return rc;
}

/* ---- Added tokens ---- */

static cairn_status check_added(const crn_reader *r, const json_t *item, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    static const char *const k_lacking[] = {"single_word", "lstrip", "rstrip"};
    const json_t *const content = crn_member(item, "content");
    const json_t *const id = crn_member(item, "id");
    const json_t *const in_vocab =
        json_is_string(content) ? json_object_get(r->vocab, json_string_value(content)) : NULL;
    char shown[96];
    if (!json_is_string(content) || json_string_length(content) == 0 ||
        json_string_length(content) > CRN_ADDED_BYTES_MAX)
        CRN_FAIL(err, CAIRN_EDATA, "an added token has no content of 1 to %d bytes",
                 CRN_ADDED_BYTES_MAX);
    (void)crn_escape(json_string_value(content), json_string_length(content), shown, sizeof shown);
    for (size_t i = 0; i < sizeof k_lacking / sizeof k_lacking[0]; i++) {
        if (crn_flag(item, k_lacking[i], false))
            CRN_FAIL(err, CAIRN_EUNSUPPORTED, "the added token '%s' is %s; this version lacks it",
                     shown, k_lacking[i]);
    }
    const char *const word = r->words[json_integer_value(id)];
    if ((in_vocab != NULL && json_integer_value(in_vocab) != json_integer_value(id)) ||
        (word != NULL && strcmp(word, json_string_value(content)) != 0))
        CRN_FAIL(err, CAIRN_EDATA, "the added token '%s' contradicts the vocabulary", shown);
out:
    return rc;
}

/* Found in the normalized text, not in the raw one. */
static bool is_late(const json_t *item)
{
    return crn_flag(item, "normalized", !crn_flag(item, "special", false));
}

static cairn_status set_sought(const crn_reader *r, crn_added *added, bool is_normalized,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_normalizer *const normalizer = r->tokenizer->normalizer;
    crn_normalizing state = {0};
    if (is_normalized && normalizer != NULL)
        CRN_TRY_PLAIN(crn_normalize(normalizer, &state, r->search, added->text, added->length, true,
                                    &added->sought, err));
    else
        crn_str_append_bytes(&added->sought, added->text, added->length);
    crn_str_append(&added->sought, ""); /* A normalizer may have left nothing. */
    rc = crn_str_check(&added->sought, err);
out:
    crn_normalizing_dispose(&state);
    return rc;
}

static cairn_status add_added(crn_reader *r, const json_t *item, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_tokenizer *const tokenizer = r->tokenizer;
    CRN_TRY_PLAIN(check_added(r, item, err));
    CRN_TRY_PLAIN(crn_grow(&tokenizer->added, &tokenizer->added_capacity,
                           tokenizer->added_count + 1, sizeof *tokenizer->added, err));
    crn_added *const added = &tokenizer->added[tokenizer->added_count];
    *added = (crn_added){.text = crn_strdup(json_string_value(crn_member(item, "content"))),
                         .length = json_string_length(crn_member(item, "content")),
                         .id = (uint32_t)json_integer_value(crn_member(item, "id")),
                         .is_special = crn_flag(item, "special", false)};
    CRN_NEED(err, added->text, "an added token");
    tokenizer->added_count++;
    CRN_TRY_PLAIN(set_sought(r, added, is_late(item), err));
    CRN_TRY_PLAIN(
        crn_read_decoded(r, added->sought.text, added->sought.length, &added->shown, err));
    r->words[added->id] = json_string_value(crn_member(item, "content"));
    tokenizer->tokens[added->id] =
        (crn_token){.bytes = added->shown.text, .size = (uint32_t)added->shown.length};
out:
    return rc;
}

/* Longest first; texts that stand twice stay in order. */
static void insert(const cairn_tokenizer *tokenizer, crn_added_set *set, uint32_t index)
{
    const crn_added *const added = &tokenizer->added[index];
    const size_t length = added->sought.length;
    if (length == 0)
        return; /* The normalizer leaves nothing of it. */
    size_t at = set->count++;
    for (; at > 0 && tokenizer->added[set->members[at - 1]].sought.length < length; at--)
        set->members[at] = set->members[at - 1];
    set->members[at] = index;
    set->begins[(uint8_t)added->sought.text[0]] = true;
    set->length_max = length > set->length_max ? length : set->length_max;
}

static cairn_status read_added(crn_reader *r, const json_t *list, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_tokenizer *const tokenizer = r->tokenizer;
    size_t index = 0;
    const json_t *item = NULL;
    json_array_foreach(list, index, item)
    {
        CRN_TRY_PLAIN(add_added(r, item, err));
    }
    for (int i = 0; i < CRN_ADDED_SETS; i++) {
        tokenizer->sets[i].members =
            crn_calloc(tokenizer->added_count + 1, sizeof *tokenizer->sets[i].members);
        CRN_NEED(err, tokenizer->sets[i].members, "added tokens");
    }
    json_array_foreach(list, index, item)
    {
        insert(tokenizer, &tokenizer->sets[is_late(item) ? 1 : 0], (uint32_t)index);
    }
out:
    return rc;
}

/* ---- All of it ---- */

static cairn_status read_root(crn_reader *r, const json_t *root, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const json_t *const added = crn_member(root, "added_tokens");
    if (json_array_size(added) > CRN_ADDED_MAX)
        CRN_FAIL(err, CAIRN_EDATA, "more than %d added tokens", CRN_ADDED_MAX);
    r->search = crn_search_new();
    CRN_NEED(err, r->search, "a tokenizer");
    CRN_TRY_PLAIN(crn_read_normalizer(r, crn_member(root, "normalizer"), err));
    CRN_TRY_PLAIN(crn_read_division(r, crn_member(root, "pre_tokenizer"), err));
    CRN_TRY_PLAIN(crn_read_decoder(r, crn_member(root, "decoder"), err));
    CRN_TRY_PLAIN(crn_read_model(r, crn_member(root, "model"), added, err));
    CRN_TRY_PLAIN(read_added(r, added, err));
out:
    return rc;
}

static void reader_dispose(crn_reader *r)
{
    for (size_t i = 0; i < r->replacement_count; i++)
        crn_step_dispose(&r->replacements[i]);
    for (int i = 0; i < 2; i++)
        crn_str_dispose(&r->parts[i]);
    crn_search_destroy(r->search);
    crn_free(r->words);
}

cairn_status crn_tokenizer_read_json(cairn_tokenizer *tokenizer, const char *json, size_t size,
                                     const char *path, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_reader r = {.tokenizer = tokenizer};
    json_error_t problem = {.line = 0};
    json_t *const root = json_loadb(json, size, JSON_REJECT_DUPLICATES, &problem);
    if (root == NULL)
        CRN_FAIL(err, CAIRN_EDATA, "'%s' is no JSON: line %d: %s", path, problem.line,
                 problem.text);
    CRN_TRY(err, read_root(&r, root, err), "tokenizer '%s'", path);
out:
    reader_dispose(&r);
    json_decref(root);
    return rc;
}
