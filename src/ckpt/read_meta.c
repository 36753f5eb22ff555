#include "ckpt/read_meta.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"

enum { DIGITS = CRN_DIGEST_TEXT_SIZE - 1 };

static cairn_status damaged(const cairn_checkpoint *ckpt, const char *key, cairn_error *err)
{
    if (ckpt->major > CAIRN_FORMAT_MAJOR)
        return crn_error_set(err, CAIRN_EVERSION, 0, __FILE__, __LINE__,
                             "'%s' was written in format %s, which this program (format %d.%d) "
                             "cannot read: '%s' (E_VERSION)",
                             ckpt->path, ckpt->format_version, CAIRN_FORMAT_MAJOR,
                             CAIRN_FORMAT_MINOR, key);
    return crn_error_set(err, CAIRN_ECORRUPT, 0, __FILE__, __LINE__,
                         "'%s' is damaged: '%s' is missing or wrong (E_METADATA)", ckpt->path, key);
}

/* The text of @key; an empty one if it is absent, so that every check of it fails. */
static const char *text_of(const cairn_checkpoint *ckpt, const char *key)
{
    const crn_meta_entry *const entry = crn_header_meta(&ckpt->header, key);
    return entry != NULL && strlen(entry->value) == entry->value_length ? entry->value : "";
}

/* [CF-21] */
static bool decimal_from_text(const char *text, uint64_t *out)
{
    return (text[0] != '0' || text[1] == '\0') && crn_u64_from_text(text, out);
}

/* [CF-11] */
static bool is_state_name(const char *name)
{
    static const char k_allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
    return name[0] != '\0' && name[strspn(name, k_allowed)] == '\0' &&
           strcmp(name, "__metadata__") != 0 && strcmp(name, "__pad__") != 0;
}

static cairn_status read_version(cairn_checkpoint *ckpt, cairn_error *err)
{
    const char *const text = text_of(ckpt, CRN_KEY_FORMAT);
    const char *const dot = strchr(text, '.');
    uint64_t major = 0;
    uint64_t minor = 0;
    char digits[24] = ""; /* more than a number below 2^64 has */
    if (dot == NULL || (size_t)(dot - text) >= sizeof digits)
        return damaged(ckpt, CRN_KEY_FORMAT, err);
    memcpy(digits, text, (size_t)(dot - text));
    if (!decimal_from_text(digits, &major) || !decimal_from_text(dot + 1, &minor) || major == 0)
        return damaged(ckpt, CRN_KEY_FORMAT, err);
    ckpt->format_version = text;
    ckpt->major = major < UINT_MAX ? (unsigned)major : UINT_MAX;
    return CAIRN_OK;
}

static cairn_status read_facts(cairn_checkpoint *ckpt, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_checkpoint_info *const info = &ckpt->info;
    const char *const kind = text_of(ckpt, CRN_KEY_KIND);
    const char *const run_id = text_of(ckpt, CRN_KEY_RUN_ID);
    const char *const state_digest = text_of(ckpt, CRN_KEY_STATE_DIGEST);
    crn_digest digest;
    info->is_full = strcmp(kind, CRN_KIND_FULL) == 0;
    if (!info->is_full && strcmp(kind, CRN_KIND_ALTERNATIVE) != 0)
        CRN_TRY_PLAIN(damaged(ckpt, CRN_KEY_KIND, err));
    if (!decimal_from_text(text_of(ckpt, CRN_KEY_STEP), &info->step))
        CRN_TRY_PLAIN(damaged(ckpt, CRN_KEY_STEP, err));
    if (strlen(run_id) != DIGITS || crn_digest_from_text(run_id, &digest) != 0)
        CRN_TRY_PLAIN(damaged(ckpt, CRN_KEY_RUN_ID, err));
    memcpy(info->run_id, run_id, CAIRN_RUN_ID_SIZE);
    if (!decimal_from_text(text_of(ckpt, CRN_KEY_SAVE_COUNTER), &info->save_counter))
        CRN_TRY_PLAIN(damaged(ckpt, CRN_KEY_SAVE_COUNTER, err));
    if (strlen(state_digest) != DIGITS || crn_digest_from_text(state_digest, &digest) != 0)
        CRN_TRY_PLAIN(damaged(ckpt, CRN_KEY_STATE_DIGEST, err));
    if (crn_header_meta(&ckpt->header, CRN_KEY_WRITTEN_BY) == NULL)
        CRN_TRY_PLAIN(damaged(ckpt, CRN_KEY_WRITTEN_BY, err));
out:
    return rc;
}

/* The states by name: a file may claim very many, so they are searched, not walked. */
typedef struct state_index {
    const char **names; /* sorted; borrowed from the checkpoint */
    bool *is_seen;      /* has a member in the metadata value at hand */
    size_t count;
} state_index;

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The place of @name; -1 if there is no such state. */
static ptrdiff_t find_state(const state_index *index, const char *name)
{
    if (index->count == 0)
        return -1;
    const char *const *const found =
        bsearch(&name, index->names, index->count, sizeof *index->names, compare_texts);
    return found != NULL ? found - (const char *const *)index->names : -1;
}

/* @index: release it with dispose_index on failure too. */
static cairn_status read_states(cairn_checkpoint *ckpt, state_index *index, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str name = {0};
    if (crn_header_meta(&ckpt->header, CRN_KEY_STATES) == NULL)
        CRN_TRY_PLAIN(damaged(ckpt, CRN_KEY_STATES, err));
    ckpt->info.states = text_of(ckpt, CRN_KEY_STATES);
    for (const char *at = ckpt->info.states; at != NULL && ckpt->info.states[0] != '\0';) {
        const size_t length = strcspn(at, ",");
        name.length = 0;
        crn_str_append_bytes(&name, at, length);
        CRN_TRY_PLAIN(crn_str_check(&name, err));
        if (length == 0 || !is_state_name(name.text))
            CRN_TRY_PLAIN(damaged(ckpt, CRN_KEY_STATES, err));
        CRN_TRY_PLAIN(crn_name_list_add(&ckpt->states, name.text, err));
        at = at[length] == ',' ? at + length + 1 : NULL;
    }
    index->count = ckpt->states.count;
    index->names = crn_calloc(index->count, sizeof *index->names);
    CRN_NEED(err, index->names, "the states of a checkpoint");
    index->is_seen = crn_calloc(index->count, sizeof *index->is_seen);
    CRN_NEED(err, index->is_seen, "the states of a checkpoint");
    for (size_t i = 0; i < index->count; i++)
        index->names[i] = ckpt->states.items[i];
    if (index->count > 0)
        qsort(index->names, index->count, sizeof *index->names, compare_texts);
    for (size_t i = 1; i < index->count; i++) {
        if (strcmp(index->names[i - 1], index->names[i]) == 0)
            CRN_TRY_PLAIN(damaged(ckpt, CRN_KEY_STATES, err));
    }
out:
    crn_str_dispose(&name);
    return rc;
}

static void dispose_index(state_index *index)
{
    crn_free(index->names);
    crn_free(index->is_seen);
}

/* Walks the JSON object of texts under @key. */
static cairn_status walk(const cairn_checkpoint *ckpt, const char *key, crn_pair_fn fn, void *user,
                         cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const text = text_of(ckpt, key);
    const crn_format_code code = crn_pairs_parse(text, strlen(text), fn, user);
    if (code == CRN_FORMAT_NO_MEMORY)
        CRN_FAIL(err, CAIRN_ENOMEM, "no memory for '%s' of '%s'", key, ckpt->path);
    if (code != CRN_FORMAT_OK)
        CRN_TRY_PLAIN(damaged(ckpt, key, err));
out:
    return rc;
}

typedef struct texts_walk {
    state_index *index;
    crn_state_texts *texts;
} texts_walk;

cairn_status crn_state_texts_add(crn_state_texts *texts, const char *state, const char *key,
                                 const char *text, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(
        crn_grow(&texts->items, &texts->capacity, texts->count + 1, sizeof *texts->items, err));
    crn_state_text *const item = &texts->items[texts->count++]; /* Freed with what it gets. */
    *item = (crn_state_text){
        .state = crn_strdup(state), .key = crn_strdup(key), .text = crn_strdup(text)};
    CRN_NEED(err, item->state, "a value");
    CRN_NEED(err, item->key, "a value");
    CRN_NEED(err, item->text, "a value");
out:
    return rc;
}

static crn_format_code note_text(void *user, const char *outer, const char *key, const char *value)
{
    const texts_walk *const w = user;
    crn_state_texts *const texts = w->texts;
    const ptrdiff_t place = find_state(w->index, outer);
    if (place < 0)
        return CRN_FORMAT_NAME;
    if (key == NULL) {
        const bool is_second = w->index->is_seen[place];
        w->index->is_seen[place] = true;
        return is_second ? CRN_FORMAT_NAME : CRN_FORMAT_OK;
    }
    return crn_state_texts_add(texts, outer, key, value, NULL) == CAIRN_OK ? CRN_FORMAT_OK
                                                                           : CRN_FORMAT_NO_MEMORY;
}

static int compare_keys(const void *a, const void *b)
{
    const crn_state_text *const x = *(const crn_state_text *const *)a;
    const crn_state_text *const y = *(const crn_state_text *const *)b;
    const int by_state = strcmp(x->state, y->state);
    return by_state != 0 ? by_state : strcmp(x->key, y->key);
}

cairn_status crn_state_texts_sort(crn_state_texts *texts, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    texts->sorted = crn_calloc(texts->count, sizeof *texts->sorted);
    CRN_NEED(err, texts->sorted, "the values of a checkpoint");
    for (size_t i = 0; i < texts->count; i++)
        texts->sorted[i] = &texts->items[i];
    if (texts->count > 0)
        qsort(texts->sorted, texts->count, sizeof *texts->sorted, compare_keys);
out:
    return rc;
}

/* Reads pairs by state; no name may occur twice. @needs_all: every state must be there. */
static cairn_status read_texts(cairn_checkpoint *ckpt, const char *key, state_index *index,
                               bool needs_all, crn_state_texts *texts, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    texts_walk w = {.index = index, .texts = texts};
    for (size_t i = 0; i < index->count; i++)
        index->is_seen[i] = false;
    CRN_TRY_PLAIN(walk(ckpt, key, note_text, &w, err));
    for (size_t i = 0; needs_all && i < index->count; i++) {
        if (!index->is_seen[i])
            CRN_TRY_PLAIN(damaged(ckpt, key, err));
    }
    CRN_TRY_PLAIN(crn_state_texts_sort(texts, err));
    for (size_t i = 1; i < texts->count; i++) {
        if (compare_keys(&texts->sorted[i - 1], &texts->sorted[i]) == 0)
            CRN_TRY_PLAIN(damaged(ckpt, key, err));
    }
out:
    return rc;
}

const char *crn_state_texts_find(const crn_state_texts *texts, const char *state, const char *key)
{
    union {
        const char *in;
        char *out;
    } state_cast = {.in = state}, key_cast = {.in = key}; /* Only compared with. */
    const crn_state_text text = {.state = state_cast.out, .key = key_cast.out};
    const crn_state_text *const wanted = &text;
    if (texts->count == 0)
        return NULL;
    const crn_state_text *const *const found =
        bsearch(&wanted, texts->sorted, texts->count, sizeof *texts->sorted, compare_keys);
    return found != NULL ? (*found)->text : NULL;
}

static int compare_with_name(const void *name, const void *tensor)
{
    return strcmp(name, (*(const crn_read_tensor *const *)tensor)->entry->name);
}

const crn_read_tensor *crn_checkpoint_find_tensor(const cairn_checkpoint *ckpt, const char *name)
{
    if (ckpt->tensor_count == 0)
        return NULL;
    const crn_read_tensor *const *const found =
        bsearch(name, ckpt->by_name, ckpt->tensor_count, sizeof *ckpt->by_name, compare_with_name);
    return found != NULL ? *found : NULL;
}

static crn_read_tensor *find_tensor(const cairn_checkpoint *ckpt, const char *name)
{
    const crn_read_tensor *const found = crn_checkpoint_find_tensor(ckpt, name);
    return found != NULL ? &ckpt->tensors[found - ckpt->tensors] : NULL;
}

static crn_format_code note_digest(void *user, const char *outer, const char *key,
                                   const char *value)
{
    const cairn_checkpoint *const ckpt = user;
    crn_read_tensor *const tensor = outer[0] == '\0' && key != NULL ? find_tensor(ckpt, key) : NULL;
    if (tensor == NULL || tensor->has_digest || strlen(value) != DIGITS ||
        crn_digest_from_text(value, &tensor->digest) != 0)
        return CRN_FORMAT_NAME;
    tensor->has_digest = true;
    return CRN_FORMAT_OK;
}

static crn_format_code note_chunks(void *user, const char *outer, const char *key,
                                   const char *value)
{
    const cairn_checkpoint *const ckpt = user;
    crn_read_tensor *const tensor = outer[0] == '\0' && key != NULL ? find_tensor(ckpt, key) : NULL;
    if (tensor == NULL || tensor->chunks != NULL)
        return CRN_FORMAT_NAME;
    const uint64_t count = crn_chunk_count(tensor->entry->bytes);
    if (count < 2 || strlen(value) != count * DIGITS)
        return CRN_FORMAT_NAME;
    tensor->chunks = crn_calloc((size_t)count, sizeof *tensor->chunks);
    if (tensor->chunks == NULL)
        return CRN_FORMAT_NO_MEMORY;
    for (uint64_t i = 0; i < count; i++) {
        char text[CRN_DIGEST_TEXT_SIZE] = "";
        memcpy(text, value + i * DIGITS, DIGITS);
        if (crn_digest_from_text(text, &tensor->chunks[i]) != 0)
            return CRN_FORMAT_NAME;
    }
    const crn_digest whole = crn_tensor_digest(tensor->chunks, count);
    return crn_digest_equal(&whole, &tensor->digest) ? CRN_FORMAT_OK : CRN_FORMAT_NAME;
}

/* Every tensor belongs to a state that the file lists and has all its digests. */
static cairn_status check_tensors(const cairn_checkpoint *ckpt, const state_index *index,
                                  cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str state = {0};
    for (size_t i = 0; i < ckpt->tensor_count; i++) {
        const crn_read_tensor *const tensor = &ckpt->tensors[i];
        const char *const name = tensor->entry->name;
        const size_t length = strcspn(name, ".");
        state.length = 0;
        crn_str_append_bytes(&state, name, length);
        CRN_TRY_PLAIN(crn_str_check(&state, err));
        if (name[length] != '.' || find_state(index, state.text) < 0)
            CRN_TRY_PLAIN(damaged(ckpt, CRN_KEY_STATES, err));
        if (!tensor->has_digest)
            CRN_TRY_PLAIN(damaged(ckpt, CRN_KEY_TENSOR_DIGESTS, err));
        if (tensor->chunks == NULL && crn_chunk_count(tensor->entry->bytes) > 1)
            CRN_TRY_PLAIN(damaged(ckpt, CRN_KEY_CHUNK_DIGESTS, err));
    }
out:
    crn_str_dispose(&state);
    return rc;
}

cairn_status crn_checkpoint_read_meta(cairn_checkpoint *ckpt, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    state_index index = {0};
    CRN_TRY_PLAIN(read_version(ckpt, err));
    CRN_TRY_PLAIN(read_facts(ckpt, err));
    CRN_TRY_PLAIN(read_states(ckpt, &index, err));
    CRN_TRY_PLAIN(read_texts(ckpt, CRN_KEY_VALUES, &index, true, &ckpt->values, err));
    CRN_TRY_PLAIN(read_texts(ckpt, CRN_KEY_ALIASES, &index, false, &ckpt->aliases, err));
    CRN_TRY_PLAIN(walk(ckpt, CRN_KEY_TENSOR_DIGESTS, note_digest, ckpt, err));
    CRN_TRY_PLAIN(walk(ckpt, CRN_KEY_CHUNK_DIGESTS, note_chunks, ckpt, err));
    CRN_TRY_PLAIN(check_tensors(ckpt, &index, err));
out:
    dispose_index(&index);
    return rc;
}

bool crn_chunk_is_intact(const crn_read_tensor *tensor, uint64_t i, const crn_digest *actual)
{
    if (!tensor->has_digest)
        return true;
    if (tensor->chunks != NULL)
        return crn_digest_equal(&tensor->chunks[i], actual) != 0;
    const crn_digest whole = crn_tensor_digest(actual, 1);
    return crn_digest_equal(&whole, &tensor->digest) != 0;
}
