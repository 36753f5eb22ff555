/* checkpoints_index.yaml: a list for other tools. Nothing here reads it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "ckpt/store_priv.h"

typedef struct index_entry {
    cairn_checkpoint_name name;
    char *text;
} index_entry;

typedef struct index_list {
    const cairn_store *store;
    const char *prefix;
    index_entry *entries;
    size_t count;
    size_t capacity;
} index_list;

static int note_name(void *user, const char *file)
{
    index_list *const list = user;
    index_entry entry = {.text = NULL};
    if (crn_publish_is_private(file) ||
        !crn_template_match(&list->store->name_template, file, &entry.name))
        return 0;
    if (crn_grow(&list->entries, &list->capacity, list->count + 1, sizeof entry, NULL) != CAIRN_OK)
        return ENOMEM;
    crn_str text = {0};
    crn_str_append(&text, list->prefix);
    crn_str_append(&text, file);
    entry.text = crn_str_take(&text);
    if (entry.text == NULL)
        return ENOMEM;
    list->entries[list->count++] = entry;
    return 0;
}

static int compare_entries(const void *a, const void *b)
{
    const index_entry *const x = a;
    const index_entry *const y = b;
    const int order = cairn_checkpoint_name_compare(&x->name, &y->name);
    return order != 0 ? order : strcmp(x->text, y->text);
}

/* Plain where YAML reads it as a text without doubt, else as a JSON string, which YAML is too. */
static void append_scalar(crn_str *out, const char *text)
{
    static const char k_letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char k_plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "_./-";
    if (strchr(k_letters, text[0]) != NULL && strspn(text, k_plain) == strlen(text))
        crn_str_append(out, text);
    else
        crn_str_append_json(out, text, strlen(text));
}

static cairn_status write_list(index_list *list, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_store *const store = list->store;
    crn_str text = {0};
    int e = store->os->list(store->os, store->root_folder.fd, note_name, list);
    list->prefix = "";
    if (e == 0 && !store->is_one_folder)
        e = store->os->list(store->os, store->model_folder.fd, note_name, list);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "list the checkpoints");
    if (list->count > 0)
        qsort(list->entries, list->count, sizeof *list->entries, compare_entries);
    for (size_t i = 0; i < list->count; i++) {
        crn_str_append(&text, "- ");
        append_scalar(&text, list->entries[i].text);
        crn_str_append(&text, "\n");
    }
    if (list->count == 0)
        crn_str_append(&text, "[]\n");
    CRN_TRY_PLAIN(crn_str_check(&text, err));
    CRN_TRY_PLAIN(
        crn_publish_text(&store->model_folder, CRN_INDEX_FILE, text.text, text.length, err));
out:
    crn_str_dispose(&text);
    return rc;
}

cairn_status crn_index_write(const cairn_store *store, cairn_error *err)
{
    index_list list = {.store = store, .prefix = store->index_prefix};
    /* Between the list and the rename nobody else may do the same: the older list would win. */
    (void)pthread_mutex_lock(store->index_lock);
    const cairn_status rc = write_list(&list, err);
    (void)pthread_mutex_unlock(store->index_lock);
    for (size_t i = 0; i < list.count; i++)
        crn_free(list.entries[i].text);
    crn_free(list.entries);
    return rc;
}

void crn_index_warn(const cairn_store *store, const cairn_error *err)
{
    char text[1024];
    (void)cairn_error_format(err, text, sizeof text);
    cairn_log_message(store->log, CAIRN_LOG_WARNING,
                      CRN_INDEX_FILE " is out of date (nothing depends on it): %s", text);
}

void crn_index_update(const cairn_store *store)
{
    cairn_error err = {0};
    if (crn_index_write(store, &err) != CAIRN_OK)
        crn_index_warn(store, &err);
}
