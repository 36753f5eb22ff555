/*
 * Tables as JSON Schema (draft 7, which editors know best).
 *
 * A schema describes what one should write; a reader takes more, such as "20" for 20. What a row
 * is beyond a value is told under "x-cairn", for generators of documents: "alias", "no effect",
 * "lacking", "section".
 */
#include <math.h>
#include <string.h>

#include "config/config_priv.h"

static void append_text(crn_str *out, const char *key, const char *value)
{
    crn_str_printf(out, ",\"%s\":", key);
    crn_str_append_json(out, value, strlen(value));
}

static void append_number(crn_str *out, const char *key, double value)
{
    char digits[CRN_F64_TEXT_SIZE];
    crn_str_printf(out, ",\"%s\":%s", key, crn_f64_to_decimal(value, digits));
}

/* A default is seen to be a float, since 1 is not 1.0 to some options. */
static void append_default(crn_str *out, double value)
{
    char digits[CRN_F64_TEXT_SIZE];
    (void)crn_f64_to_decimal(value, digits);
    crn_str_printf(out, ",\"default\":%s%s", digits,
                   strcspn(digits, ".e") == strlen(digits) ? ".0" : "");
}

/* Bounds that no value can pass are left out. */
static void append_int_range(crn_str *out, const crn_row *row)
{
    if (row->i_min > INT64_MIN)
        crn_str_printf(out, ",\"minimum\":%lld", (long long)row->i_min);
    if (row->i_max < INT64_MAX)
        crn_str_printf(out, ",\"maximum\":%lld", (long long)row->i_max);
}

static void append_float_range(crn_str *out, const crn_row *row)
{
    static const double k_most = 9.2e18; /* limits of this size stand for none */
    if (fabs(row->f_min) < k_most)
        append_number(out, "minimum", row->f_min);
    if (fabs(row->f_max) < k_most)
        append_number(out, "maximum", row->f_max);
}

static void append_choices(crn_str *out, const char *choices)
{
    crn_str_append(out, "\"enum\":[\"");
    for (const char *p = choices; *p != '\0'; p++)
        crn_str_append_bytes(out, *p == '|' ? "\",\"" : p, *p == '|' ? 3 : 1);
    crn_str_append(out, "\"]");
}

static void append_pair(crn_str *out, const crn_row *row)
{
    char first[CRN_F64_TEXT_SIZE];
    char second[CRN_F64_TEXT_SIZE];
    crn_str_append(out, "\"type\":\"array\",\"minItems\":2,\"maxItems\":2,"
                        "\"items\":{\"type\":\"number\"");
    append_float_range(out, row);
    crn_str_printf(out, "},\"default\":[%s,%s]", crn_f64_to_decimal(row->f, first),
                   crn_f64_to_decimal(row->f2, second));
}

static void append_numbers(crn_str *out, const crn_row *row)
{
    const bool is_int = row->kind == CRN_ROW_INTS;
    crn_str_printf(out, "\"type\":[\"array\",\"null\"],\"items\":{\"type\":\"%s\"",
                   is_int ? "integer" : "number");
    if (is_int)
        append_int_range(out, row);
    else
        append_float_range(out, row);
    crn_str_append(out, "},\"default\":[]");
}

static void append_nested(crn_str *out, const crn_row *row)
{
    const crn_section *const section = crn_section_find(row->text);
    crn_str_append(out, "\"anyOf\":[");
    if (row->kind == CRN_ROW_NESTEDS) {
        crn_str_append(out, "{\"type\":\"array\",\"items\":");
        crn_section_schema(section, out);
        crn_str_append(out, "},"); /* One may stand without its list, too. */
    }
    crn_section_schema(section, out);
    crn_str_append(out, ",{\"type\":\"null\"}],\"default\":null");
}

/* Type, range and default of an option. */
static void append_value(crn_str *out, const crn_row *row)
{
    switch (row->kind) {
    case CRN_ROW_INT:
        crn_str_printf(out, "\"type\":\"integer\",\"default\":%lld", (long long)row->i);
        append_int_range(out, row);
        return;
    case CRN_ROW_INT_NULL:
        crn_str_append(out, "\"type\":[\"integer\",\"null\"],\"default\":null");
        append_int_range(out, row);
        return;
    case CRN_ROW_FLOAT:
        crn_str_append(out, "\"type\":\"number\"");
        append_default(out, row->f);
        append_float_range(out, row);
        return;
    case CRN_ROW_FLOAT_NULL:
    case CRN_ROW_NUMBER_NULL:
        crn_str_append(out, "\"type\":[\"number\",\"null\"],\"default\":null");
        append_float_range(out, row);
        return;
    case CRN_ROW_NUMBER:
        crn_str_append(out, "\"type\":[\"number\",\"null\"]");
        append_default(out, row->f);
        append_float_range(out, row);
        return;
    case CRN_ROW_BOOL:
        crn_str_printf(out, "\"type\":\"boolean\",\"default\":%s", row->b ? "true" : "false");
        return;
    case CRN_ROW_BOOL_NULL:
        crn_str_append(out, "\"type\":[\"boolean\",\"null\"],\"default\":null");
        return;
    case CRN_ROW_TEXT:
        if (row->text == NULL) {
            crn_str_append(out, "\"type\":[\"string\",\"number\",\"null\"],\"default\":null");
        } else {
            crn_str_append(out, "\"type\":[\"string\",\"number\"]");
            append_text(out, "default", row->text);
        }
        return;
    case CRN_ROW_CHOICE:
        append_choices(out, row->choices);
        append_text(out, "default", row->text);
        return;
    case CRN_ROW_LIST:
        crn_str_append(out, "\"type\":[\"string\",\"number\",\"array\",\"null\"],"
                            "\"items\":{\"type\":[\"string\",\"number\"]},\"default\":[]");
        return;
    case CRN_ROW_INTS:
    case CRN_ROW_FLOATS:
        append_numbers(out, row);
        return;
    case CRN_ROW_PAIR:
        append_pair(out, row);
        return;
    case CRN_ROW_NESTED:
    case CRN_ROW_NESTEDS:
        append_nested(out, row);
        return;
    case CRN_ROW_INIT:
        crn_str_append(out, "\"anyOf\":[{\"$ref\":\"#/definitions/initializer\"},"
                            "{\"type\":\"null\"}],\"default\":null");
        return;
    case CRN_ROW_REQUIRED:
    case CRN_ROW_ALIAS:
    case CRN_ROW_NO_EFFECT:
    case CRN_ROW_LACKING:
    case CRN_ROW_SECTION:
        return;
    }
}

static void append_option(crn_str *out, const crn_row *row)
{
    append_value(out, row);
    append_text(out, "description", row->help);
    if (row->unit[0] != '\0')
        append_text(out, "x-unit", row->unit);
}

static void append_row(const crn_section *section, const crn_row *row, crn_str *out)
{
    crn_str_printf(out, "\"%s\":{", row->name);
    if (crn_row_is_option(row)) {
        append_option(out, row);
    } else if (row->kind == CRN_ROW_ALIAS) {
        append_option(out, crn_section_option(section, row->help));
        crn_str_append(out, ",\"x-cairn\":\"alias\"");
        append_text(out, "x-of", row->help);
    } else if (row->kind == CRN_ROW_NO_EFFECT) {
        crn_str_append(out, "\"x-cairn\":\"no effect\"");
        append_text(out, "description", row->help);
    } else if (row->kind == CRN_ROW_LACKING) {
        /* What asks for nothing is accepted. */
        crn_str_append(out, "\"x-cairn\":\"lacking\",\"enum\":[null,false,\"none\"]");
        append_text(out, "description", row->help);
    } else {
        crn_str_append(out, "\"x-cairn\":\"section\"");
        append_text(out, "description", row->help);
    }
    crn_str_append(out, "}");
}

/* An option that must be given, by its own name or another. */
static void append_required(const crn_section *section, const char *name, crn_str *out)
{
    crn_str_printf(out, "{\"anyOf\":[{\"required\":[\"%s\"]}", name);
    for (size_t i = 0; i < section->count; i++) {
        const crn_row *const row = &section->rows[i];
        if (row->kind == CRN_ROW_ALIAS && strcmp(row->help, name) == 0)
            crn_str_printf(out, ",{\"required\":[\"%s\"]}", row->name);
    }
    crn_str_append(out, "]}");
}

void crn_section_schema(const crn_section *section, crn_str *out)
{
    const char *separator = "";
    bool has_required = false;
    crn_str_append(out, "{\"type\":\"object\"");
    append_text(out, "title", section->title);
    append_text(out, "description", section->help);
    crn_str_append(out, ",\"additionalProperties\":false,\"properties\":{");
    for (size_t i = 0; i < section->count; i++) {
        if (section->rows[i].kind == CRN_ROW_REQUIRED)
            continue;
        crn_str_append(out, separator);
        append_row(section, &section->rows[i], out);
        separator = ",";
    }
    crn_str_append(out, "}");
    for (size_t i = 0; i < section->count; i++) {
        if (section->rows[i].kind != CRN_ROW_REQUIRED)
            continue;
        crn_str_append(out, has_required ? "," : ",\"allOf\":[");
        append_required(section, section->rows[i].name, out);
        has_required = true;
    }
    crn_str_append(out, has_required ? "]}" : "}");
}
