/* TextDataProcessor on any table of system calls, for tests. */
#ifndef CRN_DATA_TEXT_H
#define CRN_DATA_TEXT_H

#include "cairn/data.h"
#include "os/os.h"

/* As cairn_text_data_new; @os is borrowed until the call returns. */
cairn_status crn_text_data_new_os(const crn_os *os, const cairn_text_data_options *options,
                                  cairn_data *out, cairn_error *err);

#endif
