/* Text from a checkpoint: the model's shape comes from the parameters kept in the file. */
#include <math.h>
#include <string.h>

#include "app/build.h"
#include "app/sampler.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"

enum { BYTE_TOKENS = 256, PROMPT_MAX = 1 << 20 };

/* A model with its parameters, loaded. */
struct speaker {
    crn_app_config config;
    cairn_model model;
    cairn_state_tree *tree;
    float *logits;
    int32_t *tokens;
    int64_t count;
};

static void speaker_dispose(struct speaker *speaker)
{
    if (speaker->model.ops != NULL)
        speaker->model.ops->destroy(speaker->model.self);
    cairn_state_tree_destroy(speaker->tree);
    crn_free(speaker->logits);
    crn_free(speaker->tokens);
    crn_app_config_dispose(&speaker->config);
}

static cairn_status load_model(struct speaker *speaker, cairn_checkpoint *ckpt,
                               const cairn_log *log, cairn_error *err)
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
    CRN_TRY_PLAIN(cairn_state_tree_allocate(speaker->tree, err));
    const cairn_load_options load = {
        .struct_size = sizeof load, .states = "model", .required_state = "model", .log = log};
    CRN_TRY_PLAIN(cairn_checkpoint_load(ckpt, speaker->tree, &load, NULL, err));
out:
    return rc;
}

static cairn_status speaker_open(struct speaker *speaker, const cairn_generate_options *options,
                                 cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_checkpoint *ckpt = NULL;
    const size_t length = strlen(options->prompt);
    CRN_TRY_PLAIN(cairn_checkpoint_open(options->checkpoint_path, &ckpt, err));
    CRN_TRY_PLAIN(load_model(speaker, ckpt, options->log, err));
    const cairn_model_ops *const ops = speaker->model.ops;
    if (ops->next_logits == NULL || ops->vocab_size == NULL)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "the model %s cannot generate", ops->name);
    const int64_t vocab_size = ops->vocab_size(speaker->model.self);
    const int64_t room = vocab_size > BYTE_TOKENS ? vocab_size : BYTE_TOKENS;
    speaker->logits = crn_calloc((size_t)room, sizeof *speaker->logits);
    speaker->tokens = crn_calloc(length + options->max_tokens + 1, sizeof *speaker->tokens);
    CRN_NEED(err, speaker->logits, "logits");
    for (int64_t i = vocab_size; i < room; i++)
        speaker->logits[i] = -INFINITY; /* A byte that the model does not know never comes. */
    CRN_NEED(err, speaker->tokens, "tokens");
    for (size_t i = 0; i < length; i++)
        speaker->tokens[speaker->count++] = (unsigned char)options->prompt[i];
out:
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

static cairn_status speak(struct speaker *speaker, const cairn_generate_options *options,
                          crn_sampler *sampler, struct outlet *outlet, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    bool is_stopped = false;
    options->write(options->user, options->prompt, strlen(options->prompt));
    if (speaker->count == 0)
        speaker->tokens[speaker->count++] = 0; /* The byte between two texts begins one. */
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
        const char byte = (char)token;
        crn_sampler_saw(sampler, token);
        speaker->tokens[speaker->count++] = token;
        CRN_TRY_PLAIN(outlet_add(outlet, &byte, 1, &is_stopped, err));
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
    CRN_TRY_PLAIN(crn_sampler_new(&sampling, BYTE_TOKENS, &sampler, err));
    CRN_TRY_PLAIN(speaker_open(&speaker, options, err));
    CRN_TRY_PLAIN(speak(&speaker, options, sampler, &outlet, err));
out:
    crn_str_dispose(&outlet.held);
    crn_sampler_destroy(sampler);
    speaker_dispose(&speaker);
    return rc;
}
