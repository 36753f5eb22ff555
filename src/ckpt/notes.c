/* <checkpoint>.notes.json: facts that are known only after a checkpoint was committed. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "ckpt/notes_lock.h"
#include "ckpt/store_priv.h"

#define PINNED_KEY "pinned"

enum { NOTES_BYTES_MAX = 1 << 20, DOUBLE_DIGITS = 17 };

struct cairn_notes {
    json_t *facts;
    char *text;
};

/* *@out is an object, also when there are no notes. */
static cairn_status read_notes(const crn_folder *folder, const char *name, json_t **out,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char *text = NULL;
    size_t size = 0;
    json_t *facts = NULL;
    json_error_t problem = {.line = 0};
    const int e = crn_os_read_file(folder->os, folder->fd, name, NOTES_BYTES_MAX, &text, &size);
    if (e == EFBIG || e == EISDIR || e == EINVAL)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s/%s' is no file that cairn wrote", folder->path, name);
    if (e != 0 && e != ENOENT)
        CRN_FAIL_ERRNO(err, e, "read '%s/%s'", folder->path, name);
    if (e == 0) {
        facts = json_loadb(text, size, JSON_REJECT_DUPLICATES, &problem);
        if (facts == NULL || !json_is_object(facts))
            CRN_FAIL(err, CAIRN_ECORRUPT, "'%s/%s' is damaged: line %d: %s", folder->path, name,
                     problem.line, facts == NULL ? problem.text : "no JSON object");
    } else {
        facts = json_object();
        CRN_NEED(err, facts, "notes");
    }
    *out = facts;
    facts = NULL;
out:
    json_decref(facts);
    crn_free(text);
    return rc;
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

static bool number_from_json(const json_t *facts, const char *key, double *out)
{
    const json_t *const value = json_object_get(facts, key);
    if (json_is_number(value)) {
        *out = json_number_value(value);
        return true;
    }
    return json_is_string(value) && crn_f64_from_text(json_string_value(value), out);
}

/* Whatever a person may have written by hand for yes. */
static bool is_pinned(const json_t *facts)
{
    const json_t *const value = json_object_get(facts, PINNED_KEY);
    return value != NULL && !json_is_false(value) && !json_is_null(value) &&
           !(json_is_number(value) && json_number_value(value) == 0.0);
}

static int append_text(const char *bytes, size_t size, void *user)
{
    crn_str_append_bytes(user, bytes, size);
    return 0;
}

static cairn_status format_notes(const json_t *facts, size_t flags, crn_str *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (json_dump_callback(facts, append_text, out, flags | JSON_REAL_PRECISION(DOUBLE_DIGITS)) !=
        0)
        CRN_FAIL(err, CAIRN_ENOMEM, "no memory for notes");
    CRN_TRY_PLAIN(crn_str_check(out, err));
out:
    return rc;
}

/* Replaces the notes; empty ones are removed. */
static cairn_status write_notes(const crn_folder *folder, const char *name, const json_t *facts,
                                cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str text = {0};
    if (json_object_size(facts) == 0) {
        int e = folder->os->unlink(folder->os, folder->fd, name);
        if (e == 0)
            e = folder->os->sync(folder->os, folder->fd);
        if (e != 0 && e != ENOENT)
            CRN_FAIL_ERRNO(err, e, "remove '%s/%s'", folder->path, name);
        goto out;
    }
    CRN_TRY_PLAIN(format_notes(facts, JSON_INDENT(2), &text, err));
    crn_str_append(&text, "\n");
    CRN_TRY_PLAIN(crn_str_check(&text, err));
    CRN_TRY_PLAIN(crn_publish_text(folder, name, text.text, text.length, err));
out:
    crn_str_dispose(&text);
    return rc;
}

/* Sets each of @changes, an object; null takes the key out. True if that changes anything. */
static cairn_status apply(json_t *changes, json_t *facts, bool *out_changed, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *key = NULL;
    json_t *value = NULL;
    *out_changed = false;
    json_object_foreach(changes, key, value)
    {
        if (json_is_null(value)) {
            *out_changed |= json_object_del(facts, key) == 0;
            continue;
        }
        if (json_object_set(facts, key, value) != 0)
            CRN_FAIL(err, CAIRN_EINVAL, "the note '%s' cannot be set", key);
        *out_changed = true;
    }
out:
    return rc;
}

static cairn_status change_notes(const crn_folder *folder, const char *name, json_t *changes,
                                 cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    json_t *facts = NULL;
    bool is_changed = false;
    rc = read_notes(folder, name, &facts, err);
    if (rc == CAIRN_ECORRUPT) { /* Nothing in them can be saved any more. */
        rc = CAIRN_OK;
        facts = json_object();
        CRN_NEED(err, facts, "notes");
    }
    CRN_TRY_PLAIN(rc);
    CRN_TRY_PLAIN(apply(changes, facts, &is_changed, err));
    /* Empty notes are removed even so: a file of them may have been left. */
    if (is_changed || json_object_size(facts) == 0)
        CRN_TRY_PLAIN(write_notes(folder, name, facts, err));
out:
    json_decref(facts);
    return rc;
}

/* Where the notes of a checkpoint are. */
typedef struct notes_place {
    char *path; /* of the notes */
    crn_path_folder at;
} notes_place;

static cairn_status open_place(const crn_os *os, const char *path, notes_place *out,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str text = {0};
    *out = (notes_place){.at = {.folder = {.os = os, .fd = -1}}};
    crn_str_printf(&text, "%s" CRN_NOTES_SUFFIX, path);
    out->path = crn_str_take(&text);
    CRN_NEED(err, out->path, "a path");
    const int e = crn_path_folder_open(os, out->path, &out->at);
    if (e == ENOENT)
        CRN_FAIL(err, CAIRN_ENOTFOUND, "there is no '%s'", path);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "open the folder of '%s'", path);
out:
    return rc;
}

static void close_place(notes_place *place)
{
    crn_path_folder_close(&place->at);
    crn_free(place->path);
}

/* Takes @changes, also on failure; NULL: there was no memory for them. */
static cairn_status change_of_store(cairn_store *store, const char *path, json_t *changes,
                                    cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    notes_place place = {.at = {.folder = {.fd = -1}}};
    crn_notes_lock lock = {.fd = -1};
    CRN_NEED(err, changes, "a note");
    CRN_TRY_PLAIN(crn_store_check_writable(store, err));
    CRN_TRY_PLAIN(open_place(store->os, path, &place, err));
    rc = crn_notes_lock_take(&lock, &place.at.folder, err);
    if (rc == CAIRN_ELOCKED) { /* A run is worth more than the pin of a process that sleeps. */
        cairn_log_message(store->log, CAIRN_LOG_WARNING,
                          "another process has locked the notes in '%s' for long; writing them "
                          "all the same",
                          place.at.folder.path);
        rc = CAIRN_OK;
    }
    CRN_TRY_PLAIN(rc);
    CRN_TRY_PLAIN(change_notes(&place.at.folder, place.at.file, changes, err));
out:
    json_decref(changes);
    crn_notes_lock_release(&lock);
    close_place(&place);
    return rc;
}

/* {@key: @value}; takes @value. NULL: no memory, or the key is no UTF-8. */
static json_t *change_of(const char *key, json_t *value)
{
    json_t *const changes = json_object();
    if (json_object_set_new(changes, key, value) == 0)
        return changes;
    json_decref(changes);
    return NULL;
}

cairn_status cairn_notes_set_numbers(cairn_store *store, const char *path, const cairn_note *notes,
                                     size_t count, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    json_t *changes = json_object();
    CRN_NEED(err, changes, "notes");
    for (size_t i = 0; i < count; i++) {
        if (json_object_set_new(changes, notes[i].key, number_to_json(notes[i].value)) != 0)
            CRN_FAIL(err, CAIRN_EINVAL, "the note '%s' cannot be set", notes[i].key);
    }
    json_t *const taken = changes;
    changes = NULL;
    CRN_TRY_PLAIN(change_of_store(store, path, taken, err));
out:
    json_decref(changes);
    if (rc != CAIRN_OK)
        crn_error_note(err, rc, __FILE__, __LINE__, "note %s of '%s'",
                       count == 1 ? notes[0].key : "numbers", path);
    return rc;
}

cairn_status cairn_notes_set_number(cairn_store *store, const char *path, const char *key,
                                    double value, cairn_error *err)
{
    const cairn_note note = {.key = key, .value = value};
    return cairn_notes_set_numbers(store, path, &note, 1, err);
}

cairn_status cairn_notes_remove(cairn_store *store, const char *path, const char *key,
                                cairn_error *err)
{
    const cairn_status rc = change_of_store(store, path, change_of(key, json_null()), err);
    if (rc != CAIRN_OK)
        crn_error_note(err, rc, __FILE__, __LINE__, "note '%s' of '%s'", key, path);
    return rc;
}

cairn_status crn_notes_read_os(const crn_os *os, const char *path, cairn_notes **out,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str text = {0};
    notes_place place = {.at = {.folder = {.fd = -1}}};
    cairn_notes *notes = crn_calloc(1, sizeof *notes);
    CRN_NEED(err, notes, "notes");
    CRN_TRY_PLAIN(open_place(os, path, &place, err));
    CRN_TRY_PLAIN(read_notes(&place.at.folder, place.at.file, &notes->facts, err));
    CRN_TRY_PLAIN(format_notes(notes->facts, 0, &text, err));
    notes->text = crn_str_take(&text);
    CRN_NEED(err, notes->text, "notes");
    *out = notes;
    notes = NULL;
out:
    cairn_notes_destroy(notes);
    close_place(&place);
    crn_str_dispose(&text);
    return rc;
}

cairn_status cairn_notes_read(const char *path, cairn_notes **out, cairn_error *err)
{
    return crn_notes_read_os(crn_os_posix(), path, out, err);
}

const char *cairn_notes_json(const cairn_notes *notes)
{
    return notes->text;
}

bool cairn_notes_is_pinned(const cairn_notes *notes)
{
    return is_pinned(notes->facts);
}

bool cairn_notes_number(const cairn_notes *notes, const char *key, double *out)
{
    return number_from_json(notes->facts, key, out);
}

void cairn_notes_destroy(cairn_notes *notes)
{
    if (notes == NULL)
        return;
    json_decref(notes->facts);
    crn_free(notes->text);
    crn_free(notes);
}

bool crn_notes_get_number_os(const crn_os *os, const char *path, const char *key, double *out)
{
    cairn_notes *notes = NULL;
    const bool is_found = crn_notes_read_os(os, path, &notes, NULL) == CAIRN_OK &&
                          cairn_notes_number(notes, key, out);
    cairn_notes_destroy(notes);
    return is_found;
}

bool cairn_notes_get_number(const char *path, const char *key, double *out)
{
    return crn_notes_get_number_os(crn_os_posix(), path, key, out);
}

/* Only what a catalogue would list, so that a slip such as `pin run1` is noticed. */
static cairn_status check_checkpoint(const crn_os *os, const char *path, cairn_error *err)
{
    cairn_checkpoint *ckpt = NULL;
    const cairn_status rc = crn_checkpoint_open_os(os, path, &ckpt, err);
    cairn_checkpoint_close(ckpt);
    return rc;
}

cairn_status crn_checkpoint_pin_os(const crn_os *os, const char *path, bool wanted,
                                   cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    size_t ignored = 0;
    const char *const file = crn_path_file(path, &ignored);
    notes_place place = {.at = {.folder = {.fd = -1}}};
    crn_notes_lock lock = {.fd = -1};
    json_t *changes = NULL;
    crn_file_stat info;
    if (wanted)
        CRN_TRY_PLAIN(check_checkpoint(os, path, err));
    CRN_TRY_PLAIN(open_place(os, path, &place, err));
    CRN_TRY_PLAIN(crn_notes_lock_take(&lock, &place.at.folder, err));
    /* Under the lock, as retention looks for the pin and deletes under it. */
    const int e = os->stat(os, place.at.folder.fd, file, &info);
    if (e == ENOENT)
        CRN_FAIL(err, CAIRN_ENOTFOUND, "there is no '%s'", path);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "look for '%s'", path);
    changes = change_of(PINNED_KEY, wanted ? json_true() : json_null());
    CRN_NEED(err, changes, "a note");
    CRN_TRY_PLAIN(change_notes(&place.at.folder, place.at.file, changes, err));
out:
    json_decref(changes);
    crn_notes_lock_release(&lock);
    close_place(&place);
    if (rc != CAIRN_OK)
        crn_error_note(err, rc, __FILE__, __LINE__, "%s '%s'", wanted ? "pin" : "unpin", path);
    return rc;
}

cairn_status cairn_checkpoint_pin(const char *path, bool is_pinned_now, cairn_error *err)
{
    return crn_checkpoint_pin_os(crn_os_posix(), path, is_pinned_now, err);
}
