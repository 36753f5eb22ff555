/* The receipt of a load while it is being made. */
#ifndef CRN_CKPT_LOAD_REPORT_H
#define CRN_CKPT_LOAD_REPORT_H

#include "ckpt/names.h"

/* One state: what callers see, and the lists behind it. */
typedef struct crn_report_lists {
    char *name;
    crn_name_list missing;
    crn_name_list unexpected;
} crn_report_lists;

/* Report for the states of @tree, none loaded. Yours: cairn_load_report_destroy. */
cairn_status crn_load_report_new(const cairn_state_tree *tree, cairn_load_report **out,
                                 cairn_error *err);
cairn_load_state *crn_load_report_state(cairn_load_report *report, size_t i);
cairn_status crn_load_report_missing(cairn_load_report *report, size_t i, const char *name,
                                     cairn_error *err);
cairn_status crn_load_report_unexpected(cairn_load_report *report, size_t i, const char *name,
                                        cairn_error *err);
/* CAIRN_EINCOMPATIBLE if anything is missing or unexpected, naming the first of it. */
cairn_status crn_load_report_check_strict(const cairn_load_report *report, const char *path,
                                          cairn_error *err);

#endif
