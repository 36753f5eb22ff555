#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "ckpt/store_priv.h"

cairn_status cairn_store_delete(cairn_store *store, const char *path, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_path_folder at = {.folder = {.fd = -1}};
    CRN_TRY_PLAIN(crn_store_check_writable(store, err));
    const int e = crn_path_folder_open(store->os, path, &at);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "open the folder of '%s'", path);
    CRN_TRY_PLAIN(crn_publish_remove(&at.folder, at.file, err));
    crn_index_update(store);
out:
    crn_path_folder_close(&at);
    if (rc != CAIRN_OK)
        crn_error_note(err, rc, __FILE__, __LINE__, "delete checkpoint '%s'", path);
    return rc;
}

static bool is_own(const cairn_checkpoint_info *info, const char *run_id)
{
    return info->is_readable && info->is_full && strcmp(info->run_id, run_id) == 0;
}

/* Newest save first. */
static int compare_newest_first(const void *a, const void *b)
{
    const cairn_checkpoint_info *const x = *(const cairn_checkpoint_info *const *)a;
    const cairn_checkpoint_info *const y = *(const cairn_checkpoint_info *const *)b;
    if (x->save_counter != y->save_counter)
        return x->save_counter < y->save_counter ? 1 : -1;
    return -cairn_checkpoint_name_compare(&x->name, &y->name);
}

/* The whole header is intact and the file as long as it says. A damaged one must not take the
 * place of a good one among those that are kept. */
static bool is_whole(const crn_os *os, const char *path)
{
    cairn_checkpoint *ckpt = NULL;
    const bool is_good = crn_checkpoint_open_os(os, path, &ckpt, NULL) == CAIRN_OK;
    cairn_checkpoint_close(ckpt);
    return is_good;
}

/* Same file, however it is written. */
static bool is_protected(const crn_os *os, const char *path, const char *protected_path)
{
    char *a = NULL;
    char *b = NULL;
    bool is_same = protected_path != NULL && strcmp(path, protected_path) == 0;
    if (protected_path != NULL && !is_same && os->real_path(os, path, &a) == 0 &&
        os->real_path(os, protected_path, &b) == 0)
        is_same = strcmp(a, b) == 0;
    crn_free(a);
    crn_free(b);
    return is_same;
}

static cairn_status delete_surplus(cairn_store *store, const cairn_checkpoint_info **own,
                                   size_t count, uint64_t n, const char *protected_path,
                                   uint64_t *out_deleted, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t keep_end = 0;
    for (uint64_t kept = 0; keep_end < count && (kept < n || keep_end == 0); keep_end++)
        kept += is_whole(store->os, own[keep_end]->path);
    for (size_t i = count; i > keep_end; i--) {
        if (is_protected(store->os, own[i - 1]->path, protected_path))
            continue;
        CRN_TRY_PLAIN(cairn_store_delete(store, own[i - 1]->path, err));
        (*out_deleted)++;
    }
out:
    return rc;
}

cairn_status cairn_store_keep_newest(cairn_store *store, const char *run_id, uint64_t n,
                                     const char *protected_path, uint64_t *out_deleted,
                                     cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_catalogue *catalogue = NULL;
    const cairn_checkpoint_info **own = NULL;
    uint64_t deleted = 0;
    size_t count = 0;
    CRN_TRY_PLAIN(crn_store_check_writable(store, err));
    CRN_TRY(err, cairn_catalogue_read(store, &catalogue, err), "find checkpoints to delete");
    own = crn_calloc(cairn_catalogue_count(catalogue), sizeof *own);
    CRN_NEED(err, own, "a list of checkpoints");
    for (size_t i = 0; i < cairn_catalogue_count(catalogue); i++) {
        const cairn_checkpoint_info *const info = cairn_catalogue_at(catalogue, i);
        if (is_own(info, run_id))
            own[count++] = info;
    }
    if (count > 0)
        qsort(own, count, sizeof *own, compare_newest_first);
    CRN_TRY_PLAIN(delete_surplus(store, own, count, n, protected_path, &deleted, err));
out:
    if (out_deleted != NULL)
        *out_deleted = deleted;
    crn_free(own);
    cairn_catalogue_destroy(catalogue);
    return rc;
}
