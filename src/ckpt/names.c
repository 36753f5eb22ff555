#include "ckpt/names.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/try.h"

enum {
    TEMPLATE_BYTES_MAX = 160, /* so that step, timestamp, suffix and ".part" fit a file name */
    WIDTH_MAX = 18,
    DATE_DIGITS = 8,
    TIME_DIGITS = 6
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t digits_at(const char *text, size_t length)
{
    size_t n = 0;
    while (n < length && is_digit(text[n]))
        n++;
    return n;
}

static bool number_of(const char *text, size_t length, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < length; i++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value))
            return false;
    }
    *out = value;
    return length > 0;
}

/* Length of a "{step}" or "{step:0Nd}" at @text; 0 if there is none. */
static size_t field_at(const char *text, int *out_width)
{
    static const char k_open[] = "{step";
    const size_t open = sizeof k_open - 1;
    uint64_t width = 0;
    if (strncmp(text, k_open, open) != 0)
        return 0;
    *out_width = 0;
    if (text[open] == '}')
        return open + 1;
    if (text[open] != ':' || text[open + 1] != '0')
        return 0;
    const size_t digits = digits_at(text + open + 2, 2);
    if (!number_of(text + open + 2, digits, &width) || width < 1 || width > WIDTH_MAX)
        return 0;
    if (strncmp(text + open + 2 + digits, "d}", 2) != 0)
        return 0;
    *out_width = (int)width;
    return open + 2 + digits + 2;
}

cairn_status crn_template_parse(const char *text, crn_template *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_template t = {.text = text};
    char shown[128];
    size_t fields = 0;
    bool has_stray = false;
    (void)crn_escape(text, strlen(text), shown, sizeof shown);
    for (const char *p = text; *p != '\0';) {
        int width = 0;
        const size_t length = field_at(p, &width);
        if (length > 0) {
            fields++;
            t.prefix_length = (size_t)(p - text);
            t.suffix = p + length;
            t.width = width;
            p += length;
            continue;
        }
        has_stray = has_stray || *p == '{' || *p == '}';
        p++;
    }
    if (fields != 1 || has_stray)
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "checkpoint_name '%s' must have exactly one field, {step} or {step:08d}, as in "
                 "'" CAIRN_CHECKPOINT_NAME_DEFAULT "'",
                 shown);
    if (strchr(text, '/') != NULL)
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "checkpoint_name '%s' must not contain '/'; set checkpoint_root for a folder",
                 shown);
    if (text[0] == '.')
        CRN_FAIL(err, CAIRN_ECONFIG, "checkpoint_name '%s' must not begin with '.'", shown);
    if (strlen(text) > TEMPLATE_BYTES_MAX)
        CRN_FAIL(err, CAIRN_ECONFIG, "checkpoint_name '%s' is longer than %d bytes", shown,
                 TEMPLATE_BYTES_MAX);
    *out = t;
out:
    return rc;
}

cairn_status cairn_checkpoint_name_check(const char *name_template, cairn_error *err)
{
    crn_template ignored;
    return crn_template_parse(name_template, &ignored, err);
}

static bool is_date(uint64_t date, uint64_t time)
{
    static const uint8_t k_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const uint64_t year = date / 10000;
    const uint64_t month = date / 100 % 100;
    const uint64_t day = date % 100;
    if (year < 1 || month < 1 || month > 12 || day < 1)
        return false;
    const bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day > k_days[month - 1] + (month == 2 && is_leap ? 1U : 0U))
        return false;
    return time / 10000 < 24 && time / 100 % 100 < 60 && time % 100 < 60;
}

const char *crn_name_extension(const char *name)
{
    const char *const dot = strrchr(name, '.');
    return dot != NULL && dot != name ? dot : name + strlen(name);
}

/* "_YYYYmmdd_HHMMSS" or "_YYYYmmdd_HHMMSS_<suffix>", whole. */
static bool parse_timestamp(const char *text, size_t length, cairn_checkpoint_name *out)
{
    enum { STAMP = 1 + DATE_DIGITS + 1 + TIME_DIGITS };
    uint64_t date = 0;
    uint64_t time = 0;
    if (length < STAMP || text[0] != '_' || text[1 + DATE_DIGITS] != '_' ||
        digits_at(text + 1, DATE_DIGITS) != DATE_DIGITS ||
        digits_at(text + 2 + DATE_DIGITS, TIME_DIGITS) != TIME_DIGITS)
        return false;
    (void)number_of(text + 1, DATE_DIGITS, &date);
    (void)number_of(text + 2 + DATE_DIGITS, TIME_DIGITS, &time);
    if (!is_date(date, time))
        return false;
    out->timestamp = date * 1000000 + time;
    if (length == STAMP)
        return true;
    const char *const tail = text + STAMP + 1;
    const size_t tail_length = length - STAMP - 1;
    return text[STAMP] == '_' && digits_at(tail, tail_length) == tail_length &&
           number_of(tail, tail_length, &out->suffix) && out->suffix > 0;
}

bool crn_name_is_variant(const char *base, const char *name)
{
    cairn_checkpoint_name ignored = {0};
    const char *const dot = crn_name_extension(base);
    const size_t stem = (size_t)(dot - base);
    const size_t length = strlen(name);
    const size_t tail = strlen(dot);
    if (strcmp(base, name) == 0)
        return true;
    return length > stem + tail && memcmp(base, name, stem) == 0 &&
           strcmp(name + length - tail, dot) == 0 &&
           parse_timestamp(name + stem, length - stem - tail, &ignored);
}

bool crn_template_match(const crn_template *t, const char *name, cairn_checkpoint_name *out)
{
    const size_t length = strlen(name);
    const size_t suffix_length = strlen(t->suffix);
    cairn_checkpoint_name parsed = {0};
    if (length < t->prefix_length + suffix_length + 1 ||
        memcmp(name, t->text, t->prefix_length) != 0 ||
        strcmp(name + length - suffix_length, t->suffix) != 0)
        return false;
    const char *const middle = name + t->prefix_length;
    const size_t middle_length = length - t->prefix_length - suffix_length;
    /* The width is for writing only: names from before a change of it still count. */
    const size_t digits = digits_at(middle, middle_length);
    if (!number_of(middle, digits, &parsed.step))
        return false;
    if (digits < middle_length &&
        !parse_timestamp(middle + digits, middle_length - digits, &parsed))
        return false;
    *out = parsed;
    return true;
}

bool cairn_checkpoint_name_parse(const char *name_template, const char *name,
                                 cairn_checkpoint_name *out)
{
    crn_template t;
    return crn_template_parse(name_template, &t, NULL) == CAIRN_OK &&
           crn_template_match(&t, name, out);
}

static int compare_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

int cairn_checkpoint_name_compare(const cairn_checkpoint_name *a, const cairn_checkpoint_name *b)
{
    int order = compare_u64(a->step, b->step);
    if (order == 0)
        order = compare_u64(a->timestamp, b->timestamp);
    if (order == 0)
        order = compare_u64(a->suffix, b->suffix);
    return order;
}

uint64_t crn_timestamp_utc(int64_t realtime_ns)
{
    const time_t seconds = (time_t)(realtime_ns / 1000000000);
    struct tm t = {0};
    if (gmtime_r(&seconds, &t) == NULL)
        return 19700101000000; /* A clock beyond all calendars still gives a name that parses. */
    const uint64_t date =
        (uint64_t)(t.tm_year + 1900) * 10000 + (uint64_t)(t.tm_mon + 1) * 100 + (uint64_t)t.tm_mday;
    const int second = t.tm_sec < 60 ? t.tm_sec : 59;
    return date * 1000000 + (uint64_t)(t.tm_hour * 10000 + t.tm_min * 100 + second);
}

void crn_timestamp_append(crn_str *out, uint64_t timestamp, uint64_t suffix)
{
    crn_str_printf(out, "_%08" PRIu64 "_%06" PRIu64, timestamp / 1000000, timestamp % 1000000);
    if (suffix > 0)
        crn_str_printf(out, "_%" PRIu64, suffix);
}

void crn_template_format(const crn_template *t, const cairn_checkpoint_name *name, crn_str *out)
{
    crn_str_append_bytes(out, t->text, t->prefix_length);
    crn_str_printf(out, "%0*" PRIu64, t->width, name->step);
    if (name->timestamp > 0)
        crn_timestamp_append(out, name->timestamp, name->suffix);
    crn_str_append(out, t->suffix);
}

cairn_status crn_name_list_add(crn_name_list *list, const char *name, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char *const copy = crn_strdup(name);
    CRN_NEED(err, copy, "a name");
    CRN_TRY_PLAIN(
        crn_grow(&list->items, &list->capacity, list->count + 1, sizeof *list->items, err));
    list->items[list->count++] = copy;
out:
    if (rc != CAIRN_OK)
        crn_free(copy);
    return rc;
}

cairn_status crn_name_list_split(crn_name_list *list, const char *text, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str word = {0};
    for (const char *p = text;; p++) {
        if (*p != ',' && *p != '\0') {
            if (*p != ' ' || word.length > 0)
                crn_str_append_bytes(&word, p, 1);
            continue;
        }
        while (word.length > 0 && word.text[word.length - 1] == ' ')
            word.text[--word.length] = '\0';
        CRN_TRY_PLAIN(crn_str_check(&word, err));
        if (word.length > 0 && !crn_name_list_has(list, word.text))
            CRN_TRY_PLAIN(crn_name_list_add(list, word.text, err));
        word.length = 0;
        if (*p == '\0')
            break;
    }
out:
    crn_str_dispose(&word);
    return rc;
}

bool crn_name_list_has(const crn_name_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], name) == 0)
            return true;
    }
    return false;
}

void crn_name_list_dispose(crn_name_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        crn_free(list->items[i]);
    crn_free(list->items);
    *list = (crn_name_list){0};
}

const char *crn_path_file(const char *path, size_t *out_folder_length)
{
    const char *const slash = strrchr(path, '/');
    if (slash == NULL) {
        *out_folder_length = 0;
        return path;
    }
    *out_folder_length = slash == path ? 1 : (size_t)(slash - path);
    return slash + 1;
}

char *crn_path_join(const char *folder, const char *name)
{
    crn_str path = {0};
    const size_t length = strlen(folder);
    crn_str_append(&path, folder);
    if (length > 0 && folder[length - 1] != '/')
        crn_str_append(&path, "/");
    crn_str_append(&path, name);
    char *const text = crn_str_take(&path);
    return text;
}
