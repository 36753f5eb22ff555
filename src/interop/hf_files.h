/*
 * The files of a Hugging Face folder, safetensors or PyTorch's, as one set of named tensors.
 * Untrusted: headers pass the codec's checks, PyTorch's files are read by a confined program, and
 * every file must be a regular one of the folder itself.
 */
#ifndef CRN_INTEROP_HF_FILES_H
#define CRN_INTEROP_HF_FILES_H

#include "ckpt/publish.h"
#include "format/format.h"

/* One tensor and the file it is in. */
typedef struct crn_hf_tensor {
    const crn_file_entry *entry;
    size_t file;
    bool is_used; /* for whoever takes them */
} crn_hf_tensor;

typedef struct crn_hf_file crn_hf_file;

typedef struct crn_hf_files {
    const crn_folder *folder;
    crn_hf_file *files;
    size_t file_count;
    crn_hf_tensor *tensors; /* sorted by name */
    size_t tensor_count;
} crn_hf_files;

/*
 * Opens model.safetensors, or the files that model.safetensors.index.json names, or else the same
 * of pytorch_model.bin; the map and the files must agree tensor for tensor. Borrows @folder. @out:
 * to be closed in any case.
 * ENOTFOUND: none is there, or a file of the map is not.  ECORRUPT: damaged, or a link.
 * EUNSUPPORTED: a PyTorch file of a kind that is not read.  EIO, ENOMEM.
 */
cairn_status crn_hf_files_open(const crn_folder *folder, crn_hf_files *out, cairn_error *err);
/* Opens one PyTorch file of @folder. Otherwise as crn_hf_files_open. */
cairn_status crn_hf_files_open_pickle(const crn_folder *folder, const char *name, crn_hf_files *out,
                                      cairn_error *err);
void crn_hf_files_close(crn_hf_files *files);

/* NULL if there is none. */
crn_hf_tensor *crn_hf_files_find(const crn_hf_files *files, const char *name);

/* All elements of @tensor as floats, in its order; yours (crn_free). F32, F16 and BF16.
 * EUNSUPPORTED: another dtype.  ECORRUPT: the file has changed.  EIO, ENOMEM. */
cairn_status crn_hf_files_read(const crn_hf_files *files, const crn_hf_tensor *tensor, float **out,
                               cairn_error *err);

/* ECORRUPT: a file is not what it was when it was opened. */
cairn_status crn_hf_files_check_unchanged(const crn_hf_files *files, cairn_error *err);

/* Reads a whole small file of @folder, which must be a regular one; yours (crn_free).
 * ENOTFOUND, ECORRUPT: it is a link or larger than CRN_HF_JSON_BYTES_MAX.  EIO, ENOMEM. */
cairn_status crn_hf_read_text(const crn_folder *folder, const char *name, char **out,
                              size_t *out_size, cairn_error *err);

#endif
