#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "ckpt/plan.h"
#include "ckpt/store_priv.h"

/* One file of a save. */
typedef struct save_file {
    crn_plan plan;
    crn_file_facts facts;
    crn_str header;      /* with digests of zeros until the data is written */
    crn_name_list names; /* states asked for */
    bool has_names;      /* else all */
} save_file;

static void save_file_dispose(save_file *file)
{
    crn_plan_dispose(&file->plan);
    crn_str_dispose(&file->header);
    crn_name_list_dispose(&file->names);
}

static uint64_t file_bytes(const save_file *file)
{
    return file->header.length + file->plan.data_bytes;
}

/* @states: NULL or "all" for all. */
static cairn_status plan_file(save_file *file, const cairn_state_tree *tree, const char *states,
                              const crn_file_facts *facts, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    file->facts = *facts;
    file->has_names = states != NULL && strcmp(states, "all") != 0;
    if (file->has_names)
        CRN_TRY_PLAIN(crn_name_list_split(&file->names, states, err));
    CRN_TRY_PLAIN(crn_plan_make(&file->plan, tree, file->has_names ? &file->names : NULL, err));
    CRN_TRY_PLAIN(crn_plan_header(&file->plan, &file->facts, &file->header, err));
out:
    return rc;
}

static bool is_zero(const uint8_t *bytes, uint64_t size)
{
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, (size_t)size - 1) == 0);
}

/* Hashes the pieces [first, last), which lie in a row, and writes them with one call. */
static cairn_status write_block(crn_publish *out, const crn_plan *plan, const uint8_t *arena,
                                size_t first, size_t last, uint64_t data_begin, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t size = 0;
    for (size_t i = first; i < last; i++) {
        const crn_piece *const piece = &plan->pieces[i];
        if (piece->digest != NULL)
            *piece->digest = crn_hash(arena + piece->arena_offset, (size_t)piece->bytes);
        else if (!is_zero(arena + piece->arena_offset, piece->bytes))
            CRN_FAIL(err, CAIRN_EBUG,
                     "something wrote into the gap at byte %" PRIu64 " of the arena",
                     piece->arena_offset);
        size += piece->bytes;
    }
    if (size > 0)
        CRN_TRY_PLAIN(crn_publish_write(out, arena + plan->pieces[first].arena_offset, (size_t)size,
                                        data_begin + plan->pieces[first].data_offset, err));
out:
    return rc;
}

/* Blocks are runs of whole pieces, at most 4 MiB, so that each is hashed as it is written. */
static cairn_status write_data(crn_publish *out, const crn_plan *plan, const uint8_t *arena,
                               uint64_t data_begin, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t first = 0;
    uint64_t size = 0;
    for (size_t i = 0; i < plan->piece_count; i++) {
        const crn_piece *const piece = &plan->pieces[i];
        const bool follows = piece->arena_offset == plan->pieces[first].arena_offset + size;
        if (i > first && (!follows || size + piece->bytes > CRN_FORMAT_CHUNK_BYTES)) {
            CRN_TRY_PLAIN(write_block(out, plan, arena, first, i, data_begin, err));
            first = i;
            size = 0;
        }
        size += piece->bytes;
    }
    if (plan->piece_count > 0)
        CRN_TRY_PLAIN(write_block(out, plan, arena, first, plan->piece_count, data_begin, err));
out:
    return rc;
}

/* Steps 1 to 5 of the commit: private file, data, header last, fsync, close. */
static cairn_status write_file(crn_publish *out, const crn_folder *folder, save_file *file,
                               const cairn_state_tree *tree, const char *name, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const size_t planned = file->header.length;
    CRN_TRY_PLAIN(crn_publish_begin(out, folder, name, file_bytes(file), err));
    CRN_TRY_PLAIN(write_data(out, &file->plan, cairn_state_tree_arena(tree), planned, err));
    CRN_TRY_PLAIN(crn_plan_header(&file->plan, &file->facts, &file->header, err));
    if (file->header.length != planned)
        CRN_FAIL(err, CAIRN_EBUG, "the header has %zu bytes instead of %zu", file->header.length,
                 planned);
    CRN_TRY_PLAIN(crn_publish_write(out, file->header.text, file->header.length, 0, err));
    CRN_TRY_PLAIN(crn_publish_seal(out, err));
out:
    return rc;
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
    const char *const dot = strrchr(c->base, '.');
    const char *const extension = dot != NULL && dot != c->base ? dot : c->base + strlen(c->base);
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
static cairn_status expand_extra(const cairn_save_extra *extra, const save_file *file,
                                 const char *ckpt_name, char **out, cairn_error *err)
{
    static const char k_states[] = "{checkpoint_states}";
    static const char k_name[] = "{ckpt_name}";
    cairn_status rc = CAIRN_OK;
    crn_str text = {0};
    for (const char *p = extra->name_template; *p != '\0';) {
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
                 extra->name_template);
    *out = crn_str_take(&text);
out:
    crn_str_dispose(&text);
    return rc;
}

/* The path of @name in checkpoint_root, kept until the next save. */
static cairn_status keep_path(cairn_store *store, const char *name, const char **out,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char *const path = crn_path_join(store->root, name);
    CRN_NEED(err, path, "the path of a saved checkpoint");
    CRN_TRY_PLAIN(crn_name_list_add(&store->saved_paths, path, err));
    *out = store->saved_paths.items[store->saved_paths.count - 1];
out:
    crn_free(path);
    return rc;
}

/* Writes and commits one file. *out_is_visible: it bears its name, whatever is returned. */
static cairn_status save_one(cairn_store *store, const cairn_state_tree *tree, save_file *file,
                             crn_publish_name_fn name_fn, candidate *name, const char **out_path,
                             bool *out_is_visible, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_publish publish = {0};
    char *first = NULL;
    char *final = NULL;
    name->timestamp = crn_timestamp_utc(store->os->realtime_ns(store->os));
    CRN_TRY_PLAIN(name_fn(name, 0, &first, err));
    CRN_TRY_PLAIN(write_file(&publish, &store->root_folder, file, tree, first, err));
    rc = crn_publish_as_new(&publish, name_fn, name, &final, err);
    *out_is_visible = final != NULL;
    if (final != NULL) {
        const cairn_status kept = keep_path(store, final, out_path, err);
        rc = rc == CAIRN_OK ? kept : rc;
    }
out:
    crn_publish_end(&publish);
    crn_free(first);
    crn_free(final);
    return rc;
}

/* All files of a save: the full one, then the extras. */
typedef struct save_job {
    save_file *files;
    size_t count;
    cairn_save_request request;
} save_job;

static void save_job_dispose(save_job *job)
{
    for (size_t i = 0; i < job->count; i++)
        save_file_dispose(&job->files[i]);
    crn_free(job->files);
    job->files = NULL;
}

static cairn_status plan_job(save_job *job, const cairn_store *store, const char *run_id,
                             const cairn_state_tree *tree, const cairn_save_request *request,
                             cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(crn_options_copy(&job->request, sizeof job->request, request, err));
    const cairn_save_request *const r = &job->request;
    job->files = crn_calloc(1 + r->extra_count, sizeof *job->files);
    CRN_NEED(err, job->files, "a save");
    job->count = 1 + r->extra_count;
    for (size_t i = 0; i < job->count; i++) {
        const cairn_save_extra *const extra = i > 0 ? &r->extras[i - 1] : NULL;
        const crn_file_facts facts = {
            .kind = extra == NULL ? CRN_KIND_FULL : CRN_KIND_ALTERNATIVE,
            .step = r->step,
            .run_id = run_id,
            .save_counter = store->save_counter + 1,
            .params_json = r->params_json,
            .environment_json = r->environment_json,
        };
        CRN_TRY_PLAIN(
            plan_file(&job->files[i], tree, extra != NULL ? extra->states : NULL, &facts, err));
    }
out:
    return rc;
}

static cairn_status save_extra(cairn_store *store, const cairn_state_tree *tree, save_file *file,
                               cairn_save_extra *extra, const char *ckpt_name, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    candidate name = {0};
    char *base = NULL;
    bool is_visible = false;
    CRN_TRY_PLAIN(expand_extra(extra, file, ckpt_name, &base, err));
    name.base = base;
    CRN_TRY(err,
            save_one(store, tree, file, alternative_name, &name, &extra->path, &is_visible, err),
            "write alternative checkpoint '%s'", base);
out:
    crn_free(base);
    return rc;
}

static cairn_status write_job(cairn_store *store, const cairn_state_tree *tree, save_job *job,
                              cairn_save_result *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    bool is_visible = false;
    candidate name = {.name_template = &store->name_template, .step = job->request.step};
    rc = save_one(store, tree, &job->files[0], full_name, &name, &out->path, &is_visible, err);
    if (is_visible) {
        /* Counted even if its folder was not synced: a number must not be given twice. */
        store->save_counter++;
        out->save_counter = store->save_counter;
        out->bytes = file_bytes(&job->files[0]);
    }
    CRN_TRY_PLAIN(rc);
    crn_index_update(store);
    for (size_t i = 1; i < job->count; i++) {
        size_t ignored = 0;
        CRN_TRY_PLAIN(save_extra(store, tree, &job->files[i], &job->request.extras[i - 1],
                                 crn_path_file(out->path, &ignored), err));
        out->bytes += file_bytes(&job->files[i]);
    }
out:
    return rc;
}

cairn_status cairn_store_save(cairn_store *store, const cairn_state_tree *tree,
                              cairn_save_request *request, cairn_save_result *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    save_job job = {0};
    const int64_t start = store->os->monotonic_ns(store->os);
    const uint64_t step = request->step;
    *out = (cairn_save_result){0};
    crn_name_list_dispose(&store->saved_paths);
    CRN_TRY_PLAIN(crn_store_check_writable(store, err));
    if (store->run_id[0] == '\0')
        CRN_TRY_PLAIN(crn_run_draw_id(store->os, store->run_id, err));
    CRN_TRY_PLAIN(plan_job(&job, store, store->run_id, tree, request, err));
    for (size_t i = 0; i < job.request.extra_count; i++)
        job.request.extras[i].path = NULL;
    CRN_TRY_PLAIN(write_job(store, tree, &job, out, err));
    out->seconds = (double)(store->os->monotonic_ns(store->os) - start) / 1e9;
out:
    save_job_dispose(&job);
    if (rc != CAIRN_OK)
        crn_error_note(err, rc, __FILE__, __LINE__, "save step %" PRIu64, step);
    return rc;
}

/* Any run id has the same length, so a size needs no true one. */
static const char k_no_run[] = "00000000000000000000000000000000";
_Static_assert(sizeof k_no_run == CAIRN_RUN_ID_SIZE, "a run id");

cairn_status cairn_store_save_bytes(const cairn_store *store, const cairn_state_tree *tree,
                                    const cairn_save_request *request, uint64_t *out_bytes,
                                    cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    save_job job = {0};
    uint64_t bytes = 0;
    CRN_TRY_PLAIN(plan_job(&job, store, k_no_run, tree, request, err));
    for (size_t i = 0; i < job.count; i++)
        bytes += file_bytes(&job.files[i]);
    *out_bytes = bytes;
out:
    save_job_dispose(&job);
    return rc;
}

uint64_t cairn_checkpoint_bytes(const cairn_state_tree *tree)
{
    save_file file = {0};
    const crn_file_facts facts = {.kind = CRN_KIND_FULL, .run_id = k_no_run, .save_counter = 1};
    const uint64_t bytes =
        plan_file(&file, tree, NULL, &facts, NULL) == CAIRN_OK ? file_bytes(&file) : 0;
    save_file_dispose(&file);
    return bytes;
}
