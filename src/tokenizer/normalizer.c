#include "tokenizer/normalizer.h"

#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "format/utf8.h"

enum {
    HELD_BYTES_MAX = 64 << 20,
    /* What replacements may make of a text, so that a file cannot ask for all memory. */
    GROWTH_BYTES = 4096,
    GROWTH_MAX = 32 /* times its size */
};

void crn_step_dispose(crn_step *step)
{
    crn_free(step->text);
    crn_splitter_destroy(step->pattern);
    *step = (crn_step){0};
}

void crn_normalizer_destroy(crn_normalizer *normalizer)
{
    if (normalizer == NULL)
        return;
    for (size_t i = 0; i < normalizer->step_count; i++)
        crn_step_dispose(&normalizer->steps[i]);
    crn_charsmap_dispose(&normalizer->spaces.charsmap);
    crn_free(normalizer);
}

void crn_normalizing_dispose(crn_normalizing *state)
{
    crn_str_dispose(&state->held);
    for (int i = 0; i < 2; i++)
        crn_str_dispose(&state->parts[i]);
}

static bool is_form(crn_step_kind kind)
{
    return kind == CRN_STEP_NFC || kind == CRN_STEP_NFD || kind == CRN_STEP_NFKC ||
           kind == CRN_STEP_NFKD;
}

/* A pattern may find more than a character, a strip all that there is, and what a replacement puts
 * in may combine with what was there. */
void crn_normalizer_settle(crn_normalizer *normalizer)
{
    bool is_behind_text = false;
    for (size_t i = 0; i < normalizer->step_count; i++) {
        const crn_step *const step = &normalizer->steps[i];
        const bool is_local = step->kind == CRN_STEP_REPLACE
                                  ? crn_splitter_is_character(step->pattern)
                                  : step->kind != CRN_STEP_STRIP &&
                                        (step->kind != CRN_STEP_PREPEND || i == 0) &&
                                        !(is_form(step->kind) && is_behind_text);
        normalizer->is_whole = normalizer->is_whole || !is_local;
        is_behind_text = is_behind_text || step->kind == CRN_STEP_REPLACE;
    }
}

/* Below U+0300 nothing combines with what is before it, and neither do ideographs. */
static bool begins_afresh(uint32_t code)
{
    return code < 0x300 || (code >= 0x3000 && code < 0x302a) || (code >= 0x4e00 && code < 0xa000);
}

/* Where the last part begins that later text may change; none begins before @known. */
static size_t decided(const crn_normalizer *normalizer, const crn_str *held, size_t known)
{
    size_t length = 0;
    for (size_t at = normalizer->is_whole ? 0 : held->length; at > known;) {
        at--;
        if (((uint8_t)held->text[at] & 0xc0) != 0x80 &&
            begins_afresh(crn_utf8_decode(held->text + at, &length)))
            return at;
    }
    return 0;
}

static cairn_status apply_steps(const crn_normalizer *normalizer, crn_normalizing *state,
                                crn_search *search, size_t size, crn_str *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str *part = &state->parts[0];
    part->length = 0;
    crn_str_append_bytes(part, state->held.text, size);
    CRN_TRY_PLAIN(crn_str_check(part, err));
    for (size_t i = 0; i < normalizer->step_count && part->length > 0; i++) {
        crn_str *const next = &state->parts[(i + 1) % 2];
        next->length = 0;
        CRN_TRY_PLAIN(crn_step_apply(&normalizer->steps[i], search, part, !state->is_begun,
                                     GROWTH_BYTES + GROWTH_MAX * size, next, err));
        part = next;
    }
    state->is_begun = true;
    crn_str_append_bytes(out, part->text, part->length);
    CRN_TRY_PLAIN(crn_str_check(out, err));
out:
    return rc;
}

cairn_status crn_normalize(const crn_normalizer *normalizer, crn_normalizing *state,
                           crn_search *search, const char *text, size_t size, bool is_end,
                           crn_str *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str *const held = &state->held;
    const size_t known = held->length;
    if (normalizer->spaces.is_on)
        return crn_spaces_add(&normalizer->spaces, state, text, size, is_end, out, err);
    crn_str_append_bytes(held, text, size);
    CRN_TRY_PLAIN(crn_str_check(held, err));
    const size_t until = is_end ? held->length : decided(normalizer, held, known);
    if (until > 0)
        CRN_TRY_PLAIN(apply_steps(normalizer, state, search, until, out, err));
    crn_str_drop(held, until);
    state->is_begun = state->is_begun && !is_end;
    if (held->length > HELD_BYTES_MAX)
        CRN_FAIL(err, CAIRN_EDATA, "the tokenizer's normalizer needs more than %d MiB at once",
                 HELD_BYTES_MAX >> 20);
out:
    return rc;
}
