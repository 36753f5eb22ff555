/* Texts that a model continues. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "app/sampler.h"
#include "app/speaker.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "format/utf8.h"

enum { PROMPT_MAX = 1 << 20 };

/* ---- What goes out ---- */

/* What is written, held back as long as it may be the beginning of a stop text or of a character.
 */
struct outlet {
    const cairn_generate_options *options;
    crn_str held;
    crn_str said; /* with as_json, what was let out */
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

/* Bytes at the end of the held text that begin a character of UTF-8 and do not end it: a token need
 * not be whole characters, but what is written is, for those who read along. */
static size_t open_character(const struct outlet *outlet)
{
    const size_t length = outlet->held.length;
    for (size_t n = 1; n <= 3 && n <= length; n++) {
        const uint8_t byte = (uint8_t)outlet->held.text[length - n];
        if ((byte & 0xc0) == 0x80)
            continue;
        const size_t whole = byte < 0xc0 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
        return whole > n ? n : 0;
    }
    return 0;
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
    if (outlet->options->as_json)
        crn_str_append_bytes(&outlet->said, outlet->held.text, count);
    else
        outlet->options->write(outlet->options->user, outlet->held.text, count);
    crn_str_drop(&outlet->held, count);
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
        const size_t stop_part = possible_stop(outlet);
        const size_t character_part = open_character(outlet);
        let_out(outlet,
                outlet->held.length - (stop_part > character_part ? stop_part : character_part));
    }
out:
    return rc;
}

/* Appends @text as a JSON string; what is no UTF-8 becomes U+FFFD, byte by byte. */
static cairn_status append_text(crn_str *out, const char *text, size_t size, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str clean = {0};
    for (size_t at = 0; at < size;) {
        const size_t good = crn_utf8_check((const uint8_t *)text + at, size - at);
        crn_str_append_bytes(&clean, text + at, good);
        at += good;
        if (at < size) {
            crn_str_append(&clean, "\xef\xbf\xbd");
            at++;
        }
    }
    CRN_TRY_PLAIN(crn_str_check(&clean, err));
    crn_str_append_json(out, clean.text != NULL ? clean.text : "", clean.length);
out:
    crn_str_dispose(&clean);
    return rc;
}

/* ---- One text ---- */

/* What a text needs besides its tokens. */
struct talk {
    const cairn_generate_options *options;
    crn_speaker speaker;
    crn_sampler *sampler;
    struct outlet outlet;
    float *logits; /* of the model's tokens and the tokenizer's, whichever are more */
    bool has_told_of_length;
    bool is_interrupted;
};

/* A model keeps the end of a text in sight. */
static void tell_of_length(struct talk *talk, size_t count)
{
    const cairn_model *const model = &talk->speaker.model;
    const int64_t limit =
        model->ops->max_sequence_length != NULL ? model->ops->max_sequence_length(model->self) : 0;
    if (limit == 0 || (int64_t)count <= limit || talk->has_told_of_length)
        return;
    talk->has_told_of_length = true;
    cairn_log_message(talk->options->log, CAIRN_LOG_WARNING,
                      "the text is longer than the %lld tokens that the model can see; from here "
                      "on it does not see the beginning",
                      (long long)limit);
}

/* The next token of @text, written; *out_reason: why it was the last. */
static cairn_status say_token(struct talk *talk, crn_spoken *text, uint64_t number,
                              const char **out_reason, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_model *const model = &talk->speaker.model;
    bool is_stopped = false;
    size_t size = 0;
    tell_of_length(talk, text->count);
    CRN_TRY(
        err,
        model->ops->next_logits(model->self, text->tokens, (int64_t)text->count, talk->logits, err),
        "generate token %" PRIu64, number);
    const int32_t token = crn_sampler_next(talk->sampler, talk->logits, number);
    const bool begins_text = number == 0 && text->prompt[0] == '\0';
    const char *const bytes =
        begins_text ? cairn_tokenizer_decode_first(talk->speaker.tokenizer, (uint32_t)token, &size)
                    : cairn_tokenizer_decode(talk->speaker.tokenizer, (uint32_t)token, &size);
    crn_sampler_saw(talk->sampler, token);
    text->tokens[text->count++] = token;
    CRN_TRY_PLAIN(outlet_add(&talk->outlet, bytes != NULL ? bytes : "", size, &is_stopped, err));
    if (is_stopped)
        *out_reason = "stop";
out:
    return rc;
}

/* All tokens that are wanted of @text. */
static cairn_status say(struct talk *talk, crn_spoken *text, const char **out_reason,
                        cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_generate_options *const o = talk->options;
    *out_reason = NULL;
    for (uint64_t i = 0; i < o->max_tokens && *out_reason == NULL; i++) {
        talk->is_interrupted = o->stop_requested != NULL && o->stop_requested(o->user) != NULL;
        if (talk->is_interrupted)
            *out_reason = "interrupted";
        else
            CRN_TRY_PLAIN(say_token(talk, text, i, out_reason, err));
    }
    let_out(&talk->outlet, talk->outlet.held.length);
    if (*out_reason == NULL)
        *out_reason = "max_tokens";
out:
    return rc;
}

static cairn_status write_json(struct talk *talk, const crn_spoken *text, size_t prompt_tokens,
                               const char *reason, int64_t ns, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_generate_options *const o = talk->options;
    crn_str line = {0};
    CRN_TRY_PLAIN(crn_str_check(&talk->outlet.said, err));
    crn_str_append(&line, "{\"prompt\":");
    CRN_TRY_PLAIN(append_text(&line, text->prompt, strlen(text->prompt), err));
    crn_str_append(&line, ",\"text\":");
    CRN_TRY_PLAIN(append_text(&line, talk->outlet.said.text, talk->outlet.said.length, err));
    crn_str_printf(&line,
                   ",\"prompt_tokens\":%zu,\"tokens\":%zu,\"reason\":\"%s\",\"seconds\":%.3f}\n",
                   prompt_tokens, text->count - prompt_tokens, reason, (double)ns * 1e-9);
    CRN_TRY_PLAIN(crn_str_check(&line, err));
    o->write(o->user, line.text, line.length);
out:
    crn_str_dispose(&line);
    return rc;
}

static cairn_status say_text(struct talk *talk, size_t index, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_generate_options *const o = talk->options;
    const crn_os *const os = crn_os_posix();
    crn_spoken *const text = &talk->speaker.texts[index];
    const size_t prompt_tokens = text->count;
    const int64_t begin_ns = os->monotonic_ns(os);
    const char *reason = NULL;
    if (!o->as_json && index > 0)
        o->write(o->user, "\n", 1);
    if (!o->as_json)
        o->write(o->user, text->prompt, strlen(text->prompt));
    crn_sampler_forget(talk->sampler);
    for (size_t i = 0; i < text->count; i++)
        crn_sampler_saw(talk->sampler, text->tokens[i]);
    talk->outlet.said.length = 0;
    CRN_TRY_PLAIN(say(talk, text, &reason, err));
    if (o->as_json)
        CRN_TRY_PLAIN(
            write_json(talk, text, prompt_tokens, reason, os->monotonic_ns(os) - begin_ns, err));
    else
        o->write(o->user, "\n", 1);
out:
    return rc;
}

/* ---- All of them ---- */

static cairn_status check_options(const cairn_generate_options *options, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t longest = 0;
    for (size_t i = 0; i < options->prompt_count; i++) {
        const size_t length = strlen(options->prompts[i]);
        longest = length > longest ? length : longest;
    }
    if (options->max_tokens > PROMPT_MAX || longest > PROMPT_MAX - options->max_tokens)
        CRN_FAIL(err, CAIRN_ECONFIG, "prompt and max_tokens together are limited to %d",
                 PROMPT_MAX);
    for (size_t i = 0; i < options->stop_count; i++) {
        if (options->stops[i][0] == '\0')
            CRN_FAIL(err, CAIRN_ECONFIG, "a stop text is empty");
    }
out:
    return rc;
}

/* A token that the model does not know never comes. */
static cairn_status make_logits(struct talk *talk, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const int64_t known = talk->speaker.vocab_size;
    const int64_t ids = cairn_tokenizer_vocab_size(talk->speaker.tokenizer);
    const int64_t room = known > ids ? known : ids;
    talk->logits = crn_calloc((size_t)room, sizeof *talk->logits);
    CRN_NEED(err, talk->logits, "logits");
    for (int64_t i = known; i < room; i++)
        talk->logits[i] = -INFINITY;
out:
    return rc;
}

cairn_status cairn_app_generate(const cairn_generate_options *options, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct talk talk = {.options = options, .outlet = {.options = options}};
    const crn_sampler_options sampling = {.temperature = options->temperature,
                                          .top_k = options->top_k,
                                          .top_p = options->top_p,
                                          .repetition_penalty = options->repetition_penalty,
                                          .seed = options->seed};
    CRN_TRY_PLAIN(check_options(options, err));
    CRN_TRY_PLAIN(crn_sampler_check(&sampling, err));
    crn_environment_set_threads(options->threads);
    CRN_TRY_PLAIN(crn_speaker_open(options, &talk.speaker, err));
    CRN_TRY_PLAIN(crn_sampler_new(&sampling, cairn_tokenizer_vocab_size(talk.speaker.tokenizer),
                                  &talk.sampler, err));
    CRN_TRY_PLAIN(make_logits(&talk, err));
    for (size_t i = 0; i < talk.speaker.text_count && !talk.is_interrupted; i++)
        CRN_TRY_PLAIN(say_text(&talk, i, err));
out:
    crn_free(talk.logits);
    crn_str_dispose(&talk.outlet.held);
    crn_str_dispose(&talk.outlet.said);
    crn_sampler_destroy(talk.sampler);
    crn_speaker_dispose(&talk.speaker);
    return rc;
}
