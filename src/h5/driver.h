/* An HDF5 file driver that reads one descriptor and can open nothing else. */
#ifndef CRN_H5_DRIVER_H
#define CRN_H5_DRIVER_H

#include <stdint.h>

/* The driver's id (HDF5's hid_t); negative if the library refuses it. */
int64_t crn_h5_driver_register(void);
/* Sets @access (a file access list) to read @fd, which stays the caller's; negative on failure. */
int crn_h5_driver_use(int64_t access, int64_t driver, const int *fd);

#endif
