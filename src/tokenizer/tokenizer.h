/* What a tokenizer is inside: made by read.c, used by encoder.c, never changed. */
#ifndef CRN_TOKENIZER_TOKENIZER_H
#define CRN_TOKENIZER_TOKENIZER_H

#include "base/str.h"
#include "cairn/tokenizer.h"
#include "os/os.h"
#include "tokenizer/split.h"

enum {
    CRN_TOKENIZER_FILE_MAX = 64 << 20, /* bytes; those of 2024's models have up to 34 million */
    CRN_TOKEN_IDS_MAX = 1 << 22,
    CRN_ADDED_MAX = 1 << 14,
    CRN_ADDED_BYTES_MAX = 4096,
    CRN_SPLITS_MAX = 8,
    CRN_HELD_BYTES_MAX = 64 << 20, /* text in which the first pattern finds no end of a piece */
    CRN_PIECE_BYTES_MAX = 4 << 20  /* what no pattern divides */
};

/* What an id stands for. */
typedef struct crn_token {
    const char *bytes; /* within the text of the tokenizer; NULL: no token has this id */
    uint32_t size;
} crn_token;

/* Two tokens that become one; of all in a piece, the one of the lowest rank does first. */
typedef struct crn_merge {
    uint64_t pair; /* left id << 32 | right id */
    uint32_t rank;
    uint32_t id;
} crn_merge;

typedef struct crn_added {
    char *text; /* yours */
    size_t length;
    uint32_t id;
    bool is_special;
} crn_added;

/* Added tokens that are looked for at the same time: where one begins, the longest counts. */
typedef struct crn_added_set {
    uint32_t *members; /* of the tokenizer's `added`, the longest first */
    size_t count;
    size_t length_max;
    bool begins[256]; /* whether one begins with the byte */
} crn_added_set;

/* Those of `normalized: false` are found first; the others in what is left. */
enum { CRN_ADDED_SETS = 2 };

struct cairn_tokenizer {
    bool is_bytes; /* the tokens are the bytes, and nothing below is set but ids */
    crn_token *tokens;
    size_t token_count;
    char *text; /* the bytes of all tokens of the vocabulary */
    uint32_t byte_ids[256];
    uint32_t *by_bytes; /* [by_bytes_mask + 1] ids and 1; 0 is empty */
    size_t by_bytes_mask;
    crn_merge *merges; /* [merges_mask + 1] an id of UINT32_MAX is empty */
    size_t merges_mask;
    size_t merge_count;
    bool takes_whole_pieces; /* ignore_merges: a piece that is a token is that token */
    bool has_prefix_space;
    crn_added *added;
    size_t added_count;
    size_t added_capacity;
    crn_added_set sets[CRN_ADDED_SETS];
    crn_splitter *splits[CRN_SPLITS_MAX]; /* each divides what the one before left */
    size_t split_count;
};

/* As cairn_tokenizer_open; @os is borrowed until the call returns. */
cairn_status crn_tokenizer_open_os(const crn_os *os, const char *path, cairn_tokenizer **out,
                                   cairn_error *err);

/* Fills @tokenizer from the text of a tokenizer.json. @path is for messages. What it made belongs
 * to @tokenizer, also on failure. CAIRN_EDATA, CAIRN_EUNSUPPORTED, CAIRN_ENOMEM. */
cairn_status crn_tokenizer_read_json(cairn_tokenizer *tokenizer, const char *json, size_t size,
                                     const char *path, cairn_error *err);

/*
 * The token that a text begins with, or that stands at its end, by its usual names; of "bytes" it
 * is the byte 0. False: there is none.
 */
bool crn_tokenizer_begin_id(const cairn_tokenizer *tokenizer, uint32_t *out_id);
bool crn_tokenizer_end_id(const cairn_tokenizer *tokenizer, uint32_t *out_id);

/* ---- Added tokens (added.c) ---- */

/*
 * The first added token of @set in @text[@size] that begins at @from or later and before @until;
 * where several begin, the longest. All that begin before @until must lie within the text, or not
 * at all. Returns its index, and *out_at; UINT32_MAX: none.
 */
uint32_t crn_added_find(const cairn_tokenizer *tokenizer, const crn_added_set *set,
                        const char *text, size_t size, size_t from, size_t until, size_t *out_at);

/* ---- Tables (vocabulary.c) ---- */

/* The bytes that a word of the vocabulary stands for: each character is a byte in the alphabet of
 * GPT-2, in which every byte has a visible character. A word with any other character is its own
 * UTF-8. @out has room for @length bytes; returns how many were written. *out_is_mapped says which.
 */
size_t crn_vocabulary_unmap(const char *word, size_t length, char *out, bool *out_is_mapped);
/* Appends the word that stands for @bytes in that alphabet. */
void crn_vocabulary_map(const char *bytes, size_t size, crn_str *out);

/* Makes room for @ids and @merges, empty. CAIRN_ENOMEM. */
cairn_status crn_vocabulary_reserve(cairn_tokenizer *tokenizer, size_t ids, size_t merges,
                                    cairn_error *err);
/* Makes the token findable by its bytes, which no other has. */
void crn_vocabulary_index(cairn_tokenizer *tokenizer, uint32_t id);
/* False if no token of the vocabulary has these bytes. */
bool crn_vocabulary_find(const cairn_tokenizer *tokenizer, const char *bytes, size_t size,
                         uint32_t *out_id);
/* A pair that is there already is replaced. */
void crn_vocabulary_add_merge(cairn_tokenizer *tokenizer, crn_merge merge);
/* NULL: these two do not merge. */
const crn_merge *crn_vocabulary_merge_of(const cairn_tokenizer *tokenizer, uint32_t left,
                                         uint32_t right);

/* ---- Byte pairs (bpe.c) ---- */

/* Scratch of one encoder, reused by all its pieces. Zeroed is empty. */
typedef struct crn_bpe {
    struct crn_symbol *symbols;
    size_t symbol_capacity;
    struct crn_candidate *heap;
    size_t heap_count;
    size_t heap_capacity;
    uint32_t *ids;
    size_t id_count;
    size_t id_capacity;
} crn_bpe;

void crn_bpe_dispose(crn_bpe *bpe);
/*
 * The tokens of a piece of at least one byte, in bpe->ids [bpe->id_count]. Merges the pair of the
 * lowest rank, the leftmost of equal ones, until none is left (R. Sennrich et al., "Neural Machine
 * Translation of Rare Words with Subword Units", 2016); n log n in the bytes. CAIRN_ENOMEM.
 */
cairn_status crn_bpe_encode(crn_bpe *bpe, const cairn_tokenizer *tokenizer, const char *piece,
                            size_t size, cairn_error *err);

#endif
