/* Constructors of callbacks that read a clock or write a file, with an operating system to test
 * them. */
#ifndef CRN_CALLBACKS_TIMED_H
#define CRN_CALLBACKS_TIMED_H

#include "base/pace.h"
#include "cairn/callbacks.h"
#include "os/os.h"

cairn_status crn_rate_profiler_new_os(const crn_os *os, cairn_callback *out, cairn_error *err);
cairn_status crn_duration_profiler_new_os(const crn_os *os, cairn_callback *out, cairn_error *err);
cairn_status crn_flop_utilization_new_os(const crn_os *os,
                                         const cairn_flop_utilization_options *options,
                                         cairn_callback *out, cairn_error *err);
cairn_status crn_save_performance_data_new_os(const crn_os *os, cairn_callback *out,
                                              cairn_error *err);

#endif
