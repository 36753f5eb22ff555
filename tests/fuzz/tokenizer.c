/* A tokenizer.json, and after a NUL a text for it, in two cuts. */
#include <string.h>

#include "fuzz/fuzz.h"
#include "tokenizer/tokenizer.h"

enum { IDS_MAX = 1 << 16 };

struct ids {
    uint32_t ids[IDS_MAX];
    size_t count;
    uint32_t vocab_size;
};

static cairn_status keep(void *user, const uint32_t *ids, size_t count, cairn_error *err)
{
    struct ids *const out = user;
    (void)err;
    for (size_t i = 0; i < count; i++) {
        CHECK(ids[i] < out->vocab_size);
        if (out->count < IDS_MAX)
            out->ids[out->count++] = ids[i];
    }
    return CAIRN_OK;
}

/* The text in pieces of @step bytes. */
static bool encode(const cairn_tokenizer *tokenizer, const uint8_t *text, size_t size, size_t step,
                   struct ids *out)
{
    cairn_error err = {0};
    cairn_encoder *encoder = NULL;
    cairn_status status = CAIRN_OK;
    out->count = 0;
    out->vocab_size = cairn_tokenizer_vocab_size(tokenizer);
    const cairn_encoder_options options = {
        .struct_size = sizeof options, .replace_invalid = true, .emit = keep, .user = out};
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
static void use(const cairn_tokenizer *tokenizer, const uint8_t *text, size_t size)
{
    static struct ids s_whole;
    static struct ids s_cut;
    if (!encode(tokenizer, text, size, size + 1, &s_whole) ||
        !encode(tokenizer, text, size, 3, &s_cut))
        return;
    CHECK(s_whole.count == s_cut.count);
    for (size_t i = 0; i < s_whole.count; i++) {
        size_t length = 0;
        CHECK(s_whole.ids[i] == s_cut.ids[i]);
        CHECK(cairn_tokenizer_decode(tokenizer, s_whole.ids[i], &length) != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cairn_error err = {0};
    cairn_tokenizer *tokenizer = NULL;
    memory_os memory;
    const uint8_t *const nul = size > 0 ? memchr(data, 0, size) : NULL;
    const size_t length = nul != NULL ? (size_t)(nul - data) : size;
    memory_os_init(&memory, data, length);
    const cairn_status status = crn_tokenizer_open_os(&memory.os, "file", &tokenizer, &err);
    CHECK(status == CAIRN_OK || status == CAIRN_EDATA || status == CAIRN_EUNSUPPORTED);
    if (status == CAIRN_OK && nul != NULL)
        use(tokenizer, nul + 1, size - length - 1);
    cairn_tokenizer_destroy(tokenizer);
    return 0;
}
