/* model_dir/run.json: which run lives here and how it was started. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "ckpt/store_priv.h"

enum { RUN_BYTES_MAX = 1 << 20, RUN_FORMAT = 1 };

cairn_status crn_run_draw_id(const crn_os *os, char out[CAIRN_RUN_ID_SIZE], cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint8_t random[(CAIRN_RUN_ID_SIZE - 1) / 2];
    const int e = os->random(os, random, sizeof random);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "draw a run id");
    crn_hex(random, sizeof random, out);
out:
    return rc;
}

cairn_status cairn_run_new_id(char out[CAIRN_RUN_ID_SIZE], cairn_error *err)
{
    return crn_run_draw_id(crn_os_posix(), out, err);
}

static bool is_run_id(const char *text)
{
    return strlen(text) == CAIRN_RUN_ID_SIZE - 1 &&
           strspn(text, "0123456789abcdef") == CAIRN_RUN_ID_SIZE - 1;
}

/* The absolute path of a file that may be gone by now (retention), but not its folder. */
static int resolve(const crn_os *os, const char *path, char **out)
{
    crn_str text = {0};
    char *folder = NULL;
    int e = os->real_path(os, path, out);
    const char *const slash = strrchr(path, '/');
    if (e != ENOENT)
        return e;
    crn_str_append_bytes(&text, path, slash != NULL ? (size_t)(slash - path) : 0);
    e = os->real_path(os, text.length > 0 ? text.text : slash != NULL ? "/" : ".", &folder);
    if (e == 0) {
        *out = crn_path_join(folder, slash != NULL ? slash + 1 : path);
        e = *out != NULL ? 0 : ENOMEM;
    }
    crn_free(folder);
    crn_str_dispose(&text);
    return e;
}

/* Inside model_dir a path is kept relative to it, so that the folder can be moved; outside it is
 * absolute, so that the working directory does not matter. */
static cairn_status path_to_keep(const cairn_store *store, const char *path, char **out,
                                 cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char *model = NULL;
    char *full = NULL;
    int e = store->os->real_path(store->os, store->model_dir, &model);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "resolve '%s'", store->model_dir);
    e = resolve(store->os, path, &full);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "resolve '%s'", path);
    const size_t length = strlen(model);
    const bool is_inside = crn_starts_with(full, model) && full[length] == '/';
    *out = crn_strdup(is_inside ? full + length + 1 : full);
    CRN_NEED(err, *out, "a path");
out:
    crn_free(model);
    crn_free(full);
    return rc;
}

static void append_field(crn_str *out, const char *key, const char *value)
{
    crn_str_printf(out, "  \"%s\": ", key);
    if (value != NULL)
        crn_str_append_json(out, value, strlen(value));
    else
        crn_str_append(out, "null");
}

static void append_number(crn_str *out, const char *key, uint64_t value)
{
    /* As text: a JSON number is a double to many readers. */
    crn_str_printf(out, "  \"%s\": \"%" PRIu64 "\",\n", key, value);
}

static cairn_status format_run(const cairn_run *run, const char *loaded, crn_str *out,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    json_t *check = NULL;
    crn_str_printf(out, "{\n  \"format\": %d,\n", RUN_FORMAT);
    append_field(out, "run_id", run->run_id);
    crn_str_append(out, ",\n");
    append_field(out, "parent_run_id", run->parent_run_id);
    crn_str_append(out, ",\n");
    append_number(out, "first_step", run->first_step);
    append_number(out, "save_counter", run->save_counter);
    append_number(out, "seed", run->seed);
    if (run->stage > 0)
        append_number(out, "stage", run->stage);
    if (run->complete_reason != NULL) {
        append_number(out, "complete_step", run->complete_step);
        append_field(out, "complete_reason", run->complete_reason);
        crn_str_append(out, ",\n");
    }
    crn_str_append(out, "  \"loaded\": ");
    if (loaded != NULL) {
        crn_str_append(out, "{\n  ");
        append_field(out, "path", loaded);
        crn_str_append(out, ",\n  ");
        append_field(out, "states", run->loaded_states);
        crn_str_append(out, "\n  }\n}\n");
    } else {
        crn_str_append(out, "null\n}\n");
    }
    CRN_TRY_PLAIN(crn_str_check(out, err));
    /* Never write what could not be read again, such as a path that is no UTF-8. */
    check = json_loadb(out->text, out->length, JSON_REJECT_DUPLICATES, NULL);
    if (check == NULL)
        CRN_FAIL(err, CAIRN_EINVAL, "the path or the states loaded are not UTF-8 text");
out:
    json_decref(check);
    return rc;
}

cairn_status cairn_run_update(cairn_store *store, const cairn_run *run, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str text = {0};
    char *loaded = NULL;
    CRN_TRY_PLAIN(crn_store_check_writable(store, err));
    if (!is_run_id(run->run_id) ||
        (run->parent_run_id[0] != '\0' && !is_run_id(run->parent_run_id)))
        CRN_FAIL(err, CAIRN_EINVAL, "a run id is 32 hexadecimal digits");
    if (run->loaded_path != NULL)
        CRN_TRY_PLAIN(path_to_keep(store, run->loaded_path, &loaded, err));
    CRN_TRY_PLAIN(format_run(run, loaded, &text, err));
    CRN_TRY_PLAIN(
        crn_publish_text(&store->model_folder, CRN_RUN_FILE, text.text, text.length, err));
out:
    crn_str_dispose(&text);
    crn_free(loaded);
    if (rc != CAIRN_OK)
        crn_error_note(err, rc, __FILE__, __LINE__, "write '%s/" CRN_RUN_FILE "'",
                       store->model_dir);
    return rc;
}

cairn_status cairn_run_write(cairn_store *store, const cairn_run *run, cairn_error *err)
{
    const cairn_status rc = cairn_run_update(store, run, err);
    if (rc == CAIRN_OK)
        cairn_run_adopt(store, run, run->save_counter);
    return rc;
}

void cairn_run_adopt(cairn_store *store, const cairn_run *run, uint64_t save_counter)
{
    memcpy(store->run_id, run->run_id, sizeof store->run_id);
    store->save_counter = save_counter;
}

static bool get_id(const json_t *object, const char *key, bool may_be_empty,
                   char out[CAIRN_RUN_ID_SIZE])
{
    const char *const text = json_string_value(json_object_get(object, key));
    if (text == NULL || !(is_run_id(text) || (may_be_empty && text[0] == '\0')))
        return false;
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static bool get_number(const json_t *object, const char *key, uint64_t *out)
{
    const char *const text = json_string_value(json_object_get(object, key));
    return text != NULL && crn_u64_from_text(text, out);
}

static cairn_status parse_loaded(const cairn_store *store, const json_t *loaded, cairn_run *run,
                                 cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const path = json_string_value(json_object_get(loaded, "path"));
    const json_t *const states = json_object_get(loaded, "states");
    if (path == NULL || path[0] == '\0' || (!json_is_string(states) && !json_is_null(states)))
        CRN_FAIL(err, CAIRN_ECORRUPT, "'loaded' is damaged");
    run->loaded_path = path[0] == '/' ? crn_strdup(path) : crn_path_join(store->model_dir, path);
    CRN_NEED(err, run->loaded_path, "a path");
    if (json_is_string(states)) {
        run->loaded_states = crn_strdup(json_string_value(states));
        CRN_NEED(err, run->loaded_states, "names of states");
    }
out:
    return rc;
}

/* What files of older versions lack: one trainer a file, and no run that a callback ended. */
static cairn_status parse_later(const json_t *root, cairn_run *run, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const json_t *const reason = json_object_get(root, "complete_reason");
    if (json_object_get(root, "stage") != NULL && !get_number(root, "stage", &run->stage))
        CRN_FAIL(err, CAIRN_ECORRUPT, "'stage' is damaged");
    if (reason == NULL)
        return CAIRN_OK;
    if (!json_is_string(reason) || !get_number(root, "complete_step", &run->complete_step))
        CRN_FAIL(err, CAIRN_ECORRUPT, "'complete_step' or 'complete_reason' is damaged");
    run->complete_reason = crn_strdup(json_string_value(reason));
    CRN_NEED(err, run->complete_reason, "the reason of an end");
out:
    return rc;
}

static cairn_status parse_run(const cairn_store *store, const char *text, size_t size,
                              cairn_run *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    json_error_t problem;
    json_t *const root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &problem);
    if (root == NULL)
        CRN_FAIL(err, CAIRN_ECORRUPT, "line %d: %s", problem.line, problem.text);
    const json_t *const format = json_object_get(root, "format");
    if (!json_is_integer(format))
        CRN_FAIL(err, CAIRN_ECORRUPT, "it has no 'format'");
    if (json_integer_value(format) > RUN_FORMAT)
        CRN_FAIL(err, CAIRN_EVERSION, "its format %lld is newer than this program's %d",
                 (long long)json_integer_value(format), RUN_FORMAT);
    if (!get_id(root, "run_id", false, out->run_id) ||
        !get_id(root, "parent_run_id", true, out->parent_run_id) ||
        !get_number(root, "first_step", &out->first_step) ||
        !get_number(root, "save_counter", &out->save_counter) ||
        !get_number(root, "seed", &out->seed))
        CRN_FAIL(err, CAIRN_ECORRUPT, "a field is missing or damaged");
    CRN_TRY_PLAIN(parse_later(root, out, err));
    const json_t *const loaded = json_object_get(root, "loaded");
    if (!json_is_null(loaded))
        CRN_TRY_PLAIN(parse_loaded(store, loaded, out, err));
out:
    json_decref(root);
    return rc;
}

cairn_status cairn_run_read(const cairn_store *store, cairn_run *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_run run = {.loaded_path = NULL};
    char *text = NULL;
    size_t size = 0;
    const int e = crn_os_read_file(store->os, store->model_folder.fd, CRN_RUN_FILE, RUN_BYTES_MAX,
                                   &text, &size);
    if (e == ENOENT)
        CRN_FAIL(err, CAIRN_ENOTFOUND, "there is no '%s/" CRN_RUN_FILE "'", store->model_dir);
    if (e == EFBIG || e == EISDIR || e == EINVAL)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s/" CRN_RUN_FILE "' is no file that cairn wrote",
                 store->model_dir);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "read '%s/" CRN_RUN_FILE "'", store->model_dir);
    CRN_TRY(err, parse_run(store, text, size, &run, err), "read '%s/" CRN_RUN_FILE "'",
            store->model_dir);
    *out = run;
    run = (cairn_run){.loaded_path = NULL};
out:
    crn_free(text);
    cairn_run_dispose(&run);
    return rc;
}

void cairn_run_dispose(cairn_run *run)
{
    crn_free(run->loaded_path);
    crn_free(run->loaded_states);
    crn_free(run->complete_reason);
    run->loaded_path = NULL;
    run->loaded_states = NULL;
    run->complete_reason = NULL;
}
