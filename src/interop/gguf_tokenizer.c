#include "interop/gguf_tokenizer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "tokenizer/tokenizer.h"

#define KEY(name) "tokenizer.ggml." name

/* Kinds of tokens, as llama.cpp numbers them. */
enum { KIND_NORMAL = 1, KIND_CONTROL = 3, KIND_USER = 4, KIND_UNUSED = 5 };

/* The first part of the patterns of Llama 3 and Qwen 2, and what follows the digits. */
#define WORDS "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
#define REST  "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

/* Ways to divide text that llama.cpp knows by name (src/llama-vocab.cpp). */
static const struct division {
    const char *name;
    const char *pattern;
    bool takes_whole_pieces;
} k_divisions[] = {
    {"gpt-2", CRN_SPLIT_GPT2, false},
    {"llama-bpe", WORDS "\\p{N}{1,3}" REST, true},
    {"qwen2", WORDS "\\p{N}" REST, false},
};

/* NULL: none that is known. */
static const char *division_of(const cairn_tokenizer *t)
{
    if (t->model == CRN_MODEL_BYTES)
        return k_divisions[0].name; /* Nothing merges, so it does not matter. */
    if (t->has_prefix_space || t->split_count != 1 || t->normalizer != NULL)
        return NULL;
    for (size_t i = 0; i < sizeof k_divisions / sizeof k_divisions[0]; i++) {
        if (strcmp(k_divisions[i].pattern, crn_splitter_pattern(t->splits[0])) == 0 &&
            k_divisions[i].takes_whole_pieces == t->takes_whole_pieces)
            return k_divisions[i].name;
    }
    return NULL;
}

/* ---- Tokens ---- */

/* What each id is; yours (crn_free). NULL: no memory. */
static uint8_t *kinds_of(const cairn_tokenizer *t, size_t count)
{
    uint8_t *const kinds = crn_calloc(count + 1, 1);
    if (kinds == NULL)
        return NULL;
    for (size_t id = 0; id < count; id++)
        kinds[id] = id < t->token_count && t->tokens[id].bytes != NULL ? KIND_NORMAL : KIND_UNUSED;
    for (size_t i = 0; i < t->added_count; i++)
        kinds[t->added[i].id] = t->added[i].is_special ? KIND_CONTROL : KIND_USER;
    return kinds;
}

static void put_tokens(const cairn_tokenizer *t, const uint8_t *kinds, size_t count,
                       crn_gguf_pairs *out)
{
    crn_str word = {0};
    crn_gguf_put_list(out, KEY("tokens"), CRN_GGUF_TEXT, count);
    for (size_t id = 0; id < count; id++) {
        word.length = 0;
        if (kinds[id] == KIND_UNUSED)
            crn_str_printf(&word, "[PAD%zu]", id);
        else if (kinds[id] == KIND_NORMAL)
            crn_vocabulary_map(t->tokens[id].bytes, t->tokens[id].size, &word);
        else
            crn_str_append_bytes(&word, t->tokens[id].bytes, t->tokens[id].size);
        out->bytes.is_failed = out->bytes.is_failed || word.is_failed;
        crn_gguf_append_text(&out->bytes, word.text, word.length);
    }
    crn_str_dispose(&word);
    crn_gguf_put_list(out, KEY("token_type"), CRN_GGUF_I32, count);
    for (size_t id = 0; id < count; id++)
        crn_gguf_append_number(&out->bytes, kinds[id], 4);
}

/* ---- Merges ---- */

static int by_rank(const void *left, const void *right)
{
    const crn_merge *const a = left;
    const crn_merge *const b = right;
    return (a->rank > b->rank) - (a->rank < b->rank);
}

/* The first to do first: "left right". */
static cairn_status put_merges(const cairn_tokenizer *t, crn_gguf_pairs *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const size_t slots = t->merges != NULL ? t->merges_mask + 1 : 0;
    crn_str word = {0};
    size_t count = 0;
    crn_merge *const merges = crn_calloc(slots + 1, sizeof *merges);
    CRN_NEED(err, merges, "the merges of a tokenizer");
    for (size_t i = 0; i < slots; i++) {
        if (t->merges[i].id != UINT32_MAX)
            merges[count++] = t->merges[i];
    }
    qsort(merges, count, sizeof *merges, by_rank);
    crn_gguf_put_list(out, KEY("merges"), CRN_GGUF_TEXT, count);
    for (size_t i = 0; i < count; i++) {
        const crn_token *const left = &t->tokens[merges[i].pair >> 32];
        const crn_token *const right = &t->tokens[merges[i].pair & UINT32_MAX];
        word.length = 0;
        crn_vocabulary_map(left->bytes, left->size, &word);
        crn_str_append(&word, " ");
        crn_vocabulary_map(right->bytes, right->size, &word);
        CRN_TRY_PLAIN(crn_str_check(&word, err));
        crn_gguf_append_text(&out->bytes, word.text, word.length);
    }
out:
    crn_free(merges);
    crn_str_dispose(&word);
    return rc;
}

/* ---- All of it ---- */

static cairn_status check(const cairn_tokenizer *t, const char *path, int64_t vocab_size,
                          cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (t->model != CRN_MODEL_BYTES && t->model != CRN_MODEL_BYTE_PAIRS)
        CRN_FAIL(
            err, CAIRN_EUNSUPPORTED,
            "the tokenizer '%s' is %s of characters; this version writes BPE of bytes into GGUF",
            path, cairn_tokenizer_kind(t));
    if (division_of(t) == NULL)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "the tokenizer '%s' divides text in a way that llama.cpp has no name for (it is "
                 "not that of GPT-2, Llama 3 or Qwen 2); without --tokenizer the file has no "
                 "vocabulary",
                 path);
    if (t->token_count > (uint64_t)vocab_size)
        CRN_FAIL(err, CAIRN_EINCOMPATIBLE,
                 "the tokenizer '%s' has %zu tokens, the model's vocab_size is %" PRId64, path,
                 t->token_count, vocab_size);
out:
    return rc;
}

static cairn_status put_all(const cairn_tokenizer *t, int64_t vocab_size, crn_gguf_pairs *out,
                            cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint32_t id = 0;
    uint8_t *const kinds = kinds_of(t, (size_t)vocab_size);
    CRN_NEED(err, kinds, "the tokens of a tokenizer");
    crn_gguf_put_text(out, KEY("model"), "gpt2");
    crn_gguf_put_text(out, KEY("pre"), division_of(t));
    put_tokens(t, kinds, (size_t)vocab_size, out);
    CRN_TRY_PLAIN(put_merges(t, out, err));
    if (crn_tokenizer_begin_id(t, &id))
        crn_gguf_put_u32(out, KEY("bos_token_id"), id);
    if (crn_tokenizer_end_id(t, &id))
        crn_gguf_put_u32(out, KEY("eos_token_id"), id);
out:
    crn_free(kinds);
    return rc;
}

cairn_status crn_gguf_put_tokenizer(const char *path, int64_t vocab_size, crn_gguf_pairs *out,
                                    cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_tokenizer *tokenizer = NULL;
    if (path == NULL) {
        crn_gguf_put_text(out, KEY("model"), "no_vocab");
        return CAIRN_OK;
    }
    CRN_TRY_PLAIN(cairn_tokenizer_open(path, &tokenizer, err));
    CRN_TRY_PLAIN(check(tokenizer, path, vocab_size, err));
    CRN_TRY_PLAIN(put_all(tokenizer, vocab_size, out, err));
out:
    cairn_tokenizer_destroy(tokenizer);
    return rc;
}
