/*
 * Every key of every section with one slip, every number with a wrong value: refused at its line
 * and column, with the way out. From the option tables, so that a new option is tested too.
 */
#include "unit/config/slips.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

#include "config/config_priv.h"

enum { YAML_SIZE = 600, VALUE_SIZE = 400 };

static bool is_key(const crn_section *section, const char *name)
{
    for (size_t i = 0; i < section->count; i++) {
        if (section->rows[i].kind != CRN_ROW_REQUIRED && strcmp(section->rows[i].name, name) == 0)
            return true;
    }
    return false;
}

/* ---- Reading ---- */

/* The only problem of @diag with that place, or a failure. Required options that are not there are
 * another matter. */
static const char *problem_at(const crn_diag *diag, size_t line, size_t column, const char *yaml)
{
    const char *found = NULL;
    for (size_t i = 0; i < diag->count; i++) {
        const crn_problem *const problem = &diag->problems[i];
        if (strstr(problem->text, "', which has no default") != NULL)
            continue;
        if (problem->severity != CRN_SEVERITY_ERROR || found != NULL || problem->line != line ||
            problem->column != column)
            fail_msg("%s\n%zu:%zu: %s", yaml, problem->line, problem->column, problem->text);
        found = problem->text;
    }
    if (found == NULL)
        fail_msg("%s\nwas read", yaml);
    return found;
}

/* Reads @yaml as @section, which must fail; the text of what is wrong at that place, copied. */
static void refuse(const crn_section *section, const char *yaml, size_t line, size_t column,
                   char text[YAML_SIZE])
{
    crn_diag diag = {0};
    crn_doc *const doc = must_parse(yaml);
    void *const out = crn_calloc(1, section->struct_size);
    assert_non_null(out);
    if (crn_section_read(section, NULL, doc, crn_doc_root(doc), out, &diag))
        fail_msg("%s was read as %s", yaml, section->title);
    (void)snprintf(text, YAML_SIZE, "%s", problem_at(&diag, line, column, yaml));
    crn_diag_dispose(&diag);
    crn_doc_destroy(doc);
    crn_free(out);
}

/* ---- Keys ---- */

static void refuse_key(const void *table, const char *name, const char *slip)
{
    char yaml[YAML_SIZE];
    char text[YAML_SIZE];
    char expected[YAML_SIZE];
    const crn_section *const section = table;
    if (is_key(section, slip))
        return; /* A name all the same. */
    (void)snprintf(yaml, sizeof yaml, "# first line\n   %s: 1\n", slip);
    refuse(section, yaml, 2, 4, text);
    (void)snprintf(expected, sizeof expected, "unknown key '%s' in %s; did you mean '", slip,
                   section->title);
    if (strncmp(text, expected, strlen(expected)) != 0)
        fail_msg("%s: %s", name, text);
    const char *const meant = suggested(text);
    /* Another key may be as near: then either is right. */
    if (!is_key(section, meant) || !is_one_slip(meant, slip))
        fail_msg("'%s' for '%s' in %s; it is '%s'", meant, slip, section->title, name);
}

static void every_key_one_slip_away__is_refused_with_the_right_name(void **state)
{
    (void)state;
    size_t count = 0;
    size_t slips = 0;
    size_t keys = 0;
    const crn_section *const sections = crn_sections(&count);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < sections[i].count; j++) {
            const crn_row *const row = &sections[i].rows[j];
            if (row->kind == CRN_ROW_REQUIRED)
                continue;
            slips += for_each_slip(&sections[i], row->name, refuse_key);
            keys++;
        }
    }
    print_message("%zu slips in %zu keys of %zu sections\n", slips, keys, count);
    assert_true(keys > 300 && slips > 100 * keys);
}

/* ---- Numbers ---- */

static bool is_int_row(const crn_row *row)
{
    return row->kind == CRN_ROW_INT || row->kind == CRN_ROW_INT_NULL || row->kind == CRN_ROW_INTS;
}

static bool is_float_row(const crn_row *row)
{
    return row->kind == CRN_ROW_FLOAT || row->kind == CRN_ROW_FLOAT_NULL ||
           row->kind == CRN_ROW_NUMBER || row->kind == CRN_ROW_NUMBER_NULL ||
           row->kind == CRN_ROW_FLOATS || row->kind == CRN_ROW_PAIR;
}

/* A number that the row takes, as it would stand in a list; @value is put where it is tested. */
static void write_option(const crn_row *row, const char *value, char yaml[YAML_SIZE],
                         size_t *out_column)
{
    char good[64];
    const bool is_list = row->kind == CRN_ROW_INTS || row->kind == CRN_ROW_FLOATS;
    (void)snprintf(good, sizeof good, "%.17g", row->f);
    if (row->kind == CRN_ROW_PAIR)
        (void)snprintf(yaml, YAML_SIZE, "# first\n %s: [%s, %s]\n", row->name, good, value);
    else
        (void)snprintf(yaml, YAML_SIZE, "# first\n %s: %s%s%s\n", row->name, is_list ? "[" : "",
                       value, is_list ? "]" : "");
    *out_column = 1 + strlen(row->name) + 2 + 1;
    if (is_list)
        *out_column += 1;
    else if (row->kind == CRN_ROW_PAIR)
        *out_column += 1 + strlen(good) + 2;
}

/* The message begins with the option and contains @words. */
static void refuse_value(const crn_section *section, const crn_row *row, const char *value,
                         const char *words)
{
    char yaml[YAML_SIZE];
    char text[YAML_SIZE];
    char expected[YAML_SIZE];
    size_t column = 0;
    write_option(row, value, yaml, &column);
    refuse(section, yaml, 2, column, text);
    (void)snprintf(expected, sizeof expected, "%s.%s ", section->title, row->name);
    if (strncmp(text, expected, strlen(expected)) != 0 || strstr(text, words) == NULL)
        fail_msg("%s%s\n'%s' is not there", yaml, text, words);
}

static void refuse_types(const crn_section *section, const crn_row *row)
{
    static const char *const k_types[] = {"true", "many", "[1, 2]", "{a: 1}", "''", "2001-12-14"};
    /* After a number, what is no number. */
    static const char *const k_junk[] = {"3x",   "3e-4x", "1 step", "1_",  "1,5",
                                         "0x1g", "1e",    "--1",    "1.0f"};
    const char *const words = is_int_row(row) ? "must be an integer, not" : "must be a number, not";
    for (size_t i = 0; i < sizeof k_types / sizeof k_types[0]; i++)
        refuse_value(section, row, k_types[i], words);
    for (size_t i = 0; i < sizeof k_junk / sizeof k_junk[0]; i++) {
        char quoted[VALUE_SIZE]; /* In quotes, since a list would take the comma. */
        (void)snprintf(quoted, sizeof quoted, "'%s'", k_junk[i]);
        refuse_value(section, row, quoted, words);
    }
    if (is_int_row(row))
        refuse_value(section, row, "1.5", words);
}

static void refuse_int_range(const crn_section *section, const crn_row *row)
{
    char value[VALUE_SIZE];
    if (row->i_min > INT64_MIN) {
        (void)snprintf(value, sizeof value, "%lld", (long long)row->i_min - 1);
        refuse_value(section, row, value, "it must be ");
    }
    if (row->i_max < INT64_MAX) {
        (void)snprintf(value, sizeof value, "%lld", (long long)row->i_max + 1);
        refuse_value(section, row, value, "it must be ");
    }
    refuse_value(section, row, "99999999999999999999", "it must be ");
    refuse_value(section, row, "-99999999999999999999", "it must be ");
}

/* The nearest number outside, in digits that YAML takes for a float or that are taken as one. */
static void refuse_float(const crn_section *section, const crn_row *row, double number)
{
    char value[VALUE_SIZE];
    if (!isfinite(number))
        return;
    (void)snprintf(value, sizeof value, "'%.17g'", number);
    refuse_value(section, row, value, "it must be ");
}

static void refuse_float_range(const crn_section *section, const crn_row *row)
{
    refuse_float(section, row, nextafter(row->f_min, -INFINITY));
    refuse_float(section, row, nextafter(row->f_max, INFINITY));
    refuse_value(section, row, ".nan", "it must be ");
    if (isfinite(row->f_max))
        refuse_value(section, row, ".inf", "it must be ");
    if (isfinite(row->f_min))
        refuse_value(section, row, "-.inf", "it must be ");
}

static void every_number_with_a_wrong_value__is_refused_at_its_place(void **state)
{
    (void)state;
    size_t count = 0;
    size_t ints = 0;
    size_t floats = 0;
    const crn_section *const sections = crn_sections(&count);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < sections[i].count; j++) {
            const crn_row *const row = &sections[i].rows[j];
            if (is_int_row(row)) {
                refuse_types(&sections[i], row);
                refuse_int_range(&sections[i], row);
                ints++;
            } else if (is_float_row(row)) {
                refuse_types(&sections[i], row);
                refuse_float_range(&sections[i], row);
                floats++;
            }
        }
    }
    print_message("%zu integers and %zu floats of %zu sections\n", ints, floats, count);
    assert_true(ints > 50 && floats > 80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_one_slip_away__is_refused_with_the_right_name),
        cmocka_unit_test(every_number_with_a_wrong_value__is_refused_at_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
