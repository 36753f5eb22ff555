/* Normalizers of the package `tokenizers`, a step each. The forms are utf8proc's. */
#include <string.h>

#include <utf8proc.h>

#include "base/mem.h"
#include "base/try.h"
#include "format/utf8.h"
#include "tokenizer/normalizer.h"

static void put_code(crn_str *out, uint32_t code)
{
    uint8_t bytes[4];
    crn_str_append_bytes(out, bytes, crn_utf8_encode(code, bytes));
}

static bool is_ascii(const crn_str *text)
{
    for (size_t i = 0; i < text->length; i++) {
        if ((uint8_t)text->text[i] >= 0x80)
            return false;
    }
    return true;
}

/* ---- Forms (Unicode Standard Annex 15) ---- */

static cairn_status apply_form(crn_step_kind kind, const crn_str *text, crn_str *out,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const bool is_composed = kind == CRN_STEP_NFC || kind == CRN_STEP_NFKC;
    const bool is_compatible = kind == CRN_STEP_NFKC || kind == CRN_STEP_NFKD;
    const utf8proc_option_t options =
        (utf8proc_option_t)(UTF8PROC_STABLE |
                            (is_composed ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) |
                            (is_compatible ? UTF8PROC_COMPAT : 0));
    utf8proc_int32_t *codes = NULL;
    const utf8proc_uint8_t *const bytes = (const utf8proc_uint8_t *)text->text;
    const utf8proc_ssize_t size = (utf8proc_ssize_t)text->length;
    const utf8proc_ssize_t room = utf8proc_decompose(bytes, size, NULL, 0, options);
    if (room < 0)
        CRN_FAIL(err, CAIRN_EDATA, "the text cannot be normalized: %s", utf8proc_errmsg(room));
    codes = crn_calloc((size_t)room + 1, sizeof *codes);
    CRN_NEED(err, codes, "a text");
    (void)utf8proc_decompose(bytes, size, codes, room, options);
    const utf8proc_ssize_t count = utf8proc_normalize_utf32(codes, room, options);
    for (utf8proc_ssize_t i = 0; i < count; i++)
        put_code(out, (uint32_t)codes[i]);
out:
    crn_free(codes);
    return rc;
}

/* ---- Characters ---- */

static void lower(const crn_str *text, crn_str *out)
{
    size_t length = 0;
    for (size_t at = 0; at < text->length; at += length) {
        const uint32_t code = crn_utf8_decode(text->text + at, &length);
        /* The only character whose lower case is two. */
        if (code == 0x130)
            crn_str_append(out, "i\xcc\x87");
        else
            put_code(out, (uint32_t)utf8proc_tolower((utf8proc_int32_t)code));
    }
}

static void strip_accents(const crn_str *text, crn_str *out)
{
    size_t length = 0;
    for (size_t at = 0; at < text->length; at += length) {
        const uint32_t code = crn_utf8_decode(text->text + at, &length);
        const utf8proc_category_t kind = utf8proc_category((utf8proc_int32_t)code);
        if (kind != UTF8PROC_CATEGORY_MN && kind != UTF8PROC_CATEGORY_MC &&
            kind != UTF8PROC_CATEGORY_ME)
            crn_str_append_bytes(out, text->text + at, length);
    }
}

/* The property White_Space of Unicode 15. */
static bool is_white(uint32_t code)
{
    return (code >= 9 && code <= 13) || code == ' ' || code == 0x85 || code == 0xa0 ||
           code == 0x1680 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 ||
           code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}

static void strip(const crn_step *step, const crn_str *text, crn_str *out)
{
    size_t begin = text->length;
    size_t end = 0;
    size_t length = 0;
    for (size_t at = 0; at < text->length; at += length) {
        if (is_white(crn_utf8_decode(text->text + at, &length)))
            continue;
        begin = begin < at ? begin : at;
        end = at + length;
    }
    begin = step->strips_left ? begin : 0;
    end = step->strips_right ? end : text->length;
    if (begin < end)
        crn_str_append_bytes(out, text->text + begin, end - begin);
}

static cairn_status replace(const crn_step *step, crn_search *search, const crn_str *text,
                            size_t limit, crn_str *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_span gap = {0};
    crn_span match = {0};
    bool is_found = true;
    for (size_t at = 0; is_found; at = match.end) {
        CRN_TRY_PLAIN(crn_splitter_next(step->pattern, search, text->text, text->length, at, true,
                                        &gap, &match, &is_found, err));
        if (!is_found)
            break;
        crn_str_append_bytes(out, text->text + gap.begin, gap.end - gap.begin);
        if (match.begin < match.end)
            crn_str_append_bytes(out, step->text, step->length);
        if (out->length > limit)
            CRN_FAIL(err, CAIRN_EDATA, "a replacement makes over %zu bytes of a text", limit);
    }
out:
    return rc;
}

cairn_status crn_step_apply(const crn_step *step, crn_search *search, const crn_str *text,
                            bool is_first, size_t limit, crn_str *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    switch (step->kind) {
    case CRN_STEP_NFC:
    case CRN_STEP_NFD:
    case CRN_STEP_NFKC:
    case CRN_STEP_NFKD:
        if (is_ascii(text))
            crn_str_append_bytes(out, text->text, text->length);
        else
            CRN_TRY_PLAIN(apply_form(step->kind, text, out, err));
        break;
    case CRN_STEP_LOWERCASE:
        lower(text, out);
        break;
    case CRN_STEP_STRIP:
        strip(step, text, out);
        break;
    case CRN_STEP_STRIP_ACCENTS:
        strip_accents(text, out);
        break;
    case CRN_STEP_PREPEND:
        if (is_first)
            crn_str_append_bytes(out, step->text, step->length);
        crn_str_append_bytes(out, text->text, text->length);
        break;
    case CRN_STEP_REPLACE:
        CRN_TRY_PLAIN(replace(step, search, text, limit, out, err));
        break;
    }
    rc = crn_str_check(out, err);
out:
    return rc;
}
