/* The length word, and what a file is whose first bytes cannot be one. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "format/format.h"

enum { MESSAGE_SIZE = 200 };

const char *crn_format_code_text(crn_format_code code)
{
    switch (code) {
#define X(name, text)                                                                              \
    case CRN_FORMAT_##name:                                                                        \
        return (text);
        CRN_FORMAT_CODE_LIST(X)
#undef X
    }
    return "E_?";
}

/* First bytes of files that are passed for checkpoints by mistake. */
static const struct magic {
    const char *bytes;
    size_t size;
    const char *what;
} k_magics[] = {
    {"PK\x03\x04", 4, "PyTorch zip"},
    {"\x80\x02", 2, "PyTorch pickle"},
    {"\x1f\x8b", 2, "gzip"},
    {"\x89HDF", 4, "HDF5 (a Model Zoo .mdl?)"},
    {"GGUF", 4, "GGUF"},
    {"<!DOCTYP", 8, "HTML"},
    {"<!doctyp", 8, "HTML"},
    {"<html", 5, "HTML"},
    {"<HTML", 5, "HTML"},
    {"version ", 8, "Git LFS pointer"},
};

/* What the first bytes say the file is; NULL if nothing known. */
static const char *known_format(const uint8_t *word, size_t size)
{
    for (size_t i = 0; i < sizeof k_magics / sizeof k_magics[0]; i++) {
        if (size >= k_magics[i].size && memcmp(word, k_magics[i].bytes, k_magics[i].size) == 0)
            return k_magics[i].what;
    }
    return NULL;
}

/* A header begins with "{", or with white space as some old files do. */
static bool may_begin_header(uint8_t c)
{
    return c == '{' || c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

crn_format_code crn_header_length(const uint8_t *word, size_t word_size, uint64_t file_bytes,
                                  uint64_t *out_header_bytes, char message[200])
{
    uint64_t length = 0;
    if (word_size < CRN_LENGTH_WORD_BYTES || file_bytes < CRN_LENGTH_WORD_BYTES) {
        (void)snprintf(message, MESSAGE_SIZE, "the file has only %" PRIu64 " bytes",
                       file_bytes < word_size ? file_bytes : (uint64_t)word_size);
        return CRN_FORMAT_TRUNCATED;
    }
    for (size_t i = 0; i < CRN_LENGTH_WORD_BYTES; i++)
        length |= (uint64_t)word[i] << (8 * i);
    const uint64_t rest = file_bytes - CRN_LENGTH_WORD_BYTES;
    const bool is_odd =
        length > CRN_HEADER_BYTES_MAX || length > rest ||
        (word_size > CRN_LENGTH_WORD_BYTES && !may_begin_header(word[CRN_LENGTH_WORD_BYTES]));
    const char *const other = is_odd ? known_format(word, word_size) : NULL;
    if (other != NULL) {
        (void)snprintf(message, MESSAGE_SIZE, "not a safetensors file: it looks like %s", other);
        return CRN_FORMAT_NOT_SAFETENSORS;
    }
    if (length > CRN_HEADER_BYTES_MAX) {
        (void)snprintf(message, MESSAGE_SIZE, "the header would have %" PRIu64 " bytes, at most %d",
                       length, CRN_HEADER_BYTES_MAX);
        return CRN_FORMAT_HEADER_TOO_LARGE;
    }
    if (length > rest) {
        (void)snprintf(message, MESSAGE_SIZE,
                       "the header has %" PRIu64 " bytes and the file only %" PRIu64
                       " after byte 8",
                       length, rest);
        return CRN_FORMAT_TRUNCATED_HEADER;
    }
    if (length == 0) {
        (void)snprintf(message, MESSAGE_SIZE, "the header is empty");
        return CRN_FORMAT_JSON;
    }
    *out_header_bytes = length;
    message[0] = '\0';
    return CRN_FORMAT_OK;
}
