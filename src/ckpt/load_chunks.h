/*
 * Moving a file's chunks into the arena, several reads at once.
 *
 * Chunks that lie one behind the other in the file are read together, at most 4 MiB at a time: one
 * call, past the page cache where the file system lets us. The pages that are wholly one chunk's go
 * straight to their place; what is left (the ends of tensors that are no whole pages, small
 * tensors, the gaps between) goes to a buffer of the reader and is copied from there. So it does
 * not matter whether the file was laid out as the arena is: what does not fit page by page is
 * copied from the buffer too. Each chunk is hashed by the thread that has read it.
 */
#ifndef CRN_CKPT_LOAD_CHUNKS_H
#define CRN_CKPT_LOAD_CHUNKS_H

#include "ckpt/load_priv.h"

/*
 * Loads every match that has a source. All ranges are written through the write guard.
 * @retval CAIRN_ECORRUPT  A digest does not match: the first such chunk of the file is named.
 * @retval CAIRN_EIO, CAIRN_ENOMEM
 */
cairn_status crn_load_chunks(crn_load *load, cairn_error *err);

/* The same for a foreign checkpoint, one range after the other. Statuses are those of its reader.
 */
cairn_status crn_load_foreign(crn_load *load, cairn_error *err);

/* CAIRN_ECORRUPT unless the @size bytes of chunk @i of @source at @bytes have its digest. */
cairn_status crn_load_check_chunk(const cairn_checkpoint *ckpt, const crn_read_tensor *source,
                                  uint64_t i, const void *bytes, cairn_error *err);
/* Bytes of chunk @i of a tensor of @bytes bytes. */
size_t crn_load_chunk_size(uint64_t bytes, uint64_t i);

#endif
