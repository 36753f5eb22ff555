/* From a Hugging Face folder into our parameters. */
#include <inttypes.h>
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
    const char *prefix; /* "" in files of the bare model */
};

/* ---- Finding ---- */

static crn_hf_tensor *find(const struct source *source, const crn_hf_piece *piece)
{
    crn_str name = {0};
    crn_str_append(&name, piece->is_outer ? "" : source->prefix);
    crn_str_append(&name, piece->name);
    crn_hf_tensor *const tensor =
        name.is_failed ? NULL : crn_hf_files_find(&source->files, name.text);
    crn_str_dispose(&name);
    return tensor;
}

/* The prefix is there if it is before the token embedding. */
static cairn_status choose_prefix(struct source *source, const crn_hf_model *m, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_hf_piece piece;
    const cairn_state *const state = cairn_state_tree_find(m->tree, "model");
    CRN_TRY_PLAIN(
        crn_hf_piece_of(source->family, &m->options, cairn_state_tensor_at(state, 0), &piece, err));
    source->prefix = "";
    if (find(source, &piece) == NULL)
        source->prefix = crn_hf_prefix(source->family);
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
    CRN_TRY_PLAIN(crn_hf_piece_of(source->family, &m->options, ours, piece, err));
    crn_hf_tensor *const theirs = find(source, piece);
    const char *const prefix = piece->is_outer ? "" : source->prefix;
    if (theirs == NULL)
        CRN_FAIL(err, CAIRN_EINCOMPATIBLE, "'%s' has no tensor '%s%s'", source->files.folder->path,
                 prefix, piece->name);
    const int rank = crn_hf_shape(piece, ours, shape);
    const crn_file_entry *const entry = theirs->entry;
    if (entry->rank != (uint32_t)rank ||
        memcmp(entry->shape, shape, (size_t)rank * sizeof shape[0]) != 0)
        CRN_FAIL(err, CAIRN_EINCOMPATIBLE,
                 "'%s%s' has not the shape that config.json says: [%" PRIu64 "%s%.0" PRIu64 "]",
                 prefix, piece->name, shape[0], rank == 2 ? ", " : "", rank == 2 ? shape[1] : 0);
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
    crn_hf_tensor *const head = crn_hf_files_find(&source->files, "lm_head.weight");
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
        if (!tensor->is_used && !crn_hf_is_derived(tensor->entry->name))
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

cairn_status crn_hf_model_import(const crn_folder *folder, int64_t positions, crn_hf_model *out,
                                 cairn_error *err)
{
    static const char k_file[] = "config.json";
    cairn_status rc = CAIRN_OK;
    struct source source = {.prefix = ""};
    char *text = NULL;
    size_t size = 0;
    *out = (crn_hf_model){0};
    CRN_TRY_PLAIN(crn_hf_read_text(folder, k_file, &text, &size, err));
    CRN_TRY_PLAIN(crn_hf_model_begin(k_file, out, err));
    CRN_TRY_PLAIN(crn_hf_config_read(text, size, k_file, out->doc, out->section, err));
    CRN_TRY_PLAIN(crn_hf_model_declare(out, k_file, positions, err));
    CRN_TRY_PLAIN(crn_hf_family_of(&out->options, &source.family, err));
    CRN_TRY_PLAIN(crn_hf_files_open(folder, &source.files, err));
    CRN_TRY_PLAIN(choose_prefix(&source, out, err));
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
