/* Normalizers and decoders of a tokenizer.json. */
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "tokenizer/read.h"

enum { STEP_TEXT_MAX = 64 };

/* ---- Normalizers ---- */

static cairn_status read_text(const json_t *value, crn_step *step, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const text = json_string_value(value);
    if (text == NULL || strlen(text) > STEP_TEXT_MAX)
        CRN_FAIL(err, CAIRN_EDATA, "it has no text of at most %d bytes to put in", STEP_TEXT_MAX);
    step->text = crn_strdup(text);
    CRN_NEED(err, step->text, "a normalizer");
    step->length = strlen(text);
out:
    return rc;
}

static cairn_status read_replace(const json_t *item, crn_step *step, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    step->kind = CRN_STEP_REPLACE;
    CRN_TRY_PLAIN(
        crn_read_pattern(crn_member(item, "pattern"), CRN_SPLIT_ISOLATED, &step->pattern, err));
    CRN_TRY_PLAIN(read_text(crn_member(item, "content"), step, err));
out:
    return rc;
}

static cairn_status read_step(const json_t *item, crn_step *step, cairn_error *err)
{
    static const struct {
        const char *type;
        crn_step_kind kind;
    } k_kinds[] = {{"NFC", CRN_STEP_NFC},
                   {"NFD", CRN_STEP_NFD},
                   {"NFKC", CRN_STEP_NFKC},
                   {"NFKD", CRN_STEP_NFKD},
                   {"Lowercase", CRN_STEP_LOWERCASE},
                   {"Strip", CRN_STEP_STRIP},
                   {"StripAccents", CRN_STEP_STRIP_ACCENTS},
                   {"Prepend", CRN_STEP_PREPEND},
                   {"Replace", CRN_STEP_REPLACE}};
    cairn_status rc = CAIRN_OK;
    bool is_known = false;
    for (size_t i = 0; i < sizeof k_kinds / sizeof k_kinds[0]; i++) {
        if (!crn_has_type(item, k_kinds[i].type))
            continue;
        step->kind = k_kinds[i].kind;
        is_known = true;
    }
    if (!is_known)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "this version lacks the normalizer %s",
                 crn_type_of(item));
    step->strips_left = crn_flag(item, "strip_left", true);
    step->strips_right = crn_flag(item, "strip_right", true);
    if (step->kind == CRN_STEP_PREPEND)
        CRN_TRY(err, read_text(crn_member(item, "prepend"), step, err), "the normalizer Prepend");
    if (step->kind == CRN_STEP_REPLACE)
        CRN_TRY(err, read_replace(item, step, err), "the normalizer Replace");
out:
    return rc;
}

cairn_status crn_read_normalizer(crn_reader *r, const json_t *whole, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const bool is_list = crn_has_type(whole, "Sequence");
    const json_t *const list = is_list ? crn_member(whole, "normalizers") : NULL;
    const size_t count = is_list ? json_array_size(list) : 1;
    if (whole == NULL || count == 0)
        goto out;
    if (count > CRN_NORMALIZER_STEPS_MAX)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "more than %d normalizers", CRN_NORMALIZER_STEPS_MAX);
    crn_normalizer *const normalizer = crn_calloc(1, sizeof *normalizer);
    CRN_NEED(err, normalizer, "a normalizer");
    r->tokenizer->normalizer = normalizer;
    for (size_t i = 0; i < count; i++)
        CRN_TRY_PLAIN(read_step(is_list ? json_array_get(list, i) : whole,
                                &normalizer->steps[normalizer->step_count++], err));
    crn_normalizer_settle(normalizer);
out:
    return rc;
}

/* ---- Decoders ---- */

static bool is_text(const json_t *value, const char *text)
{
    return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

/* A text loses spaces at its beginning, once all tokens are joined. */
static cairn_status read_strip(crn_reader *r, const json_t *item, bool is_joined, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const json_int_t start = json_integer_value(crn_member(item, "start"));
    const json_int_t stop = json_integer_value(crn_member(item, "stop"));
    if (!is_joined || stop != 0 || start < 0 || !is_text(crn_member(item, "content"), " "))
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "this version lacks the decoder Strip but for spaces at the start, after Fuse");
    r->tokenizer->first_spaces = (size_t)start;
out:
    return rc;
}

static cairn_status read_metaspace(crn_reader *r, const json_t *item, crn_step *step,
                                   cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const text = json_string_value(crn_member(item, "replacement"));
    if (text == NULL)
        CRN_FAIL(err, CAIRN_EDATA, "the decoder Metaspace has no replacement");
    step->kind = CRN_STEP_REPLACE;
    CRN_TRY_PLAIN(crn_splitter_new(text, true, CRN_SPLIT_ISOLATED, &step->pattern, err));
    step->text = crn_strdup(" ");
    CRN_NEED(err, step->text, "a decoder");
    step->length = 1;
    if (crn_flag(item, "add_prefix_space", true) &&
        !is_text(crn_member(item, "prepend_scheme"), "never"))
        r->tokenizer->first_spaces = SIZE_MAX; /* all that the first token begins with */
out:
    return rc;
}

static cairn_status read_decoder(crn_reader *r, const json_t *item, bool *is_joined,
                                 cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const bool is_known =
        r->is_byte_level ? crn_has_type(item, "ByteLevel")
                         : crn_has_type(item, "Replace") || crn_has_type(item, "Metaspace") ||
                               crn_has_type(item, "ByteFallback") || crn_has_type(item, "Strip");
    if (!is_known && !crn_has_type(item, "Fuse"))
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "this version lacks the decoder %s%s", crn_type_of(item),
                 r->is_byte_level ? " of tokens that are bytes" : "");
    if (*is_joined && !crn_has_type(item, "Strip") && !crn_has_type(item, "Fuse"))
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "this version lacks the decoder %s after Fuse",
                 crn_type_of(item));
    if (crn_has_type(item, "ByteFallback"))
        r->decodes_bytes = true;
    else if (crn_has_type(item, "Fuse"))
        *is_joined = true;
    else if (crn_has_type(item, "Strip"))
        CRN_TRY_PLAIN(read_strip(r, item, *is_joined, err));
    else if (crn_has_type(item, "Metaspace"))
        CRN_TRY_PLAIN(read_metaspace(r, item, &r->replacements[r->replacement_count++], err));
    else if (crn_has_type(item, "Replace"))
        CRN_TRY(err, read_replace(item, &r->replacements[r->replacement_count++], err),
                "the decoder Replace");
out:
    return rc;
}

cairn_status crn_read_decoder(crn_reader *r, const json_t *whole, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const bool is_list = crn_has_type(whole, "Sequence");
    const json_t *const list = is_list ? crn_member(whole, "decoders") : NULL;
    const size_t count = whole == NULL ? 0 : is_list ? json_array_size(list) : 1;
    bool is_joined = false;
    if (count > CRN_NORMALIZER_STEPS_MAX)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "more than %d decoders", CRN_NORMALIZER_STEPS_MAX);
    for (size_t i = 0; i < count; i++)
        CRN_TRY_PLAIN(read_decoder(r, is_list ? json_array_get(list, i) : whole, &is_joined, err));
out:
    return rc;
}
