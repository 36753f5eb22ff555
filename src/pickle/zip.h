/*
 * The table of contents of a zip file as torch.save writes it: entries stored without compression,
 * with or without zip64. Reads the central directory and the head of each entry; nothing else.
 * Format: PKWARE's APPNOTE.TXT, sections 4.3 to 4.5.
 */
#ifndef CRN_PICKLE_ZIP_H
#define CRN_PICKLE_ZIP_H

#include "cairn/error.h"
#include "os/os.h"

/* Where the bytes of an entry are in the file. */
typedef struct crn_zip_entry {
    const char *name; /* any bytes but NUL; not NUL-terminated */
    size_t name_length;
    uint64_t head; /* where its head begins */
    uint64_t begin;
    uint64_t bytes;
} crn_zip_entry;

typedef struct crn_zip {
    crn_zip_entry *entries; /* sorted by name, no two have the same */
    size_t count;
    uint8_t *directory; /* owns the names */
} crn_zip;

/*
 * Reads the table of the file behind @fd, of @file_bytes. Refused: a file that is more than its
 * entries and its directory, entries that overlap, repeat a name, are packed or encrypted, or whose
 * two heads differ, and names that lead out of a folder. @out: dispose of it in any case.
 * ECORRUPT; EUNSUPPORTED: packed, or no zip file but PyTorch's older format.  EIO, ENOMEM. Errors
 * continue a sentence that begins with the file's name.
 */
cairn_status crn_zip_read(const crn_os *os, int fd, uint64_t file_bytes, crn_zip *out,
                          cairn_error *err);
void crn_zip_dispose(crn_zip *zip);

/* NULL: there is no such entry. */
const crn_zip_entry *crn_zip_find(const crn_zip *zip, const char *name, size_t length);

/* Exactly @size bytes from @offset on. ECORRUPT: the file is shorter.  EIO. */
cairn_status crn_read_exactly(const crn_os *os, int fd, void *buf, size_t size, uint64_t offset,
                              cairn_error *err);

#endif
