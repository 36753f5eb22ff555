/* Opening a tokenizer, and what it is asked. */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "tokenizer/tokenizer.h"

enum { BYTE_TOKENS = 256 };

static cairn_status make_bytes(cairn_tokenizer *tokenizer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    tokenizer->tokens = crn_calloc(BYTE_TOKENS, sizeof *tokenizer->tokens);
    tokenizer->text = crn_calloc(BYTE_TOKENS, 1);
    CRN_NEED(err, tokenizer->tokens, "a tokenizer");
    CRN_NEED(err, tokenizer->text, "a tokenizer");
    tokenizer->token_count = BYTE_TOKENS;
    for (int byte = 0; byte < BYTE_TOKENS; byte++) {
        tokenizer->text[byte] = (char)byte;
        tokenizer->tokens[byte] = (crn_token){.bytes = tokenizer->text + byte, .size = 1};
    }
out:
    return rc;
}

/* A model of SentencePiece begins with its first piece, field 1; JSON with a brace, before which a
 * line feed may stand, the same byte. */
static bool is_model(const char *text, size_t size)
{
    size_t at = 0;
    while (at < size && strchr(" \t\r\n", text[at]) != NULL && text[at] != '\0')
        at++;
    return size > 0 && text[0] == '\n' && at < size && text[at] != '{';
}

/* In a folder, *@file becomes what is read of it. */
static int read_path(const crn_os *os, const char *path, crn_str *file, char **out_text,
                     size_t *out_size)
{
    static const char *const k_names[] = {"tokenizer.json", "tokenizer.model"};
    crn_str_append(file, path);
    int e = crn_os_read_file(os, CRN_OS_CWD, path, CRN_TOKENIZER_FILE_MAX, out_text, out_size);
    if (e != EISDIR)
        return file->is_failed ? ENOMEM : e;
    for (size_t i = 0; i < sizeof k_names / sizeof k_names[0]; i++) {
        file->length = 0;
        crn_str_printf(file, "%s/%s", path, k_names[i]);
        if (file->is_failed)
            return ENOMEM;
        e = crn_os_read_file(os, CRN_OS_CWD, file->text, CRN_TOKENIZER_FILE_MAX, out_text,
                             out_size);
        if (e != ENOENT)
            return e;
    }
    file->length = 0;
    crn_str_printf(file, "%s/%s", path, k_names[0]);
    return file->is_failed ? ENOMEM : e;
}

static cairn_status read_file(const crn_os *os, cairn_tokenizer *tokenizer, const char *path,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str file = {0};
    char *text = NULL;
    size_t size = 0;
    const int e = read_path(os, path, &file, &text, &size);
    if (e == ENOMEM)
        CRN_FAIL(err, CAIRN_ENOMEM, "no memory for the tokenizer '%s'", path);
    if (e == EFBIG)
        CRN_FAIL(err, CAIRN_EDATA, "the tokenizer '%s' is larger than %d MiB", file.text,
                 CRN_TOKENIZER_FILE_MAX >> 20);
    if (e != 0)
        CRN_FAIL(err, CAIRN_EDATA,
                 "the tokenizer '%s': %s; name a tokenizer.json, a model of SentencePiece, a "
                 "folder with a tokenizer.json or tokenizer.model, or the word bytes",
                 file.text, strerror(e));
    if (is_model(text, size))
        CRN_TRY_PLAIN(crn_tokenizer_read_model(tokenizer, text, size, file.text, err));
    else
        CRN_TRY_PLAIN(crn_tokenizer_read_json(tokenizer, text, size, file.text, err));
out:
    crn_free(text);
    crn_str_dispose(&file);
    return rc;
}

cairn_status crn_tokenizer_open_os(const crn_os *os, const char *path, cairn_tokenizer **out,
                                   cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_tokenizer *tokenizer = crn_calloc(1, sizeof *tokenizer);
    CRN_NEED(err, tokenizer, "a tokenizer");
    if (strcmp(path, "bytes") == 0)
        CRN_TRY_PLAIN(make_bytes(tokenizer, err));
    else
        CRN_TRY_PLAIN(read_file(os, tokenizer, path, err));
    *out = tokenizer;
    tokenizer = NULL;
out:
    cairn_tokenizer_destroy(tokenizer);
    return rc;
}

cairn_status cairn_tokenizer_open(const char *path, cairn_tokenizer **out, cairn_error *err)
{
    return crn_tokenizer_open_os(crn_os_posix(), path, out, err);
}

void cairn_tokenizer_destroy(cairn_tokenizer *tokenizer)
{
    if (tokenizer == NULL)
        return;
    for (size_t i = 0; i < tokenizer->split_count; i++)
        crn_splitter_destroy(tokenizer->splits[i]);
    for (size_t i = 0; i < tokenizer->added_count; i++) {
        crn_free(tokenizer->added[i].text);
        crn_str_dispose(&tokenizer->added[i].sought);
        crn_str_dispose(&tokenizer->added[i].shown);
    }
    for (int i = 0; i < CRN_ADDED_SETS; i++)
        crn_free(tokenizer->sets[i].members);
    crn_free(tokenizer->added);
    crn_free(tokenizer->tokens);
    crn_free(tokenizer->words);
    crn_free(tokenizer->text);
    crn_free(tokenizer->word_text);
    crn_free(tokenizer->by_bytes);
    crn_free(tokenizer->merges);
    crn_free(tokenizer->scores);
    crn_trie_dispose(&tokenizer->words_by_prefix);
    crn_trie_dispose(&tokenizer->user_defined);
    crn_map_dispose(&tokenizer->neighbours);
    crn_free(tokenizer->mark.text);
    crn_normalizer_destroy(tokenizer->normalizer);
    crn_free(tokenizer);
}

uint32_t cairn_tokenizer_vocab_size(const cairn_tokenizer *tokenizer)
{
    return (uint32_t)tokenizer->token_count;
}

const char *cairn_tokenizer_kind(const cairn_tokenizer *tokenizer)
{
    return tokenizer->model == CRN_MODEL_BYTES     ? "bytes"
           : tokenizer->model == CRN_MODEL_UNIGRAM ? "Unigram"
                                                   : "BPE";
}

const char *cairn_tokenizer_decode(const cairn_tokenizer *tokenizer, uint32_t id, size_t *out_size)
{
    const crn_token *const token = id < tokenizer->token_count ? &tokenizer->tokens[id] : NULL;
    *out_size = token != NULL ? token->size : 0;
    return token != NULL ? token->bytes : NULL;
}

const char *cairn_tokenizer_decode_first(const cairn_tokenizer *tokenizer, uint32_t id,
                                         size_t *out_size)
{
    const char *bytes = cairn_tokenizer_decode(tokenizer, id, out_size);
    const size_t most =
        tokenizer->has_unknown && id == tokenizer->unknown_id ? 0 : tokenizer->first_spaces;
    for (size_t i = 0; i<most && * out_size> 0 && bytes[0] == ' '; i++) {
        bytes++;
        (*out_size)--;
    }
    return bytes;
}

size_t cairn_tokenizer_added_count(const cairn_tokenizer *tokenizer)
{
    return tokenizer->added_count;
}

const char *cairn_tokenizer_added(const cairn_tokenizer *tokenizer, size_t index, uint32_t *out_id,
                                  bool *out_is_special)
{
    const crn_added *const added = &tokenizer->added[index];
    *out_id = added->id;
    *out_is_special = added->is_special;
    return added->text;
}

bool cairn_tokenizer_find_added(const cairn_tokenizer *tokenizer, const char *text,
                                uint32_t *out_id)
{
    for (size_t i = 0; i < tokenizer->added_count; i++) {
        if (strcmp(tokenizer->added[i].text, text) == 0) {
            *out_id = tokenizer->added[i].id;
            return true;
        }
    }
    return false;
}

static bool find_usual(const cairn_tokenizer *tokenizer, const char *const *names, size_t count,
                       uint32_t *out_id)
{
    *out_id = 0;
    for (size_t i = 0; i < count; i++) {
        if (cairn_tokenizer_find_added(tokenizer, names[i], out_id))
            return true;
    }
    return tokenizer->model == CRN_MODEL_BYTES;
}

bool crn_tokenizer_begin_id(const cairn_tokenizer *tokenizer, uint32_t *out_id)
{
    static const char *const k_names[] = {"<|begin_of_text|>", "<|endoftext|>", "<s>"};
    return find_usual(tokenizer, k_names, sizeof k_names / sizeof k_names[0], out_id);
}

bool crn_tokenizer_end_id(const cairn_tokenizer *tokenizer, uint32_t *out_id)
{
    static const char *const k_names[] = {"<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>"};
    return find_usual(tokenizer, k_names, sizeof k_names / sizeof k_names[0], out_id);
}
