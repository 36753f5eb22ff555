#include "format/json.h"

#include <string.h>

#include "format/utf8.h"

enum state {
    WANT_VALUE,       /* at the top, after a colon, after a comma in an array */
    WANT_FIRST_KEY,   /* after "{" */
    WANT_KEY,         /* after a comma in an object */
    WANT_FIRST_VALUE, /* after "[" */
    WANT_COMMA,       /* after a value inside something */
    WANT_END,         /* after the value at the top */
    IS_FAILED
};

void crn_json_init(crn_json *json, const uint8_t *text, size_t size)
{
    *json = (crn_json){.text = text, .size = size, .state = WANT_VALUE};
}

static crn_json_token fail(crn_json *json, crn_format_code code, size_t at, const char *problem)
{
    json->state = IS_FAILED;
    json->code = code;
    json->problem = problem;
    json->token_at = at;
    json->token = CRN_JSON_FAILED;
    return json->token;
}

static void skip_space(crn_json *json)
{
    while (json->at < json->size) {
        const uint8_t c = json->text[json->at];
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r')
            return;
        json->at++;
    }
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits of a \u escape at @p; -1 if they are none. */
static int32_t hex4(const uint8_t *p, size_t left)
{
    int32_t code = 0;
    if (left < 4)
        return -1;
    for (size_t i = 0; i < 4; i++) {
        const int digit = hex_value(p[i]);
        if (digit < 0)
            return -1;
        code = code << 4 | digit;
    }
    return code;
}

static uint8_t short_escape(uint8_t c)
{
    static const char k_letters[] = "\"\\/bfnrt";
    static const char k_bytes[] = "\"\\/\b\f\n\r\t";
    const char *const found = c != 0 ? strchr(k_letters, c) : NULL;
    return found != NULL ? (uint8_t)k_bytes[found - k_letters] : 0;
}

/*
 * Decodes the escape at @p, which begins with a backslash: bytes to @out, how many to *out_size.
 * Returns the length of the escape, 0 if it is wrong. A surrogate counts only as half of a pair.
 */
static size_t decode_escape(const uint8_t *p, size_t left, uint8_t out[4], size_t *out_size)
{
    if (left < 2)
        return 0;
    if (p[1] != 'u') {
        out[0] = short_escape(p[1]);
        *out_size = 1;
        return out[0] != 0 ? 2 : 0;
    }
    const int32_t high = hex4(p + 2, left - 2);
    if (high < 0 || (high >= 0xdc00 && high <= 0xdfff))
        return 0;
    if (high < 0xd800 || high > 0xdbff) {
        *out_size = crn_utf8_encode((uint32_t)high, out);
        return 6;
    }
    const int32_t low = left >= 8 && p[6] == '\\' && p[7] == 'u' ? hex4(p + 8, left - 8) : -1;
    if (low < 0xdc00 || low > 0xdfff)
        return 0;
    *out_size = crn_utf8_encode(
        0x10000u + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00), out);
    return 12;
}

/* Reads the string whose opening quote is at hand. */
static crn_json_token read_string(crn_json *json, crn_json_token token)
{
    const size_t begin = json->at + 1;
    size_t at = begin;
    json->has_escapes = false;
    json->length = 0;
    while (at < json->size && json->text[at] != '"') {
        uint8_t decoded[4];
        size_t size = 1;
        size_t taken = 1;
        if (json->text[at] == '\\') {
            taken = decode_escape(json->text + at, json->size - at, decoded, &size);
            if (taken == 0)
                return fail(json, CRN_FORMAT_JSON, at, "wrong escape in a string");
            json->has_escapes = true;
        } else if (json->text[at] < 0x20) {
            return fail(json, CRN_FORMAT_JSON, at, "control byte in a string");
        }
        at += taken;
        json->length += size;
    }
    if (at >= json->size)
        return fail(json, CRN_FORMAT_JSON, json->token_at, "string without an end");
    json->raw = json->text + begin;
    json->raw_size = at - begin;
    json->at = at + 1;
    json->token = token;
    return token;
}

static bool is_digit_at(const crn_json *json, size_t at)
{
    return at < json->size && json->text[at] >= '0' && json->text[at] <= '9';
}

static size_t skip_digits(const crn_json *json, size_t at)
{
    while (is_digit_at(json, at))
        at++;
    return at;
}

static crn_json_token read_number(crn_json *json)
{
    const size_t begin = json->at;
    const size_t digits = json->text[begin] == '-' ? begin + 1 : begin;
    size_t at = skip_digits(json, digits);
    if (at == digits)
        return fail(json, CRN_FORMAT_JSON, begin, "not a JSON value");
    if (at - digits > 1 && json->text[digits] == '0')
        return fail(json, CRN_FORMAT_NUMBER, begin, "number with a leading zero");
    if (at < json->size && json->text[at] == '.') {
        if (!is_digit_at(json, at + 1))
            return fail(json, CRN_FORMAT_JSON, begin, "number without digits after the point");
        at = skip_digits(json, at + 1);
    }
    if (at < json->size && (json->text[at] | 0x20) == 'e') {
        at++;
        if (at < json->size && (json->text[at] == '+' || json->text[at] == '-'))
            at++;
        if (!is_digit_at(json, at))
            return fail(json, CRN_FORMAT_JSON, begin, "number without digits in the exponent");
        at = skip_digits(json, at);
    }
    json->raw = json->text + begin;
    json->raw_size = at - begin;
    json->at = at;
    json->token = CRN_JSON_NUMBER;
    return json->token;
}

static crn_json_token read_word(crn_json *json)
{
    static const struct {
        const char *text;
        size_t length;
        crn_json_token token;
    } k_words[] = {
        {"true", 4, CRN_JSON_TRUE}, {"false", 5, CRN_JSON_FALSE}, {"null", 4, CRN_JSON_NULL}};
    for (size_t i = 0; i < sizeof k_words / sizeof k_words[0]; i++) {
        if (json->size - json->at >= k_words[i].length &&
            memcmp(json->text + json->at, k_words[i].text, k_words[i].length) == 0) {
            json->at += k_words[i].length;
            json->token = k_words[i].token;
            return json->token;
        }
    }
    return fail(json, CRN_FORMAT_JSON, json->at, "not a JSON value");
}

static crn_json_token open_nest(crn_json *json, bool is_object)
{
    if (json->depth == CRN_FORMAT_JSON_DEPTH_MAX)
        return fail(json, CRN_FORMAT_JSON_DEPTH, json->at, "nested too deep");
    json->at++;
    json->depth++;
    json->is_object[json->depth] = is_object;
    json->state = is_object ? WANT_FIRST_KEY : WANT_FIRST_VALUE;
    json->token = is_object ? CRN_JSON_OBJECT_BEGIN : CRN_JSON_ARRAY_BEGIN;
    return json->token;
}

static crn_json_token close_nest(crn_json *json)
{
    const bool is_object = json->is_object[json->depth];
    json->at++;
    json->depth--;
    json->state = json->depth > 0 ? WANT_COMMA : WANT_END;
    json->token = is_object ? CRN_JSON_OBJECT_END : CRN_JSON_ARRAY_END;
    return json->token;
}

static crn_json_token read_value(crn_json *json)
{
    const uint8_t c = json->text[json->at];
    if (c == '{' || c == '[')
        return open_nest(json, c == '{');
    json->state = json->depth > 0 ? WANT_COMMA : WANT_END;
    if (c == '"')
        return read_string(json, CRN_JSON_STRING);
    if (c == '-' || (c >= '0' && c <= '9'))
        return read_number(json);
    return read_word(json);
}

static crn_json_token read_key(crn_json *json)
{
    if (json->text[json->at] != '"')
        return fail(json, CRN_FORMAT_JSON, json->at, "a name in double quotes must come here");
    if (read_string(json, CRN_JSON_KEY) == CRN_JSON_FAILED)
        return CRN_JSON_FAILED;
    skip_space(json);
    if (json->at >= json->size || json->text[json->at] != ':')
        return fail(json, CRN_FORMAT_JSON, json->at, "a colon must come here");
    json->at++;
    json->state = WANT_VALUE;
    return json->token;
}

crn_json_token crn_json_next(crn_json *json)
{
    if (json->state == IS_FAILED)
        return CRN_JSON_FAILED;
    skip_space(json);
    json->token_at = json->at;
    if (json->state == WANT_END) {
        if (json->at < json->size)
            return fail(json, CRN_FORMAT_JSON_TRAILING, json->at, "more bytes after the end");
        json->token = CRN_JSON_END;
        return json->token;
    }
    if (json->at >= json->size)
        return fail(json, CRN_FORMAT_JSON, json->at, "the text ends too early");
    if (json->depth > 0) {
        const uint8_t close = json->is_object[json->depth] ? '}' : ']';
        const bool may_close = json->state == WANT_COMMA || json->state == WANT_FIRST_KEY ||
                               json->state == WANT_FIRST_VALUE;
        if (may_close && json->text[json->at] == close)
            return close_nest(json);
    }
    if (json->state == WANT_COMMA) {
        if (json->text[json->at] != ',')
            return fail(json, CRN_FORMAT_JSON, json->at, "a comma or an end must come here");
        json->at++;
        skip_space(json);
        json->token_at = json->at;
        if (json->at >= json->size)
            return fail(json, CRN_FORMAT_JSON, json->at, "the text ends too early");
        json->state = json->is_object[json->depth] ? WANT_KEY : WANT_VALUE;
    }
    if (json->state == WANT_KEY || json->state == WANT_FIRST_KEY)
        return read_key(json);
    return read_value(json);
}

void crn_json_unescape(const crn_json *json, char *out)
{
    if (!json->has_escapes) {
        memcpy(out, json->raw, json->raw_size);
        out[json->raw_size] = '\0';
        return;
    }
    for (size_t at = 0; at < json->raw_size;) {
        uint8_t decoded[4];
        size_t size = 0;
        if (json->raw[at] != '\\') {
            *out++ = (char)json->raw[at++];
            continue;
        }
        at += decode_escape(json->raw + at, json->raw_size - at, decoded, &size);
        memcpy(out, decoded, size);
        out += size;
    }
    *out = '\0';
}

bool crn_json_is(const crn_json *json, const char *text)
{
    char unescaped[64];
    const size_t length = strlen(text);
    if (json->length != length)
        return false;
    if (!json->has_escapes)
        return memcmp(json->raw, text, length) == 0;
    if (length >= sizeof unescaped)
        return false;
    crn_json_unescape(json, unescaped);
    return memcmp(unescaped, text, length) == 0;
}

bool crn_json_u64(const crn_json *json, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < json->raw_size; i++) {
        const uint8_t c = json->raw[i];
        if (c < '0' || c > '9' || __builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(c - '0'), &value))
            return false;
    }
    *out = value;
    return true;
}

bool crn_json_skip(crn_json *json)
{
    const bool is_open =
        json->token == CRN_JSON_OBJECT_BEGIN || json->token == CRN_JSON_ARRAY_BEGIN;
    if (!is_open)
        return json->token != CRN_JSON_FAILED;
    const uint8_t outside = (uint8_t)(json->depth - 1);
    while (json->depth > outside) {
        if (crn_json_next(json) == CRN_JSON_FAILED)
            return false;
    }
    return true;
}
