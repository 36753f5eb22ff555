/* Words by their beginnings: which of them begin here in a text. */
#ifndef CRN_TOKENIZER_TRIE_H
#define CRN_TOKENIZER_TRIE_H

#include "tokenizer/map.h"

/* Zeroed is empty. Node 0 is the root, which every search begins at. */
typedef struct crn_trie {
    crn_map edges;  /* node << 8 | byte -> node */
    uint32_t *ends; /* [node_count] id and 1 of the word that ends at the node; 0: none does */
    size_t node_count;
    size_t capacity;
} crn_trie;

void crn_trie_dispose(crn_trie *trie);
/* A word of at least one byte; one that is there gets the new id. CAIRN_ENOMEM. */
cairn_status crn_trie_add(crn_trie *trie, const char *word, size_t size, uint32_t id,
                          cairn_error *err);
/* The node behind @byte; 0: no word goes on so. */
uint32_t crn_trie_step(const crn_trie *trie, uint32_t node, uint8_t byte);
/* False: no word ends at the node. */
bool crn_trie_end(const crn_trie *trie, uint32_t node, uint32_t *out_id);
/*
 * Bytes of the longest word that @text[@size] begins with; 0: none. *out_is_open: more text could
 * make it a longer one.
 */
size_t crn_trie_longest(const crn_trie *trie, const char *text, size_t size, bool *out_is_open);

#endif
