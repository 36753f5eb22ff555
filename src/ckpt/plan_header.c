/* The header of a planned file: every text of its metadata. docs/format/checkpoint.md */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "ckpt/plan.h"

enum { META_MAX = 14 };

typedef struct meta {
    crn_meta_entry entries[META_MAX];
    crn_str texts[META_MAX];
    size_t count;
} meta;

/* The text of the next key; it is filled before the header is written. */
static crn_str *meta_add(meta *m, const char *key)
{
    m->entries[m->count] = (crn_meta_entry){.key = key, .key_length = strlen(key)};
    return &m->texts[m->count++];
}

static void append_json(crn_str *out, const char *text)
{
    crn_str_append_json(out, text, strlen(text));
}

static void append_pair(crn_str *out, bool is_first, const char *key, const char *value)
{
    if (!is_first)
        crn_str_append(out, ",");
    append_json(out, key);
    crn_str_append(out, ":");
    append_json(out, value);
}

static void write_states(const crn_plan *plan, crn_str *out)
{
    for (size_t i = 0; i < plan->state_count; i++)
        crn_str_printf(out, "%s%s", i > 0 ? "," : "", cairn_state_name(plan->states[i]));
}

/* {"state":{"alias":"target"}}, or {"state":{"key":"text"}} */
static void write_by_state(const crn_plan *plan, crn_str *out, size_t (*count)(const cairn_state *),
                           void (*at)(const cairn_state *, size_t, const char **, const char **),
                           bool has_empty)
{
    bool is_first = true;
    crn_str_append(out, "{");
    for (size_t i = 0; i < plan->state_count; i++) {
        const cairn_state *const state = plan->states[i];
        if (count(state) == 0 && !has_empty)
            continue;
        if (!is_first)
            crn_str_append(out, ",");
        is_first = false;
        append_json(out, cairn_state_name(state));
        crn_str_append(out, ":{");
        for (size_t j = 0; j < count(state); j++) {
            const char *key = NULL;
            const char *value = NULL;
            at(state, j, &key, &value);
            append_pair(out, j == 0, key, value);
        }
        crn_str_append(out, "}");
    }
    crn_str_append(out, "}");
}

static crn_digest digest_of(const crn_plan_tensor *tensor)
{
    return crn_tensor_digest(tensor->chunks, tensor->chunk_count);
}

static void write_tensor_digests(const crn_plan *plan, crn_str *out)
{
    crn_str_append(out, "{");
    for (size_t i = 0; i < plan->tensor_count; i++) {
        const crn_digest digest = digest_of(&plan->tensors[i]);
        char text[CRN_DIGEST_TEXT_SIZE];
        crn_digest_to_text(&digest, text);
        append_pair(out, i == 0, plan->entries[plan->tensors[i].entry].name, text);
    }
    crn_str_append(out, "}");
}

/* The digests of a tensor's chunks in a row; one chunk's follows from the tensor's. */
static void write_chunk_digests(const crn_plan *plan, crn_str *out)
{
    bool is_first = true;
    crn_str_append(out, "{");
    for (size_t i = 0; i < plan->tensor_count; i++) {
        const crn_plan_tensor *const tensor = &plan->tensors[i];
        if (tensor->chunk_count == 1)
            continue;
        if (!is_first)
            crn_str_append(out, ",");
        is_first = false;
        append_json(out, plan->entries[tensor->entry].name);
        crn_str_append(out, ":\"");
        for (uint64_t j = 0; j < tensor->chunk_count; j++) {
            char text[CRN_DIGEST_TEXT_SIZE];
            crn_digest_to_text(&tensor->chunks[j], text);
            crn_str_append(out, text);
        }
        crn_str_append(out, "\"");
    }
    crn_str_append(out, "}");
}

static cairn_status write_state_digest(const crn_plan *plan, crn_str *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_digest digest;
    char text[CRN_DIGEST_TEXT_SIZE];
    crn_digest_item *const items = crn_calloc(plan->tensor_count, sizeof *items);
    CRN_NEED(err, items, "the state digest");
    for (size_t i = 0; i < plan->tensor_count; i++) {
        const crn_file_entry *const entry = &plan->entries[plan->tensors[i].entry];
        items[i] = (crn_digest_item){.name = entry->name,
                                     .dtype = entry->dtype,
                                     .rank = entry->rank,
                                     .shape = entry->shape,
                                     .digest = digest_of(&plan->tensors[i])};
    }
    CRN_TRY_PLAIN(crn_state_digest(items, plan->tensor_count, &digest, err));
    crn_digest_to_text(&digest, text);
    crn_str_append(out, text);
out:
    crn_free(items);
    return rc;
}

static cairn_status fill(meta *m, const crn_plan *plan, const crn_file_facts *facts,
                         cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str_printf(meta_add(m, CRN_KEY_FORMAT), "%d.%d", CAIRN_FORMAT_MAJOR, CAIRN_FORMAT_MINOR);
    crn_str_append(meta_add(m, CRN_KEY_KIND), facts->kind);
    crn_str_printf(meta_add(m, CRN_KEY_STEP), "%" PRIu64, facts->step);
    crn_str_append(meta_add(m, CRN_KEY_RUN_ID), facts->run_id);
    crn_str_printf(meta_add(m, CRN_KEY_SAVE_COUNTER), "%" PRIu64, facts->save_counter);
    write_states(plan, meta_add(m, CRN_KEY_STATES));
    CRN_TRY_PLAIN(write_state_digest(plan, meta_add(m, CRN_KEY_STATE_DIGEST), err));
    crn_str_append(meta_add(m, CRN_KEY_WRITTEN_BY), "cairn " CAIRN_VERSION);
    write_by_state(plan, meta_add(m, CRN_KEY_ALIASES), cairn_state_alias_count,
                   cairn_state_alias_at, false);
    crn_str_append_bytes(meta_add(m, CRN_KEY_VALUES), plan->values.text, plan->values.length);
    if (facts->params_json != NULL)
        crn_str_append(meta_add(m, CRN_KEY_PARAMS), facts->params_json);
    if (facts->environment_json != NULL)
        crn_str_append(meta_add(m, CRN_KEY_ENVIRONMENT), facts->environment_json);
    write_tensor_digests(plan, meta_add(m, CRN_KEY_TENSOR_DIGESTS));
    write_chunk_digests(plan, meta_add(m, CRN_KEY_CHUNK_DIGESTS));
    for (size_t i = 0; i < m->count; i++) {
        CRN_TRY_PLAIN(crn_str_check(&m->texts[i], err));
        m->entries[i].value = m->texts[i].text != NULL ? m->texts[i].text : "";
        m->entries[i].value_length = m->texts[i].length;
    }
out:
    return rc;
}

cairn_status crn_plan_capture_values(crn_plan *plan, cairn_error *err)
{
    write_by_state(plan, &plan->values, cairn_state_value_count, cairn_state_value_at, true);
    return crn_str_check(&plan->values, err);
}

cairn_status crn_plan_header(const crn_plan *plan, const crn_file_facts *facts, bool is_draft,
                             crn_str *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    meta m = {.count = 0};
    CRN_TRY_PLAIN(fill(&m, plan, facts, err));
    rc = (is_draft ? crn_header_draft : crn_header_write)(m.entries, m.count, plan->entries,
                                                          plan->entry_count, out, err);
out:
    for (size_t i = 0; i < m.count; i++)
        crn_str_dispose(&m.texts[i]);
    return rc;
}
