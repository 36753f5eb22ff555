/* What can be asked of a section's table: look-up, defaults. */
#include <string.h>

#include "config/config_priv.h"

const crn_section *crn_section_find(const char *name)
{
    size_t count = 0;
    const crn_section *const sections = crn_sections(&count);
    for (size_t i = 0; i < count; i++) {
        const char *const dot = strrchr(sections[i].title, '.');
        if (crn_names_equal(name, sections[i].name) || crn_names_equal(name, sections[i].title) ||
            (dot != NULL && crn_names_equal(name, dot + 1)))
            return &sections[i];
    }
    return NULL;
}

bool crn_row_is_option(const crn_row *row)
{
    return row->kind < CRN_ROW_REQUIRED;
}

const crn_row *crn_section_option(const crn_section *section, const char *name)
{
    for (size_t i = 0; i < section->count; i++) {
        if (crn_row_is_option(&section->rows[i]) && strcmp(section->rows[i].name, name) == 0)
            return &section->rows[i];
    }
    return NULL;
}

bool crn_section_requires(const crn_section *section, const char *name)
{
    for (size_t i = 0; i < section->count; i++) {
        if (section->rows[i].kind == CRN_ROW_REQUIRED && strcmp(section->rows[i].name, name) == 0)
            return true;
    }
    return false;
}

static void set_default(const crn_row *row, void *field)
{
    switch (row->kind) {
    case CRN_ROW_INT:
        *(int64_t *)field = row->i;
        return;
    case CRN_ROW_FLOAT:
        *(double *)field = row->f;
        return;
    case CRN_ROW_NUMBER:
        *(cairn_opt_number *)field = (cairn_opt_number){.kind = CAIRN_NUMBER_FLOAT, .f = row->f};
        return;
    case CRN_ROW_BOOL:
        *(bool *)field = row->b;
        return;
    case CRN_ROW_TEXT:
    case CRN_ROW_CHOICE:
        *(const char **)field = row->text;
        return;
    case CRN_ROW_PAIR:
        *(cairn_opt_pair *)field = (cairn_opt_pair){row->f, row->f2};
        return;
    case CRN_ROW_NESTED:
        crn_section_defaults(crn_section_find(row->text), field);
        return;
    case CRN_ROW_INT_NULL:
    case CRN_ROW_FLOAT_NULL:
    case CRN_ROW_NUMBER_NULL:
    case CRN_ROW_BOOL_NULL:
    case CRN_ROW_NESTEDS:
    case CRN_ROW_LIST:
    case CRN_ROW_INTS:
    case CRN_ROW_FLOATS:
    case CRN_ROW_INIT:
    case CRN_ROW_REQUIRED:
    case CRN_ROW_ALIAS:
    case CRN_ROW_NO_EFFECT:
    case CRN_ROW_LACKING:
    case CRN_ROW_SECTION:
        return; /* Zero is null, empty, CAIRN_INIT_DEFAULT; or there is no field. */
    }
}

void crn_section_defaults(const crn_section *section, void *out)
{
    memset(out, 0, section->struct_size);
    for (size_t i = 0; i < section->count; i++) {
        if (crn_row_is_option(&section->rows[i]))
            set_default(&section->rows[i], (char *)out + section->rows[i].offset);
    }
}
