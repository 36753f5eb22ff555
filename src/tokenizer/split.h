/* Patterns that divide a text into pieces. */
#ifndef CRN_TOKENIZER_SPLIT_H
#define CRN_TOKENIZER_SPLIT_H

#include <stdbool.h>
#include <stddef.h>

#include "cairn/error.h"

/* The pattern of GPT-2, which ByteLevel divides by. */
#define CRN_SPLIT_GPT2                                                                             \
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/* Punctuation: the category of Unicode, and ASCII's symbols. */
#define CRN_SPLIT_PUNCTUATION "[\\p{P}$+<=>^`|~]"
/* Whitespace: words, and what is neither words nor white space. \w of the crate `regex`. */
#define CRN_SPLIT_WORDS                                                                            \
    "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]+|"                                     \
    "[^\\s\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]+"

/* What becomes of the matches of a pattern, and of the gaps between them. */
typedef enum crn_split_kind {
    CRN_SPLIT_ISOLATED,     /* each is a piece */
    CRN_SPLIT_DROP_GAPS,    /* each match is a piece; gaps are left out */
    CRN_SPLIT_DROP_MATCHES, /* the other way */
    CRN_SPLIT_CONTIGUOUS,   /* matches one behind another are one piece */
    CRN_SPLIT_MERGE_BEFORE, /* a gap and the match behind it are a piece */
    CRN_SPLIT_MERGE_AFTER   /* a match and the gap behind it are a piece */
} crn_split_kind;

typedef struct crn_splitter crn_splitter;

/*
 * @pattern: a regular expression over Unicode, from an untrusted file; @is_literal: a plain text.
 * CAIRN_EUNSUPPORTED: PCRE2 cannot read it, it can match an empty text or looks back, or it holds
 * what PCRE2 and Oniguruma, which such files are written for, understand differently; the message
 * says which. CAIRN_ENOMEM.
 */
cairn_status crn_splitter_new(const char *pattern, bool is_literal, crn_split_kind kind,
                              crn_splitter **out, cairn_error *err);
/* Accepts NULL. */
void crn_splitter_destroy(crn_splitter *splitter);
/* Whether the pattern is a plain character, so that a match never reaches over two. */
bool crn_splitter_is_character(const crn_splitter *splitter);
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
