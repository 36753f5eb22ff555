#include "ckpt/read_meta.h"

#include <inttypes.h>
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
                             "cannot read: '%s'",
                             ckpt->path, ckpt->format_version, CAIRN_FORMAT_MAJOR,
                             CAIRN_FORMAT_MINOR, key);
    return crn_error_set(err, CAIRN_ECORRUPT, 0, __FILE__, __LINE__,
                         "'%s' is damaged: '%s' is missing or wrong", ckpt->path, key);
}

/* The text of @key; an empty one if it is absent, so that every check of it fails. */
static const char *text_of(const cairn_checkpoint *ckpt, const char *key)
{
    const crn_meta_entry *const entry = crn_header_meta(&ckpt->header, key);
    return entry != NULL && strlen(entry->value) == entry->value_length ? entry->value : "";
}

static cairn_status read_version(cairn_checkpoint *ckpt, cairn_error *err)
{
    const char *const text = text_of(ckpt, CRN_KEY_FORMAT);
    const char *const dot = strchr(text, '.');
    uint64_t major = 0;
    uint64_t minor = 0;
    char digits[8] = "";
    if (dot == NULL || (size_t)(dot - text) >= sizeof digits)
        return damaged(ckpt, CRN_KEY_FORMAT, err);
    memcpy(digits, text, (size_t)(dot - text));
    if (!crn_u64_from_text(digits, &major) || !crn_u64_from_text(dot + 1, &minor) || major == 0)
        return damaged(ckpt, CRN_KEY_FORMAT, err);
    ckpt->format_version = text;
    ckpt->major = (unsigned)major;
    return CAIRN_OK;
}

static cairn_status read_facts(cairn_checkpoint *ckpt, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_checkpoint_info *const info = &ckpt->info;
    const char *const kind = text_of(ckpt, CRN_KEY_KIND);
    const char *const run_id = text_of(ckpt, CRN_KEY_RUN_ID);
    crn_digest digest;
    info->is_full = strcmp(kind, CRN_KIND_FULL) == 0;
    if (!info->is_full && strcmp(kind, CRN_KIND_ALTERNATIVE) != 0)
        CRN_TRY_PLAIN(damaged(ckpt, CRN_KEY_KIND, err));
    if (!crn_u64_from_text(text_of(ckpt, CRN_KEY_STEP), &info->step))
        CRN_TRY_PLAIN(damaged(ckpt, CRN_KEY_STEP, err));
    if (strlen(run_id) != CAIRN_RUN_ID_SIZE - 1)
        CRN_TRY_PLAIN(damaged(ckpt, CRN_KEY_RUN_ID, err));
    memcpy(info->run_id, run_id, CAIRN_RUN_ID_SIZE);
    if (!crn_u64_from_text(text_of(ckpt, CRN_KEY_SAVE_COUNTER), &info->save_counter))
        CRN_TRY_PLAIN(damaged(ckpt, CRN_KEY_SAVE_COUNTER, err));
    if (crn_digest_from_text(text_of(ckpt, CRN_KEY_STATE_DIGEST), &digest) != 0)
        CRN_TRY_PLAIN(damaged(ckpt, CRN_KEY_STATE_DIGEST, err));
    if (crn_header_meta(&ckpt->header, CRN_KEY_STATES) == NULL)
        CRN_TRY_PLAIN(damaged(ckpt, CRN_KEY_STATES, err));
    info->states = text_of(ckpt, CRN_KEY_STATES);
    CRN_TRY_PLAIN(crn_name_list_split(&ckpt->states, info->states, err));
out:
    return rc;
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
    const cairn_checkpoint *ckpt;
    crn_state_texts *texts;
} texts_walk;

static crn_format_code note_text(void *user, const char *outer, const char *key, const char *value)
{
    const texts_walk *const w = user;
    crn_state_texts *const texts = w->texts;
    if (!crn_name_list_has(&w->ckpt->states, outer))
        return CRN_FORMAT_NAME;
    if (key == NULL)
        return CRN_FORMAT_OK;
    if (crn_grow(&texts->items, &texts->capacity, texts->count + 1, sizeof *texts->items, NULL) !=
        CAIRN_OK)
        return CRN_FORMAT_NO_MEMORY;
    crn_state_text *const item = &texts->items[texts->count++]; /* Freed with what it gets. */
    *item = (crn_state_text){
        .state = crn_strdup(outer), .key = crn_strdup(key), .text = crn_strdup(value)};
    return item->state != NULL && item->key != NULL && item->text != NULL ? CRN_FORMAT_OK
                                                                          : CRN_FORMAT_NO_MEMORY;
}

static int compare_with_name(const void *name, const void *tensor)
{
    return strcmp(name, (*(const crn_read_tensor *const *)tensor)->entry->name);
}

static crn_read_tensor *find_tensor(const cairn_checkpoint *ckpt, const char *name)
{
    if (ckpt->tensor_count == 0)
        return NULL;
    const crn_read_tensor *const *const found =
        bsearch(name, ckpt->by_name, ckpt->tensor_count, sizeof *ckpt->by_name, compare_with_name);
    return found != NULL ? &ckpt->tensors[*found - ckpt->tensors] : NULL;
}

static crn_format_code note_digest(void *user, const char *outer, const char *key,
                                   const char *value)
{
    const cairn_checkpoint *const ckpt = user;
    crn_read_tensor *const tensor = outer[0] == '\0' && key != NULL ? find_tensor(ckpt, key) : NULL;
    if (tensor == NULL || tensor->has_digest || crn_digest_from_text(value, &tensor->digest) != 0)
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
static cairn_status check_tensors(const cairn_checkpoint *ckpt, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str state = {0};
    for (size_t i = 0; i < ckpt->tensor_count; i++) {
        const crn_read_tensor *const tensor = &ckpt->tensors[i];
        const char *const name = tensor->entry->name;
        state.length = 0;
        crn_str_append_bytes(&state, name, strcspn(name, "."));
        CRN_TRY_PLAIN(crn_str_check(&state, err));
        if (!crn_name_list_has(&ckpt->states, state.text))
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
    texts_walk values = {.ckpt = ckpt, .texts = &ckpt->values};
    texts_walk aliases = {.ckpt = ckpt, .texts = &ckpt->aliases};
    CRN_TRY_PLAIN(read_version(ckpt, err));
    CRN_TRY_PLAIN(read_facts(ckpt, err));
    CRN_TRY_PLAIN(walk(ckpt, CRN_KEY_VALUES, note_text, &values, err));
    CRN_TRY_PLAIN(walk(ckpt, CRN_KEY_ALIASES, note_text, &aliases, err));
    CRN_TRY_PLAIN(walk(ckpt, CRN_KEY_TENSOR_DIGESTS, note_digest, ckpt, err));
    CRN_TRY_PLAIN(walk(ckpt, CRN_KEY_CHUNK_DIGESTS, note_chunks, ckpt, err));
    CRN_TRY_PLAIN(check_tensors(ckpt, err));
out:
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
