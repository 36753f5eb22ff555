#include "interop/convert.h"

#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "ckpt/ckpt.h"
#include "ckpt/names.h"
#include "ckpt/publish_folder.h"
#include "interop/archive.h"
#include "interop/finetune_yaml.h"
#include "interop/hf_model.h"

#define CHECKPOINT_FILE "checkpoint_0.mdl"
#define PARAMS_FILE     "params.yaml"
#define LOCK_FILE       ".cairn.lock"

/* Of the largest logit: nothing is rounded on the way, so equal bits are the rule. */
static const double k_difference_max = 1e-5;

/* One conversion. */
struct job {
    const crn_os *os;
    const cairn_convert_options *options;
    crn_hf_model model;     /* what was read */
    crn_hf_logits expected; /* its logits */
    crn_publish_folder to;
    cairn_convert_result result;
};

/* ---- Reading ---- */

static cairn_status is_folder(const struct job *job, bool *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const path = job->options->source;
    int fd = -1;
    const int e = job->os->open(job->os, CRN_OS_CWD, path, CRN_OPEN_DIRECTORY, &fd);
    if (e == ENOENT)
        CRN_FAIL(err, CAIRN_ENOTFOUND, "'%s' is not there", path);
    if (e != 0 && e != ENOTDIR)
        CRN_FAIL_ERRNO(err, e, "open '%s'", path);
    *out = e == 0;
    if (e == 0)
        (void)job->os->close(job->os, fd); /* Only looked at. */
out:
    return rc;
}

static cairn_status import_from(const crn_os *os, const char *path, crn_hf_model *out,
                                cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_folder folder = {.os = os, .fd = -1, .path = path};
    const int e = os->open(os, CRN_OS_CWD, path, CRN_OPEN_DIRECTORY, &folder.fd);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "open the folder '%s'", path);
    CRN_TRY_PLAIN(crn_hf_model_import(&folder, out, err));
out:
    if (folder.fd >= 0)
        (void)os->close(os, folder.fd); /* Only read. */
    return rc;
}

/* Is the file at @path one of PyTorch's? */
static cairn_status is_pickle(const crn_os *os, const char *path, bool *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char first[8];
    size_t got = 0;
    int fd = -1;
    crn_archive_kind kind = CRN_ARCHIVE_HDF5;
    int e = os->open(os, CRN_OS_CWD, path, CRN_OPEN_READ, &fd);
    if (e == 0)
        e = os->read_at(os, fd, first, sizeof first, 0, &got);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "read '%s'", path);
    *out = crn_archive_recognize(first, got, &kind) && kind == CRN_ARCHIVE_PICKLE;
out:
    if (fd >= 0)
        (void)os->close(os, fd); /* Only looked at. */
    return rc;
}

static cairn_status import_file(const crn_os *os, const char *path, crn_hf_model *out,
                                cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t length = 0;
    const char *const name = crn_path_file(path, &length);
    crn_str parent = {0};
    crn_folder folder = {.os = os, .fd = -1};
    crn_str_append_bytes(&parent, length > 0 ? path : ".", length > 0 ? length : 1);
    CRN_TRY_PLAIN(crn_str_check(&parent, err));
    folder.path = parent.text;
    const int e = os->open(os, CRN_OS_CWD, parent.text, CRN_OPEN_DIRECTORY, &folder.fd);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "open the folder '%s'", parent.text);
    CRN_TRY_PLAIN(crn_hf_model_import_file(&folder, name, out, err));
out:
    if (folder.fd >= 0)
        (void)os->close(os, folder.fd); /* Only read. */
    crn_str_dispose(&parent);
    return rc;
}

/* Reads the source, which must be of the other kind. */
static cairn_status read_source(struct job *job, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const path = job->options->source;
    const bool is_to_hf = job->options->to == CAIRN_CONVERT_TO_HF;
    bool is_hf = false;
    bool is_torch = false;
    CRN_TRY_PLAIN(is_folder(job, &is_hf, err));
    if (!is_hf && !is_to_hf)
        CRN_TRY_PLAIN(is_pickle(job->os, path, &is_torch, err));
    if (is_hf && is_to_hf)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "'%s' is a folder; to make a Hugging Face folder, name a checkpoint file", path);
    if (!is_hf && !is_to_hf && !is_torch)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "'%s' is no PyTorch file; to make a checkpoint, name one or a Hugging Face folder",
                 path);
    if (is_torch)
        return import_file(job->os, path, &job->model, err);
    if (is_hf)
        CRN_TRY_PLAIN(import_from(job->os, path, &job->model, err));
    else
        CRN_TRY_PLAIN(crn_hf_model_load(path, job->options->log, &job->model, err));
    if (!is_hf)
        CRN_TRY_PLAIN(crn_hf_family_of(&job->model.options, &(crn_hf_family){0}, err));
out:
    return rc;
}

/* ---- Writing ---- */

static cairn_status write_hf(struct job *job, cairn_error *err)
{
    return crn_hf_model_export(&job->model, &job->to.inside, &job->result.tensors, err);
}

static cairn_status save_checkpoint(struct job *job, const char *params_json, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_store *store = NULL;
    cairn_save_result saved;
    const cairn_store_options options = {.struct_size = sizeof options,
                                         .model_dir = job->to.inside.path};
    cairn_save_request request = {.struct_size = sizeof request, .params_json = params_json};
    CRN_TRY_PLAIN(crn_store_open_os(job->os, &options, &store, err));
    CRN_TRY_PLAIN(cairn_store_save(store, job->model.tree, &request, &saved, err));
    job->result.tensors = cairn_state_tensor_count(cairn_state_tree_find(job->model.tree, "model"));
out:
    cairn_store_close(store);
    return rc;
}

static cairn_status write_params(struct job *job, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str yaml = {0};
    char *parent = NULL;
    crn_str checkpoint = {0};
    crn_str model_dir = {0};
    const int e = job->os->real_path(job->os, job->to.parent_path, &parent);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "resolve '%s'", job->to.parent_path);
    const char *const slash = strcmp(parent, "/") == 0 ? "" : "/";
    crn_str_printf(&checkpoint, "%s%s%s/" CHECKPOINT_FILE, parent, slash, job->to.name);
    crn_str_printf(&model_dir, "%s%s%s/model_dir", parent, slash, job->to.name);
    CRN_TRY_PLAIN(crn_str_check(&checkpoint, err));
    CRN_TRY_PLAIN(crn_str_check(&model_dir, err));
    CRN_TRY_PLAIN(crn_finetune_yaml(&job->model, job->options->source, checkpoint.text,
                                    model_dir.text, &yaml, err));
    CRN_TRY_PLAIN(crn_publish_text(&job->to.inside, PARAMS_FILE, yaml.text, yaml.length, err));
out:
    crn_str_dispose(&yaml);
    crn_str_dispose(&checkpoint);
    crn_str_dispose(&model_dir);
    crn_free(parent);
    return rc;
}

static cairn_status write_cairn(struct job *job, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str json = {0};
    crn_node_to_json(crn_doc_root(job->model.doc), &json);
    CRN_TRY_PLAIN(crn_str_check(&json, err));
    CRN_TRY_PLAIN(save_checkpoint(job, json.text, err));
    /* No other process can know this folder, so nobody waits for its lock. */
    const int e = job->os->unlink(job->os, job->to.inside.fd, LOCK_FILE);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "remove '%s/" LOCK_FILE "'", job->to.inside.path);
    CRN_TRY_PLAIN(write_params(job, err));
out:
    crn_str_dispose(&json);
    return rc;
}

/* ---- Checking ---- */

static cairn_status read_back(const struct job *job, crn_hf_model *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str path = {0};
    if (job->options->to == CAIRN_CONVERT_TO_HF)
        return crn_hf_model_import(&job->to.inside, out, err);
    crn_str_printf(&path, "%s/" CHECKPOINT_FILE, job->to.inside.path);
    CRN_TRY_PLAIN(crn_str_check(&path, err));
    CRN_TRY_PLAIN(crn_hf_model_load(path.text, NULL, out, err));
out:
    crn_str_dispose(&path);
    return rc;
}

/* The model that was read is no longer there: two of them at once may be too much. */
static cairn_status check(struct job *job, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_hf_model again = {0};
    crn_hf_logits logits = {0};
    cairn_convert_result *const result = &job->result;
    CRN_TRY(err, read_back(job, &again, err), "read back what was written");
    CRN_TRY_PLAIN(crn_hf_logits_make(&again, &logits, err));
    if (logits.positions != job->expected.positions ||
        logits.vocabulary != job->expected.vocabulary)
        CRN_FAIL(err, CAIRN_EBUG, "what was written is a model of another shape");
    crn_hf_logits_compare(&job->expected, &logits, &result->max_difference, &result->largest_logit);
    result->positions = (uint64_t)logits.positions;
    if (result->max_difference > k_difference_max * result->largest_logit)
        CRN_FAIL(err, CAIRN_EBUG,
                 "what was written gives other logits: the largest difference is %g, the largest "
                 "logit %g",
                 result->max_difference, result->largest_logit);
out:
    crn_hf_logits_dispose(&logits);
    crn_hf_model_dispose(&again);
    return rc;
}

static cairn_status convert(struct job *job, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY(err, read_source(job, err), "read '%s'", job->options->source);
    CRN_TRY_PLAIN(crn_publish_folder_begin(&job->to, job->os, job->options->destination, err));
    if (job->options->to == CAIRN_CONVERT_TO_HF)
        CRN_TRY(err, write_hf(job, err), "write '%s'", job->options->destination);
    else
        CRN_TRY(err, write_cairn(job, err), "write '%s'", job->options->destination);
    CRN_TRY_PLAIN(crn_hf_logits_make(&job->model, &job->expected, err));
    crn_hf_model_dispose(&job->model);
    CRN_TRY_PLAIN(check(job, err));
    CRN_TRY_PLAIN(crn_publish_folder_commit(&job->to, err));
out:
    return rc;
}

cairn_status crn_convert_os(const crn_os *os, const cairn_convert_options *options,
                            cairn_convert_result *out, cairn_error *err)
{
    struct job job = {
        .os = os, .options = options, .to = {.inside = {.fd = -1}, .parent = {.fd = -1}}};
    cairn_status rc = convert(&job, err);
    if (rc == CAIRN_EUNKNOWN && !job.to.is_published) {
        /* Of a file inside: here it is known that nothing will be there. */
        rc = CAIRN_EIO;
        crn_error_note(err, rc, __FILE__, __LINE__, "'%s' was not made", options->destination);
    }
    crn_publish_folder_end(&job.to);
    crn_hf_logits_dispose(&job.expected);
    crn_hf_model_dispose(&job.model);
    *out = job.result;
    return rc;
}

cairn_status cairn_checkpoint_convert(const cairn_convert_options *options,
                                      cairn_convert_result *out, cairn_error *err)
{
    return crn_convert_os(crn_os_posix(), options, out, err);
}
