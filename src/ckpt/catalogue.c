/* What is in the folders, by the first 64 KiB of each file. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "ckpt/plan.h"
#include "ckpt/store_priv.h"

/* Folders that never hold still are read so many times. */
enum { PEEK_BYTES = 64 * 1024, LOOKS_MAX = 50 };

struct cairn_catalogue {
    cairn_checkpoint_info *items;
    size_t count;
    size_t capacity;
    bool is_stale; /* a file that was listed was gone when it was opened */
};

/* What the beginning of one file says. */
typedef struct peek {
    cairn_checkpoint_info *info;
    char *states; /* yours */
    bool has_format;
    bool has_kind;
    bool has_step;
    bool has_run_id;
    bool has_counter;
    bool is_out_of_memory;
} peek;

static bool note_key(void *user, const crn_meta_entry *entry)
{
    peek *const p = user;
    cairn_checkpoint_info *const info = p->info;
    if (!crn_starts_with(entry->key, CRN_KEY_PREFIX))
        return true;
    info->has_metadata = true;
    if (strcmp(entry->key, CRN_KEY_FORMAT) == 0) {
        p->has_format = true;
    } else if (strcmp(entry->key, CRN_KEY_KIND) == 0) {
        info->is_full = strcmp(entry->value, CRN_KIND_FULL) == 0;
        p->has_kind = info->is_full || strcmp(entry->value, CRN_KIND_ALTERNATIVE) == 0;
    } else if (strcmp(entry->key, CRN_KEY_STEP) == 0) {
        p->has_step = crn_u64_from_text(entry->value, &info->step);
    } else if (strcmp(entry->key, CRN_KEY_RUN_ID) == 0) {
        p->has_run_id = entry->value_length == CAIRN_RUN_ID_SIZE - 1;
        if (p->has_run_id)
            memcpy(info->run_id, entry->value, CAIRN_RUN_ID_SIZE);
    } else if (strcmp(entry->key, CRN_KEY_SAVE_COUNTER) == 0) {
        p->has_counter = crn_u64_from_text(entry->value, &info->save_counter);
    } else if (strcmp(entry->key, CRN_KEY_STATES) == 0 && p->states == NULL) {
        p->states = crn_strdup(entry->value);
        p->is_out_of_memory = p->states == NULL;
    }
    /* The states are the last of what a list shows; what follows them can be long. */
    return p->states == NULL && !p->is_out_of_memory;
}

/* How each of our headers begins. One that does and yet could not be read: no memory. */
static const char k_ours[] = "{\"__metadata__\":{";

/* Fills the peek; returns why the file cannot be a checkpoint, or NULL. @message has 200 bytes. */
static const char *peek_bytes(peek *p, const uint8_t *bytes, size_t size, char *message)
{
    uint64_t header_bytes = 0;
    const crn_format_code code =
        crn_header_length(bytes, size, p->info->bytes, &header_bytes, message);
    if (code != CRN_FORMAT_OK)
        return message;
    size_t at_hand = size - CRN_LENGTH_WORD_BYTES;
    if (at_hand > header_bytes)
        at_hand = (size_t)header_bytes;
    const uint8_t *const json = bytes + CRN_LENGTH_WORD_BYTES;
    if (!crn_header_peek(json, at_hand, note_key, p))
        p->is_out_of_memory =
            at_hand >= sizeof k_ours - 1 && memcmp(json, k_ours, sizeof k_ours - 1) == 0;
    if (!p->info->has_metadata)
        return "it has no metadata of cairn";
    if (!p->has_format || !p->has_kind || !p->has_step || !p->has_run_id || !p->has_counter ||
        p->states == NULL)
        return "its metadata is damaged";
    return NULL;
}

static cairn_status add_item(cairn_catalogue *catalogue, const crn_folder *folder, const char *name,
                             peek *p, const char *problem, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_checkpoint_info info = *p->info;
    char *const path = crn_path_join(folder->path, name);
    char *const why = crn_strdup(problem != NULL ? problem : "");
    size_t ignored = 0;
    if (p->states == NULL && !p->is_out_of_memory)
        p->states = crn_strdup("");
    if (path == NULL || why == NULL || p->states == NULL)
        CRN_FAIL(err, CAIRN_ENOMEM, "no memory for a list of checkpoints");
    info.is_readable = problem == NULL;
    if (!info.is_readable) {
        /* What a damaged file held is not known: one with a checkpoint's name counts as one. */
        info.is_full = info.name_matches;
        info.step = info.name.step;
    }
    info.path = path;
    info.file = crn_path_file(path, &ignored);
    info.states = p->states;
    info.problem = why;
    CRN_TRY_PLAIN(crn_grow(&catalogue->items, &catalogue->capacity, catalogue->count + 1,
                           sizeof *catalogue->items, err));
    catalogue->items[catalogue->count++] = info;
    p->states = NULL;
out:
    if (rc != CAIRN_OK) {
        crn_free(path);
        crn_free(why);
    }
    return rc;
}

static cairn_status scan_file(cairn_catalogue *catalogue, const cairn_store *store,
                              const crn_folder *folder, const char *name, uint8_t *buf,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_os *const os = store->os;
    cairn_checkpoint_info info = {.path = NULL};
    peek p = {.info = &info};
    crn_file_stat stat = {.kind = CRN_FILE_OTHER};
    char message[200] = "";
    const char *problem = NULL;
    size_t got = 0;
    int fd = -1;
    info.name_matches = crn_template_match(&store->name_template, name, &info.name);
    int e = os->open(os, folder->fd, name, CRN_OPEN_READ, &fd);
    if (e == ENOENT) /* A link to nothing is there, and will be the next time. */
        catalogue->is_stale |= os->stat(os, folder->fd, name, &stat) == ENOENT;
    if (e == ENOENT || e == EISDIR || e == EINVAL)
        goto out; /* Gone meanwhile, or no file. */
    if (e == 0)
        e = os->stat_fd(os, fd, &stat);
    if (e == 0)
        e = os->read_at(os, fd, buf, PEEK_BYTES, 0, &got);
    if (e != 0) {
        problem = strerror(e); /* Copied at once, below. */
    } else {
        info.bytes = stat.size;
        info.modified_ns = stat.mtime_ns;
        problem = peek_bytes(&p, buf, got, message);
    }
    /* A file of another name that is none of ours is nobody's business here. */
    if (info.name_matches || info.has_metadata || p.is_out_of_memory)
        CRN_TRY_PLAIN(add_item(catalogue, folder, name, &p, problem, err));
out:
    crn_free(p.states);
    if (fd >= 0)
        (void)os->close(os, fd); /* Only read. */
    return rc;
}

static int note_file(void *user, const char *name)
{
    if (crn_publish_is_private(name))
        return 0;
    return crn_name_list_add(user, name, NULL) == CAIRN_OK ? 0 : ENOMEM;
}

static cairn_status scan_folder(cairn_catalogue *catalogue, const cairn_store *store,
                                const crn_folder *folder, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_name_list names = {0};
    uint8_t *const buf = crn_calloc(PEEK_BYTES, 1);
    CRN_NEED(err, buf, "a list of checkpoints");
    const int e = store->os->list(store->os, folder->fd, note_file, &names);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "list folder '%s'", folder->path);
    for (size_t i = 0; i < names.count; i++)
        CRN_TRY_PLAIN(scan_file(catalogue, store, folder, names.items[i], buf, err));
out:
    crn_name_list_dispose(&names);
    crn_free(buf);
    return rc;
}

static int compare_infos(const void *a, const void *b)
{
    const cairn_checkpoint_info *const x = a;
    const cairn_checkpoint_info *const y = b;
    int order = (int)y->name_matches - (int)x->name_matches;
    if (order == 0 && x->name_matches)
        order = cairn_checkpoint_name_compare(&x->name, &y->name);
    if (order == 0)
        order = strcmp(x->file, y->file);
    return order != 0 ? order : strcmp(x->path, y->path);
}

static void forget_items(cairn_catalogue *catalogue)
{
    for (size_t i = 0; i < catalogue->count; i++) {
        crn_free((char *)(uintptr_t)catalogue->items[i].path); /* Made by add_item, all three. */
        crn_free((char *)(uintptr_t)catalogue->items[i].states);
        crn_free((char *)(uintptr_t)catalogue->items[i].problem);
    }
    catalogue->count = 0;
    catalogue->is_stale = false;
}

cairn_status cairn_catalogue_read(const cairn_store *store, cairn_catalogue **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_catalogue *catalogue = crn_calloc(1, sizeof *catalogue);
    CRN_NEED(err, catalogue, "a list of checkpoints");
    /* A run beside us deletes old ones after it has saved newer ones, which a list from before does
     * not have: all that it has may be gone by now. */
    for (int look = 0; look == 0 || (catalogue->is_stale && look < LOOKS_MAX); look++) {
        forget_items(catalogue);
        CRN_TRY_PLAIN(scan_folder(catalogue, store, &store->model_folder, err));
        if (!store->is_one_folder)
            CRN_TRY_PLAIN(scan_folder(catalogue, store, &store->root_folder, err));
    }
    if (catalogue->count > 0)
        qsort(catalogue->items, catalogue->count, sizeof *catalogue->items, compare_infos);
    *out = catalogue;
    catalogue = NULL;
out:
    cairn_catalogue_destroy(catalogue);
    return rc;
}

size_t cairn_catalogue_count(const cairn_catalogue *catalogue)
{
    return catalogue->count;
}

const cairn_checkpoint_info *cairn_catalogue_at(const cairn_catalogue *catalogue, size_t i)
{
    return &catalogue->items[i];
}

const cairn_checkpoint_info *cairn_catalogue_latest(const cairn_catalogue *catalogue)
{
    const cairn_checkpoint_info *latest = NULL;
    for (size_t i = 0; i < catalogue->count; i++) {
        const cairn_checkpoint_info *const info = &catalogue->items[i];
        if (info->name_matches && info->is_full)
            latest = info;
    }
    return latest;
}

size_t cairn_catalogue_count_own(const cairn_catalogue *catalogue, const char *run_id)
{
    size_t count = 0;
    for (size_t i = 0; i < catalogue->count; i++) {
        const cairn_checkpoint_info *const info = &catalogue->items[i];
        count += info->is_readable && info->is_full && strcmp(info->run_id, run_id) == 0;
    }
    return count;
}

void cairn_catalogue_destroy(cairn_catalogue *catalogue)
{
    if (catalogue == NULL)
        return;
    forget_items(catalogue);
    crn_free(catalogue->items);
    crn_free(catalogue);
}
