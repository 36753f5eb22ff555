/*
 * What a plain scalar means: the resolver of PyYAML's SafeLoader (YAML 1.1 with its own regular
 * expressions), written as small matchers; and the lax conversions of texts.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "config/config_priv.h"

/* A longer number, or one that no double holds, is taken as text: no option needs one. */
enum { NUMBER_LENGTH_MAX = 400 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_one_of(const char *text, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, words[i]) == 0)
            return true;
    }
    return false;
}

#define IS_ONE_OF(text, words) is_one_of((text), (words), sizeof(words) / sizeof(words)[0])

static int digit_value(char c)
{
    if (is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 99;
}

/* An unsigned integer that may grow beyond 64 bits. */
struct magnitude {
    uint64_t value;
    double approximation;
    bool is_over;
};

static void magnitude_push(struct magnitude *m, unsigned base, unsigned digit)
{
    m->approximation = m->approximation * base + digit;
    if (__builtin_mul_overflow(m->value, (uint64_t)base, &m->value) ||
        __builtin_add_overflow(m->value, (uint64_t)digit, &m->value))
        m->is_over = true;
}

static void set_int(crn_node *node, const struct magnitude *m, bool is_negative)
{
    const uint64_t limit = (uint64_t)INT64_MAX + (is_negative ? 1 : 0);
    node->kind = CRN_NODE_INT;
    node->is_big = m->is_over || m->value > limit;
    if (node->is_big)
        node->i = is_negative ? INT64_MIN : INT64_MAX;
    else
        node->i = is_negative ? (int64_t)(0 - m->value) : (int64_t)m->value;
    node->f = node->is_big ? (is_negative ? -m->approximation : m->approximation) : (double)node->i;
}

/* Digits of @base with underscores up to the end; false if there is no digit. */
static bool match_digits(const char *p, unsigned base, struct magnitude *m)
{
    size_t digits = 0;
    for (; *p != '\0'; p++) {
        if (*p == '_')
            continue;
        if (digit_value(*p) >= (int)base)
            return false;
        magnitude_push(m, base, (unsigned)digit_value(*p));
        digits++;
    }
    return digits > 0;
}

/* (:[0-5]?[0-9])+ at @p; returns its end, or @p if it is not there. */
static const char *skip_sixties(const char *p)
{
    while (p[0] == ':' && is_digit(p[1])) {
        if (is_digit(p[2])) {
            if (p[1] > '5')
                break;
            p += 3;
        } else {
            p += 2;
        }
    }
    return p;
}

static bool match_sexagesimal_int(const char *p, struct magnitude *m)
{
    const char *q = p;
    while (is_digit(*q) || *q == '_')
        q++;
    if (*q != ':' || *skip_sixties(q) != '\0')
        return false;
    for (; p < q; p++) {
        if (*p != '_')
            magnitude_push(m, 10, (unsigned)(*p - '0'));
    }
    while (*q == ':') {
        unsigned part = (unsigned)(*++q - '0');
        q++;
        if (is_digit(*q))
            part = part * 10 + (unsigned)(*q++ - '0');
        magnitude_push(m, 60, part);
    }
    return true;
}

/* Removes underscores; false if the text is too long for a number. */
static bool without_underscores(const char *text, char out[NUMBER_LENGTH_MAX + 1])
{
    size_t used = 0;
    for (; *text != '\0'; text++) {
        if (*text == '_')
            continue;
        if (used == NUMBER_LENGTH_MAX)
            return false;
        out[used++] = *text;
    }
    out[used] = '\0';
    return true;
}

static bool match_int(const char *text, crn_node *node)
{
    char copy[NUMBER_LENGTH_MAX + 1];
    struct magnitude m = {0};
    const bool is_negative = text[0] == '-';
    const char *p = text + (text[0] == '-' || text[0] == '+' ? 1 : 0);
    bool is_match = false;
    if (p[0] == '0' && p[1] == 'b')
        is_match = match_digits(p + 2, 2, &m);
    else if (p[0] == '0' && p[1] == 'x')
        is_match = match_digits(p + 2, 16, &m);
    else if (p[0] == '0')
        is_match = match_digits(p, 8, &m);
    else if (is_digit(p[0]) && strchr(p, ':') != NULL)
        is_match = match_sexagesimal_int(p, &m);
    else if (is_digit(p[0]))
        is_match = match_digits(p, 10, &m) && without_underscores(p, copy) &&
                   crn_f64_from_text(copy, &m.approximation);
    if (is_match)
        set_int(node, &m, is_negative);
    return is_match;
}

/* 190:20:30.15, summed from the right as PyYAML does. */
static double sexagesimal_float(char *digits)
{
    double value = 0.0;
    double base = 1.0;
    for (char *colon = NULL; (colon = strrchr(digits, ':')) != NULL; base *= 60.0) {
        double part = 0.0;
        (void)crn_f64_from_text(colon + 1, &part);
        value += part * base;
        *colon = '\0';
    }
    double first = 0.0;
    (void)crn_f64_from_text(digits, &first);
    return value + first * base;
}

/* ([eE][-+][0-9]+)? up to the end. */
static bool match_exponent(const char *p)
{
    if (*p == '\0')
        return true;
    if ((*p != 'e' && *p != 'E') || (p[1] != '+' && p[1] != '-') || !is_digit(p[2]))
        return false;
    p += 2;
    while (is_digit(*p))
        p++;
    return *p == '\0';
}

static bool match_float(const char *text, double *out)
{
    char copy[NUMBER_LENGTH_MAX + 1];
    const bool has_sign = text[0] == '-' || text[0] == '+';
    const char *p = text + (has_sign ? 1 : 0);
    bool is_sexagesimal = false;
    if (is_digit(*p)) {
        while (is_digit(*p) || *p == '_')
            p++;
        const char *const after = skip_sixties(p);
        is_sexagesimal = after != p;
        p = after;
    } else if (has_sign || !is_digit(p[0] == '.' ? p[1] : '\0')) {
        return false; /* PyYAML reads -.5 as text. */
    }
    if (*p++ != '.')
        return false;
    while (is_digit(*p) || *p == '_')
        p++;
    if (is_sexagesimal ? *p != '\0' : !match_exponent(p))
        return false;
    if (!without_underscores(text + (has_sign ? 1 : 0), copy))
        return false;
    if (is_sexagesimal)
        *out = sexagesimal_float(copy);
    else if (!crn_f64_from_text(copy, out))
        return false;
    if (text[0] == '-')
        *out = -*out;
    return true;
}

static bool match_special_float(const char *text, double *out)
{
    static const char *const k_inf[] = {".inf", ".Inf", ".INF"};
    static const char *const k_nan[] = {".nan", ".NaN", ".NAN"};
    const char *const p = text + (text[0] == '-' || text[0] == '+' ? 1 : 0);
    if (IS_ONE_OF(p, k_inf))
        *out = text[0] == '-' ? -INFINITY : INFINITY;
    else if (IS_ONE_OF(text, k_nan))
        *out = NAN;
    else
        return false;
    return true;
}

void crn_scalar_resolve(crn_node *node)
{
    static const char *const k_null[] = {"", "~", "null", "Null", "NULL"};
    static const char *const k_true[] = {"yes",  "Yes", "YES", "true", "True",
                                         "TRUE", "on",  "On",  "ON"};
    static const char *const k_false[] = {"no",    "No",  "NO",  "false", "False",
                                          "FALSE", "off", "Off", "OFF"};
    const char *const text = node->text;
    node->kind = CRN_NODE_TEXT;
    if (IS_ONE_OF(text, k_null)) {
        node->kind = CRN_NODE_NULL;
    } else if (IS_ONE_OF(text, k_true) || IS_ONE_OF(text, k_false)) {
        node->kind = CRN_NODE_BOOL;
        node->b = IS_ONE_OF(text, k_true);
    } else if (strlen(text) <= NUMBER_LENGTH_MAX && !match_int(text, node)) {
        if (match_float(text, &node->f) || match_special_float(text, &node->f))
            node->kind = CRN_NODE_FLOAT;
    }
}

/* Copies a number without the blanks around it and without underscores between digits. */
static bool lax_copy(const char *text, char out[NUMBER_LENGTH_MAX + 1])
{
    size_t used = 0;
    const char *end = text + strlen(text);
    while (*text == ' ' || *text == '\t' || *text == '\n')
        text++;
    while (end > text && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\n'))
        end--;
    for (const char *p = text; p < end; p++) {
        if (*p == '_' && p > text && is_digit(p[-1]) && p + 1 < end && is_digit(p[1]))
            continue;
        if (used == NUMBER_LENGTH_MAX)
            return false;
        out[used++] = *p;
    }
    out[used] = '\0';
    return used > 0;
}

bool crn_scalar_lax_int(const char *text, int64_t *out, bool *is_big)
{
    char copy[NUMBER_LENGTH_MAX + 1];
    struct magnitude m = {0};
    crn_node number = {0};
    if (!lax_copy(text, copy))
        return false;
    char *const digits = copy + (copy[0] == '-' || copy[0] == '+' ? 1 : 0);
    char *const point = strchr(digits, '.');
    if (point != NULL) {
        if (point[1] == '\0' || point[1 + strspn(point + 1, "0")] != '\0')
            return false;
        *point = '\0';
    }
    if (strchr(digits, '_') != NULL || !match_digits(digits, 10, &m))
        return false;
    set_int(&number, &m, copy[0] == '-');
    *is_big = number.is_big;
    *out = number.i;
    return true;
}

bool crn_scalar_lax_float(const char *text, double *out)
{
    char copy[NUMBER_LENGTH_MAX + 1];
    if (match_special_float(text, out))
        return true;
    if (!lax_copy(text, copy))
        return false;
    const char *const p = copy + (copy[0] == '-' || copy[0] == '+' ? 1 : 0);
    const bool is_word =
        crn_names_equal(p, "inf") || crn_names_equal(p, "infinity") || crn_names_equal(p, "nan");
    /* Keeps out the hexadecimal floats that strtod would take. */
    if (!is_word && p[strspn(p, "0123456789.eE+-")] != '\0')
        return false;
    return crn_f64_from_text(copy, out);
}

/* snprintf writes the decimal point of the locale, whatever bytes that is; we want '.'. */
static void fix_point(char *text)
{
    char *to = text;
    bool was_point = false;
    for (const char *from = text; *from != '\0'; from++) {
        const bool is_point = strchr("0123456789eE+-", *from) == NULL;
        if (!is_point)
            *to++ = *from;
        else if (!was_point)
            *to++ = '.';
        was_point = is_point;
    }
    *to = '\0';
}

const char *crn_f64_to_decimal(double value, char buf[CRN_F64_TEXT_SIZE])
{
    if (!isfinite(value)) {
        (void)snprintf(buf, CRN_F64_TEXT_SIZE, "%s",
                       isnan(value) ? "nan"
                       : value < 0  ? "-inf"
                                    : "inf");
        return buf;
    }
    for (int digits = 15; digits <= 17; digits++) {
        double back = 0.0;
        (void)snprintf(buf, CRN_F64_TEXT_SIZE, "%.*g", digits, value);
        fix_point(buf);
        if (crn_f64_from_text(buf, &back) && back == value)
            break;
    }
    return buf;
}
