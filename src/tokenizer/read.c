/*
 * tokenizer.json as Hugging Face's `tokenizers` writes it. All parts that change the ids are read
 * or refused; post_processor, truncation and padding are not for raw text and pass unread.
 */
#include <jansson.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "tokenizer/tokenizer.h"

/* What is needed only while reading. */
struct reader {
    cairn_tokenizer *tokenizer;
    json_t *vocab;
    const char **words; /* [token_count] of the vocabulary, borrowed from it; NULL: none */
};

/* ---- Members ---- */

static json_t *member(const json_t *object, const char *key)
{
    json_t *const value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

static bool flag(const json_t *object, const char *key, bool value_if_absent)
{
    const json_t *const value = member(object, key);
    return value == NULL ? value_if_absent : json_is_true(value);
}

static bool has_type(const json_t *object, const char *type)
{
    const char *const text = json_string_value(member(object, "type"));
    return text != NULL && strcmp(text, type) == 0;
}

static const char *type_of(const json_t *object)
{
    const char *const text = json_string_value(member(object, "type"));
    return text != NULL ? text : "?";
}

/* ---- Vocabulary ---- */

static cairn_status read_id(const json_t *value, const char *word, uint32_t *out, cairn_error *err)
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

/* How many ids there are, holes included, and how many bytes all words have. */
static cairn_status measure(json_t *vocab, const json_t *added, size_t *out_ids, size_t *out_bytes,
                            cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *word = NULL;
    json_t *value = NULL;
    size_t index = 0;
    uint32_t id = 0;
    *out_ids = 0;
    *out_bytes = 0;
    json_object_foreach(vocab, word, value)
    {
        CRN_TRY_PLAIN(read_id(value, word, &id, err));
        *out_ids = id >= *out_ids ? id + 1 : *out_ids;
        *out_bytes += strlen(word);
    }
    json_array_foreach(added, index, value)
    {
        const char *const content = json_string_value(member(value, "content"));
        CRN_TRY_PLAIN(read_id(member(value, "id"), content != NULL ? content : "?", &id, err));
        *out_ids = id >= *out_ids ? id + 1 : *out_ids;
    }
out:
    return rc;
}

static cairn_status add_word(struct reader *r, const char *word, uint32_t id, char **room,
                             cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_tokenizer *const tokenizer = r->tokenizer;
    crn_token *const token = &tokenizer->tokens[id];
    bool is_mapped = false;
    if (r->words[id] != NULL)
        CRN_FAIL(err, CAIRN_EDATA, "two tokens have the id %u", id);
    r->words[id] = word;
    token->bytes = *room;
    token->size = (uint32_t)crn_vocabulary_unmap(word, strlen(word), *room, &is_mapped);
    *room += token->size;
    if (is_mapped && token->size > 0)
        crn_vocabulary_index(tokenizer, id);
out:
    return rc;
}

static cairn_status read_vocab(struct reader *r, const json_t *added, size_t merges,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_tokenizer *const tokenizer = r->tokenizer;
    const char *word = NULL;
    json_t *value = NULL;
    size_t bytes = 0;
    CRN_TRY_PLAIN(measure(r->vocab, added, &tokenizer->token_count, &bytes, err));
    tokenizer->tokens = crn_calloc(tokenizer->token_count + 1, sizeof *tokenizer->tokens);
    tokenizer->text = crn_calloc(bytes + 1, 1);
    r->words = crn_calloc(tokenizer->token_count + 1, sizeof *r->words);
    CRN_NEED(err, tokenizer->tokens, "a vocabulary");
    CRN_NEED(err, tokenizer->text, "a vocabulary");
    CRN_NEED(err, r->words, "a vocabulary");
    CRN_TRY_PLAIN(crn_vocabulary_reserve(tokenizer, json_object_size(r->vocab), merges, err));
    char *room = tokenizer->text;
    json_object_foreach(r->vocab, word, value)
    {
        CRN_TRY_PLAIN(add_word(r, word, (uint32_t)json_integer_value(value), &room, err));
    }
    for (int byte = 0; byte < 256; byte++) {
        const char text = (char)byte;
        if (!crn_vocabulary_find(tokenizer, &text, 1, &tokenizer->byte_ids[byte]))
            CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                     "the vocabulary has no token for the byte 0x%02x; this version needs "
                     "byte-level BPE with all of them",
                     byte);
    }
out:
    return rc;
}

/* ---- Merges ---- */

static cairn_status find_half(const struct reader *r, const char *text, size_t length,
                              uint32_t *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char shown[96];
    const json_t *const id = json_object_getn(r->vocab, text, length);
    if (id == NULL)
        CRN_FAIL(err, CAIRN_EDATA, "a merge names the token '%s', which the vocabulary lacks",
                 crn_escape(text, length, shown, sizeof shown));
    *out = (uint32_t)json_integer_value(id);
out:
    return rc;
}

static cairn_status add_merge(struct reader *r, const json_t *item, uint32_t rank, crn_str *both,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *left = json_string_value(item);
    const char *const space = left != NULL ? strchr(left, ' ') : NULL;
    const char *right = space != NULL ? space + 1 : NULL;
    size_t left_length = space != NULL ? (size_t)(space - left) : 0;
    crn_merge merge = {.rank = rank};
    uint32_t left_id = 0;
    uint32_t right_id = 0;
    if (json_is_array(item) && json_array_size(item) == 2) {
        left = json_string_value(json_array_get(item, 0));
        right = json_string_value(json_array_get(item, 1));
        left_length = left != NULL ? strlen(left) : 0;
    }
    if (left == NULL || right == NULL || (space != NULL && strchr(right, ' ') != NULL))
        CRN_FAIL(err, CAIRN_EDATA, "merge %u is no pair of texts", rank);
    CRN_TRY(err, find_half(r, left, left_length, &left_id, err), "merge %u", rank);
    CRN_TRY(err, find_half(r, right, strlen(right), &right_id, err), "merge %u", rank);
    both->length = 0;
    crn_str_append_bytes(both, left, left_length);
    crn_str_append(both, right);
    CRN_TRY_PLAIN(crn_str_check(both, err));
    CRN_TRY(err, find_half(r, both->text, both->length, &merge.id, err), "merge %u", rank);
    merge.pair = (uint64_t)left_id << 32 | right_id;
    crn_vocabulary_add_merge(r->tokenizer, merge);
out:
    return rc;
}

static cairn_status read_merges(struct reader *r, const json_t *merges, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str both = {0};
    size_t index = 0;
    const json_t *item = NULL;
    json_array_foreach(merges, index, item)
    {
        CRN_TRY_PLAIN(add_merge(r, item, (uint32_t)index, &both, err));
    }
out:
    crn_str_dispose(&both);
    return rc;
}

/* ---- The model ---- */

static bool is_empty_text(const json_t *value)
{
    return value == NULL || (json_is_string(value) && json_string_length(value) == 0);
}

static cairn_status check_model(const json_t *model, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const json_t *const dropout = member(model, "dropout");
    /* Files of before 2020 name no type. */
    if (!json_is_object(model) || (member(model, "type") != NULL && !has_type(model, "BPE")))
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "the model is %s; this version has byte-level BPE",
                 type_of(model));
    if (dropout != NULL && json_number_value(dropout) != 0.0)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "the model has dropout; this version lacks it");
    if (!is_empty_text(member(model, "continuing_subword_prefix")) ||
        !is_empty_text(member(model, "end_of_word_suffix")))
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "the model marks parts of words; this version lacks it for BPE");
    if (!json_is_object(member(model, "vocab")) || !json_is_array(member(model, "merges")))
        CRN_FAIL(err, CAIRN_EDATA,
                 "the model has no vocab, which is an object, or no merges, "
                 "which are a list");
    if (json_object_size(member(model, "vocab")) > CRN_TOKEN_IDS_MAX ||
        json_array_size(member(model, "merges")) > CRN_TOKEN_IDS_MAX)
        CRN_FAIL(err, CAIRN_EDATA, "the model has more than %d tokens or merges",
                 CRN_TOKEN_IDS_MAX);
out:
    return rc;
}

/* ---- Added tokens ---- */

static cairn_status check_added(const struct reader *r, const json_t *item, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    static const char *const k_lacking[] = {"single_word", "lstrip", "rstrip"};
    const json_t *const content = member(item, "content");
    const json_t *const id = member(item, "id");
    const json_t *const in_vocab =
        json_is_string(content) ? json_object_get(r->vocab, json_string_value(content)) : NULL;
    char shown[96];
    if (!json_is_string(content) || json_string_length(content) == 0 ||
        json_string_length(content) > CRN_ADDED_BYTES_MAX)
        CRN_FAIL(err, CAIRN_EDATA, "an added token has no content of 1 to %d bytes",
                 CRN_ADDED_BYTES_MAX);
    (void)crn_escape(json_string_value(content), json_string_length(content), shown, sizeof shown);
    for (size_t i = 0; i < sizeof k_lacking / sizeof k_lacking[0]; i++) {
        if (flag(item, k_lacking[i], false))
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

static cairn_status add_added(struct reader *r, const json_t *item, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_tokenizer *const tokenizer = r->tokenizer;
    CRN_TRY_PLAIN(check_added(r, item, err));
    CRN_TRY_PLAIN(crn_grow(&tokenizer->added, &tokenizer->added_capacity,
                           tokenizer->added_count + 1, sizeof *tokenizer->added, err));
    crn_added *const added = &tokenizer->added[tokenizer->added_count];
    *added = (crn_added){.text = crn_strdup(json_string_value(member(item, "content"))),
                         .length = json_string_length(member(item, "content")),
                         .id = (uint32_t)json_integer_value(member(item, "id")),
                         .is_special = flag(item, "special", false)};
    CRN_NEED(err, added->text, "an added token");
    tokenizer->added_count++;
    r->words[added->id] = json_string_value(member(item, "content"));
    tokenizer->tokens[added->id] =
        (crn_token){.bytes = added->text, .size = (uint32_t)added->length};
out:
    return rc;
}

/* Longest first; texts that stand twice stay in order. */
static void insert(const cairn_tokenizer *tokenizer, crn_added_set *set, uint32_t index)
{
    const crn_added *const added = &tokenizer->added[index];
    size_t at = set->count++;
    for (; at > 0 && tokenizer->added[set->members[at - 1]].length < added->length; at--)
        set->members[at] = set->members[at - 1];
    set->members[at] = index;
    set->begins[(uint8_t)added->text[0]] = true;
    set->length_max = added->length > set->length_max ? added->length : set->length_max;
}

static cairn_status read_added(struct reader *r, const json_t *list, cairn_error *err)
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
        const bool is_late = flag(item, "normalized", !flag(item, "special", false));
        insert(tokenizer, &tokenizer->sets[is_late ? 1 : 0], (uint32_t)index);
    }
out:
    return rc;
}

/* ---- Dividing ---- */

static cairn_status add_split(cairn_tokenizer *tokenizer, const char *pattern, bool is_literal,
                              bool drops_gaps, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (tokenizer->split_count == CRN_SPLITS_MAX)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "more than %d pre-tokenizers", CRN_SPLITS_MAX);
    CRN_TRY_PLAIN(crn_splitter_new(pattern, is_literal, drops_gaps,
                                   &tokenizer->splits[tokenizer->split_count], err));
    tokenizer->split_count++;
out:
    return rc;
}

static cairn_status read_split(cairn_tokenizer *tokenizer, const json_t *item, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const json_t *const pattern = member(item, "pattern");
    const char *const regex = json_string_value(member(pattern, "Regex"));
    const char *const literal = json_string_value(member(pattern, "String"));
    const char *const behavior = json_string_value(member(item, "behavior"));
    const bool is_isolated = behavior != NULL && strcmp(behavior, "Isolated") == 0;
    const bool is_removed = behavior != NULL && strcmp(behavior, "Removed") == 0;
    if (regex == NULL && literal == NULL)
        CRN_FAIL(err, CAIRN_EDATA, "a Split has no pattern");
    if (!is_isolated && !(is_removed && flag(item, "invert", false)))
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "a Split has the behavior %s; this version has Isolated, and Removed with invert",
                 behavior != NULL ? behavior : "?");
    CRN_TRY_PLAIN(
        add_split(tokenizer, regex != NULL ? regex : literal, regex == NULL, is_removed, err));
out:
    return rc;
}

/* One member of a Sequence; *@is_done: ByteLevel, which is the last, was there. */
static cairn_status read_pre_tokenizer(cairn_tokenizer *tokenizer, const json_t *item,
                                       bool *is_done, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (*is_done)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "a pre-tokenizer stands after ByteLevel");
    if (has_type(item, "Split")) {
        CRN_TRY_PLAIN(read_split(tokenizer, item, err));
    } else if (has_type(item, "Digits")) {
        const bool is_single = flag(item, "individual_digits", false);
        CRN_TRY_PLAIN(add_split(tokenizer, is_single ? "\\p{N}" : "\\p{N}+", false, false, err));
    } else if (has_type(item, "ByteLevel")) {
        *is_done = true;
        tokenizer->has_prefix_space = flag(item, "add_prefix_space", true);
        if (tokenizer->has_prefix_space && tokenizer->split_count > 0)
            CRN_FAIL(err, CAIRN_EUNSUPPORTED, "add_prefix_space after another pre-tokenizer");
        if (flag(item, "use_regex", true))
            CRN_TRY_PLAIN(add_split(tokenizer, CRN_SPLIT_GPT2, false, false, err));
    } else {
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "the pre-tokenizer %s; this version has ByteLevel, Split, Digits and Sequence",
                 type_of(item));
    }
out:
    return rc;
}

static cairn_status read_pre_tokenizers(cairn_tokenizer *tokenizer, const json_t *root,
                                        cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const json_t *const whole = member(root, "pre_tokenizer");
    const json_t *const list = has_type(whole, "Sequence") ? member(whole, "pretokenizers") : NULL;
    bool is_done = false;
    size_t index = 0;
    const json_t *item = NULL;
    json_array_foreach(list, index, item)
    {
        CRN_TRY_PLAIN(read_pre_tokenizer(tokenizer, item, &is_done, err));
    }
    if (list == NULL && whole != NULL)
        CRN_TRY_PLAIN(read_pre_tokenizer(tokenizer, whole, &is_done, err));
    if (!is_done)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "there is no ByteLevel pre-tokenizer; this version has byte-level BPE");
out:
    return rc;
}

/* ---- All of it ---- */

static cairn_status read_root(struct reader *r, const json_t *root, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const json_t *const model = member(root, "model");
    const json_t *const added = member(root, "added_tokens");
    const json_t *const normalizer = member(root, "normalizer");
    const json_t *const list = member(normalizer, "normalizers");
    CRN_TRY_PLAIN(check_model(model, err));
    if (normalizer != NULL &&
        !(has_type(normalizer, "Sequence") && json_is_array(list) && json_array_size(list) == 0))
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "the normalizer %s; this version has none",
                 type_of(normalizer));
    if (json_array_size(added) > CRN_ADDED_MAX)
        CRN_FAIL(err, CAIRN_EDATA, "more than %d added tokens", CRN_ADDED_MAX);
    CRN_TRY_PLAIN(read_pre_tokenizers(r->tokenizer, root, err));
    r->vocab = member(model, "vocab");
    r->tokenizer->takes_whole_pieces = flag(model, "ignore_merges", false);
    const json_t *const merges = member(model, "merges");
    CRN_TRY_PLAIN(read_vocab(r, added, json_array_size(merges), err));
    CRN_TRY_PLAIN(read_merges(r, merges, err));
    CRN_TRY_PLAIN(read_added(r, added, err));
out:
    return rc;
}

cairn_status crn_tokenizer_read_json(cairn_tokenizer *tokenizer, const char *json, size_t size,
                                     const char *path, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct reader r = {.tokenizer = tokenizer};
    json_error_t problem = {.line = 0};
    json_t *const root = json_loadb(json, size, JSON_REJECT_DUPLICATES, &problem);
    if (root == NULL)
        CRN_FAIL(err, CAIRN_EDATA, "'%s' is no JSON: line %d: %s", path, problem.line,
                 problem.text);
    CRN_TRY(err, read_root(&r, root, err), "tokenizer '%s'", path);
out:
    crn_free(r.words);
    json_decref(root);
    return rc;
}
