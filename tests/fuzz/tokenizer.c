/* A tokenizer.json, and after a NUL a text for it, in two cuts. */
#include <string.h>

#include "fuzz/tokens.h"

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
        fuzz_encode(tokenizer, nul + 1, size - length - 1);
    cairn_tokenizer_destroy(tokenizer);
    return 0;
}
