/* What happens to a text before it is divided: forms of Unicode, spaces, letters. */
#ifndef CRN_TOKENIZER_NORMALIZER_H
#define CRN_TOKENIZER_NORMALIZER_H

#include "base/str.h"
#include "tokenizer/charsmap.h"
#include "tokenizer/split.h"
#include "tokenizer/trie.h"

enum { CRN_NORMALIZER_STEPS_MAX = 16 };

typedef enum crn_step_kind {
    CRN_STEP_NFC,
    CRN_STEP_NFD,
    CRN_STEP_NFKC,
    CRN_STEP_NFKD,
    CRN_STEP_LOWERCASE,
    CRN_STEP_STRIP,         /* white space at the ends */
    CRN_STEP_STRIP_ACCENTS, /* characters that combine */
    CRN_STEP_PREPEND,       /* `text`, unless the text is empty */
    CRN_STEP_REPLACE        /* what the pattern finds, by `text` */
} crn_step_kind;

typedef struct crn_step {
    crn_step_kind kind;
    bool strips_left;
    bool strips_right;
    char *text;            /* yours */
    size_t length;         /* of the text */
    crn_splitter *pattern; /* yours; REPLACE */
} crn_step;

void crn_step_dispose(crn_step *step);

/* What SentencePiece does: longest rules of a table, and white space. */
typedef struct crn_spaces {
    bool is_on;             /* this, and no steps */
    bool begins_with_dummy; /* add_dummy_prefix */
    bool ends_with_dummy;   /* likewise with treat_whitespace_as_suffix */
    bool removes_extra;     /* remove_extra_whitespaces: at the ends, and all but one within */
    bool escapes;           /* escape_whitespaces: a space becomes U+2581 */
    crn_charsmap charsmap;
    const crn_trie *user_defined; /* stays as it is; the tokenizer's */
} crn_spaces;

typedef struct crn_normalizer {
    crn_step steps[CRN_NORMALIZER_STEPS_MAX];
    size_t step_count;
    bool is_whole; /* the steps need the text as a whole, not in parts */
    crn_spaces spaces;
} crn_normalizer;

/* Accepts NULL. */
void crn_normalizer_destroy(crn_normalizer *normalizer);
/* All steps are there: finds out whether they can take a text in parts. */
void crn_normalizer_settle(crn_normalizer *normalizer);

/* A text on its way. Zeroed is a beginning. */
typedef struct crn_normalizing {
    crn_str held;     /* what later text may change */
    crn_str parts[2]; /* scratch of steps */
    bool is_begun;
    bool is_behind_space;
    size_t spaces; /* not handed out, since no others may follow */
} crn_normalizing;

void crn_normalizing_dispose(crn_normalizing *state);

/*
 * Takes the next whole characters of a text and adds to @out what is known of the result. With
 * @is_end all of it, and @state is a beginning again. The result does not depend on the cuts.
 * CAIRN_EDATA: the text is too large to be normalized as a whole. CAIRN_ENOMEM.
 */
cairn_status crn_normalize(const crn_normalizer *normalizer, crn_normalizing *state,
                           crn_search *search, const char *text, size_t size, bool is_end,
                           crn_str *out, cairn_error *err);

/* The parts of it: of SentencePiece (spaces.c), and one step on a whole text (steps.c). */
cairn_status crn_spaces_add(const crn_spaces *spaces, crn_normalizing *state, const char *text,
                            size_t size, bool is_end, crn_str *out, cairn_error *err);
/* @is_first: the text begins here, and does not go on from a part before. @limit: bytes that
 * replacements may make of it; more is CAIRN_EDATA. */
cairn_status crn_step_apply(const crn_step *step, crn_search *search, const crn_str *text,
                            bool is_first, size_t limit, crn_str *out, cairn_error *err);

#endif
