/* The model of a tokenizer.json: BPE or Unigram, its words, merges and scores. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "tokenizer/read.h"

/* Below the lowest score; the package's constant. */
#define UNKNOWN_PENALTY 10.0

/* ---- Vocabulary ---- */

static cairn_status take_word(crn_reader *r, const char *word, uint32_t id, size_t *bytes,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (r->words[id] != NULL)
        CRN_FAIL(err, CAIRN_EDATA, "two tokens have the id %u", id);
    r->words[id] = word;
    *bytes += strlen(word);
out:
    return rc;
}

/* How many ids there are, holes included. */
static cairn_status count_ids(json_t *vocab, const json_t *added, size_t *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *word = NULL;
    json_t *value = NULL;
    size_t index = 0;
    uint32_t id = 0;
    *out = json_array_size(vocab);
    json_object_foreach(vocab, word, value)
    {
        CRN_TRY_PLAIN(crn_read_id(value, word, &id, err));
        *out = id >= *out ? id + 1 : *out;
    }
    json_array_foreach(added, index, value)
    {
        const char *const content = json_string_value(crn_member(value, "content"));
        CRN_TRY_PLAIN(
            crn_read_id(crn_member(value, "id"), content != NULL ? content : "?", &id, err));
        *out = id >= *out ? id + 1 : *out;
    }
out:
    return rc;
}

/* Unigram: a list of words, each with its score. */
static cairn_status take_scores(crn_reader *r, const json_t *vocab, size_t *bytes, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    double lowest = HUGE_VAL;
    size_t id = 0;
    const json_t *item = NULL;
    r->tokenizer->scores = crn_calloc(r->tokenizer->token_count + 1, sizeof(double));
    CRN_NEED(err, r->tokenizer->scores, "a vocabulary");
    json_array_foreach(vocab, id, item)
    {
        const char *const word = json_string_value(json_array_get(item, 0));
        const json_t *const score = json_array_get(item, 1);
        if (word == NULL || strlen(word) > CRN_WORD_BYTES_MAX || !json_is_number(score))
            CRN_FAIL(err, CAIRN_EDATA, "word %zu is no text of at most %d bytes and a number", id,
                     CRN_WORD_BYTES_MAX);
        CRN_TRY_PLAIN(take_word(r, word, (uint32_t)id, bytes, err));
        r->tokenizer->scores[id] = json_number_value(score);
        lowest = fmin(lowest, r->tokenizer->scores[id]);
    }
    r->tokenizer->unknown_score = lowest - UNKNOWN_PENALTY;
out:
    return rc;
}

static cairn_status take_words(crn_reader *r, json_t *vocab, size_t *bytes, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *word = NULL;
    json_t *value = NULL;
    if (json_is_array(vocab))
        return take_scores(r, vocab, bytes, err);
    json_object_foreach(vocab, word, value)
    {
        CRN_TRY_PLAIN(take_word(r, word, (uint32_t)json_integer_value(value), bytes, err));
    }
out:
    return rc;
}

cairn_status crn_read_decoded(crn_reader *r, const char *word, size_t length, crn_str *out,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str *part = &r->parts[0];
    const int byte = r->decodes_bytes ? crn_vocabulary_byte_of(word, length) : -1;
    part->length = 0;
    if (byte >= 0)
        crn_str_append_bytes(part, &(char){(char)byte}, 1);
    else
        crn_str_append_bytes(part, word, length);
    CRN_TRY_PLAIN(crn_str_check(part, err));
    for (size_t i = 0; i < r->replacement_count && byte < 0; i++) {
        crn_str *const next = &r->parts[(i + 1) % 2];
        next->length = 0;
        CRN_TRY_PLAIN(crn_step_apply(&r->replacements[i], r->search, part, true,
                                     CRN_TOKENIZER_FILE_MAX, next, err));
        part = next;
    }
    crn_str_append_bytes(out, part->text, part->length);
    CRN_TRY_PLAIN(crn_str_check(out, err));
    if (out->length > CRN_TOKENIZER_FILE_MAX)
        CRN_FAIL(err, CAIRN_EDATA, "the decoder makes more than %d MiB of the words",
                 CRN_TOKENIZER_FILE_MAX >> 20);
out:
    return rc;
}

/* The texts of words that are characters. */
static cairn_status decode_words(crn_reader *r, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_tokenizer *const tokenizer = r->tokenizer;
    crn_str text = {0};
    for (size_t id = 0; id < tokenizer->token_count; id++) {
        const size_t before = text.length;
        if (r->words[id] == NULL)
            continue;
        CRN_TRY_PLAIN(crn_read_decoded(r, r->words[id], strlen(r->words[id]), &text, err));
        tokenizer->tokens[id].size = (uint32_t)(text.length - before);
    }
    tokenizer->text = crn_str_take(&text);
    CRN_NEED(err, tokenizer->text, "a vocabulary");
    const char *at = tokenizer->text;
    for (size_t id = 0; id < tokenizer->token_count; id++) {
        if (r->words[id] == NULL)
            continue;
        tokenizer->tokens[id].bytes = at;
        at += tokenizer->tokens[id].size;
    }
out:
    crn_str_dispose(&text);
    return rc;
}

static cairn_status put_word(crn_reader *r, uint32_t id, char **room, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_tokenizer *const tokenizer = r->tokenizer;
    const char *const text = r->words[id];
    const size_t length = strlen(text);
    crn_token *const word = &tokenizer->words[id];
    bool is_found = true;
    word->bytes = *room;
    word->size = (uint32_t)length;
    if (r->is_byte_level) {
        word->size = (uint32_t)crn_vocabulary_unmap(text, length, *room, &is_found);
        tokenizer->tokens[id] = *word;
    } else {
        memcpy(*room, text, length);
    }
    *room += word->size;
    if (!is_found || word->size == 0)
        goto out;
    crn_vocabulary_index(tokenizer, id);
    if (tokenizer->model == CRN_MODEL_UNIGRAM)
        CRN_TRY_PLAIN(crn_trie_add(&tokenizer->words_by_prefix, text, length, id, err));
    if (!r->is_byte_level)
        CRN_TRY_PLAIN(crn_cut_note(tokenizer, text, length, err));
out:
    return rc;
}

static cairn_status read_vocab(crn_reader *r, json_t *vocab, const json_t *added, size_t merges,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_tokenizer *const tokenizer = r->tokenizer;
    size_t bytes = 0;
    CRN_TRY_PLAIN(count_ids(vocab, added, &tokenizer->token_count, err));
    const size_t count = tokenizer->token_count;
    tokenizer->tokens = crn_calloc(count + 1, sizeof *tokenizer->tokens);
    tokenizer->words = crn_calloc(count + 1, sizeof *tokenizer->words);
    r->words = crn_calloc(count + 1, sizeof *r->words);
    CRN_NEED(err, tokenizer->tokens, "a vocabulary");
    CRN_NEED(err, tokenizer->words, "a vocabulary");
    CRN_NEED(err, r->words, "a vocabulary");
    CRN_TRY_PLAIN(take_words(r, vocab, &bytes, err));
    tokenizer->word_text = crn_calloc(bytes + 1, 1);
    CRN_NEED(err, tokenizer->word_text, "a vocabulary");
    CRN_TRY_PLAIN(crn_vocabulary_reserve(tokenizer, count, merges, err));
    char *room = tokenizer->word_text;
    for (size_t id = 0; id < count; id++) {
        if (r->words[id] != NULL)
            CRN_TRY_PLAIN(put_word(r, (uint32_t)id, &room, err));
    }
    if (!r->is_byte_level)
        CRN_TRY_PLAIN(decode_words(r, err));
out:
    return rc;
}

/* ---- Bytes, and what is unknown ---- */

static cairn_status find_bytes(cairn_tokenizer *tokenizer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (int byte = 0; byte < 256; byte++) {
        const char text = (char)byte;
        if (!crn_vocabulary_find(tokenizer, &text, 1, &tokenizer->byte_ids[byte]))
            CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                     "the vocabulary has no token for the byte 0x%02x; this version needs "
                     "byte-level BPE with all of them",
                     (unsigned)byte);
    }
out:
    return rc;
}

/* byte_fallback: "<0x00>" to "<0xFF>"; without any, it has no effect. */
static cairn_status find_byte_names(cairn_tokenizer *tokenizer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    int count = 0;
    for (int byte = 0; byte < 256; byte++) {
        char name[8];
        (void)snprintf(name, sizeof name, "<0x%02X>", (unsigned)byte);
        if (crn_vocabulary_find(tokenizer, name, strlen(name), &tokenizer->byte_ids[byte]))
            count++;
    }
    if (count != 0 && count != 256)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "the model has byte_fallback and %d of the 256 bytes; this version needs all",
                 count);
    tokenizer->has_byte_ids = count == 256;
out:
    return rc;
}

static cairn_status find_unknown(crn_reader *r, const json_t *model, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_tokenizer *const tokenizer = r->tokenizer;
    const json_t *const id = crn_member(model, "unk_id");
    const char *const word = json_string_value(crn_member(model, "unk_token"));
    if (tokenizer->model == CRN_MODEL_UNIGRAM) {
        if (!json_is_integer(id) || json_integer_value(id) < 0 ||
            (size_t)json_integer_value(id) >= json_array_size(crn_member(model, "vocab")))
            CRN_FAIL(err, CAIRN_EUNSUPPORTED, "the model Unigram has no unk_id of its words");
        tokenizer->unknown_id = (uint32_t)json_integer_value(id);
        tokenizer->has_unknown = true;
        tokenizer->fuses_unknown = true;
        goto out;
    }
    tokenizer->fuses_unknown = crn_flag(model, "fuse_unk", false);
    if (word == NULL || r->is_byte_level)
        goto out;
    tokenizer->has_unknown =
        crn_vocabulary_find(tokenizer, word, strlen(word), &tokenizer->unknown_id);
    if (!tokenizer->has_unknown)
        CRN_FAIL(err, CAIRN_EDATA, "the vocabulary lacks the unk_token");
out:
    return rc;
}

/* ---- Merges ---- */

static cairn_status find_half(const crn_reader *r, const char *text, size_t length, uint32_t *out,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char shown[96];
    if (r->tokenizer->has_byte_ids && crn_vocabulary_byte_of(text, length) >= 0)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "a merge of bytes; this version lacks it");
    const json_t *const id = json_object_getn(r->vocab, text, length);
    if (id == NULL)
        CRN_FAIL(err, CAIRN_EDATA, "a merge names the token '%s', which the vocabulary lacks",
                 crn_escape(text, length, shown, sizeof shown));
    *out = (uint32_t)json_integer_value(id);
out:
    return rc;
}

static cairn_status add_merge(crn_reader *r, const json_t *item, uint32_t rank, crn_str *both,
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

static cairn_status read_merges(crn_reader *r, const json_t *merges, cairn_error *err)
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

static cairn_status check_bpe(const json_t *model, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const json_t *const dropout = crn_member(model, "dropout");
    if (dropout != NULL && json_number_value(dropout) != 0.0)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "the model has dropout; this version lacks it");
    if (!is_empty_text(crn_member(model, "continuing_subword_prefix")) ||
        !is_empty_text(crn_member(model, "end_of_word_suffix")))
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "the model marks parts of words; this version lacks it for BPE");
    if (!json_is_object(crn_member(model, "vocab")) || !json_is_array(crn_member(model, "merges")))
        CRN_FAIL(err, CAIRN_EDATA,
                 "the model has no vocab, which is an object, or no merges, "
                 "which are a list");
    if (json_object_size(crn_member(model, "vocab")) > CRN_TOKEN_IDS_MAX ||
        json_array_size(crn_member(model, "merges")) > CRN_TOKEN_IDS_MAX)
        CRN_FAIL(err, CAIRN_EDATA, "the model has more than %d tokens or merges",
                 CRN_TOKEN_IDS_MAX);
out:
    return rc;
}

static cairn_status check_unigram(const crn_reader *r, const json_t *model, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const json_t *const vocab = crn_member(model, "vocab");
    if (r->is_byte_level)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "this version lacks Unigram with ByteLevel");
    if (!json_is_array(vocab) || json_array_size(vocab) > CRN_TOKEN_IDS_MAX)
        CRN_FAIL(err, CAIRN_EDATA, "the model has no vocab that is a list of at most %d words",
                 CRN_TOKEN_IDS_MAX);
out:
    return rc;
}

static cairn_status check_model(crn_reader *r, const json_t *model, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (json_is_object(model) && crn_has_type(model, "Unigram")) {
        r->tokenizer->model = CRN_MODEL_UNIGRAM;
        CRN_TRY_PLAIN(check_unigram(r, model, err));
        goto out;
    }
    /* Files of before 2020 name no type. */
    if (!json_is_object(model) ||
        (crn_member(model, "type") != NULL && !crn_has_type(model, "BPE")))
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "the model is %s; this version has BPE and Unigram",
                 crn_type_of(model));
    r->tokenizer->model = r->is_byte_level ? CRN_MODEL_BYTE_PAIRS : CRN_MODEL_PAIRS;
    CRN_TRY_PLAIN(check_bpe(model, err));
    r->vocab = crn_member(model, "vocab");
    r->tokenizer->takes_whole_pieces = crn_flag(model, "ignore_merges", false);
out:
    return rc;
}

cairn_status crn_read_model(crn_reader *r, const json_t *model, const json_t *added,
                            cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const json_t *const merges = crn_member(model, "merges");
    CRN_TRY_PLAIN(check_model(r, model, err));
    CRN_TRY_PLAIN(read_vocab(r, crn_member(model, "vocab"), added, json_array_size(merges), err));
    if (r->is_byte_level)
        CRN_TRY_PLAIN(find_bytes(r->tokenizer, err));
    else if (crn_flag(model, "byte_fallback", false))
        CRN_TRY_PLAIN(find_byte_names(r->tokenizer, err));
    CRN_TRY_PLAIN(find_unknown(r, model, err));
    if (r->vocab != NULL)
        CRN_TRY_PLAIN(read_merges(r, merges, err));
out:
    return rc;
}
