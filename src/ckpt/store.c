#include "ckpt/store_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"

enum { LOCK_TEXT_SIZE = 300 };

cairn_status crn_options_copy(void *out, size_t size, const void *options, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t given = 0;
    memset(out, 0, size);
    if (options != NULL)
        memcpy(&given, options, sizeof given);
    if (given < sizeof given)
        CRN_FAIL(err, CAIRN_EINVAL, "struct_size is not set");
    memcpy(out, options, given < size ? given : size);
out:
    return rc;
}

int crn_path_folder_open(const crn_os *os, const char *path, crn_path_folder *out)
{
    size_t length = 0;
    crn_str folder = {0};
    *out = (crn_path_folder){.folder = {.os = os, .fd = -1}};
    out->file = crn_path_file(path, &length);
    crn_str_append_bytes(&folder, length > 0 ? path : ".", length > 0 ? length : 1);
    out->path = crn_str_take(&folder);
    if (out->path == NULL)
        return ENOMEM;
    out->folder.path = out->path;
    return os->open(os, CRN_OS_CWD, out->path, CRN_OPEN_DIRECTORY, &out->folder.fd);
}

void crn_path_folder_close(crn_path_folder *f)
{
    if (f->folder.fd >= 0)
        (void)f->folder.os->close(f->folder.os, f->folder.fd); /* A folder holds no data of ours. */
    crn_free(f->path);
    f->path = NULL;
    f->folder.fd = -1;
}

static cairn_status open_folder(const cairn_store *store, const char *path, crn_folder *out,
                                cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = store->os;
    int e = 0;
    *out = (crn_folder){.os = os, .fd = -1, .path = path};
    if (!store->is_read_only) {
        e = os->make_dirs(os, path);
        if (e != 0)
            CRN_FAIL_ERRNO(err, e, "make folder '%s'", path);
    }
    e = os->open(os, CRN_OS_CWD, path, CRN_OPEN_DIRECTORY, &out->fd);
    if (e == ENOENT && store->is_read_only)
        CRN_FAIL(err, CAIRN_ENOTFOUND, "there is no folder '%s'", path);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "open folder '%s'", path);
out:
    return rc;
}

/* Finds out how the two folders lie: "" , "sub/" or "/absolute/" goes before names in the index. */
static cairn_status relate_folders(cairn_store *store, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = store->os;
    char *model = NULL;
    char *root = NULL;
    crn_str prefix = {0};
    int e = os->real_path(os, store->model_dir, &model);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "resolve '%s'", store->model_dir);
    e = os->real_path(os, store->root, &root);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "resolve '%s'", store->root);
    store->is_one_folder = strcmp(model, root) == 0;
    if (!store->is_one_folder) {
        const size_t length = strlen(model);
        const bool is_inside = crn_starts_with(root, model) && root[length] == '/';
        crn_str_printf(&prefix, "%s/", is_inside ? root + length + 1 : root);
    }
    store->index_prefix = crn_str_take(&prefix);
    CRN_NEED(err, store->index_prefix, "a path");
out:
    crn_str_dispose(&prefix);
    crn_free(model);
    crn_free(root);
    return rc;
}

/* Who holds the folder, as its lock file says, for a message. */
static cairn_status fail_locked(const cairn_store *store, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = store->os;
    char text[LOCK_TEXT_SIZE] = {0};
    char pid[32] = "?";
    char host[256] = "?";
    char shown[256];
    size_t got = 0;
    if (os->read_at(os, store->lock_fd, text, sizeof text - 1, 0, &got) == 0)
        (void)sscanf(text, "%31s %255s", pid, host);
    CRN_FAIL(err, CAIRN_ELOCKED,
             "'%s' is held by process %s on %s; wait for it, or choose another model_dir",
             store->model_dir, strspn(pid, "0123456789") == strlen(pid) ? pid : "?",
             crn_escape(host, strlen(host), shown, sizeof shown));
out:
    return rc;
}

/* Makes the lock file if need be. store->lock_fd is open afterwards if it could be opened. */
static cairn_status lock_file(cairn_store *store, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = store->os;
    int e = os->open(os, store->model_folder.fd, CRN_LOCK_FILE, CRN_OPEN_LOCK, &store->lock_fd);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "open '%s/" CRN_LOCK_FILE "'", store->model_dir);
    e = os->lock(os, store->lock_fd);
    if (e == EAGAIN)
        CRN_TRY_PLAIN(fail_locked(store, err));
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "lock '%s/" CRN_LOCK_FILE "'", store->model_dir);
out:
    return rc;
}

static cairn_status take_lock(cairn_store *store, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = store->os;
    char text[LOCK_TEXT_SIZE];
    char host[256];
    CRN_TRY_PLAIN(lock_file(store, err));
    /* For the message of others only, so that a full disk does not matter here. */
    const int length = snprintf(text, sizeof text, "%lld %s\n", (long long)crn_os_process_id(),
                                crn_os_host_name(host, sizeof host));
    if (length > 0 && (size_t)length < sizeof text)
        (void)os->write_at(os, store->lock_fd, text, (size_t)length, 0);
out:
    return rc;
}

cairn_status crn_store_check_free(cairn_store *store, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = store->os;
    crn_file_stat info;
    const int e = os->stat(os, store->model_folder.fd, CRN_LOCK_FILE, &info);
    if (e == ENOENT)
        return CAIRN_OK; /* Nobody has opened it yet, and nothing is to be made here. */
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "open '%s/" CRN_LOCK_FILE "'", store->model_dir);
    CRN_TRY_PLAIN(lock_file(store, err));
out:
    if (store->lock_fd >= 0)
        (void)os->close(os, store->lock_fd); /* Nothing was written. */
    store->lock_fd = -1;
    return rc;
}

/* Removes what a save or a deletion that was cut short has left. */
static void sweep(const cairn_store *store)
{
    crn_publish_sweep(&store->root_folder, store->log);
    crn_notes_sweep(&store->root_folder, &store->name_template, store->log);
    if (!store->is_one_folder) {
        crn_publish_sweep(&store->model_folder, store->log);
        crn_notes_sweep(&store->model_folder, &store->name_template, store->log);
    }
}

static cairn_status set_up(cairn_store *store, const cairn_store_options *options, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const root =
        options->checkpoint_root != NULL ? options->checkpoint_root : options->model_dir;
    const char *const name =
        options->checkpoint_name != NULL ? options->checkpoint_name : CAIRN_CHECKPOINT_NAME_DEFAULT;
    store->is_read_only = options->is_read_only;
    store->staging_bytes = options->staging_bytes;
    store->writer_threads = options->writer_threads;
    store->log = options->log;
    store->model_dir = crn_strdup(options->model_dir);
    CRN_NEED(err, store->model_dir, "model_dir");
    store->root = crn_strdup(root);
    CRN_NEED(err, store->root, "checkpoint_root");
    store->name_text = crn_strdup(name);
    CRN_NEED(err, store->name_text, "checkpoint_name");
    store->index_lock = crn_calloc(1, sizeof *store->index_lock);
    CRN_NEED(err, store->index_lock, "the lock of the index");
    /* With default attributes it does not fail on Linux. */
    (void)pthread_mutex_init(store->index_lock, NULL);
    CRN_TRY_PLAIN(crn_template_parse(store->name_text, &store->name_template, err));
    CRN_TRY_PLAIN(open_folder(store, store->model_dir, &store->model_folder, err));
    if (!store->is_read_only)
        CRN_TRY_PLAIN(take_lock(store, err));
    CRN_TRY_PLAIN(open_folder(store, store->root, &store->root_folder, err));
    CRN_TRY_PLAIN(relate_folders(store, err));
    if (!store->is_read_only)
        sweep(store);
out:
    return rc;
}

cairn_status crn_store_open_os(const crn_os *os, const cairn_store_options *options,
                               cairn_store **out_store, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_store_options given;
    cairn_store *store = NULL;
    CRN_TRY(err, crn_options_copy(&given, sizeof given, options, err), "open a store");
    if (given.model_dir == NULL || given.model_dir[0] == '\0')
        CRN_FAIL(err, CAIRN_EINVAL, "model_dir is not set");
    store = crn_calloc(1, sizeof *store);
    CRN_NEED(err, store, "a store");
    store->os = os;
    store->lock_fd = -1;
    store->model_folder.fd = -1;
    store->root_folder.fd = -1;
    CRN_TRY_PLAIN(set_up(store, &given, err));
    *out_store = store;
    store = NULL;
out:
    cairn_store_close(store);
    return rc;
}

cairn_status cairn_store_open(const cairn_store_options *options, cairn_store **out_store,
                              cairn_error *err)
{
    return crn_store_open_os(crn_os_posix(), options, out_store, err);
}

static void close_fd(const cairn_store *store, int fd)
{
    if (fd >= 0)
        (void)store->os->close(store->os, fd); /* Folders and the lock hold no data. */
}

void cairn_store_close(cairn_store *store)
{
    if (store == NULL)
        return;
    cairn_store_detach(store);
    close_fd(store, store->root_folder.fd);
    close_fd(store, store->model_folder.fd);
    close_fd(store, store->lock_fd); /* Last: until here nobody else may write. */
    crn_free(store->model_dir);
    crn_free(store->root);
    crn_free(store->name_text);
    crn_free(store->index_prefix);
    if (store->index_lock != NULL)
        (void)pthread_mutex_destroy(store->index_lock);
    crn_free(store->index_lock);
    crn_store_forget_paths(store);
    crn_free(store);
}

void crn_store_forget_paths(cairn_store *store)
{
    for (size_t i = 0; i < store->saved_count; i++)
        crn_free(store->saved_paths[i]);
    crn_free(store->saved_paths);
    store->saved_paths = NULL;
    store->saved_count = 0;
}

const char *cairn_store_model_dir(const cairn_store *store)
{
    return store->model_dir;
}

const char *cairn_store_checkpoint_root(const cairn_store *store)
{
    return store->root;
}

cairn_status crn_store_check_writable(const cairn_store *store, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (store->is_read_only)
        CRN_FAIL(err, CAIRN_EINVAL, "the store of '%s' was opened to read only", store->model_dir);
out:
    return rc;
}
