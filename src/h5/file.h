/* An HDF5 file of samples that nobody vouches for, read from a descriptor. */
#ifndef CRN_H5_FILE_H
#define CRN_H5_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "data/h5_protocol.h"

typedef struct crn_h5_file crn_h5_file;

/*
 * Opens `data` of the file behind @fd, which is taken, also on failure, and fills rank, shape and
 * n_examples of @reply. Refused: whatever would read another file (external links and storage,
 * virtual data sets), filters that are not known, chunks over 256 MiB, and what is no integer
 * array [N] or [N, 3 or more, T]. NULL: @why says why.
 */
crn_h5_file *crn_h5_open(int fd, crn_h5_reply *reply, char why[CRN_H5_TEXT_MAX]);
/* As CRN_H5_READ says, into @out of @count numbers; what does not fit an int32 becomes the nearest
 * that does. */
bool crn_h5_read(crn_h5_file *file, uint64_t first, uint64_t count, int32_t *out,
                 char why[CRN_H5_TEXT_MAX]);
/* Accepts NULL. */
void crn_h5_close(crn_h5_file *file);

#endif
