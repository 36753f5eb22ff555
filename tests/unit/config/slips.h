/* Names one slip away from a good one: a letter lost, swapped, wrong or put in. */
#ifndef CONFIG_SLIPS_H
#define CONFIG_SLIPS_H

#include "unit/config/config_kit.h"

#include <ctype.h>
#include <stdio.h>

enum { SLIP_SIZE = 80 };

/* @table is what the name is of. */
typedef void (*slip_fn)(const void *table, const char *name, const char *slip);

/* Calls @each for all of them; returns how many. */
static inline size_t for_each_slip(const void *table, const char *name, slip_fn each)
{
    static const char k_letters[] = "ae_tZ3"; /* letters that names have, and some that few have */
    char slip[SLIP_SIZE];
    size_t count = 0;
    const int length = (int)strlen(name);
    assert_true(length + 2 < SLIP_SIZE);
    for (int i = 0; i <= length; i++) {
        if (i < length && length > 1) {
            (void)snprintf(slip, sizeof slip, "%.*s%s", i, name, name + i + 1);
            each(table, name, slip);
            count++;
        }
        if (i + 1 < length) {
            (void)snprintf(slip, sizeof slip, "%.*s%c%c%s", i, name, name[i + 1], name[i],
                           name + i + 2);
            each(table, name, slip);
            count++;
        }
        for (const char *letter = k_letters; *letter != '\0'; letter++, count += 2) {
            (void)snprintf(slip, sizeof slip, "%.*s%c%s", i, name, *letter, name + i);
            each(table, name, slip);
            (void)snprintf(slip, sizeof slip, "%.*s%c%s", i, name, *letter,
                           i < length ? name + i + 1 : "");
            each(table, name, slip);
        }
    }
    return count;
}

/* @a and @b are at most one slip apart: they are the same at the front, then comes one change, then
 * they are the same to the end. Written without the distance that is tested. */
static inline bool is_one_slip(const char *a, const char *b)
{
    while (*a != '\0' && tolower((unsigned char)*a) == tolower((unsigned char)*b)) {
        a++;
        b++;
    }
    if (*a == '\0' || *b == '\0')
        return strlen(a) + strlen(b) <= 1;
    return crn_names_equal(a + 1, b) || crn_names_equal(a, b + 1) ||
           crn_names_equal(a + 1, b + 1) ||
           (tolower((unsigned char)a[0]) == tolower((unsigned char)b[1]) &&
            tolower((unsigned char)a[1]) == tolower((unsigned char)b[0]) && a[1] != '\0' &&
            crn_names_equal(a + 2, b + 2));
}

/* The name between the last "did you mean '" and "'?" of @text, which is cut there. */
static inline const char *suggested(char *text)
{
    static const char k_ask[] = "did you mean '";
    char *const ask = strstr(text, k_ask);
    if (ask == NULL)
        fail_msg("no suggestion: %s", text);
    char *const end = strchr(ask + sizeof k_ask - 1, '\'');
    assert_non_null(end);
    assert_string_equal(end, "'?");
    *end = '\0';
    return ask + sizeof k_ask - 1;
}

#endif
