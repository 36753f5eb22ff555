/* Reading a tokenizer.json: the parts of it, each in a file. */
#ifndef CRN_TOKENIZER_READ_H
#define CRN_TOKENIZER_READ_H

#include <jansson.h>

#include "tokenizer/tokenizer.h"

/* What is needed only while reading. */
typedef struct crn_reader {
    cairn_tokenizer *tokenizer;
    crn_search *search;
    bool is_byte_level;
    const json_t *vocab; /* of BPE */
    const char **words;  /* [token_count] of the vocabulary, borrowed from it; NULL: none */
    /* What a word is in a text, if the tokens are not bytes. */
    crn_step replacements[CRN_NORMALIZER_STEPS_MAX]; /* yours */
    size_t replacement_count;
    crn_str parts[2];   /* scratch of them */
    bool decodes_bytes; /* "<0x0A>" is a byte */
} crn_reader;

/* ---- Members (read.c) ---- */

/* NULL: absent, or null. */
json_t *crn_member(const json_t *object, const char *key);
bool crn_flag(const json_t *object, const char *key, bool value_if_absent);
bool crn_has_type(const json_t *object, const char *type);
/* For messages. */
const char *crn_type_of(const json_t *object);
/* CAIRN_EDATA: no id that this version takes. @word is for the message. */
cairn_status crn_read_id(const json_t *value, const char *word, uint32_t *out, cairn_error *err);

/* ---- Parts. All give CAIRN_EDATA, CAIRN_EUNSUPPORTED or CAIRN_ENOMEM. ---- */

/* `model` (read_model.c); before it all that says what words are. @added: `added_tokens`, whose ids
 * count too. */
cairn_status crn_read_model(crn_reader *r, const json_t *model, const json_t *added,
                            cairn_error *err);
/* Adds what a word of this text is, by the decoder. */
cairn_status crn_read_decoded(crn_reader *r, const char *word, size_t length, crn_str *out,
                              cairn_error *err);
/* `pre_tokenizer` (read_division.c); NULL: there is none. */
cairn_status crn_read_division(crn_reader *r, const json_t *whole, cairn_error *err);
/* A pattern: {"Regex": …} or {"String": …}. */
cairn_status crn_read_pattern(const json_t *pattern, crn_split_kind kind, crn_splitter **out,
                              cairn_error *err);
/* `normalizer` (read_steps.c); NULL: there is none. */
cairn_status crn_read_normalizer(crn_reader *r, const json_t *whole, cairn_error *err);
/* `decoder` (read_steps.c), behind the division; NULL: there is none. */
cairn_status crn_read_decoder(crn_reader *r, const json_t *whole, cairn_error *err);

#endif
