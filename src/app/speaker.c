#include "app/speaker.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "cairn/interop.h"
#include "interop/adapters.h"
#include "interop/source.h"

void crn_speaker_dispose(crn_speaker *speaker)
{
    /* Of others' files it belongs to `foreign`. */
    if (speaker->model.ops != NULL && speaker->foreign.tree == NULL)
        speaker->model.ops->destroy(speaker->model.self);
    cairn_state_tree_destroy(speaker->tree);
    crn_hf_model_dispose(&speaker->foreign);
    cairn_tokenizer_destroy(speaker->tokenizer);
    for (size_t i = 0; i < speaker->text_count; i++)
        crn_free(speaker->texts[i].tokens);
    crn_free(speaker->texts);
    crn_app_config_dispose(&speaker->config);
    *speaker = (crn_speaker){0};
}

/* ---- Tokens ---- */

/* Whether a folder has a tokenizer, under one of the names that cairn_tokenizer_open knows. */
static cairn_status find_own(const char *folder, bool *out_found, cairn_error *err)
{
    static const char *const k_names[] = {"tokenizer.json", "tokenizer.model"};
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = crn_os_posix();
    crn_str inside = {0};
    crn_file_stat info;
    *out_found = false;
    for (size_t i = 0; i < sizeof k_names / sizeof k_names[0] && !*out_found; i++) {
        inside.length = 0;
        crn_str_printf(&inside, "%s/%s", folder, k_names[i]);
        CRN_TRY_PLAIN(crn_str_check(&inside, err));
        *out_found = os->stat(os, CRN_OS_CWD, inside.text, &info) == 0;
    }
out:
    crn_str_dispose(&inside);
    return rc;
}

static cairn_status open_tokenizer(const cairn_generate_options *options, crn_source_kind kind,
                                   crn_speaker *speaker, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const path = options->checkpoint_path;
    bool has_own = false;
    if (kind == CRN_SOURCE_HF)
        CRN_TRY_PLAIN(find_own(path, &has_own, err));
    if (options->tokenizer == NULL && kind != CRN_SOURCE_CHECKPOINT && !has_own)
        CRN_FAIL(err, CAIRN_ECONFIG, "'%s' %s; name the model's tokenizer, or bytes", path,
                 kind == CRN_SOURCE_HF ? "has no tokenizer.json and no tokenizer.model"
                                       : "comes without a tokenizer that is read");
    CRN_TRY_PLAIN(cairn_tokenizer_open(options->tokenizer != NULL ? options->tokenizer
                                       : has_own                  ? path
                                                                  : "bytes",
                                       &speaker->tokenizer, err));
out:
    return rc;
}

static cairn_status take_ids(void *user, const uint32_t *ids, size_t count, cairn_error *err)
{
    crn_spoken *const text = user;
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(
        crn_grow(&text->tokens, &text->capacity, text->count + count, sizeof *text->tokens, err));
    for (size_t i = 0; i < count; i++)
        text->tokens[text->count++] = (int32_t)ids[i];
out:
    return rc;
}

static cairn_status put_first(const cairn_tokenizer *tokenizer, crn_spoken *text, cairn_error *err)
{
    uint32_t first = 0; /* where nothing better is known */
    (void)crn_tokenizer_begin_id(tokenizer, &first);
    return take_ids(text, &first, 1, err);
}

static cairn_status encode(const cairn_tokenizer *tokenizer, bool adds_first, crn_spoken *text,
                           cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_encoder *encoder = NULL;
    const cairn_encoder_options options = {
        .struct_size = sizeof options, .emit = take_ids, .user = text};
    if (adds_first)
        CRN_TRY_PLAIN(put_first(tokenizer, text, err));
    CRN_TRY_PLAIN(cairn_encoder_new(tokenizer, &options, &encoder, err));
    CRN_TRY(err, cairn_encoder_add(encoder, text->prompt, strlen(text->prompt), err), "prompt");
    CRN_TRY(err, cairn_encoder_finish(encoder, err), "prompt");
    if (text->count == 0)
        CRN_TRY_PLAIN(put_first(tokenizer, text, err));
out:
    cairn_encoder_destroy(encoder);
    return rc;
}

/* Encodes the prompts; *out_positions: tokens of the longest text that there can be. */
static cairn_status encode_all(const cairn_generate_options *options, crn_speaker *speaker,
                               int64_t *out_positions, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t longest = 0;
    const size_t count = options->prompt_count > 0 ? options->prompt_count : 1;
    speaker->texts = crn_calloc(count, sizeof *speaker->texts);
    CRN_NEED(err, speaker->texts, "prompts");
    for (; speaker->text_count < count; speaker->text_count++) {
        crn_spoken *const text = &speaker->texts[speaker->text_count];
        text->prompt = options->prompt_count > 0 ? options->prompts[speaker->text_count] : "";
        CRN_TRY_PLAIN(encode(speaker->tokenizer, options->adds_first, text, err));
        longest = text->count > longest ? text->count : longest;
        CRN_TRY_PLAIN(crn_grow(&text->tokens, &text->capacity, text->count + options->max_tokens,
                               sizeof *text->tokens, err));
    }
    *out_positions = (int64_t)(longest + options->max_tokens);
out:
    return rc;
}

/* Of all tokens; one that only begins an empty text may be another. */
static cairn_status check_ids(crn_speaker *speaker, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (size_t i = 0; i < speaker->text_count; i++) {
        crn_spoken *const text = &speaker->texts[i];
        if (text->prompt[0] == '\0' && text->tokens[0] >= speaker->vocab_size)
            text->tokens[0] = 0;
        for (size_t j = 0; j < text->count; j++) {
            if (text->tokens[j] >= speaker->vocab_size)
                CRN_FAIL(err, CAIRN_ECONFIG,
                         "the prompt has the token %d, but the model's vocab_size is %lld: it was "
                         "trained with another tokenizer",
                         (int)text->tokens[j], (long long)speaker->vocab_size);
        }
    }
out:
    return rc;
}

/* ---- The model ---- */

/* @lora: the checkpoint that the adapters come from; NULL: there are none. */
static cairn_status load_states(crn_speaker *speaker, cairn_checkpoint *ckpt,
                                cairn_checkpoint *lora, const cairn_log *log, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_state *state = NULL;
    if (cairn_checkpoint_params(ckpt) == NULL)
        CRN_FAIL(err, CAIRN_EINCOMPATIBLE, "'%s' holds no parameters that tell the model's shape",
                 cairn_checkpoint_get_info(ckpt)->path);
    CRN_TRY_PLAIN(crn_app_config_read_model(cairn_checkpoint_params(ckpt),
                                            cairn_checkpoint_get_info(ckpt)->path, &speaker->config,
                                            err));
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

static cairn_status load_checkpoint(crn_speaker *speaker, const cairn_generate_options *options,
                                    cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_checkpoint *ckpt = NULL;
    cairn_checkpoint *other = NULL;
    cairn_checkpoint *lora = NULL;
    CRN_TRY_PLAIN(cairn_checkpoint_import(options->checkpoint_path, options->log, &ckpt, err));
    CRN_TRY_PLAIN(crn_adapters_choose(ckpt, options->lora_path, &other, &lora, err));
    CRN_TRY_PLAIN(load_states(speaker, ckpt, lora, options->log, err));
out:
    cairn_checkpoint_close(other);
    cairn_checkpoint_close(ckpt);
    return rc;
}

cairn_status crn_speaker_open(const cairn_generate_options *options, crn_speaker *out,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const path = options->checkpoint_path;
    crn_source_kind kind;
    int64_t positions = 0;
    *out = (crn_speaker){0};
    CRN_TRY_PLAIN(crn_source_find(crn_os_posix(), path, &kind, err));
    CRN_TRY_PLAIN(open_tokenizer(options, kind, out, err));
    CRN_TRY_PLAIN(encode_all(options, out, &positions, err));
    if (kind != CRN_SOURCE_CHECKPOINT && options->lora_path != NULL)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "'%s' is no checkpoint; the adapters of lora_path need theirs", path);
    if (kind == CRN_SOURCE_CHECKPOINT || kind == CRN_SOURCE_ZOO) {
        CRN_TRY_PLAIN(load_checkpoint(out, options, err));
    } else {
        CRN_TRY_PLAIN(crn_source_import(crn_os_posix(), path, kind, positions, &out->foreign, err));
        out->model = out->foreign.model;
    }
    const cairn_model_ops *const ops = out->model.ops;
    if (ops->next_logits == NULL || ops->vocab_size == NULL)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "the model %s cannot generate", ops->name);
    out->vocab_size = ops->vocab_size(out->model.self);
    CRN_TRY_PLAIN(check_ids(out, err));
out:
    return rc;
}
