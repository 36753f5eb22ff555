/* `cairn help SECTION`, and the check that a table is in order. */
#include <stdio.h>
#include <string.h>

#include "base/try.h"
#include "config/config_priv.h"

enum { HELP_WIDTH = 84, HELP_INDENT = 6 };

static void append_wrapped(crn_str *out, const char *text)
{
    size_t column = 0;
    for (const char *word = text; *word != '\0';) {
        const size_t length = strcspn(word, " ");
        if (column == 0 || column + 1 + length > HELP_WIDTH) {
            crn_str_printf(out, "%s%*s", column == 0 ? "" : "\n", HELP_INDENT, "");
            column = HELP_INDENT;
        } else {
            crn_str_append(out, " ");
            column++;
        }
        crn_str_append_bytes(out, word, length);
        column += length;
        word += length + strspn(word + length, " ");
    }
    crn_str_append(out, "\n");
}

static void append_default(const crn_row *row, crn_str *out)
{
    char digits[CRN_F64_TEXT_SIZE];
    char digits2[CRN_F64_TEXT_SIZE];
    switch (row->kind) {
    case CRN_ROW_INT:
        crn_str_printf(out, "%lld", (long long)row->i);
        return;
    case CRN_ROW_FLOAT:
        crn_str_append(out, crn_f64_to_decimal(row->f, digits));
        return;
    case CRN_ROW_NUMBER:
        (void)crn_f64_to_decimal(row->f, digits);
        crn_str_printf(out, "%s%s", digits, strcspn(digits, ".e") == strlen(digits) ? ".0" : "");
        return;
    case CRN_ROW_BOOL:
        crn_str_append(out, row->b ? "true" : "false");
        return;
    case CRN_ROW_TEXT:
    case CRN_ROW_CHOICE:
        crn_str_append(out, row->text != NULL ? row->text : "null");
        return;
    case CRN_ROW_LIST:
    case CRN_ROW_INTS:
    case CRN_ROW_FLOATS:
        crn_str_append(out, "[]");
        return;
    case CRN_ROW_PAIR:
        crn_str_printf(out, "[%s, %s]", crn_f64_to_decimal(row->f, digits),
                       crn_f64_to_decimal(row->f2, digits2));
        return;
    case CRN_ROW_INT_NULL:
    case CRN_ROW_FLOAT_NULL:
    case CRN_ROW_NUMBER_NULL:
    case CRN_ROW_BOOL_NULL:
    case CRN_ROW_INIT:
    case CRN_ROW_NESTED:
    case CRN_ROW_NESTEDS:
    case CRN_ROW_REQUIRED:
    case CRN_ROW_ALIAS:
    case CRN_ROW_NO_EFFECT:
    case CRN_ROW_LACKING:
    case CRN_ROW_SECTION:
        crn_str_append(out, "null");
        return;
    }
}

/* "Allowed: at least 1 (steps)." for the kinds that have limits. */
static void append_allowed(const crn_row *row, crn_str *out)
{
    char range[128];
    const bool is_int = row->kind == CRN_ROW_INT || row->kind == CRN_ROW_INT_NULL;
    const bool is_float = row->kind == CRN_ROW_FLOAT || row->kind == CRN_ROW_FLOAT_NULL ||
                          row->kind == CRN_ROW_NUMBER || row->kind == CRN_ROW_NUMBER_NULL ||
                          row->kind == CRN_ROW_PAIR;
    if (is_int)
        (void)crn_range_of_int(row->i_min, row->i_max, row->unit, range);
    if (is_float)
        (void)crn_range_of_float(row->f_min, row->f_max, row->unit, range);
    if (is_int || is_float)
        crn_str_printf(out, "%*sAllowed: %s.\n", HELP_INDENT, "", range);
    if (row->kind == CRN_ROW_CHOICE) {
        crn_str_printf(out, "%*sOne of: ", HELP_INDENT, "");
        for (const char *p = row->choices; *p != '\0'; p++)
            crn_str_append_bytes(out, *p == '|' ? ", " : p, *p == '|' ? 2 : 1);
        crn_str_append(out, ".\n");
    }
}

static void append_option(const crn_section *section, const crn_row *row, crn_str *out)
{
    crn_str_printf(out, "\n  %s.%s", section->title, row->name);
    if (crn_section_requires(section, row->name)) {
        crn_str_append(out, "  (required)\n");
    } else {
        crn_str_append(out, " = ");
        append_default(row, out);
        crn_str_append(out, "\n");
    }
    append_wrapped(out, row->help);
    append_allowed(row, out);
    for (size_t i = 0; i < section->count; i++) {
        const crn_row *const alias = &section->rows[i];
        if (alias->kind == CRN_ROW_ALIAS && strcmp(alias->help, row->name) == 0)
            crn_str_printf(out, "%*sAlso written: %s.\n", HELP_INDENT, "", alias->name);
    }
}

/* "Accepted without effect: a, b." */
static void append_kind(const crn_section *section, crn_row_kind kind, const char *heading,
                        crn_str *out)
{
    bool is_first = true;
    for (size_t i = 0; i < section->count; i++) {
        if (section->rows[i].kind != kind)
            continue;
        crn_str_printf(out, "%s%s", is_first ? heading : ", ", section->rows[i].name);
        is_first = false;
    }
    if (!is_first)
        crn_str_append(out, ".\n");
}

void crn_section_help(const crn_section *section, crn_str *out)
{
    crn_str_printf(out, "%s: %s\n", section->title, section->help);
    for (size_t i = 0; i < section->count; i++) {
        const crn_row *const row = &section->rows[i];
        if (crn_row_is_option(row)) {
            append_option(section, row, out);
        } else if (row->kind == CRN_ROW_SECTION) {
            crn_str_printf(out, "\n  %s.%s: a section\n", section->title, row->name);
            append_wrapped(out, row->help);
        }
    }
    append_kind(section, CRN_ROW_NO_EFFECT, "\n  Accepted without effect: ", out);
    append_kind(section, CRN_ROW_LACKING, "\n  Not in this version: ", out);
}

/* @choice is one of the words of "a|b|c". */
static bool has_choice(const char *choices, const char *choice)
{
    const size_t length = strlen(choice);
    for (const char *at = choices; at != NULL; at = strchr(at, '|')) {
        at += *at == '|' ? 1 : 0;
        if (strcspn(at, "|") == length && strncmp(at, choice, length) == 0)
            return true;
    }
    return false;
}

static bool is_sentence(const char *text)
{
    const size_t length = strlen(text);
    return length >= 2 && text[0] != ' ' && !(text[0] >= 'a' && text[0] <= 'z' && text[1] == ' ') &&
           text[length - 1] == '.' && text[length - 2] != '.';
}

/* The first fault of one row, or NULL. */
static const char *fault_of_option(const crn_row *row)
{
    const bool is_int = row->kind == CRN_ROW_INT || row->kind == CRN_ROW_INT_NULL;
    const bool has_limits = row->kind == CRN_ROW_FLOAT || row->kind == CRN_ROW_FLOAT_NULL ||
                            row->kind == CRN_ROW_NUMBER || row->kind == CRN_ROW_NUMBER_NULL ||
                            row->kind == CRN_ROW_PAIR;
    if (!is_sentence(row->help))
        return "its help is not a sentence";
    if ((is_int && row->i_min > row->i_max) || (has_limits && !(row->f_min <= row->f_max)))
        return "its least value is above its largest";
    if (row->kind == CRN_ROW_INT && (row->i < row->i_min || row->i > row->i_max))
        return "its default is not allowed";
    if ((row->kind == CRN_ROW_FLOAT || row->kind == CRN_ROW_NUMBER || row->kind == CRN_ROW_PAIR) &&
        !(row->f >= row->f_min && row->f <= row->f_max))
        return "its default is not allowed";
    if (row->kind == CRN_ROW_PAIR && !(row->f2 >= row->f_min && row->f2 <= row->f_max))
        return "its default is not allowed";
    if (row->kind == CRN_ROW_CHOICE &&
        (row->text == NULL || row->text[0] == '\0' || !has_choice(row->choices, row->text)))
        return "its default is not one of its choices";
    if ((row->kind == CRN_ROW_NESTED || row->kind == CRN_ROW_NESTEDS) &&
        crn_section_find(row->text) == NULL)
        return "its section is unknown";
    return NULL;
}

static const char *fault_of_row(const crn_section *section, size_t index)
{
    const crn_row *const row = &section->rows[index];
    if (row->kind == CRN_ROW_REQUIRED)
        return crn_section_option(section, row->name) != NULL ? NULL : "it is no option";
    for (size_t i = 0; i < index; i++) {
        if (section->rows[i].kind != CRN_ROW_REQUIRED &&
            strcmp(section->rows[i].name, row->name) == 0)
            return "the name is used twice";
    }
    if (crn_row_is_option(row))
        return fault_of_option(row);
    if (row->kind == CRN_ROW_ALIAS)
        return crn_section_option(section, row->help) != NULL ? NULL : "it means no option";
    if (row->kind == CRN_ROW_SECTION)
        return is_sentence(row->help) ? NULL : "its help is not a sentence";
    return row->help[0] != '\0' ? NULL : "it gives no reason";
}

cairn_status crn_section_lint(const crn_section *section, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (section->count == 0 || section->count > CRN_ROWS_MAX)
        CRN_FAIL(err, CAIRN_EBUG, "section %s has %zu rows", section->name, section->count);
    if (!is_sentence(section->help))
        CRN_FAIL(err, CAIRN_EBUG, "section %s: its help is not a sentence", section->name);
    for (size_t i = 0; i < section->count; i++) {
        const char *const fault = fault_of_row(section, i);
        if (fault != NULL)
            CRN_FAIL(err, CAIRN_EBUG, "option %s.%s: %s", section->name, section->rows[i].name,
                     fault);
    }
out:
    return rc;
}
