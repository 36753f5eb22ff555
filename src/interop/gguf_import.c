/* From a GGUF file into our parameters. */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "interop/gguf_config.h"
#include "interop/gguf_file.h"
#include "interop/gguf_model.h"
#include "interop/hf_model_priv.h"
#include "interop/targets.h"

/* Finds the tensor that @ours is in and checks its shape. */
static cairn_status locate(const crn_gguf_file *file, crn_hf_family family,
                           const cairn_tensor *ours, crn_hf_piece *piece, crn_gguf_tensor **out,
                           cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t shape[2] = {0};
    CRN_TRY_PLAIN(crn_gguf_piece_of(family, ours, piece, err));
    crn_gguf_tensor *const theirs = crn_gguf_find_tensor(&file->gguf, piece->name);
    if (theirs == NULL)
        CRN_FAIL(err, CAIRN_EINCOMPATIBLE, "'%s' has no tensor '%s'", file->path, piece->name);
    const int rank = crn_hf_shape(piece, ours, shape);
    if (theirs->rank != rank || memcmp(theirs->shape, shape, (size_t)rank * sizeof shape[0]) != 0)
        CRN_FAIL(err, CAIRN_EINCOMPATIBLE,
                 "'%s' has not the shape that the metadata says: [%" PRIu64 "%s%.0" PRIu64 "]",
                 piece->name, shape[0], rank == 2 ? ", " : "", rank == 2 ? shape[1] : 0);
    *out = theirs;
out:
    return rc;
}

/* Every parameter has its tensor, every tensor its parameter: before anything large is allocated.
 */
static cairn_status check_all(const crn_gguf_file *file, crn_hf_family family,
                              const crn_hf_model *m, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char shown[100];
    const cairn_state *const state = cairn_state_tree_find(m->tree, "model");
    for (size_t i = 0; i < cairn_state_tensor_count(state); i++) {
        crn_hf_piece piece;
        crn_gguf_tensor *theirs = NULL;
        CRN_TRY_PLAIN(locate(file, family, cairn_state_tensor_at(state, i), &piece, &theirs, err));
        theirs->is_used = true;
    }
    for (size_t i = 0; i < file->gguf.tensor_count; i++) {
        const crn_gguf_tensor *const tensor = &file->gguf.tensors[i];
        if (!tensor->is_used)
            CRN_FAIL(err, CAIRN_EINCOMPATIBLE, "'%s' is no tensor of the model of the metadata",
                     crn_escape(tensor->name, strlen(tensor->name), shown, sizeof shown));
    }
out:
    return rc;
}

static cairn_status fill(const crn_gguf_file *file, crn_hf_family family, crn_hf_model *m,
                         const cairn_tensor *ours, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_hf_piece piece;
    crn_gguf_tensor *theirs = NULL;
    float *values = NULL;
    CRN_TRY_PLAIN(locate(file, family, ours, &piece, &theirs, err));
    CRN_TRY_PLAIN(crn_gguf_file_read(file, theirs, &values, err));
    crn_piece_take(&piece, values, m->tree, ours);
out:
    crn_free(values);
    return rc;
}

/* The model that the metadata describes, its parameters declared. */
static cairn_status declare(const crn_gguf_file *file, int64_t positions, crn_hf_model *m,
                            cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    float *stretches = NULL;
    size_t count = 0;
    crn_gguf_tensor *const tensor = crn_gguf_find_tensor(&file->gguf, CRN_GGUF_STRETCHES);
    CRN_TRY_PLAIN(crn_hf_model_begin(file->path, m, err));
    if (tensor != NULL) {
        tensor->is_used = true;
        count = (size_t)(tensor->bytes / (cairn_dtype_bits(tensor->dtype) / 8));
        CRN_TRY_PLAIN(crn_gguf_file_read(file, tensor, &stretches, err));
    }
    CRN_TRY_PLAIN(
        crn_gguf_config_read(&file->gguf, stretches, count, file->path, m->doc, m->section, err));
    CRN_TRY_PLAIN(crn_hf_model_declare(m, file->path, positions, err));
    if (tensor != NULL)
        CRN_TRY_PLAIN(crn_gguf_check_stretches(&m->options, stretches, count, file->path, err));
out:
    crn_free(stretches);
    return rc;
}

cairn_status crn_gguf_import(const crn_os *os, const char *path, int64_t positions,
                             crn_hf_model *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_gguf_file file = {.fd = -1};
    crn_hf_family family;
    *out = (crn_hf_model){0};
    CRN_TRY_PLAIN(crn_gguf_file_open(os, path, &file, err));
    CRN_TRY_PLAIN(declare(&file, positions, out, err));
    CRN_TRY_PLAIN(crn_gguf_family_of(&out->options, &family, err));
    CRN_TRY_PLAIN(check_all(&file, family, out, err));
    CRN_TRY_PLAIN(cairn_state_tree_allocate(out->tree, err));
    const cairn_state *const state = cairn_state_tree_find(out->tree, "model");
    for (size_t i = 0; i < cairn_state_tensor_count(state); i++)
        CRN_TRY_PLAIN(fill(&file, family, out, cairn_state_tensor_at(state, i), err));
    CRN_TRY_PLAIN(crn_gguf_file_check_unchanged(&file, err));
out:
    crn_gguf_file_close(&file);
    return rc;
}
