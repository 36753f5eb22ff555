/* cairn_app_prepare on any table of system calls, for tests. */
#ifndef CRN_APP_PREPARE_H
#define CRN_APP_PREPARE_H

#include "cairn/app.h"
#include "os/os.h"

/* As cairn_app_prepare; @os is borrowed until the call returns. */
cairn_status crn_app_prepare_os(const crn_os *os, const cairn_prepare_options *options,
                                cairn_prepare_result *out, cairn_error *err);

#endif
