/* The table of rules that a model of SentencePiece carries: bytes that others replace. */
#ifndef CRN_TOKENIZER_CHARSMAP_H
#define CRN_TOKENIZER_CHARSMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cairn/error.h"

/* Zeroed has no rules. */
typedef struct crn_charsmap {
    uint32_t *units; /* a double array (J. Aoe, 1989) as the library Darts-clone packs it */
    size_t unit_count;
    char *strings; /* the replacements, each with a NUL behind it */
    size_t strings_size;
} crn_charsmap;

/*
 * @blob: precompiled_charsmap, from an untrusted file. CAIRN_EDATA: sizes in it contradict each
 * other. CAIRN_ENOMEM.
 */
cairn_status crn_charsmap_read(crn_charsmap *map, const uint8_t *blob, size_t size,
                               cairn_error *err);
void crn_charsmap_dispose(crn_charsmap *map);

/*
 * Bytes of the longest rule that @text[@size] begins with, and the replacement; 0: none.
 * *out_is_open: more text could make it a longer one. Reads nothing outside the table, whatever
 * the table says.
 */
size_t crn_charsmap_longest(const crn_charsmap *map, const char *text, size_t size,
                            const char **out_text, size_t *out_length, bool *out_is_open);

#endif
