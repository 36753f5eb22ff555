/* Saves that are waited for: everything on the caller's thread. */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "ckpt/job.h"

/* Hashes the pieces [first, last), which lie in a row, and writes them with one call. */
static cairn_status write_block(crn_publish *out, const crn_plan *plan, const uint8_t *arena,
                                size_t first, size_t last, uint64_t data_begin, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t size = 0;
    for (size_t i = first; i < last; i++) {
        const crn_piece *const piece = &plan->pieces[i];
        CRN_TRY_PLAIN(crn_piece_digest(piece, arena + piece->arena_offset, err));
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

static cairn_status save_file(crn_job *job, size_t i, const cairn_state_tree *tree,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_job_file *const file = &job->files[i];
    CRN_TRY_PLAIN(crn_job_begin(job, i, CRN_WRITE_CACHED, err));
    CRN_TRY_PLAIN(write_data(&file->publish, &file->plan, cairn_state_tree_arena(tree),
                             file->header.length, err));
    CRN_TRY_PLAIN(crn_job_commit(job, i, err));
out:
    return rc;
}

/* The full file, then the index, then the extras. */
static cairn_status write_job(const cairn_store *store, const cairn_state_tree *tree, crn_job *job,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(save_file(job, 0, tree, err));
    crn_index_update(store);
    for (size_t i = 1; i < job->count; i++)
        CRN_TRY(err, save_file(job, i, tree, err), "write alternative checkpoint '%s'",
                job->files[i].name_template);
out:
    return rc;
}

cairn_status cairn_store_save(cairn_store *store, const cairn_state_tree *tree,
                              cairn_save_request *request, cairn_save_result *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_job job = {0};
    const int64_t start = store->os->monotonic_ns(store->os);
    const uint64_t step = request->step;
    *out = (cairn_save_result){0};
    CRN_TRY_PLAIN(crn_store_prepare_save(store, &job, tree, request, err));
    CRN_TRY_PLAIN(crn_job_headers(&job, true, err));
    rc = write_job(store, tree, &job, err);
    const cairn_status told = crn_job_collect(&job, store, out, rc == CAIRN_OK ? err : NULL);
    rc = rc == CAIRN_OK ? told : rc;
    for (size_t i = 0; i < out->extra_count; i++)
        request->extras[i].path = out->extra_paths[i];
    out->seconds = (double)(store->os->monotonic_ns(store->os) - start) / 1e9;
    out->blocked_seconds = out->seconds;
out:
    crn_job_dispose(&job);
    if (rc != CAIRN_OK)
        crn_error_note(err, rc, __FILE__, __LINE__, "save step %" PRIu64, step);
    return rc;
}

cairn_status crn_store_prepare_save(cairn_store *store, crn_job *job, const cairn_state_tree *tree,
                                    cairn_save_request *request, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(crn_store_check_writable(store, err));
    if (crn_store_is_saving(store))
        CRN_FAIL(err, CAIRN_EINVAL, "a save is under way: wait for it first");
    crn_store_forget_paths(store);
    if (store->run_id[0] == '\0')
        CRN_TRY_PLAIN(crn_run_draw_id(store->os, store->run_id, err));
    CRN_TRY_PLAIN(crn_job_plan(job, store, store->run_id, tree, request, err));
    for (size_t i = 0; i + 1 < job->count; i++)
        request->extras[i].path = NULL;
out:
    return rc;
}

/* ---- What a save that was cut short lacks ---- */

/* Whether extra @i of the save is in @catalogue. */
static cairn_status is_there(const crn_job *job, size_t i, const cairn_catalogue *catalogue,
                             bool *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char *name = NULL;
    *out = false;
    CRN_TRY_PLAIN(crn_job_extra_name(job, i, &name, err));
    for (size_t k = 0; k < cairn_catalogue_count(catalogue) && !*out; k++) {
        const cairn_checkpoint_info *const info = cairn_catalogue_at(catalogue, k);
        *out = info->is_readable && info->has_metadata && !info->is_full &&
               strcmp(info->run_id, job->run_id) == 0 && info->save_counter == job->save_counter &&
               crn_name_is_variant(name, info->file);
    }
out:
    crn_free(name);
    return rc;
}

/* Plans the extras of the save that wrote @full, as it planned them. */
static cairn_status plan_missing(crn_job *job, const cairn_store *store,
                                 const cairn_state_tree *tree, const cairn_save_request *request,
                                 const cairn_checkpoint *full, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_checkpoint_info *const info = cairn_checkpoint_get_info(full);
    cairn_save_request again;
    CRN_TRY_PLAIN(crn_options_copy(&again, sizeof again, request, err));
    if (!info->has_metadata || !info->is_full)
        CRN_FAIL(err, CAIRN_EINVAL, "'%s' is no full checkpoint", info->path);
    again.step = info->step;
    again.params_json = cairn_checkpoint_params(full);
    again.environment_json = cairn_checkpoint_environment(full);
    CRN_TRY_PLAIN(crn_job_plan(job, store, info->run_id, tree, &again, err));
    job->save_counter = info->save_counter;
    job->beside = crn_strdup(info->file);
    CRN_NEED(err, job->beside, "a file name");
    CRN_TRY_PLAIN(crn_job_headers(job, true, err));
out:
    return rc;
}

cairn_status cairn_store_save_missing(cairn_store *store, const cairn_state_tree *tree,
                                      const char *path, const cairn_save_request *request,
                                      cairn_save_result *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_job job = {0};
    cairn_checkpoint *full = NULL;
    cairn_catalogue *catalogue = NULL;
    const int64_t start = store->os->monotonic_ns(store->os);
    *out = (cairn_save_result){0};
    CRN_TRY_PLAIN(crn_store_check_writable(store, err));
    if (crn_store_is_saving(store))
        CRN_FAIL(err, CAIRN_EINVAL, "a save is under way: wait for it first");
    crn_store_forget_paths(store);
    CRN_TRY_PLAIN(crn_checkpoint_open_os(store->os, path, &full, err));
    CRN_TRY_PLAIN(cairn_catalogue_read(store, &catalogue, err));
    CRN_TRY_PLAIN(plan_missing(&job, store, tree, request, full, err));
    for (size_t i = 1; i < job.count && rc == CAIRN_OK; i++) {
        bool is_done = false;
        rc = is_there(&job, i, catalogue, &is_done, err);
        if (rc == CAIRN_OK && !is_done)
            rc = save_file(&job, i, tree, err);
    }
    const cairn_status told = crn_job_collect(&job, store, out, rc == CAIRN_OK ? err : NULL);
    rc = rc == CAIRN_OK ? told : rc;
    out->seconds = (double)(store->os->monotonic_ns(store->os) - start) / 1e9;
    out->blocked_seconds = out->seconds;
out:
    crn_job_dispose(&job);
    cairn_catalogue_destroy(catalogue);
    cairn_checkpoint_close(full);
    if (rc != CAIRN_OK)
        crn_error_note(err, rc, __FILE__, __LINE__, "write what belongs to '%s'", path);
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
    crn_job job = {0};
    CRN_TRY_PLAIN(crn_job_plan(&job, store, k_no_run, tree, request, err));
    CRN_TRY_PLAIN(crn_job_headers(&job, false, err));
    *out_bytes = crn_job_bytes(&job);
out:
    crn_job_dispose(&job);
    return rc;
}
