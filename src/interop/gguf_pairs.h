/* The metadata of a GGUF file to write: pairs of a key and a value, one behind another. */
#ifndef CRN_INTEROP_GGUF_PAIRS_H
#define CRN_INTEROP_GGUF_PAIRS_H

#include "base/str.h"
#include "interop/gguf.h"

/* Zeroed is empty. Out of memory shows in crn_str_check of the bytes. */
typedef struct crn_gguf_pairs {
    crn_str bytes;
    uint64_t count;
} crn_gguf_pairs;

void crn_gguf_pairs_dispose(crn_gguf_pairs *pairs);

/* A number of @width bytes, little-endian; a text with its length. */
void crn_gguf_append_number(crn_str *out, uint64_t value, unsigned width);
void crn_gguf_append_text(crn_str *out, const char *text, size_t length);

/* Keys are put once each. llama.cpp reads counts as U32 and other numbers as F32 only. */
void crn_gguf_put_u32(crn_gguf_pairs *pairs, const char *key, uint32_t value);
void crn_gguf_put_f32(crn_gguf_pairs *pairs, const char *key, double value);
void crn_gguf_put_text(crn_gguf_pairs *pairs, const char *key, const char *text);
/* A list, whose @count items the caller appends to the bytes. */
void crn_gguf_put_list(crn_gguf_pairs *pairs, const char *key, crn_gguf_kind kind, uint64_t count);

#endif
