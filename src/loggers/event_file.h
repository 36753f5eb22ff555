/*
 * One event file of TensorBoard, appended record by record; a process makes its own and touches
 * none of another, so a record that a kill cut off is the last of its file, where readers stop.
 */
#ifndef CRN_LOGGERS_EVENT_FILE_H
#define CRN_LOGGERS_EVENT_FILE_H

#include "loggers/event.h"
#include "os/os.h"

/* Zeroed is no file yet. */
typedef struct crn_event_file {
    const crn_os *os; /* borrowed */
    char *folder;     /* yours: crn_event_file_dispose */
    uint64_t step;    /* what earlier files say of this step and of later ones is dropped */
    char *path;       /* yours; NULL before the first record */
    int fd;           /* -1: not made yet */
    uint64_t size;
} crn_event_file;

/* Takes a copy of @folder; nothing is made before the first record. ENOMEM */
cairn_status crn_event_file_init(crn_event_file *file, const crn_os *os, const char *folder,
                                 uint64_t step, cairn_error *err) CAIRN_MUST_USE;
/*
 * Writes @records with one call, so that a kill loses them or keeps them. The first time makes the
 * folder and the file, whose name sorts behind those there are, since readers go by names.
 * ENOMEM, EIO, ENOSPC.
 */
cairn_status crn_event_file_append(crn_event_file *file, crn_event_encoder *encoder,
                                   const crn_str *records, cairn_error *err) CAIRN_MUST_USE;
/* Seconds since 1970. */
double crn_event_file_now(const crn_event_file *file);
/* Accepts a zeroed one. */
void crn_event_file_dispose(crn_event_file *file);

#endif
