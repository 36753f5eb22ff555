/* A tokenizer as llama.cpp wants it in a GGUF file. */
#ifndef CRN_INTEROP_GGUF_TOKENIZER_H
#define CRN_INTEROP_GGUF_TOKENIZER_H

#include "interop/gguf_pairs.h"

/*
 * Puts tokenizer.ggml.* for the tokenizer @path, as of cairn_tokenizer_open, of a model with
 * @vocab_size tokens; those that the tokenizer lacks are called unused. NULL: says that there is no
 * vocabulary.
 * EDATA: the tokenizer cannot be read.  EUNSUPPORTED: llama.cpp has no name for how it divides
 * text.  EINCOMPATIBLE: it has more tokens than the model.  ENOMEM.
 */
cairn_status crn_gguf_put_tokenizer(const char *path, int64_t vocab_size, crn_gguf_pairs *out,
                                    cairn_error *err);

#endif
