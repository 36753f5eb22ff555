/**
 * @file tokenizer.h  Text to tokens and back.
 *
 * A tokenizer is read from a file and never changes. Text goes in piece by piece and the tokens
 * come out as soon as no later text can change them, so memory does not grow with the text:
 *
 *     cairn_tokenizer_open("tokenizer.json", &tokenizer, &err);
 *     cairn_encoder_new(tokenizer, &options, &encoder, &err);    options.emit receives the ids
 *     cairn_encoder_add(encoder, bytes, size, &err);             any number of times
 *     cairn_encoder_finish(encoder, &err);                       end of a text; a next may begin
 *
 * What is read: `tokenizer.json` of Hugging Face with BPE (of bytes: GPT-2, Llama 3 and relatives;
 * of characters: Llama 2, Mistral) or Unigram; models of SentencePiece (BPE, Unigram); and "bytes",
 * whose tokens 0 to 255 are the bytes. The ids are those of the Python packages `tokenizers`, with
 * add_special_tokens=False, and `sentencepiece`, however the text is cut into pieces. The file is
 * untrusted: every size in it is bounded, and what this version does not know is refused by name.
 *
 * Thread safety: a tokenizer may be used by several threads at once; an encoder has one owner.
 */
#ifndef CAIRN_TOKENIZER_H
#define CAIRN_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cairn/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cairn_tokenizer cairn_tokenizer;

/**
 * @param path  A tokenizer.json, a model of SentencePiece, a folder that holds one of them (as
 *              tokenizer.json, else as tokenizer.model), or the word "bytes".
 * @param out   Yours: cairn_tokenizer_destroy.
 * @retval CAIRN_EDATA         The file is missing, unreadable, damaged or contradicts itself.
 * @retval CAIRN_EUNSUPPORTED  It asks for something that this version lacks; the message names it.
 */
CAIRN_API cairn_status cairn_tokenizer_open(const char *path, cairn_tokenizer **out,
                                            cairn_error *err);
/** Accepts NULL. No encoder may use it any more. */
CAIRN_API void cairn_tokenizer_destroy(cairn_tokenizer *tokenizer);

/** The largest id and 1: what a model's vocab_size must be at least. */
CAIRN_API uint32_t cairn_tokenizer_vocab_size(const cairn_tokenizer *tokenizer);
/** "bytes", "BPE" or "Unigram". Static. */
CAIRN_API const char *cairn_tokenizer_kind(const cairn_tokenizer *tokenizer);

/**
 * The bytes that @p id stands for, which need not be whole UTF-8 characters; of a special token its
 * text. A text is the bytes of its tokens one behind another.
 * @return  Borrowed, not NUL-terminated; NULL, and a size of 0, if no token has this id.
 */
CAIRN_API const char *cairn_tokenizer_decode(const cairn_tokenizer *tokenizer, uint32_t id,
                                             size_t *out_size);

/**
 * As cairn_tokenizer_decode, for a token that begins a text: without the space that the tokenizer
 * puts before every text.
 */
CAIRN_API const char *cairn_tokenizer_decode_first(const cairn_tokenizer *tokenizer, uint32_t id,
                                                   size_t *out_size);

/**
 * Number of the added tokens (`added_tokens`), which are found in a text as a whole. Of a model of
 * SentencePiece its control, unknown and user-defined pieces; of these only the last are found.
 */
CAIRN_API size_t cairn_tokenizer_added_count(const cairn_tokenizer *tokenizer);
/** The text of added token @p index, and whether the file calls it special. Borrowed. */
CAIRN_API const char *cairn_tokenizer_added(const cairn_tokenizer *tokenizer, size_t index,
                                            uint32_t *out_id, bool *out_is_special);
/** Finds an added token by its text. */
CAIRN_API bool cairn_tokenizer_find_added(const cairn_tokenizer *tokenizer, const char *text,
                                          uint32_t *out_id);

typedef struct cairn_encoder cairn_encoder;

typedef struct cairn_encoder_options {
    size_t struct_size;
    /** What is no UTF-8 becomes U+FFFD, one for each maximal ill-formed part, as Python's
     *  errors="replace" has it. Without it such text is refused. "bytes" takes all bytes as they
     *  are. */
    bool replace_invalid;
    /** Receives the ids in order, some thousand at a time. A failure ends the call that caused it.
     *  @param ids  Borrowed until it returns. */
    cairn_status (*emit)(void *user, const uint32_t *ids, size_t count, cairn_error *err);
    void *user;
} cairn_encoder_options;

/** @param tokenizer  Borrowed.  @param out  Yours: cairn_encoder_destroy.  @retval CAIRN_ENOMEM */
CAIRN_API cairn_status cairn_encoder_new(const cairn_tokenizer *tokenizer,
                                         const cairn_encoder_options *options, cairn_encoder **out,
                                         cairn_error *err);
/** Accepts NULL. */
CAIRN_API void cairn_encoder_destroy(cairn_encoder *encoder);

/**
 * Takes the next bytes of the text. After a failure the encoder can only be destroyed.
 * @retval CAIRN_EDATA  The text is no UTF-8 (the message has the offset since its beginning), or a
 *                      part that no pattern divides is larger than 4 MiB.
 * Others: what `emit` returned.
 */
CAIRN_API cairn_status cairn_encoder_add(cairn_encoder *encoder, const void *bytes, size_t size,
                                         cairn_error *err);
/** The text ends: hands out the rest. Statuses likewise. */
CAIRN_API cairn_status cairn_encoder_finish(cairn_encoder *encoder, cairn_error *err);
/** Ill-formed parts that became U+FFFD, in all texts so far. */
CAIRN_API uint64_t cairn_encoder_replaced(const cairn_encoder *encoder);

#ifdef __cplusplus
}
#endif
#endif
