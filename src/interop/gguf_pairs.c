#include "interop/gguf_pairs.h"

#include <string.h>

#include "interop/element.h"

void crn_gguf_pairs_dispose(crn_gguf_pairs *pairs)
{
    crn_str_dispose(&pairs->bytes);
    pairs->count = 0;
}

void crn_gguf_append_number(crn_str *out, uint64_t value, unsigned width)
{
    uint8_t bytes[sizeof value];
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    crn_str_append_bytes(out, bytes, width);
}

void crn_gguf_append_text(crn_str *out, const char *text, size_t length)
{
    crn_gguf_append_number(out, length, 8);
    crn_str_append_bytes(out, text, length);
}

static void put_key(crn_gguf_pairs *pairs, const char *key, crn_gguf_kind kind)
{
    crn_gguf_append_text(&pairs->bytes, key, strlen(key));
    crn_gguf_append_number(&pairs->bytes, (uint64_t)kind, 4);
    pairs->count++;
}

void crn_gguf_put_u32(crn_gguf_pairs *pairs, const char *key, uint32_t value)
{
    put_key(pairs, key, CRN_GGUF_U32);
    crn_gguf_append_number(&pairs->bytes, value, 4);
}

void crn_gguf_put_f32(crn_gguf_pairs *pairs, const char *key, double value)
{
    uint8_t bytes[sizeof(float)];
    crn_element_put(bytes, CAIRN_DTYPE_F32, 0, (float)value);
    put_key(pairs, key, CRN_GGUF_F32);
    crn_str_append_bytes(&pairs->bytes, bytes, sizeof bytes);
}

void crn_gguf_put_text(crn_gguf_pairs *pairs, const char *key, const char *text)
{
    put_key(pairs, key, CRN_GGUF_TEXT);
    crn_gguf_append_text(&pairs->bytes, text, strlen(text));
}

void crn_gguf_put_list(crn_gguf_pairs *pairs, const char *key, crn_gguf_kind kind, uint64_t count)
{
    put_key(pairs, key, CRN_GGUF_ARRAY);
    crn_gguf_append_number(&pairs->bytes, (uint64_t)kind, 4);
    crn_gguf_append_number(&pairs->bytes, count, 8);
}
