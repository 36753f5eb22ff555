#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"

static bool str_reserve(crn_str *s, size_t extra)
{
    if (s->is_failed)
        return false;
    if (crn_grow(&s->text, &s->capacity, s->length + extra + 1, 1, NULL) != CAIRN_OK)
        s->is_failed = true;
    return !s->is_failed;
}

void crn_str_append_bytes(crn_str *s, const void *bytes, size_t size)
{
    if (!str_reserve(s, size))
        return;
    memcpy(s->text + s->length, bytes, size);
    s->length += size;
    s->text[s->length] = '\0';
}

void crn_str_append(crn_str *s, const char *text)
{
    crn_str_append_bytes(s, text, strlen(text));
}

void crn_str_printf(crn_str *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0)
        s->is_failed = true;
    if (length < 0 || !str_reserve(s, (size_t)length))
        return;
    va_start(args, format);
    (void)vsnprintf(s->text + s->length, (size_t)length + 1, format, args);
    va_end(args);
    s->length += (size_t)length;
}

void crn_str_append_u64(crn_str *s, uint64_t number)
{
    char digits[20]; /* of 2^64 - 1 */
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    crn_str_append_bytes(s, digits + at, sizeof digits - at);
}

static bool needs_escape(unsigned char c)
{
    return c == '"' || c == '\\' || c < 0x20 || c == 0x7f;
}

void crn_str_append_json(crn_str *s, const char *text, size_t length)
{
    crn_str_append(s, "\"");
    for (size_t i = 0, plain = 0; i < length; i += plain + 1, plain = 0) {
        while (i + plain < length && !needs_escape((unsigned char)text[i + plain]))
            plain++;
        crn_str_append_bytes(s, text + i, plain);
        if (i + plain == length)
            break;
        const char c = text[i + plain];
        if (c == '"' || c == '\\')
            crn_str_append_bytes(s, (const char[]){'\\', c}, 2);
        else
            crn_str_printf(s, "\\u%04x", (unsigned char)c);
    }
    crn_str_append(s, "\"");
}

void crn_str_drop(crn_str *s, size_t count)
{
    if (count == 0)
        return;
    s->length -= count;
    memmove(s->text, s->text + count, s->length);
    s->text[s->length] = '\0';
}

void crn_str_dispose(crn_str *s)
{
    crn_free(s->text);
    *s = (crn_str){0};
}

cairn_status crn_str_check(const crn_str *s, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (s->is_failed)
        CRN_FAIL(err, CAIRN_ENOMEM, "no memory for a text of %zu bytes", s->length);
out:
    return rc;
}

char *crn_str_take(crn_str *s)
{
    char *text = NULL;
    if (!s->is_failed && (s->text != NULL || str_reserve(s, 0)))
        text = s->text;
    if (text != NULL)
        s->text = NULL;
    crn_str_dispose(s);
    return text;
}

/* Length of the valid UTF-8 sequence at @p, or 0. */
static size_t utf8_length(const unsigned char *p, size_t left)
{
    static const uint32_t k_least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t size = 0;
    uint32_t code = 0;
    if (p[0] < 0x80)
        return 1;
    if ((p[0] & 0xe0) == 0xc0)
        size = 2;
    else if ((p[0] & 0xf0) == 0xe0)
        size = 3;
    else if ((p[0] & 0xf8) == 0xf0)
        size = 4;
    if (size == 0 || size > left)
        return 0;
    code = p[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3f);
    }
    const bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
    const bool is_c1_control = code < 0xa0;
    return code < k_least[size] || code > 0x10ffff || is_surrogate || is_c1_control ? 0 : size;
}

const char *crn_escape(const char *text, size_t length, char *buf, size_t size)
{
    static const char k_dots[] = "...";
    size_t used = 0;
    size_t cut = 0; /* Where the dots go if the rest does not fit. */
    if (size == 0)
        return buf;
    for (size_t i = 0; i < length;) {
        char piece[8];
        const unsigned char *const p = (const unsigned char *)text + i;
        size_t taken = utf8_length(p, length - i);
        size_t piece_size = taken;
        if (taken == 0 || p[0] < 0x20 || p[0] == 0x7f) {
            piece_size = (size_t)snprintf(piece, sizeof piece, "\\x%02x", p[0]);
            taken = 1;
        } else {
            memcpy(piece, p, taken);
        }
        if (used + piece_size + 1 > size) {
            (void)snprintf(buf + cut, size - cut, "%s", k_dots);
            return buf;
        }
        memcpy(buf + used, piece, piece_size);
        used += piece_size;
        i += taken;
        if (used + sizeof k_dots <= size)
            cut = used;
    }
    buf[used] = '\0';
    return buf;
}

enum { NAME_MAX_FOR_DISTANCE = 64 };

static size_t min3(size_t a, size_t b, size_t c)
{
    const size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Optimal string alignment: insert, delete, replace, swap two neighbours; each costs one. */
static size_t distance(const char *a, const char *b)
{
    size_t row[3][NAME_MAX_FOR_DISTANCE + 1];
    const size_t a_length = strlen(a);
    const size_t b_length = strlen(b);
    if (a_length > NAME_MAX_FOR_DISTANCE || b_length > NAME_MAX_FOR_DISTANCE)
        return SIZE_MAX;
    for (size_t j = 0; j <= b_length; j++)
        row[0][j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t *const now = row[i % 3];
        const size_t *const before = row[(i - 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            const int ca = tolower((unsigned char)a[i - 1]);
            const int cb = tolower((unsigned char)b[j - 1]);
            now[j] = min3(before[j] + 1, now[j - 1] + 1, before[j - 1] + (ca != cb));
            if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
                cb == tolower((unsigned char)a[i - 2])) {
                const size_t swapped = row[(i - 2) % 3][j - 2] + 1;
                now[j] = swapped < now[j] ? swapped : now[j];
            }
        }
    }
    return row[a_length % 3][b_length];
}

const char *crn_nearest(const char *wrong, const char *const *names, size_t count)
{
    const size_t third = strlen(wrong) / 3;
    size_t limit = third > 0 ? third : 1;
    const char *best = NULL;
    for (size_t i = 0; i < count; i++) {
        const size_t d = distance(wrong, names[i]);
        if (d <= limit && (best == NULL || d < limit)) {
            best = names[i];
            limit = d;
        }
    }
    return best;
}

bool crn_starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

const char *crn_format_count(uint64_t value, char buf[32])
{
    char digits[24];
    const size_t length =
        (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            buf[used++] = ',';
        buf[used++] = digits[i];
    }
    buf[used] = '\0';
    return buf;
}

const char *crn_format_bytes(uint64_t bytes, char buf[32])
{
    static const char *const k_units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    size_t unit = 0;
    /* From here on "1024.00" would be printed. */
    while (value >= 1023.995 && unit + 1 < sizeof k_units / sizeof k_units[0]) {
        value /= 1024.0;
        unit++;
    }
    /* In whole hundredths, since the decimal point of "%f" follows the locale. */
    const unsigned hundredths = (unsigned)(value * 100.0 + 0.5);
    if (unit == 0)
        (void)snprintf(buf, 32, "%u B", (unsigned)bytes);
    else
        (void)snprintf(buf, 32, "%u.%02u %s", hundredths / 100, hundredths % 100, k_units[unit]);
    return buf;
}

void crn_hex(const void *bytes, size_t size, char *out)
{
    static const char k_digits[] = "0123456789abcdef";
    const unsigned char *const p = bytes;
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = k_digits[p[i] >> 4];
        out[2 * i + 1] = k_digits[p[i] & 15];
    }
    out[2 * size] = '\0';
}

/* Number texts must not follow the locale of the program that embeds us. */
static locale_t c_locale_enter(locale_t *old)
{
    const locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    *old = c != (locale_t)0 ? uselocale(c) : (locale_t)0;
    return c;
}

static void c_locale_leave(locale_t c, locale_t old)
{
    if (c == (locale_t)0)
        return;
    (void)uselocale(old);
    freelocale(c);
}

void crn_f64_to_text(double value, char buf[40])
{
    locale_t old = (locale_t)0;
    if (!isfinite(value)) {
        (void)snprintf(buf, 40, "%s", isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
        return;
    }
    const locale_t c = c_locale_enter(&old);
    (void)snprintf(buf, 40, "%a", value);
    c_locale_leave(c, old);
}

bool crn_f64_from_text(const char *text, double *out)
{
    char *end = NULL;
    locale_t old = (locale_t)0;
    if (text[0] == '\0' || isspace((unsigned char)text[0]))
        return false;
    const locale_t c = c_locale_enter(&old);
    errno = 0;
    const double value = strtod(text, &end);
    const bool is_too_large = errno == ERANGE && isinf(value);
    c_locale_leave(c, old);
    if (*end != '\0' || is_too_large)
        return false;
    *out = value;
    return true;
}

bool crn_u64_from_text(const char *text, uint64_t *out)
{
    char *end = NULL;
    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0')
        return false;
    *out = value;
    return true;
}
