/* What programs that read other people's files for crn_archive share: they answer requests as
 * interop/archive_protocol.h says. */
#ifndef CRN_CONFINED_ARCHIVE_H
#define CRN_CONFINED_ARCHIVE_H

#include "base/str.h"
#include "interop/archive_protocol.h"

/* A kind of files. Errors continue a sentence that begins with the file's name; EUNSUPPORTED is
 * told apart from all others, which are damage. */
typedef struct crn_confined_archive {
    /* @fd stays open and is of no other use. */
    cairn_status (*open)(int fd, void **out_file, cairn_error *err);
    const crn_str *(*table)(const void *file);
    cairn_status (*read)(void *file, uint64_t tensor, uint64_t offset, uint64_t size, uint8_t *out,
                         cairn_error *err);
    void *file;     /* NULL: not open yet */
    uint8_t *bytes; /* CRN_ARCHIVE_READ_MAX of them, for replies */
} crn_confined_archive;

/* As crn_confined_answer_fn. */
bool crn_confined_archive_answer(crn_confined_archive *archive, const crn_archive_request *request,
                                 int fd);

#endif
