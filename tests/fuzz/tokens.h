/* Encodes a text with a tokenizer that was read, and checks what comes out. */
#ifndef FUZZ_TOKENS_H
#define FUZZ_TOKENS_H

#include <string.h>

#include "fuzz/fuzz.h"
#include "tokenizer/tokenizer.h"

enum { IDS_MAX = 1 << 16 };

struct fuzz_ids {
    uint32_t ids[IDS_MAX];
    size_t count;
    uint32_t vocab_size;
};

static cairn_status keep_ids(void *user, const uint32_t *ids, size_t count, cairn_error *err)
{
    struct fuzz_ids *const out = user;
    (void)err;
    for (size_t i = 0; i < count; i++) {
        CHECK(ids[i] < out->vocab_size);
        if (out->count < IDS_MAX)
            out->ids[out->count++] = ids[i];
    }
    return CAIRN_OK;
}

/* The text in pieces of @step bytes. */
static bool encode_by(const cairn_tokenizer *tokenizer, const uint8_t *text, size_t size,
                      size_t step, struct fuzz_ids *out)
{
    cairn_error err = {0};
    cairn_encoder *encoder = NULL;
    cairn_status status = CAIRN_OK;
    out->count = 0;
    out->vocab_size = cairn_tokenizer_vocab_size(tokenizer);
    const cairn_encoder_options options = {
        .struct_size = sizeof options, .replace_invalid = true, .emit = keep_ids, .user = out};
    CHECK(cairn_encoder_new(tokenizer, &options, &encoder, &err) == CAIRN_OK);
    for (size_t at = 0; at < size && status == CAIRN_OK; at += step) {
        const size_t piece = size - at < step ? size - at : step;
        uint8_t *const copy = fuzz_copy(text + at, piece, false);
        status = cairn_encoder_add(encoder, copy, piece, &err);
        free(copy);
    }
    if (status == CAIRN_OK)
        status = cairn_encoder_finish(encoder, &err);
    CHECK(status == CAIRN_OK || status == CAIRN_EDATA);
    cairn_encoder_destroy(encoder);
    return status == CAIRN_OK;
}

/* Every id is a token, and the cut does not matter. */
static void fuzz_encode(const cairn_tokenizer *tokenizer, const uint8_t *text, size_t size)
{
    static struct fuzz_ids s_whole;
    static struct fuzz_ids s_cut;
    if (!encode_by(tokenizer, text, size, size + 1, &s_whole) ||
        !encode_by(tokenizer, text, size, 3, &s_cut))
        return;
    CHECK(s_whole.count == s_cut.count);
    for (size_t i = 0; i < s_whole.count; i++) {
        size_t length = 0;
        CHECK(s_whole.ids[i] == s_cut.ids[i]);
        CHECK(cairn_tokenizer_decode(tokenizer, s_whole.ids[i], &length) != NULL);
    }
}

#endif
