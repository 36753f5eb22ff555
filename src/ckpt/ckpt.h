/* What other rooms use of the engine beside its public header. */
#ifndef CRN_CKPT_CKPT_H
#define CRN_CKPT_CKPT_H

#include "cairn/checkpoint.h"
#include "os/os.h"

/* cairn_store_open with another operating system, borrowed until close. */
cairn_status crn_store_open_os(const crn_os *os, const cairn_store_options *options,
                               cairn_store **out_store, cairn_error *err);

/*
 * For a store that was opened to read only: whether a program that opens it in earnest would get
 * it. ELOCKED: another process holds it; EIO: its lock cannot be opened.
 */
cairn_status crn_store_check_free(cairn_store *store, cairn_error *err);

/* The most that asynchronous saves of a state of so many bytes take for copies; @staging_bytes as
 * in cairn_store_options. */
uint64_t crn_staging_most(uint64_t staging_bytes, uint64_t state_bytes);

#endif
