/* TokenBinDataProcessor on any table of system calls, for tests. */
#ifndef CRN_DATA_TOKEN_BIN_H
#define CRN_DATA_TOKEN_BIN_H

#include "cairn/data.h"
#include "os/os.h"

/* As cairn_token_bin_data_new; @os is borrowed as long as the data lives. */
cairn_status crn_token_bin_data_new_os(const crn_os *os,
                                       const cairn_token_bin_data_options *options, cairn_data *out,
                                       cairn_error *err);

#endif
