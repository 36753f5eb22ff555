/* Patterns that divide a text into pieces. */
#ifndef CRN_TOKENIZER_SPLIT_H
#define CRN_TOKENIZER_SPLIT_H

#include <stdbool.h>
#include <stddef.h>

#include "cairn/error.h"

/* The pattern of GPT-2, which ByteLevel divides by. */
#define CRN_SPLIT_GPT2                                                                             \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

typedef struct crn_splitter crn_splitter;

/*
 * @pattern: a regular expression over Unicode, from an untrusted file; @is_literal: a plain text.
 * @drops_gaps: what lies between two matches is no piece but left out.
 * CAIRN_EUNSUPPORTED: PCRE2 cannot read it, it can match an empty text or looks back, or it holds
 * what PCRE2 and Oniguruma, which such files are written for, understand differently; the message
 * says which. CAIRN_ENOMEM.
 */
cairn_status crn_splitter_new(const char *pattern, bool is_literal, bool drops_gaps,
                              crn_splitter **out, cairn_error *err);
/* Accepts NULL. */
void crn_splitter_destroy(crn_splitter *splitter);
/* As it was given. Borrowed. */
const char *crn_splitter_pattern(const crn_splitter *splitter);

/* What a thread needs to search. NULL: out of memory. */
typedef struct crn_search crn_search;
crn_search *crn_search_new(void);
/* Accepts NULL. */
void crn_search_destroy(crn_search *search);

typedef struct crn_span {
    size_t begin;
    size_t end;
} crn_span;

/*
 * The next piece of @text[@size] (valid UTF-8) from @from on, which is the end of the one before.
 * Two spans at most: the gap before a match, and the match; either may be empty (begin == end).
 * @is_end: nothing follows the text. Otherwise *out_found is false where more text could change
 * the answer. With @is_end it is false once there is no more.
 * CAIRN_EDATA: the search went on for too long.
 */
cairn_status crn_splitter_next(const crn_splitter *splitter, crn_search *search, const char *text,
                               size_t size, size_t from, bool is_end, crn_span *out_gap,
                               crn_span *out_match, bool *out_found, cairn_error *err);

#endif
