/* The size of a text (a byte), the text, and a model of SentencePiece for it. */
#include "fuzz/tokens.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cairn_error err = {0};
    cairn_tokenizer *tokenizer = NULL;
    memory_os memory;
    const size_t text = size > 0 && data[0] < size ? data[0] : 0;
    const size_t begin = size > 0 ? 1 + text : 0;
    memory_os_init(&memory, data + begin, size - begin);
    const cairn_status status = crn_tokenizer_open_os(&memory.os, "file", &tokenizer, &err);
    CHECK(status == CAIRN_OK || status == CAIRN_EDATA || status == CAIRN_EUNSUPPORTED);
    if (status == CAIRN_OK)
        fuzz_encode(tokenizer, data + 1, text);
    cairn_tokenizer_destroy(tokenizer);
    return 0;
}
