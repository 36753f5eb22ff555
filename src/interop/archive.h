/*
 * Tensors and small values of somebody else's file, read by a confined program of its own: the
 * library never parses such a file. The program gets the file as an open descriptor and can do
 * nothing but read it (src/confined); nothing that it says is believed either.
 *
 * One archive is one file and one process. Not thread safe; archives are independent of each other.
 */
#ifndef CRN_INTEROP_ARCHIVE_H
#define CRN_INTEROP_ARCHIVE_H

#include "format/format.h"
#include "interop/archive_protocol.h"
#include "os/os.h"

typedef enum crn_archive_kind {
    CRN_ARCHIVE_PICKLE, /* PyTorch's .pt, .pth, .bin: read by cairn-pickle */
    CRN_ARCHIVE_HDF5    /* the Model Zoo's .mdl: read by cairn-hdf5 */
} crn_archive_kind;

/* A value that is no tensor. An integer beyond 64 bits is the nearest CRN_ARCHIVE_NUMBER. */
typedef struct crn_archive_value {
    const char *name; /* as a tensor's */
    size_t name_length;
    crn_archive_value_kind kind;
    int64_t integer;  /* of INTEGER; 0 or 1 of BOOL */
    double number;    /* of NUMBER */
    const char *text; /* of TEXT: any bytes, a NUL behind them */
    size_t text_length;
} crn_archive_value;

typedef struct crn_archive crn_archive;

/* True if a file that begins with @first (8 bytes are enough) is of a kind read here; old PyTorch
 * files are, so that they are refused by name. Says nothing about the rest of the file. */
bool crn_archive_recognize(const void *first, size_t size, crn_archive_kind *out);

/*
 * Opens the file behind descriptor @fd, which is borrowed and may be closed afterwards; it must be
 * a regular file. @path is for messages and copied. @program: the reader's file; NULL: looked for
 * beside this program and where it was installed. @os is borrowed as long as the archive lives.
 * ECORRUPT: damaged, made to do harm (its reader crashed or found no end), or it holds what is
 * neither a tensor nor a container nor a small value.  EUNSUPPORTED: a kind of such files that is
 * not read, or this build has no reader.  EIO, ENOMEM.
 */
cairn_status crn_archive_open(const crn_os *os, int fd, const char *path, crn_archive_kind kind,
                              const char *program, crn_archive **out, cairn_error *err);
/* Accepts NULL. */
void crn_archive_close(crn_archive *archive);

/*
 * The tensors, in the order of the file; borrowed. Names are the keys on the way to it, joined by
 * "." ("model.ln_f.weight", "optimizer.state.0.exp_avg"): 1 to CAIRN_NAME_MAX bytes, unique among
 * tensors and values. dtype is of whole bytes, rank at most CAIRN_RANK_MAX, bytes what shape and
 * dtype say; begin is 0. The shape is a claim until the bytes have been read: compare it with what
 * is expected before allocating.
 */
const crn_file_entry *crn_archive_tensors(const crn_archive *archive, size_t *out_count);
/* The values, in the order of the file; borrowed. */
const crn_archive_value *crn_archive_values(const crn_archive *archive, size_t *out_count);

/*
 * Reads @size bytes of @tensor, one of crn_archive_tensors, from byte @offset on into @buf:
 * little-endian, row-major, whatever the file does. The file may have changed since it was opened:
 * compare its stat before and after.
 * ECORRUPT: as above, or the file has become shorter.  EIO.
 */
cairn_status crn_archive_read(crn_archive *archive, const crn_file_entry *tensor, uint64_t offset,
                              size_t size, void *buf, cairn_error *err);

#endif
