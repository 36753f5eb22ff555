/*
 * config.json of a Hugging Face folder: what it says as options of our models, and back.
 *
 * The keys are those of transformers' GPT2Config, LlamaConfig and MistralConfig (its documentation,
 * "Models"), of both major versions 4 (rope_theta, rope_scaling) and 5 (rope_parameters).
 */
#ifndef CRN_INTEROP_HF_CONFIG_H
#define CRN_INTEROP_HF_CONFIG_H

#include "base/str.h"
#include "cairn/options.h"
#include "config/config.h"

typedef enum crn_hf_family { CRN_HF_GPT2, CRN_HF_LLAMA } crn_hf_family;

enum { CRN_HF_JSON_BYTES_MAX = 16 << 20 };

/*
 * Appends the model section that @json, untrusted, describes to @model, a map of @doc. Ranges are
 * left to whoever reads the section. @file is for messages.
 * ECORRUPT: no JSON object, or a key has the wrong type or is missing.
 * EUNSUPPORTED: a model that this version does not know; the message names the key.  ENOMEM.
 */
cairn_status crn_hf_config_read(const char *json, size_t size, const char *file, crn_doc *doc,
                                crn_node *model, cairn_error *err);

/*
 * The family whose names and layouts a model with @options has.
 * EUNSUPPORTED: none has this combination; the message names the option and what it must be.
 */
cairn_status crn_hf_family_of(const cairn_gpt2_options *options, crn_hf_family *out,
                              cairn_error *err);

/* Heads of keys and values. */
int64_t crn_hf_kv_heads(const cairn_gpt2_options *options);

/* Writes config.json. EUNSUPPORTED as crn_hf_family_of, ENOMEM. */
cairn_status crn_hf_config_write(const cairn_gpt2_options *options, crn_str *out, cairn_error *err);

#endif
