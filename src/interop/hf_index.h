/*
 * model.safetensors.index.json or pytorch_model.bin.index.json: which file of the folder holds
 * which tensor. Untrusted.
 */
#ifndef CRN_INTEROP_HF_INDEX_H
#define CRN_INTEROP_HF_INDEX_H

#include "cairn/error.h"
#include "ckpt/names.h"

typedef struct crn_hf_place {
    const char *tensor;
    size_t file; /* in files */
} crn_hf_place;

typedef struct crn_hf_index {
    void *json; /* owns the names */
    crn_hf_place *places;
    size_t place_count;
    size_t place_capacity;
    crn_name_list files; /* each once, in the order of their first mention */
} crn_hf_index;

enum { CRN_HF_SHARDS_MAX = 1024 };

/* True for [A-Za-z0-9._-]{1,255} that ends in @end (".safetensors") and does not begin with ".": no
 * path out of the folder. */
bool crn_hf_is_shard_name(const char *name, size_t length, const char *end);

/*
 * @file is for messages; the names of files end in @end. @out: dispose of it on success and on
 * failure. ECORRUPT: no such JSON, a name twice, or the name of a file that crn_hf_is_shard_name
 * refuses.
 */
cairn_status crn_hf_index_read(const char *json, size_t size, const char *file, const char *end,
                               crn_hf_index *out, cairn_error *err);
void crn_hf_index_dispose(crn_hf_index *index);

#endif
