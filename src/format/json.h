/*
 * A pull tokenizer for untrusted JSON (RFC 8259, strict): no recursion, no memory, nesting of at
 * most CRN_FORMAT_JSON_DEPTH_MAX. The caller asks for one token after the other; commas and colons
 * are checked and swallowed. UTF-8 is the caller's to check: bytes above 0x7f pass in strings.
 */
#ifndef CRN_FORMAT_JSON_H
#define CRN_FORMAT_JSON_H

#include "format/format.h"

typedef enum crn_json_token {
    CRN_JSON_FAILED, /* see code and problem; every later call says so again */
    CRN_JSON_END,    /* the one value is complete and only white space follows */
    CRN_JSON_OBJECT_BEGIN,
    CRN_JSON_OBJECT_END,
    CRN_JSON_ARRAY_BEGIN,
    CRN_JSON_ARRAY_END,
    CRN_JSON_KEY, /* a member's name; its value is the next token */
    CRN_JSON_STRING,
    CRN_JSON_NUMBER,
    CRN_JSON_TRUE,
    CRN_JSON_FALSE,
    CRN_JSON_NULL
} crn_json_token;

typedef struct crn_json {
    const uint8_t *text;
    size_t size;
    size_t at;     /* first byte not yet read */
    uint8_t state; /* what may come next; private */
    uint8_t depth; /* open objects and arrays, the one of a BEGIN token included */
    bool is_object[CRN_FORMAT_JSON_DEPTH_MAX + 1]; /* [depth] */

    crn_json_token token; /* the last one returned */
    size_t token_at;      /* where it begins */
    const uint8_t *raw;   /* KEY, STRING: between the quotes; NUMBER: all of it */
    size_t raw_size;
    bool has_escapes;
    size_t length; /* KEY, STRING: bytes after unescaping */

    crn_format_code code; /* FAILED: CRN_FORMAT_JSON, _JSON_DEPTH, _JSON_TRAILING or _NUMBER */
    const char *problem;  /* FAILED: what is wrong at token_at; static */
} crn_json;

void crn_json_init(crn_json *json, const uint8_t *text, size_t size);
crn_json_token crn_json_next(crn_json *json);
/* Writes the unescaped KEY or STRING at hand and a NUL: length + 1 bytes. */
void crn_json_unescape(const crn_json *json, char *out);
/* Whether the KEY or STRING at hand is @text after unescaping. */
bool crn_json_is(const crn_json *json, const char *text);
/* The NUMBER at hand, if it is digits only and fits. */
bool crn_json_u64(const crn_json *json, uint64_t *out);
/* Reads on to the end of the value whose first token is at hand. False: a token failed. */
bool crn_json_skip(crn_json *json);

#endif
