/*
 * A text on its way to tokens: bytes -> UTF-8 -> added tokens of the first set -> normalizer ->
 * added tokens of the second set -> sections between them -> pieces -> ids. Each stage keeps back
 * what later text may change.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "format/utf8.h"
#include "tokenizer/tokenizer.h"

enum { IDS_MAX = 4096, CHARACTER_BYTES_MAX = 4 };

/* SentencePiece adds scores up in floats: at this sum they still are exact to a hundredth. A sum
 * that is lower begins anew where the text may be cut. */
#define SCORE_MIN (-65536.0)

static const char k_replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

struct cairn_encoder {
    const cairn_tokenizer *tokenizer;
    cairn_encoder_options options;
    crn_search *search;
    crn_bpe bpe;
    crn_str cut;                  /* the beginning of a character */
    crn_str held[CRN_ADDED_SETS]; /* what may be the beginning of an added token */
    crn_normalizing normalizing;
    crn_str normalized; /* what the normalizer gave last */
    crn_str section;    /* between two added tokens, from the last piece on */
    crn_str marked;     /* a piece as Metaspace has it */
    bool is_in_section;
    bool is_begun;   /* the text: nothing of it came to a section or was an added token before */
    bool is_cut;     /* the section, where nothing else divides it */
    size_t searched; /* bytes of the section in which no piece ended */
    uint64_t offset; /* of the text, up to where it is known to be UTF-8 */
    uint64_t replaced;
    size_t count;
    uint32_t ids[IDS_MAX];
};

/* ---- Ids ---- */

static cairn_status flush(cairn_encoder *encoder, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (encoder->count > 0)
        CRN_TRY_PLAIN(
            encoder->options.emit(encoder->options.user, encoder->ids, encoder->count, err));
    encoder->count = 0;
out:
    return rc;
}

static cairn_status put_id(cairn_encoder *encoder, uint32_t id, cairn_error *err)
{
    encoder->ids[encoder->count++] = id;
    return encoder->count == IDS_MAX ? flush(encoder, err) : CAIRN_OK;
}

/* ---- Pieces ---- */

/* @is_whole: it is not a part of one that was cut. */
static cairn_status encode_piece(cairn_encoder *encoder, const char *piece, size_t size,
                                 bool is_whole, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_tokenizer *const tokenizer = encoder->tokenizer;
    if (size > CRN_PIECE_BYTES_MAX)
        CRN_FAIL(err, CAIRN_EDATA,
                 "%zu bytes of the text are one piece to the tokenizer; at most %d are allowed",
                 size, CRN_PIECE_BYTES_MAX);
    if (tokenizer->model == CRN_MODEL_UNIGRAM)
        CRN_TRY_PLAIN(crn_unigram_encode(&encoder->bpe, tokenizer, piece, size, err));
    else
        CRN_TRY_PLAIN(crn_bpe_encode(&encoder->bpe, tokenizer, piece, size, is_whole, err));
    for (size_t i = 0; i < encoder->bpe.id_count; i++)
        CRN_TRY_PLAIN(put_id(encoder, encoder->bpe.ids[i], err));
out:
    return rc;
}

/* Adds a part of a piece as Metaspace has it; @is_first: the piece begins here. */
static void put_marked(const crn_mark *mark, const char *text, size_t size, bool is_first,
                       bool begins_text, crn_str *out)
{
    const bool has_mark =
        text[0] == ' ' || (size >= mark->length && memcmp(text, mark->text, mark->length) == 0);
    if (is_first && !has_mark && mark->is_put_first && (begins_text || !mark->is_put_once))
        crn_str_append_bytes(out, mark->text, mark->length);
    for (size_t at = 0; at < size;) {
        const char *const space = memchr(text + at, ' ', size - at);
        const size_t end = space != NULL ? (size_t)(space - text) : size;
        crn_str_append_bytes(out, text + at, end - at);
        if (space != NULL)
            crn_str_append_bytes(out, mark->text, mark->length);
        at = end + 1;
    }
}

static cairn_status divide(cairn_encoder *encoder, size_t level, const char *piece, size_t size,
                           cairn_error *err);

/* A piece that the patterns before Metaspace gave. */
static cairn_status divide_marked(cairn_encoder *encoder, size_t level, const char *piece,
                                  size_t size, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str *const marked = &encoder->marked;
    marked->length = 0;
    put_marked(&encoder->tokenizer->mark, piece, size, true, false, marked);
    CRN_TRY_PLAIN(crn_str_check(marked, err));
    CRN_TRY_PLAIN(divide(encoder, level, marked->text, marked->length, err));
out:
    return rc;
}

/* A piece of pattern @level - 1, complete, goes through the patterns that are left. */
static cairn_status divide(cairn_encoder *encoder, size_t level, const char *piece, size_t size,
                           cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_mark *const mark = &encoder->tokenizer->mark;
    bool is_found = true;
    if (size == 0)
        goto out;
    if (mark->text != NULL && level == mark->level && piece != encoder->marked.text) {
        CRN_TRY_PLAIN(divide_marked(encoder, level, piece, size, err));
        goto out;
    }
    if (level >= encoder->tokenizer->split_count) {
        encoder->bpe.score = 0;
        CRN_TRY_PLAIN(encode_piece(encoder, piece, size, true, err));
        goto out;
    }
    for (size_t at = 0; is_found;) {
        crn_span gap = {0};
        crn_span match = {0};
        CRN_TRY_PLAIN(crn_splitter_next(encoder->tokenizer->splits[level], encoder->search, piece,
                                        size, at, true, &gap, &match, &is_found, err));
        if (!is_found)
            break;
        CRN_TRY_PLAIN(divide(encoder, level + 1, piece + gap.begin, gap.end - gap.begin, err));
        CRN_TRY_PLAIN(
            divide(encoder, level + 1, piece + match.begin, match.end - match.begin, err));
        at = match.end;
    }
out:
    return rc;
}

/* Encodes the pieces of the section that are known. */
static cairn_status advance(cairn_encoder *encoder, bool is_end, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str *const section = &encoder->section;
    size_t at = 0;
    bool is_found = true;
    while (is_found) {
        crn_span gap = {0};
        crn_span match = {0};
        CRN_TRY_PLAIN(crn_splitter_next(encoder->tokenizer->splits[0], encoder->search,
                                        section->text, section->length, at, is_end, &gap, &match,
                                        &is_found, err));
        if (!is_found)
            break;
        CRN_TRY_PLAIN(divide(encoder, 1, section->text + gap.begin, gap.end - gap.begin, err));
        CRN_TRY_PLAIN(
            divide(encoder, 1, section->text + match.begin, match.end - match.begin, err));
        at = match.end;
    }
    crn_str_drop(section, at);
    encoder->searched = section->length;
    if (section->length > CRN_HELD_BYTES_MAX)
        CRN_FAIL(err, CAIRN_EDATA,
                 "the tokenizer's pattern finds no end of a piece in %d MiB of the text",
                 CRN_HELD_BYTES_MAX >> 20);
out:
    return rc;
}

/* Where no pattern divides: encodes the section up to the last place where it may be cut. */
static cairn_status advance_uncut(cairn_encoder *encoder, bool is_end, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str *const section = &encoder->section;
    size_t at = 0;
    size_t from = encoder->searched;
    for (;;) {
        const size_t end = crn_cut_find(encoder->tokenizer, section->text, section->length, from);
        if (end == SIZE_MAX)
            break;
        if (encoder->bpe.score < SCORE_MIN)
            encoder->bpe.score = 0;
        CRN_TRY_PLAIN(encode_piece(encoder, section->text + at, end - at, false, err));
        encoder->is_cut = true;
        at = end;
        from = end;
    }
    if (is_end && at < section->length)
        CRN_TRY_PLAIN(
            encode_piece(encoder, section->text + at, section->length - at, !encoder->is_cut, err));
    crn_str_drop(section, is_end ? section->length : at);
    if (section->length > CRN_PIECE_BYTES_MAX)
        CRN_FAIL(err, CAIRN_EDATA, "the tokenizer finds no place to divide %d MiB of the text",
                 CRN_PIECE_BYTES_MAX >> 20);
    /* The last character is looked at again, with the one behind it. */
    encoder->searched = section->length;
    while (encoder->searched > 0 && ((uint8_t)section->text[--encoder->searched] & 0xc0) == 0x80)
        continue;
out:
    return rc;
}

static void begin_section(cairn_encoder *encoder, const char *text)
{
    encoder->is_in_section = true;
    encoder->is_cut = false;
    encoder->searched = 0;
    encoder->bpe.score = 0;
    if (encoder->tokenizer->has_prefix_space && text[0] != ' ')
        crn_str_append(&encoder->section, " ");
}

/* Takes whole characters. */
static cairn_status add_to_section(cairn_encoder *encoder, const char *text, size_t size,
                                   bool is_end, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_tokenizer *const tokenizer = encoder->tokenizer;
    crn_str *const section = &encoder->section;
    const bool is_first = !encoder->is_in_section && size > 0;
    if (is_first)
        begin_section(encoder, text);
    if (tokenizer->mark.text != NULL && tokenizer->mark.level == 0 && size > 0)
        put_marked(&tokenizer->mark, text, size, is_first, !encoder->is_begun, section);
    else
        crn_str_append_bytes(section, text, size);
    CRN_TRY_PLAIN(crn_str_check(section, err));
    encoder->is_begun = encoder->is_begun || size > 0;
    if (section->length > 0 && tokenizer->split_count == 0) {
        CRN_TRY_PLAIN(advance_uncut(encoder, is_end, err));
    } else if (section->length > 0 && (is_end || section->length >= 2 * encoder->searched)) {
        /* A search begins anew each time, so the text doubles before the next. */
        CRN_TRY_PLAIN(advance(encoder, is_end, err));
    }
    encoder->is_in_section = encoder->is_in_section && !is_end;
out:
    return rc;
}

/* ---- Added tokens ---- */

/* How much of the held text can be decided: whole characters at which every token would fit. */
static size_t decidable(const crn_str *held, const crn_added_set *set, bool is_end)
{
    if (is_end)
        return held->length;
    size_t until = held->length >= set->length_max ? held->length - set->length_max + 1 : 0;
    while (until > 0 && ((uint8_t)held->text[until] & 0xc0) == 0x80)
        until--;
    return until;
}

/* The stages that whole characters go through. */
enum { SET_OF_RAW, NORMALIZER, SET_OF_NORMALIZED, SECTION };

static cairn_status add_to_set(cairn_encoder *encoder, int stage, const char *text, size_t size,
                               bool is_end, cairn_error *err);

static cairn_status add_text(cairn_encoder *encoder, int stage, const char *text, size_t size,
                             bool is_end, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str *const normalized = &encoder->normalized;
    if (stage == SET_OF_RAW || stage == SET_OF_NORMALIZED)
        return add_to_set(encoder, stage, text, size, is_end, err);
    if (stage == SECTION)
        return add_to_section(encoder, text, size, is_end, err);
    if (encoder->tokenizer->normalizer == NULL)
        return add_text(encoder, stage + 1, text, size, is_end, err);
    normalized->length = 0;
    CRN_TRY_PLAIN(crn_normalize(encoder->tokenizer->normalizer, &encoder->normalizing,
                                encoder->search, text, size, is_end, normalized, err));
    if (normalized->length > 0 || is_end)
        CRN_TRY_PLAIN(add_text(encoder, stage + 1, normalized->length > 0 ? normalized->text : "",
                               normalized->length, is_end, err));
out:
    return rc;
}

static cairn_status add_to_set(cairn_encoder *encoder, int stage, const char *text, size_t size,
                               bool is_end, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const size_t level = stage == SET_OF_RAW ? 0 : 1;
    const crn_added_set *const set = &encoder->tokenizer->sets[level];
    crn_str *const held = &encoder->held[level];
    size_t from = 0;
    size_t at = 0;
    if (set->count == 0)
        return add_text(encoder, stage + 1, text, size, is_end, err);
    crn_str_append_bytes(held, text, size);
    CRN_TRY_PLAIN(crn_str_check(held, err));
    const size_t until = decidable(held, set, is_end);
    for (;;) {
        const uint32_t found =
            crn_added_find(encoder->tokenizer, set, held->text, held->length, from, until, &at);
        if (found == UINT32_MAX)
            break;
        CRN_TRY_PLAIN(add_text(encoder, stage + 1, held->text + from, at - from, true, err));
        CRN_TRY_PLAIN(put_id(encoder, encoder->tokenizer->added[found].id, err));
        encoder->is_begun = true;
        from = at + encoder->tokenizer->added[found].sought.length;
    }
    /* The last token may reach over what could be decided. */
    const size_t rest = until > from ? until - from : 0;
    if (rest > 0 || is_end)
        CRN_TRY_PLAIN(
            add_text(encoder, stage + 1, rest > 0 ? held->text + from : "", rest, is_end, err));
    crn_str_drop(held, from + rest);
out:
    return rc;
}

/* ---- UTF-8 ---- */

/* The most that the second byte after @first may be between; U+D800 to U+DFFF, overlong forms and
 * what is above U+10FFFF are ruled out here (Unicode 15, table 3-7). */
static bool follows_first(uint8_t first, uint8_t second)
{
    const uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    return second >= low && second <= high;
}

static size_t length_of(uint8_t first)
{
    if (first >= 0xc2 && first <= 0xdf)
        return 2;
    if (first >= 0xe0 && first <= 0xef)
        return 3;
    return first >= 0xf0 && first <= 0xf4 ? 4 : 1;
}

/* Bytes at the start of ill-formed text that are one maximal subpart (Unicode 15, section 3.9);
 * *out_is_cut: they are all that there is, and more could make them a character. */
static size_t subpart(const uint8_t *text, size_t size, bool *out_is_cut)
{
    const size_t length = length_of(text[0]);
    size_t count = 1;
    while (count < length && count < size &&
           (count == 1 ? follows_first(text[0], text[1]) : (text[count] & 0xc0) == 0x80))
        count++;
    *out_is_cut = count == size && count < length;
    return count;
}

static cairn_status replace(cairn_encoder *encoder, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (!encoder->options.replace_invalid)
        CRN_FAIL(err, CAIRN_EDATA, "the text is no UTF-8 at byte %" PRIu64, encoder->offset);
    encoder->replaced++;
    CRN_TRY_PLAIN(add_text(encoder, 0, k_replacement, sizeof k_replacement - 1, false, err));
out:
    return rc;
}

/* *out_used: all but the beginning of a character. */
static cairn_status add_utf8(cairn_encoder *encoder, const uint8_t *bytes, size_t size,
                             size_t *out_used, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t at = 0;
    bool is_cut = false;
    while (at < size && !is_cut) {
        const size_t good = crn_utf8_check(bytes + at, size - at);
        if (good > 0)
            CRN_TRY_PLAIN(add_text(encoder, 0, (const char *)bytes + at, good, false, err));
        at += good;
        encoder->offset += good;
        if (at == size)
            break;
        const size_t bad = subpart(bytes + at, size - at, &is_cut);
        if (is_cut)
            break;
        CRN_TRY_PLAIN(replace(encoder, err));
        at += bad;
        encoder->offset += bad;
    }
    *out_used = at;
out:
    return rc;
}

/* Completes the character that the last bytes began, as far as they go. */
static cairn_status add_to_cut(cairn_encoder *encoder, const uint8_t *bytes, size_t size,
                               size_t *out_used, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint8_t joined[2 * CHARACTER_BYTES_MAX];
    const size_t before = encoder->cut.length;
    const size_t more = size < CHARACTER_BYTES_MAX ? size : CHARACTER_BYTES_MAX;
    memcpy(joined, encoder->cut.text, before);
    memcpy(joined + before, bytes, more);
    bool is_cut = false;
    const size_t length = subpart(joined, before + more, &is_cut);
    encoder->cut.length = 0;
    if (is_cut) {
        crn_str_append_bytes(&encoder->cut, joined, length);
    } else {
        if (crn_utf8_check(joined, length) == length)
            CRN_TRY_PLAIN(add_text(encoder, 0, (const char *)joined, length, false, err));
        else
            CRN_TRY_PLAIN(replace(encoder, err));
        encoder->offset += length;
    }
    CRN_TRY_PLAIN(crn_str_check(&encoder->cut, err));
    *out_used = length - before;
out:
    return rc;
}

/* ---- The public calls ---- */

cairn_status cairn_encoder_new(const cairn_tokenizer *tokenizer,
                               const cairn_encoder_options *options, cairn_encoder **out,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_encoder *encoder = crn_calloc(1, sizeof *encoder);
    CRN_NEED(err, encoder, "an encoder");
    encoder->tokenizer = tokenizer;
    encoder->options = *options;
    encoder->search = crn_search_new();
    CRN_NEED(err, encoder->search, "an encoder");
    *out = encoder;
    encoder = NULL;
out:
    cairn_encoder_destroy(encoder);
    return rc;
}

void cairn_encoder_destroy(cairn_encoder *encoder)
{
    if (encoder == NULL)
        return;
    crn_search_destroy(encoder->search);
    crn_bpe_dispose(&encoder->bpe);
    crn_str_dispose(&encoder->cut);
    for (int i = 0; i < CRN_ADDED_SETS; i++)
        crn_str_dispose(&encoder->held[i]);
    crn_normalizing_dispose(&encoder->normalizing);
    crn_str_dispose(&encoder->normalized);
    crn_str_dispose(&encoder->section);
    crn_str_dispose(&encoder->marked);
    crn_free(encoder);
}

cairn_status cairn_encoder_add(cairn_encoder *encoder, const void *bytes, size_t size,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const uint8_t *const text = bytes;
    size_t at = 0;
    size_t used = 0;
    if (encoder->tokenizer->model == CRN_MODEL_BYTES) {
        for (; at < size; at++)
            CRN_TRY_PLAIN(put_id(encoder, text[at], err));
        goto out;
    }
    if (encoder->cut.length > 0 && size > 0)
        CRN_TRY_PLAIN(add_to_cut(encoder, text, size, &at, err));
    if (at < size) {
        CRN_TRY_PLAIN(add_utf8(encoder, text + at, size - at, &used, err));
        crn_str_append_bytes(&encoder->cut, text + at + used, size - at - used);
        CRN_TRY_PLAIN(crn_str_check(&encoder->cut, err));
    }
out:
    return rc;
}

cairn_status cairn_encoder_finish(cairn_encoder *encoder, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (encoder->cut.length > 0)
        CRN_TRY_PLAIN(replace(encoder, err));
    encoder->cut.length = 0;
    encoder->offset = 0;
    if (encoder->tokenizer->model != CRN_MODEL_BYTES)
        CRN_TRY_PLAIN(add_text(encoder, 0, "", 0, true, err));
    encoder->is_begun = false;
    CRN_TRY_PLAIN(flush(encoder, err));
out:
    return rc;
}

uint64_t cairn_encoder_replaced(const cairn_encoder *encoder)
{
    return encoder->replaced;
}
