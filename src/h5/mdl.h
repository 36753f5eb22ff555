/*
 * A checkpoint of the Model Zoo, format 0.5, that nobody vouches for, read from a descriptor.
 *
 * What is in the file: Cerebras' wheels cerebras_pytorch and cerebras_appliance, storage/save.py,
 * storage/context.py and storage/h5_storage.py. The root's attribute `__spec__` has the tree of
 * keys; for each leaf there is an attribute "<key>.__metadata__", and a data set <key> if it is a
 * tensor.
 */
#ifndef CRN_H5_MDL_H
#define CRN_H5_MDL_H

#include "base/str.h"

typedef struct crn_mdl crn_mdl;

/*
 * Opens the file behind @fd, which is taken, also on failure. Pickled objects are left out.
 * ECORRUPT: damaged, not finished, or it would read another file.  EUNSUPPORTED: an older format,
 * or something stored as this program does not know.  ENOMEM. Errors continue a sentence that
 * begins with the file's name.
 */
cairn_status crn_mdl_open(int fd, crn_mdl **out, cairn_error *err);
/* Accepts NULL. */
void crn_mdl_close(crn_mdl *mdl);

/* The table that interop/archive_protocol.h describes; borrowed. */
const crn_str *crn_mdl_table(const crn_mdl *mdl);
/* @size bytes of tensor @number of the table from byte @offset on, both multiples of its element's
 * size. ECORRUPT: they are not there, or damaged. */
cairn_status crn_mdl_read(crn_mdl *mdl, uint64_t number, uint64_t offset, uint64_t size,
                          uint8_t *out, cairn_error *err);

#endif
