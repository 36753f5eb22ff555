/* What tests and other rooms use of conversions beside the public header. */
#ifndef CRN_INTEROP_CONVERT_H
#define CRN_INTEROP_CONVERT_H

#include "cairn/interop.h"
#include "os/os.h"

/* cairn_checkpoint_convert with another operating system. */
cairn_status crn_convert_os(const crn_os *os, const cairn_convert_options *options,
                            cairn_convert_result *out, cairn_error *err);

#endif
