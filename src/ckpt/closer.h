/*
 * Closes files that have been deleted, on a thread of its own. A file system frees the blocks of a
 * file when its last descriptor is closed, which on some takes a quarter of a second per GB: an
 * unlink of a file that nobody has open would make the training thread wait for it.
 */
#ifndef CRN_CKPT_CLOSER_H
#define CRN_CKPT_CLOSER_H

#include <stdint.h>

#include "cairn/error.h"
#include "os/os.h"

typedef struct crn_closer crn_closer;

/* @os: borrowed. @out: yours. @retval CAIRN_ENOMEM, CAIRN_EIO  No thread. */
cairn_status crn_closer_new(const crn_os *os, crn_closer **out, cairn_error *err);
/* Closes @fd some time. With very many waiting already it does so at once. Any thread. */
void crn_closer_add(crn_closer *closer, int fd);
/* Returns once everything added before is closed: its space is free. Any thread. */
void crn_closer_wait(crn_closer *closer);
/* Files that were closed so far. Any thread. */
uint64_t crn_closer_count(crn_closer *closer);
/* Waits likewise. Accepts NULL. */
void crn_closer_destroy(crn_closer *closer);

#endif
