/*
 * A folder is tried out before it is needed: it is made if absent, a file is written into it,
 * synced and removed again. What was made for that is gone afterwards.
 */
#ifndef CRN_CKPT_PROBE_H
#define CRN_CKPT_PROBE_H

#include "cairn/error.h"
#include "os/os.h"

/* Zeroed is none. */
typedef struct crn_probe {
    const crn_os *os;
    char *path;
    size_t missing; /* the length of the shortest part of path that was not there; 0: none */
} crn_probe;

/*
 * The folder @path is there until crn_probe_end, which is to be called whatever is returned.
 * EIO, ENOSPACE: it cannot be made, or written, or its files cannot be made durable; ENOMEM.
 */
cairn_status crn_probe_begin(crn_probe *out, const crn_os *os, const char *path, cairn_error *err);
/* Removes the folders that were made; those that others have filled meanwhile stay. */
void crn_probe_end(crn_probe *probe);

#endif
