#include "interop/convert.h"

#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "ckpt/ckpt.h"
#include "ckpt/publish_folder.h"
#include "interop/adapters.h"
#include "interop/finetune_yaml.h"
#include "interop/gguf_model.h"
#include "interop/source.h"

#define CHECKPOINT_FILE "checkpoint_0.mdl"
#define PARAMS_FILE     "params.yaml"
#define LOCK_FILE       ".cairn.lock"
#define GGUF_FILE       "model.gguf"

/* Of the largest logit: nothing is rounded on the way, so equal bits are the rule. */
static const double k_difference_max = 1e-5;

/* One conversion. */
struct job {
    const crn_os *os;
    const cairn_convert_options *options;
    cairn_dtype dtype;      /* of the matrices that are written */
    crn_hf_model model;     /* what was read, or what rounding left of it */
    crn_hf_logits expected; /* its logits */
    crn_hf_logits exact;    /* logits of what was read; empty where nothing is rounded */
    crn_publish_folder to;
    cairn_convert_result result;
};

/* ---- Reading ---- */

/* Whether the other side can express the model. */
static cairn_status check_expressible(const struct job *job, cairn_error *err)
{
    if (job->options->to == CAIRN_CONVERT_TO_GGUF)
        return crn_gguf_check(&job->model, job->options->log, err);
    if (job->options->to == CAIRN_CONVERT_TO_HF)
        return crn_hf_family_of(&job->model.options, &(crn_hf_family){0}, err);
    return CAIRN_OK; /* It can what the others can. */
}

/* Whether the result is another checkpoint than the source. */
static bool has_adapters(const struct job *job)
{
    cairn_checkpoint *ckpt = NULL;
    bool has = job->options->lora_path != NULL;
    if (!has && cairn_checkpoint_open(job->options->source, &ckpt, NULL) == CAIRN_OK)
        has = cairn_checkpoint_has_state(ckpt, CRN_ADAPTERS_STATE);
    cairn_checkpoint_close(ckpt);
    return has;
}

/* Reads the source, which must be of another kind, or have adapters to merge. */
static cairn_status read_source(struct job *job, cairn_error *err)
{
    static const struct {
        cairn_convert_to same;
        const char *words;
    } k_kinds[] = {
        [CRN_SOURCE_CHECKPOINT] =
            {CAIRN_CONVERT_TO_CAIRN,
             "file of no kind that others write, which is taken for a checkpoint"},
        [CRN_SOURCE_HF] = {CAIRN_CONVERT_TO_HF, "folder, which is taken for Hugging Face's"},
        [CRN_SOURCE_GGUF] = {CAIRN_CONVERT_TO_GGUF, "GGUF file"},
        /* Nothing is converted to these. */
        [CRN_SOURCE_PICKLE] = {.words = NULL},
        [CRN_SOURCE_ZOO] = {.words = NULL}};
    cairn_status rc = CAIRN_OK;
    const char *const path = job->options->source;
    const char *const lora_path = job->options->lora_path;
    crn_source_kind kind;
    CRN_TRY_PLAIN(crn_source_find(job->os, path, &kind, err));
    if (lora_path != NULL && kind != CRN_SOURCE_CHECKPOINT)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "'%s' is no checkpoint; adapters are merged into the weights of one", path);
    if (k_kinds[kind].words != NULL && k_kinds[kind].same == job->options->to &&
        !(kind == CRN_SOURCE_CHECKPOINT && has_adapters(job)))
        CRN_FAIL(err, CAIRN_EUNSUPPORTED, "'%s' is a %s, and that is what it would become", path,
                 k_kinds[kind].words);
    if (kind == CRN_SOURCE_CHECKPOINT || kind == CRN_SOURCE_ZOO)
        CRN_TRY_PLAIN(crn_hf_model_load(path, lora_path, job->options->log, &job->model, err));
    else
        CRN_TRY_PLAIN(crn_source_import(job->os, path, kind, CRN_HF_POSITIONS, &job->model, err));
    CRN_TRY_PLAIN(check_expressible(job, err));
out:
    return rc;
}

/* ---- Writing ---- */

static cairn_status write_hf(struct job *job, cairn_error *err)
{
    return crn_hf_model_export(&job->model, &job->to.inside, &job->result.tensors, err);
}

static cairn_status write_gguf(struct job *job, cairn_error *err)
{
    const crn_gguf_export_options options = {.dtype = job->dtype,
                                             .tokenizer = job->options->tokenizer};
    return crn_gguf_export(&job->model, &options, &job->to.inside, GGUF_FILE, &job->result.tensors,
                           err);
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
    const bool is_gguf = job->options->to == CAIRN_CONVERT_TO_GGUF;
    if (job->options->to == CAIRN_CONVERT_TO_HF)
        return crn_hf_model_import(&job->to.inside, NULL, CRN_HF_POSITIONS, out, err);
    crn_str_printf(&path, "%s/%s", job->to.inside.path, is_gguf ? GGUF_FILE : CHECKPOINT_FILE);
    CRN_TRY_PLAIN(crn_str_check(&path, err));
    if (is_gguf)
        CRN_TRY_PLAIN(crn_gguf_import(job->os, path.text, CRN_HF_POSITIONS, out, err));
    else
        CRN_TRY_PLAIN(crn_hf_model_load(path.text, NULL, NULL, out, err));
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
    if (job->exact.values != NULL)
        crn_hf_logits_compare(&job->exact, &logits, &result->max_difference,
                              &result->largest_logit);
out:
    crn_hf_logits_dispose(&logits);
    crn_hf_model_dispose(&again);
    return rc;
}

static cairn_status check_options(const struct job *job, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_convert_options *const o = job->options;
    if (o->to != CAIRN_CONVERT_TO_GGUF && (o->dtype != 0 || o->tokenizer != NULL))
        CRN_FAIL(err, CAIRN_EINVAL, "a dtype and a tokenizer are for GGUF only");
    if (job->dtype != CAIRN_DTYPE_F32 && job->dtype != CAIRN_DTYPE_F16 &&
        job->dtype != CAIRN_DTYPE_BF16)
        CRN_FAIL(err, CAIRN_EINVAL, "a GGUF file is written in F32, F16 or BF16");
out:
    return rc;
}

static cairn_status write_destination(struct job *job, cairn_error *err)
{
    switch (job->options->to) {
    case CAIRN_CONVERT_TO_HF:
        return write_hf(job, err);
    case CAIRN_CONVERT_TO_GGUF:
        return write_gguf(job, err);
    case CAIRN_CONVERT_TO_CAIRN:
    default:
        return write_cairn(job, err);
    }
}

static cairn_status convert(struct job *job, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const path = job->options->destination;
    CRN_TRY_PLAIN(check_options(job, err));
    CRN_TRY(err, read_source(job, err), "read '%s'", job->options->source);
    CRN_TRY_PLAIN(crn_publish_folder_begin(&job->to, job->os, path, err));
    if (job->dtype != CAIRN_DTYPE_F32) {
        CRN_TRY_PLAIN(crn_hf_logits_make(&job->model, &job->exact, err));
        CRN_TRY(err, crn_gguf_round(&job->model, job->dtype, err), "write '%s'", path);
    }
    CRN_TRY(err, write_destination(job, err), "write '%s'", path);
    CRN_TRY_PLAIN(crn_hf_logits_make(&job->model, &job->expected, err));
    crn_hf_model_dispose(&job->model);
    CRN_TRY_PLAIN(check(job, err));
    if (job->options->to == CAIRN_CONVERT_TO_GGUF)
        CRN_TRY_PLAIN(crn_publish_folder_commit_file(&job->to, GGUF_FILE, err));
    else
        CRN_TRY_PLAIN(crn_publish_folder_commit(&job->to, err));
out:
    return rc;
}

cairn_status crn_convert_os(const crn_os *os, const cairn_convert_options *options,
                            cairn_convert_result *out, cairn_error *err)
{
    struct job job = {.os = os,
                      .options = options,
                      .dtype = options->dtype != 0 ? options->dtype : CAIRN_DTYPE_F32,
                      .to = {.inside = {.fd = -1}, .parent = {.fd = -1}}};
    cairn_status rc = convert(&job, err);
    if (rc == CAIRN_EUNKNOWN && !job.to.is_published) {
        /* Of a file inside: here it is known that nothing will be there. */
        rc = CAIRN_EIO;
        crn_error_note(err, rc, __FILE__, __LINE__, "'%s' was not made", options->destination);
    }
    crn_publish_folder_end(&job.to);
    crn_hf_logits_dispose(&job.expected);
    crn_hf_logits_dispose(&job.exact);
    crn_hf_model_dispose(&job.model);
    *out = job.result;
    return rc;
}

cairn_status cairn_checkpoint_convert(const cairn_convert_options *options,
                                      cairn_convert_result *out, cairn_error *err)
{
    return crn_convert_os(crn_os_posix(), options, out, err);
}
