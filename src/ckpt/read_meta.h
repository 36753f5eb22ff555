/* The metadata of an open checkpoint. */
#ifndef CRN_CKPT_READ_META_H
#define CRN_CKPT_READ_META_H

#include "ckpt/read_priv.h"

/*
 * Takes apart the metadata of a file that has some and whose tensors are listed: facts, states,
 * values, aliases and digests.
 * @retval CAIRN_ECORRUPT  Something is missing or wrong. CAIRN_EVERSION instead in a file of a
 * newer major version, where that may be as it should.
 */
cairn_status crn_checkpoint_read_meta(cairn_checkpoint *ckpt, cairn_error *err);

#endif
