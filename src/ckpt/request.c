/*
 * model_dir/save-now. The request is renamed before the save and removed after it: a second one
 * that comes meanwhile is a file of its own, and a kill in between leaves the renamed one.
 */
#include <errno.h>
#include <string.h>

#include "ckpt/store_priv.h"

#define TAKEN_FILE ".save-now.taken"

static bool is_there(const cairn_store *store, const char *name)
{
    crn_file_stat info;
    return store->os->stat(store->os, store->model_folder.fd, name, &info) == 0 &&
           info.kind == CRN_FILE_REGULAR;
}

bool cairn_store_save_requested(cairn_store *store)
{
    const crn_os *const os = store->os;
    bool is_asked = false;
    if (store->is_read_only)
        return false;
    if (!store->is_request_seen) {
        store->is_request_seen = true;
        is_asked = is_there(store, TAKEN_FILE);
    }
    if (is_there(store, CAIRN_SAVE_NOW_FILE)) {
        const int e = os->rename_over(os, store->model_folder.fd, CAIRN_SAVE_NOW_FILE, TAKEN_FILE);
        /* What cannot be taken would ask for a save at every step. */
        if (e == 0)
            is_asked = true;
        else if (e != ENOENT)
            cairn_log_message(store->log, CAIRN_LOG_WARNING,
                              "'%s/" CAIRN_SAVE_NOW_FILE "' cannot be renamed, so it asks for "
                              "nothing: %s",
                              store->model_dir, strerror(e));
    }
    store->has_request = store->has_request || is_asked;
    return is_asked;
}

void cairn_store_save_answered(cairn_store *store)
{
    const crn_os *const os = store->os;
    if (!store->has_request)
        return;
    store->has_request = false;
    const int e = os->unlink(os, store->model_folder.fd, TAKEN_FILE);
    if (e != 0 && e != ENOENT)
        cairn_log_message(store->log, CAIRN_LOG_WARNING,
                          "'%s/" TAKEN_FILE "' cannot be removed; the next start saves once more: "
                          "%s",
                          store->model_dir, strerror(e));
}
