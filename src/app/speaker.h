/* A model that continues texts, with its tokenizer: of a checkpoint, or of other programs' files.
 */
#ifndef CRN_APP_SPEAKER_H
#define CRN_APP_SPEAKER_H

#include "app/build.h"
#include "interop/hf_model.h"
#include "tokenizer/tokenizer.h"

/* A text as tokens. */
typedef struct crn_spoken {
    const char *prompt; /* borrowed */
    int32_t *tokens;
    size_t count;
    size_t capacity;
} crn_spoken;

typedef struct crn_speaker {
    cairn_model model;
    cairn_tokenizer *tokenizer;
    int64_t vocab_size; /* of the model */
    crn_spoken *texts;  /* [text_count] the prompts, with room for the tokens to come */
    size_t text_count;
    crn_app_config config; /* these own what the model is made of: those of a checkpoint ... */
    cairn_state_tree *tree;
    crn_hf_model foreign; /* ... or of others' files */
} crn_speaker;

/* Opens the tokenizer, encodes the prompts and loads the model. Statuses: cairn_app_generate. @out:
 * dispose of it on success and on failure. */
cairn_status crn_speaker_open(const cairn_generate_options *options, crn_speaker *out,
                              cairn_error *err);
void crn_speaker_dispose(crn_speaker *speaker);

#endif
