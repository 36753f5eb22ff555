/* A GGUF file that is read: what it says and its tensors' numbers. Untrusted. */
#ifndef CRN_INTEROP_GGUF_FILE_H
#define CRN_INTEROP_GGUF_FILE_H

#include "interop/gguf.h"
#include "os/os.h"

typedef struct crn_gguf_file {
    const crn_os *os;
    char *path; /* for messages */
    int fd;
    crn_file_stat stat; /* when it was opened */
    uint8_t *beginning; /* what the pairs point into */
    crn_gguf gguf;
} crn_gguf_file;

/* Whether the file at @path begins as GGUF does; one that cannot be read does not. */
bool crn_gguf_file_is(const crn_os *os, const char *path);

/*
 * @out: to be closed in any case.
 * ENOTFOUND: it is not there.  ECORRUPT, EUNSUPPORTED: as crn_gguf_parse, or it is no regular file,
 * or its metadata is larger than 256 MiB.  EIO, ENOMEM.
 */
cairn_status crn_gguf_file_open(const crn_os *os, const char *path, crn_gguf_file *out,
                                cairn_error *err);
void crn_gguf_file_close(crn_gguf_file *file);

/* All elements of @tensor as floats, in its order; yours (crn_free). ECORRUPT: the file has become
 * shorter.  EIO, ENOMEM. */
cairn_status crn_gguf_file_read(const crn_gguf_file *file, const crn_gguf_tensor *tensor,
                                float **out, cairn_error *err);

/* ECORRUPT: the file is not what it was when it was opened. */
cairn_status crn_gguf_file_check_unchanged(const crn_gguf_file *file, cairn_error *err);

#endif
