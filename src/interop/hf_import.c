/* From a Hugging Face folder, or a PyTorch file beside its config.json, into our parameters. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "interop/hf_files.h"
#include "interop/hf_model_priv.h"
#include "interop/targets.h"

/* What is the same for all tensors of a folder. */
struct source {
    crn_hf_files files;
    crn_hf_family family;
    bool is_single;      /* a file of its own, which may hold more than the model */
    bool is_ours;        /* parameters have our names, which are the Model Zoo's */
    const char *wrapper; /* what every name of the model begins with */
    const char *prefix;  /* "" in files of the bare model */
};

/* Where programs put the model in a file that holds more. "": nowhere, it is the file. */
static const char *const k_wrappers[] = {
    "", "model.", "state_dict.", "state_dict.model.", "model.model.", "module.", "model.module."};

/* ---- Finding ---- */

static cairn_status piece_of(const struct source *source, const crn_hf_model *m,
                             const cairn_tensor *ours, crn_hf_piece *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (!source->is_ours)
        return crn_hf_piece_of(source->family, &m->options, ours, out, err);
    *out = (crn_hf_piece){.is_outer = true,
                          .rows = ours->shape[0],
                          .cols = ours->rank == 2 ? ours->shape[1] : 1,
                          .all = ours->shape[0]};
    const int length = snprintf(out->name, sizeof out->name, "%s", ours->name);
    if (length < 0 || (size_t)length >= sizeof out->name)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "the name '%s' is too long", ours->name);
out:
    return rc;
}

static crn_hf_tensor *find(const struct source *source, const crn_hf_piece *piece)
{
    crn_str name = {0};
    crn_str_append(&name, source->wrapper);
    crn_str_append(&name, piece->is_outer ? "" : source->prefix);
    crn_str_append(&name, piece->name);
    crn_hf_tensor *const tensor =
        name.is_failed ? NULL : crn_hf_files_find(&source->files, name.text);
    crn_str_dispose(&name);
    return tensor;
}

/* Tries one way of naming: is the token embedding, our first tensor, there? */
static cairn_status try_names(struct source *source, const crn_hf_model *m, bool is_ours,
                              const char *wrapper, const char *prefix, bool *out_found,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_hf_piece piece;
    const cairn_state *const state = cairn_state_tree_find(m->tree, "model");
    source->is_ours = is_ours;
    source->wrapper = wrapper;
    source->prefix = prefix;
    CRN_TRY_PLAIN(piece_of(source, m, cairn_state_tensor_at(state, 0), &piece, err));
    *out_found = find(source, &piece) != NULL;
out:
    return rc;
}

/* Finds out how the tensors are named; if no way fits, the one of a whole model stands. */
static cairn_status choose_names(struct source *source, const crn_hf_model *m, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const prefix = crn_hf_prefix(source->family);
    const size_t wrappers = source->is_single ? sizeof k_wrappers / sizeof k_wrappers[0] : 1;
    bool is_found = false;
    for (size_t i = 0; i < wrappers && !is_found; i++) {
        CRN_TRY_PLAIN(try_names(source, m, false, k_wrappers[i], prefix, &is_found, err));
        if (!is_found)
            CRN_TRY_PLAIN(try_names(source, m, false, k_wrappers[i], "", &is_found, err));
        if (!is_found && source->is_single)
            CRN_TRY_PLAIN(try_names(source, m, true, k_wrappers[i], "", &is_found, err));
    }
    if (!is_found)
        CRN_TRY_PLAIN(try_names(source, m, false, "", prefix, &is_found, err));
out:
    return rc;
}

/* Finds the tensor and checks its shape. */
static cairn_status locate(const struct source *source, const crn_hf_model *m,
                           const cairn_tensor *ours, crn_hf_piece *piece, crn_hf_tensor **out,
                           cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t shape[2] = {0};
    CRN_TRY_PLAIN(piece_of(source, m, ours, piece, err));
    crn_hf_tensor *const theirs = find(source, piece);
    const char *const prefix = piece->is_outer ? "" : source->prefix;
    if (theirs == NULL)
        CRN_FAIL(err, CAIRN_EINCOMPATIBLE, "'%s' has no tensor '%s%s%s'",
                 source->files.folder->path, source->wrapper, prefix, piece->name);
    const int rank = crn_hf_shape(piece, ours, shape);
    const crn_file_entry *const entry = theirs->entry;
    if (entry->rank != (uint32_t)rank ||
        memcmp(entry->shape, shape, (size_t)rank * sizeof shape[0]) != 0)
        CRN_FAIL(err, CAIRN_EINCOMPATIBLE,
                 "'%s%s%s' has not the shape that config.json says: [%" PRIu64 "%s%.0" PRIu64 "]",
                 source->wrapper, prefix, piece->name, shape[0], rank == 2 ? ", " : "",
                 rank == 2 ? shape[1] : 0);
    *out = theirs;
out:
    return rc;
}

/* ---- Checking before anything large is allocated ---- */

/* The output layer of a tied model may be there twice; it must be the same then. */
static cairn_status check_tied_head(const struct source *source, const crn_hf_model *m,
                                    cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_hf_piece piece;
    crn_hf_tensor *words = NULL;
    float *a = NULL;
    float *b = NULL;
    const cairn_state *const state = cairn_state_tree_find(m->tree, "model");
    crn_hf_tensor *const head =
        find(source, &(crn_hf_piece){.name = "lm_head.weight", .is_outer = true});
    if (!m->options.share_embedding_weights || head == NULL)
        return CAIRN_OK;
    CRN_TRY_PLAIN(locate(source, m, cairn_state_tensor_at(state, 0), &piece, &words, err));
    CRN_TRY_PLAIN(crn_hf_files_read(&source->files, head, &a, err));
    CRN_TRY_PLAIN(crn_hf_files_read(&source->files, words, &b, err));
    if (head->entry->bytes != words->entry->bytes || head->entry->dtype != words->entry->dtype ||
        memcmp(a, b, (size_t)(piece.rows * piece.cols) * sizeof *a) != 0)
        CRN_FAIL(err, CAIRN_EINCOMPATIBLE,
                 "config.json says tie_word_embeddings, but lm_head.weight differs from the "
                 "embedding");
    head->is_used = true;
out:
    crn_free(a);
    crn_free(b);
    return rc;
}

/* What a file holds beside the model, such as the optimizer's, is not the model's business. */
static bool is_of_model(const struct source *source, const char *name)
{
    return crn_starts_with(name, source->wrapper) && !crn_hf_is_derived(name);
}

/* Every parameter has its tensor, every tensor its parameter. */
static cairn_status check_all(const struct source *source, const crn_hf_model *m, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char shown[200];
    const cairn_state *const state = cairn_state_tree_find(m->tree, "model");
    for (size_t i = 0; i < cairn_state_tensor_count(state); i++) {
        crn_hf_piece piece;
        crn_hf_tensor *theirs = NULL;
        CRN_TRY_PLAIN(locate(source, m, cairn_state_tensor_at(state, i), &piece, &theirs, err));
        theirs->is_used = true;
    }
    CRN_TRY_PLAIN(check_tied_head(source, m, err));
    for (size_t i = 0; i < source->files.tensor_count; i++) {
        const crn_hf_tensor *const tensor = &source->files.tensors[i];
        if (!tensor->is_used && is_of_model(source, tensor->entry->name))
            CRN_FAIL(
                err, CAIRN_EINCOMPATIBLE, "'%s' is no tensor of the model of config.json",
                crn_escape(tensor->entry->name, tensor->entry->name_length, shown, sizeof shown));
    }
out:
    return rc;
}

/* ---- Filling ---- */

static cairn_status fill(const struct source *source, crn_hf_model *m, const cairn_tensor *ours,
                         cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_hf_piece piece;
    crn_hf_tensor *theirs = NULL;
    float *values = NULL;
    CRN_TRY_PLAIN(locate(source, m, ours, &piece, &theirs, err));
    CRN_TRY_PLAIN(crn_hf_files_read(&source->files, theirs, &values, err));
    crn_piece_take(&piece, values, m->tree, ours);
out:
    crn_free(values);
    return rc;
}

cairn_status crn_hf_model_import(const crn_folder *folder, const char *name, int64_t positions,
                                 crn_hf_model *out, cairn_error *err)
{
    static const char k_file[] = "config.json";
    cairn_status rc = CAIRN_OK;
    struct source source = {.is_single = name != NULL};
    char *text = NULL;
    size_t size = 0;
    *out = (crn_hf_model){0};
    CRN_TRY_PLAIN(crn_hf_read_text(folder, k_file, &text, &size, err));
    CRN_TRY_PLAIN(crn_hf_model_begin(k_file, out, err));
    CRN_TRY_PLAIN(crn_hf_config_read(text, size, k_file, out->doc, out->section, err));
    CRN_TRY_PLAIN(crn_hf_model_declare(out, k_file, positions, err));
    CRN_TRY_PLAIN(crn_hf_family_of(&out->options, &source.family, err));
    if (name != NULL)
        CRN_TRY_PLAIN(crn_hf_files_open_pickle(folder, name, &source.files, err));
    else
        CRN_TRY_PLAIN(crn_hf_files_open(folder, &source.files, err));
    CRN_TRY_PLAIN(choose_names(&source, out, err));
    CRN_TRY_PLAIN(check_all(&source, out, err));
    CRN_TRY_PLAIN(cairn_state_tree_allocate(out->tree, err));
    const cairn_state *const state = cairn_state_tree_find(out->tree, "model");
    for (size_t i = 0; i < cairn_state_tensor_count(state); i++)
        CRN_TRY_PLAIN(fill(&source, out, cairn_state_tensor_at(state, i), err));
    CRN_TRY_PLAIN(crn_hf_files_check_unchanged(&source.files, err));
out:
    crn_hf_files_close(&source.files);
    crn_free(text);
    return rc;
}
