/* The HDF5 data processors on any table of system calls and with any helper, for tests. */
#ifndef CRN_DATA_HDF5_H
#define CRN_DATA_HDF5_H

#include "cairn/data.h"
#include "os/os.h"

/* As cairn_gpt_hdf5_data_new. @program: file of the helper, NULL to look for it; @os is borrowed as
 * long as the data lives. */
cairn_status crn_gpt_hdf5_data_new_os(const crn_os *os, const char *program,
                                      const cairn_gpt_hdf5_data_options *options, cairn_data *out,
                                      cairn_error *err);
cairn_status crn_gpt_hdf5_map_data_new_os(const crn_os *os, const char *program,
                                          const cairn_gpt_hdf5_map_data_options *options,
                                          cairn_data *out, cairn_error *err);

#endif
