/* A PyTorch file that nobody vouches for, read from a descriptor. */
#ifndef CRN_PICKLE_FILE_H
#define CRN_PICKLE_FILE_H

#include "os/os.h"
#include "pickle/table.h"

typedef struct crn_pickle_file crn_pickle_file;

/*
 * Opens the file behind @fd, which stays the caller's and open as long as the file lives. Nothing
 * of it is executed. Statuses: crn_zip_read, crn_pickle_run, crn_pickle_table_make, whose errors
 * continue a sentence that begins with the file's name.
 */
cairn_status crn_pickle_open(const crn_os *os, int fd, crn_pickle_file **out, cairn_error *err);
/* Accepts NULL. */
void crn_pickle_close(crn_pickle_file *file);

/* Borrowed. */
const crn_pickle_table *crn_pickle_file_table(const crn_pickle_file *file);

/*
 * @size bytes of tensor @number of the table from byte @offset on, row-major, little-endian; both
 * are multiples of its element's size. A tensor that is not stored row-major is gathered out of the
 * bytes that it spans, which are kept in memory until another is read so.
 * ECORRUPT: not there, or the file has become shorter.  EUNSUPPORTED: such a tensor spans more than
 * 1 GiB.  EIO, ENOMEM.
 */
cairn_status crn_pickle_read(crn_pickle_file *file, uint64_t number, uint64_t offset, uint64_t size,
                             uint8_t *buf, cairn_error *err);

#endif
