/* The loggers on any table of system calls, for tests. */
#ifndef CRN_LOGGERS_LOGGERS_H
#define CRN_LOGGERS_LOGGERS_H

#include "cairn/callbacks.h"
#include "os/os.h"

/* As cairn_progress_logger_new; @os is borrowed while the callback lives. */
cairn_status crn_progress_logger_new_os(const crn_os *os, const cairn_progress_options *options,
                                        cairn_callback *out, cairn_error *err);
/* As cairn_metrics_file_new; @os is borrowed while the callback lives. */
cairn_status crn_metrics_file_new_os(const crn_os *os, cairn_callback *out, cairn_error *err);
/* As cairn_tensorboard_logger_new; @os is borrowed while the callback lives. */
cairn_status crn_tensorboard_logger_new_os(const crn_os *os,
                                           const cairn_tensorboard_logger_options *options,
                                           cairn_callback *out, cairn_error *err);

#endif
