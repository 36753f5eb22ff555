/*
 * A model of SentencePiece: the message ModelProto of its sentencepiece_model.proto, in the wire
 * format of Protocol Buffers. Fields that say how it was trained are passed over.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "format/utf8.h"
#include "tokenizer/tokenizer.h"

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

/* Numbers of the fields that are read. */
enum { MODEL_PIECES = 1, MODEL_TRAINER = 2, MODEL_NORMALIZER = 3, MODEL_DENORMALIZER = 5 };
enum { PIECE_TEXT = 1, PIECE_SCORE = 2, PIECE_TYPE = 3 };
enum { TRAINER_MODEL = 3, TRAINER_SUFFIX = 24, TRAINER_BYTES = 35, TRAINER_SURFACE = 44 };
enum { NORMALIZER_MAP = 2, NORMALIZER_DUMMY = 3, NORMALIZER_EXTRA = 4, NORMALIZER_ESCAPE = 5 };

enum { TYPE_NORMAL = 1, TYPE_UNKNOWN, TYPE_CONTROL, TYPE_USER, TYPE_UNUSED, TYPE_BYTE };
enum { KIND_UNIGRAM = 1, KIND_PAIRS = 2 };

static const char k_mark[] = "\xe2\x96\x81";  /* U+2581 */
static const float k_unknown_penalty = 10.0F; /* SentencePiece's, below the lowest score */

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

struct field {
    uint64_t number;
    uint64_t value;       /* of VARINT and 32 */
    const uint8_t *bytes; /* of BYTES */
    size_t size;
};

struct piece {
    const char *text;
    size_t length;
    float score;
    uint64_t type;
};

struct reader {
    cairn_tokenizer *tokenizer;
    crn_spaces *spaces;
    uint64_t kind;
    bool has_suffix;
    bool has_dummy;
    const char *surface; /* what the unknown token is in a text */
    size_t surface_length;
    size_t piece_bytes;
    char *text_room;
    char *word_room;
    float score_min;
};

/* ---- The wire format ---- */

static bool read_varint(struct cursor *cursor, uint64_t *out)
{
    *out = 0;
    for (unsigned shift = 0; shift < 64 && cursor->at < cursor->end; shift += 7) {
        const uint8_t byte = *cursor->at++;
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static bool read_fixed(struct cursor *cursor, size_t size, uint64_t *out)
{
    *out = 0;
    if ((size_t)(cursor->end - cursor->at) < size)
        return false;
    for (size_t i = 0; i < size; i++)
        *out |= (uint64_t)*cursor->at++ << (8 * i);
    return true;
}

static bool read_field(struct cursor *cursor, struct field *out)
{
    uint64_t key = 0;
    *out = (struct field){0};
    if (!read_varint(cursor, &key))
        return false;
    out->number = key >> 3;
    switch (key & 7) {
    case WIRE_VARINT:
        return read_varint(cursor, &out->value);
    case WIRE_64:
        return read_fixed(cursor, 8, &out->value);
    case WIRE_32:
        return read_fixed(cursor, 4, &out->value);
    case WIRE_BYTES:
        if (!read_varint(cursor, &out->value) || out->value > (uint64_t)(cursor->end - cursor->at))
            return false;
        out->bytes = cursor->at;
        out->size = (size_t)out->value;
        cursor->at += out->size;
        return true;
    default:
        return false;
    }
}

/* The next field of a message; *out_found: there is one. */
static cairn_status next_field(struct cursor *cursor, struct field *out, bool *out_found,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    *out_found = cursor->at < cursor->end;
    if (*out_found && !read_field(cursor, out))
        CRN_FAIL(err, CAIRN_EDATA, "it is no model of SentencePiece, or damaged");
out:
    return rc;
}

/* A message within one. */
static cairn_status go_inside(const struct field *field, struct cursor *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (field->bytes == NULL)
        CRN_FAIL(err, CAIRN_EDATA, "it is no model of SentencePiece, or damaged");
    *out = (struct cursor){.at = field->bytes, .end = field->bytes + field->size};
out:
    return rc;
}

/* ---- How texts are treated ---- */

static cairn_status read_trainer(struct reader *r, const struct field *message, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct cursor cursor;
    struct field field;
    CRN_TRY_PLAIN(go_inside(message, &cursor, err));
    for (bool is_found = true;;) {
        CRN_TRY_PLAIN(next_field(&cursor, &field, &is_found, err));
        if (!is_found)
            break;
        if (field.number == TRAINER_MODEL) {
            r->kind = field.value;
        } else if (field.number == TRAINER_SUFFIX) {
            r->has_suffix = field.value != 0;
        } else if (field.number == TRAINER_BYTES) {
            r->tokenizer->has_byte_ids = field.value != 0;
        } else if (field.number == TRAINER_SURFACE && field.bytes != NULL) {
            r->surface = (const char *)field.bytes;
            r->surface_length = field.size;
        }
    }
out:
    return rc;
}

static cairn_status read_normalizer(struct reader *r, const struct field *message, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct cursor cursor;
    struct field field;
    CRN_TRY_PLAIN(go_inside(message, &cursor, err));
    for (bool is_found = true;;) {
        CRN_TRY_PLAIN(next_field(&cursor, &field, &is_found, err));
        if (!is_found)
            break;
        if (field.number == NORMALIZER_MAP) {
            crn_charsmap_dispose(&r->spaces->charsmap);
            CRN_TRY_PLAIN(crn_charsmap_read(&r->spaces->charsmap, field.bytes, field.size, err));
        } else if (field.number == NORMALIZER_DUMMY) {
            r->has_dummy = field.value != 0;
        } else if (field.number == NORMALIZER_EXTRA) {
            r->spaces->removes_extra = field.value != 0;
        } else if (field.number == NORMALIZER_ESCAPE) {
            r->spaces->escapes = field.value != 0;
        }
    }
out:
    return rc;
}

static cairn_status check_denormalizer(const struct field *message, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct cursor cursor;
    struct field field;
    CRN_TRY_PLAIN(go_inside(message, &cursor, err));
    for (bool is_found = true;;) {
        CRN_TRY_PLAIN(next_field(&cursor, &field, &is_found, err));
        if (!is_found)
            break;
        if (field.number == NORMALIZER_MAP && field.size > 0)
            CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                     "the model has a denormalizer; this version lacks it");
    }
out:
    return rc;
}

/* ---- Pieces ---- */

static cairn_status read_piece(const struct field *message, struct piece *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct cursor cursor;
    struct field field;
    *out = (struct piece){.text = "", .type = TYPE_NORMAL};
    CRN_TRY_PLAIN(go_inside(message, &cursor, err));
    for (bool is_found = true;;) {
        CRN_TRY_PLAIN(next_field(&cursor, &field, &is_found, err));
        if (!is_found)
            break;
        if (field.number == PIECE_TEXT && field.bytes != NULL) {
            out->text = (const char *)field.bytes;
            out->length = field.size;
        } else if (field.number == PIECE_SCORE) {
            const uint32_t bits = (uint32_t)field.value;
            memcpy(&out->score, &bits, sizeof out->score);
        } else if (field.number == PIECE_TYPE) {
            out->type = field.value;
        }
    }
    if (out->length == 0 || out->length > CRN_WORD_BYTES_MAX ||
        crn_utf8_check((const uint8_t *)out->text, out->length) != out->length ||
        memchr(out->text, '\0', out->length) != NULL)
        CRN_FAIL(err, CAIRN_EDATA, "a piece is no UTF-8 of 1 to %d bytes", CRN_WORD_BYTES_MAX);
    if (!isfinite(out->score) || out->type < TYPE_NORMAL || out->type > TYPE_BYTE)
        CRN_FAIL(err, CAIRN_EDATA, "a piece has no finite score, or no type from 1 to 6");
out:
    return rc;
}

/* All but the pieces, and how many of them there are. */
static cairn_status survey(struct reader *r, struct cursor cursor, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct field field;
    struct piece piece;
    for (bool is_found = true;;) {
        CRN_TRY_PLAIN(next_field(&cursor, &field, &is_found, err));
        if (!is_found)
            break;
        if (field.number == MODEL_TRAINER) {
            CRN_TRY_PLAIN(read_trainer(r, &field, err));
        } else if (field.number == MODEL_NORMALIZER) {
            CRN_TRY_PLAIN(read_normalizer(r, &field, err));
        } else if (field.number == MODEL_DENORMALIZER) {
            CRN_TRY_PLAIN(check_denormalizer(&field, err));
        } else if (field.number == MODEL_PIECES) {
            CRN_TRY(err, read_piece(&field, &piece, err), "piece %zu", r->tokenizer->token_count);
            r->piece_bytes += piece.length;
            r->tokenizer->token_count++;
        }
    }
    if (r->kind != KIND_UNIGRAM && r->kind != KIND_PAIRS)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "the model's type is number %llu; this version has Unigram (1) and BPE (2)",
                 (unsigned long long)r->kind);
    if (r->tokenizer->token_count == 0 || r->tokenizer->token_count > CRN_TOKEN_IDS_MAX)
        CRN_FAIL(err, CAIRN_EDATA, "it has %zu pieces; 1 to %d are allowed",
                 r->tokenizer->token_count, CRN_TOKEN_IDS_MAX);
out:
    return rc;
}

static cairn_status reserve(struct reader *r, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_tokenizer *const tokenizer = r->tokenizer;
    const size_t count = tokenizer->token_count;
    tokenizer->model = r->kind == KIND_UNIGRAM ? CRN_MODEL_UNIGRAM : CRN_MODEL_JOINS;
    tokenizer->tokens = crn_calloc(count, sizeof *tokenizer->tokens);
    tokenizer->words = crn_calloc(count, sizeof *tokenizer->words);
    tokenizer->scores = crn_calloc(count, sizeof *tokenizer->scores);
    tokenizer->text = crn_calloc(r->piece_bytes + r->surface_length, 1);
    tokenizer->word_text = crn_calloc(r->piece_bytes, 1);
    CRN_NEED(err, tokenizer->tokens, "a vocabulary");
    CRN_NEED(err, tokenizer->words, "a vocabulary");
    CRN_NEED(err, tokenizer->scores, "a vocabulary");
    CRN_NEED(err, tokenizer->text, "a vocabulary");
    CRN_NEED(err, tokenizer->word_text, "a vocabulary");
    CRN_TRY_PLAIN(crn_vocabulary_reserve(tokenizer, count, 0, err));
    r->text_room = tokenizer->text;
    r->word_room = tokenizer->word_text;
out:
    return rc;
}

/* What the piece is in a text. */
static void put_token(struct reader *r, uint32_t id, const struct piece *piece)
{
    crn_token *const token = &r->tokenizer->tokens[id];
    char *const begin = r->text_room;
    const size_t mark = sizeof k_mark - 1;
    token->bytes = begin;
    if (piece->type == TYPE_UNKNOWN) {
        memcpy(begin, r->surface, r->surface_length);
        r->text_room += r->surface_length;
    } else if (piece->type == TYPE_BYTE) {
        *r->text_room++ = (char)crn_vocabulary_byte_of(piece->text, piece->length);
    } else {
        for (size_t at = 0; at < piece->length;) {
            const bool is_space = piece->type != TYPE_CONTROL && piece->length - at >= mark &&
                                  memcmp(piece->text + at, k_mark, mark) == 0;
            *r->text_room++ = is_space ? ' ' : piece->text[at];
            at += is_space ? mark : 1;
        }
    }
    token->size = (uint32_t)(r->text_room - begin);
}

/* A piece that is found in texts. */
static cairn_status put_word(struct reader *r, uint32_t id, const struct piece *piece,
                             cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_tokenizer *const tokenizer = r->tokenizer;
    char shown[96];
    uint32_t other = 0;
    if (crn_vocabulary_find(tokenizer, piece->text, piece->length, &other))
        CRN_FAIL(err, CAIRN_EDATA, "'%s' is a piece twice",
                 crn_escape(piece->text, piece->length, shown, sizeof shown));
    if (piece->type == TYPE_UNUSED && tokenizer->model == CRN_MODEL_JOINS)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "the BPE model has unused pieces; this version lacks it");
    memcpy(r->word_room, piece->text, piece->length);
    tokenizer->words[id] = (crn_token){.bytes = r->word_room, .size = (uint32_t)piece->length};
    r->word_room += piece->length;
    crn_vocabulary_index(tokenizer, id);
    if (piece->type == TYPE_UNUSED)
        goto out;
    if (piece->type == TYPE_USER) {
        /* Whatever the model says: no other division of it is worth that much. */
        if (tokenizer->model == CRN_MODEL_UNIGRAM)
            tokenizer->scores[id] = 0;
        CRN_TRY_PLAIN(crn_trie_add(&tokenizer->user_defined, piece->text, piece->length, id, err));
    } else {
        r->score_min = fminf(r->score_min, piece->score);
    }
    if (tokenizer->model == CRN_MODEL_UNIGRAM)
        CRN_TRY_PLAIN(
            crn_trie_add(&tokenizer->words_by_prefix, piece->text, piece->length, id, err));
    CRN_TRY_PLAIN(crn_cut_note(tokenizer, piece->text, piece->length, err));
out:
    return rc;
}

/* A piece with a meaning of its own. */
static cairn_status put_special(struct reader *r, uint32_t id, const struct piece *piece,
                                bool byte_is_there[256], cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_tokenizer *const tokenizer = r->tokenizer;
    if (piece->type == TYPE_BYTE) {
        const int byte = crn_vocabulary_byte_of(piece->text, piece->length);
        if (byte < 0 || !tokenizer->has_byte_ids)
            CRN_FAIL(err, CAIRN_EDATA, "piece %u is a byte, but has no such name or no such model",
                     id);
        tokenizer->byte_ids[byte] = id;
        byte_is_there[byte] = true;
    } else if (piece->type == TYPE_UNKNOWN) {
        if (tokenizer->has_unknown)
            CRN_FAIL(err, CAIRN_EDATA, "two pieces are the unknown one");
        tokenizer->has_unknown = true;
        tokenizer->unknown_id = id;
    }
out:
    return rc;
}

static cairn_status list_added(struct reader *r, uint32_t id, const struct piece *piece,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_tokenizer *const tokenizer = r->tokenizer;
    crn_str text = {0};
    if (tokenizer->added_count == CRN_ADDED_MAX)
        CRN_FAIL(err, CAIRN_EDATA, "more than %d pieces have a meaning of their own",
                 CRN_ADDED_MAX);
    CRN_TRY_PLAIN(crn_grow(&tokenizer->added, &tokenizer->added_capacity,
                           tokenizer->added_count + 1, sizeof *tokenizer->added, err));
    crn_str_append_bytes(&text, piece->text, piece->length);
    CRN_TRY_PLAIN(crn_str_check(&text, err));
    tokenizer->added[tokenizer->added_count++] = (crn_added){
        .text = text.text, .length = text.length, .id = id, .is_special = piece->type != TYPE_USER};
    text = (crn_str){0};
out:
    crn_str_dispose(&text);
    return rc;
}

static cairn_status take_pieces(struct reader *r, struct cursor cursor, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    bool byte_is_there[256] = {false};
    struct field field;
    struct piece piece;
    uint32_t id = 0;
    for (bool is_found = true;;) {
        CRN_TRY_PLAIN(next_field(&cursor, &field, &is_found, err));
        if (!is_found)
            break;
        if (field.number != MODEL_PIECES)
            continue;
        CRN_TRY_PLAIN(read_piece(&field, &piece, err));
        r->tokenizer->scores[id] = (double)piece.score;
        if (piece.type == TYPE_NORMAL || piece.type == TYPE_USER || piece.type == TYPE_UNUSED)
            CRN_TRY_PLAIN(put_word(r, id, &piece, err));
        else
            CRN_TRY_PLAIN(put_special(r, id, &piece, byte_is_there, err));
        if (piece.type == TYPE_CONTROL || piece.type == TYPE_UNKNOWN || piece.type == TYPE_USER)
            CRN_TRY_PLAIN(list_added(r, id, &piece, err));
        put_token(r, id++, &piece);
    }
    if (!r->tokenizer->has_unknown)
        CRN_FAIL(err, CAIRN_EDATA, "no piece is the unknown one");
    for (int byte = 0; byte < 256 && r->tokenizer->has_byte_ids; byte++) {
        if (!byte_is_there[byte])
            CRN_FAIL(err, CAIRN_EDATA, "no piece is the byte 0x%02X", (unsigned)byte);
    }
out:
    return rc;
}

/* ---- All of it ---- */

static cairn_status read_model(struct reader *r, struct cursor cursor, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_tokenizer *const tokenizer = r->tokenizer;
    tokenizer->normalizer = crn_calloc(1, sizeof *tokenizer->normalizer);
    CRN_NEED(err, tokenizer->normalizer, "a tokenizer");
    r->spaces = &tokenizer->normalizer->spaces;
    *r->spaces = (crn_spaces){.is_on = true,
                              .removes_extra = true,
                              .escapes = true,
                              .user_defined = &tokenizer->user_defined};
    CRN_TRY_PLAIN(survey(r, cursor, err));
    r->spaces->begins_with_dummy = r->has_dummy && !r->has_suffix;
    r->spaces->ends_with_dummy = r->has_dummy && r->has_suffix;
    CRN_TRY_PLAIN(reserve(r, err));
    CRN_TRY_PLAIN(take_pieces(r, cursor, err));
    tokenizer->unknown_score = (double)(r->score_min - k_unknown_penalty);
    tokenizer->has_float_sums = true;
    tokenizer->fuses_unknown = true;
    tokenizer->first_spaces = r->has_dummy || r->spaces->removes_extra ? 1 : 0;
out:
    return rc;
}

cairn_status crn_tokenizer_read_model(cairn_tokenizer *tokenizer, const char *bytes, size_t size,
                                      const char *path, cairn_error *err)
{
    static const char k_surface[] = " \xe2\x81\x87 "; /* U+2047 */
    cairn_status rc = CAIRN_OK;
    const uint8_t *const begin = (const uint8_t *)bytes;
    struct reader r = {.tokenizer = tokenizer,
                       .kind = KIND_UNIGRAM,
                       .has_dummy = true,
                       .surface = k_surface,
                       .surface_length = sizeof k_surface - 1,
                       .score_min = FLT_MAX};
    CRN_TRY(err, read_model(&r, (struct cursor){.at = begin, .end = begin + size}, err),
            "tokenizer '%s'", path);
out:
    return rc;
}
