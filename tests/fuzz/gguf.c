/* A GGUF file, which others wrote: what it says, and the model that it holds. */
#include <string.h>

#include "fuzz/fuzz.h"
#include "interop/gguf.h"
#include "interop/gguf_model.h"

enum { POSITIONS = 4 };

/* Everything lies within the file, and the list is in order. */
static void check_parsed(const crn_gguf *gguf, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < gguf->pair_count; i++) {
        const crn_gguf_pair *const pair = &gguf->pairs[i];
        const uint8_t *const key = (const uint8_t *)pair->key;
        double number = 0.0;
        CHECK(key >= bytes && pair->key_length <= size - (size_t)(key - bytes));
        CHECK(pair->kind == CRN_GGUF_ARRAY ||
              (pair->bytes >= bytes && pair->count <= size - (size_t)(pair->bytes - bytes)));
        (void)crn_gguf_to_number(pair, &number);
    }
    for (size_t i = 0; i < gguf->tensor_count; i++) {
        const crn_gguf_tensor *const tensor = &gguf->tensors[i];
        CHECK(gguf->data_begin <= size && tensor->begin <= size - gguf->data_begin &&
              tensor->bytes <= size - gguf->data_begin - tensor->begin);
        CHECK(i == 0 || strcmp(gguf->tensors[i - 1].name, tensor->name) < 0);
        CHECK(crn_gguf_find_tensor(gguf, tensor->name) == tensor);
    }
}

static void read_model(const uint8_t *bytes, size_t size)
{
    memory_os memory;
    crn_hf_model model;
    memory_os_init(&memory, bytes, size);
    if (crn_gguf_import(&memory.os, "file", POSITIONS, &model, NULL) == CAIRN_OK)
        CHECK(crn_gguf_check(&model, NULL, NULL) == CAIRN_OK);
    crn_hf_model_dispose(&model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    crn_gguf gguf;
    bool is_short = false;
    uint8_t *const copy = fuzz_copy(data, size, false);
    if (crn_gguf_parse(copy, size, size, "file", &gguf, &is_short, NULL) == CAIRN_OK)
        check_parsed(&gguf, copy, size);
    crn_gguf_dispose(&gguf);
    read_model(copy, size);
    free(copy);
    return 0;
}
