#include "ckpt/job.h"

#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"

static void file_dispose(crn_job_file *file)
{
    crn_publish_end(&file->publish);
    crn_plan_dispose(&file->plan);
    crn_str_dispose(&file->header);
    crn_name_list_dispose(&file->names);
    crn_free(file->name_template);
    crn_free(file->name);
}

void crn_job_dispose(crn_job *job)
{
    for (size_t i = 0; i < job->count; i++)
        file_dispose(&job->files[i]);
    crn_free(job->files);
    crn_free(job->beside);
    crn_free(job->params_json);
    crn_free(job->environment_json);
    *job = (crn_job){0};
}

static cairn_status copy_text(const char *text, char **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (text == NULL)
        return CAIRN_OK;
    *out = crn_strdup(text);
    CRN_NEED(err, *out, "a save");
out:
    return rc;
}

/* @states: NULL or "all" for all. */
static cairn_status plan_file(crn_job_file *file, const cairn_state_tree *tree, const char *states,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    file->has_names = states != NULL && strcmp(states, "all") != 0;
    if (file->has_names)
        CRN_TRY_PLAIN(crn_name_list_split(&file->names, states, err));
    CRN_TRY_PLAIN(crn_plan_make(&file->plan, tree, file->has_names ? &file->names : NULL, err));
out:
    return rc;
}

cairn_status crn_job_plan(crn_job *job, const cairn_store *store, const char *run_id,
                          const cairn_state_tree *tree, const cairn_save_request *request,
                          cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_save_request given;
    *job = (crn_job){.store = store, .save_counter = store->save_counter + 1};
    CRN_TRY_PLAIN(crn_options_copy(&given, sizeof given, request, err));
    job->step = given.step;
    memcpy(job->run_id, run_id, sizeof job->run_id);
    CRN_TRY_PLAIN(copy_text(given.params_json, &job->params_json, err));
    CRN_TRY_PLAIN(copy_text(given.environment_json, &job->environment_json, err));
    job->files = crn_calloc(1 + given.extra_count, sizeof *job->files);
    CRN_NEED(err, job->files, "a save");
    job->count = 1 + given.extra_count;
    CRN_TRY_PLAIN(plan_file(&job->files[0], tree, NULL, err));
    for (size_t i = 1; i < job->count; i++) {
        const cairn_save_extra *const extra = &given.extras[i - 1];
        CRN_TRY_PLAIN(copy_text(extra->name_template, &job->files[i].name_template, err));
        CRN_TRY_PLAIN(plan_file(&job->files[i], tree, extra->states, err));
    }
out:
    return rc;
}

/* Replaces the file's header by one with the digests as they are now. */
static cairn_status write_header(const crn_job *job, crn_job_file *file, bool is_draft,
                                 cairn_error *err)
{
    const crn_file_facts facts = {
        .kind = file->name_template == NULL ? CRN_KIND_FULL : CRN_KIND_ALTERNATIVE,
        .step = job->step,
        .run_id = job->run_id,
        .save_counter = job->save_counter,
        .params_json = job->params_json,
        .environment_json = job->environment_json,
    };
    return crn_plan_header(&file->plan, &facts, is_draft, &file->header, err);
}

cairn_status crn_job_headers(crn_job *job, bool is_draft, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (size_t i = 0; i < job->count; i++)
        CRN_TRY_PLAIN(write_header(job, &job->files[i], is_draft, err));
out:
    return rc;
}

uint64_t crn_job_file_bytes(const crn_job_file *file)
{
    return file->header.length + file->plan.data_bytes;
}

uint64_t crn_job_bytes(const crn_job *job)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < job->count; i++)
        bytes += crn_job_file_bytes(&job->files[i]);
    return bytes;
}

/* Names to try, in order. */
typedef struct candidate {
    const crn_template *name_template; /* of a full file; else: */
    const char *base;                  /* an alternative's */
    uint64_t step;
    uint64_t timestamp;
} candidate;

static cairn_status full_name(void *user, unsigned attempt, char **out_name, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const candidate *const c = user;
    crn_str text = {0};
    const cairn_checkpoint_name name = {.step = c->step,
                                        .timestamp = attempt > 0 ? c->timestamp : 0,
                                        .suffix = attempt > 1 ? attempt - 1 : 0};
    crn_template_format(c->name_template, &name, &text);
    *out_name = crn_str_take(&text);
    CRN_NEED(err, *out_name, "a file name");
out:
    return rc;
}

/* The timestamp goes before the last extension. */
static cairn_status alternative_name(void *user, unsigned attempt, char **out_name,
                                     cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const candidate *const c = user;
    crn_str text = {0};
    const char *const extension = crn_name_extension(c->base);
    crn_str_append_bytes(&text, c->base, (size_t)(extension - c->base));
    if (attempt > 0)
        crn_timestamp_append(&text, c->timestamp, attempt - 1);
    crn_str_append(&text, extension);
    *out_name = crn_str_take(&text);
    CRN_NEED(err, *out_name, "a file name");
out:
    return rc;
}

/* "{checkpoint_states}_{ckpt_name}" with both filled in. */
static cairn_status expand_extra(const crn_job_file *file, const char *ckpt_name, char **out,
                                 cairn_error *err)
{
    static const char k_states[] = "{checkpoint_states}";
    static const char k_name[] = "{ckpt_name}";
    cairn_status rc = CAIRN_OK;
    crn_str text = {0};
    for (const char *p = file->name_template; *p != '\0';) {
        if (crn_starts_with(p, k_states)) {
            p += sizeof k_states - 1;
            if (!file->has_names)
                crn_str_append(&text, "all");
            for (size_t i = 0; i < file->names.count; i++)
                crn_str_printf(&text, "%s%s", i > 0 ? "_" : "", file->names.items[i]);
        } else if (crn_starts_with(p, k_name)) {
            p += sizeof k_name - 1;
            crn_str_append(&text, ckpt_name);
        } else {
            crn_str_append_bytes(&text, p++, 1);
        }
    }
    CRN_TRY_PLAIN(crn_str_check(&text, err));
    if (text.length == 0 || strpbrk(text.text, "/{}") != NULL || text.text[0] == '.')
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "checkpoint_name '%s' of an alternative checkpoint must be a file name with "
                 "{checkpoint_states} and {ckpt_name} as its only fields",
                 file->name_template);
    *out = crn_str_take(&text);
out:
    crn_str_dispose(&text);
    return rc;
}

cairn_status crn_job_extra_name(const crn_job *job, size_t i, char **out, cairn_error *err)
{
    const char *const full = job->beside != NULL ? job->beside : job->files[0].name;
    return expand_extra(&job->files[i], full, out, err);
}

static candidate candidate_of(const crn_job *job)
{
    const crn_os *const os = job->store->os;
    return (candidate){.name_template = &job->store->name_template,
                       .step = job->step,
                       .timestamp = crn_timestamp_utc(os->realtime_ns(os))};
}

static cairn_status begin_file(const crn_job *job, crn_job_file *file, const char *private_name,
                               cairn_error *err)
{
    return crn_publish_begin(&file->publish, &job->store->root_folder, private_name,
                             crn_job_file_bytes(file), err);
}

/* What was deleted is free a little later, perhaps just after the disk was found full. @closed:
 * how many files had been closed before that. */
static bool has_freed_space(crn_closer *closer, uint64_t closed)
{
    if (closer == NULL)
        return false;
    crn_closer_wait(closer);
    return crn_closer_count(closer) != closed;
}

cairn_status crn_job_begin(crn_job *job, size_t i, crn_write_mode mode, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_job_file *const file = &job->files[i];
    crn_closer *const closer = job->store->closer;
    const uint64_t closed = closer != NULL ? crn_closer_count(closer) : 0;
    candidate first = candidate_of(job);
    char *name = NULL;
    char *base = NULL;
    CRN_TRY_PLAIN(full_name(&first, 0, &name, err));
    if (file->name_template != NULL)
        CRN_TRY_PLAIN(expand_extra(file, name, &base, err));
    const char *const private_name = base != NULL ? base : name;
    rc = begin_file(job, file, private_name, err);
    if (rc == CAIRN_ENOSPACE && has_freed_space(closer, closed)) {
        crn_publish_end(&file->publish);
        rc = begin_file(job, file, private_name, err);
    }
    CRN_TRY_PLAIN(rc);
    CRN_TRY_PLAIN(crn_publish_set_mode(&file->publish, mode, err));
out:
    crn_free(name);
    crn_free(base);
    return rc;
}

/* Direct writing wants the header on a page of its own. */
static cairn_status put_header(crn_job_file *file, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const size_t size = file->header.length;
    const char *text = file->header.text;
    char *copy = NULL;
    if (file->publish.mode == CRN_WRITE_DIRECT) {
        /* Not pages of its own: those would be fresh for every save. */
        copy = crn_calloc(size + CAIRN_PAGE_BYTES, 1);
        CRN_NEED(err, copy, "the header of a checkpoint");
        text = memcpy(copy + (CAIRN_PAGE_BYTES - (uintptr_t)copy % CAIRN_PAGE_BYTES), text, size);
    }
    CRN_TRY_PLAIN(crn_publish_write(&file->publish, text, size, 0, err));
out:
    crn_free(copy);
    return rc;
}

cairn_status crn_job_commit(crn_job *job, size_t i, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_job_file *const file = &job->files[i];
    const size_t planned = file->header.length;
    candidate name = candidate_of(job);
    char *base = NULL;
    CRN_TRY_PLAIN(write_header(job, file, false, err));
    if (file->header.length != planned)
        CRN_FAIL(err, CAIRN_EBUG, "the header has %zu bytes instead of %zu", file->header.length,
                 planned);
    CRN_TRY_PLAIN(put_header(file, err));
    CRN_TRY_PLAIN(crn_publish_seal(&file->publish, err));
    if (file->name_template != NULL) {
        CRN_TRY_PLAIN(crn_job_extra_name(job, i, &base, err));
        name.base = base;
    }
    CRN_TRY_PLAIN(crn_publish_as_new(&file->publish, base != NULL ? alternative_name : full_name,
                                     &name, &file->name, err));
    file->is_durable = true;
out:
    crn_free(base);
    return rc;
}

/* The path of a committed file in checkpoint_root; NULL for one that is not there. */
static cairn_status path_of(const crn_job_file *file, const cairn_store *store, char **out,
                            cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    *out = NULL;
    if (file->name == NULL)
        return CAIRN_OK;
    *out = crn_path_join(store->root, file->name);
    CRN_NEED(err, *out, "the path of a saved checkpoint");
out:
    return rc;
}

cairn_status crn_job_collect(const crn_job *job, cairn_store *store, cairn_save_result *out,
                             cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    out->step = job->step;
    out->is_durable = job->files[0].is_durable;
    if (job->files[0].name != NULL) {
        /* Counted even if its folder was not synced: a number must not be given twice. */
        store->save_counter = job->save_counter;
        out->save_counter = job->save_counter;
    }
    store->saved_paths = crn_calloc(job->count, sizeof *store->saved_paths);
    CRN_NEED(err, store->saved_paths, "the paths of a save");
    store->saved_count = job->count;
    for (size_t i = 0; i < job->count; i++) {
        CRN_TRY_PLAIN(path_of(&job->files[i], store, &store->saved_paths[i], err));
        if (job->files[i].name != NULL)
            out->bytes += crn_job_file_bytes(&job->files[i]);
    }
    out->path = store->saved_paths[0];
    out->extra_paths = (const char *const *)(store->saved_paths + 1);
    out->extra_count = job->count - 1;
out:
    return rc;
}
