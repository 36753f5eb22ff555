/*
 * A training state of the Model Zoo as states of ours. What its Trainer saves:
 * src/cerebras/modelzoo/trainer/callbacks (model.py, optimizer.py, schedulers.py, dataloader.py,
 * precision.py, loop.py, metadata.py).
 */
#ifndef CRN_INTEROP_ZOO_H
#define CRN_INTEROP_ZOO_H

#include "cairn/checkpoint.h"
#include "interop/archive.h"

/*
 * The states of @archive, which is the open file @fd at @path. Takes both, on failure too. @log is
 * told what is not carried over; may be NULL. EINCOMPATIBLE: there is no model in it.  ECORRUPT,
 * EIO, ENOMEM.
 */
cairn_status crn_zoo_checkpoint(const crn_os *os, int fd, const char *path, crn_archive *archive,
                                const cairn_log *log, cairn_checkpoint **out, cairn_error *err);

#endif
