/* Text from a checkpoint: the model's shape comes from the parameters kept in the file. */
#include <math.h>
#include <string.h>

#include "app/build.h"
#include "app/sampler.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "cairn/tokenizer.h"
#include "interop/adapters.h"

enum { PROMPT_MAX = 1 << 20 };

/* A model with its parameters, loaded. */
struct speaker {
    crn_app_config config;
    cairn_model model;
    cairn_state_tree *tree;
    cairn_tokenizer *tokenizer;
    int64_t vocab_size; /* of the model */
    float *logits;      /* of the model's tokens and the tokenizer's, whichever are more */
    int32_t *tokens;
    int64_t count;
    int64_t room; /* tokens of the prompt, at most */
};

static void speaker_dispose(struct speaker *speaker)
{
    if (speaker->model.ops != NULL)
        speaker->model.ops->destroy(speaker->model.self);
    cairn_state_tree_destroy(speaker->tree);
    cairn_tokenizer_destroy(speaker->tokenizer);
    crn_free(speaker->logits);
    crn_free(speaker->tokens);
    crn_app_config_dispose(&speaker->config);
}

/* @lora: the checkpoint that the adapters come from; NULL: there are none. */
static cairn_status load_model(struct speaker *speaker, cairn_checkpoint *ckpt,
                               cairn_checkpoint *lora, const cairn_log *log, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const path = cairn_checkpoint_get_info(ckpt)->path;
    cairn_state *state = NULL;
    if (cairn_checkpoint_params(ckpt) == NULL)
        CRN_FAIL(err, CAIRN_EINCOMPATIBLE,
                 "'%s' holds no parameters that tell the model's shape; it was not saved by "
                 "`cairn fit`",
                 path);
    CRN_TRY_PLAIN(
        crn_app_config_read_model(cairn_checkpoint_params(ckpt), path, &speaker->config, err));
    const crn_choice *const choice = &speaker->config.model;
    CRN_TRY_PLAIN(choice->class->make(choice->options, &speaker->model, err));
    CRN_TRY_PLAIN(cairn_state_tree_new(&speaker->tree, err));
    CRN_TRY_PLAIN(cairn_state_tree_add(speaker->tree, "model", &state, err));
    CRN_TRY_PLAIN(speaker->model.ops->declare(speaker->model.self, state, err));
    if (lora != NULL)
        CRN_TRY_PLAIN(crn_adapters_declare(&speaker->model, speaker->tree, lora, err));
    CRN_TRY_PLAIN(cairn_state_tree_allocate(speaker->tree, err));
    const cairn_load_options load = {
        .struct_size = sizeof load, .states = "model", .required_state = "model", .log = log};
    CRN_TRY_PLAIN(cairn_checkpoint_load(ckpt, speaker->tree, &load, NULL, err));
    if (lora != NULL)
        CRN_TRY_PLAIN(crn_adapters_load(lora, speaker->tree, log, err));
out:
    return rc;
}

static cairn_status take_prompt(void *user, const uint32_t *ids, size_t count, cairn_error *err)
{
    struct speaker *const speaker = user;
    cairn_status rc = CAIRN_OK;
    for (size_t i = 0; i < count; i++) {
        if (ids[i] >= speaker->vocab_size || speaker->count == speaker->room)
            CRN_FAIL(err, CAIRN_ECONFIG,
                     "the prompt has the token %u, but the model's vocab_size is %lld: it was "
                     "trained with another tokenizer",
                     ids[i], (long long)speaker->vocab_size);
        speaker->tokens[speaker->count++] = (int32_t)ids[i];
    }
out:
    return rc;
}

static cairn_status encode_prompt(struct speaker *speaker, const char *prompt, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_encoder *encoder = NULL;
    const cairn_encoder_options options = {
        .struct_size = sizeof options, .emit = take_prompt, .user = speaker};
    CRN_TRY_PLAIN(cairn_encoder_new(speaker->tokenizer, &options, &encoder, err));
    CRN_TRY(err, cairn_encoder_add(encoder, prompt, strlen(prompt), err), "prompt");
    CRN_TRY(err, cairn_encoder_finish(encoder, err), "prompt");
out:
    cairn_encoder_destroy(encoder);
    return rc;
}

static cairn_status speaker_open(struct speaker *speaker, const cairn_generate_options *options,
                                 cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_checkpoint *ckpt = NULL;
    cairn_checkpoint *other = NULL;
    const int64_t ids = cairn_tokenizer_vocab_size(speaker->tokenizer);
    CRN_TRY_PLAIN(cairn_checkpoint_open(options->checkpoint_path, &ckpt, err));
    if (options->lora_path != NULL)
        CRN_TRY_PLAIN(cairn_checkpoint_open(options->lora_path, &other, err));
    cairn_checkpoint *const own =
        cairn_checkpoint_has_state(ckpt, CRN_ADAPTERS_STATE) ? ckpt : NULL;
    CRN_TRY_PLAIN(load_model(speaker, ckpt, other != NULL ? other : own, options->log, err));
    const cairn_model_ops *const ops = speaker->model.ops;
    if (ops->next_logits == NULL || ops->vocab_size == NULL)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "the model %s cannot generate", ops->name);
    speaker->vocab_size = ops->vocab_size(speaker->model.self);
    const int64_t room = speaker->vocab_size > ids ? speaker->vocab_size : ids;
    /* A token is a byte at least, or a space that the tokenizer puts after another. */
    speaker->room = 2 * (int64_t)strlen(options->prompt) + 1;
    speaker->logits = crn_calloc((size_t)room, sizeof *speaker->logits);
    speaker->tokens =
        crn_calloc((size_t)speaker->room + options->max_tokens + 1, sizeof *speaker->tokens);
    CRN_NEED(err, speaker->logits, "logits");
    for (int64_t i = speaker->vocab_size; i < room; i++)
        speaker->logits[i] = -INFINITY; /* A token that the model does not know never comes. */
    CRN_NEED(err, speaker->tokens, "tokens");
    CRN_TRY_PLAIN(encode_prompt(speaker, options->prompt, err));
out:
    cairn_checkpoint_close(other);
    cairn_checkpoint_close(ckpt);
    return rc;
}

/* What is written, held back as long as it may be the beginning of a stop text. */
struct outlet {
    const cairn_generate_options *options;
    crn_str held;
};

/* Length of the longest end of the held text that a stop text begins with. */
static size_t possible_stop(const struct outlet *outlet)
{
    const cairn_generate_options *const o = outlet->options;
    size_t longest = 0;
    for (size_t i = 0; i < o->stop_count; i++) {
        const size_t length = strlen(o->stops[i]);
        for (size_t n = longest + 1; n <= length && n <= outlet->held.length; n++) {
            if (memcmp(outlet->held.text + outlet->held.length - n, o->stops[i], n) == 0)
                longest = n;
        }
    }
    return longest;
}

/* Where the first stop text begins; SIZE_MAX if there is none. */
static size_t find_stop(const struct outlet *outlet)
{
    const cairn_generate_options *const o = outlet->options;
    size_t first = SIZE_MAX;
    for (size_t i = 0; i < o->stop_count; i++) {
        const size_t length = strlen(o->stops[i]);
        const char *const at = memmem(outlet->held.text, outlet->held.length, o->stops[i], length);
        if (at != NULL && (size_t)(at - outlet->held.text) < first)
            first = (size_t)(at - outlet->held.text);
    }
    return first;
}

static void let_out(struct outlet *outlet, size_t count)
{
    if (count == 0)
        return;
    outlet->options->write(outlet->options->user, outlet->held.text, count);
    outlet->held.length -= count;
    memmove(outlet->held.text, outlet->held.text + count, outlet->held.length);
}

/* Takes a piece of the text; *out_stopped: a stop text is complete, all before it is written. */
static cairn_status outlet_add(struct outlet *outlet, const char *bytes, size_t count,
                               bool *out_stopped, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str_append_bytes(&outlet->held, bytes, count);
    CRN_TRY_PLAIN(crn_str_check(&outlet->held, err));
    const size_t stop = find_stop(outlet);
    *out_stopped = stop != SIZE_MAX;
    if (*out_stopped) {
        let_out(outlet, stop);
        outlet->held.length = 0;
    } else {
        let_out(outlet, outlet->held.length - possible_stop(outlet));
    }
out:
    return rc;
}

/* What stands before a text: for bytes, and where nothing better is known, 0. */
static int32_t first_token(const struct speaker *speaker)
{
    static const char *const k_usual[] = {"<|begin_of_text|>", "<|endoftext|>", "<s>"};
    uint32_t id = 0;
    for (size_t i = 0; i < sizeof k_usual / sizeof k_usual[0]; i++) {
        if (cairn_tokenizer_find_added(speaker->tokenizer, k_usual[i], &id) &&
            id < speaker->vocab_size)
            return (int32_t)id;
    }
    return 0;
}

static cairn_status speak(struct speaker *speaker, const cairn_generate_options *options,
                          crn_sampler *sampler, struct outlet *outlet, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    bool is_stopped = false;
    options->write(options->user, options->prompt, strlen(options->prompt));
    if (speaker->count == 0)
        speaker->tokens[speaker->count++] = first_token(speaker);
    for (int64_t i = 0; i < speaker->count; i++)
        crn_sampler_saw(sampler, speaker->tokens[i]);
    for (uint64_t i = 0; i < options->max_tokens && !is_stopped; i++) {
        if (options->stop_requested != NULL && options->stop_requested(options->user) != NULL)
            break;
        CRN_TRY(err,
                speaker->model.ops->next_logits(speaker->model.self, speaker->tokens,
                                                speaker->count, speaker->logits, err),
                "generate token %llu", (unsigned long long)i);
        const int32_t token = crn_sampler_next(sampler, speaker->logits, i);
        size_t size = 0;
        const char *const bytes =
            cairn_tokenizer_decode(speaker->tokenizer, (uint32_t)token, &size);
        crn_sampler_saw(sampler, token);
        speaker->tokens[speaker->count++] = token;
        CRN_TRY_PLAIN(outlet_add(outlet, bytes != NULL ? bytes : "", size, &is_stopped, err));
    }
    if (!is_stopped)
        let_out(outlet, outlet->held.length);
out:
    return rc;
}

static cairn_status check_options(const cairn_generate_options *options, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (options->max_tokens > PROMPT_MAX ||
        strlen(options->prompt) > PROMPT_MAX - options->max_tokens)
        CRN_FAIL(err, CAIRN_ECONFIG, "prompt and max_tokens together are limited to %d",
                 PROMPT_MAX);
    for (size_t i = 0; i < options->stop_count; i++) {
        if (options->stops[i][0] == '\0')
            CRN_FAIL(err, CAIRN_ECONFIG, "a stop text is empty");
    }
out:
    return rc;
}

cairn_status cairn_app_generate(const cairn_generate_options *options, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct speaker speaker = {0};
    struct outlet outlet = {.options = options};
    crn_sampler *sampler = NULL;
    const crn_sampler_options sampling = {.temperature = options->temperature,
                                          .top_k = options->top_k,
                                          .top_p = options->top_p,
                                          .repetition_penalty = options->repetition_penalty,
                                          .seed = options->seed};
    CRN_TRY_PLAIN(check_options(options, err));
    crn_environment_set_threads(options->threads);
    CRN_TRY_PLAIN(cairn_tokenizer_open(options->tokenizer != NULL ? options->tokenizer : "bytes",
                                       &speaker.tokenizer, err));
    CRN_TRY_PLAIN(
        crn_sampler_new(&sampling, cairn_tokenizer_vocab_size(speaker.tokenizer), &sampler, err));
    CRN_TRY_PLAIN(speaker_open(&speaker, options, err));
    CRN_TRY_PLAIN(speak(&speaker, options, sampler, &outlet, err));
out:
    crn_str_dispose(&outlet.held);
    crn_sampler_destroy(sampler);
    speaker_dispose(&speaker);
    return rc;
}
