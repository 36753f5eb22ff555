/** @file model.h  Models of the library. */
#ifndef CAIRN_MODEL_H
#define CAIRN_MODEL_H

#include "cairn/options.h"
#include "cairn/plugin/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * GPT-2 (A. Radford et al., 2019) and GPT-3 with the Model Zoo's options and parameter names:
 * learned positions, layer norm before each branch, GELU, tied output.
 * @param out  Its ops->destroy is yours to call, unless a trainer takes it.
 * @retval CAIRN_ECONFIG  num_heads does not divide hidden_size.  @retval CAIRN_ENOMEM
 */
CAIRN_API cairn_status cairn_gpt2_new(const cairn_gpt2_options *options, cairn_model *out,
                                      cairn_error *err);

enum { CAIRN_PROBE_SIZE = 768, CAIRN_PROBE_FLOATS = 3 * CAIRN_PROBE_SIZE * CAIRN_PROBE_SIZE };
/** Operations of one cairn_matrix_probe. */
#define CAIRN_PROBE_FLOPS (2.0 * CAIRN_PROBE_SIZE * CAIRN_PROBE_SIZE * CAIRN_PROBE_SIZE)
/** One product of square matrices, as models compute them, for whoever times it.
 *  @param work  [CAIRN_PROBE_FLOATS], zeroed before the first call.  @retval CAIRN_EDEVICE */
CAIRN_API cairn_status cairn_matrix_probe(float *work, cairn_error *err);

#ifdef __cplusplus
}
#endif
#endif
