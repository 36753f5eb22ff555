/* What a user changed between two processes of a run: printed, old -> new. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "train/trainer_priv.h"

enum { PATH_SIZE = 512, DEPTH_MAX = 40, VALUE_SIZE = 120 };

/* A walk over two JSON trees at once. */
struct walk {
    const cairn_log *log;
    const char *what;
    char path[PATH_SIZE];
    int depth;
};

static const char *value_text(json_t *value, char buf[VALUE_SIZE])
{
    char *const text = value != NULL ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    (void)snprintf(buf, VALUE_SIZE, "%s", text != NULL ? text : "(absent)");
    crn_free(text); /* jansson allocates with malloc, as base/mem.c does. */
    return buf;
}

static void walk_pair(struct walk *walk, json_t *old, json_t *new);

static void walk_child(struct walk *walk, const char *key, json_t *old, json_t *new)
{
    const size_t length = strlen(walk->path);
    (void)snprintf(walk->path + length, PATH_SIZE - length, "%s%s", length > 0 ? "." : "", key);
    walk_pair(walk, old, new);
    walk->path[length] = '\0';
}

static void walk_lists(struct walk *walk, json_t *old, json_t *new)
{
    const size_t old_size = json_array_size(old);
    const size_t new_size = json_array_size(new);
    for (size_t i = 0; i < old_size || i < new_size; i++) {
        char key[24];
        (void)snprintf(key, sizeof key, "%zu", i);
        walk_child(walk, key, json_array_get(old, i), json_array_get(new, i));
    }
}

static void walk_maps(struct walk *walk, json_t *old, json_t *new)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(old, key, value) walk_child(walk, key, value, json_object_get(new, key));
    json_object_foreach(new, key, value)
    {
        if (json_object_get(old, key) == NULL)
            walk_child(walk, key, NULL, value);
    }
}

static void walk_pair(struct walk *walk, json_t *old, json_t *new)
{
    char old_text[VALUE_SIZE];
    char new_text[VALUE_SIZE];
    if (old != NULL && new != NULL && json_equal(old, new))
        return;
    if (walk->depth < DEPTH_MAX && json_is_object(old) && json_is_object(new)) {
        walk->depth++;
        walk_maps(walk, old, new);
        walk->depth--;
    } else if (walk->depth < DEPTH_MAX && json_is_array(old) && json_is_array(new)) {
        walk->depth++;
        walk_lists(walk, old, new);
        walk->depth--;
    } else {
        cairn_log_message(walk->log, CAIRN_LOG_INFO, "%s: %s: %s -> %s", walk->what, walk->path,
                          value_text(old, old_text), value_text(new, new_text));
    }
}

static void log_diff(const cairn_log *log, const char *what, const char *old_json,
                     const char *new_json)
{
    struct walk walk = {.log = log, .what = what};
    if (old_json == NULL || new_json == NULL)
        return;
    json_t *const old = json_loads(old_json, 0, NULL);
    json_t *const new = json_loads(new_json, 0, NULL);
    if (old != NULL && new != NULL)
        walk_pair(&walk, old, new);
    json_decref(old);
    json_decref(new);
}

void crn_log_params_diff(const cairn_log *log, const char *old_json, const char *new_json)
{
    log_diff(log, "changed since the checkpoint, the new value is used", old_json, new_json);
}

void crn_log_environment_diff(const cairn_log *log, const char *old_json, const char *new_json)
{
    log_diff(log, "environment differs, so bits may", old_json, new_json);
}
