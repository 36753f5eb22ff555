/*
 * What the metadata of a GGUF file says as options of our models, and back.
 *
 * The keys are those of ggml's docs/gguf.md, as llama.cpp reads them for its architectures gpt2 and
 * llama. What these cannot say, and does not change what llama.cpp computes, stands under "cairn.".
 */
#ifndef CRN_INTEROP_GGUF_CONFIG_H
#define CRN_INTEROP_GGUF_CONFIG_H

#include "config/config.h"
#include "interop/gguf_pairs.h"
#include "interop/hf_config.h"

/* The tensor of Llama 3's positions: how many times longer each pair's wave is, F32. */
#define CRN_GGUF_STRETCHES "rope_freqs.weight"

/*
 * Appends the model section that @gguf describes to @model, a map of @doc. Ranges are left to
 * whoever reads the section. @stretches [stretch_count]: what CRN_GGUF_STRETCHES holds; NULL: it is
 * not there. @file is for messages.
 * ECORRUPT: a key is missing or of the wrong kind.  EUNSUPPORTED: a model that this version does
 * not know; the message names the key.  ENOMEM.
 */
cairn_status crn_gguf_config_read(const crn_gguf *gguf, const float *stretches,
                                  size_t stretch_count, const char *file, crn_doc *doc,
                                  crn_node *model, cairn_error *err);

/* EUNSUPPORTED: the positions of a model with @options are not stretched like this. */
cairn_status crn_gguf_check_stretches(const cairn_gpt2_options *options, const float *stretches,
                                      size_t stretch_count, const char *file, cairn_error *err);

/* EUNSUPPORTED: GGUF's gpt2 and llama cannot express @options; the message names the option. */
cairn_status crn_gguf_family_of(const cairn_gpt2_options *options, crn_hf_family *out,
                                cairn_error *err);

/* Appends the metadata of a model with @options, which crn_gguf_family_of knows as @family, whose
 * matrices are of @dtype. */
void crn_gguf_config_write(const cairn_gpt2_options *options, crn_hf_family family,
                           cairn_dtype dtype, crn_gguf_pairs *out);

#endif
