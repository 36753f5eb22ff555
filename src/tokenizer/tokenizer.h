/* What a tokenizer is inside: made by read*.c and sentencepiece.c, used by encoder.c, never
 * changed. */
#ifndef CRN_TOKENIZER_TOKENIZER_H
#define CRN_TOKENIZER_TOKENIZER_H

#include "base/str.h"
#include "cairn/tokenizer.h"
#include "os/os.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/split.h"
#include "tokenizer/trie.h"

enum {
    CRN_TOKENIZER_FILE_MAX = 64 << 20, /* bytes; those of 2024's models have up to 34 million */
    CRN_TOKEN_IDS_MAX = 1 << 22,
    CRN_ADDED_MAX = 1 << 14,
    CRN_ADDED_BYTES_MAX = 4096,
    CRN_WORD_BYTES_MAX = 4096, /* of a word of Unigram, or that a user defined */
    CRN_SPLITS_MAX = 8,
    CRN_HELD_BYTES_MAX = 64 << 20, /* text in which the first pattern finds no end of a piece */
    CRN_PIECE_BYTES_MAX = 4 << 20  /* what no pattern divides */
};

/* How a piece becomes tokens. */
typedef enum crn_model {
    CRN_MODEL_BYTES,      /* the tokens are the bytes */
    CRN_MODEL_BYTE_PAIRS, /* from the bytes on, pairs that a list names merge */
    CRN_MODEL_PAIRS,      /* likewise from the characters on */
    CRN_MODEL_JOINS,      /* from the characters on, pairs merge that are a word together */
    CRN_MODEL_UNIGRAM     /* the words whose scores have the largest sum */
} crn_model;

typedef struct crn_token {
    const char *bytes; /* within the tokenizer; NULL: there is none */
    uint32_t size;
} crn_token;

/* Metaspace: a space becomes the mark, and a piece begins with one. */
typedef struct crn_mark {
    char *text; /* yours; NULL: no Metaspace */
    size_t length;
    size_t level;      /* how many patterns divide the text before */
    bool is_put_first; /* before a piece that does not begin with one */
    bool is_put_once;  /* only before the piece that begins the text */
} crn_mark;

/* Two tokens that become one; of all in a piece, the one of the lowest rank does first. */
typedef struct crn_merge {
    uint64_t pair; /* left id << 32 | right id */
    uint32_t rank;
    uint32_t id;
} crn_merge;

typedef struct crn_added {
    char *text; /* yours */
    size_t length;
    crn_str sought; /* what is looked for: the text, normalized if the text is */
    crn_str shown;  /* what it is in a text, by the decoder */
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
    crn_model model;
    crn_token *tokens; /* [token_count] what an id stands for in a text */
    crn_token *words;  /* [token_count] what the model looks for; for bytes NULL */
    size_t token_count;
    char *text;      /* the bytes of `tokens` */
    char *word_text; /* the bytes of `words` */
    uint32_t byte_ids[256];
    bool has_byte_ids;  /* bytes of a character that is no word are tokens, the ids above */
    bool has_unknown;   /* a character that has no token at all becomes this one; else nothing */
    bool fuses_unknown; /* a run of them is one */
    uint32_t unknown_id;
    uint32_t *by_bytes; /* [by_bytes_mask + 1] ids and 1 of words; 0 is empty */
    size_t by_bytes_mask;
    crn_merge *merges; /* [merges_mask + 1] an id of UINT32_MAX is empty */
    size_t merges_mask;
    bool takes_whole_pieces;  /* ignore_merges: a piece that is a token is that token */
    double *scores;           /* [token_count] JOINS, UNIGRAM */
    double unknown_score;     /* UNIGRAM: of a character that is no word */
    bool has_float_sums;      /* UNIGRAM: sums of scores are rounded to float */
    crn_trie words_by_prefix; /* UNIGRAM */
    crn_trie user_defined;    /* of SentencePiece: never normalized, never merged */
    crn_map neighbours;       /* characters that stand side by side in a word: first << 32 | next */
    bool has_prefix_space;
    size_t first_spaces; /* that a token which begins a text loses; the encoder put them there */
    crn_mark mark;
    crn_normalizer *normalizer; /* NULL: the text stays as it is */
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
/* Likewise from a model of SentencePiece: its ModelProto. */
cairn_status crn_tokenizer_read_model(cairn_tokenizer *tokenizer, const char *bytes, size_t size,
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
/* Makes the word findable by its bytes, which no other has. */
void crn_vocabulary_index(cairn_tokenizer *tokenizer, uint32_t id);
/* False if no word of the vocabulary has these bytes. */
bool crn_vocabulary_find(const cairn_tokenizer *tokenizer, const char *bytes, size_t size,
                         uint32_t *out_id);
/* A pair that is there already is replaced. */
void crn_vocabulary_add_merge(cairn_tokenizer *tokenizer, crn_merge merge);
/* NULL: these two do not merge. */
const crn_merge *crn_vocabulary_merge_of(const cairn_tokenizer *tokenizer, uint32_t left,
                                         uint32_t right);

/* The byte that "<0x0A>" names; -1: the word is no name of a byte. */
int crn_vocabulary_byte_of(const char *word, size_t length);

/* ---- Where a text without pieces may be cut (cut.c) ---- */

/* Takes note of the characters that stand side by side in a word. CAIRN_ENOMEM. */
cairn_status crn_cut_note(cairn_tokenizer *tokenizer, const char *word, size_t size,
                          cairn_error *err);
/*
 * The first place behind @from, where a character begins, at which @text[@size] may be cut without
 * a change of any token: no word has these two neighbours, and no unknown character stands before
 * it. SIZE_MAX: none, or what follows the text decides.
 */
size_t crn_cut_find(const cairn_tokenizer *tokenizer, const char *text, size_t size, size_t from);

/* ---- Byte pairs (bpe.c) and Unigram (unigram.c) ---- */

/* Scratch of one encoder, reused by all its pieces. Zeroed is empty. */
typedef struct crn_bpe {
    const char *piece; /* borrowed, while it is encoded */
    struct crn_symbol *symbols;
    size_t symbol_count;
    size_t symbol_capacity;
    struct crn_candidate *heap;
    size_t heap_count;
    size_t heap_capacity;
    uint32_t *ids; /* also of Unigram */
    size_t id_count;
    size_t id_capacity;
    struct crn_best *best; /* Unigram: [size + 1] of a piece */
    size_t best_capacity;
    double score; /* Unigram: of the text before the piece; the piece adds its own */
} crn_bpe;

void crn_bpe_dispose(crn_bpe *bpe);
/*
 * The tokens of a piece of at least one byte, in bpe->ids [bpe->id_count]. Merges the pair of the
 * lowest rank, the leftmost of equal ones, until none is left (R. Sennrich et al., "Neural Machine
 * Translation of Rare Words with Subword Units", 2016); n log n in the bytes. @is_whole: the piece
 * is not a part, cut for our convenience. CAIRN_ENOMEM.
 */
cairn_status crn_bpe_encode(crn_bpe *bpe, const cairn_tokenizer *tokenizer, const char *piece,
                            size_t size, bool is_whole, cairn_error *err);
/*
 * Likewise by Unigram: Viterbi's algorithm (T. Kudo, "Subword Regularization", 2018). Of paths with
 * the same sum, the one found first counts: whose last word begins earlier. CAIRN_ENOMEM.
 */
cairn_status crn_unigram_encode(crn_bpe *scratch, const cairn_tokenizer *tokenizer,
                                const char *piece, size_t size, cairn_error *err);
/* Adds the tokens of a character that is no word: its bytes, or the unknown one. The room is there.
 */
void crn_bpe_put_unknown(crn_bpe *bpe, const cairn_tokenizer *tokenizer, const char *character,
                         size_t size, bool follows_unknown);

#endif
