/* The angles of rotary positions. */
#ifndef CRN_NN_ROTARY_H
#define CRN_NN_ROTARY_H

#include "cairn/options.h"
#include "nn/ops/ops.h"

/*
 * Makes the table of @positions tokens for heads of which @size elements are turned: the angle of
 * position t and pair i is t theta^(-2 i / size), changed by the options pos_scaling_*:
 * "linear" divides all angles by the factor (S. Chen et al., "Extending Context Window of Large
 * Language Models via Positional Interpolation", 2023); "llama3" divides those of waves longer than
 * original_max_position_embeddings / low_freq_factor, leaves those of waves shorter than
 * original_max_position_embeddings / high_freq_factor, and goes from one to the other in between
 * (Llama 3.1; Model Zoo layers/RotaryPositionEmbeddingHelper.py). Computed in double. CAIRN_ENOMEM.
 */
cairn_status crn_rotary_table_make(const cairn_gpt2_options *options, int64_t positions,
                                   int64_t size, crn_rotary_table *out, cairn_error *err);
/* How many times longer the options make the wave of pair @pair; 1: it stays as it is. */
double crn_rotary_stretch(const cairn_gpt2_options *options, int64_t size, int64_t pair);
/* Zeroed is empty. */
void crn_rotary_table_dispose(crn_rotary_table *table);

#endif
