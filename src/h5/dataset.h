/* Opening HDF5 files and data sets that nobody vouches for. Ids are HDF5's hid_t. */
#ifndef CRN_H5_DATASET_H
#define CRN_H5_DATASET_H

#include <stdbool.h>
#include <stdint.h>

#include "data/h5_protocol.h"

/* Before anything else: no plugins, no messages, the filter LZ4. */
bool crn_h5_setup(void);

/* Says why into @why; false, so that a check can end with it. */
bool crn_h5_refuse(char why[CRN_H5_TEXT_MAX], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The file behind *@fd, which must live as long; negative: no HDF5 file, or a damaged one. */
int64_t crn_h5_open_file(const int *fd);
/*
 * Opens @name of @file. Refused: what would read another file (links, external storage, virtual
 * data sets), filters other than gzip, shuffle, fletcher32 and LZ4, and chunks over 256 MiB.
 * Negative: @why says why.
 */
int64_t crn_h5_open_dataset(int64_t file, const char *name, char why[CRN_H5_TEXT_MAX]);

#endif
