/* <checkpoint>.notes.json: facts that are known only after a checkpoint was committed. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "ckpt/store_priv.h"

enum { NOTES_BYTES_MAX = 1 << 20, DOUBLE_DIGITS = 17, NAME_BYTES_MAX = 255 };

/* The notes in @folder, yours; NULL if there are none or they are damaged. Returns an errno value:
 * notes that could not be read just now may be good. */
static int read_notes(const crn_folder *folder, const char *name, json_t **out)
{
    char *text = NULL;
    size_t size = 0;
    *out = NULL;
    const int e = crn_os_read_file(folder->os, folder->fd, name, NOTES_BYTES_MAX, &text, &size);
    if (e == ENOENT || e == EFBIG || e == EISDIR || e == EINVAL)
        return 0;
    if (e != 0)
        return e;
    json_t *notes = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
    crn_free(text);
    if (notes != NULL && !json_is_object(notes)) {
        json_decref(notes);
        notes = NULL;
    }
    *out = notes;
    return 0;
}

/* JSON has no word for what is not finite: those are texts. */
static json_t *number_to_json(double value)
{
    char text[40];
    if (isfinite(value))
        return json_real(value);
    crn_f64_to_text(value, text);
    return json_string(text);
}

static int append_text(const char *bytes, size_t size, void *user)
{
    crn_str_append_bytes(user, bytes, size);
    return 0;
}

static cairn_status write_notes(const crn_folder *folder, const char *name, const char *key,
                                double value, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const size_t flags = JSON_INDENT(2) | JSON_REAL_PRECISION(DOUBLE_DIGITS);
    crn_str text = {0};
    json_t *notes = NULL;
    const int e = read_notes(folder, name, &notes);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "read '%s/%s', whose other facts must be kept", folder->path, name);
    if (notes == NULL)
        notes = json_object();
    CRN_NEED(err, notes, "notes");
    if (json_object_set_new(notes, key, number_to_json(value)) != 0)
        CRN_FAIL(err, CAIRN_EINVAL, "the note '%s' cannot be set", key);
    if (json_dump_callback(notes, append_text, &text, flags) != 0)
        CRN_FAIL(err, CAIRN_ENOMEM, "no memory for notes");
    crn_str_append(&text, "\n");
    CRN_TRY_PLAIN(crn_str_check(&text, err));
    CRN_TRY_PLAIN(crn_publish_text(folder, name, text.text, text.length, err));
out:
    crn_str_dispose(&text);
    json_decref(notes);
    return rc;
}

static char *notes_path(const char *path)
{
    crn_str text = {0};
    crn_str_printf(&text, "%s" CRN_NOTES_SUFFIX, path);
    return crn_str_take(&text);
}

cairn_status cairn_notes_set_number(cairn_store *store, const char *path, const char *key,
                                    double value, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_path_folder at = {.folder = {.fd = -1}};
    char *const notes = notes_path(path);
    CRN_NEED(err, notes, "a path");
    CRN_TRY_PLAIN(crn_store_check_writable(store, err));
    const int e = crn_path_folder_open(store->os, notes, &at);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "open the folder of '%s'", notes);
    CRN_TRY(err, write_notes(&at.folder, at.file, key, value, err), "note '%s' of '%s'", key, path);
out:
    crn_path_folder_close(&at);
    crn_free(notes);
    return rc;
}

bool crn_notes_get_number_os(const crn_os *os, const char *path, const char *key, double *out)
{
    bool is_found = false;
    crn_path_folder at = {.folder = {.fd = -1}};
    char *const name = notes_path(path);
    json_t *notes = NULL;
    if (name != NULL && crn_path_folder_open(os, name, &at) == 0)
        (void)read_notes(&at.folder, at.file, &notes);
    const json_t *const value = json_object_get(notes, key);
    if (json_is_number(value)) {
        *out = json_number_value(value);
        is_found = true;
    } else if (json_is_string(value)) {
        is_found = crn_f64_from_text(json_string_value(value), out);
    }
    json_decref(notes);
    crn_path_folder_close(&at);
    crn_free(name);
    return is_found;
}

bool cairn_notes_get_number(const char *path, const char *key, double *out)
{
    return crn_notes_get_number_os(crn_os_posix(), path, key, out);
}

/* ---- Notes left over ---- */

typedef struct leftovers {
    const crn_template *name_template;
    crn_name_list names;
} leftovers;

/* Only those of our own file names: a user may have files of this kind. */
static int note_leftover(void *user, const char *name)
{
    leftovers *const l = user;
    cairn_checkpoint_name parsed;
    const size_t length = strlen(name);
    const size_t tail = sizeof CRN_NOTES_SUFFIX - 1;
    if (length <= tail || strcmp(name + length - tail, CRN_NOTES_SUFFIX) != 0)
        return 0;
    char base[NAME_BYTES_MAX + 1];
    if (length - tail > NAME_BYTES_MAX)
        return 0;
    memcpy(base, name, length - tail);
    base[length - tail] = '\0';
    if (!crn_template_match(l->name_template, base, &parsed))
        return 0;
    return crn_name_list_add(&l->names, base, NULL) == CAIRN_OK ? 0 : ENOMEM;
}

void crn_notes_sweep(const crn_folder *folder, const crn_template *name_template,
                     const cairn_log *log)
{
    const crn_os *const os = folder->os;
    leftovers found = {.name_template = name_template};
    const bool is_listed = os->list(os, folder->fd, note_leftover, &found) == 0;
    for (size_t i = 0; is_listed && i < found.names.count; i++) {
        crn_file_stat info;
        char shown[256];
        const char *const base = found.names.items[i];
        char *const name = notes_path(base);
        if (name != NULL && os->stat(os, folder->fd, base, &info) == ENOENT &&
            os->unlink(os, folder->fd, name) == 0)
            cairn_log_message(log, CAIRN_LOG_INFO, "Removed '%s/%s', notes of a deleted checkpoint",
                              folder->path, crn_escape(name, strlen(name), shown, sizeof shown));
        crn_free(name);
    }
    crn_name_list_dispose(&found.names);
}
