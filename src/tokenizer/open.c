/* Opening a tokenizer, and what it is asked. */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "tokenizer/tokenizer.h"

#define FILE_NAME "tokenizer.json"

enum { BYTE_TOKENS = 256 };

static cairn_status make_bytes(cairn_tokenizer *tokenizer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    tokenizer->is_bytes = true;
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

static cairn_status read_file(const crn_os *os, cairn_tokenizer *tokenizer, const char *path,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str inner = {0};
    char *text = NULL;
    size_t size = 0;
    const char *file = path;
    int e = crn_os_read_file(os, CRN_OS_CWD, file, CRN_TOKENIZER_FILE_MAX, &text, &size);
    if (e == EISDIR) {
        crn_str_printf(&inner, "%s/" FILE_NAME, path);
        CRN_TRY_PLAIN(crn_str_check(&inner, err));
        file = inner.text;
        e = crn_os_read_file(os, CRN_OS_CWD, file, CRN_TOKENIZER_FILE_MAX, &text, &size);
    }
    if (e == ENOMEM)
        CRN_FAIL(err, CAIRN_ENOMEM, "no memory for the tokenizer '%s'", file);
    if (e == EFBIG)
        CRN_FAIL(err, CAIRN_EDATA, "the tokenizer '%s' is larger than %d MiB", file,
                 CRN_TOKENIZER_FILE_MAX >> 20);
    if (e != 0)
        CRN_FAIL(err, CAIRN_EDATA,
                 "the tokenizer '%s': %s; name a " FILE_NAME ", its folder, or the word bytes",
                 file, strerror(e));
    CRN_TRY_PLAIN(crn_tokenizer_read_json(tokenizer, text, size, file, err));
out:
    crn_free(text);
    crn_str_dispose(&inner);
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
    for (size_t i = 0; i < tokenizer->added_count; i++)
        crn_free(tokenizer->added[i].text);
    for (int i = 0; i < CRN_ADDED_SETS; i++)
        crn_free(tokenizer->sets[i].members);
    crn_free(tokenizer->added);
    crn_free(tokenizer->tokens);
    crn_free(tokenizer->text);
    crn_free(tokenizer->by_bytes);
    crn_free(tokenizer->merges);
    crn_free(tokenizer);
}

uint32_t cairn_tokenizer_vocab_size(const cairn_tokenizer *tokenizer)
{
    return (uint32_t)tokenizer->token_count;
}

const char *cairn_tokenizer_kind(const cairn_tokenizer *tokenizer)
{
    return tokenizer->is_bytes ? "bytes" : "BPE";
}

const char *cairn_tokenizer_decode(const cairn_tokenizer *tokenizer, uint32_t id, size_t *out_size)
{
    const crn_token *const token = id < tokenizer->token_count ? &tokenizer->tokens[id] : NULL;
    *out_size = token != NULL ? token->size : 0;
    return token != NULL ? token->bytes : NULL;
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
    return tokenizer->is_bytes;
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
