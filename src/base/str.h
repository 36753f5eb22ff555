/* Growing strings and the few text helpers that every room needs. */
#ifndef CRN_BASE_STR_H
#define CRN_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cairn/error.h"

/*
 * A growing, NUL-terminated string. Zeroed is empty. A failed append sets is_failed and every
 * later append does nothing, so a writer checks once, at the end, with crn_str_check.
 */
typedef struct crn_str {
    char *text; /* Yours; release with crn_str_dispose. NULL while empty. */
    size_t length;
    size_t capacity;
    bool is_failed;
} crn_str;

void crn_str_append(crn_str *s, const char *text);
void crn_str_append_bytes(crn_str *s, const void *bytes, size_t size);
void crn_str_printf(crn_str *s, const char *format, ...) CAIRN_PRINTF(2, 3);
/* As printf of "%" PRIu64, several times as fast: headers hold tens of thousands of numbers. */
void crn_str_append_u64(crn_str *s, uint64_t number);
/* Appends @text as a JSON string with its quotes; bytes above 0x7f are kept as they are. */
void crn_str_append_json(crn_str *s, const char *text, size_t length);
/* Forgets the first @count bytes. */
void crn_str_drop(crn_str *s, size_t count);
void crn_str_dispose(crn_str *s);
cairn_status crn_str_check(const crn_str *s, cairn_error *err) CAIRN_MUST_USE;
/* Hands the text out (an empty string is "", not NULL) and empties @s. NULL: out of memory. */
char *crn_str_take(crn_str *s) CAIRN_MUST_USE;

/*
 * Copies foreign text for a log line: control bytes, DEL and invalid UTF-8 become \xNN. Returns
 * @buf. A result that does not fit ends in "...".
 */
const char *crn_escape(const char *text, size_t length, char *buf, size_t size);

/*
 * The name in @names nearest to @wrong by optimal string alignment distance, letters compared
 * without case; NULL if none is near enough to be a slip (at most a third of the length, at
 * least 1).
 */
const char *crn_nearest(const char *wrong, const char *const *names, size_t count);

bool crn_starts_with(const char *text, const char *prefix);
/* 1234567 as "1,234,567"; returns @buf. */
const char *crn_format_count(uint64_t value, char buf[32]);
/* Bytes as "1.39 GiB"; returns @buf. */
const char *crn_format_bytes(uint64_t bytes, char buf[32]);
/* Lower-case hexadecimal of @size bytes, NUL-terminated: @out has 2 * size + 1 bytes. */
void crn_hex(const void *bytes, size_t size, char *out);

/* Exact text of a double: hexadecimal ("0x1.8p+1"), "nan", "inf", "-inf". Locale-free. */
void crn_f64_to_text(double value, char buf[40]);
/*
 * Reads it back, decimal too; false unless all of @text is one number that a double can hold
 * ("inf" is one, "1e999" is not). Locale-free.
 */
bool crn_f64_from_text(const char *text, double *out);
bool crn_u64_from_text(const char *text, uint64_t *out);

#endif
