/* Options that a program filled in, held to the ranges of their table. */
#include <inttypes.h>
#include <string.h>

#include "base/try.h"
#include "config/config_priv.h"

enum { RANGE_SIZE = 128 };

static cairn_status check_int(const crn_row *row, const char *who, int64_t value, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char range[RANGE_SIZE];
    if (value < row->i_min || value > row->i_max)
        CRN_FAIL(err, CAIRN_ECONFIG, "%s: %s is %" PRId64 "; it must be %s", who, row->name, value,
                 crn_range_of_int(row->i_min, row->i_max, row->unit, range));
out:
    return rc;
}

static cairn_status check_float(const crn_row *row, const char *who, double value, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char range[RANGE_SIZE];
    if (!(value >= row->f_min && value <= row->f_max))
        CRN_FAIL(err, CAIRN_ECONFIG, "%s: %s is %g; it must be %s", who, row->name, value,
                 crn_range_of_float(row->f_min, row->f_max, row->unit, range));
out:
    return rc;
}

static cairn_status check_ints(const crn_row *row, const char *who, const cairn_opt_ints *list,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (size_t i = 0; i < list->count; i++)
        CRN_TRY_PLAIN(check_int(row, who, list->items[i], err));
out:
    return rc;
}

static cairn_status check_floats(const crn_row *row, const char *who, const cairn_opt_floats *list,
                                 cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (size_t i = 0; i < list->count; i++)
        CRN_TRY_PLAIN(check_float(row, who, list->items[i], err));
out:
    return rc;
}

static cairn_status check_pair(const crn_row *row, const char *who, const cairn_opt_pair *pair,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(check_float(row, who, pair->first, err));
    CRN_TRY_PLAIN(check_float(row, who, pair->second, err));
out:
    return rc;
}

static cairn_status check_nesteds(const crn_row *row, const char *who, const void *field,
                                  cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_section *const section = crn_section_find(row->text);
    crn_items list;
    memcpy(&list, field, sizeof list);
    for (size_t i = 0; i < list.count; i++)
        CRN_TRY_PLAIN(crn_section_check(section, who,
                                        (const char *)list.items + i * section->struct_size, err));
out:
    return rc;
}

static cairn_status check_row(const crn_row *row, const char *who, const void *field,
                              cairn_error *err)
{
    const cairn_opt_int *const opt_int = field;
    const cairn_opt_float *const opt_float = field;
    switch (row->kind) {
    case CRN_ROW_INT:
        return check_int(row, who, *(const int64_t *)field, err);
    case CRN_ROW_INT_NULL:
        return opt_int->is_set ? check_int(row, who, opt_int->value, err) : CAIRN_OK;
    case CRN_ROW_FLOAT:
        return check_float(row, who, *(const double *)field, err);
    case CRN_ROW_FLOAT_NULL:
        return opt_float->is_set ? check_float(row, who, opt_float->value, err) : CAIRN_OK;
    case CRN_ROW_INTS:
        return check_ints(row, who, field, err);
    case CRN_ROW_FLOATS:
        return check_floats(row, who, field, err);
    case CRN_ROW_PAIR:
        return check_pair(row, who, field, err);
    case CRN_ROW_NESTED:
        return crn_section_check(crn_section_find(row->text), who, field, err);
    case CRN_ROW_NESTEDS:
        return check_nesteds(row, who, field, err);
    case CRN_ROW_NUMBER:
    case CRN_ROW_NUMBER_NULL:
    case CRN_ROW_BOOL:
    case CRN_ROW_BOOL_NULL:
    case CRN_ROW_TEXT:
    case CRN_ROW_CHOICE:
    case CRN_ROW_LIST:
    case CRN_ROW_INIT:
    case CRN_ROW_REQUIRED:
    case CRN_ROW_ALIAS:
    case CRN_ROW_NO_EFFECT:
    case CRN_ROW_LACKING:
    case CRN_ROW_SECTION:
        break; /* No range, or no field. */
    }
    return CAIRN_OK;
}

cairn_status crn_section_check(const crn_section *section, const char *who, const void *in,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (size_t i = 0; i < section->count; i++)
        CRN_TRY_PLAIN(
            check_row(&section->rows[i], who, (const char *)in + section->rows[i].offset, err));
out:
    return rc;
}
