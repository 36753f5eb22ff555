/* Text from a checkpoint: the model's shape comes from the parameters kept in the file. */
#include <math.h>
#include <string.h>

#include "app/build.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/try.h"

enum { BYTE_TOKENS = 256, PROMPT_MAX = 1 << 20 };

/* A model with its parameters, loaded. */
struct speaker {
    crn_app_config config;
    cairn_model model;
    cairn_state_tree *tree;
    float *logits;
    int64_t vocab_size;
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
    speaker->vocab_size = ops->vocab_size(speaker->model.self);
    speaker->logits = crn_calloc((size_t)speaker->vocab_size, sizeof *speaker->logits);
    speaker->tokens = crn_calloc(length + options->max_tokens + 1, sizeof *speaker->tokens);
    CRN_NEED(err, speaker->logits, "logits");
    CRN_NEED(err, speaker->tokens, "tokens");
    for (size_t i = 0; i < length; i++)
        speaker->tokens[speaker->count++] = (unsigned char)options->prompt[i];
out:
    cairn_checkpoint_close(ckpt);
    return rc;
}

/* Draws a byte from softmax(logits / temperature); temperature 0 takes the largest. */
static int32_t sample(const float *logits, int64_t count, double temperature, uint64_t seed,
                      uint64_t position)
{
    uint32_t random[4];
    double sum = 0.0;
    int64_t best = 0;
    for (int64_t i = 1; i < count; i++)
        best = logits[i] > logits[best] ? i : best;
    if (temperature <= 0.0)
        return (int32_t)best;
    for (int64_t i = 0; i < count; i++)
        sum += exp(((double)logits[i] - (double)logits[best]) / temperature);
    crn_philox(seed, CRN_STREAM_SAMPLE, position, 0, random);
    double left = crn_uniform_f64(random[0], random[1]) * sum;
    for (int64_t i = 0; i < count; i++) {
        left -= exp(((double)logits[i] - (double)logits[best]) / temperature);
        if (left <= 0.0)
            return (int32_t)i;
    }
    return (int32_t)best; /* Rounding left a sliver. */
}

static cairn_status speak(struct speaker *speaker, const cairn_generate_options *options,
                          cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const int64_t bytes = speaker->vocab_size < BYTE_TOKENS ? speaker->vocab_size : BYTE_TOKENS;
    options->write(options->user, options->prompt, strlen(options->prompt));
    if (speaker->count == 0)
        speaker->tokens[speaker->count++] = 0; /* The byte between two texts begins one. */
    for (uint64_t i = 0; i < options->max_tokens; i++) {
        if (options->stop_requested != NULL && options->stop_requested(options->user) != NULL)
            break;
        CRN_TRY(err,
                speaker->model.ops->next_logits(speaker->model.self, speaker->tokens,
                                                speaker->count, speaker->logits, err),
                "generate token %llu", (unsigned long long)i);
        const int32_t token =
            sample(speaker->logits, bytes, options->temperature, options->seed, i);
        const char byte = (char)token;
        speaker->tokens[speaker->count++] = token;
        options->write(options->user, &byte, 1);
    }
out:
    return rc;
}

cairn_status cairn_app_generate(const cairn_generate_options *options, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct speaker speaker = {0};
    if (!(options->temperature >= 0.0) || isinf(options->temperature))
        CRN_FAIL(err, CAIRN_ECONFIG, "temperature is %g; it must be 0 or more",
                 options->temperature);
    if (options->max_tokens > PROMPT_MAX ||
        strlen(options->prompt) > PROMPT_MAX - options->max_tokens)
        CRN_FAIL(err, CAIRN_ECONFIG, "prompt and max_tokens together are limited to %d",
                 PROMPT_MAX);
    crn_environment_set_threads(options->threads);
    CRN_TRY_PLAIN(speaker_open(&speaker, options, err));
    CRN_TRY_PLAIN(speak(&speaker, options, err));
out:
    speaker_dispose(&speaker);
    return rc;
}
