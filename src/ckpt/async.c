/* Asynchronous saves as the store's owner sees them. */
#include <inttypes.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "ckpt/writer.h"

bool crn_store_is_saving(const cairn_store *store)
{
    return store->writer != NULL && !crn_writer_is_idle(store->writer);
}

bool cairn_store_save_is_pending(const cairn_store *store)
{
    return crn_store_is_saving(store);
}

cairn_status cairn_store_attach(cairn_store *store, cairn_state_tree *tree, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_plan plan = {0};
    char pool[32];
    CRN_TRY_PLAIN(crn_store_check_writable(store, err));
    if (crn_store_is_saving(store))
        CRN_FAIL(err, CAIRN_EINVAL, "a save is under way: wait for it first");
    cairn_store_detach(store);
    CRN_TRY_PLAIN(crn_plan_make(&plan, tree, NULL, err));
    const crn_writer_options options = {.staging_bytes = store->staging_bytes,
                                        .threads = store->writer_threads,
                                        .mode = crn_publish_probe(&store->root_folder)};
    CRN_TRY_PLAIN(crn_closer_new(store->os, &store->closer, err));
    CRN_TRY_PLAIN(crn_writer_new(store->os, tree, &plan, &options, &store->writer, err));
    cairn_log_message(store->log, CAIRN_LOG_INFO,
                      "Checkpoints are written in the background: %u threads, %s, %s for copies",
                      store->writer->thread_count, crn_write_mode_text(options.mode),
                      crn_format_bytes(store->writer->pool_bytes, pool));
out:
    crn_plan_dispose(&plan);
    if (rc != CAIRN_OK && store->writer == NULL) {
        crn_closer_destroy(store->closer);
        store->closer = NULL;
    }
    if (rc != CAIRN_OK)
        crn_error_note(err, rc, __FILE__, __LINE__, "prepare asynchronous saves");
    return rc;
}

void cairn_store_detach(cairn_store *store)
{
    crn_writer_destroy(store->writer);
    store->writer = NULL;
    crn_closer_destroy(store->closer);
    store->closer = NULL;
}

cairn_status cairn_store_save_start(cairn_store *store, cairn_state_tree *tree,
                                    cairn_save_request *request, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_job job = {0};
    const uint64_t step = request->step;
    const int64_t start = store->os->monotonic_ns(store->os);
    CRN_TRY_PLAIN(crn_store_prepare_save(store, &job, tree, request, err));
    if (store->writer == NULL || store->writer->tree != tree)
        CRN_TRY_PLAIN(cairn_store_attach(store, tree, err));
    CRN_TRY_PLAIN(crn_writer_start(store->writer, &job, err));
    store->start_ns = store->os->monotonic_ns(store->os) - start;
out:
    crn_job_dispose(&job);
    if (rc != CAIRN_OK)
        crn_error_note(err, rc, __FILE__, __LINE__, "save step %" PRIu64, step);
    return rc;
}

/* The save has ended. */
static cairn_status collect(cairn_store *store, cairn_save_result *out, cairn_error *err)
{
    crn_job job = {0};
    crn_writer_times times;
    cairn_status rc = crn_writer_collect(store->writer, &job, &times, err);
    const cairn_status told = crn_job_collect(&job, store, out, rc == CAIRN_OK ? err : NULL);
    rc = rc == CAIRN_OK ? told : rc;
    out->seconds = (double)(times.ended_ns - times.started_ns) / 1e9;
    out->blocked_seconds = (double)(times.waited_ns + store->start_ns) / 1e9;
    out->copied_bytes = times.copied_bytes;
    if (rc != CAIRN_OK)
        crn_error_note(err, rc, __FILE__, __LINE__, "save step %" PRIu64, job.step);
    if (store->writer->index_status != CAIRN_OK)
        crn_index_warn(store, &store->writer->index_error);
    crn_job_dispose(&job);
    return rc;
}

static cairn_status check_pending(const cairn_store *store, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (!crn_store_is_saving(store))
        CRN_FAIL(err, CAIRN_EINVAL, "no save was started");
out:
    return rc;
}

cairn_status cairn_store_save_poll(cairn_store *store, bool *out_is_done, cairn_save_result *out,
                                   cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    *out_is_done = false;
    *out = (cairn_save_result){0};
    CRN_TRY_PLAIN(check_pending(store, err));
    *out_is_done = crn_writer_has_ended(store->writer);
    if (*out_is_done)
        rc = collect(store, out, err);
out:
    return rc;
}

cairn_status cairn_store_save_wait(cairn_store *store, cairn_save_result *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    *out = (cairn_save_result){0};
    CRN_TRY_PLAIN(check_pending(store, err));
    crn_writer_wait(store->writer);
    rc = collect(store, out, err);
out:
    return rc;
}
