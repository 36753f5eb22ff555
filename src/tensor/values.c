/* The small named values of a state: texts, with typed forms on top. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "tensor/state_impl.h"

static crn_value *find(const cairn_state *state, const char *key)
{
    return crn_name_index_find(&state->value_names, key);
}

static void destroy(crn_value *value)
{
    if (value != NULL) {
        crn_free(value->key);
        crn_free(value->text);
    }
    crn_free(value);
}

/* A new value with an empty text and room for one of @text_size bytes; NULL: out of memory. */
static crn_value *add(cairn_state *state, const char *key, size_t text_size)
{
    crn_value *value = NULL;
    if (crn_grow(&state->values, &state->value_capacity, state->value_count + 1,
                 sizeof *state->values, NULL) != CAIRN_OK ||
        crn_name_index_reserve(&state->value_names, NULL) != CAIRN_OK)
        return NULL;
    value = crn_calloc(1, sizeof *value);
    if (value != NULL)
        value->key = crn_strdup(key);
    if (value == NULL || value->key == NULL ||
        crn_grow(&value->text, &value->text_capacity, text_size, 1, NULL) != CAIRN_OK) {
        destroy(value);
        return NULL;
    }
    state->values[state->value_count++] = value;
    crn_name_index_put(&state->value_names, value->key, value);
    return value;
}

cairn_status cairn_state_set_text(cairn_state *state, const char *key, const char *value,
                                  cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const size_t size = strlen(value) + 1;
    crn_value *entry = find(state, key);
    if (entry == NULL)
        entry = add(state, key, size);
    CRN_NEED(err, entry, "a value of a state");
    CRN_TRY_PLAIN(crn_grow(&entry->text, &entry->text_capacity, size, 1, err));
    memcpy(entry->text, value, size);
out:
    return rc;
}

cairn_status cairn_state_set_u64(cairn_state *state, const char *key, uint64_t value,
                                 cairn_error *err)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    return cairn_state_set_text(state, key, text, err);
}

cairn_status cairn_state_set_f64(cairn_state *state, const char *key, double value,
                                 cairn_error *err)
{
    char text[40];
    crn_f64_to_text(value, text);
    return cairn_state_set_text(state, key, text, err);
}

/* The text of @key, or CAIRN_ENOTFOUND. */
static cairn_status need_text(const cairn_state *state, const char *key, const char **out,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char shown[64];
    *out = cairn_state_get_text(state, key);
    if (*out == NULL)
        CRN_FAIL(err, CAIRN_ENOTFOUND, "state '%s' has no value '%s'", state->name,
                 crn_escape(key, strlen(key), shown, sizeof shown));
out:
    return rc;
}

cairn_status cairn_state_get_u64(const cairn_state *state, const char *key, uint64_t *out,
                                 cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *text = NULL;
    char shown[64];
    CRN_TRY_PLAIN(need_text(state, key, &text, err));
    if (!crn_u64_from_text(text, out))
        CRN_FAIL(err, CAIRN_ECORRUPT, "value '%s' of state '%s' is no count: '%s'", key,
                 state->name, crn_escape(text, strlen(text), shown, sizeof shown));
out:
    return rc;
}

cairn_status cairn_state_get_f64(const cairn_state *state, const char *key, double *out,
                                 cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *text = NULL;
    char shown[64];
    CRN_TRY_PLAIN(need_text(state, key, &text, err));
    if (!crn_f64_from_text(text, out))
        CRN_FAIL(err, CAIRN_ECORRUPT, "value '%s' of state '%s' is no number: '%s'", key,
                 state->name, crn_escape(text, strlen(text), shown, sizeof shown));
out:
    return rc;
}

const char *cairn_state_get_text(const cairn_state *state, const char *key)
{
    const crn_value *const value = find(state, key);
    return value != NULL ? value->text : NULL;
}

size_t cairn_state_value_count(const cairn_state *state)
{
    return state->value_count;
}

void cairn_state_value_at(const cairn_state *state, size_t i, const char **out_key,
                          const char **out_text)
{
    *out_key = state->values[i]->key;
    *out_text = state->values[i]->text;
}

void cairn_state_clear_values(cairn_state *state)
{
    for (size_t i = 0; i < state->value_count; i++)
        destroy(state->values[i]);
    state->value_count = 0;
    crn_name_index_dispose(&state->value_names);
}

void crn_state_dispose_values(cairn_state *state)
{
    cairn_state_clear_values(state);
    crn_free(state->values);
}
